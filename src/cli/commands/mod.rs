//! One file per command, and the one place that chooses between them.

pub mod describe;
pub mod functions;
pub mod layers;
pub mod reports;
pub mod seen;
pub mod stored;
pub mod plan;
pub mod policy;
pub mod audit;
pub mod status;
pub mod asked_overlays;
pub mod runner;
pub mod apply;
pub mod reviewed;
pub mod ci;
pub mod loss_consent;
pub mod switch_retry;
pub mod switch;
pub mod where_to;
pub mod drill_end;
pub mod drill;
pub mod explain;
pub mod init;
pub mod task;
pub mod migrate;
pub mod rekey;
pub mod rebuild;
pub mod recorded;
pub mod copies;
pub mod bundle;
pub mod break_glass;
pub mod state_history;
pub mod state_document;
pub mod state;
pub mod sandbox;
pub mod watch;

use std::sync::Arc;

use crate::cli::args::policy::PolicyCommand;
use crate::cli::args::{Arguments, CliCommand as Command};
use crate::cli::commands::switch::SwitchArgs;
use crate::cli::context::CommandContext;
use crate::cli::exit::Exit;
use crate::cli::run_document::RunDocument;
use crate::ops::error::OpsError;
use crate::ops::load::layers::is_overlay_name;

/// Runs the command.
pub async fn run(
    arguments: Arguments,
    document: Option<Arc<RunDocument>>,
) -> Result<Exit, OpsError> {
    let context = CommandContext::of(&arguments, document)?;
    file_is_no_overlay(&arguments.command)?;
    match arguments.command {
        Command::Init { dir, ci } => init::init(&context, dir, ci),
        Command::Validate { layers, format } => layers::validate(&context, &layers, format),
        Command::Render(layers) => layers::render(&context, &layers),
        Command::Graph(layers) => layers::graph(&context, &layers),
        Command::Explain { layers, what: None, .. } => explain::code(&layers.stack),
        Command::Explain { layers, what: Some(what), world } => {
            explain::explain(&context, &layers, &what, &world).await
        }
        Command::Schema => Ok(describe::schema()),
        Command::Policy(PolicyCommand::Test(arguments)) => policy::test(&context, &arguments),
        Command::Functions => Ok(functions::functions()),
        Command::Kinds { kind } => describe::kinds(kind.as_deref()),
        Command::Plan { layers, world, allow, losing, wanted } => {
            plan::plan(&context, &layers, &world, &allow, &losing, &wanted).await
        }
        Command::Audit(arguments) => audit::audit(&context, &arguments).await,
        Command::Show { plan, shape } => plan::show(&context, &plan, &shape),
        Command::Apply { layers, world, reviewed: true, .. } => {
            reviewed::apply(&context, &layers, &world).await
        }
        Command::Apply { layers, world, allow, losing, replace, yes, switch, .. } => {
            let consent = apply::Consent { yes, switch, data_loss: false };
            apply::apply(&context, &layers, &world, &allow, &losing, &replace, consent).await
        }
        Command::Ci(command) => ci::run(&context, &command).await,
        Command::Destroy { layers, world, yes, allow_delete, data_loss, .. } => {
            let consent = apply::Consent { yes, switch: false, data_loss };
            apply::destroy(&context, &layers, &world, allow_delete, consent).await
        }
        Command::Failover {
            target,
            to,
            losing,
            last_good,
            unattended,
            allow,
            world,
            yes,
            without,
            ..
        } => {
            let wanted = SwitchArgs::home(allow, world, yes).away(last_good, !unattended);
            let away = (to.as_deref(), &without);
            break_glass::failover(&context, &target, away, &losing, &wanted).await
        }
        Command::Failback { target, back, allow, world, yes, .. } => {
            switch::failback(&context, &target, back, &SwitchArgs::home(allow, world, yes)).await
        }
        Command::Recovered { state, fault_domain } => {
            switch::recovered(&context, &state, &fault_domain).await
        }
        Command::Approve { state, approval } => state::approve(&context, &state, approval),
        Command::Drill { target, to, losing, world, cleanup, yes, .. } => {
            let to = to.ok_or_else(|| where_to::which_drill(&context, &target, cleanup))?;
            let wanted = drill::DrillArgs { to, losing, cleanup, yes };
            drill::drill(&context, &target, &world, &wanted).await
        }
        Command::Status(arguments) => status::status(&context, &arguments).await,
        Command::Reports(arguments) => reports::reports(&context, &arguments).await,
        Command::Watch { watch, world } => watch::run(&context, &watch, &world).await,
        Command::State(command) => state::run(&context, command).await,
        Command::Sandbox(command) => sandbox::run(&context, command).await,
        Command::Completions { shell } => describe::completions(shell),
        Command::Man { command } => describe::man(&command),
    }
}

/// `-o` lays an overlay over the stack; the file of a plan is asked for with `--out`.
fn file_is_no_overlay(command: &Command) -> Result<(), OpsError> {
    let slip = command.layers().and_then(|it| it.overlays.iter().find(|it| !is_overlay_name(it)));
    let Some(name) = slip else { return Ok(()) };
    Err(OpsError::input(
        format!("`{name}` is not a valid overlay name"),
        "write the overlay's name without its folder and `.yaml`; did you mean --out?",
    ))
}

//! One file per command, and the one place that chooses between them.

pub mod describe;
pub mod functions;
pub mod layers;
pub mod reports;
pub mod plan;
pub mod audit;
pub mod status;
pub mod apply;
pub mod switch;
pub mod drill;
pub mod explain;
pub mod init;
pub mod state;
pub mod sandbox;
pub mod watch;

use crate::cli::args::{Arguments, CliCommand};
use crate::cli::exit::Exit;
use crate::cli::out::wants_color;
use crate::cli::{open, out};
use crate::engine::retry::Pacing;
use crate::engine::text::plain::clean;
use crate::engine::text::redact::redactor;
use crate::ops::error::OpsError;
use crate::ops::load::layers::is_overlay_name;

/// What every command is given.
pub struct CommandContext {
    pub directory: std::path::PathBuf,
    pub color: bool,
    /// As typed, without the values of variables.
    pub command: String,
    /// How fast a run is to go.
    pub pace: Pacing,
}

fn scene(arguments: &Arguments) -> Result<CommandContext, OpsError> {
    let given = arguments.directory.as_ref().map(|it| it.display().to_string());
    out::act_in(arguments.command.is_in_sandbox(), given);
    Ok(CommandContext {
        directory: open::directory(arguments)?,
        color: wants_color(arguments.no_color),
        command: typed(),
        pace: arguments.command.pace()?,
    })
}

/// Runs the command.
pub async fn run(arguments: Arguments) -> Result<Exit, OpsError> {
    let scene = scene(&arguments)?;
    file_is_no_overlay(&arguments.command)?;
    match arguments.command {
        CliCommand::Init { dir } => init::init(&scene, dir),
        CliCommand::Validate(layers) => layers::validate(&scene, &layers),
        CliCommand::Render(layers) => layers::render(&scene, &layers),
        CliCommand::Graph(layers) => layers::graph(&scene, &layers),
        CliCommand::Explain { layers, what, world } => {
            explain::explain(&scene, &layers, &what, &world).await
        }
        CliCommand::Schema => Ok(describe::schema()),
        CliCommand::Functions => Ok(functions::functions()),
        CliCommand::Kinds { kind } => describe::kinds(kind.as_deref()),
        CliCommand::Plan {
            layers,
            world,
            allow,
            losing,
            replace,
            out,
            detailed_exitcode,
            shape,
        } => {
            let wanted = plan::PlanArgs { replace, out, detailed_exitcode, shape };
            plan::plan(&scene, &layers, &world, &allow, &losing, &wanted).await
        }
        CliCommand::Audit(arguments) => audit::audit(&scene, &arguments).await,
        CliCommand::Show { plan, shape } => plan::show(&scene, &plan, &shape),
        CliCommand::Apply { layers, world, allow, losing, replace, yes, switch, .. } => {
            let consent = apply::Consent { yes, switch, data_loss: false };
            apply::apply(&scene, &layers, &world, &allow, &losing, &replace, consent).await
        }
        CliCommand::Destroy { layers, world, yes, allow_delete, data_loss, .. } => {
            let consent = apply::Consent { yes, switch: false, data_loss };
            apply::destroy(&scene, &layers, &world, allow_delete, consent).await
        }
        CliCommand::Failover { target, to, losing, last_good, allow, world, yes, .. } => {
            let last_good = last_good.map(jiff::Timestamp::as_millisecond);
            let wanted = switch::SwitchArgs { allow, world, yes, last_good };
            match to {
                Some(to) => switch::failover(&scene, &target, &to, &losing, &wanted).await,
                None => Err(switch::where_to(&scene, &target)?),
            }
        }
        CliCommand::Failback {
            target,
            lost,
            keep_standby,
            include_pending,
            allow,
            world,
            yes,
            ..
        } => {
            let wanted = switch::SwitchArgs { allow, world, yes, last_good: None };
            let back = switch::Back { lost, keep_standby, include_pending };
            switch::failback(&scene, &target, back, &wanted).await
        }
        CliCommand::Recovered { state, fault_domain } => {
            switch::recovered(&scene, &state, &fault_domain).await
        }
        CliCommand::Drill { target, to, losing, world, cleanup, yes, .. } => {
            let wanted = drill::DrillArgs { to, losing, cleanup, yes };
            drill::drill(&scene, &target, &world, &wanted).await
        }
        CliCommand::Status { target, world, format } => {
            status::status(&scene, &target, &world, format).await
        }
        CliCommand::Reports { state, name, format } => {
            reports::reports(&scene, &state, name.as_deref(), format).await
        }
        CliCommand::Watch { watch, world } => watch::run(&scene, &watch, &world).await,
        CliCommand::State(command) => state::run(&scene, command),
        CliCommand::Sandbox(command) => sandbox::run(&scene, command).await,
        CliCommand::Completions { shell } => describe::completions(shell),
        CliCommand::Man { command } => describe::man(&command),
    }
}

/// `-o` lays an overlay over the stack; the file of a plan is asked for with `--out`.
fn file_is_no_overlay(command: &CliCommand) -> Result<(), OpsError> {
    let slip = command.layers().and_then(|it| it.overlays.iter().find(|it| !is_overlay_name(it)));
    let Some(name) = slip else { return Ok(()) };
    Err(OpsError::input(
        format!("`{name}` is not the name of an overlay"),
        "an overlay is a name, without folder and `.yaml`; did you mean --out?",
    ))
}

/// The command line for the journal; what is behind `--var` may be secret.
pub fn typed() -> String {
    let mut words = Vec::new();
    let mut hide = false;
    for word in std::env::args_os().skip(1) {
        let word = word.to_string_lossy().into_owned();
        let given = if hide { Some(word.as_str()) } else { word.strip_prefix("--var=") };
        if let Some(given) = given {
            let name = given.split('=').next().unwrap_or_default();
            words.push(if hide { format!("{name}=…") } else { format!("--var={name}=…") });
            hide = false;
        } else {
            hide = word == "--var";
            words.push(word);
        }
    }
    clean(&redactor().redact(&words.join(" ")))
}

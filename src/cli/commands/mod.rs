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

use crate::cli::args::{Arguments, Command};
use crate::cli::exit::Exit;
use crate::cli::out::wants_color;
use crate::cli::{open, out};
use crate::engine::plain::clean;
use crate::engine::redact::redactor;
use crate::engine::retry::Pace;
use crate::ops::error::OpsError;
use crate::ops::load::is_overlay_name;

/// What every command is given.
pub struct Scene {
    pub directory: std::path::PathBuf,
    pub color: bool,
    /// As typed, without the values of variables.
    pub command: String,
    /// How fast a run is to go.
    pub pace: Pace,
}

fn scene(arguments: &Arguments) -> Result<Scene, OpsError> {
    let given = arguments.directory.as_ref().map(|it| it.display().to_string());
    out::act_in(arguments.command.is_in_sandbox(), given);
    Ok(Scene {
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
        Command::Init { dir } => init::init(&scene, dir),
        Command::Validate(layers) => layers::validate(&scene, &layers),
        Command::Render(layers) => layers::render(&scene, &layers),
        Command::Graph(layers) => layers::graph(&scene, &layers),
        Command::Explain { layers, what, world } => {
            explain::explain(&scene, &layers, &what, &world).await
        }
        Command::Schema => Ok(describe::schema()),
        Command::Functions => Ok(functions::functions()),
        Command::Kinds { kind } => describe::kinds(kind.as_deref()),
        Command::Plan { layers, world, allow, losing, replace, out, detailed_exitcode, shape } => {
            let wanted = plan::Wanted { replace, out, detailed_exitcode, shape };
            plan::plan(&scene, &layers, &world, &allow, &losing, &wanted).await
        }
        Command::Audit(arguments) => audit::audit(&scene, &arguments).await,
        Command::Show { plan, shape } => plan::show(&scene, &plan, &shape),
        Command::Apply { layers, world, allow, losing, replace, yes, switch, .. } => {
            let consent = apply::Consent { yes, switch, data_loss: false };
            apply::apply(&scene, &layers, &world, &allow, &losing, &replace, consent).await
        }
        Command::Destroy { layers, world, yes, allow_delete, data_loss, .. } => {
            let consent = apply::Consent { yes, switch: false, data_loss };
            apply::destroy(&scene, &layers, &world, allow_delete, consent).await
        }
        Command::Failover { target, to, losing, last_good, allow, world, yes, .. } => {
            let last_good = last_good.map(jiff::Timestamp::as_millisecond);
            let wanted = switch::Wanted { allow, world, yes, last_good };
            match to {
                Some(to) => switch::failover(&scene, &target, &to, &losing, &wanted).await,
                None => Err(switch::where_to(&scene, &target)?),
            }
        }
        Command::Failback {
            target,
            lost,
            keep_standby,
            include_pending,
            allow,
            world,
            yes,
            ..
        } => {
            let wanted = switch::Wanted { allow, world, yes, last_good: None };
            let back = switch::Back { lost, keep_standby, include_pending };
            switch::failback(&scene, &target, back, &wanted).await
        }
        Command::Recovered { state, fault_domain } => {
            switch::recovered(&scene, &state, &fault_domain).await
        }
        Command::Drill { target, to, losing, world, cleanup, yes, .. } => {
            let wanted = drill::Wanted { to, losing, cleanup, yes };
            drill::drill(&scene, &target, &world, &wanted).await
        }
        Command::Status { target, world, format } => {
            status::status(&scene, &target, &world, format).await
        }
        Command::Reports { state, name, format } => {
            reports::reports(&scene, &state, name.as_deref(), format).await
        }
        Command::Watch { watch, world } => watch::run(&scene, &watch, &world).await,
        Command::State(command) => state::run(&scene, command),
        Command::Sandbox(command) => sandbox::run(&scene, command).await,
        Command::Completions { shell } => describe::completions(shell),
        Command::Man { command } => describe::man(&command),
    }
}

/// `-o` lays an overlay over the stack; the file of a plan is asked for with `--out`.
fn file_is_no_overlay(command: &Command) -> Result<(), OpsError> {
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

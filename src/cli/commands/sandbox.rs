//! `sandbox`: serves the embedded cloud, shows it, and makes it suffer.

use tokio::signal::unix::{SignalKind, signal};

use crate::cli::args::{How as HowArg, SandboxCommand};
use crate::cli::commands::Scene;
use crate::cli::exit::Exit;
use crate::cli::{open, out};
use crate::engine::stack::gate::parse_duration;
use crate::ops::error::OpsError;
use crate::ops::session::open_sandbox;
use crate::sandbox::fault_spec::{Effect, FaultSpec};
use crate::sandbox::faults::How;
use crate::sandbox::{Options, Sandbox, SandboxError};

fn wrong(why: SandboxError) -> OpsError {
    OpsError::Sandbox(why.to_string())
}

pub async fn run(scene: &Scene, command: SandboxCommand) -> Result<Exit, OpsError> {
    let root = open::root_of(&scene.directory)?;
    let options = match &command {
        SandboxCommand::Serve { sandbox_clock, .. } => open::sandbox_options(sandbox_clock)?,
        _ => Options::default(),
    };
    let sandbox = open_sandbox(&root, &options)?;
    match command {
        SandboxCommand::Serve { listen, .. } => return serve(&sandbox, listen).await,
        SandboxCommand::Show => show(&sandbox)?,
        SandboxCommand::Lose { fault_domains, how } => {
            for name in &fault_domains {
                sandbox.lose(name, how_of(how)).map_err(wrong)?;
                out::talk(&format!("lost: {name}"));
            }
        }
        SandboxCommand::Heal { names } => heal(&sandbox, &names)?,
        SandboxCommand::Fault { effect, label, method, path, operation, times } => {
            if effect == "unhealthy" {
                let label = label.ok_or_else(|| {
                    OpsError::usage(
                        "`unhealthy` needs the label of an instance",
                        "lifeboat sandbox fault unhealthy LABEL",
                    )
                })?;
                sandbox.sicken(&label).map_err(wrong)?;
            } else {
                let once = FaultSpec::once(effect_of(&effect)?);
                sandbox
                    .fault(FaultSpec { method, path, operation, times, ..once })
                    .map_err(wrong)?;
            }
        }
        SandboxCommand::Advance { duration } => {
            let seconds = parse_duration(&duration).ok_or_else(|| {
                let what = format!("`{duration}` is no duration");
                OpsError::usage(what, "write 90s, 5m, 24h or 7d")
            })?;
            sandbox.advance(std::time::Duration::from_secs(seconds)).map_err(wrong)?;
        }
        SandboxCommand::Reset => {
            sandbox.reset().map_err(wrong)?;
            out::talk(
                "the world is empty; states under state/sandbox/states still remember theirs",
            );
        }
    }
    Ok(Exit::Done)
}

fn heal(sandbox: &Sandbox, names: &[String]) -> Result<(), OpsError> {
    if names.is_empty() {
        sandbox.heal(None).map_err(wrong)?;
        out::talk("everything is healed");
    }
    for name in names {
        sandbox.heal(Some(name)).map_err(wrong)?;
        out::talk(&format!("healed: {name}"));
    }
    Ok(())
}

fn show(sandbox: &Sandbox) -> Result<(), OpsError> {
    if sandbox.is_empty().map_err(wrong)? {
        out::data("an empty world");
        return Ok(());
    }
    let shown = sandbox.show().map_err(wrong)?;
    let text = serde_yaml::to_string(&shown);
    out::data(&text.unwrap_or_else(|_| shown.to_string()));
    Ok(())
}

async fn serve(sandbox: &Sandbox, listen: std::net::SocketAddr) -> Result<Exit, OpsError> {
    if !listen.ip().is_loopback() {
        return Err(OpsError::usage(
            format!("{listen} is not on this machine's loopback"),
            "the sandbox checks no credentials; use 127.0.0.1:PORT",
        ));
    }
    let serving = sandbox
        .start(listen)
        .await
        .map_err(|why| OpsError::Sandbox(format!("cannot listen on {listen}: {why}")))?;
    let url = serving.url();
    out::data(&format!(
        "serving the sandbox at {url}\n\
         LINODE_URL={url}/v4 LINODE_TOKEN=sandbox\n\
         LINODE_CLI_API_HOST={} LINODE_CLI_API_SCHEME=http LINODE_CLI_TOKEN=sandbox\n\
         AWS_ENDPOINT_URL_DYNAMODB={url} AWS_ACCESS_KEY_ID=sandbox AWS_SECRET_ACCESS_KEY=sandbox\n\
         stop it with Ctrl-C",
        serving.address()
    ));
    let stopped = |why| OpsError::Sandbox(format!("cannot wait for signals: {why}"));
    let mut interrupt = signal(SignalKind::interrupt()).map_err(stopped)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(stopped)?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    serving.stop().await;
    Ok(Exit::Done)
}

fn how_of(how: HowArg) -> How {
    match how {
        HowArg::Hang => How::Hang,
        HowArg::Refuse => How::Refuse,
        HowArg::Unavailable => How::Unavailable,
    }
}

fn effect_of(word: &str) -> Result<Effect, OpsError> {
    Ok(match word {
        "429" => Effect::TooManyRequests { retry_after: 1 },
        "500" => Effect::InternalError,
        "503" => Effect::Unavailable,
        "lost-reply" => Effect::LostReply,
        "slow" => Effect::Slow { milliseconds: 500 },
        "html502" => Effect::Html502,
        "truncated" => Effect::Truncated,
        "empty200" => Effect::Empty200,
        _ => {
            return Err(OpsError::usage(
                format!("`{word}` is no fault"),
                "write unhealthy, 429, 500, 503, lost-reply, slow, html502, truncated or empty200",
            ));
        }
    })
}

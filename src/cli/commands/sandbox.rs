//! `sandbox`: serves the embedded cloud, shows it, and makes it suffer.

mod mistakes;
mod app;

use tokio::signal::unix::{SignalKind, signal};

use crate::cli::args::{FaultArgs, HowArg, LogWhat, RestrictArgs, SandboxCommand};
use crate::cli::commands::sandbox::mistakes::{seconds, wrong};
use crate::cli::context::CommandContext;
use crate::cli::exit::Exit;
use crate::cli::{open, out};
use crate::engine::text::advice::AdvisedCommand as Typed;
use crate::ops::error::OpsError;
use crate::ops::load::session::{open_sandbox, world_of};
use crate::sandbox::faults::spec::{Effect, FaultSpec, STALE_MILLISECONDS};
use crate::sandbox::faults::state::{GroupsMode, LostHow};
use crate::sandbox::world::overview::instant;
use crate::sandbox::{Destroyed, LossResult, Restriction, Sandbox, SandboxOptions};

pub async fn run(context: &CommandContext, command: SandboxCommand) -> Result<Exit, OpsError> {
    let root = match open::root_of(&context.directory) {
        // A world to be served needs no stacks; it lies below the folder in which it is asked for.
        Err(_) => context.directory.clone(),
        Ok(root) => root,
    };
    let options = match &command {
        SandboxCommand::Serve { sandbox_clock, .. } => open::sandbox_options(sandbox_clock)?,
        _ => SandboxOptions::default(),
    };
    let sandbox = match open_sandbox(&root, &options) {
        Err(_) if matches!(command, SandboxCommand::Reset) => {
            // A world that nobody can read can still be begun anew.
            Sandbox::wipe(&world_of(&root)).map_err(wrong)?;
            open_sandbox(&root, &options)?
        }
        opened => opened?,
    };
    match command {
        SandboxCommand::Serve { listen, .. } => return serve(&sandbox, listen).await,
        SandboxCommand::Show => show(&sandbox)?,
        SandboxCommand::Lose { fault_domains, how, group_changes } => {
            let groups = if group_changes { GroupsMode::Changeable } else { GroupsMode::Frozen };
            sandbox
                .lose_all(&fault_domains, LossResult { how: how_of(how), groups })
                .map_err(wrong)?;
            tell_lost(&sandbox)?;
        }
        SandboxCommand::Heal { names } => heal(&sandbox, &names)?,
        SandboxCommand::Destroy { fault_domain, object } => {
            let destroyed = sandbox.destroy(&fault_domain, object.as_deref()).map_err(wrong)?;
            out::talk(&words_of(&fault_domain, &destroyed));
        }
        SandboxCommand::Log { what } => log(&sandbox, what)?,
        SandboxCommand::Lag { least, most } => {
            let most = most.unwrap_or(least);
            sandbox.set_lag(least.into(), most.into()).map_err(wrong)?;
            out::talk(&format!("replicated items arrive after {least} to {most} ms"));
        }
        SandboxCommand::Fault { effect, label, spec } => {
            fault(&sandbox, &effect, label.as_deref(), spec)?;
        }
        SandboxCommand::App { what } => app::run(&sandbox, what)?,
        SandboxCommand::Restrict(what) => restrict(&sandbox, what)?,
        SandboxCommand::Advance { duration } => {
            let seconds = seconds(&duration)?;
            sandbox.advance(std::time::Duration::from_secs(seconds)).map_err(wrong)?;
            out::talk(&told_time(&sandbox));
        }
        SandboxCommand::Reset => {
            sandbox.reset().map_err(wrong)?;
            out::talk(
                "the sandbox is empty; the states in state/sandbox/states still record the deleted resources",
            );
        }
    }
    Ok(Exit::Done)
}

fn fault(
    sandbox: &Sandbox,
    effect: &str,
    label: Option<&str>,
    met: FaultArgs,
) -> Result<(), OpsError> {
    if effect == "unhealthy" {
        let label = label.ok_or_else(|| {
            OpsError::usage(
                "`unhealthy` requires the label of an instance",
                format!(
                    "run {} to list the labels; for `web-0`: {}",
                    Typed::SandboxShow,
                    Typed::SandboxUnhealthy { label: "web-0" }
                ),
            )
        })?;
        sandbox.sicken(label).map_err(wrong)?;
        out::talk(&format!(
            "{label} is unhealthy: its health checks fail; {} takes that back",
            Typed::SandboxHeal { name: Some(label) }
        ));
        return Ok(());
    }
    let FaultArgs { method, path, operation, times, nth, every, probability } = met;
    if !(0.0..=1.0).contains(&probability) {
        let what = format!("{probability} is not a probability");
        return Err(OpsError::usage(what, "write a number between 0 and 1, such as 0.1"));
    }
    let word = effect;
    let effect = effect_of(word)?;
    let spec = FaultSpec { method, path, operation, nth, every, times, probability, effect };
    let set = set_fault(word, &spec);
    sandbox.fault(spec).map_err(wrong)?;
    out::talk(&set);
    Ok(())
}

/// What a fault does from now on, and how it is taken back.
fn set_fault(effect: &str, it: &FaultSpec) -> String {
    let which = [&it.method, &it.path, &it.operation].into_iter().flatten();
    let which: Vec<&str> = which.map(String::as_str).collect();
    let which = if which.is_empty() {
        "all calls".to_owned()
    } else {
        format!("calls of {}", which.join(" "))
    };
    let mut how = match it.times {
        0 => "until it is taken back".to_owned(),
        1 => "once".to_owned(),
        times => format!("{times} times"),
    };
    if it.nth > 1 {
        how.push_str(&format!(", from call {} on", it.nth));
    }
    if it.every > 1 {
        how.push_str(&format!(", one call in {}", it.every));
    }
    if it.probability < 1.0 {
        how.push_str(&format!(", with probability {}", it.probability));
    }
    format!(
        "{which} fail with `{effect}`, {how}; {} takes every fault back",
        Typed::SandboxHeal { name: None }
    )
}

fn restrict(sandbox: &Sandbox, what: RestrictArgs) -> Result<(), OpsError> {
    let RestrictArgs { labels, read_only, may, user, token, lift } = what;
    if lift {
        sandbox.restrict(&token, None).map_err(wrong)?;
        out::talk("the token is unrestricted");
        return Ok(());
    }
    let seen = labels.len() + read_only.len();
    let said = format!("the token now belongs to `{user}`, who sees {seen} named resources");
    let restriction = Restriction { user, changes: labels, reads: read_only, may };
    sandbox.restrict(&token, Some(&restriction)).map_err(wrong)?;
    out::talk(&said);
    Ok(())
}

fn heal(sandbox: &Sandbox, names: &[String]) -> Result<(), OpsError> {
    if names.is_empty() {
        sandbox.heal(None).map_err(wrong)?;
        out::talk("every fault has been cleared");
    }
    for name in names {
        let healed = sandbox.heal(Some(name)).map_err(wrong)?;
        let was_wrong = !healed.lost.is_empty() || !healed.unhealthy.is_empty();
        let word = if was_wrong { "is healed" } else { "was neither lost nor unhealthy" };
        out::talk(&format!("{name} {word}"));
    }
    tell_lost(sandbox)
}

/// What is lost now.
fn tell_lost(sandbox: &Sandbox) -> Result<(), OpsError> {
    let lost = sandbox.lost().map_err(wrong)?;
    if lost.is_empty() {
        out::talk("no fault domain is lost in the sandbox");
    }
    for (name, since) in lost {
        out::talk(&format!("lost: {name} {since}"));
    }
    Ok(())
}

fn words_of(fault_domain: &str, destroyed: &Destroyed) -> String {
    let (names, when) = match destroyed {
        Destroyed::Now(names) => (names, "destroyed"),
        Destroyed::WhenHealed(names) => {
            (names, "destroyed; visible once the fault domain is healed")
        }
    };
    let names =
        if names.is_empty() { "there was nothing to destroy".to_owned() } else { names.join(", ") };
    format!("{fault_domain} {when}: {names}")
}

fn log(sandbox: &Sandbox, what: LogWhat) -> Result<(), OpsError> {
    match what {
        LogWhat::On => {
            sandbox.log_requests().map_err(wrong)?;
            out::talk("request logging is on");
        }
        LogWhat::Off => {
            sandbox.stop_logging().map_err(wrong)?;
            out::talk("request logging is off; the log is kept");
        }
        LogWhat::Show => {
            let requests = sandbox.requests().map_err(wrong)?;
            for it in &requests.received {
                let at = instant(it.at);
                for news in [&it.before].into_iter().filter(|it| !it.names.is_empty()) {
                    out::data(&format!("{at}   users: {news}"));
                }
                out::data(&format!("{at} {it}"));
                for news in [&it.by_it].into_iter().filter(|it| !it.names.is_empty()) {
                    out::data(&format!("{at}   users: {news}"));
                }
            }
            if requests.is_full {
                out::talk(&format!(
                    "the log is full; run {} to start a new one",
                    Typed::SandboxLogOn
                ));
            } else if !sandbox.is_logging().map_err(wrong)? {
                out::talk(&format!(
                    "request logging is off; run {} to turn it on",
                    Typed::SandboxLogOn
                ));
            }
        }
    }
    Ok(())
}

fn show(sandbox: &Sandbox) -> Result<(), OpsError> {
    let shown = sandbox.overview().map_err(wrong)?;
    if shown.as_object().is_some_and(serde_json::Map::is_empty) {
        out::data("the sandbox is empty");
        return Ok(());
    }
    out::talk(&told_time(sandbox));
    let text = serde_yaml::to_string(&shown);
    out::data(&text.unwrap_or_else(|_| shown.to_string()));
    Ok(())
}

async fn serve(sandbox: &Sandbox, listen: std::net::SocketAddr) -> Result<Exit, OpsError> {
    if !listen.ip().is_loopback() {
        return Err(OpsError::usage(
            format!("{listen} is not a loopback address"),
            "the sandbox checks no credentials; use 127.0.0.1:PORT",
        ));
    }
    // From before anybody is told that it serves: who reads that may stop it at once.
    let stopped = |why| OpsError::Sandbox(format!("cannot wait for signals: {why}"));
    let mut interrupt = signal(SignalKind::interrupt()).map_err(stopped)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(stopped)?;
    let serving = sandbox
        .serve(listen)
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
    out::talk(&told_time(sandbox));
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    serving.stop().await;
    Ok(Exit::Done)
}

/// A world that runs faster than the wall is ahead of it, and so is every date in it.
fn told_time(sandbox: &Sandbox) -> String {
    let now = instant(sandbox.now());
    if sandbox.is_manual() {
        return format!(
            "the sandbox's clock is stopped at {now}; dates in the sandbox refer to it"
        );
    }
    format!(
        "the sandbox's clock shows {now} and runs {} times faster than wall-clock time; dates in the sandbox refer to it",
        sandbox.speed()
    )
}

fn how_of(how: HowArg) -> LostHow {
    match how {
        HowArg::Hang => LostHow::Hang,
        HowArg::Refuse => LostHow::Refuse,
        HowArg::Unavailable => LostHow::Unavailable,
    }
}

fn effect_of(word: &str) -> Result<Effect, OpsError> {
    Ok(match word {
        "429" => Effect::TooManyRequests { retry_after: 1 },
        "401" => Effect::Unauthenticated,
        "403" => Effect::Forbidden,
        "500" => Effect::InternalError,
        "503" => Effect::Unavailable,
        "lost-reply" => Effect::LostReply,
        "slow" => Effect::Slow { milliseconds: 500 },
        "html502" => Effect::Html502,
        "truncated" => Effect::Truncated,
        "empty200" => Effect::Empty200,
        "hang" => Effect::Hang,
        "stale-list" => Effect::StaleList { milliseconds: STALE_MILLISECONDS },
        _ => {
            return Err(OpsError::usage(
                format!("unknown fault `{word}`"),
                "write unhealthy, 401, 403, 429, 500, 503, lost-reply, slow, html502, truncated, empty200, hang or stale-list",
            ));
        }
    })
}

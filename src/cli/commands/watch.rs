//! `watch`: looks at a URL from outside, and switches when it is down.

use std::time::Duration;

use crate::cli::args::watch::WatchArgs;
use crate::cli::args::{AllowArgs, LayerArgs, WorldArgs};
use crate::cli::context::CommandContext;
use crate::cli::exit::Exit;
use crate::cli::{open, out, signals};
use crate::engine::lang::check::gate::parse_duration;
use crate::engine::lang::model::NotifyTopic;
use crate::engine::plan::planner::Intent;
use crate::engine::recovery::watch::{WatchEvent, WatchRules};
use crate::engine::text::redact::redactor;
use crate::ops::error::OpsError;
use crate::ops::load::sides;
use crate::ops::load::stack_ref::StackRef;
use crate::ops::load::switch_target::Losses;
use crate::ops::notify::Notifier;
use crate::ops::watch::heartbeat::HeartbeatRequest;
use crate::ops::watch::switch::Act;
use crate::ops::watch::target::{ExpectedAnswer, Targets};
use crate::ops::watch::{WatchRequest, beat_only, watch};
use crate::render::watch::{About, fields, line};
use crate::render::words::duration;

/// The longest history that `--down N/M` may ask for. A guess, far above any sensible N: each target keeps so many rounds.
const ROUNDS_MAX: usize = 1000;
/// How long a probe may take unless something else is said. A guess, as long as a probe of a gate.
const TIMEOUT_SECONDS: u64 = 5;
/// The longest interval and cooldown: a leap year. A longer one is a typing mistake.
const SECONDS_MAX: u64 = 366 * 24 * 3600;
/// Rounds count as evidence for this many windows of `--down N/M`: cron may run less often than `--interval` says.
/// A guess: fewer would forget an outage between two late runs, more would count one that has long passed.
const STALE_WINDOWS: u64 = 4;
/// … and for at least an hour, since cron jobs are often run every few minutes with a short `--interval`. A guess as well.
const STALE_SECONDS_MIN: u64 = 3600;

pub async fn run(
    context: &CommandContext,
    args: &WatchArgs,
    world: &WorldArgs,
) -> Result<Exit, OpsError> {
    if args.heartbeat_only {
        return beat(context, args, world).await;
    }
    let ask = ask(context, args)?;
    let session = open::session(&ask.place.root, world).await?;
    let about =
        About { stack: ask.place.name(), overlay: ask.overlay.clone(), url: ask.targets.shown() };
    let hooks = Notifier::read(&session, &rehearsal(context, args)?, &out::problems());
    let signals = signals::listen()?;
    let tell = |at: i64, event: &WatchEvent| {
        if matches!(event, WatchEvent::Started { .. }) {
            introduce(&ask);
        }
        // A watched address may hold a password.
        out::data(&redactor().redact(&line(&about, at, event)));
        post(hooks.as_deref(), &about, at, event);
    };
    let ended = watch(&session, &ask, &tell, signals.stop.clone()).await?;
    if let Some(hooks) = &hooks {
        hooks.finish().await;
    }
    Ok(match signals.number() {
        Some(number) => Exit::Signal(number),
        None if ended.failed => Exit::Failed,
        None => Exit::Done,
    })
}

/// Posts what is news to webhooks.
fn post(hooks: Option<&Notifier>, about: &About, at: i64, event: &WatchEvent) {
    if let Some(hooks) = hooks.filter(|_| event.is_news()) {
        hooks.post(NotifyTopic::Watch, &fields(about, at, event));
    }
}

/// Nothing but heartbeats.
async fn beat(
    context: &CommandContext,
    args: &WatchArgs,
    world: &WorldArgs,
) -> Result<Exit, OpsError> {
    let request = heartbeat(context, args, paces(args)?)?;
    let place = &request.ask.place;
    let session = open::session(&place.root, world).await?;
    let (stack, overlay) = (place.name(), request.overlay.clone());
    let about = About { stack, overlay, url: String::new() };
    let hooks = Notifier::read(&session, &request.ask, &out::problems());
    let signals = signals::listen()?;
    let tell = |at: i64, event: &WatchEvent| {
        out::data(&redactor().redact(&line(&about, at, event)));
        post(hooks.as_deref(), &about, at, event);
    };
    beat_only(&session, &request, rounds(args), &tell, signals.stop.clone()).await?;
    if let Some(hooks) = &hooks {
        hooks.finish().await;
    }
    Ok(signals.number().map_or(Exit::Done, Exit::Signal))
}

fn heartbeat(
    context: &CommandContext,
    args: &WatchArgs,
    (interval, timeout): (u64, u64),
) -> Result<HeartbeatRequest, OpsError> {
    Ok(HeartbeatRequest {
        ask: rehearsal(context, args)?,
        overlay: args.to.clone(),
        every: Duration::from_secs(interval),
        within: Duration::from_secs(timeout),
    })
}

fn rounds(args: &WatchArgs) -> Option<u64> {
    if args.once { Some(1) } else { args.rounds }
}

/// The interval and the timeout, in seconds. Nobody has to say one because of the other.
fn paces(args: &WatchArgs) -> Result<(u64, u64), OpsError> {
    let interval = seconds("--interval", &args.interval)?;
    let Some(given) = &args.timeout else { return Ok((interval, TIMEOUT_SECONDS.min(interval))) };
    let timeout = seconds("--timeout", given)?;
    if timeout > interval {
        return Err(OpsError::usage(
            format!("--timeout {given} is longer than --interval {}", args.interval),
            "a probe must finish before the next one starts",
        ));
    }
    Ok((interval, timeout))
}

fn ask(context: &CommandContext, args: &WatchArgs) -> Result<WatchRequest, OpsError> {
    let place = StackRef::find(&args.stack, &context.directory)?;
    let (interval, timeout) = paces(args)?;
    let (failed, of) = down(&args.down)?;
    let within = Duration::from_secs(timeout);
    let expected = ExpectedAnswer { status: args.expect, body: args.body.clone(), within };
    let url = args.url.as_deref().unwrap_or_default();
    let targets = Targets::new(url, &args.controls, expected)?;
    let stale = (interval * of as u64 * STALE_WINDOWS).max(STALE_SECONDS_MIN);
    let rules = WatchRules {
        failed,
        of,
        good: args.up,
        cooldown: milliseconds(seconds("--cooldown", &args.cooldown)?),
        stale: milliseconds(stale),
        certificate_days: i64::from(args.tls_days),
    };
    Ok(WatchRequest {
        place,
        overlay: args.to.clone(),
        targets,
        rules,
        interval: Duration::from_secs(interval),
        rounds: rounds(args),
        heartbeat: args
            .heartbeat
            .then(|| heartbeat(context, args, (interval, timeout)))
            .transpose()?,
        act: act(args)?,
        rehearsal: if args.failover { Some(rehearsal(context, args)?) } else { None },
        within: Duration::from_secs(seconds("--within", &args.within)?),
        directory: context.directory.clone(),
    })
}

/// What the failover would be asked for.
fn rehearsal(context: &CommandContext, args: &WatchArgs) -> Result<sides::PlanRequest, OpsError> {
    let layers = LayerArgs {
        stack: args.stack.clone(),
        overlays: Vec::new(),
        variables: Vec::new(),
        variable_files: Vec::new(),
    };
    let ask = open::ask(&context.directory, &layers, &AllowArgs::default(), Intent::Apply)?;
    let losses =
        if args.lost.is_empty() { Losses::Assumed } else { Losses::Also(args.lost.clone()) };
    Ok(sides::PlanRequest { losses, ..ask })
}

fn act(args: &WatchArgs) -> Result<Act, OpsError> {
    match &args.exec {
        Some(command) if command.trim().is_empty() => {
            Err(OpsError::usage("--exec is empty", "give a command, or omit --exec to only report"))
        }
        Some(command) => Ok(Act::Exec { line: command.clone(), pass: args.pass.clone() }),
        None if args.failover => {
            // Asked now: after an upgrade the file under this name is the new program.
            let program = std::env::current_exe();
            let file = std::path::PathBuf::from("lifeboat");
            let program = program.map_err(|source| OpsError::File { file, source })?;
            Ok(Act::Failover { program, lost: args.lost.clone() })
        }
        None => Ok(Act::Report),
    }
}

/// `3/5`.
fn down(text: &str) -> Result<(usize, usize), OpsError> {
    let wrong = |why: &str| {
        OpsError::usage(
            format!("--down {text} {why}"),
            "write N/M, e.g. 3/5: 3 of the last 5 failed",
        )
    };
    let parts = text.split_once('/').ok_or_else(|| wrong("is not N/M"))?;
    let number = |it: &str| it.parse::<usize>().map_err(|_| wrong("is not N/M"));
    let (failed, of) = (number(parts.0)?, number(parts.1)?);
    if failed == 0 {
        return Err(wrong("would mean down without a failure"));
    }
    if failed > of {
        return Err(wrong("can never be reached: N is larger than M"));
    }
    if of > ROUNDS_MAX {
        return Err(wrong(&format!("is too long: the history holds at most {ROUNDS_MAX} probes")));
    }
    Ok((failed, of))
}

fn seconds(flag: &str, text: &str) -> Result<u64, OpsError> {
    let parsed = parse_duration(text).filter(|it| (1..=SECONDS_MAX).contains(it));
    parsed.ok_or_else(|| {
        OpsError::usage(
            format!("{flag} {text} is not a valid duration"),
            "write 30s, 5m, 24h or 7d; from 1s to 366d",
        )
    })
}

fn milliseconds(seconds: u64) -> i64 {
    i64::try_from(seconds).unwrap_or(i64::MAX / 1_000) * 1_000
}

fn introduce(ask: &WatchRequest) {
    let rules = &ask.rules;
    let does = match &ask.act {
        Act::Report => "only reports (add --failover or --exec to act)".to_owned(),
        Act::Exec { .. } => "then runs the command".to_owned(),
        Act::Failover { .. } => format!("then fails over to {}", ask.overlay),
    };
    let cooldown = u64::try_from(rules.cooldown / 1_000).unwrap_or_default();
    out::talk(&format!(
        "watching {} every {}: down when {} of the last {} probes failed, up after {} healthy ones; at most one switch per {}; {does}",
        ask.targets.shown(),
        duration(ask.interval.as_secs()),
        rules.failed,
        rules.of,
        rules.good,
        duration(cooldown),
    ));
    if !ask.targets.has_control() && !matches!(ask.act, Act::Report) {
        out::talk(
            "warning: without --control, a network failure of this host looks like an outage of the site",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::{down, seconds};

    #[test]
    fn down_and_seconds_refuse_bad_thresholds_and_durations() {
        assert_eq!(down("3/5").ok(), Some((3, 5)));
        assert_eq!(down("1/1").ok(), Some((1, 1)));
        for wrong in ["", "3", "3/", "/5", "0/5", "6/5", "-1/5", "3/5/7", "1/1001"] {
            assert!(down(wrong).is_err(), "{wrong}");
        }
        assert_eq!(seconds("--interval", "90s").ok(), Some(90));
        for wrong in ["", "0s", "5", "367d", "-5s", "1.5h"] {
            assert!(seconds("--interval", wrong).is_err(), "{wrong}");
        }
    }
}

//! `status`: where users are, what is active, lost, deferred and draining; no cloud is asked anything, unless that is asked for.

use std::time::Duration;

use crate::cli::args::Plain;
use crate::cli::args::status::StatusArgs;
use crate::cli::context::CommandContext;
use crate::cli::exit::Exit;
use crate::cli::{open, out, signals};
use crate::engine::lang::merge::variables::GivenVariable;
use crate::engine::recovery::user_routes::ways;
use crate::engine::recovery::ways_out::FirstMove;
use crate::engine::text::advice::AdvisedCommand;
use crate::engine::text::names::OverlayNames;
use crate::ops::error::OpsError;
use crate::ops::load::session::Session;
use crate::ops::load::sides::PlanRequest;
use crate::ops::load::stack_ref::StackRef;
use crate::ops::load::stores;
use crate::ops::recovery_reports::{RestEstimates, goals};
use crate::ops::{online, status};
use crate::render;
use crate::render::status::{Health, OnlineAnswer, StatusFacts};
use crate::render::words::{count, moment};

/// How often a followed state is read. A guess: people see a change at once, and a reading of a large state (0.1 s for 10,000
/// resources) leaves the machine to the run that is followed.
const FOLLOW: Duration = Duration::from_secs(1);

pub async fn status(context: &CommandContext, arguments: &StatusArgs) -> Result<Exit, OpsError> {
    let StatusArgs { target, world, format, online, follow: follows } = arguments;
    let place = StackRef::find(&target.stack, &context.directory)?;
    let given = open::variables(&target.under(Vec::new()))?;
    let session = open::session(&place.root, world).await?;
    if *follows {
        return follow(&session, &place, &given, *format).await;
    }
    let online = if *online { online::answers(&session, &place).await? } else { None };
    let first = online.as_ref().map(|it| online::first_move(&session, &place, it)).transpose()?;
    let looked = LookedAt {
        online: online.as_deref(),
        first: first.as_ref(),
        estimates: &mut RestEstimates::default(),
    };
    out::data(&told(&session, &place, &given, looked, |facts| match format {
        Plain::Text => {
            out::typed_here(&render::status::text(facts, out::terminal_width())).into_owned()
        }
        Plain::Json => render::status_json::json(facts),
    })?);
    // A declared loss is no news.
    let healths = online.iter().flatten().filter(|(_, it)| !it.is_lost).map(|(_, it)| it.health);
    Ok(match healths.max() {
        Some(Health::Denied) => Exit::Failed,
        Some(Health::Silent) => Exit::Unseen,
        _ => Exit::Done,
    })
}

/// What a status is told from beside the state.
struct LookedAt<'a> {
    online: Option<&'a [(String, OnlineAnswer)]>,
    first: Option<&'a FirstMove>,
    estimates: &'a mut RestEstimates,
}

/// Until a signal: on a terminal the screen is drawn anew, elsewhere a status is written whenever something of it changes.
async fn follow(
    session: &Session,
    place: &StackRef,
    given: &[GivenVariable],
    format: Plain,
) -> Result<Exit, OpsError> {
    let signals = signals::listen_reading()?;
    let mut estimates = RestEstimates::default();
    let mut stop = signals.stop.clone();
    let mut last = None;
    let draws = out::can_redraw();
    loop {
        let stamp = stamp(session, place)?;
        if draws || last.as_ref() != Some(&stamp) {
            let looked = LookedAt { online: None, first: None, estimates: &mut estimates };
            let text = told(session, place, given, looked, |facts| match format {
                Plain::Text => out::typed_here(&render::status::text(facts, out::terminal_width()))
                    .into_owned(),
                Plain::Json => render::status_json::json_line(facts),
            })?;
            match format {
                Plain::Text if draws => out::redraw(&text),
                Plain::Text => {
                    out::data(&format!("--- {} ---\n{text}\n", moment(session.clock.now())));
                }
                Plain::Json => out::data(&text),
            }
            last = Some(stamp);
        }
        if out::is_closed() {
            return Ok(Exit::Done);
        }
        tokio::select! {
            _ = stop.changed() => return Ok(signals.number().map_or(Exit::Done, Exit::Signal)),
            // People wait, not the world.
            () = tokio::time::sleep(FOLLOW) => {}
        }
    }
}

/// What changes whenever a status has something new to tell; ages alone are no news.
fn stamp(session: &Session, place: &StackRef) -> Result<(Option<u64>, Option<String>), OpsError> {
    let store = session.store(place);
    let lease = store.lease_status()?.map(|it| format!("{} {}", it.owner, it.is_alive));
    Ok((store.load()?.map(|it| it.sequence), lease))
}

fn told(
    session: &Session,
    place: &StackRef,
    given: &[GivenVariable],
    looked: LookedAt<'_>,
    tell: impl Fn(&StatusFacts<'_>) -> String,
) -> Result<String, OpsError> {
    let LookedAt { online, first, estimates } = looked;
    let Some(status) = status::status(session, place, given, estimates)? else {
        // Who tries it out reads the wrong world once: the flag is easily forgotten.
        let in_sandbox = !session.target.is_sandbox() && place.state(true).is_dir();
        let hint = if in_sandbox { "; it has a state in the sandbox: add --sandbox" } else { "" };
        return Ok(format!("{} has not been applied yet{hint}", place.name()));
    };
    let (pending, trouble) = match &status.pending {
        Ok(it) => (Some((&it.stack, &it.plan)), None),
        Err(why) => (None, Some(why.as_str())),
    };
    let facts = StatusFacts {
        name: place.name(),
        now: session.clock.now(),
        state: &status.state,
        ways: ways(&session.catalog, &status.state, pending),
        plan: pending.map(|(_, plan)| plan),
        trouble,
        store: {
            let standing = session.store(place).backend().standing();
            stores::described(place, session.target.is_sandbox(), standing.as_ref())
        },
        lease: session.store(place).lease_status()?.map(|it| {
            let gone =
                if it.is_alive { "" } else { ", whose process has died: the next run takes over" };
            let aim =
                it.to.map(|it| format!(", a switch to {}", OverlayNames(&it))).unwrap_or_default();
            let asked = it.asked_by.map(|it| format!(", asked to stop by {it}"));
            format!("{} ({}){aim}{gone}{}", it.owner, it.command, asked.unwrap_or_default())
        }),
        run: status.run.as_ref(),
        objective: pending.and_then(|(stack, _)| goals(stack).rto),
        estimate: status.estimate,
        online,
        first,
        typed: &|it| out::typed_here(it).into_owned(),
    };
    Ok(tell(&facts))
}

/// After a switch: what the layers would have changed as well, and which commands show and make it.
pub fn pending(session: &Session, ask: &PlanRequest) {
    // Nothing was done with this: what cannot be told now is told by `status` and `plan`.
    let status = status::status(session, &ask.place, &ask.given, &mut RestEstimates::default());
    let Ok(Some(status)) = status else { return };
    let (number, name) = (status.pending_changes(), ask.place.name());
    if number > 0 {
        let (verb, them) = if number == 1 { ("is", "it") } else { ("are", "them") };
        out::talk(&format!(
            "{} {verb} pending: run {} to see {them} and {} to apply {them}",
            count(number, "change"),
            AdvisedCommand::Plan { stack: &name, overlays: &[], out: None },
            AdvisedCommand::Apply { stack: &name }
        ));
    }
}

//! Goes on with a switch that only waits for what could not be read: most silences pass, and users may be waiting behind this one.

use std::sync::Arc;
use std::time::Duration;

use crate::cli::commands::apply::{Went, go_on};
use crate::cli::context::CommandContext;
use crate::cli::exit::Exit;
use crate::cli::{open, out, signals};
use crate::engine::recovery::completion::{self, Completion};
use crate::engine::recovery::users_moved::UsersAre;
use crate::engine::retry::SILENT;
use crate::engine::state::record::State;
use crate::engine::text::names::OverlayNames;
use crate::ops::error::OpsError;
use crate::ops::load::session::Session;
use crate::ops::load::sides::PlanRequest;
use crate::ops::plan::make::plan_on;
use crate::render::words::users_are;

/// A switch that only waits for what could not be read looks again for a while before it is left standing: most silences pass,
/// and users may be waiting behind this one.
pub async fn look_again(
    context: &CommandContext,
    session: &Arc<Session>,
    ask: &PlanRequest,
    mut went: Went,
) -> Result<Exit, OpsError> {
    let to = ask.overlays.clone().unwrap_or_default();
    let goes_on = |it: &State| it.unfinished_switch().is_some() && it.active == to;
    // A no does not pass by itself, and what a gate or a step refused is for people to look at.
    let passes = |it: &Went| {
        let is_unread = matches!(it.ending, Completion::Unread | Completion::Malformed);
        is_unread && matches!(it.exit, Exit::Unseen | Exit::Failed)
    };
    let store = session.store(&ask.place);
    if !passes(&went) || !store.load()?.is_some_and(|it| goes_on(&it)) {
        return Ok(went.exit);
    }
    out::talk(&format!("retrying the reads that failed for up to {} s", SILENT.as_secs()));
    let signals = signals::listen()?;
    let mut stop = signals.stop.clone();
    let mut pause = FIRST_PAUSE;
    let mut left = SILENT;
    while passes(&went) && !left.is_zero() {
        tokio::select! {
            _ = stop.changed() => {
                gave_up(session, ask, "stopped")?;
                return Ok(signals.number().map_or(went.exit, Exit::Signal));
            }
            () = session.clock.sleep(pause) => {}
        }
        left = left.saturating_sub(pause);
        pause = (pause * 2).min(LONGEST_PAUSE);
        // Who took over meanwhile goes on with it, or goes elsewhere.
        let Ok((lease, Some(state))) = open::lease(session, &ask.place, &context.command) else {
            out::talk("stopped retrying: another run holds the lease, and goes on from here");
            return Ok(went.exit);
        };
        if !goes_on(&state) {
            out::talk("stopped retrying: another run ended this switch, or led it elsewhere");
            return Ok(went.exit);
        }
        let proposed = plan_on(session, ask, Some(state)).await?;
        if proposed.plan.steps.is_empty() && !completion::open(&proposed.plan).is_empty() {
            continue;
        }
        went = go_on(context, session, lease, proposed, ask).await?;
    }
    if passes(&went) {
        gave_up(session, ask, &format!("gave up after {} s", SILENT.as_secs()))?;
    }
    Ok(went.exit)
}

/// What the retries came to, where users are then, and how it goes on.
fn gave_up(session: &Session, ask: &PlanRequest, how: &str) -> Result<(), OpsError> {
    let Some(state) = session.store(&ask.place).load()? else { return Ok(()) };
    let users = UsersAre::of(&state).map_or("", users_are);
    out::talk(&format!(
        "{how}: some reads still fail, so the switch to {} is incomplete ({}: {users}); run {} to resume once everything answers",
        OverlayNames(&state.active),
        state.phase.word(),
        state.resume()
    ));
    Ok(())
}

/// How long a switch waits before it reads again what it could not read, on the clock of the world; the pause then grows.
/// A guess: nothing documents it. A shorter pause would meet the same outage again.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
/// The longest such pause. A guess: a longer one would add its length to the recovery time after the cloud is back.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

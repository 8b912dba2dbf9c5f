//! What is seen of a switch beside its steps: when it answers outside, and how far the data of its survivors goes.

use std::sync::Arc;

use tokio::sync::watch;

use crate::cli::commands::reports::SeenFromOutside;
use crate::cli::context::CommandContext;
use crate::cli::events::RunEvents;
use crate::cli::out;
use crate::engine::recovery::report::summary::SeenHeartbeat;
use crate::engine::recovery::users_moved::{RemainingTraffic, UsersAre};
use crate::ops::apply::step_inputs::Progress;
use crate::ops::heartbeats::{self, BeatingGroup};
use crate::ops::load::session::Session;
use crate::ops::plan::make::Proposed;
use crate::ops::watch::first_answer::{OutsideProbe, PATIENCE};
use crate::render::words::duration;

/// Who looks at one switch. Nothing of it holds the run up or fails it.
pub struct SwitchObservers {
    outside: Option<OutsideProbe>,
    /// Before this run, and as far as what was read for it shows.
    have_moved: bool,
    at_risk: Vec<BeatingGroup>,
}

impl SwitchObservers {
    pub fn begin(
        context: &CommandContext,
        session: &Arc<Session>,
        proposed: &Proposed,
        is_switch: bool,
    ) -> Self {
        let outside = context.outside.clone().filter(|_| is_switch);
        let outside = outside.map(|it| OutsideProbe::begin(session, it));
        let users = proposed.state.as_ref().and_then(UsersAre::of);
        let have_moved = users == Some(UsersAre::Moved)
            && RemainingTraffic::new(&session.catalog, &proposed.plan).is_nothing();
        Self { outside, have_moved, at_risk: heartbeats::at_risk(session, proposed) }
    }

    /// Tells who looks from outside when users have moved, which an earlier run may have done, and passes everything on.
    pub fn listener(
        &self,
        next: Arc<dyn Fn(Progress) + Send + Sync>,
    ) -> Arc<dyn Fn(Progress) + Send + Sync> {
        let Some(moved) = self.outside.as_ref().map(OutsideProbe::signal) else { return next };
        if self.have_moved {
            moved();
        }
        Arc::new(move |progress| {
            if matches!(progress, Progress::Phase { users: UsersAre::Moved, .. }) {
                moved();
            }
            next(progress);
        })
    }

    /// After the run.
    pub async fn end(
        self,
        context: &CommandContext,
        session: &Session,
        events: &RunEvents,
        stop: watch::Receiver<Option<String>>,
    ) -> SeenFromOutside {
        let answered = first_answer(context, session, self.outside, stop).await;
        if answered.is_some() {
            events.answered();
        }
        SeenFromOutside { answered, heartbeats: data_behind(session, &self.at_risk).await }
    }
}

/// The first good answer from outside, which is waited for a while; what is not seen changes nothing.
async fn first_answer(
    context: &CommandContext,
    session: &Session,
    outside: Option<OutsideProbe>,
    stop: watch::Receiver<Option<String>>,
) -> Option<i64> {
    let (url, outside) = (context.outside.as_ref()?.shown(), outside?);
    if outside.is_waiting() {
        let patience = duration(PATIENCE.as_secs());
        out::talk(&format!("waiting up to {patience} for a healthy response from {url}"));
    }
    match outside.end(session, stop).await? {
        Ok(at) => Some(at),
        Err(why) => {
            out::talk(&format!(
                "warning: no healthy response from {url} since users were moved: {why}; DNS caches on this host may still hold the old address"
            ));
            None
        }
    }
}

/// How far the data of the survivors is known to go; a survivor that cannot be asked is told.
async fn data_behind(session: &Session, at_risk: &[BeatingGroup]) -> Vec<SeenHeartbeat> {
    let (seen, failed) = heartbeats::seen(session, at_risk).await;
    for (address, why) in failed {
        out::talk(&format!("warning: the heartbeat of {address} could not be read: {why}"));
    }
    seen
}

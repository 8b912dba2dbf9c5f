//! The heartbeats of a watch: one item per group with a replication gate, written again at every round, and never where something is lost.

use std::time::Duration;

use futures_util::future::join_all;

use crate::engine::address::Address;
use crate::engine::plan::planner::Intent;
use crate::engine::recovery::watch::WatchEvent;
use crate::engine::state::record::State;
use crate::engine::text::advice::AdvisedCommand;
use crate::ops::error::OpsError;
use crate::ops::heartbeats::{BeatingGroup, groups};
use crate::ops::load::layers::overlay_file;
use crate::ops::load::session::Session;
use crate::ops::load::sides::{PlanRequest, sides};
use crate::ops::load::switch_target::Losses;

/// What is written for, and how often.
#[derive(Debug, Clone)]
pub struct HeartbeatRequest {
    /// As the failover would be asked for, without its overlays.
    pub ask: PlanRequest,
    pub overlay: String,
    pub every: Duration,
    /// How long one round may take, on the wall's clock.
    pub within: Duration,
}

/// What was said last: news are said once.
#[derive(Debug, Clone, PartialEq, Eq)]
enum LastTold {
    Nothing,
    Beating,
    Not,
}

/// Writes heartbeats, takes no lease, and stops for nothing.
pub struct HeartbeatWriter<'a> {
    session: &'a Session,
    request: &'a HeartbeatRequest,
    told: LastTold,
}

impl<'a> HeartbeatWriter<'a> {
    pub fn new(session: &'a Session, request: &'a HeartbeatRequest) -> Self {
        Self { session, request, told: LastTold::Nothing }
    }

    /// What can be known to be wrong before anything is written.
    pub fn check(&self) -> Result<(), OpsError> {
        let place = &self.request.ask.place;
        overlay_file(place, &self.request.overlay)?;
        let (name, state) = (place.name(), self.session.store(place).load()?);
        let Some(state) = state.filter(|it| !it.records.is_empty()) else {
            return Err(OpsError::input(
                format!("{name} has not been applied yet, so it has no tables to write to"),
                format!("apply it first: {}", AdvisedCommand::Apply { stack: &name }),
            ));
        };
        if self.groups(&state)?.is_empty() {
            return Err(OpsError::input(
                format!("no table of {name} has a replica with a replication gate"),
                "add `gate: { replication: true }` to the replica that survives; nothing was changed",
            ));
        }
        Ok(())
    }

    /// One round, and what is new about it.
    pub async fn beat(&mut self) -> Option<WatchEvent> {
        let written = tokio::time::timeout(self.request.within, self.write()).await;
        let within = self.request.within.as_secs();
        let written = written.unwrap_or_else(|_| Err(format!("no answer within {within} s")));
        let (now, event) = match written {
            Ok(groups) => {
                let groups = groups.iter().map(ToString::to_string).collect();
                (LastTold::Beating, WatchEvent::Heartbeat { groups })
            }
            Err(why) => (LastTold::Not, WatchEvent::NoHeartbeat { why }),
        };
        let is_news = self.told != now;
        self.told = now;
        is_news.then_some(event)
    }

    /// The groups that were written to, or why not all of them were.
    async fn write(&self) -> Result<Vec<Address>, String> {
        let place = &self.request.ask.place;
        let state = self.session.store(place).load().map_err(|why| why.to_string())?;
        let state = state.ok_or_else(|| format!("{} has not been applied yet", place.name()))?;
        if state.active.contains(&self.request.overlay) {
            return Err(format!("{} is active, so nothing is to be watched", self.request.overlay));
        }
        let groups = self.groups(&state).map_err(|why| why.to_string())?;
        if groups.is_empty() {
            return Err("no table has a replica with a replication gate".into());
        }
        // A plan that was made on the way took for lost what the overlay assumes: only what is lost is not connected to.
        let lost: Vec<String> = state.lost.iter().map(|it| it.fault_domain.clone()).collect();
        self.session.provider.lose(&lost);
        let (gone, alive): (Vec<_>, Vec<_>) =
            groups.iter().partition(|it| lost.iter().any(|lost| lost == it.fault_domain()));
        let (at, every) = (self.session.clock.now(), self.request.every);
        let beats = alive.iter().map(|it| it.beat(self.session, at, every));
        let failed = alive
            .iter()
            .zip(join_all(beats).await)
            .filter_map(|(group, beat)| Some(format!("{}: {}", group.address(), beat.err()?)));
        let gone = gone
            .iter()
            .map(|it| format!("{}: {} is recorded as lost", it.address(), it.fault_domain()));
        let failed: Vec<String> = failed.chain(gone).collect();
        if failed.is_empty() {
            return Ok(groups.iter().map(|it| it.address().clone()).collect());
        }
        Err(failed.join("; "))
    }

    fn groups(&self, state: &State) -> Result<Vec<BeatingGroup>, OpsError> {
        let HeartbeatRequest { ask, overlay, .. } = self.request;
        let overlays = [state.home.clone(), vec![overlay.clone()]].concat();
        let losses = ask.losses.clone();
        let ask = PlanRequest { overlays: Some(overlays), intent: Intent::Apply, ..ask.clone() };
        let sides = sides(self.session, &ask, Some(state))?;
        let mut lost: Vec<String> =
            sides.course.lost.into_iter().map(|it| it.fault_domain).collect();
        if let Losses::Also(named) | Losses::Only(named) = losses {
            lost.extend(named);
        }
        Ok(groups(self.session, &sides.desired.stack, state, &lost))
    }
}

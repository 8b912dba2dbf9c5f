//! What stands beside a state and tells how far it had come: history, heartbeats, reports. A state is never older than that.

use std::path::PathBuf;
use std::sync::Arc;

use crate::engine::state::codec::decode_state;
use crate::engine::state::record::State;
use crate::store::backend::{Backend, both};
use crate::store::error::StoreError;
use crate::store::key::StoreKey;
use crate::store::lock_record::LockRecords;
use crate::store::log::{KeptKind, KeptPart, StateLog};
use crate::store::reports::Reports;

/// How far a state had come at least; read before the state itself, which only goes on meanwhile.
#[derive(Debug, Clone)]
pub(super) struct KnownSerials {
    backend: Arc<dyn Backend>,
    /// What was in place before, the oldest first.
    kept: Vec<KeptPart>,
    log: Arc<dyn StateLog>,
    /// The highest number of an entry that a holder of the lease had written, its serial, and the heartbeat that says so.
    told: Option<(u64, u64, PathBuf)>,
    /// The newest report, if it is worth reading: when it ended, on the clock of the world.
    reported: Option<(i64, StoreKey)>,
}

/// What a state lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutdatedState {
    /// `serial 4`, `entry 57`, `the run of 2026-11-24T11:05:09Z`
    pub what: String,
    /// The file that knows of it.
    pub told_by: PathBuf,
}

impl KnownSerials {
    pub(super) fn of(
        backend: &Arc<dyn Backend>,
        log: &Arc<dyn StateLog>,
    ) -> Result<Self, StoreError> {
        let (backend, log) = (Arc::clone(backend), Arc::clone(log));
        let (claims, reports) =
            (LockRecords::of(Arc::clone(&backend)), Reports::of(Arc::clone(&backend)));
        let (kept, (told, reported)) = both(
            &*backend,
            || log.kept(),
            || both(&*backend, || claims.told(), || reports.newest()),
        );
        let (kept, told) = (kept?, told?);
        let told = told.map(|(beat, file)| (beat.sequence, beat.serial, file));
        // Reports serve people; where they cannot be listed they prove nothing and stop nothing.
        let reported = reported.ok().flatten();
        Ok(Self { backend, kept, log, told, reported })
    }

    /// The highest serial and number of an entry that anything tells of.
    pub(super) fn highest(&self) -> (u64, u64) {
        let kept = self.kept.last().map_or(0, |it| it.serial);
        let (sequence, serial) = self.told.as_ref().map_or((0, 0), |it| (it.0, it.1));
        (kept.max(serial), sequence)
    }

    /// When the last run ended that a report tells of, on the clock of the world.
    pub(super) fn last_report(&self) -> i64 {
        // Its name says it to the second.
        self.reported.as_ref().map_or(0, |(ended, _)| ended + 999)
    }

    /// What a state lacks that was recorded once; nothing where it is the newest.
    pub(super) fn lacking(&self, state: Option<&State>) -> Option<OutdatedState> {
        let Some(state) = state else {
            let told = self.told.as_ref().filter(|it| it.0 > 0);
            let told = told.map(|(_, serial, file)| (*serial, file.clone()));
            let kept = self.kept.last().map(|it| (it.serial, self.backend.place(&it.key)));
            let (serial, told_by) = kept.or(told)?;
            return Some(OutdatedState { what: format!("serial {serial}"), told_by });
        };
        if let Some(newest) = self.kept.last().filter(|it| it.serial > state.serial)
            && self.is_of_the_same_life(state)
        {
            let told_by = self.backend.place(&newest.key);
            return Some(OutdatedState { what: format!("serial {}", newest.serial), told_by });
        }
        if let Some((entry, serial, file)) = self.told.as_ref().filter(|it| it.0 > state.sequence) {
            let what = if *serial > state.serial {
                format!("serial {serial}")
            } else {
                format!("entry {entry} of the journal")
            };
            return Some(OutdatedState { what, told_by: file.clone() });
        }
        let (began, file) = self.unknown_run(state)?;
        let when = jiff::Timestamp::from_millisecond(began).unwrap_or_default();
        let what = format!("the run of {}", when.strftime("%Y-%m-%dT%H:%M:%SZ"));
        Some(OutdatedState { what, told_by: file })
    }

    /// A report of a run that began after the last one that the state knows of.
    fn unknown_run(&self, state: &State) -> Option<(i64, PathBuf)> {
        let (ended, key) = self.reported.as_ref()?;
        let last = state.last_run.as_ref().map_or(0, |it| it.finished.unwrap_or(it.at).max(it.at));
        if *ended <= last {
            return None;
        }
        // Its name told that it may be so; a report that cannot be read proves nothing.
        let report = Reports::of(Arc::clone(&self.backend)).read(key)?.ok()?;
        let last = state.last_run.as_ref().map_or(0, |it| it.at);
        let began = report.span.run_began;
        (began > last).then(|| (began, self.backend.place(key)))
    }
    /// Whether the history is of this state, and not of one that was begun anew in the same store.
    fn is_of_the_same_life(&self, state: &State) -> bool {
        let newest = self.kept.iter().rev().filter(|it| it.kind == KeptKind::Snapshot);
        let mut lives =
            newest.filter_map(|it| decode_state(&self.log.part(it).ok().flatten()?).ok());
        lives.next().is_none_or(|it| it.lineage == state.lineage)
    }
}

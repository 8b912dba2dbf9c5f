//! What stands beside a state and tells how far it had come: history, heartbeats, reports. A state is never older than that.

use std::path::{Path, PathBuf};

use crate::engine::state::codec::decode_state;
use crate::engine::state::record::State;
use crate::store::error::{StoreError, io};
use crate::store::lease::HISTORY;
use crate::store::lock_record::LockRecords;
use crate::store::reports::Reports;

/// How far a state had come at least; read before the state itself, which only goes on meanwhile.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct KnownSerials {
    /// The highest serial that a file of the history is named by, and that file.
    kept: Option<(u64, PathBuf)>,
    /// The highest number of an entry that a holder of the lease had written, its serial, and the heartbeat that says so.
    told: Option<(u64, u64, PathBuf)>,
    /// The newest report, if it is worth reading: when it ended, on the clock of the world.
    reported: Option<(i64, PathBuf)>,
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
    pub(super) fn of(state: &Path) -> Result<Self, StoreError> {
        let kept = kept(state)?.into_iter().next_back();
        let told = LockRecords::of(state).told()?;
        let told = told.map(|(beat, file)| (beat.sequence, beat.serial, file));
        // Reports serve people; where they cannot be listed they prove nothing and stop nothing.
        Ok(Self { kept, told, reported: Reports::of(state).newest().ok().flatten() })
    }

    /// The highest serial and number of an entry that anything tells of.
    pub(super) fn highest(&self) -> (u64, u64) {
        let kept = self.kept.as_ref().map_or(0, |(serial, _)| *serial);
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
            let (serial, told_by) = self.kept.clone().or(told)?;
            return Some(OutdatedState { what: format!("serial {serial}"), told_by });
        };
        if let Some((serial, file)) = self.kept.as_ref().filter(|(it, _)| *it > state.serial)
            && is_of_the_same_life(file, state)
        {
            return Some(OutdatedState { what: format!("serial {serial}"), told_by: file.clone() });
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
        let (ended, file) = self.reported.as_ref()?;
        let last = state.last_run.as_ref().map_or(0, |it| it.finished.unwrap_or(it.at).max(it.at));
        if *ended <= last {
            return None;
        }
        // Its name told that it may be so; a report that cannot be read proves nothing.
        let report = Reports::read(file).ok()?;
        let last = state.last_run.as_ref().map_or(0, |it| it.at);
        (report.span.run_began > last).then(|| (report.span.run_began, file.clone()))
    }
}

/// Snapshots and journals of the history, by serial.
pub(super) fn kept(state: &Path) -> Result<Vec<(u64, PathBuf)>, StoreError> {
    let history = state.join(HISTORY);
    let entries = match std::fs::read_dir(&history) {
        Err(why) if why.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(io("list", &history))?,
    };
    let mut found: Vec<(u64, PathBuf)> = entries
        .filter_map(|it| it.ok().map(|it| it.path()))
        .filter(|it| is(it, "snapshot") || is(it, "journal"))
        .filter_map(|it| Some((it.file_stem()?.to_str()?.parse().ok()?, it)))
        .collect();
    found.sort();
    Ok(found)
}

pub(super) fn is(file: &Path, ending: &str) -> bool {
    file.extension().is_some_and(|it| it == ending)
}

/// Whether the history beside a file is of this state, and not of one that was begun anew in the same folder.
fn is_of_the_same_life(file: &Path, state: &State) -> bool {
    let Some(folder) = file.parent().and_then(Path::parent) else { return true };
    let snapshots = kept(folder).unwrap_or_default();
    let newest = snapshots.iter().rev().filter(|(_, it)| is(it, "snapshot"));
    let mut lives = newest.filter_map(|(_, it)| decode_state(&std::fs::read(it).ok()?).ok());
    lives.next().is_none_or(|it| it.lineage == state.lineage)
}

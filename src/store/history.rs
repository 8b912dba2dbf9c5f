//! What a store still holds of the past of a state: the entries of earlier runs, and the snapshots that they led to.

use crate::engine::state::codec::{JournalRead, decode_state, read_journal};
use crate::engine::state::record::{RunRecord, State};
use crate::engine::state::run_log::{LogPart, LoggedRun, logged_runs};
use crate::store::error::{StoreError, broken};
use crate::store::log::{KeptKind, KeptPart};
use crate::store::moved::check_here;
use crate::store::state_store::StateStore;

/// The runs that a store knows of.
#[derive(Debug, Default)]
pub struct RunHistory {
    /// The newest first.
    pub runs: Vec<LoggedRun>,
    /// What of it cannot be read, and why.
    pub damaged: Vec<String>,
}

impl StateStore {
    /// The newest so many runs, or all that are kept. Takes no lease, and needs no intact state; refused is a store that the state
    /// has left.
    pub fn run_history(&self, most: Option<usize>) -> Result<RunHistory, StoreError> {
        check_here(&**self.backend())?;
        let mut damaged = Vec::new();
        let (place, bytes) = self.log().entries()?;
        let mut read = |place: String, bytes: &[u8]| {
            let JournalRead { entries, damage, .. } = read_journal(bytes);
            damaged.extend(damage.map(|why| format!("{place}: {why}")));
            entries
        };
        let entries = read(place.display().to_string(), &bytes);
        // The newest first, so that only what is wanted is read.
        let mut parts = vec![LogPart { serial: None, entries, told: None }];
        let kept = self.log().kept()?;
        for part in kept.iter().rev().filter(|it| it.kind == KeptKind::Entries) {
            if most.is_some_and(|it| are_enough(&parts, it)) {
                break;
            }
            let bytes = self.log().part(part)?.unwrap_or_default();
            let place = self.backend().place(&part.key).display().to_string();
            let entries = read(place, &bytes);
            let told = if entries.is_empty() { self.told(&kept, part.serial)? } else { None };
            parts.push(LogPart { serial: Some(part.serial), entries, told });
        }
        let mut runs = put_together(&parts);
        runs.reverse();
        runs.truncate(most.unwrap_or(usize::MAX));
        Ok(RunHistory { runs, damaged })
    }

    /// What the snapshot with this serial says of its last run.
    fn told(&self, kept: &[KeptPart], serial: u64) -> Result<Option<(u64, RunRecord)>, StoreError> {
        let snapshot = kept.iter().find(|it| it.kind == KeptKind::Snapshot && it.serial == serial);
        let bytes = match snapshot {
            Some(part) => self.log().part(part)?,
            // The one in place is not among those that are kept in files.
            None => self.log().snapshot()?.1,
        };
        let state = bytes.and_then(|it| decode_state(&it).ok());
        let state = state.filter(|it| it.serial == serial);
        Ok(state.and_then(|it| Some((it.epoch, it.last_run?))))
    }

    /// The serials of the snapshots that are kept beside the one in place, the oldest first.
    pub fn kept_serials(&self, state: &State) -> Result<Vec<u64>, StoreError> {
        let kept = self.log().kept()?;
        let snapshots = kept.iter().filter(|it| it.kind == KeptKind::Snapshot);
        let mut serials: Vec<u64> =
            snapshots.map(|it| it.serial).filter(|it| *it != state.serial).collect();
        serials.dedup();
        Ok(serials)
    }

    /// The state that was saved with this serial; `None`: no snapshot of this lineage with it is kept.
    pub fn kept_state(&self, state: &State, serial: u64) -> Result<Option<State>, StoreError> {
        let kept = self.log().kept()?;
        let wanted = |it: &&KeptPart| it.kind == KeptKind::Snapshot && it.serial == serial;
        let Some(part) = kept.iter().rev().find(wanted) else { return Ok(None) };
        let Some(bytes) = self.log().part(part)? else { return Ok(None) };
        let place = self.backend().place(&part.key);
        let older = decode_state(&bytes).map_err(broken(self.folder(), place))?;
        Ok(Some(older).filter(|it| it.lineage == state.lineage && it.serial == serial))
    }
}

/// Whether these parts, the newest first, tell so many runs and under which lease each of them was.
fn are_enough(parts: &[LogPart], most: usize) -> bool {
    // Each part has one run at least, but for the entries behind the last snapshot.
    if parts.len() <= most {
        return false;
    }
    let runs = put_together(parts);
    let from = runs.len().saturating_sub(most);
    // A run may go on under a lease that only the part before tells of.
    runs.len() >= most && runs[from..].iter().all(|it| it.epoch.is_some())
}

/// The runs of these parts, which stand with the newest first. What a snapshot holds may still stand behind it, where somebody was
/// cut off before it was removed, or where it was saved while we read.
fn put_together(parts: &[LogPart]) -> Vec<LoggedRun> {
    let mut last = 0;
    let once = parts.iter().rev().cloned().map(|mut part| {
        part.entries.retain(|(number, _)| *number > last);
        last = part.entries.last().map_or(last, |(number, _)| *number);
        part
    });
    logged_runs(once)
}

//! The right to write: appends to the journal and puts snapshots in place, and cannot once its epoch is over.
//!
//! A holder may be stopped (SIGSTOP, a machine that sleeps) between any two lines and wake up when another holds the lease.
//! So nothing rests on a check alone:
//!
//! - *The journal* of each holder is a file of its own. Who takes the lease copies what is whole of the old one and puts the copy
//!   in its place; what a late holder writes goes into a file that has no name. An entry counts as durable only if the epoch is
//!   still ours *after* it was written: then the next holder's copy, which is made after its claim, has it.
//! - *A file is replaced* by giving a prepared one its name, and a new holder removes what others have prepared before it reads.
//!   Prepared, then looked at the epoch, then renamed: if the look finds the epoch ours, the prepared file is older than the new
//!   claim, so either the rename comes before the new holder reads, or its file is gone and it fails.

use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::engine::state::codec::{decode_state, encode_entry, encode_state};
use crate::engine::state::journal::JournalEntry;
use crate::engine::state::record::State;
use crate::store::error::{LeaseEnd, StoreError, broken, io};
use crate::store::keep_alive::{KeepAlive, LeaseGuard, RenewalState};
use crate::store::lock_record::remove;
use crate::store::private;

/// The file with the last snapshot, in the folder of a state.
pub const SNAPSHOT: &str = "state.snapshot";
/// The file with the operations since that snapshot.
pub const JOURNAL: &str = "journal";

/// The folder with what was in place before.
pub(super) const HISTORY: &str = "history";

/// The ending of files that are prepared and not in place yet.
const PREPARED: &str = "new";

/// How many earlier snapshots are kept beside the current one, for people who need to go back. A guess: nothing documents it;
/// fewer would lose yesterday after a busy day, more would fill the disk where a state has many MiB.
const HISTORY_MAX: usize = 50;

/// Whose lease was taken over, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preempted {
    /// `ann@laptop, process 12 (lifeboat apply shop)`
    pub holder: String,
    /// It gave the lease back; otherwise it was silent for a whole lease.
    pub has_answered: bool,
}

impl std::fmt::Display for Preempted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let how = if self.has_answered { "which released it" } else { "which did not respond" };
        write!(f, "{}, {how}", self.holder)
    }
}

/// The right to write: whoever holds one may, as long as its heartbeats are confirmed.
#[derive(Debug)]
pub struct Lease {
    folder: PathBuf,
    journal: File,
    sequence: u64,
    serial: u64,
    /// A write failed: what follows would not be whole.
    is_broken: bool,
    /// The fencing token: each lease has a higher one than those before it.
    pub epoch: u64,
    pub preempted: Option<Preempted>,
    /// Written with the first entries: who only looks, or is refused, leaves the state and every saved plan as they are.
    opening: Option<JournalEntry>,
    heart: KeepAlive,
}

/// What a new lease begins with.
pub struct Start<'a> {
    pub folder: &'a Path,
    pub epoch: u64,
    pub heart: KeepAlive,
    pub owner: &'a str,
    pub at: i64,
    pub preempted: Option<Preempted>,
}

/// A file that has everything but its name.
struct PreparedSnapshot {
    file: File,
    new: PathBuf,
    path: PathBuf,
}

impl Lease {
    /// With a journal of its own that begins with these whole entries, up to this number.
    pub fn begin(
        start: Start<'_>,
        whole: &[u8],
        reached: RenewalState,
    ) -> Result<Self, StoreError> {
        let Start { folder, epoch, heart, owner, at, preempted } = start;
        let RenewalState { sequence, serial } = reached;
        let preempts = preempted.as_ref().map(ToString::to_string);
        let opening = JournalEntry::Leased { epoch, owner: owner.into(), at, preempted: preempts };
        let prepared = prepare(folder, epoch, JOURNAL, whole)?;
        let journal = put_in_place(folder, &heart.pulse, prepared)?;
        let folder = folder.to_owned();
        tracing::info!(epoch, owner, folder = %folder.display(), serial, "holds the lease");
        let opening = Some(opening);
        let is_broken = false;
        Ok(Self { folder, journal, sequence, serial, is_broken, epoch, preempted, opening, heart })
    }

    /// For those who act under this lease.
    pub fn pulse(&self) -> Arc<LeaseGuard> {
        Arc::clone(&self.heart.pulse)
    }

    fn over(&self, over: LeaseEnd) -> StoreError {
        StoreError::Over { folder: self.folder.clone(), over }
    }

    /// Appends entries and returns the number of the last one. They are durable (synced to disk) when this returns; after an
    /// error, nothing more can be appended.
    pub fn append(&mut self, entries: &[JournalEntry]) -> Result<u64, StoreError> {
        let path = self.folder.join(JOURNAL);
        if self.is_broken {
            let why = std::io::Error::other("an earlier write failed");
            return Err(io("append to", &path)(why));
        }
        self.heart.pulse.begin_writing().map_err(|over| self.over(over))?;
        let mut text = String::new();
        let mut sequence = self.sequence;
        let opening = self.opening.take();
        // Nothing stands before the line that founds the state.
        let founding = usize::from(matches!(entries.first(), Some(JournalEntry::Founded { .. })));
        let (first, rest) = entries.split_at(founding);
        for entry in first.iter().chain(&opening).chain(rest) {
            sequence += 1;
            text.push_str(&encode_entry(sequence, entry));
        }
        let whole = self.journal.stream_position().map_err(io("append to", &path))?;
        let written =
            self.journal.write_all(text.as_bytes()).and_then(|()| self.journal.sync_data());
        if let Err(why) = written {
            // Nothing may stand behind half a line: cut it off, and write no more.
            self.is_broken = true;
            self.journal.set_len(whole).ok();
            return Err(io("append to", &path)(why));
        }
        if let Err(over) = self.heart.pulse.is_ours() {
            self.is_broken = true;
            return Err(self.over(over));
        }
        self.sequence = sequence;
        self.heart.pulse.knows(sequence, self.serial);
        Ok(sequence)
    }

    /// Folds the journal into a new snapshot. The old pair moves to `history/`, which keeps the last 50.
    pub fn save(&mut self, state: &State) -> Result<(), StoreError> {
        self.put(state, true)
    }

    /// Begins anew with this state: the snapshot that is there is not worth keeping.
    pub(super) fn replace(&mut self, state: &State) -> Result<(), StoreError> {
        self.put(state, false)
    }

    fn put(&mut self, state: &State, keeps: bool) -> Result<(), StoreError> {
        self.heart.pulse.begin_writing().map_err(|over| self.over(over))?;
        let mut state = state.clone();
        state.sequence = self.sequence;
        state.touched = self.sequence;
        state.epoch = self.epoch;
        let bytes = encode_state(&state);
        let (snapshot, journal) = (self.folder.join(SNAPSHOT), self.folder.join(JOURNAL));
        let read_back = decode_state(&bytes).map_err(broken(snapshot.clone()))?;
        assert_eq!(read_back, state, "what is written is what is read");
        let new = prepare(&self.folder, self.epoch, SNAPSHOT, &bytes)?;
        let empty = prepare(&self.folder, self.epoch, JOURNAL, b"")?;
        let history = self.folder.join(HISTORY);
        std::fs::create_dir_all(&history).map_err(io("make", &history))?;
        if keeps && snapshot.exists() {
            keep(&snapshot, &history, state.serial.saturating_sub(1))?;
        }
        let pulse = self.pulse();
        put_in_place(&self.folder, &pulse, new)?;
        // What it holds is in the snapshot now: nobody misses it if we get no further.
        keep(&journal, &history, state.serial)?;
        self.journal = put_in_place(&self.folder, &pulse, empty)?;
        self.serial = state.serial;
        pulse.knows(self.sequence, self.serial);
        prune(&history)
    }
}

/// Writes everything of a file but its name.
fn prepare(
    folder: &Path,
    epoch: u64,
    name: &str,
    bytes: &[u8],
) -> Result<PreparedSnapshot, StoreError> {
    let new = folder.join(format!("{name}.{epoch:08}.{PREPARED}"));
    let mut file = private::create(&new).map_err(io("write", &new))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(io("write", &new))?;
    Ok(PreparedSnapshot { file, new, path: folder.join(name) })
}

/// Gives a prepared file its name, unless the lease is lost.
fn put_in_place(
    folder: &Path,
    pulse: &LeaseGuard,
    prepared: PreparedSnapshot,
) -> Result<File, StoreError> {
    let PreparedSnapshot { file, new, path } = prepared;
    let over = |over| StoreError::Over { folder: folder.to_owned(), over };
    if let Err(why) = pulse.is_ours() {
        remove(&new)?;
        return Err(over(why));
    }
    if let Err(why) = std::fs::rename(&new, &path) {
        // A new holder has removed it, a moment after we looked.
        pulse.is_ours().map_err(over)?;
        return Err(io("replace", &path)(why));
    }
    private::sync_folder_of(&path).map_err(io("sync", folder))?;
    Ok(file)
}

/// Removes what earlier holders have prepared: what is not in place by now never will be.
pub fn sweep(folder: &Path, epoch: u64) -> Result<(), StoreError> {
    for entry in std::fs::read_dir(folder).map_err(io("list", folder))? {
        let path = entry.map_err(io("list", folder))?.path();
        let name = path.file_name().and_then(|it| it.to_str()).unwrap_or_default();
        let mut parts = name.rsplitn(3, '.');
        let is_prepared = parts.next() == Some(PREPARED);
        let of = parts.next().and_then(|it| it.parse::<u64>().ok());
        if is_prepared && of.is_some_and(|it| it < epoch) {
            remove(&path)?;
        }
    }
    Ok(())
}

/// The journals that were folded into snapshots, the oldest first, as far as they are kept.
pub fn journals(folder: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let history = folder.join(HISTORY);
    let entries = match std::fs::read_dir(&history) {
        Err(why) if why.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(io("list", &history))?,
    };
    let files = entries.filter_map(|it| it.ok().map(|it| it.path()));
    let mut files: Vec<PathBuf> =
        files.filter(|it| it.extension().is_some_and(|it| it == JOURNAL)).collect();
    files.sort();
    Ok(files)
}

/// Another name for a file, among those that are kept.
fn keep(file: &Path, history: &Path, serial: u64) -> Result<(), StoreError> {
    let kind = if file.ends_with(JOURNAL) { "journal" } else { "snapshot" };
    let kept = history.join(format!("{serial:08}.{kind}"));
    match std::fs::hard_link(file, &kept) {
        Err(why) if why.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        linked => linked.map_err(io("link", &kept)),
    }
}

/// Keeps the newest snapshots and journals only.
fn prune(history: &Path) -> Result<(), StoreError> {
    let entries = std::fs::read_dir(history).map_err(io("list", history))?;
    let mut files: Vec<PathBuf> = entries.filter_map(|it| it.ok().map(|it| it.path())).collect();
    files.sort();
    let surplus = files.len().saturating_sub(2 * HISTORY_MAX);
    for file in &files[..surplus] {
        remove(file)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::time::Duration;

    use super::{JOURNAL, SNAPSHOT, Start, prepare, put_in_place, sweep};
    use crate::store::error::{LeaseEnd, StoreError};
    use crate::store::keep_alive::{KeepAlive, LeaseTimes, RenewalState};
    use crate::store::lease::Lease;
    use crate::store::lock_record::{LockRecord, LockRecords, machine};

    const STOPPED: LeaseTimes =
        LeaseTimes { lease: Duration::from_secs(60), heartbeat: Duration::from_secs(3_600) };

    fn claim(claims: &LockRecords, epoch: u64) -> KeepAlive {
        let claim = LockRecord {
            epoch,
            owner: format!("holder {epoch}"),
            command: String::new(),
            machine: machine(),
            is_locked: true,
            is_firm: false,
            aim: None,
            since: 0,
        };
        let lock = claims.take(claim).unwrap().unwrap();
        KeepAlive::start(claims.clone(), epoch, STOPPED, lock)
    }

    fn begin(folder: &std::path::Path, heart: KeepAlive, epoch: u64) -> Lease {
        let start = Start { folder, epoch, heart, owner: "a", at: 0, preempted: None };
        Lease::begin(start, b"whole\n", RenewalState::default()).unwrap()
    }

    /// The worst moments to be stopped at: a file is prepared, the epoch was looked at, and the rename comes a day later.
    #[test]
    fn put_in_place_refuses_what_a_late_holder_prepared() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let claims = LockRecords::of(folder);
        let first = claim(&claims, 1);
        let looked_at = prepare(folder, 1, SNAPSHOT, b"of the first").unwrap();
        first.pulse.is_ours().unwrap();

        let second = claim(&claims, 2);
        sweep(folder, 2).unwrap();
        assert!(std::fs::rename(&looked_at.new, &looked_at.path).is_err(), "its file is gone");
        let of_second = prepare(folder, 2, SNAPSHOT, b"of the second").unwrap();
        put_in_place(folder, &second.pulse, of_second).unwrap();
        // Prepared after it woke up: then it looks after the claim.
        let late = prepare(folder, 1, SNAPSHOT, b"of the first").unwrap();
        let new = late.new.clone();
        let refused = put_in_place(folder, &first.pulse, late).unwrap_err();
        assert!(
            matches!(refused, StoreError::Over { over: LeaseEnd::Lost { .. }, .. }),
            "{refused}"
        );
        assert!(!new.exists(), "nothing is left lying about");
        assert_eq!(std::fs::read(folder.join(SNAPSHOT)).unwrap(), b"of the second");
        // Nor does it get its epoch a second time, where that name is free again.
        claims.sweep(2).unwrap();
        assert!(
            claims
                .take(LockRecord { epoch: 1, ..claims.newest().unwrap().unwrap() })
                .unwrap()
                .is_none()
        );
    }

    #[test]
    fn begin_leaves_a_late_holder_nothing_to_append_to() {
        let folder = tempfile::tempdir().unwrap();
        let claims = LockRecords::of(folder.path());
        let mut first = begin(folder.path(), claim(&claims, 1), 1);
        let second = begin(folder.path(), claim(&claims, 2), 2);
        // It had looked, and writes a day later.
        first.journal.write_all(b"late\n").unwrap();
        assert_eq!(std::fs::read(folder.path().join(JOURNAL)).unwrap(), b"whole\n");
        drop(second);
    }
}

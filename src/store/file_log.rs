//! A state in files: a snapshot that is replaced whole, a journal that each holder of the lease appends to, and a history of both.
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

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::engine::state::codec::{JournalRead, read_journal};
use crate::store::backend::{Appender, FileBackend, PutCondition};
use crate::store::error::{StoreError, io as io_error};
use crate::store::files::{Prepared, prepare, prepared_in, publish};
use crate::store::keep_alive::LeaseGuard;
use crate::store::key::{
    DISCARDED, HISTORY, JOURNAL, KEPT_JOURNAL, KEPT_SNAPSHOT, KeyPrefix, NUMBER_MAX, SNAPSHOT,
    StoreKey,
};
use crate::store::log::{
    EntryBatch, FenceOutcome, HISTORY_MAX, HeadSight, KeptKind, KeptPart, LoadedState, LogEnd,
    LogWriter, NewHolder, NewSnapshot, OpenLog, PreviousState, Replayed, StateLog, damaged,
    replay_behind,
};

/// How often a reader starts over because a writer has just put a new snapshot in place. Each failed attempt needs another
/// snapshot within the milliseconds of a read, so 20 in a row is no chance: something rewrites the folder.
const READS_MAX: u32 = 20;

/// The log of a state in these files.
#[derive(Debug)]
pub struct FileLog {
    files: Arc<dyn FileBackend>,
}

/// The files of one holder.
#[derive(Debug)]
struct FileWriter {
    files: Arc<dyn FileBackend>,
    guard: Arc<LeaseGuard>,
    epoch: u64,
    journal: Box<dyn Appender>,
    /// A write failed: what follows would not be whole.
    is_broken: bool,
}

impl FileLog {
    pub fn new(files: Arc<dyn FileBackend>) -> Self {
        Self { files }
    }
}

impl StateLog for FileLog {
    fn read(&self) -> Result<LoadedState, StoreError> {
        let files = &*self.files;
        let (mut gap, mut state_serial) = (None, None);
        for _ in 0..READS_MAX {
            // In this order: a writer may fold the journal into a new snapshot between the two, which then holds all we have read.
            let mut journal = files.get(&JOURNAL)?.unwrap_or_default();
            let snapshot = files.get(&SNAPSHOT)?;
            let JournalRead { entries, whole, damage } = read_journal(&journal);
            let replayed =
                replay_behind(snapshot.as_deref(), files.root(), files.place(&SNAPSHOT), entries)?;
            let Replayed { state, gap: missing, serial } = replayed;
            if missing.is_some() {
                // FileBackend that were put back from elsewhere, or while we read them.
                (gap, state_serial) = (missing, serial);
                continue;
            }
            if let Some(source) = damage {
                return Err(damaged(
                    files.root(),
                    files.place(&JOURNAL),
                    whole,
                    state.as_ref(),
                    source,
                ));
            }
            journal.truncate(whole);
            return Ok(LoadedState { state, end: LogEnd::Text(journal) });
        }
        let what = format!("an entry before number {}", gap.unwrap_or_default());
        let (folder, told_by) = (files.root().to_owned(), files.place(&JOURNAL));
        Err(StoreError::Outdated { folder, has: state_serial, what, told_by })
    }

    /// Removes what earlier holders have prepared: what is not in place by now never will be.
    fn fence(&self, epoch: u64, _: Option<HeadSight>) -> Result<FenceOutcome, StoreError> {
        let keys = self.files.list(&KeyPrefix::ROOT)?.into_iter();
        let mut earlier = keys.filter(|it| prepared_in(it).is_some_and(|it| it < epoch));
        earlier.try_for_each(|it| self.files.delete(&it))?;
        Ok(FenceOutcome::Fenced)
    }

    /// With a journal of its own that begins with the whole entries. The opening entry is left to the first that follow: who
    /// only looks, or is refused, leaves the state as it is.
    fn open(&self, holder: NewHolder<'_>) -> Result<Option<OpenLog>, StoreError> {
        let NewHolder { epoch, guard, opening, read } = holder;
        let LogEnd::Text(whole) = &read.end else { unreachable!("it was read from files") };
        let files = Arc::clone(&self.files);
        let prepared = prepare(&*files, &JOURNAL, epoch, whole)?;
        let journal = put_in_place(&*files, &guard, prepared)?;
        let sequence = read.state.as_ref().map_or(0, |it| it.sequence);
        let writer = Box::new(FileWriter { files, guard, epoch, journal, is_broken: false });
        Ok(Some(OpenLog { writer, sequence, opening: Some(opening) }))
    }

    fn snapshot(&self) -> Result<(PathBuf, Option<Vec<u8>>), StoreError> {
        Ok((self.files.place(&SNAPSHOT), self.files.get(&SNAPSHOT)?))
    }

    fn entries(&self) -> Result<(PathBuf, Vec<u8>), StoreError> {
        Ok((self.files.place(&JOURNAL), self.files.get(&JOURNAL)?.unwrap_or_default()))
    }

    fn kept(&self) -> Result<Vec<KeptPart>, StoreError> {
        kept(&*self.files)
    }

    fn part(&self, part: &KeptPart) -> Result<Option<Vec<u8>>, StoreError> {
        self.files.get(&part.key)
    }

    fn set_aside(&self, epoch: u64) -> Result<Vec<PathBuf>, StoreError> {
        let files = &*self.files;
        files.ensure_prefix(&DISCARDED)?;
        let mut names = Vec::new();
        for (key, ending) in [(&SNAPSHOT, KEPT_SNAPSHOT), (&JOURNAL, KEPT_JOURNAL)] {
            let Some(bytes) = files.get(key)? else { continue };
            let aside = DISCARDED.key(&format!("{epoch:08}.{ending}"));
            files.put(&aside, &bytes, PutCondition::Always)?;
            names.push(files.place(&aside));
        }
        Ok(names)
    }

    /// Damage and all: until the snapshot is in place this is the only one that holds its entries, and who is cut off before
    /// leaves a state that is refused as it was.
    fn restart(&self, _last: u64) -> Result<LogEnd, StoreError> {
        Ok(LogEnd::Text(self.entries()?.1))
    }
}

impl LogWriter for FileWriter {
    fn append(&mut self, batch: &EntryBatch<'_>) -> Result<(), StoreError> {
        let wrong = |why| io_error("append to", &self.files.place(&JOURNAL))(why);
        if self.is_broken {
            return Err(wrong(io::Error::other("an earlier write failed")));
        }
        let whole = self.journal.position().map_err(wrong)?;
        let lines = batch.lines.as_bytes();
        let written = self.journal.append(lines).and_then(|()| self.journal.sync_data());
        if let Err(why) = written {
            // Nothing may stand behind half a line: cut it off, and write no more.
            self.is_broken = true;
            self.journal.truncate(whole).ok();
            return Err(wrong(why));
        }
        if let Err(over) = self.guard.is_ours() {
            self.is_broken = true;
            return Err(StoreError::Over { folder: self.files.root().to_owned(), over });
        }
        Ok(())
    }

    /// The old pair moves to `history/`, which keeps the last 50.
    fn replace(&mut self, snapshot: &NewSnapshot<'_>) -> Result<(), StoreError> {
        let NewSnapshot { state, bytes, before, previous } = *snapshot;
        let files = &*self.files;
        let new = prepare(files, &SNAPSHOT, self.epoch, bytes)?;
        let empty = prepare(files, &JOURNAL, self.epoch, b"")?;
        files.ensure_prefix(&HISTORY)?;
        if previous == PreviousState::Kept {
            match keep(files, &SNAPSHOT, KEPT_SNAPSHOT, before) {
                // The first one has none before it.
                Err(StoreError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
                kept => kept?,
            }
        }
        put_in_place(files, &self.guard, new)?;
        // What it holds is in the snapshot now: nobody misses it if we get no further.
        match previous {
            PreviousState::Kept => keep(files, &JOURNAL, KEPT_JOURNAL, state.serial)?,
            // Of what led to this serial nothing is known; that there is one is.
            PreviousState::SetAside => {
                let kept = kept_key(KEPT_JOURNAL, state.serial);
                files.put(&kept, b"", PutCondition::Absent)?;
            }
        }
        self.journal = put_in_place(files, &self.guard, empty)?;
        prune(files);
        Ok(())
    }
}

/// Publishes what was prepared, unless the lease is lost.
fn put_in_place(
    files: &dyn FileBackend,
    guard: &LeaseGuard,
    prepared: Prepared,
) -> Result<Box<dyn Appender>, StoreError> {
    let over = |over| StoreError::Over { folder: files.root().to_owned(), over };
    if let Err(why) = guard.is_ours() {
        files.delete(&prepared.draft)?;
        return Err(over(why));
    }
    publish(files, prepared).or_else(|why| {
        // A new holder has removed it, a moment after we looked.
        guard.is_ours().map_err(over)?;
        Err(why)
    })
}

/// Another name for what is in place, among those that are kept.
fn keep(
    files: &dyn FileBackend,
    key: &StoreKey,
    ending: &str,
    serial: u64,
) -> Result<(), StoreError> {
    let kept = kept_key(ending, serial);
    match files.link(key, &kept) {
        Err(why) if why.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        linked => linked.map_err(io_error("link", &files.place(&kept))),
    }
}

fn kept_key(ending: &str, serial: u64) -> StoreKey {
    HISTORY.key(&format!("{serial:08}.{ending}"))
}

/// Snapshots and journals of the history, by serial.
fn kept(files: &dyn FileBackend) -> Result<Vec<KeptPart>, StoreError> {
    let parts = files.list(&HISTORY)?.into_iter().filter_map(|key| {
        let kind = match key.ending()? {
            KEPT_SNAPSHOT => KeptKind::Snapshot,
            KEPT_JOURNAL => KeptKind::Entries,
            _ => return None,
        };
        let serial = key.stem().parse().ok().filter(|it| *it <= NUMBER_MAX)?;
        Some(KeptPart { serial, kind, key })
    });
    let mut parts: Vec<KeptPart> = parts.collect();
    parts.sort_by_key(|it| (it.serial, it.kind));
    Ok(parts)
}

/// Keeps the newest snapshots and journals only. The state is saved by then: what cannot be listed or removed is tried again
/// after the next run, and what others have put there is theirs.
fn prune(files: &dyn FileBackend) {
    let parts = match kept(files) {
        Ok(parts) => parts,
        Err(why) => return tracing::warn!(%why, "the history is not pruned"),
    };
    let surplus = parts.len().saturating_sub(2 * HISTORY_MAX);
    for part in &parts[..surplus] {
        if let Err(why) = files.delete(&part.key) {
            tracing::warn!(%why, "an old file of the history stays");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::{FileLog, put_in_place};
    use crate::engine::state::journal::JournalEntry;
    use crate::store::backend::{Backend, FileBackend};
    use crate::store::error::{LeaseEnd, StoreError};
    use crate::store::files::prepare;
    use crate::store::folder::{FolderBackend, machine};
    use crate::store::keep_alive::{KeepAlive, LeaseTimes};
    use crate::store::key::{JOURNAL, SNAPSHOT};
    use crate::store::lease_clock::BootClock;
    use crate::store::lock_record::{LockRecord, LockRecords};
    use crate::store::log::{EntryBatch, LoadedState, LogEnd, LogWriter, NewHolder, StateLog as _};

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
        let lock = claims.take(&claim).unwrap().unwrap();
        KeepAlive::start(claims.clone(), epoch, STOPPED, Arc::new(BootClock), lock)
    }

    fn open(files: &Arc<FolderBackend>, heart: &KeepAlive, epoch: u64) -> Box<dyn LogWriter> {
        let log = FileLog::new(Arc::clone(files) as Arc<dyn FileBackend>);
        let read = LoadedState { state: None, end: LogEnd::Text(b"whole\n".to_vec()) };
        let opening = JournalEntry::Leased {
            epoch,
            owner: "a".into(),
            command: None,
            at: 0,
            preempted: None,
        };
        let guard = Arc::clone(&heart.pulse);
        log.open(NewHolder { epoch, guard, opening, read: &read }).unwrap().unwrap().writer
    }

    /// The worst moments to be stopped at: a file is prepared, the epoch was looked at, and the rename comes a day later.
    #[test]
    fn put_in_place_refuses_what_a_late_holder_prepared() {
        let folder = tempfile::tempdir().unwrap();
        let files = Arc::new(FolderBackend::new(folder.path()));
        let backend = Arc::clone(&files) as Arc<dyn Backend>;
        let store = &*files;
        let claims = LockRecords::of(Arc::clone(&backend));
        let first = claim(&claims, 1);
        let looked_at = prepare(store, &SNAPSHOT, 1, b"of the first").unwrap();
        first.pulse.is_ours().unwrap();

        let second = claim(&claims, 2);
        FileLog::new(Arc::clone(&files) as Arc<dyn FileBackend>).fence(2, None).unwrap();
        assert!(store.rename(&looked_at.draft, &looked_at.key).is_err(), "its draft is gone");
        let of_second = prepare(store, &SNAPSHOT, 2, b"of the second").unwrap();
        put_in_place(store, &second.pulse, of_second).unwrap();
        // Prepared after it woke up: then it looks after the claim.
        let late = prepare(store, &SNAPSHOT, 1, b"of the first").unwrap();
        let draft = store.place(&late.draft);
        let refused = put_in_place(store, &first.pulse, late).unwrap_err();
        assert!(
            matches!(refused, StoreError::Over { over: LeaseEnd::Lost { .. }, .. }),
            "{refused}"
        );
        assert!(!draft.exists(), "nothing is left lying about");
        assert_eq!(store.get(&SNAPSHOT).unwrap().unwrap(), b"of the second");
        // Nor does it get its epoch a second time, where that name is free again.
        files.delete_all(&claims.older(2).unwrap()).unwrap();
        let claimed = claims.take(&LockRecord { epoch: 1, ..claims.newest().unwrap().unwrap() });
        drop(claimed.unwrap().expect("the name is free"));
        assert!(!claims.confirm(1).unwrap());
        assert!(claims.older(2).unwrap().is_empty(), "nothing is left of it");
    }

    #[test]
    fn open_leaves_a_late_holder_nothing_to_append_to() {
        let folder = tempfile::tempdir().unwrap();
        let files = Arc::new(FolderBackend::new(folder.path()));
        let backend = Arc::clone(&files) as Arc<dyn Backend>;
        let claims = LockRecords::of(Arc::clone(&backend));
        let heart = claim(&claims, 1);
        let mut first = open(&files, &heart, 1);
        let heart_of_second = claim(&claims, 2);
        let _second = open(&files, &heart_of_second, 2);
        // It had looked, and writes a day later.
        let late = first.append(&EntryBatch { first: 1, last: 1, lines: "late\n" }).unwrap_err();
        assert!(matches!(late, StoreError::Over { .. }), "{late}");
        assert_eq!(files.get(&JOURNAL).unwrap().unwrap(), b"whole\n");
    }
}

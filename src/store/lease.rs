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

use std::io;
use std::sync::Arc;

use crate::engine::state::codec::{decode_state, encode_entry, encode_state};
use crate::engine::state::journal::JournalEntry;
use crate::engine::state::record::State;
use crate::store::backend::{
    Appender, Backend, Prepared, PutMode, ensure_prefix, prepare, prepared_in, publish,
};
use crate::store::error::{LeaseEnd, StoreError, broken, io as io_error};
use crate::store::keep_alive::{KeepAlive, LeaseGuard, RenewalState};
use crate::store::key::{
    HISTORY, JOURNAL, KEPT_JOURNAL, KEPT_SNAPSHOT, KeyPrefix, SNAPSHOT, StoreKey,
};

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
    backend: Arc<dyn Backend>,
    journal: Box<dyn Appender>,
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

/// What becomes of the state that a snapshot takes the place of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PreviousState {
    /// It goes into the history.
    Kept,
    /// It is not believed, and somebody has put it elsewhere.
    SetAside,
}

/// What a new lease begins with.
pub struct Start<'a> {
    pub backend: Arc<dyn Backend>,
    pub epoch: u64,
    pub heart: KeepAlive,
    pub owner: &'a str,
    pub at: i64,
    pub preempted: Option<Preempted>,
}

impl Lease {
    /// With a journal of its own that begins with these whole entries, up to this number.
    pub fn begin(
        start: Start<'_>,
        whole: &[u8],
        reached: RenewalState,
    ) -> Result<Self, StoreError> {
        let Start { backend, epoch, heart, owner, at, preempted } = start;
        let RenewalState { sequence, serial } = reached;
        let preempts = preempted.as_ref().map(ToString::to_string);
        let opening = JournalEntry::Leased { epoch, owner: owner.into(), at, preempted: preempts };
        let prepared = prepare(&*backend, &JOURNAL, epoch, whole)?;
        let journal = put_in_place(&*backend, &heart.pulse, prepared)?;
        let folder = backend.root();
        tracing::info!(epoch, owner, folder = %folder.display(), serial, "holds the lease");
        let opening = Some(opening);
        let is_broken = false;
        Ok(Self { backend, journal, sequence, serial, is_broken, epoch, preempted, opening, heart })
    }

    /// For those who act under this lease.
    pub fn pulse(&self) -> Arc<LeaseGuard> {
        Arc::clone(&self.heart.pulse)
    }

    fn over(&self, over: LeaseEnd) -> StoreError {
        StoreError::Over { folder: self.backend.root().to_owned(), over }
    }

    /// Appends entries and returns the number of the last one. They are durable (synced to disk) when this returns; after an
    /// error, nothing more can be appended.
    pub fn append(&mut self, entries: &[JournalEntry]) -> Result<u64, StoreError> {
        let wrong = |why| io_error("append to", &self.backend.place(&JOURNAL))(why);
        if self.is_broken {
            return Err(wrong(io::Error::other("an earlier write failed")));
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
        let whole = self.journal.position().map_err(wrong)?;
        let written = self.journal.append(text.as_bytes()).and_then(|()| self.journal.sync_data());
        if let Err(why) = written {
            // Nothing may stand behind half a line: cut it off, and write no more.
            self.is_broken = true;
            self.journal.truncate(whole).ok();
            return Err(wrong(why));
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
        self.put(state, PreviousState::Kept)
    }

    /// Begins anew with this state: the snapshot and the journal that are there are not worth keeping.
    pub(super) fn replace(&mut self, state: &State) -> Result<(), StoreError> {
        self.put(state, PreviousState::SetAside)
    }

    fn put(&mut self, state: &State, previous: PreviousState) -> Result<(), StoreError> {
        self.heart.pulse.begin_writing().map_err(|over| self.over(over))?;
        let mut state = state.clone();
        state.sequence = self.sequence;
        state.touched = self.sequence;
        state.epoch = self.epoch;
        let bytes = encode_state(&state);
        let read_back = decode_state(&bytes).map_err(broken(self.backend.place(&SNAPSHOT)))?;
        assert_eq!(read_back, state, "what is written is what is read");
        let backend = &*self.backend;
        let new = prepare(backend, &SNAPSHOT, self.epoch, &bytes)?;
        let empty = prepare(backend, &JOURNAL, self.epoch, b"")?;
        ensure_prefix(backend, &HISTORY)?;
        if previous == PreviousState::Kept {
            let serial = state.serial.saturating_sub(1);
            match keep(backend, &SNAPSHOT, KEPT_SNAPSHOT, serial) {
                // The first one has none before it.
                Err(StoreError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
                kept => kept?,
            }
        }
        let pulse = self.pulse();
        put_in_place(backend, &pulse, new)?;
        // What it holds is in the snapshot now: nobody misses it if we get no further.
        match previous {
            PreviousState::Kept => keep(backend, &JOURNAL, KEPT_JOURNAL, state.serial)?,
            // Of what led to this serial nothing is known; that there is one is.
            PreviousState::SetAside => {
                let kept = kept_key(KEPT_JOURNAL, state.serial);
                backend.put(&kept, b"", PutMode::IfAbsent)?;
            }
        }
        self.journal = put_in_place(backend, &pulse, empty)?;
        self.serial = state.serial;
        pulse.knows(self.sequence, self.serial);
        prune(backend)
    }
}

/// Publishes what was prepared, unless the lease is lost.
fn put_in_place(
    backend: &dyn Backend,
    pulse: &LeaseGuard,
    prepared: Prepared,
) -> Result<Box<dyn Appender>, StoreError> {
    let over = |over| StoreError::Over { folder: backend.root().to_owned(), over };
    if let Err(why) = pulse.is_ours() {
        backend.delete(&prepared.draft)?;
        return Err(over(why));
    }
    publish(backend, prepared).or_else(|why| {
        // A new holder has removed it, a moment after we looked.
        pulse.is_ours().map_err(over)?;
        Err(why)
    })
}

/// Removes what earlier holders have prepared: what is not in place by now never will be.
pub fn sweep(backend: &dyn Backend, epoch: u64) -> Result<(), StoreError> {
    let keys = backend.list(&KeyPrefix::ROOT)?.into_iter();
    let mut earlier = keys.filter(|it| prepared_in(it).is_some_and(|it| it < epoch));
    earlier.try_for_each(|it| backend.delete(&it))
}

/// The journals that were folded into snapshots, the oldest first, as far as they are kept.
pub fn journals(backend: &dyn Backend) -> Result<Vec<StoreKey>, StoreError> {
    let mut keys = backend.list(&HISTORY)?;
    keys.retain(|it| it.ending() == Some(KEPT_JOURNAL));
    Ok(keys)
}

/// Another name for what is in place, among those that are kept.
fn keep(
    backend: &dyn Backend,
    key: &StoreKey,
    ending: &str,
    serial: u64,
) -> Result<(), StoreError> {
    let kept = kept_key(ending, serial);
    match backend.link(key, &kept) {
        Err(why) if why.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        linked => linked.map_err(io_error("link", &backend.place(&kept))),
    }
}

fn kept_key(ending: &str, serial: u64) -> StoreKey {
    HISTORY.key(&format!("{serial:08}.{ending}"))
}

/// Keeps the newest snapshots and journals only. The state is saved by then: what cannot be removed is tried again after the next
/// run, and what others have put there is theirs.
fn prune(backend: &dyn Backend) -> Result<(), StoreError> {
    let is_ours = |it: &StoreKey| {
        let ending = it.ending();
        (ending == Some(KEPT_SNAPSHOT) || ending == Some(KEPT_JOURNAL))
            && it.stem().parse::<u64>().is_ok()
    };
    let keys: Vec<StoreKey> = backend.list(&HISTORY)?.into_iter().filter(is_ours).collect();
    let surplus = keys.len().saturating_sub(2 * HISTORY_MAX);
    for key in &keys[..surplus] {
        if let Err(why) = backend.delete(key) {
            tracing::warn!(%why, "an old file of the history stays");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::{Start, put_in_place, sweep};
    use crate::store::backend::{Backend, prepare};
    use crate::store::error::{LeaseEnd, StoreError};
    use crate::store::folder::{FolderBackend, machine};
    use crate::store::keep_alive::{KeepAlive, LeaseTimes, RenewalState};
    use crate::store::key::{JOURNAL, SNAPSHOT};
    use crate::store::lease::Lease;
    use crate::store::lock_record::{LockRecord, LockRecords};

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

    fn begin(backend: &Arc<dyn Backend>, heart: KeepAlive, epoch: u64) -> Lease {
        let backend = Arc::clone(backend);
        let start = Start { backend, epoch, heart, owner: "a", at: 0, preempted: None };
        Lease::begin(start, b"whole\n", RenewalState::default()).unwrap()
    }

    /// The worst moments to be stopped at: a file is prepared, the epoch was looked at, and the rename comes a day later.
    #[test]
    fn put_in_place_refuses_what_a_late_holder_prepared() {
        let folder = tempfile::tempdir().unwrap();
        let backend: Arc<dyn Backend> = Arc::new(FolderBackend::new(folder.path()));
        let store = &*backend;
        let claims = LockRecords::of(Arc::clone(&backend));
        let first = claim(&claims, 1);
        let looked_at = prepare(store, &SNAPSHOT, 1, b"of the first").unwrap();
        first.pulse.is_ours().unwrap();

        let second = claim(&claims, 2);
        sweep(store, 2).unwrap();
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
        let backend: Arc<dyn Backend> = Arc::new(FolderBackend::new(folder.path()));
        let claims = LockRecords::of(Arc::clone(&backend));
        let mut first = begin(&backend, claim(&claims, 1), 1);
        let second = begin(&backend, claim(&claims, 2), 2);
        // It had looked, and writes a day later.
        first.journal.append(b"late\n").unwrap();
        assert_eq!(backend.get(&JOURNAL).unwrap().unwrap(), b"whole\n");
        drop(second);
    }
}

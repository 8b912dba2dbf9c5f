//! The right to write: appends to the journal and puts snapshots in place, and cannot once its epoch is over.

use std::sync::Arc;

use crate::engine::state::codec::{decode_state, encode_entry, encode_state};
use crate::engine::state::journal::JournalEntry;
use crate::engine::state::record::State;
use crate::store::backend::Backend;
use crate::store::error::{LeaseEnd, StoreError, broken};
use crate::store::keep_alive::{KeepAlive, LeaseGuard, RenewalState};
use crate::store::key::SNAPSHOT;
use crate::store::log::{EntryBatch, LogWriter, NewSnapshot, OpenLog, PreviousState};

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
    sequence: u64,
    serial: u64,
    /// The fencing token: each lease has a higher one than those before it.
    pub epoch: u64,
    pub preempted: Option<Preempted>,
    /// Written with the first entries, unless it was before.
    opening: Option<JournalEntry>,
    /// Given back before what the log still removes is gone.
    heart: KeepAlive,
    log: Box<dyn LogWriter>,
}

/// What a new lease begins with.
pub struct Start<'a> {
    pub backend: Arc<dyn Backend>,
    pub epoch: u64,
    pub heart: KeepAlive,
    pub owner: &'a str,
    pub preempted: Option<Preempted>,
    pub serial: u64,
}

impl Lease {
    /// Over the log that was opened for it.
    pub fn begin(start: Start<'_>, open: OpenLog) -> Self {
        let Start { backend, epoch, heart, owner, preempted, serial } = start;
        let OpenLog { writer: log, sequence, opening } = open;
        let folder = backend.root();
        tracing::info!(epoch, owner, folder = %folder.display(), serial, "holds the lease");
        Self { backend, sequence, serial, epoch, preempted, opening, heart, log }
    }

    /// For those who act under this lease.
    pub fn pulse(&self) -> Arc<LeaseGuard> {
        Arc::clone(&self.heart.pulse)
    }

    fn over(&self, over: LeaseEnd) -> StoreError {
        StoreError::Over { folder: self.backend.root().to_owned(), over }
    }

    /// Appends entries and returns the number of the last one. They are durable when this returns; after an error, nothing more
    /// can be appended.
    pub fn append(&mut self, entries: &[JournalEntry]) -> Result<u64, StoreError> {
        self.begin_writing()?;
        let (last, lines) = self.lines(entries);
        if last > self.sequence {
            self.log.append(&EntryBatch { first: self.sequence + 1, last, lines: &lines })?;
            self.note(last);
        }
        Ok(last)
    }

    fn begin_writing(&self) -> Result<(), StoreError> {
        self.heart.pulse.begin_writing().map_err(|over| self.over(over))
    }

    /// The number of the last of these entries, and what stands for them in the journal.
    fn lines(&mut self, entries: &[JournalEntry]) -> (u64, String) {
        let mut lines = String::new();
        let mut last = self.sequence;
        let opening = self.opening.take();
        // Nothing stands before the line that founds the state.
        let founding = usize::from(matches!(entries.first(), Some(JournalEntry::Founded { .. })));
        let (first, rest) = entries.split_at(founding);
        for entry in first.iter().chain(&opening).chain(rest) {
            last += 1;
            lines.push_str(&encode_entry(last, entry));
        }
        (last, lines)
    }

    fn note(&mut self, last: u64) {
        self.sequence = last;
        let reached = RenewalState { sequence: last, serial: self.serial };
        if self.backend.is_concurrent() {
            self.heart.pulse.knows_meanwhile(reached);
        } else {
            self.heart.pulse.knows(reached);
        }
    }

    /// Folds the journal into a new snapshot. The old pair goes into the history, which keeps the last 50.
    pub fn save(&mut self, state: &State) -> Result<(), StoreError> {
        self.put(state, PreviousState::Kept, &[])
    }

    /// Appends the last entries of a run, and folds the journal with them: this state holds them already.
    pub fn append_and_save(
        &mut self,
        entries: &[JournalEntry],
        state: &State,
    ) -> Result<(), StoreError> {
        self.put(state, PreviousState::Kept, entries)
    }

    /// Begins anew with this state: the snapshot and the journal that are there are not worth keeping.
    pub(super) fn replace(&mut self, state: &State) -> Result<(), StoreError> {
        self.put(state, PreviousState::SetAside, &[])
    }

    fn put(
        &mut self,
        state: &State,
        previous: PreviousState,
        entries: &[JournalEntry],
    ) -> Result<(), StoreError> {
        self.begin_writing()?;
        let (last, lines) =
            if entries.is_empty() { (self.sequence, String::new()) } else { self.lines(entries) };
        let mut state = state.clone();
        state.sequence = last;
        state.touched = last;
        state.epoch = self.epoch;
        let bytes = encode_state(&state);
        let read_back = decode_state(&bytes)
            .map_err(broken(self.backend.root(), self.backend.place(&SNAPSHOT)))?;
        assert_eq!(read_back, state, "what is written is what is read");
        let before = self.serial;
        let snapshot = NewSnapshot { state: &state, bytes: &bytes, before, previous };
        if last > self.sequence {
            let batch = EntryBatch { first: self.sequence + 1, last, lines: &lines };
            self.log.append_and_replace(&batch, &snapshot)?;
        } else {
            self.log.replace(&snapshot)?;
        }
        (self.sequence, self.serial) = (last, state.serial);
        self.heart.pulse.knows(RenewalState { sequence: last, serial: self.serial });
        Ok(())
    }
}

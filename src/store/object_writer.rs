//! What a holder of the lease writes into a log in objects: batches behind each other, and snapshots that a head puts in place.

use std::sync::Arc;
use std::thread::JoinHandle;

use crate::engine::state::chain::{
    BatchHeader, LogHead, SavedRun, digest_of, encode_batch, encode_head,
};
use crate::engine::state::codec::encode_state;
use crate::engine::state::record::State;
use crate::store::backend::{Backend, PutCondition, PutOutcome, StoredObject, both};
use crate::store::error::{LeaseEnd, StoreError};
use crate::store::keep_alive::LeaseGuard;
use crate::store::key::{
    ENTRIES, HEAD, HISTORY, KEPT_JOURNAL, KEPT_SNAPSHOT, NUMBER_MAX, SNAPSHOTS, StoreKey,
};
use crate::store::log::{
    ChainEnd, EntryBatch, HISTORY_MAX, LogWriter, NewSnapshot, PreviousState, first_of,
};

/// How many leases under which nothing was done are kept apart. A pipeline that applies every ten minutes and finds nothing to do
/// leaves 144 a day; each costs a reader one request, and folding them costs the holder four.
const FOLDED_AT: usize = 16;

/// The right to add to it.
#[derive(Debug)]
pub(super) struct ObjectWriter {
    pub backend: Arc<dyn Backend>,
    pub guard: Arc<LeaseGuard>,
    pub epoch: u64,
    pub end: ChainEnd,
    pub is_broken: bool,
    pub sweeping: Sweeping,
}

/// What removes in the background what a new head has made superfluous; it ends before this does.
#[derive(Debug, Default)]
pub(super) struct Sweeping(Option<JoinHandle<()>>);

impl Sweeping {
    fn set(&mut self, sweeping: JoinHandle<()>) {
        self.end();
        self.0 = Some(sweeping);
    }

    fn end(&mut self) {
        if let Some(sweeping) = self.0.take() {
            sweeping.join().ok();
        }
    }
}

impl Drop for Sweeping {
    fn drop(&mut self) {
        self.end();
    }
}

impl ObjectWriter {
    fn lost(&self) -> StoreError {
        let why = || LeaseEnd::Lost { why: "another holder has written to the state".into() };
        let over = self.guard.is_ours().err().unwrap_or_else(why);
        StoreError::Over { folder: self.backend.root().to_owned(), over }
    }

    fn surely_ours(&self) -> Result<(), StoreError> {
        let over = |over| StoreError::Over { folder: self.backend.root().to_owned(), over };
        self.guard.is_surely_ours().map_err(over)
    }

    /// Whether it was the first with this number. Waits while the store cannot be reached.
    pub(super) fn put_batch(&mut self, batch: &EntryBatch<'_>) -> Result<bool, StoreError> {
        let bytes = self.encoded(batch);
        if !self.put_bytes(batch, &bytes)? {
            return Ok(false);
        }
        self.note(batch, &bytes);
        Ok(true)
    }

    fn encoded(&self, batch: &EntryBatch<'_>) -> Vec<u8> {
        let EntryBatch { first, last, lines } = *batch;
        let previous = self.end.chain.clone();
        encode_batch(&BatchHeader { first, last, epoch: self.epoch, previous }, lines)
    }

    fn put_bytes(&self, batch: &EntryBatch<'_>, bytes: &[u8]) -> Result<bool, StoreError> {
        let key = batch_key(batch.first);
        Ok(self.put_patiently(&key, bytes, PutCondition::Absent)?.is_written())
    }

    /// It is durable.
    fn note(&mut self, batch: &EntryBatch<'_>, bytes: &[u8]) {
        self.end.sequence = batch.last;
        self.end.chain = Some(digest_of(bytes));
        self.end.batches += 1;
        self.end.lines.push_str(batch.lines);
    }

    /// A store that cannot be reached pauses what is written, and does not end the run.
    fn put_patiently(
        &self,
        key: &StoreKey,
        bytes: &[u8],
        condition: PutCondition<'_>,
    ) -> Result<PutOutcome, StoreError> {
        let mut is_doubtful = false;
        loop {
            match self.backend.put(key, bytes, condition) {
                Err(why) if why.is_transient() => {
                    let is_lost = matches!(self.guard.over(), Some(LeaseEnd::Lost { .. }));
                    if is_lost || !self.guard.waits_out(&why) {
                        return Err(why);
                    }
                    is_doubtful = true;
                }
                // What was put before its reply was lost stands in its own way.
                Ok(PutOutcome::Refused) if is_doubtful => match self.backend.read(key) {
                    Err(why) if why.is_transient() && self.guard.waits_out(&why) => {}
                    found => {
                        let ours = found?.filter(|it| it.bytes == bytes);
                        self.guard.reached();
                        let written = |it: StoredObject| PutOutcome::Written(it.version);
                        return Ok(ours.map_or(PutOutcome::Refused, written));
                    }
                },
                outcome => {
                    self.guard.reached();
                    return outcome;
                }
            }
        }
    }

    /// Folds leases under which nothing was done, each of which left a batch: every reader would read them all. The state stays
    /// what it is, and so does its serial.
    pub(super) fn fold_leases(&mut self, state: &State) -> Result<(), StoreError> {
        let head = &self.end.head;
        let only_leases = head.snapshot().is_some() && state.touched <= head.sequence;
        if self.end.batches < FOLDED_AT || !only_leases {
            return Ok(());
        }
        let state = State { sequence: self.end.sequence, epoch: self.epoch, ..state.clone() };
        let bytes = encode_state(&state);
        let snapshot = format!("{}.{KEPT_SNAPSHOT}", self.unique_name(state.serial));
        let put = || self.put_patiently(&SNAPSHOTS.key(&snapshot), &bytes, PutCondition::Absent);
        let (listed, put) = both(&*self.backend, || self.listed(), put);
        put?;
        let mut saved = head.saved.clone();
        if let Some(last) = saved.last_mut() {
            last.snapshot = snapshot;
        }
        self.put_head(saved, state.serial, &bytes)?;
        self.sweep(listed);
        Ok(())
    }

    fn unique_name(&self, serial: u64) -> String {
        let unique = uuid::Uuid::new_v4().simple().to_string();
        format!("{serial:08}-{:08}-{}", self.epoch, &unique[..8])
    }

    /// A snapshot and the entries that led to it, under names of their own: nobody reads them before a head names them.
    fn put_parts(&self, snapshot: &NewSnapshot<'_>, lines: &str) -> Result<PutParts, StoreError> {
        let NewSnapshot { state, bytes, previous, .. } = *snapshot;
        let name = self.unique_name(state.serial);
        let (snapshot, entries) =
            (format!("{name}.{KEPT_SNAPSHOT}"), format!("{name}.{KEPT_JOURNAL}"));
        let lines = match previous {
            PreviousState::Kept => lines.as_bytes(),
            // Of what led to this serial nothing is known; that there is one is.
            PreviousState::SetAside => b"",
        };
        let put = || {
            both(
                &*self.backend,
                || self.put_patiently(&SNAPSHOTS.key(&snapshot), bytes, PutCondition::Absent),
                || self.put_patiently(&HISTORY.key(&entries), lines, PutCondition::Absent),
            )
        };
        let (listed, (put, kept)) = both(&*self.backend, || self.listed(), put);
        put.and(kept)?;
        Ok(PutParts { run: SavedRun { serial: state.serial, snapshot, entries }, listed })
    }

    fn put_in_place(
        &mut self,
        snapshot: &NewSnapshot<'_>,
        parts: PutParts,
    ) -> Result<(), StoreError> {
        let PutParts { run, listed } = parts;
        let mut saved = self.end.head.saved.clone();
        saved.push(run);
        saved.drain(..saved.len().saturating_sub(HISTORY_MAX + 1));
        self.put_head(saved, snapshot.state.serial, snapshot.bytes)?;
        self.sweep(listed);
        Ok(())
    }

    fn replaced(&mut self, snapshot: &NewSnapshot<'_>) -> Result<(), StoreError> {
        let parts = self.put_parts(snapshot, &self.end.lines)?;
        self.put_in_place(snapshot, parts)
    }

    /// The last entries and the snapshot that holds them, put at once. What of it is there after a crash is as good as what is there
    /// after one between the two: entries without a snapshot, or a snapshot that no head names.
    fn appended_and_replaced(
        &mut self,
        batch: &EntryBatch<'_>,
        snapshot: &NewSnapshot<'_>,
    ) -> Result<(), StoreError> {
        self.surely_ours()?;
        let bytes = self.encoded(batch);
        let lines = [&self.end.lines, batch.lines].concat();
        let (parts, written) = both(
            &*self.backend,
            || self.put_parts(snapshot, &lines),
            || self.put_bytes(batch, &bytes),
        );
        if !written? {
            return Err(self.lost());
        }
        self.note(batch, &bytes);
        // Where compaction has made room, a late holder's put succeeds.
        self.surely_ours()?;
        let mut parts = parts?;
        if let Ok(listed) = &mut parts.listed {
            // It was listed while this batch was on its way.
            let key = batch_key(batch.first);
            if !listed.entries.contains(&key) {
                listed.entries.push(key);
            }
        }
        self.put_in_place(snapshot, parts)
    }

    /// Puts in place what was saved last, which holds all entries.
    fn put_head(
        &mut self,
        saved: Vec<SavedRun>,
        serial: u64,
        bytes: &[u8],
    ) -> Result<(), StoreError> {
        let head = LogHead {
            epoch: self.epoch,
            serial,
            sequence: self.end.sequence,
            chain: self.end.chain.clone(),
            digest: Some(digest_of(bytes)),
            saved,
        };
        let version = self.end.version.as_ref();
        let condition = version.map_or(PutCondition::Absent, PutCondition::Version);
        match self.put_patiently(&HEAD, &encode_head(&head), condition)? {
            PutOutcome::Refused => return Err(self.lost()),
            PutOutcome::Written(version) => self.end.version = Some(version),
        }
        self.end.head = head;
        self.end.lines.clear();
        self.end.batches = 0;
        Ok(())
    }

    /// What there was before the head was put: all that it may make superfluous.
    fn listed(&self) -> Result<StoredKeys, StoreError> {
        let backend = &*self.backend;
        let (entries, (snapshots, history)) = both(
            backend,
            || backend.list(&ENTRIES),
            || both(backend, || backend.list(&SNAPSHOTS), || backend.list(&HISTORY)),
        );
        Ok(StoredKeys { entries: entries?, snapshots: snapshots?, history: history? })
    }

    /// Removes what the head covers or no longer names, and what late holders have left; where the store answers late, while others
    /// go on. Who holds the lease next may do the same.
    fn sweep(&mut self, listed: Result<StoredKeys, StoreError>) {
        let removed = listed.map(|it| self.superfluous(it));
        let backend = Arc::clone(&self.backend);
        let remove = move || {
            let removed = removed
                .and_then(|keys| if keys.is_empty() { Ok(()) } else { backend.delete_all(&keys) });
            if let Err(why) = removed {
                tracing::warn!(%why, "what is no longer needed stays in the store until the next run");
            }
        };
        if self.backend.is_concurrent() && !self.backend.has_mirror() {
            self.sweeping.set(std::thread::spawn(remove));
        } else {
            remove();
        }
    }

    fn superfluous(&self, listed: StoredKeys) -> Vec<StoreKey> {
        let head = &self.end.head;
        let is_covered = |it: &StoreKey| first_of(it).is_some_and(|it| it <= head.sequence);
        // What has a higher serial is of a holder that came after us.
        let is_unnamed = |key: &StoreKey, name: fn(&SavedRun) -> &String| {
            serial_of(key).is_some_and(|it| it <= head.serial)
                && !head.saved.iter().any(|it| name(it) == key.name())
        };
        let StoredKeys { mut entries, mut snapshots, mut history } = listed;
        entries.retain(is_covered);
        snapshots.retain(|key| is_unnamed(key, |it| &it.snapshot));
        history.retain(|key| is_unnamed(key, |it| &it.entries));
        [entries, snapshots, history].concat()
    }
}

/// What is there of a snapshot before a head names it, and what there was beside it.
struct PutParts {
    run: SavedRun,
    listed: Result<StoredKeys, StoreError>,
}

/// The keys of a log in objects.
struct StoredKeys {
    entries: Vec<StoreKey>,
    snapshots: Vec<StoreKey>,
    history: Vec<StoreKey>,
}

impl LogWriter for ObjectWriter {
    fn append(&mut self, batch: &EntryBatch<'_>) -> Result<(), StoreError> {
        if self.is_broken {
            return Err(self.lost());
        }
        self.is_broken = true;
        self.surely_ours()?;
        if !self.put_batch(batch)? {
            return Err(self.lost());
        }
        // Where compaction has made room, a late holder's put succeeds.
        self.surely_ours()?;
        self.is_broken = false;
        Ok(())
    }

    fn replace(&mut self, snapshot: &NewSnapshot<'_>) -> Result<(), StoreError> {
        let replaced = self.replaced(snapshot);
        self.is_broken |= replaced.is_err();
        replaced
    }

    fn append_and_replace(
        &mut self,
        batch: &EntryBatch<'_>,
        snapshot: &NewSnapshot<'_>,
    ) -> Result<(), StoreError> {
        if self.is_broken || !self.backend.is_concurrent() || self.backend.has_mirror() {
            self.append(batch)?;
            return self.replace(snapshot);
        }
        let replaced = self.appended_and_replaced(batch, snapshot);
        self.is_broken |= replaced.is_err();
        replaced
    }
}

fn batch_key(first: u64) -> StoreKey {
    // Twenty digits hold every number, so that keys stand in the order of their entries.
    ENTRIES.key(&format!("{first:020}"))
}

/// The serial that the name of a snapshot, or of the entries that led to it, begins with.
pub(super) fn serial_of(key: &StoreKey) -> Option<u64> {
    key.stem().split('-').next()?.parse().ok().filter(|it| *it <= NUMBER_MAX)
}

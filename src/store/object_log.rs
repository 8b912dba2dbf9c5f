//! A state in objects, over the few verbs that every store has: immutable batches of entries and snapshots, and one head that is replaced under its version.
//!
//! A holder may be stopped between any two lines and wake up, or have its request arrive, when another holds the lease. So nothing
//! rests on a check alone:
//!
//! - *A batch* is put if nothing is there, under the number of its first entry, and names the digest of the batch before. Who takes
//!   the lease reads to the end and puts an entry of its own behind it before anything else: what a late holder puts there is
//!   refused. What a late holder puts where compaction has made room has a number that the head covers, and is not read.
//! - *A snapshot* is put under a name of its own, and is in place once the head names it. Who takes the lease replaces the head
//!   before it reads: a late holder has its version no more, so an old snapshot never takes the place of a new one.
//! - *A reader* takes no lease. Where it meets a gap, a writer has put a new head in place: it begins again with that.

use std::path::PathBuf;
use std::sync::Arc;

use crate::engine::state::chain::{
    LogHead, ReadBatch, SavedRun, decode_batch, decode_head, digest_of, encode_head,
};
use crate::engine::state::codec::{CodecError, encode_entry, last_number};
use crate::store::backend::{Backend, ObjectVersion, PutCondition, both};
use crate::store::error::{StoreError, broken, io as io_error};
use crate::store::key::{DISCARDED, ENTRIES, HEAD, HISTORY, KEPT_JOURNAL, SNAPSHOTS, StoreKey};
use crate::store::log::{
    ChainEnd, EntryBatch, FenceOutcome, HeadSight, KeptKind, KeptPart, LoadedState, LogEnd,
    NewHolder, OpenLog, Replayed, StateLog, damaged, first_of, replay_behind,
};
use crate::store::object_writer::{ObjectWriter, Sweeping, serial_of};

/// How often somebody starts over because a writer has replaced the head meanwhile. A head is replaced once a run, so 20 in a row
/// is no chance.
const TRIES_MAX: u32 = 20;

/// The log of a state in this store.
#[derive(Debug)]
pub struct ObjectLog {
    backend: Arc<dyn Backend>,
}

/// One attempt to read.
enum ReadAttempt {
    Read(Box<LoadedState>),
    /// An entry before this number is missing, or the snapshot that the head names.
    Gap(u64),
}

impl ObjectLog {
    pub fn new(backend: Arc<dyn Backend>) -> Self {
        Self { backend }
    }

    fn head(&self) -> Result<(LogHead, Option<ObjectVersion>), StoreError> {
        let Some(found) = self.backend.read(&HEAD)? else { return Ok((LogHead::empty(0), None)) };
        let head = decode_head(&found.bytes)
            .map_err(broken(self.backend.root(), self.backend.place(&HEAD)))?;
        Ok((head, Some(found.version)))
    }

    /// The head and the snapshots, at once.
    fn look(&self) -> Result<HeadSight, StoreError> {
        let (snapshots, head) =
            both(&*self.backend, || self.backend.list(&SNAPSHOTS), || self.head());
        let (head, version) = head?;
        Ok(HeadSight { snapshots: snapshots?, head, version })
    }

    fn attempt(&self) -> Result<ReadAttempt, StoreError> {
        // In this order: what was acknowledged is listed, or removed by then, and the head that covers it is there before that.
        let keys = self.backend.list(&ENTRIES)?;
        self.attempt_from(keys, self.head()?)
    }

    fn attempt_from(
        &self,
        mut keys: Vec<StoreKey>,
        (head, version): (LogHead, Option<ObjectVersion>),
    ) -> Result<ReadAttempt, StoreError> {
        let mut place = self.backend.place(&HEAD);
        keys.retain(|it| first_of(it).is_some_and(|it| it > head.sequence));
        let key = head.snapshot().map(|name| SNAPSHOTS.key(name));
        let (snapshot_read, entries_read) = both(
            &*self.backend,
            || key.as_ref().map(|key| self.backend.get(key)).transpose(),
            || self.backend.get_all(&keys),
        );
        let mut snapshot = None;
        if let (Some(key), Some(read)) = (&key, snapshot_read?) {
            place = self.backend.place(key);
            let Some(bytes) = read else {
                return Ok(ReadAttempt::Gap(head.sequence + 1));
            };
            if head.digest.as_ref() != Some(&digest_of(&bytes)) {
                let source = CodecError::Checksum { line: 1 };
                return Err(broken(self.backend.root(), place)(source));
            }
            snapshot = Some(bytes);
        }
        let mut end = ChainEnd {
            sequence: head.sequence,
            chain: head.chain.clone(),
            batches: 0,
            lines: String::new(),
            head,
            version,
        };
        let mut entries = Vec::new();
        let mut damage = None;
        for (key, bytes) in keys.iter().zip(entries_read?) {
            let expected = end.sequence + 1;
            let Some(first) = first_of(key) else { continue };
            let Some(bytes) = bytes.filter(|_| first == expected) else {
                return Ok(ReadAttempt::Gap(first.max(expected)));
            };
            match following(&bytes, &end) {
                Ok(batch) => {
                    end.lines.push_str(&String::from_utf8_lossy(&bytes[batch.lines_at..]));
                    end.sequence = batch.header.last;
                    end.chain = Some(digest_of(&bytes));
                    end.batches += 1;
                    entries.extend(batch.entries);
                }
                Err(why) => {
                    damage = Some((self.backend.place(key), why));
                    break;
                }
            }
        }
        let Replayed { state, .. } =
            replay_behind(snapshot.as_deref(), self.backend.root(), place, entries)?;
        if let Some((place, why)) = damage {
            return Err(damaged(self.backend.root(), place, 0, state.as_ref(), why));
        }
        Ok(ReadAttempt::Read(Box::new(LoadedState { state, end: LogEnd::Chain(Box::new(end)) })))
    }

    /// What is under these keys, without what is damaged: that is told by whoever reads the state.
    fn readable(&self, keys: &[StoreKey]) -> Result<Vec<Vec<u8>>, StoreError> {
        let found = match self.backend.get_all(keys) {
            Err(StoreError::Broken { .. }) => {
                let mut found = Vec::new();
                for key in keys {
                    match self.backend.get(key) {
                        Err(StoreError::Broken { .. }) => {}
                        read => found.push(read?),
                    }
                }
                found
            }
            found => found?,
        };
        Ok(found.into_iter().flatten().collect())
    }

    /// `None` if there is none, or nobody can read it.
    fn readable_head(&self) -> Result<Option<LogHead>, StoreError> {
        match self.head() {
            Ok((head, version)) => Ok(version.map(|_| head)),
            Err(StoreError::Broken { .. }) => Ok(None),
            Err(why) => Err(why),
        }
    }

    /// What was saved, where no head tells: a snapshot and its entries have one name, but for its ending.
    fn listed_runs(&self) -> Result<Vec<SavedRun>, StoreError> {
        let snapshots = self.backend.list(&SNAPSHOTS)?.into_iter();
        let runs = snapshots.filter_map(|key| {
            Some(SavedRun {
                serial: serial_of(&key)?,
                snapshot: key.name().into(),
                entries: format!("{}.{KEPT_JOURNAL}", key.stem()),
            })
        });
        Ok(runs.collect())
    }
}

impl StateLog for ObjectLog {
    fn read(&self) -> Result<LoadedState, StoreError> {
        let mut missing = 0;
        for _ in 0..TRIES_MAX {
            match self.attempt()? {
                ReadAttempt::Read(loaded) => return Ok(*loaded),
                ReadAttempt::Gap(number) => missing = number,
            }
        }
        let (head, _) = self.head()?;
        let has = head.snapshot().map(|_| head.serial);
        let what = format!("an entry before number {missing}");
        let (folder, told_by) =
            (self.backend.root().to_owned(), self.backend.place_below(&ENTRIES));
        Err(StoreError::Outdated { folder, has, what, told_by })
    }

    /// Nobody else replaces the head any more, so that the entries are listed while it is read.
    fn read_fenced(&self) -> Result<LoadedState, StoreError> {
        let (keys, head) = both(&*self.backend, || self.backend.list(&ENTRIES), || self.head());
        match self.attempt_from(keys?, head?)? {
            ReadAttempt::Read(loaded) => Ok(*loaded),
            // Somebody else does, who has a newer epoch.
            ReadAttempt::Gap(_) => self.read(),
        }
    }

    /// Puts the epoch into the head: whoever read it before puts nothing in place any more. A damaged head stays as it is, for
    /// whoever reads it to tell.
    fn fence(&self, epoch: u64, mut seen: Option<HeadSight>) -> Result<FenceOutcome, StoreError> {
        for _ in 0..TRIES_MAX {
            let HeadSight { snapshots, head, version } = match seen.take() {
                Some(seen) => seen,
                None => match self.look() {
                    Err(StoreError::Broken { .. }) => return Ok(FenceOutcome::Fenced),
                    seen => seen?,
                },
            };
            if head.epoch >= epoch {
                return Ok(FenceOutcome::Behind(head.epoch));
            }
            let bytes = encode_head(&LogHead { epoch, ..head });
            let condition = version.as_ref().map_or(PutCondition::Absent, PutCondition::Version);
            if version.is_none() && !snapshots.is_empty() {
                // A head that is missing is told by whoever reads, and an empty one would hide it.
                return Ok(FenceOutcome::Fenced);
            }
            if self.backend.put(&HEAD, &bytes, condition)?.is_written() {
                return Ok(FenceOutcome::Fenced);
            }
        }
        Err(kept_changing(&*self.backend))
    }

    fn sight(&self) -> Option<HeadSight> {
        self.look().ok()
    }

    /// With an entry of its own behind all others: what earlier holders put from now on is refused.
    fn open(&self, holder: NewHolder<'_>) -> Result<Option<OpenLog>, StoreError> {
        let NewHolder { epoch, guard, opening, read } = holder;
        let LogEnd::Chain(end) = &read.end else { unreachable!("it was read from this log") };
        let backend = Arc::clone(&self.backend);
        let mut writer = ObjectWriter {
            backend,
            guard,
            epoch,
            end: (**end).clone(),
            is_broken: false,
            sweeping: Sweeping::default(),
        };
        let first = end.sequence + 1;
        let lines = encode_entry(first, &opening);
        if !writer.put_batch(&EntryBatch { first, last: first, lines: &lines })? {
            return Ok(None);
        }
        if let Some(state) = &read.state {
            writer.fold_leases(state)?;
        }
        Ok(Some(OpenLog { writer: Box::new(writer), sequence: first, opening: None }))
    }

    fn snapshot(&self) -> Result<(PathBuf, Option<Vec<u8>>), StoreError> {
        let head = match self.head() {
            Err(StoreError::Broken { file, .. }) => return Ok((file, None)),
            head => head?.0,
        };
        let Some(name) = head.snapshot() else { return Ok((self.backend.place(&HEAD), None)) };
        let key = SNAPSHOTS.key(name);
        Ok((self.backend.place(&key), self.backend.get(&key)?))
    }

    fn entries(&self) -> Result<(PathBuf, Vec<u8>), StoreError> {
        let keys = self.backend.list(&ENTRIES)?;
        let mut text = Vec::new();
        for bytes in self.readable(&keys)? {
            let lines_at = bytes.iter().position(|it| *it == b'\n').map_or(0, |it| it + 1);
            text.extend_from_slice(&bytes[lines_at..]);
        }
        Ok((self.backend.place_below(&ENTRIES), text))
    }

    /// Also snapshots that a head which was rolled back does not name: each was folded from entries that were durable.
    fn restorable_parts(&self) -> Result<Vec<KeptPart>, StoreError> {
        let mut saved = self.readable_head()?.map(|it| it.saved).unwrap_or_default();
        for run in self.listed_runs()? {
            if !saved.iter().any(|it| it.snapshot == run.snapshot) {
                saved.push(run);
            }
        }
        saved.sort_by_key(|it| it.serial);
        Ok(parts_of(&saved))
    }

    fn kept(&self) -> Result<Vec<KeptPart>, StoreError> {
        if let Some(head) = self.readable_head()? {
            return Ok(parts_of(&head.saved));
        }
        let saved = self.listed_runs()?;
        // A head that came meanwhile knows which of those were put in place.
        Ok(parts_of(&self.readable_head()?.map_or(saved, |it| it.saved)))
    }

    fn part(&self, part: &KeptPart) -> Result<Option<Vec<u8>>, StoreError> {
        self.backend.get(&part.key)
    }

    fn set_aside(&self, epoch: u64) -> Result<Vec<PathBuf>, StoreError> {
        let mut aside = Vec::new();
        // What does not open is kept by nobody under its key: a new head takes its place.
        let head = self.readable(std::slice::from_ref(&HEAD))?.pop();
        let (_, entries) = self.entries()?;
        for (bytes, ending) in [(head, "head"), (Some(entries), KEPT_JOURNAL)] {
            let Some(bytes) = bytes else { continue };
            let key = DISCARDED.key(&format!("{epoch:08}.{ending}"));
            self.backend.put(&key, &bytes, PutCondition::Always)?;
            aside.push(self.backend.place(&key));
        }
        Ok(aside)
    }

    /// Behind the last number that anything knows of, entries among it that nobody reads. The head stays what it is until a
    /// snapshot takes its place, and all that was ever saved is kept: which of it is good is for people to find out.
    fn restart(&self, last: u64) -> Result<LogEnd, StoreError> {
        let found = self.backend.version(&HEAD)?;
        let known = self.readable_head()?;
        let mut head = known.unwrap_or_else(|| LogHead::empty(0));
        for run in self.listed_runs()? {
            if !head.saved.iter().any(|it| it.snapshot == run.snapshot) {
                head.saved.push(run);
            }
        }
        head.saved.sort_by_key(|it| it.serial);
        let keys = self.backend.list(&ENTRIES)?;
        let named = keys.iter().filter_map(first_of).max().unwrap_or(0);
        let written = last_number(&self.entries()?.1);
        Ok(LogEnd::Chain(Box::new(ChainEnd {
            sequence: last.max(head.sequence).max(named).max(written),
            chain: None,
            batches: 0,
            lines: String::new(),
            head,
            version: found,
        })))
    }
}

fn parts_of(saved: &[SavedRun]) -> Vec<KeptPart> {
    let parts =
        saved.iter().flat_map(|it| {
            let (serial, entries) = (it.serial, HISTORY.key(&it.entries));
            let snapshot = SNAPSHOTS.key(&it.snapshot);
            [(KeptKind::Entries, entries), (KeptKind::Snapshot, snapshot)]
                .map(|(kind, key)| KeptPart { serial, kind, key })
        });
    parts.collect()
}

/// A batch that goes on from here.
fn following(bytes: &[u8], end: &ChainEnd) -> Result<ReadBatch, CodecError> {
    let batch = decode_batch(bytes)?;
    let follows = batch.header.first == end.sequence + 1 && batch.header.previous == end.chain;
    if follows { Ok(batch) } else { Err(CodecError::Chain) }
}

fn kept_changing(backend: &dyn Backend) -> StoreError {
    let why = std::io::Error::other("it kept changing while it was replaced; retry");
    io_error("replace", &backend.place(&HEAD))(why)
}

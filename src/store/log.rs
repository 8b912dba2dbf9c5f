//! How a state is kept in a store, whatever the store is: what is read of it, and what the holder of a lease writes.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::engine::state::chain::LogHead;
use crate::engine::state::codec::{CodecError, decode_state};
use crate::engine::state::journal::{JournalEntry, replay};
use crate::engine::state::record::State;
use crate::store::backend::ObjectVersion;
use crate::store::error::{StoreError, broken};
use crate::store::keep_alive::LeaseGuard;
use crate::store::key::{NUMBER_MAX, StoreKey};

/// The number of the first entry of a batch; of what is not named so by lifeboat, nothing.
pub fn first_of(key: &StoreKey) -> Option<u64> {
    key.name().parse().ok().filter(|it| *it <= NUMBER_MAX)
}

/// How many earlier snapshots are kept beside the current one, for people who need to go back. A guess: nothing documents it;
/// fewer would lose yesterday after a busy day, more would fill the disk where a state has many MiB.
pub const HISTORY_MAX: usize = 50;

/// What a store holds.
#[derive(Debug)]
pub struct LoadedState {
    pub state: Option<State>,
    pub end: LogEnd,
}

/// Where what was read ends, if anything is to be written behind it.
#[derive(Debug, Clone)]
pub enum LogEnd {
    /// The text of a file, without a torn tail.
    Text(Vec<u8>),
    /// The last of a chain of batches.
    Chain(Box<ChainEnd>),
}

/// Where batches end that were read.
#[derive(Debug, Clone)]
pub struct ChainEnd {
    /// The number of the last one.
    pub sequence: u64,
    /// The digest of its batch.
    pub chain: Option<String>,
    /// How many batches there are since the head.
    pub batches: usize,
    /// The entries since the head, as text.
    pub lines: String,
    pub head: LogHead,
    /// `None`: there is no head.
    pub version: Option<ObjectVersion>,
}

/// Whether earlier holders are kept off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FenceOutcome {
    Fenced,
    /// Somebody with this epoch, which is no lower, has fenced before: it is written in the store, or has come with it.
    Behind(u64),
}

/// Entries that become durable together.
#[derive(Debug)]
pub struct EntryBatch<'a> {
    /// The number of the first one.
    pub first: u64,
    /// The number of the last one.
    pub last: u64,
    /// A sealed line for each.
    pub lines: &'a str,
}

/// What becomes of the state that a snapshot takes the place of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PreviousState {
    /// It goes into the history.
    Kept,
    /// It is not believed, and somebody has put it elsewhere.
    SetAside,
}

/// A state in its bytes, on its way into a store.
#[derive(Debug)]
pub struct NewSnapshot<'a> {
    pub state: &'a State,
    pub bytes: &'a [u8],
    /// The serial of the state that it takes the place of.
    pub before: u64,
    pub previous: PreviousState,
}

/// A part of what was in place before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptPart {
    /// The serial of the snapshot, or of the one that the entries led to.
    pub serial: u64,
    pub kind: KeptKind,
    pub key: StoreKey,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeptKind {
    Entries,
    Snapshot,
}

/// Who is about to write: the epoch is claimed, and the state was read after that.
pub struct NewHolder<'a> {
    pub epoch: u64,
    pub guard: Arc<LeaseGuard>,
    pub opening: JournalEntry,
    pub read: &'a LoadedState,
}

/// What a holder writes with.
#[derive(Debug)]
pub struct OpenLog {
    pub writer: Box<dyn LogWriter>,
    /// The number of the last entry.
    pub sequence: u64,
    /// What is to be written before anything else, unless it was.
    pub opening: Option<JournalEntry>,
}

/// The head of a state in objects, and the snapshots there are, as they were in one moment.
pub struct HeadSight {
    pub snapshots: Vec<StoreKey>,
    pub head: LogHead,
    pub version: Option<ObjectVersion>,
}

/// The log of one state.
pub trait StateLog: fmt::Debug + Send + Sync {
    /// The state as of now. Takes no lease, and writes nothing.
    fn read(&self) -> Result<LoadedState, StoreError>;

    /// The same for who has fenced: earlier holders put nothing in place any more, so that less has to be read in order.
    fn read_fenced(&self) -> Result<LoadedState, StoreError> {
        self.read()
    }

    /// Makes sure that earlier holders put nothing in place any more. Called once an epoch is claimed, before anything is read.
    /// What was seen before the claim saves a look: it is replaced under its version.
    fn fence(&self, epoch: u64, seen: Option<HeadSight>) -> Result<FenceOutcome, StoreError>;

    /// What fencing looks at, where it may have been looked at before; what cannot be read is left to who fences.
    fn sight(&self) -> Option<HeadSight> {
        None
    }

    /// What a new holder writes with; `None` if something was written since it read, which is then read again.
    fn open(&self, holder: NewHolder<'_>) -> Result<Option<OpenLog>, StoreError>;

    /// The bytes of the snapshot in place, as far as there is one, and what messages call it.
    fn snapshot(&self) -> Result<(PathBuf, Option<Vec<u8>>), StoreError>;

    /// The entries since then, whole or not, and what messages call them.
    fn entries(&self) -> Result<(PathBuf, Vec<u8>), StoreError>;

    /// What was in place before, the oldest first.
    fn kept(&self) -> Result<Vec<KeptPart>, StoreError>;

    /// What a restore may go on from: that, and what is there without anything that names it.
    fn restorable_parts(&self) -> Result<Vec<KeptPart>, StoreError> {
        self.kept()
    }

    /// The bytes of a part of it.
    fn part(&self, part: &KeptPart) -> Result<Option<Vec<u8>>, StoreError>;

    /// Gives what is in place names under which nothing reads it, and returns them.
    fn set_aside(&self, epoch: u64) -> Result<Vec<PathBuf>, StoreError>;

    /// Where to go on once what is in place was set aside: behind this number, the last that anything knows of.
    fn restart(&self, last: u64) -> Result<LogEnd, StoreError>;
}

/// The right to write, as long as the epoch is ours.
pub trait LogWriter: fmt::Debug + Send {
    /// Adds entries. They are durable when this returns; after an error nothing more may be added.
    fn append(&mut self, batch: &EntryBatch<'_>) -> Result<(), StoreError>;

    /// Puts a snapshot in place, which holds all entries. Durable when this returns.
    fn replace(&mut self, snapshot: &NewSnapshot<'_>) -> Result<(), StoreError>;

    /// Adds the last entries, and puts the snapshot in place that holds them too.
    fn append_and_replace(
        &mut self,
        batch: &EntryBatch<'_>,
        snapshot: &NewSnapshot<'_>,
    ) -> Result<(), StoreError> {
        self.append(batch)?;
        self.replace(snapshot)
    }
}

/// A snapshot and the entries behind it, put together.
#[derive(Debug)]
pub struct Replayed {
    pub state: Option<State>,
    /// The number of the entry before the first that is missing.
    pub gap: Option<u64>,
    /// The serial of the snapshot alone.
    pub serial: Option<u64>,
}

/// What a snapshot and numbered entries say together; entries that it holds already are left out.
pub fn replay_behind(
    snapshot: Option<&[u8]>,
    folder: &Path,
    place: PathBuf,
    entries: Vec<(u64, JournalEntry)>,
) -> Result<Replayed, StoreError> {
    let state = snapshot.map(decode_state).transpose().map_err(broken(folder, place))?;
    let serial = state.as_ref().map(|it| it.serial);
    let seen = state.as_ref().map_or(0, |it| it.sequence);
    let new: Vec<_> = entries.into_iter().filter(|(at, _)| *at > seen).collect();
    let mut expected = seen + 1..;
    let gap = new.iter().map(|(at, _)| *at).find(|at| expected.next() != Some(*at));
    let state = match gap {
        Some(_) => state,
        None => new.iter().fold(state, |state, (at, entry)| replay(state, *at, entry)),
    };
    Ok(Replayed { state, gap, serial })
}

/// Entries that are damaged behind this state.
pub fn damaged(
    folder: &Path,
    file: PathBuf,
    offset: usize,
    state: Option<&State>,
    source: CodecError,
) -> StoreError {
    let folder = folder.to_owned();
    match source {
        CodecError::Newer(_) => StoreError::Broken { folder, file, source },
        source => StoreError::Damaged {
            folder,
            file,
            offset,
            serial: state.map_or(0, |it| it.serial),
            entry: state.map_or(0, |it| it.sequence),
            source,
        },
    }
}

//! Where a state lives: the few verbs that leases, journals, snapshots, reports and memories are built over.
//!
//! [`Backend::read`], [`Backend::put`], [`Backend::list`] and [`Backend::delete`] are what every store has: who reads after a
//! write has returned, in whatever process, reads what was written; a put happens whole or not at all and is durable when it
//! returns; of any number who put under a condition at once, one is told [`PutOutcome::Written`]. The rest says what a store
//! can do beyond that, and what goes without saying where it cannot.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::engine::state::copies::{CopyStanding, WritePermission};
use crate::store::error::StoreError;
use crate::store::key::{HEAD, KeyPrefix, MOVED, SEALED, StoreKey};
use crate::store::seal_error::SealError;

/// How much is read at once where much is: as many requests as keep a store busy that takes 30 ms for each, without being taken
/// for a flood.
const READS_AT_ONCE: usize = 16;

/// Which bytes a key had: made by the store, compared by it alone. Two puts of equal bytes may have equal versions, so what is
/// put under a version differs from all that was put before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectVersion(pub String);

/// What is under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredObject {
    pub bytes: Vec<u8>,
    pub version: ObjectVersion,
}

/// When a put may take place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PutCondition<'a> {
    /// Whatever is there.
    Always,
    /// If nothing is there.
    Absent,
    /// If what is there is what was read or put with this version.
    Version(&'a ObjectVersion),
}

/// What became of a put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PutOutcome {
    Written(ObjectVersion),
    /// Somebody else was quicker, or the condition never held; nothing was changed.
    Refused,
}

impl PutOutcome {
    pub fn is_written(&self) -> bool {
        matches!(self, Self::Written(_))
    }

    #[must_use]
    pub fn map_version(self, map: impl FnOnce(ObjectVersion) -> ObjectVersion) -> Self {
        match self {
            Self::Written(version) => Self::Written(map(version)),
            Self::Refused => Self::Refused,
        }
    }
}

/// With whom a lock is shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockMode {
    /// With nobody; what is to be locked is made where it is missing.
    Exclusive,
    /// With whoever wants it shared as well; nothing is made for it.
    Shared,
}

/// What became of an attempt to lock, which never waits.
#[derive(Debug)]
pub enum LockAttempt {
    Locked(Box<dyn HeldLock>),
    /// A living process has it.
    Busy,
    /// There is nothing to lock.
    Missing,
    /// This store has no locks, and says why.
    Unsupported(io::Error),
}

/// A lock, until it is dropped: at the latest its process takes it along, however it ends.
pub trait HeldLock: fmt::Debug + Send + Sync {}

/// What became of a put that holds a lock.
#[derive(Debug)]
pub enum ClaimOutcome {
    /// It is ours; without a lock where the store has none.
    Claimed(Option<Box<dyn HeldLock>>),
    /// Somebody else was quicker; nothing was changed.
    Refused,
}

/// One store of one state.
pub trait Backend: fmt::Debug + Send + Sync {
    /// What is there, whole: never a part of what is being put.
    fn read(&self, key: &StoreKey) -> Result<Option<StoredObject>, StoreError>;

    /// Puts bytes under a key whose prefix was ensured. Where the reply of a store is lost, it finds out what became of the put
    /// before it returns; an error says that this could not be found out, or that nothing was put.
    fn put(
        &self,
        key: &StoreKey,
        bytes: &[u8],
        condition: PutCondition<'_>,
    ) -> Result<PutOutcome, StoreError>;

    /// The keys directly below a prefix, in their order; none where there is no such prefix.
    fn list(&self, prefix: &KeyPrefix) -> Result<Vec<StoreKey>, StoreError>;

    /// Removes what may be gone already.
    fn delete(&self, key: &StoreKey) -> Result<(), StoreError>;

    /// The names of all states that are kept beside this one, itself among them if it is there, in their order.
    fn neighbors(&self) -> Result<Vec<String>, StoreError>;

    /// Whether several threads ask it at once, as is quicker behind a network.
    fn is_concurrent(&self) -> bool {
        true
    }

    /// What messages call the store.
    fn root(&self) -> &Path;

    /// What is there, without its version.
    fn get(&self, key: &StoreKey) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.read(key)?.map(|it| it.bytes))
    }

    /// Which bytes a key has, whether anybody can make sense of them or not.
    fn version(&self, key: &StoreKey) -> Result<Option<ObjectVersion>, StoreError> {
        Ok(self.read(key)?.map(|it| it.version))
    }

    /// What is under these keys, in their order, some of it read at once.
    fn get_all(&self, keys: &[StoreKey]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        if !self.is_concurrent() {
            return keys.iter().map(|it| self.get(it)).collect();
        }
        let mut found = Vec::with_capacity(keys.len());
        for some in keys.chunks(READS_AT_ONCE) {
            let read: Vec<_> = std::thread::scope(|scope| {
                let all: Vec<_> =
                    some.iter().map(|key| scope.spawn(move || self.get(key))).collect();
                all.into_iter().map(|it| it.join().expect("reading does not panic")).collect()
            });
            for bytes in read {
                found.push(bytes?);
            }
        }
        Ok(found)
    }

    /// Removes many, in no order: after an error some of them may be there.
    fn delete_all(&self, keys: &[StoreKey]) -> Result<(), StoreError> {
        keys.iter().try_for_each(|it| self.delete(it))
    }

    /// Makes room for keys below a prefix, durably, where a store needs that.
    fn ensure_prefix(&self, _prefix: &KeyPrefix) -> Result<(), StoreError> {
        Ok(())
    }

    /// Whether what is in this store may be believed, and written to, at all: not if something else than lifeboat changes it.
    fn check_trusted(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Whether a lease may be taken in it, and its answers to puts under a condition can be believed. A store behind a network is
    /// tried out once; of two stores the permission says whether one may be written to alone.
    fn check_fit(&self, _permission: &WritePermission) -> Result<(), StoreError> {
        Ok(())
    }

    /// Once an epoch is claimed, and before anything is read: makes two stores equal. False: the epoch was claimed where the state
    /// is not written to any more, so it is none.
    fn begin_epoch(&self, _epoch: u64, _by: &str) -> Result<bool, StoreError> {
        Ok(true)
    }

    /// What was read is damaged; true: there may be another copy, which is read from now on, and nothing else of what was read counts.
    /// A lease that was being taken is taken again.
    fn distrust(&self, _why: &StoreError) -> bool {
        false
    }

    /// The lease is given back, or lost.
    fn end_epoch(&self) {}

    /// Whether it keeps two copies.
    fn has_mirror(&self) -> bool {
        false
    }

    /// Which of two copies was believed when they were looked at last; `None` where there is one.
    fn standing(&self) -> Option<CopyStanding> {
        None
    }

    /// How far the state had come at least, in the store that is read, as its stores record.
    fn least_sequence(&self) -> u64 {
        0
    }

    /// Whether it may be believed that there is no state: not where it is there in the other form, encrypted or in plain text.
    fn check_absent(&self) -> Result<(), StoreError> {
        if self.get(&HEAD.within(&SEALED))?.is_none() || self.get(&MOVED.within(&SEALED))?.is_some()
        {
            return Ok(());
        }
        Err(SealError::Undeclared { place: self.root().display().to_string() }.into())
    }

    /// What messages call a key.
    fn place(&self, key: &StoreKey) -> PathBuf {
        self.root().join(key.as_str())
    }

    /// What messages call a prefix.
    fn place_below(&self, prefix: &KeyPrefix) -> PathBuf {
        if *prefix == KeyPrefix::ROOT {
            return self.root().to_owned();
        }
        self.root().join(prefix.as_str())
    }

    /// Replaces what processes tell each other: whole for whoever reads it, and durable only where that comes with it. It speaks
    /// of processes, none of which outlives its machine. Told in vain where its prefix is gone.
    fn tell(&self, key: &StoreKey, bytes: &[u8]) -> Result<(), StoreError> {
        self.put(key, bytes, PutCondition::Always).map(drop)
    }

    /// Puts what is not there, and holds a lock on it from before anybody can read it; `bytes` is asked with whether it does.
    fn claim(
        &self,
        key: &StoreKey,
        bytes: &dyn Fn(bool) -> Vec<u8>,
    ) -> Result<ClaimOutcome, StoreError> {
        let put = self.put(key, &bytes(false), PutCondition::Absent)?;
        Ok(if put.is_written() { ClaimOutcome::Claimed(None) } else { ClaimOutcome::Refused })
    }

    /// Locks what has this name, if nobody else has it locked. The lock stays on that whatever it is called later. An error says
    /// that it cannot even be opened.
    fn lock(&self, _key: &StoreKey, _mode: LockMode) -> io::Result<LockAttempt> {
        let why = "this store has no locks that go with their process";
        Ok(LockAttempt::Unsupported(io::Error::new(io::ErrorKind::Unsupported, why)))
    }

    /// What the machines are called, from their start to their end, among whose processes a lock tells the living from the dead
    /// for certain; empty where nothing tells.
    fn machine(&self) -> String {
        String::new()
    }

    /// The store as files, if it is one: appended to, renamed, and given several names.
    fn files(self: Arc<Self>) -> Option<Arc<dyn FileBackend>> {
        None
    }
}

/// Asks a store two things: at once, where that is quicker.
pub fn both<A: Send, B: Send>(
    backend: &dyn Backend,
    one: impl FnOnce() -> A + Send,
    other: impl FnOnce() -> B,
) -> (A, B) {
    if !backend.is_concurrent() {
        return (one(), other());
    }
    std::thread::scope(|scope| {
        let one = scope.spawn(one);
        let other = other();
        (one.join().expect("asking does not panic"), other)
    })
}

/// Something that its maker, and nobody else, appends to. It stays what it is when it gets another name, or loses the one it has:
/// then what is appended is read by nobody.
pub trait Appender: fmt::Debug + Send + Sync {
    /// Adds bytes at the end.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// How many bytes it has.
    fn position(&mut self) -> io::Result<u64>;

    /// Cuts off what stands behind so many bytes.
    fn truncate(&mut self, length: u64) -> io::Result<()>;

    /// Makes its bytes durable.
    fn sync_data(&mut self) -> io::Result<()>;

    /// Makes its bytes durable, and what the store says of it.
    fn sync_all(&mut self) -> io::Result<()>;
}

/// A store whose keys are names of files. Errors are those of the system, with its kinds.
pub trait FileBackend: Backend {
    /// Makes room for keys below a prefix, where there is none yet.
    fn make_prefix(&self, prefix: &KeyPrefix) -> io::Result<()>;

    /// Something empty under this key, in place of what has it.
    fn create(&self, key: &StoreKey) -> io::Result<Box<dyn Appender>>;

    /// Gives something another name, in place of what has that. [`io::ErrorKind::NotFound`]: it has lost its own, since a new
    /// holder of the lease sweeps what others have prepared.
    fn rename(&self, from: &StoreKey, to: &StoreKey) -> io::Result<()>;

    /// Gives something one more name. [`io::ErrorKind::AlreadyExists`]: something has it, and keeps it; of any number who try
    /// at once, one has it. [`io::ErrorKind::NotFound`]: as for a rename.
    fn link(&self, from: &StoreKey, to: &StoreKey) -> io::Result<()>;

    /// Makes durable which names there are below a prefix, and what they name.
    fn sync_names(&self, prefix: &KeyPrefix) -> io::Result<()>;
}

//! Where a state lives: the verbs that leases, journals, snapshots, reports and memories are built over, and what each of them makes durable.
//!
//! [`Backend::get`], [`Backend::put`], [`Backend::list`] and [`Backend::delete`] are what every store has. What stands below them
//! is what the format of today's folders needs beyond that: a journal that is appended to, what is prepared first and gets
//! its name later, and locks that go with their process.
//!
//! # What is durable, and when
//!
//! *Durable* is what is there after the machine lost power, and *visible* what another process reads. Visible is everything at
//! once; durable is only what this says:
//!
//! - [`Appender::append`] alone makes nothing durable: after a crash what was appended may be there, in part, or not at all. What
//!   was appended is durable once [`Appender::sync_data`] has returned, and so is the length that
//!   [`Appender::truncate`] gave. [`Appender::sync_all`] does the same for what the store says of it as well (owner, mode,
//!   times).
//! - [`Backend::create`], [`Backend::rename`], [`Backend::link`] and [`Backend::delete`] make no *name* durable: after a crash each
//!   of them, and any of them without the others, may not have happened. They are durable once
//!   [`Backend::sync_names`] of their prefix has returned. Each happens whole or not at all: never is a name without what it names,
//!   and after a rename it names the old or the new.
//! - [`Backend::make_prefix`] is durable when it returns.
//! - What is made of these is made in one order: content, sync, name, sync of the names. So [`Backend::put`] and [`publish`] are
//!   durable when they return, and a crash before that leaves what was there or what was put, never a part.
//! - Nothing is promised of what nobody syncs: heartbeats, claims and stop flags ([`crate::store::lock_record`]) speak of
//!   processes, and no process outlives its machine; the names in the history, since nothing is lost with one.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::store::error::{StoreError, io as io_error};
use crate::store::key::{KeyPrefix, PREPARED, StoreKey};

/// When a put may take place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PutMode {
    /// Of any number who put at once, one is told [`PutOutcome::Written`].
    IfAbsent,
    /// Whatever is there.
    Replace,
}

/// What became of a put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PutOutcome {
    Written,
    /// Somebody else was quicker, or the key was there all along; nothing was changed.
    AlreadyThere,
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

/// One store of one state. Who reads after a write has returned, in whatever process, reads what was written.
pub trait Backend: fmt::Debug + Send + Sync {
    /// What is there, whole: never a part of what is being put.
    fn get(&self, key: &StoreKey) -> Result<Option<Vec<u8>>, StoreError>;

    /// The keys directly below a prefix, in their order; none where there is no such prefix.
    fn list(&self, prefix: &KeyPrefix) -> Result<Vec<StoreKey>, StoreError>;

    /// Removes what may be gone already.
    fn delete(&self, key: &StoreKey) -> Result<(), StoreError>;

    /// Puts bytes under a key whose prefix is there, whole or not at all. Durable when it returns.
    fn put(&self, key: &StoreKey, bytes: &[u8], mode: PutMode) -> Result<PutOutcome, StoreError> {
        let draft = draft_of(key);
        let put = write_draft(self, &draft, bytes).and_then(|_| match mode {
            PutMode::Replace => self.rename(&draft, key).map(|()| PutOutcome::Written),
            PutMode::IfAbsent => match self.link(&draft, key) {
                Err(why) if why.kind() == io::ErrorKind::AlreadyExists => {
                    Ok(PutOutcome::AlreadyThere)
                }
                linked => linked.map(|()| PutOutcome::Written),
            },
        });
        if put.is_err() || mode == PutMode::IfAbsent {
            // It was made by us a moment ago; what is left of it is in nobody's way.
            self.delete(&draft).ok();
        }
        let verb = match mode {
            PutMode::IfAbsent => "write",
            PutMode::Replace => "replace",
        };
        let outcome = put.map_err(io_error(verb, &self.place(key)))?;
        sync_names_of(self, key)?;
        Ok(outcome)
    }

    /// Whether what is in this store may be believed, and written to, at all: not if something else than lifeboat changes it.
    fn check_trusted(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// The names of all states that are kept beside this one, itself among them if it is there, in their order.
    fn neighbors(&self) -> Result<Vec<String>, StoreError>;

    /// What messages call the store.
    fn root(&self) -> &Path;

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

    // What today's folders need beyond this. Errors are those of the system, with its kinds.

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

    /// Locks what has this name, if nobody else has it locked. The lock stays on that whatever it is called later. An error says
    /// that it cannot even be opened.
    fn lock(&self, key: &StoreKey, mode: LockMode) -> io::Result<LockAttempt>;

    /// What the machines are called, from their start to their end, among whose processes a lock tells the living from the dead
    /// for certain; empty where nothing tells.
    fn machine(&self) -> String;
}

/// Something that has everything but its name.
#[derive(Debug)]
pub struct Prepared {
    pub draft: StoreKey,
    pub key: StoreKey,
    appender: Box<dyn Appender>,
}

/// Writes everything of a key but its name: durable, and read by nobody until it is published.
pub fn prepare(
    store: &dyn Backend,
    key: &StoreKey,
    epoch: u64,
    bytes: &[u8],
) -> Result<Prepared, StoreError> {
    let draft = key.prefix().key(&format!("{}.{epoch:08}.{PREPARED}", key.name()));
    let written = write_draft(store, &draft, bytes);
    let appender = written.map_err(io_error("write", &store.place(&draft)))?;
    Ok(Prepared { draft, key: key.clone(), appender })
}

/// Gives what was prepared its name, unless a new holder of the lease has swept it. Durable when it returns; what is appended
/// from now on stands under that name.
pub fn publish(store: &dyn Backend, prepared: Prepared) -> Result<Box<dyn Appender>, StoreError> {
    let Prepared { draft, key, appender } = prepared;
    store.rename(&draft, &key).map_err(io_error("replace", &store.place(&key)))?;
    sync_names_of(store, &key)?;
    Ok(appender)
}

/// The epoch of whose holder something was prepared; `None` if it was not.
pub fn prepared_in(key: &StoreKey) -> Option<u64> {
    let epoch = key.name().strip_suffix(PREPARED)?.strip_suffix('.')?.rsplit_once('.')?.1;
    epoch.parse().ok()
}

/// Makes room below a prefix, or says where there can be none.
pub fn ensure_prefix(store: &dyn Backend, prefix: &KeyPrefix) -> Result<(), StoreError> {
    store.make_prefix(prefix).map_err(io_error("make", &store.place_below(prefix)))
}

fn write_draft<B: Backend + ?Sized>(
    store: &B,
    draft: &StoreKey,
    bytes: &[u8],
) -> io::Result<Box<dyn Appender>> {
    let mut appender = store.create(draft)?;
    appender.append(bytes)?;
    appender.sync_all()?;
    Ok(appender)
}

fn sync_names_of<B: Backend + ?Sized>(store: &B, key: &StoreKey) -> Result<(), StoreError> {
    let prefix = key.prefix();
    store.sync_names(&prefix).map_err(io_error("sync", &store.place_below(&prefix)))
}

/// A name that nobody else uses, and that no list of what there is takes for one of its own.
fn draft_of(key: &StoreKey) -> StoreKey {
    let unique = uuid::Uuid::new_v4().simple();
    key.prefix().key(&format!(".{}.{unique}.{PREPARED}", key.name()))
}

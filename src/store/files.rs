//! What files can beside what every store can: they are appended to, get their names later, lose them, and have several.
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
//! - [`FileBackend::create`], [`FileBackend::rename`], [`FileBackend::link`] and [`crate::store::backend::Backend::delete`] make no *name* durable: after a crash each
//!   of them, and any of them without the others, may not have happened. They are durable once
//!   [`FileBackend::sync_names`] of their prefix has returned. Each happens whole or not at all: never is a name without what it names,
//!   and after a rename it names the old or the new.
//! - [`FileBackend::make_prefix`] is durable when it returns.
//! - What is made of these is made in one order: content, sync, name, sync of the names. So [`put_file`] and [`publish`] are
//!   durable when they return, and a crash before that leaves what was there or what was put, never a part.
//! - Nothing is promised of what nobody syncs: heartbeats, claims and stop flags ([`crate::store::lock_record`]) speak of
//!   processes, and no process outlives its machine; the names in the history, since nothing is lost with one.

use std::io;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use crate::store::backend::{
    Appender, ClaimOutcome, FileBackend, HeldLock, LockAttempt, LockMode, ObjectVersion,
    PutCondition, PutOutcome,
};
use crate::store::error::{StoreError, io as io_error};
use crate::store::key::{PREPARED, StoreKey};

/// How long a put under a version waits for others who put under one in the same store. Each holds the lock for a read and a
/// rename, milliseconds; whoever holds it for seconds is stopped.
const LOCK_WAIT_MAX: Duration = Duration::from_secs(10);

/// Something that has everything but its name.
#[derive(Debug)]
pub struct Prepared {
    pub draft: StoreKey,
    pub key: StoreKey,
    appender: Box<dyn Appender>,
}

/// Writes everything of a key but its name: durable, and read by nobody until it is published.
pub fn prepare(
    files: &dyn FileBackend,
    key: &StoreKey,
    epoch: u64,
    bytes: &[u8],
) -> Result<Prepared, StoreError> {
    let draft = key.prefix().key(&format!("{}.{epoch:08}.{PREPARED}", key.name()));
    let written = write_draft(files, &draft, bytes);
    let appender = written.map_err(io_error("write", &files.place(&draft)))?;
    Ok(Prepared { draft, key: key.clone(), appender })
}

/// Gives what was prepared its name, unless a new holder of the lease has swept it. Durable when it returns; what is appended
/// from now on stands under that name.
pub fn publish(
    files: &dyn FileBackend,
    prepared: Prepared,
) -> Result<Box<dyn Appender>, StoreError> {
    let Prepared { draft, key, appender } = prepared;
    files.rename(&draft, &key).map_err(io_error("replace", &files.place(&key)))?;
    sync_names_of(files, &key)?;
    Ok(appender)
}

/// The epoch of whose holder something was prepared; `None` if it was not.
pub fn prepared_in(key: &StoreKey) -> Option<u64> {
    let epoch = key.name().strip_suffix(PREPARED)?.strip_suffix('.')?.rsplit_once('.')?.1;
    epoch.parse().ok()
}

/// [`crate::store::backend::Backend::read`] of files: their version is the digest of their bytes.
pub fn version_of(bytes: &[u8]) -> ObjectVersion {
    ObjectVersion(data_encoding::HEXLOWER.encode(&Sha256::digest(bytes)[..16]))
}

/// [`crate::store::backend::Backend::put`] over files: a draft is written and synced, and gets the name by the one call that keeps the condition.
pub fn put_file(
    files: &dyn FileBackend,
    key: &StoreKey,
    bytes: &[u8],
    condition: PutCondition<'_>,
) -> Result<PutOutcome, StoreError> {
    // Nobody puts under a version while another does; what was put otherwise has no version that anybody compares.
    let _locked = match condition {
        PutCondition::Version(_) => Some(lock_for_put(files, key)?),
        PutCondition::Always | PutCondition::Absent => None,
    };
    if let PutCondition::Version(wanted) = condition
        && files.read(key)?.is_none_or(|it| it.version != *wanted)
    {
        return Ok(PutOutcome::Refused);
    }
    let draft = draft_of(key);
    let put = write_draft(files, &draft, bytes).and_then(|_| match condition {
        PutCondition::Always | PutCondition::Version(_) => {
            files.rename(&draft, key).map(|()| PutOutcome::Written(version_of(bytes)))
        }
        PutCondition::Absent => match files.link(&draft, key) {
            Err(why) if why.kind() == io::ErrorKind::AlreadyExists => Ok(PutOutcome::Refused),
            linked => linked.map(|()| PutOutcome::Written(version_of(bytes))),
        },
    });
    if put.is_err() || condition == PutCondition::Absent {
        // It was made by us a moment ago; what is left of it is in nobody's way.
        files.delete(&draft).ok();
    }
    let verb = if condition == PutCondition::Absent { "write" } else { "replace" };
    let outcome = put.map_err(io_error(verb, &files.place(key)))?;
    sync_names_of(files, key)?;
    Ok(outcome)
}

/// [`crate::store::backend::Backend::tell`] over files: nothing is synced, since a durable record would cost as much as an entry of the journal.
pub fn tell_file(files: &dyn FileBackend, key: &StoreKey, bytes: &[u8]) -> Result<(), StoreError> {
    let draft = unnamed(key);
    let made = files.create(&draft);
    let told = made.and_then(|mut it| it.append(bytes)).and_then(|()| files.rename(&draft, key));
    if told.is_err() {
        files.delete(&draft).ok();
    }
    match told {
        // Swept: nobody will read it.
        Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(()),
        told => told.map_err(io_error("write", &files.place(key))),
    }
}

/// [`crate::store::backend::Backend::claim`] over files: whole and locked before it gets its name, which fails if the name is taken.
pub fn claim_file(
    files: &dyn FileBackend,
    key: &StoreKey,
    bytes: &dyn Fn(bool) -> Vec<u8>,
) -> Result<ClaimOutcome, StoreError> {
    let wrong = |it: &StoreKey| io_error("write", &files.place(it));
    let draft = unnamed(key);
    let mut appender = files.create(&draft).map_err(wrong(&draft))?;
    let lock = match files.lock(&draft, LockMode::Exclusive) {
        Ok(LockAttempt::Locked(lock)) => Some(lock),
        Ok(LockAttempt::Busy | LockAttempt::Missing | LockAttempt::Unsupported(_)) | Err(_) => None,
    };
    let text = bytes(lock.is_some());
    let linked = appender.append(&text).and_then(|()| files.link(&draft, key));
    files.delete(&draft).ok();
    use io::ErrorKind::{AlreadyExists, NotFound};
    match linked {
        // Not found: a newer holder has swept it away.
        Err(why) if matches!(why.kind(), AlreadyExists | NotFound) => Ok(ClaimOutcome::Refused),
        linked => linked.map(|()| ClaimOutcome::Claimed(lock)).map_err(wrong(key)),
    }
}

fn lock_for_put(files: &dyn FileBackend, key: &StoreKey) -> Result<Box<dyn HeldLock>, StoreError> {
    let name = key.prefix().key(".put.lock");
    let wrong = || io_error("lock", &files.place(&name));
    let began = Instant::now();
    loop {
        match files.lock(&name, LockMode::Exclusive).map_err(wrong())? {
            LockAttempt::Locked(lock) => return Ok(lock),
            LockAttempt::Busy if began.elapsed() < LOCK_WAIT_MAX => {
                std::thread::sleep(Duration::from_millis(1));
            }
            LockAttempt::Busy => {
                let why = "another process has been writing for 10 s; it may be stopped";
                return Err(wrong()(io::Error::new(io::ErrorKind::TimedOut, why)));
            }
            LockAttempt::Missing => return Err(wrong()(io::ErrorKind::NotFound.into())),
            LockAttempt::Unsupported(why) => return Err(wrong()(why)),
        }
    }
}

fn write_draft(
    files: &dyn FileBackend,
    draft: &StoreKey,
    bytes: &[u8],
) -> io::Result<Box<dyn Appender>> {
    let mut appender = files.create(draft)?;
    appender.append(bytes)?;
    appender.sync_all()?;
    Ok(appender)
}

fn sync_names_of(files: &dyn FileBackend, key: &StoreKey) -> Result<(), StoreError> {
    let prefix = key.prefix();
    files.sync_names(&prefix).map_err(io_error("sync", &files.place_below(&prefix)))
}

/// A name that nobody else uses, and that no list of what there is takes for one of its own.
fn draft_of(key: &StoreKey) -> StoreKey {
    let unique = uuid::Uuid::new_v4().simple();
    key.prefix().key(&format!(".{}.{unique}.{PREPARED}", key.name()))
}

/// A name that nobody else uses, for a record on its way to its own; it is swept with its epoch.
fn unnamed(key: &StoreKey) -> StoreKey {
    key.prefix().key(&format!("{}.{}.{PREPARED}", key.name(), uuid::Uuid::new_v4()))
}

//! A store in memory whose machine may lose power: what was not synced is lost, torn or kept then, in every combination.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::store::backend::{
    Appender, Backend, ClaimOutcome, FileBackend, HeldLock, LockAttempt, LockMode, PutCondition,
    PutOutcome, StoredObject,
};
use crate::store::error::{StoreError, io as io_error};
use crate::store::files::{claim_file, put_file, tell_file, version_of};
use crate::store::key::{HISTORY, KeyPrefix, LEASE, StoreKey};

/// How many of the newest changes of names below one prefix are undone one by one; older ones go together. A snapshot that is put
/// in place and one that is kept take as many.
const APART_MAX: usize = 3;

/// What a crash leaves of bytes that nobody synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UnsyncedBytes {
    Lost,
    /// The first half of them.
    Torn,
    /// As many as there were, and what they were is lost.
    Zeroed,
    Kept,
}

const UNSYNCED: [UnsyncedBytes; 4] =
    [UnsyncedBytes::Lost, UnsyncedBytes::Torn, UnsyncedBytes::Zeroed, UnsyncedBytes::Kept];

/// What every name gives.
type NamedBytes = BTreeMap<StoreKey, Vec<u8>>;

#[derive(Debug)]
pub(crate) struct LossyBackend {
    root: PathBuf,
    disk: Arc<Mutex<LossyDisk>>,
}

#[derive(Debug, Default)]
struct LossyDisk {
    files: Vec<LossyFile>,
    names: BTreeMap<StoreKey, usize>,
    durable_names: BTreeMap<StoreKey, usize>,
    /// What was done to names since those below their prefix were synced, in its order.
    unsynced: Vec<NameChange>,
    prefixes: BTreeSet<KeyPrefix>,
    locks: BTreeMap<usize, (LockMode, usize)>,
    /// How many calls that change something are left until power fails.
    left: Option<u64>,
    is_off: bool,
}

#[derive(Debug, Clone, Default)]
struct LossyFile {
    bytes: Vec<u8>,
    durable: Vec<u8>,
}

/// One change, which happens as a whole or not at all.
#[derive(Debug, Clone)]
struct NameChange {
    prefix: KeyPrefix,
    to: Vec<(StoreKey, Option<usize>)>,
}

#[derive(Debug)]
struct LossyAppender {
    disk: Arc<Mutex<LossyDisk>>,
    file: usize,
}

#[derive(Debug)]
struct LossyLock {
    disk: Arc<Mutex<LossyDisk>>,
    file: usize,
}

impl LossyBackend {
    /// With so many calls that change something before power fails; without end if that is not said.
    pub(crate) fn new(left: Option<u64>) -> Arc<Self> {
        let disk = LossyDisk { left, ..LossyDisk::default() };
        let root = PathBuf::from("/lossy/state/shop");
        Arc::new(Self { root, disk: Arc::new(Mutex::new(disk)) })
    }

    /// The same disk in another machine, which has power for so many calls.
    pub(crate) fn powered(&self, left: Option<u64>) -> Arc<Self> {
        let disk = self.disk();
        let named = disk.after_crash(UnsyncedBytes::Kept, |_| true);
        let it = Self::holding(named, disk.prefixes.clone());
        it.disk().left = left;
        it
    }

    pub(crate) fn is_off(&self) -> bool {
        self.disk().is_off
    }

    /// The store as its machine finds it when it has power again: one for every combination of what may have been lost.
    pub(crate) fn crash(&self) -> Vec<Arc<Self>> {
        let disk = self.disk();
        let groups = disk.groups();
        let mut found = BTreeSet::new();
        for chosen in 0_u32..1 << groups.len() {
            let is_kept = |at: usize| {
                let group = groups.iter().position(|it| it.contains(&at));
                chosen & (1 << group.expect("every change is in a group")) != 0
            };
            for unsynced in UNSYNCED {
                found.insert(disk.after_crash(unsynced, is_kept));
            }
        }
        let prefixes = &disk.prefixes;
        found.into_iter().map(|it| Self::holding(it, prefixes.clone())).collect()
    }

    /// A disk on which all of this is durable.
    fn holding(named: NamedBytes, prefixes: BTreeSet<KeyPrefix>) -> Arc<Self> {
        let it = Self::new(None);
        let mut disk = it.disk();
        disk.prefixes = prefixes;
        for (at, (key, bytes)) in named.into_iter().enumerate() {
            disk.files.push(LossyFile { durable: bytes.clone(), bytes });
            disk.names.insert(key.clone(), at);
            disk.durable_names.insert(key, at);
        }
        drop(disk);
        it
    }

    fn disk(&self) -> MutexGuard<'_, LossyDisk> {
        self.disk.lock().unwrap()
    }

    fn change<T>(
        &self,
        verb: &'static str,
        key: &StoreKey,
        act: impl FnOnce(&mut LossyDisk) -> io::Result<T>,
    ) -> Result<T, StoreError> {
        let mut disk = self.disk();
        disk.spend().and_then(|()| act(&mut disk)).map_err(io_error(verb, &self.place(key)))
    }
}

fn gone() -> io::Error {
    io::ErrorKind::NotFound.into()
}

impl LossyDisk {
    fn check_on(&self) -> io::Result<()> {
        if self.is_off { Err(io::Error::other("the power is off")) } else { Ok(()) }
    }

    /// Before a call that changes something: power fails instead of the one after the last.
    fn spend(&mut self) -> io::Result<()> {
        match &mut self.left {
            Some(0) => self.is_off = true,
            Some(left) => *left -= 1,
            None => {}
        }
        self.check_on()
    }

    fn rename(&mut self, to: Vec<(StoreKey, Option<usize>)>) {
        let prefix = to[0].0.prefix();
        assert!(to.iter().all(|(key, _)| key.prefix() == prefix), "one sync makes it durable");
        for (key, file) in &to {
            match file {
                Some(file) => self.names.insert(key.clone(), *file),
                None => self.names.remove(key),
            };
        }
        self.unsynced.push(NameChange { prefix, to });
    }

    /// Changes that are undone together. Nobody ever syncs the names of leases and of the history, so there are many of them.
    fn groups(&self) -> Vec<Vec<usize>> {
        let mut below: BTreeMap<&KeyPrefix, Vec<usize>> = BTreeMap::new();
        for (at, change) in self.unsynced.iter().enumerate() {
            below.entry(&change.prefix).or_default().push(at);
        }
        let mut groups = Vec::new();
        for (prefix, changes) in below {
            let apart = match prefix.as_str() {
                it if it == LEASE.as_str() => 0,
                it if it == HISTORY.as_str() => 1,
                _ => APART_MAX,
            };
            let (older, newest) = changes.split_at(changes.len().saturating_sub(apart));
            groups.push(older.to_vec());
            groups.extend(newest.iter().map(|it| vec![*it]));
        }
        groups.retain(|it| !it.is_empty());
        groups
    }

    fn after_crash(&self, unsynced: UnsyncedBytes, is_kept: impl Fn(usize) -> bool) -> NamedBytes {
        let mut names = self.durable_names.clone();
        let kept = self.unsynced.iter().enumerate().filter(|(at, _)| is_kept(*at));
        for (_, change) in kept {
            for (key, file) in &change.to {
                match file {
                    Some(file) => names.insert(key.clone(), *file),
                    None => names.remove(key),
                };
            }
        }
        names.into_iter().map(|(key, file)| (key, self.files[file].after_crash(unsynced))).collect()
    }
}

impl LossyFile {
    fn after_crash(&self, unsynced: UnsyncedBytes) -> Vec<u8> {
        let Some(new) = self.bytes.strip_prefix(&self.durable[..]) else {
            // It was cut off: as a whole or not at all.
            let is_kept = unsynced == UnsyncedBytes::Kept;
            return if is_kept { self.bytes.clone() } else { self.durable.clone() };
        };
        let rest = match unsynced {
            UnsyncedBytes::Lost => Vec::new(),
            UnsyncedBytes::Torn => new[..new.len() / 2].to_vec(),
            UnsyncedBytes::Zeroed => vec![0; new.len()],
            UnsyncedBytes::Kept => new.to_vec(),
        };
        [self.durable.clone(), rest].concat()
    }
}

impl Backend for LossyBackend {
    fn read(&self, key: &StoreKey) -> Result<Option<StoredObject>, StoreError> {
        let disk = self.disk();
        disk.check_on().map_err(io_error("read", &self.place(key)))?;
        let bytes = disk.names.get(key).map(|it| disk.files[*it].bytes.clone());
        Ok(bytes.map(|bytes| StoredObject { version: version_of(&bytes), bytes }))
    }

    fn put(
        &self,
        key: &StoreKey,
        bytes: &[u8],
        condition: PutCondition<'_>,
    ) -> Result<PutOutcome, StoreError> {
        put_file(self, key, bytes, condition)
    }

    fn ensure_prefix(&self, prefix: &KeyPrefix) -> Result<(), StoreError> {
        self.make_prefix(prefix).map_err(io_error("make", &self.place_below(prefix)))
    }

    fn tell(&self, key: &StoreKey, bytes: &[u8]) -> Result<(), StoreError> {
        tell_file(self, key, bytes)
    }

    fn claim(
        &self,
        key: &StoreKey,
        bytes: &dyn Fn(bool) -> Vec<u8>,
    ) -> Result<ClaimOutcome, StoreError> {
        claim_file(self, key, bytes)
    }

    fn list(&self, prefix: &KeyPrefix) -> Result<Vec<StoreKey>, StoreError> {
        let disk = self.disk();
        disk.check_on().map_err(io_error("list", &self.place_below(prefix)))?;
        Ok(disk.names.keys().filter(|it| it.prefix() == *prefix).cloned().collect())
    }

    fn delete(&self, key: &StoreKey) -> Result<(), StoreError> {
        self.change("remove", key, |disk| {
            if disk.names.contains_key(key) {
                disk.rename(vec![(key.clone(), None)]);
            }
            Ok(())
        })
    }

    fn neighbors(&self) -> Result<Vec<String>, StoreError> {
        Ok(vec!["shop".into()])
    }

    fn root(&self) -> &Path {
        &self.root
    }

    fn lock(&self, key: &StoreKey, mode: LockMode) -> io::Result<LockAttempt> {
        if mode == LockMode::Exclusive && !self.disk().names.contains_key(key) {
            drop(self.create(key)?);
        }
        let mut disk = self.disk();
        disk.check_on()?;
        let Some(file) = disk.names.get(key).copied() else { return Ok(LockAttempt::Missing) };
        let held = disk.locks.entry(file).or_insert((mode, 0));
        if held.1 > 0 && (held.0 == LockMode::Exclusive || mode == LockMode::Exclusive) {
            return Ok(LockAttempt::Busy);
        }
        *held = (mode, held.1 + 1);
        Ok(LockAttempt::Locked(Box::new(LossyLock { disk: Arc::clone(&self.disk), file })))
    }

    fn machine(&self) -> String {
        "lossy".into()
    }

    fn files(self: Arc<Self>) -> Option<Arc<dyn FileBackend>> {
        Some(self)
    }
}

impl FileBackend for LossyBackend {
    fn make_prefix(&self, prefix: &KeyPrefix) -> io::Result<()> {
        let mut disk = self.disk();
        disk.spend()?;
        disk.prefixes.extend([KeyPrefix::ROOT, prefix.clone()]);
        Ok(())
    }

    fn create(&self, key: &StoreKey) -> io::Result<Box<dyn Appender>> {
        let mut disk = self.disk();
        disk.spend()?;
        if !disk.prefixes.contains(&key.prefix()) {
            return Err(gone());
        }
        let file = disk.files.len();
        disk.files.push(LossyFile::default());
        disk.rename(vec![(key.clone(), Some(file))]);
        Ok(Box::new(LossyAppender { disk: Arc::clone(&self.disk), file }))
    }

    fn rename(&self, from: &StoreKey, to: &StoreKey) -> io::Result<()> {
        let mut disk = self.disk();
        disk.spend()?;
        let file = *disk.names.get(from).ok_or_else(gone)?;
        disk.rename(vec![(from.clone(), None), (to.clone(), Some(file))]);
        Ok(())
    }

    fn link(&self, from: &StoreKey, to: &StoreKey) -> io::Result<()> {
        let mut disk = self.disk();
        disk.spend()?;
        let file = *disk.names.get(from).ok_or_else(gone)?;
        if !disk.prefixes.contains(&to.prefix()) {
            return Err(gone());
        }
        if disk.names.contains_key(to) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        disk.rename(vec![(to.clone(), Some(file))]);
        Ok(())
    }

    fn sync_names(&self, prefix: &KeyPrefix) -> io::Result<()> {
        let mut disk = self.disk();
        disk.spend()?;
        disk.unsynced.retain(|it| it.prefix != *prefix);
        let synced: Vec<_> = disk.names.iter().filter(|(it, _)| it.prefix() == *prefix).collect();
        let synced: Vec<_> = synced.into_iter().map(|(key, file)| (key.clone(), *file)).collect();
        disk.durable_names.retain(|it, _| it.prefix() != *prefix);
        disk.durable_names.extend(synced);
        Ok(())
    }
}

impl LossyAppender {
    fn change(&self, act: impl FnOnce(&mut LossyFile)) -> io::Result<()> {
        let mut disk = self.disk.lock().unwrap();
        disk.spend()?;
        act(&mut disk.files[self.file]);
        Ok(())
    }
}

impl Appender for LossyAppender {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.change(|it| it.bytes.extend_from_slice(bytes))
    }

    fn position(&mut self) -> io::Result<u64> {
        Ok(self.disk.lock().unwrap().files[self.file].bytes.len() as u64)
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.change(|it| it.bytes.truncate(usize::try_from(length).unwrap()))
    }

    fn sync_data(&mut self) -> io::Result<()> {
        self.change(|it| it.durable.clone_from(&it.bytes))
    }

    fn sync_all(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}

impl HeldLock for LossyLock {}

impl Drop for LossyLock {
    fn drop(&mut self) {
        if let Some((_, holders)) = self.disk.lock().unwrap().locks.get_mut(&self.file) {
            *holders -= 1;
        }
    }
}

#[test]
fn what_nobody_synced_may_be_lost_and_what_somebody_did_is_not() {
    let key = |it: &str| StoreKey::parse(it).unwrap();
    let (one, two) = (key("one"), key("two"));
    let store = LossyBackend::new(None);
    store.make_prefix(&KeyPrefix::ROOT).unwrap();
    let mut file = store.create(&one).unwrap();
    store.sync_names(&KeyPrefix::ROOT).unwrap();
    file.append(b"ab").unwrap();
    let found = |key: &StoreKey| -> BTreeSet<Option<Vec<u8>>> {
        store.crash().iter().map(|it| it.get(key).unwrap()).collect()
    };
    let of = |it: &[&[u8]]| -> BTreeSet<Option<Vec<u8>>> {
        it.iter().map(|it| Some(it.to_vec())).collect()
    };
    assert_eq!(found(&one), of(&[b"", b"a", b"\0\0", b"ab"]));
    file.sync_data().unwrap();
    assert_eq!(found(&one), of(&[b"ab"]));
    store.rename(&one, &two).unwrap();
    assert_eq!(found(&two), [None, Some(b"ab".to_vec())].into());
    let both = store.crash().into_iter().map(|it| it.list(&KeyPrefix::ROOT).unwrap());
    assert!(both.into_iter().all(|it| it.len() == 1), "it has one name or the other");
    store.sync_names(&KeyPrefix::ROOT).unwrap();
    assert_eq!((found(&one), found(&two)), ([None].into(), of(&[b"ab"])));
    file.truncate(1).unwrap();
    assert_eq!(found(&two), of(&[b"a", b"ab"]));
}

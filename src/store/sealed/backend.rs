//! A store that encrypts what is put into it, in another store: all but who holds the lease, and where the state went.
//!
//! It is a store of its own below `sealed/`, so a state becomes encrypted, or plain again, by a move from one store into another: at no
//! time are both in force. Leases, heartbeats and the word of a move hold no values, and are read by who has no key.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use crate::engine::state::copies::WritePermission;
use crate::store::backend::{
    Backend, ClaimOutcome, LockAttempt, LockMode, ObjectVersion, PutCondition, PutOutcome,
    StoredObject,
};
use crate::store::error::{StoreError, broken};
use crate::store::key::{
    HEAD, JOURNAL, KeyPrefix, LEASE, MOVED, SEALED, SNAPSHOT, STORES, StoreKey,
};
use crate::store::seal_error::SealError;
use crate::store::sealed::declared::StateEncryption;
use crate::store::sealed::seal::{OpenError, header, open, seal};
use crate::store::sealed::secret_key::{KeyRing, of_environment};

/// Of which state a store is, and how commands name it.
#[derive(Debug, Clone)]
pub struct SealedPlace {
    /// `shop@drill`
    pub state: String,
    /// The stack alone.
    pub stack: String,
    /// The store, as `state migrate` is told it.
    pub to: String,
}

/// What is encrypted in another store.
#[derive(Debug)]
pub struct SealedBackend {
    inner: Arc<dyn Backend>,
    place: SealedPlace,
    declared: StateEncryption,
    /// Read at the first need: who only asks for the lease needs none.
    keys: OnceLock<Result<KeyRing, SealError>>,
}

/// What became of one object when keys were replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resealed {
    /// It has the newest key already, or is gone.
    Unchanged,
    Changed,
}

impl SealedBackend {
    pub fn new(inner: Arc<dyn Backend>, place: SealedPlace, declared: StateEncryption) -> Self {
        Self { inner, place, declared, keys: OnceLock::new() }
    }

    /// With these keys, whatever the environment holds.
    #[must_use]
    pub fn with_keys(self, keys: KeyRing) -> Self {
        Self { keys: OnceLock::from(Ok(keys)), ..self }
    }

    pub fn keys(&self) -> Result<&KeyRing, SealError> {
        let read = || {
            let place = format!("the state in {}", self.root().display());
            KeyRing::read(&self.declared, &place, of_environment)
        };
        self.keys.get_or_init(read).as_ref().map_err(Clone::clone)
    }

    /// As what a key is encrypted: the same everywhere in a store, and in no other state.
    fn name(&self, key: &StoreKey) -> String {
        format!("{}/{key}", self.place.state)
    }

    fn seal(&self, key: &StoreKey, bytes: &[u8]) -> Result<Vec<u8>, StoreError> {
        if is_plain(key) {
            return Ok(bytes.to_vec());
        }
        Ok(seal(self.keys()?.current(), &self.name(key), bytes))
    }

    fn open(&self, key: &StoreKey, bytes: Vec<u8>) -> Result<Vec<u8>, StoreError> {
        if is_plain(key) {
            return Ok(bytes);
        }
        let keys = self.keys()?;
        open(keys, &self.name(key), &bytes).map_err(|why| match why {
            OpenError::Damaged(why) => broken(self.root(), self.place(key))(why),
            OpenError::WrongKey(sealed) => {
                let place = self.place(key).display().to_string();
                SealError::WrongKey { place, sealed, held: keys.names() }.into()
            }
        })
    }

    /// Encrypts with the newest key what is encrypted with an older one.
    pub fn reseal(&self, key: &StoreKey) -> Result<Resealed, StoreError> {
        let Some(found) = self.inner.read(&inside(key))? else {
            return Ok(Resealed::Unchanged);
        };
        let newest = self.keys()?.current().id();
        let is_new = header(&found.bytes).is_ok_and(|it| it.key.id == newest);
        let version = found.version;
        // Also what has the newest key has to open.
        let bytes = self.open(key, found.bytes)?;
        if is_new {
            return Ok(Resealed::Unchanged);
        }
        let put = self.put(key, &bytes, PutCondition::Version(&version))?;
        Ok(if put.is_written() { Resealed::Changed } else { Resealed::Unchanged })
    }
}

/// What is there for who has no key.
fn is_plain(key: &StoreKey) -> bool {
    *key == MOVED || *key == STORES || key.prefix() == LEASE
}

/// Where it stands in the other store. Which stores there are is said once, whatever form the state has in them.
fn inside(key: &StoreKey) -> StoreKey {
    if *key == STORES { key.clone() } else { key.within(&SEALED) }
}

fn outside(prefix: &KeyPrefix) -> impl Fn(&StoreKey) -> StoreKey {
    let prefix = prefix.clone();
    move |it| prefix.key(it.name())
}

impl Backend for SealedBackend {
    fn read(&self, key: &StoreKey) -> Result<Option<StoredObject>, StoreError> {
        let Some(found) = self.inner.read(&inside(key))? else { return Ok(None) };
        let StoredObject { bytes, version } = found;
        Ok(Some(StoredObject { bytes: self.open(key, bytes)?, version }))
    }

    fn put(
        &self,
        key: &StoreKey,
        bytes: &[u8],
        condition: PutCondition<'_>,
    ) -> Result<PutOutcome, StoreError> {
        let bytes = self.seal(key, bytes)?;
        // A log in objects expects that a store needs no room to be made.
        self.inner.ensure_prefix(&key.prefix().within(&SEALED))?;
        self.inner.put(&inside(key), &bytes, condition)
    }

    fn list(&self, prefix: &KeyPrefix) -> Result<Vec<StoreKey>, StoreError> {
        let keys = self.inner.list(&prefix.within(&SEALED))?;
        Ok(keys.iter().map(outside(prefix)).collect())
    }

    fn delete(&self, key: &StoreKey) -> Result<(), StoreError> {
        self.inner.delete(&inside(key))
    }

    fn neighbors(&self) -> Result<Vec<String>, StoreError> {
        self.inner.neighbors()
    }

    fn root(&self) -> &Path {
        self.inner.root()
    }

    fn get(&self, key: &StoreKey) -> Result<Option<Vec<u8>>, StoreError> {
        let found = self.inner.get(&inside(key))?;
        found.map(|it| self.open(key, it)).transpose()
    }

    fn version(&self, key: &StoreKey) -> Result<Option<ObjectVersion>, StoreError> {
        self.inner.version(&inside(key))
    }

    fn get_all(&self, keys: &[StoreKey]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        let inside: Vec<_> = keys.iter().map(inside).collect();
        let found = self.inner.get_all(&inside)?.into_iter().zip(keys);
        found.map(|(bytes, key)| bytes.map(|it| self.open(key, it)).transpose()).collect()
    }

    fn delete_all(&self, keys: &[StoreKey]) -> Result<(), StoreError> {
        let inside: Vec<_> = keys.iter().map(inside).collect();
        self.inner.delete_all(&inside)
    }

    fn ensure_prefix(&self, prefix: &KeyPrefix) -> Result<(), StoreError> {
        self.inner.ensure_prefix(&prefix.within(&SEALED))
    }

    fn check_trusted(&self) -> Result<(), StoreError> {
        self.keys()?;
        self.inner.check_trusted()
    }

    fn check_fit(&self, permission: &WritePermission) -> Result<(), StoreError> {
        self.keys()?;
        self.inner.check_fit(permission)
    }

    fn begin_epoch(&self, epoch: u64, by: &str) -> Result<bool, StoreError> {
        self.inner.begin_epoch(epoch, by)
    }

    fn end_epoch(&self) {
        self.inner.end_epoch();
    }

    fn is_concurrent(&self) -> bool {
        self.inner.is_concurrent()
    }

    fn check_absent(&self) -> Result<(), StoreError> {
        if self.inner.get(&MOVED)?.is_some() {
            return Ok(());
        }
        for key in [&SNAPSHOT, &JOURNAL, &HEAD] {
            if self.inner.get(key)?.is_some() {
                let SealedPlace { stack, to, .. } = self.place.clone();
                let place = self.root().display().to_string();
                let variable = self.declared.key_env.clone();
                return Err(SealError::InPlain { place, stack, to, variable }.into());
            }
        }
        Ok(())
    }

    fn place(&self, key: &StoreKey) -> PathBuf {
        self.inner.place(&inside(key))
    }

    fn place_below(&self, prefix: &KeyPrefix) -> PathBuf {
        self.inner.place_below(&prefix.within(&SEALED))
    }

    fn tell(&self, key: &StoreKey, bytes: &[u8]) -> Result<(), StoreError> {
        self.inner.tell(&inside(key), &self.seal(key, bytes)?)
    }

    fn claim(
        &self,
        key: &StoreKey,
        bytes: &dyn Fn(bool) -> Vec<u8>,
    ) -> Result<ClaimOutcome, StoreError> {
        if is_plain(key) {
            return self.inner.claim(&inside(key), bytes);
        }
        let (current, name) = (self.keys()?.current(), self.name(key));
        self.inner.claim(&inside(key), &|is_locked| seal(current, &name, &bytes(is_locked)))
    }

    fn lock(&self, key: &StoreKey, mode: LockMode) -> io::Result<LockAttempt> {
        self.inner.lock(&inside(key), mode)
    }

    fn machine(&self) -> String {
        self.inner.machine()
    }
}

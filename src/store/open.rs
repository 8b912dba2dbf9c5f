//! The store at a place, for one state.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use crate::engine::state::copies::WritePermission;
use crate::engine::state::copies_error::check_named;
use crate::engine::state::stores_record::{ActiveStores, NamedStores, StoresRecord};
use crate::store::backend::{Backend, PutCondition, PutOutcome, StoredObject};
use crate::store::error::StoreError;
use crate::store::key::{KeyPrefix, StoreKey};
use crate::store::lock_record::wall;
use crate::store::mirror::look::{LookMemory, MirrorStores};
use crate::store::mirror::pair::MirroredBackend;
use crate::store::mirror::record::{new_id, read_record, write_record};
use crate::store::remote::dynamodb::DynamoBackend;
use crate::store::remote::location::{DeclaredStores, StoreLocation, StoreProtocol};
use crate::store::remote::probe::{is_probed, mark_probed, probe_races};
use crate::store::remote::s3::S3Backend;

/// A store behind a network, which is tried out before the first lease is taken in it.
#[derive(Debug)]
struct TriedStore {
    inner: Arc<dyn Backend>,
    location: StoreLocation,
    /// The stores of the state, where this is the only one.
    named: Option<NamedStores>,
    /// What it records was read, and it is this one alone.
    is_recorded: AtomicBool,
    /// It was found fit by this process.
    is_fit: OnceLock<()>,
}

impl Backend for TriedStore {
    fn read(&self, key: &StoreKey) -> Result<Option<StoredObject>, StoreError> {
        self.inner.read(key)
    }

    fn put(
        &self,
        key: &StoreKey,
        bytes: &[u8],
        condition: PutCondition<'_>,
    ) -> Result<PutOutcome, StoreError> {
        self.inner.put(key, bytes, condition)
    }

    fn list(&self, prefix: &KeyPrefix) -> Result<Vec<StoreKey>, StoreError> {
        self.inner.list(prefix)
    }

    fn delete(&self, key: &StoreKey) -> Result<(), StoreError> {
        self.inner.delete(key)
    }

    fn neighbors(&self) -> Result<Vec<String>, StoreError> {
        self.inner.neighbors()
    }

    fn root(&self) -> &Path {
        self.inner.root()
    }

    fn get(&self, key: &StoreKey) -> Result<Option<Vec<u8>>, StoreError> {
        self.inner.get(key)
    }

    fn get_all(&self, keys: &[StoreKey]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        self.inner.get_all(keys)
    }

    fn delete_all(&self, keys: &[StoreKey]) -> Result<(), StoreError> {
        self.inner.delete_all(keys)
    }

    fn place(&self, key: &StoreKey) -> PathBuf {
        self.inner.place(key)
    }

    fn place_below(&self, prefix: &KeyPrefix) -> PathBuf {
        self.inner.place_below(prefix)
    }

    fn check_trusted(&self) -> Result<(), StoreError> {
        let Some(named) = &self.named else { return Ok(()) };
        let record = read_record(&*self.inner)?;
        check_named(named, record.as_ref().map(|(it, _)| it)).map_err(|why| {
            let folder = self.root().to_owned();
            StoreError::Copies { folder, why }
        })?;
        self.is_recorded.store(record.is_some(), Ordering::Relaxed);
        Ok(())
    }

    /// Leaves word that this is the only store, so that nobody takes it for one of two.
    fn begin_epoch(&self, _epoch: u64, by: &str) -> Result<bool, StoreError> {
        let Some(named) = self.named.clone() else { return Ok(true) };
        if !self.is_recorded.load(Ordering::Relaxed) && read_record(&*self.inner)?.is_none() {
            let (active, by) = (ActiveStores::All, by.to_owned());
            let (generation, id, before) = (1, new_id(), Vec::new());
            let record = StoresRecord { generation, id, before, named, active, by, at: wall() };
            write_record(&*self.inner, None, &record)?;
        }
        Ok(true)
    }

    fn check_fit(&self, permission: &WritePermission) -> Result<(), StoreError> {
        // What a table is may change at any time; how a store races does not.
        self.inner.check_fit(permission)?;
        if self.is_fit.get().is_none() {
            let store = self.location.to_string();
            if !is_probed(&*self.inner, &store)? {
                probe_races(&*self.inner, &self.location.name())?;
                mark_probed(&*self.inner, &store)?;
            }
            self.is_fit.set(()).ok();
        }
        Ok(())
    }
}

/// The store of a state, or its stores as one. Connects to nothing before the first request.
pub fn open_declared(stores: &DeclaredStores, state: &str) -> Arc<dyn Backend> {
    mirrored(stores, &open, state)
}

/// The same, with copies of a state of this name that are opened so; where there is no mirror, the primary store as it is.
pub fn mirrored(
    stores: &DeclaredStores,
    side: &dyn Fn(&StoreLocation, &str) -> Arc<dyn Backend>,
    state: &str,
) -> Arc<dyn Backend> {
    let Some(mirror) = &stores.mirror else {
        return tried(&stores.primary, state, Some(stores.named()));
    };
    let of = |state: &str, stack| MirrorStores {
        stores: [side(&stores.primary, state), side(mirror, state)],
        // It keeps no state.
        witness: stores.witness.as_ref().map(|it| open(it, state)),
        named: stores.named(),
        domains: [stores.primary.fault_domain.clone(), mirror.fault_domain.clone()],
        stack,
        memory: LookMemory::default(),
    };
    let stack = state.split_once('@').map(|(stack, _)| Box::new(of(stack, None)));
    Arc::new(MirroredBackend::new(of(state, stack)))
}

/// One store, whatever others there are.
pub fn open(location: &StoreLocation, state: &str) -> Arc<dyn Backend> {
    tried(location, state, None)
}

fn tried(location: &StoreLocation, state: &str, named: Option<NamedStores>) -> Arc<dyn Backend> {
    let inner: Arc<dyn Backend> = match location.protocol {
        StoreProtocol::S3 => Arc::new(S3Backend::new(location, state)),
        StoreProtocol::DynamoDb => Arc::new(DynamoBackend::new(location, state)),
    };
    Arc::new(TriedStore {
        inner,
        location: location.clone(),
        named,
        is_recorded: AtomicBool::new(false),
        is_fit: OnceLock::new(),
    })
}

/// Before a store is first written to, and before each lease in it: whether its answers can be believed. The race is run once, and the
/// store remembers it; what a table is may change at any time, and is asked each time.
pub fn ensure_fit(location: &StoreLocation, state: &str) -> Result<(), StoreError> {
    open(location, state).check_fit(&WritePermission::Ordinary)
}

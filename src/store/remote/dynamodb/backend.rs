//! The verbs of a store, in a table: a key is an item, and its version is an attribute that each put makes anew.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::{StreamExt as _, TryStreamExt as _};

use crate::engine::state::copies::WritePermission;
use crate::store::backend::{Backend, ObjectVersion, PutCondition, PutOutcome, StoredObject};
use crate::store::error::{RemoteFault, StoreError, io as io_error};
use crate::store::key::{KeyPrefix, StoreKey};
use crate::store::remote::attempts::{FailedRequest, Patience, RequestEffect, repeated};
use crate::store::remote::dynamodb::fault::KEYS_IN_WORDS;
use crate::store::remote::dynamodb::put::WantedVersion;
use crate::store::remote::dynamodb::table::{
    SORT, StateTable, VERSION, key_of, primary_key, sort_key, text_in,
};
use crate::store::remote::location::StoreLocation;
use crate::store::remote::runtime::StoreRuntime;

/// How many items are removed at once: more would only be throttled.
const DELETES_AT_ONCE: usize = 16;

/// One state in a table.
#[derive(Debug)]
pub struct DynamoBackend {
    root: PathBuf,
    table: Arc<StateTable>,
    runtime: StoreRuntime,
}

impl DynamoBackend {
    /// Connects to nothing yet.
    pub fn new(location: &StoreLocation, state: &str) -> Self {
        let root = PathBuf::from(format!("{}/{state}", location.name()));
        let table = Arc::new(StateTable::new(location, state));
        Self { root, table, runtime: StoreRuntime::default() }
    }

    /// [`StoreError::Unfit`] if the table has other keys, or can hold no lease.
    pub fn ensure_fit_for_leases(&self) -> Result<(), StoreError> {
        let table = Arc::clone(&self.table);
        let checked =
            self.run("describe the table of", &self.root, async move { table.check().await })?;
        checked.map_err(|seen| {
            let advice = format!(
                "create a table of its own for states, in one region, with {KEYS_IN_WORDS}; a second copy is a `mirror`"
            );
            StoreError::Unfit { store: self.table.location.name(), seen, advice }
        })
    }

    fn run<T: Send + 'static>(
        &self,
        verb: &'static str,
        place: &Path,
        work: impl Future<Output = Result<T, FailedRequest>> + Send + 'static,
    ) -> Result<T, StoreError> {
        let ended = self.runtime.run(work).map_err(io_error(verb, place))?;
        ended.map_err(|failed| failed.told(verb, place.display(), &self.table.location))
    }
}

impl Backend for DynamoBackend {
    fn read(&self, key: &StoreKey) -> Result<Option<StoredObject>, StoreError> {
        let (table, asked) = (Arc::clone(&self.table), key.clone());
        self.run("read", &self.place(key), async move { read(&table, &asked).await })
    }

    fn put(
        &self,
        key: &StoreKey,
        bytes: &[u8],
        condition: PutCondition<'_>,
    ) -> Result<PutOutcome, StoreError> {
        let (table, asked) = (Arc::clone(&self.table), key.clone());
        let (bytes, wanted) = (bytes.to_vec(), WantedVersion::from(condition));
        self.run("write", &self.place(key), async move {
            table.register().await?;
            table.put(&asked, &bytes, &wanted).await
        })
    }

    fn list(&self, prefix: &KeyPrefix) -> Result<Vec<StoreKey>, StoreError> {
        let (table, prefix) = (Arc::clone(&self.table), prefix.clone());
        let place = self.place_below(&prefix);
        self.run("list", &place, async move {
            let beginning = format!("{}/", prefix.as_str());
            let found = table.query(&table.partition, &beginning, VERSION).await?;
            let sorts = found.iter().filter_map(|it| text_in(it, SORT));
            let mut keys: Vec<StoreKey> = sorts.filter_map(key_of).collect();
            keys.retain(|it| it.prefix() == prefix);
            keys.sort();
            Ok(keys)
        })
    }

    fn delete(&self, key: &StoreKey) -> Result<(), StoreError> {
        let (table, asked) = (Arc::clone(&self.table), key.clone());
        self.run("remove", &self.place(key), async move { delete(&table, &asked).await })
    }

    fn delete_all(&self, keys: &[StoreKey]) -> Result<(), StoreError> {
        let (table, keys) = (Arc::clone(&self.table), keys.to_vec());
        self.run("remove from", &self.root, async move {
            let all = futures_util::stream::iter(keys).map(|key| {
                let table = Arc::clone(&table);
                async move { delete(&table, &key).await }
            });
            all.buffer_unordered(DELETES_AT_ONCE).try_collect().await
        })
    }

    fn check_fit(&self, _: &WritePermission) -> Result<(), StoreError> {
        self.ensure_fit_for_leases()
    }

    fn neighbors(&self) -> Result<Vec<String>, StoreError> {
        let table = Arc::clone(&self.table);
        self.run("list", &self.root, async move { table.neighbors().await })
    }

    fn root(&self) -> &Path {
        &self.root
    }
}

/// A pointer whose chunks are not there was replaced between the two requests, so that it is read again; where it stays as it
/// is, its chunks are lost.
async fn read(table: &StateTable, key: &StoreKey) -> Result<Option<StoredObject>, FailedRequest> {
    let mut patience = Patience::new();
    let mut seen: Option<String> = None;
    loop {
        let Some(item) = repeated(|| table.item_once(key)).await? else { return Ok(None) };
        let Some(version) = text_in(&item, VERSION).map(str::to_owned) else {
            let words = "an item in the table was not written by lifeboat: it has no version";
            return Err(FailedRequest::new(RemoteFault::Malformed, RequestEffect::None, words));
        };
        if let Some(bytes) = table.bytes_of(&item).await? {
            return Ok(Some(StoredObject { bytes, version: ObjectVersion(version) }));
        }
        let words = "chunks of it are missing from the table";
        if seen.replace(version.clone()) == Some(version) {
            return Err(FailedRequest::new(RemoteFault::Malformed, RequestEffect::None, words));
        }
        let replaced = FailedRequest::new(RemoteFault::Throttled, RequestEffect::None, words);
        if !patience.again(&replaced).await {
            return Err(replaced);
        }
    }
}

async fn delete(table: &StateTable, key: &StoreKey) -> Result<(), FailedRequest> {
    let removed = table.remove_item(&primary_key(&table.partition, &sort_key(key))).await?;
    match removed {
        Some(removed) => table.remove_chunks_of(&removed).await,
        None => Ok(()),
    }
}

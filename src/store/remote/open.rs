//! The store at a place, for one state.

use std::sync::Arc;

use crate::store::backend::Backend;
use crate::store::error::StoreError;
use crate::store::remote::dynamodb::DynamoBackend;
use crate::store::remote::location::{StoreLocation, StoreProtocol};
use crate::store::remote::probe::{is_probed, mark_probed, probe_races};
use crate::store::remote::s3::S3Backend;

/// Connects to nothing before the first request.
pub fn open(location: &StoreLocation, state: &str) -> Arc<dyn Backend> {
    match location.protocol {
        StoreProtocol::S3 => Arc::new(S3Backend::new(location, state)),
        StoreProtocol::DynamoDb => Arc::new(DynamoBackend::new(location, state)),
    }
}

/// Before a store is first written to, and before the first lease in it: whether its answers can be believed. It is asked once,
/// and the store remembers that it was.
pub fn ensure_fit(location: &StoreLocation, state: &str) -> Result<(), StoreError> {
    let backend = open(location, state);
    let store = location.to_string();
    if is_probed(&*backend, &store)? {
        return Ok(());
    }
    if location.protocol == StoreProtocol::DynamoDb {
        let checked = DynamoBackend::new(location, state).check_table()?;
        checked.map_err(|seen| {
            let advice = "create a table of its own for states, with the partition key `state` (String) and the sort key `key` (String), in one region; a second copy is a `mirror`".into();
            StoreError::Unfit { store: location.name(), seen, advice }
        })?;
    }
    probe_races(&*backend, &location.name())?;
    mark_probed(&*backend, &store)
}

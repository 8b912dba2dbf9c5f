//! Removes what a state has left in one form, plain or encrypted, once it is there in the other.

use crate::engine::state::chain::{LogHead, encode_head};
use crate::store::backend::PutCondition;
use crate::store::error::StoreError;
use crate::store::key::{
    APPROVALS, DISCARDED, ENTRIES, HEAD, HISTORY, JOURNAL, KeyPrefix, MOVED, PLANS, PREPARED,
    REPORTS, SNAPSHOT, SNAPSHOTS, StoreKey,
};
use crate::store::state_store::StateStore;

impl StateStore {
    /// Everything but the lease and the word of where the state went. In an order in which whoever is cut off leaves a state that can
    /// be read, or none: the next attempt goes on from there.
    pub fn clear_left(&self) -> Result<(), StoreError> {
        let backend = self.backend();
        backend.delete(&JOURNAL)?;
        backend.delete(&SNAPSHOT)?;
        for prefix in [&ENTRIES, &HISTORY] {
            backend.delete_all(&backend.list(prefix)?)?;
        }
        if let Some(version) = backend.version(&HEAD)? {
            // A head that names nothing: one that is missing beside snapshots is taken for damage.
            let empty = encode_head(&LogHead::empty(0));
            backend.put(&HEAD, &empty, PutCondition::Version(&version))?;
        }
        for prefix in [&SNAPSHOTS, &DISCARDED, &REPORTS, &APPROVALS, &PLANS] {
            backend.delete_all(&backend.list(prefix)?)?;
        }
        backend.delete(&HEAD)?;
        let mut rest = backend.list(&KeyPrefix::ROOT)?;
        rest.retain(is_left);
        backend.delete_all(&rest)
    }
}

/// A memory of a watcher, or a draft that somebody was cut off over.
fn is_left(key: &StoreKey) -> bool {
    let is_memory = key.name().starts_with("watch-") && key.ending() == Some("json");
    (is_memory || key.ending() == Some(PREPARED)) && *key != MOVED
}

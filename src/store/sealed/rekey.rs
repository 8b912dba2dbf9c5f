//! Replaces the key of an encrypted state: each object is encrypted anew, one after the other, and readers have both keys meanwhile.

use crate::store::backend::Backend as _;
use crate::store::error::StoreError;
use crate::store::key::{
    APPROVALS, DISCARDED, ENTRIES, HEAD, HISTORY, KeyPrefix, MOVED, PLANS, PREPARED, REPORTS,
    SNAPSHOTS, StoreKey,
};
use crate::store::sealed::backend::{Resealed, SealedBackend};

/// What is encrypted stands below these.
static SEALED_PREFIXES: [&KeyPrefix; 8] =
    [&ENTRIES, &SNAPSHOTS, &HISTORY, &DISCARDED, &REPORTS, &APPROVALS, &PLANS, &KeyPrefix::ROOT];

/// What was encrypted anew.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rekeyed {
    /// All that there is.
    pub objects: usize,
    /// Those of it that had another key.
    pub changed: usize,
}

impl SealedBackend {
    /// Encrypts all of it with the newest key, and opens all of it. Who calls it holds the lease; what is cut off is gone on with by
    /// the next call.
    pub fn rekey(&self) -> Result<Rekeyed, StoreError> {
        let mut done = Rekeyed::default();
        for prefix in SEALED_PREFIXES {
            let keys = self.list(prefix)?;
            for key in keys.iter().filter(|it| is_object(it)) {
                done.objects += 1;
                done.changed += usize::from(self.reseal(key)? == Resealed::Changed);
            }
        }
        Ok(done)
    }
}

/// Neither a folder, nor a draft that somebody was cut off over, nor a lock.
fn is_object(key: &StoreKey) -> bool {
    let is_root = key.prefix() == KeyPrefix::ROOT;
    let is_memory = key.ending() == Some("json") && *key != MOVED;
    !key.name().starts_with('.')
        && key.ending() != Some(PREPARED)
        && (!is_root || *key == HEAD || is_memory)
}

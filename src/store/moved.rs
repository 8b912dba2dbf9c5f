//! What stays behind where a state was: who reads or writes there is told where it went.

use serde::{Deserialize, Serialize};

use crate::store::backend::{Backend, PutCondition};
use crate::store::error::StoreError;
use crate::store::key::{KeyPrefix, MOVED};

/// The format of what is written; a newer one is read as far as it is understood, since it refuses either way.
const VERSION: u32 = 1;

/// Where a state went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    version: u32,
    /// The address of a store, or `folder`.
    pub to: String,
    pub by: String,
    /// In milliseconds since the Unix epoch.
    pub at: i64,
    /// The number of the last entry that changed anything and was copied; `None`: there was no state.
    #[serde(default)]
    pub touched: Option<u64>,
}

impl Moved {
    pub fn new(to: &str, by: &str, at: i64) -> Self {
        Self { version: VERSION, to: to.into(), by: by.into(), at, touched: None }
    }

    /// The same of a state that was copied up to this entry.
    #[must_use]
    pub fn of_copy(&self, touched: Option<u64>) -> Self {
        Self { touched, ..self.clone() }
    }
}

/// Refuses a store whose state has moved on.
pub fn check_here(backend: &dyn Backend) -> Result<(), StoreError> {
    let Some(bytes) = backend.get(&MOVED)? else { return Ok(()) };
    let elsewhere = || Moved::new("another store", "somebody", 0);
    let word: Moved = serde_json::from_slice(&bytes).unwrap_or_else(|_| elsewhere());
    let Moved { to, by, touched, .. } = word;
    Err(StoreError::Moved { folder: backend.root().to_owned(), to, by, touched })
}

/// Leaves word, durably.
pub fn leave(backend: &dyn Backend, moved: &Moved) -> Result<(), StoreError> {
    let bytes = serde_json::to_vec(moved).expect("plain data serialises");
    backend.ensure_prefix(&KeyPrefix::ROOT)?;
    backend.put(&MOVED, &bytes, PutCondition::Always).map(drop)
}

/// A state that comes back takes the word away.
pub fn take_away(backend: &dyn Backend) -> Result<(), StoreError> {
    backend.delete(&MOVED)
}

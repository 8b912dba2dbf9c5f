//! What a store records of all stores of its state.

use crate::engine::state::codec::CodecError;
use crate::engine::state::stores_record::{StoresRecord, decode_record, encode_record};
use crate::store::backend::{Backend, ObjectVersion, PutCondition, PutOutcome};
use crate::store::error::{StoreError, broken};
use crate::store::key::{KeyPrefix, STORES};

/// What no other record is called.
pub fn new_id() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

/// What is recorded, and its version there.
pub type ReadRecord = Option<(StoresRecord, ObjectVersion)>;

/// What this store records; `None`: nothing yet.
pub fn read_record(backend: &dyn Backend) -> Result<ReadRecord, StoreError> {
    let Some(found) = backend.read(&STORES)? else { return Ok(None) };
    let wrong = |why: CodecError| broken(backend.root(), backend.place(&STORES))(why);
    Ok(Some((decode_record(&found.bytes).map_err(wrong)?, found.version)))
}

/// What a store records, whether anybody can make sense of it or not.
#[derive(Debug, Clone, Default)]
pub struct SeenRecord {
    pub record: Option<StoresRecord>,
    /// `None`: there is nothing.
    pub version: Option<ObjectVersion>,
    /// Why it cannot be understood.
    pub damage: Option<String>,
}

/// The same of a store that may have been damaged.
pub fn see_record(backend: &dyn Backend) -> Result<SeenRecord, StoreError> {
    match read_record(backend) {
        Ok(read) => {
            let (record, version) = read.unzip();
            Ok(SeenRecord { record, version, damage: None })
        }
        Err(why) if why.is_damage() => {
            let (version, damage) = (backend.version(&STORES)?, Some(why.to_string()));
            Ok(SeenRecord { record: None, version, damage })
        }
        Err(why) => Err(why),
    }
}

/// Puts a record in the place of what has this version; false: somebody else was quicker.
pub fn write_record(
    backend: &dyn Backend,
    version: Option<&ObjectVersion>,
    record: &StoresRecord,
) -> Result<bool, StoreError> {
    backend.ensure_prefix(&KeyPrefix::ROOT)?;
    let condition = version.map_or(PutCondition::Absent, PutCondition::Version);
    let put = backend.put(&STORES, &encode_record(record), condition)?;
    Ok(matches!(put, PutOutcome::Written(_)))
}

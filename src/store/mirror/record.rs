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

/// Puts a record in the place of what was read; false: somebody else was quicker.
pub fn write_record(
    backend: &dyn Backend,
    read: &ReadRecord,
    record: &StoresRecord,
) -> Result<bool, StoreError> {
    backend.ensure_prefix(&KeyPrefix::ROOT)?;
    let condition = match read {
        None => PutCondition::Absent,
        Some((_, version)) => PutCondition::Version(version),
    };
    let put = backend.put(&STORES, &encode_record(record), condition)?;
    Ok(matches!(put, PutOutcome::Written(_)))
}

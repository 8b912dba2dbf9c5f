//! An epoch that was just claimed: whether it counts, and what of earlier ones goes with it.

use crate::store::backend::{Backend, both};
use crate::store::error::StoreError;
use crate::store::keep_alive::{LeaseGuard, RenewalState};
use crate::store::lock_record::LockRecords;
use crate::store::log::{FenceOutcome, HeadSight, StateLog};

/// What became of a claim just made.
pub(super) enum Confirmation {
    /// It is the newest, and earlier holders are kept off.
    Newest(FenceOutcome),
    /// There is a newer one.
    Outrun,
    /// It was made where the state is not written to any more.
    Elsewhere,
}

/// Whether an epoch that was just claimed is the newest; then earlier holders are kept off. In a store that answers late both are asked
/// at once: the head does not go back to an older epoch.
pub(super) fn fenced(
    (backend, log, claims): (&dyn Backend, &dyn StateLog, &LockRecords),
    (epoch, seen): (u64, Option<HeadSight>),
    owner: &str,
) -> Result<Confirmation, StoreError> {
    if backend.is_concurrent() && !backend.has_mirror() {
        let (is_newest, fenced) =
            both(backend, || claims.confirm(epoch), || log.fence(epoch, seen));
        return Ok(if is_newest? { Confirmation::Newest(fenced?) } else { Confirmation::Outrun });
    }
    if !claims.confirm(epoch)? {
        return Ok(Confirmation::Outrun);
    }
    if !backend.begin_epoch(epoch, owner)? {
        return Ok(Confirmation::Elsewhere);
    }
    Ok(Confirmation::Newest(log.fence(epoch, seen)?))
}

/// Removes what belongs to earlier holders, once the own heartbeat says what theirs do: how far the state has come.
pub(super) fn sweep(
    (backend, claims): (&dyn Backend, &LockRecords),
    guard: &LeaseGuard,
    (epoch, reached): (u64, RenewalState),
) -> Result<(), StoreError> {
    let (older, ()) = both(backend, || claims.older(epoch), || guard.knows(reached));
    let older = older?;
    if older.is_empty() { Ok(()) } else { backend.delete_all(&older) }
}

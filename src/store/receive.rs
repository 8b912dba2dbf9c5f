//! Puts a state that comes from another store in place, with what stands beside it.

use crate::engine::state::record::State;
use crate::store::backend::PutCondition;
use crate::store::error::{HeldBy, StoreError};
use crate::store::key::{APPROVALS, KeyPrefix, REPORTS, StoreKey};
use crate::store::lease::Lease;
use crate::store::log::LoadedState;
use crate::store::moved;
use crate::store::state_store::{Claimant, StateStore};

impl StateStore {
    /// Puts a state in place under a lease of this store, which is returned. What is there already must be nothing, or an older
    /// copy of the same state, as a move that was cut off leaves it: everything else is refused and stays.
    pub fn receive(
        &self,
        owner: &str,
        command: &str,
        at: i64,
        state: &State,
    ) -> Result<Lease, StoreError> {
        self.backend().check_trusted()?;
        self.backend().check_fit()?;
        let after = self.free_after(&mut |_| {})?;
        let who = Claimant { owner, command, at, aim: None };
        let claimed = self.claim(who, after, None, |store| {
            let there = store.log().read()?.state;
            if let Some(there) = there.filter(|it| !is_older_copy(it, state)) {
                let (folder, lineage) = (store.folder().to_owned(), there.lineage);
                return Err(StoreError::Occupied { folder, lineage, serial: there.serial });
            }
            let end = store.log().restart(state.sequence)?;
            Ok(LoadedState { state: Some(state.clone()), end })
        })?;
        let Some((mut lease, _)) = claimed else {
            return Err(self.held("another process".into(), HeldBy::Loose));
        };
        lease.replace(state)?;
        moved::take_away(&**self.backend())?;
        Ok(lease)
    }

    /// Copies reports, approvals and watchers' memories from the store that a state was in.
    pub fn receive_beside(&self, from: &Self) -> Result<(), StoreError> {
        let (from, to) = (from.backend(), self.backend());
        for prefix in [&KeyPrefix::ROOT, &REPORTS, &APPROVALS] {
            let mut keys = from.list(prefix)?;
            keys.retain(|it| *prefix != KeyPrefix::ROOT || is_memory(it));
            if !keys.is_empty() {
                to.ensure_prefix(prefix)?;
            }
            for (key, bytes) in keys.iter().zip(from.get_all(&keys)?) {
                let Some(bytes) = bytes else { continue };
                to.put(key, &bytes, PutCondition::Always)?;
            }
        }
        Ok(())
    }
}

fn is_older_copy(there: &State, state: &State) -> bool {
    there.lineage == state.lineage && there.serial <= state.serial
}

/// What a watcher remembers: `watch-failover_eu.json`.
fn is_memory(key: &StoreKey) -> bool {
    key.name().starts_with("watch-") && key.ending() == Some("json")
}

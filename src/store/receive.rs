//! Puts a state that comes from another store in place, with what stands beside it.

use crate::engine::state::codec::{decode_state, read_journal};
use crate::engine::state::copies::WritePermission;
use crate::engine::state::journal::JournalEntry;
use crate::engine::state::record::State;
use crate::store::backend::PutCondition;
use crate::store::error::{HeldBy, StoreError, broken};
use crate::store::key::{APPROVALS, KeyPrefix, PLANS, REPORTS, StoreKey};
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
        self.backend().check_fit(&WritePermission::Ordinary)?;
        let after = self.free_after(&mut |_| {})?;
        let who = Claimant { owner, command, at, aim: None };
        let claimed = self.claim(who, after, None, |store| {
            store.check_takes(state)?;
            let end = store.log().restart(state.sequence)?;
            Ok(Some(LoadedState { state: Some(state.clone()), end }))
        })?;
        let Some((mut lease, _)) = claimed else {
            return Err(self.held("another process".into(), HeldBy::Loose));
        };
        lease.replace(state)?;
        moved::take_away(&**self.backend())?;
        Ok(lease)
    }

    /// Refuses to lose what is there: a state of another life, a newer one, and work that was done behind a copy.
    fn check_takes(&self, state: &State) -> Result<(), StoreError> {
        let Some((there, saved)) = self.in_force()? else { return Ok(()) };
        let is_copy = there.lineage == state.lineage
            && there.touched <= saved
            && (there.serial < state.serial || is_same(&there, state));
        if is_copy {
            return Ok(());
        }
        let (folder, lineage) = (self.folder().to_owned(), there.lineage);
        Err(StoreError::Occupied { folder, lineage, serial: there.serial })
    }

    /// The state that is there, and the number of the last entry that its snapshot holds. What a move that was cut off has left
    /// is none: entries that found nothing, without a snapshot.
    fn in_force(&self) -> Result<Option<(State, u64)>, StoreError> {
        let (place, snapshot) = self.log().snapshot()?;
        let founds = |it: &(u64, JournalEntry)| matches!(it.1, JournalEntry::Founded { .. });
        let is_founded = || -> Result<bool, StoreError> {
            Ok(read_journal(&self.log().entries()?.1).entries.iter().any(founds))
        };
        if snapshot.is_none() && self.log().kept()?.is_empty() && !is_founded()? {
            return Ok(None);
        }
        let saved = snapshot.map(|it| decode_state(&it)).transpose();
        let saved = saved.map_err(broken(self.folder(), place))?.map_or(0, |it| it.sequence);
        Ok(self.log().read()?.state.map(|it| (it, saved)))
    }

    /// Whether a state is there, whatever it is.
    pub fn is_occupied(&self) -> Result<bool, StoreError> {
        Ok(self.in_force()?.is_some())
    }

    /// Copies reports, approvals, stored plans and watchers' memories from the store that a state was in.
    pub fn receive_beside(&self, from: &Self) -> Result<(), StoreError> {
        let (from, to) = (from.backend(), self.backend());
        for prefix in [&KeyPrefix::ROOT, &REPORTS, &APPROVALS, &PLANS] {
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

/// Apart from what a lease alone changes.
fn is_same(there: &State, state: &State) -> bool {
    let State { sequence, touched, epoch, .. } = *state;
    *state == State { sequence, touched, epoch, ..there.clone() }
}

/// What a watcher remembers: `watch-failover_eu.json`.
fn is_memory(key: &StoreKey) -> bool {
    key.name().starts_with("watch-") && key.ending() == Some("json")
}

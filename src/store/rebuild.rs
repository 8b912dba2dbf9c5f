//! Puts a state in place that was read from the clouds, where none is left.

use std::path::PathBuf;

use crate::engine::state::codec::last_number;
use crate::engine::state::copies::WritePermission;
use crate::engine::state::record::State;
use crate::store::error::{HeldBy, StoreError};
use crate::store::key::{HEAD, SNAPSHOT};
use crate::store::known_serials::KnownSerials;
use crate::store::log::LoadedState;
use crate::store::restore::Restored;
use crate::store::state_store::{Claimant, StateStore};

impl StateStore {
    /// Refuses where a state is there, and where one can be restored: only what is lost is read from the clouds.
    pub fn check_lost(&self) -> Result<(), StoreError> {
        match self.load() {
            Ok(None) => Ok(()),
            // It was rebuilt, and nothing was done with it: somebody may know more by now.
            Ok(Some(there)) if there.is_restored && there.last_run.is_none() => Ok(()),
            Ok(Some(there)) => {
                let (folder, lineage) = (self.folder().to_owned(), there.lineage);
                Err(StoreError::Occupied { folder, lineage, serial: there.serial })
            }
            Err(why) => {
                let is_damage = matches!(
                    why,
                    StoreError::Broken { .. }
                        | StoreError::Damaged { .. }
                        | StoreError::Outdated { .. }
                        | StoreError::Integrity { .. }
                        | StoreError::NothingWhole { .. }
                );
                if is_damage && self.restorable()?.is_none() { Ok(()) } else { Err(why) }
            }
        }
    }

    /// Puts it in place under a lease, one serial further than anything that is known; what is there is put aside.
    pub fn rebuild(
        &self,
        owner: &str,
        command: &str,
        at: i64,
        state: &State,
    ) -> Result<Restored, StoreError> {
        self.check_lost()?;
        self.backend().check_fit(&WritePermission::Ordinary)?;
        let mut is_there = !self.log().entries()?.1.is_empty();
        for key in [&SNAPSHOT, &HEAD] {
            is_there |= self.backend().version(key)?.is_some();
        }
        let after = self.free_after(&mut |_| {})?;
        let who = Claimant { owner, command, at, aim: None };
        let mut aside: Vec<PathBuf> = Vec::new();
        let leased = self.claim(who, after, None, |store| {
            // Somebody may have been quicker.
            store.check_lost()?;
            let known = KnownSerials::of(store.backend(), store.log())?;
            let (serial, mut last) = known.highest();
            let (_, entries) = store.log().entries()?;
            last = last.max(last_number(&entries)).max(state.sequence);
            if is_there {
                aside = store.log().set_aside(after.epoch + 1)?;
            }
            let end = store.log().restart(last)?;
            let numbered = State {
                serial: serial.max(state.serial) + 1,
                sequence: last,
                touched: last,
                ..state.clone()
            };
            Ok(Some(LoadedState { state: Some(numbered), end }))
        })?;
        let Some((mut lease, Some(state))) = leased else {
            return Err(self.held("another process".into(), HeldBy::Loose));
        };
        lease.replace(&state)?;
        Ok(Restored { state, aside })
    }
}

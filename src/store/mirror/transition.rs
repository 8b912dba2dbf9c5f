//! What the holder of a new lease does before it reads: makes two copies equal, or records who goes on alone.

use std::sync::Arc;

use crate::engine::state::copies::{CopyRelation, CopySight};
use crate::engine::state::stores_record::{ActiveStores, AloneReason, StoreRole, StoresRecord};
use crate::store::backend::Backend;
use crate::store::error::StoreError;
use crate::store::known_serials::{KnownSerials, OutdatedState};
use crate::store::lock_record::wall;
use crate::store::log::StateLog;
use crate::store::mirror::catch_up::{CatchUp, StoredCopy, copy_beside};
use crate::store::mirror::look::{MirrorLook, MirrorStores, index};
use crate::store::mirror::record::{SeenRecord, new_id, write_record};
use crate::store::object_log::ObjectLog;

/// From what was seen to what is written to from now on. Each step ends with the record that is in force; `None`: somebody was
/// quicker, and all of it is looked at again.
pub struct Transition<'a> {
    pub stores: &'a MirrorStores,
    pub look: &'a MirrorLook,
    /// The epoch that was claimed.
    pub epoch: u64,
    pub by: &'a str,
}

impl Transition<'_> {
    fn side(&self, role: StoreRole) -> &dyn Backend {
        &**self.stores.store(role)
    }

    fn read_of(&self, role: StoreRole) -> Option<&SeenRecord> {
        self.look.copies[index(role)].as_ref().map(|it| &it.record)
    }

    fn write(&self, role: StoreRole, record: &StoresRecord) -> Result<bool, StoreError> {
        let version = self.read_of(role).and_then(|it| it.version.as_ref());
        write_record(self.side(role), version, record)
    }

    /// Also what lies beside a copy, and knows more than it does.
    fn read(&self, role: StoreRole) -> Result<(), StoreError> {
        let store = self.stores.store(role);
        let log: Arc<dyn StateLog> = Arc::new(ObjectLog::new(Arc::clone(store)));
        let state = log.read()?.state;
        let known = KnownSerials::of(store, &log)?;
        match known.lacking(state.as_ref()) {
            None => Ok(()),
            Some(OutdatedState { what, told_by }) => {
                let (folder, has) = (store.root().to_owned(), state.map(|it| it.serial));
                Err(StoreError::Outdated { folder, has, what, told_by })
            }
        }
    }

    /// Whether all of a copy can be read, and is as it was written; what is not is remembered. A copy that nobody ever reads is none.
    fn is_whole(&self, role: StoreRole) -> Result<bool, StoreError> {
        match self.read(role) {
            Ok(()) => Ok(true),
            Err(why) if why.is_incomplete() => {
                self.stores.mark_damaged(role, &why);
                tracing::warn!(%why, "the copy in {role} is damaged");
                Ok(false)
            }
            Err(why) => Err(why),
        }
    }

    /// Alone from now on, in this store; `new`: since now.
    pub fn alone(
        &self,
        role: StoreRole,
        new: Option<AloneReason>,
    ) -> Result<Option<StoresRecord>, StoreError> {
        let Some(reason) = new else {
            let Some(record) = self.look.sight.record() else { return Ok(None) };
            // The witness may know it alone, where whoever wrote it there was killed.
            let told = self.read_of(role).and_then(|it| it.record.as_ref());
            let is_ours = told == Some(record) || self.write(role, record)?;
            return Ok(is_ours.then(|| record.clone()));
        };
        let after = self.look.sight.of(role).end().map_or(0, |it| it.sequence);
        let is_suspended = reason == AloneReason::Suspended;
        let active = ActiveStores::Alone { role, reason, after };
        let is_told = is_suspended && self.look.copies[index(role.other())].is_some();
        // The other one says so as well where it answers: nobody promotes a copy that was suspended.
        let roles = if is_told { vec![role, role.other()] } else { vec![role] };
        self.record(&roles, active)
    }

    /// Both from now on, once they are equal. `from`: the one that is believed; `returns`: the other one comes back.
    pub fn both(&self, from: StoreRole, returns: bool) -> Result<Option<StoresRecord>, StoreError> {
        let [Some(primary), Some(mirror)] = &self.look.copies else { return Ok(None) };
        let [contents, behind] = match from {
            StoreRole::Primary => [primary, mirror],
            StoreRole::Mirror => [mirror, primary],
        };
        let (believed, other) = (from, from.other());
        let (from, to) = (self.side(believed), self.side(other));
        let record = self.look.sight.record();
        let after = match record.map(|it| &it.active) {
            Some(ActiveStores::Alone { after, .. }) => Some(*after),
            Some(ActiveStores::All) | None => None,
        };
        let relation = self.look.sight.relation;
        let is_damaged = matches!(self.look.sight.of(other), CopySight::Damaged { .. });
        let is_whole = !is_damaged && self.is_whole(other)?;
        if relation != CopyRelation::Same || returns || !is_whole {
            // Nothing takes the place of what may be the only whole copy but one that is whole.
            if !self.is_whole(believed)? {
                return Ok(None);
            }
            let (from, to) =
                (StoredCopy { store: from, contents }, StoredCopy { store: to, contents: behind });
            let catch_up = CatchUp { from, to, relation, is_whole, after, epoch: self.epoch };
            if !catch_up.run()? {
                return Ok(None);
            }
            self.stores.mark_whole(other);
        }
        copy_beside(from, to)?;
        let records = [primary, mirror].map(|it| it.record.record.as_ref());
        let is_witnessed = self.look.witness.as_ref().is_none_or(|it| it.record.is_some());
        match records {
            [Some(one), Some(other)] if one == other && is_witnessed && !returns => {
                Ok(Some(one.clone()))
            }
            _ => self.record(&StoreRole::BOTH, ActiveStores::All),
        }
    }

    /// Records it: in the witness first, which one of two who try has; then in the stores.
    fn record(
        &self,
        roles: &[StoreRole],
        active: ActiveStores,
    ) -> Result<Option<StoresRecord>, StoreError> {
        let generation = self.look.sight.record().map_or(0, |it| it.generation) + 1;
        let (named, by) = (self.stores.named.clone(), self.by.to_owned());
        let (id, before) = (new_id(), StoresRecord::known(self.look.sight.records()));
        let record = StoresRecord { generation, id, before, named, active, by, at: wall() };
        if let (Some(witness), Some(read)) = (&self.stores.witness, &self.look.witness)
            && !write_record(&**witness, read.version.as_ref(), &record)?
        {
            return Ok(None);
        }
        for role in roles {
            if !self.write(*role, &record)? {
                return Ok(None);
            }
        }
        let active = &record.active;
        tracing::info!(generation, ?active, "the stores of the state are recorded");
        Ok(Some(record))
    }
}

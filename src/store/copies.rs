//! What people say of the two stores of a state: that one goes on without the other, or with it again.

use crate::engine::state::copies::WritePermission;
use crate::engine::state::copies_error::CopiesError;
use crate::engine::state::record::State;
use crate::engine::state::stores_record::StoreRole;
use crate::store::error::StoreError;
use crate::store::state_store::{Claimant, StateStore};

impl StateStore {
    /// From now on the primary store alone is written to.
    pub fn suspend_mirror(
        &self,
        owner: &str,
        command: &str,
        at: i64,
    ) -> Result<Option<State>, StoreError> {
        self.lease_once(owner, command, at, &WritePermission::Suspend)
    }

    /// The mirror store is caught up, and written to again.
    pub fn resume_mirror(
        &self,
        owner: &str,
        command: &str,
        at: i64,
    ) -> Result<Option<State>, StoreError> {
        self.lease_once(owner, command, at, &WritePermission::Resume)
    }

    /// The state goes on in this store; what the other one has beside it is kept there under `discarded/`, and it is caught up if
    /// it answers.
    pub fn keep_copy(
        &self,
        role: StoreRole,
        owner: &str,
        command: &str,
        at: i64,
    ) -> Result<Option<State>, StoreError> {
        // What is damaged below the end of a copy is known once it was read.
        drop(self.believed());
        let kept = self.lease_once(owner, command, at, &WritePermission::Keep(role));
        let is_kept =
            || self.backend().standing().and_then(|it| it.record).is_some_and(|it| it.is_alone());
        match kept {
            Err(why) if why.is_incomplete() && is_kept() => {
                let why = CopiesError::KeptDamaged { role, why: why.to_string() };
                return Err(StoreError::Copies { folder: self.folder().to_owned(), why });
            }
            kept => kept?,
        };
        self.lease_once(owner, command, at, &WritePermission::Ordinary)
    }

    fn lease_once(
        &self,
        owner: &str,
        command: &str,
        at: i64,
        permission: &WritePermission,
    ) -> Result<Option<State>, StoreError> {
        let who = Claimant { owner, command, at, aim: None };
        let (lease, state) = self.lease_with(who, permission, &mut |_| {})?;
        drop(lease);
        Ok(state)
    }
}

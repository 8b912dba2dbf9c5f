//! Puts other content in the place of a state under a lease, and keeps what was there in the history.

use crate::engine::state::codec::decode_state;
use crate::engine::state::record::State;
use crate::store::error::{HeldBy, StoreError};
use crate::store::known_serials::KnownSerials;
use crate::store::state_store::StateStore;

/// Who replaces a state, with which command, and when on the clock of its world.
#[derive(Debug, Clone, Copy)]
pub struct ReplacementOrder<'a> {
    pub who: &'a str,
    pub command: &'a str,
    /// In milliseconds since the Unix epoch.
    pub at: i64,
}

/// What was replaced, and by what.
#[derive(Debug)]
pub struct ReplacedState {
    pub state: State,
    /// The serial under which what was there is kept.
    pub kept: u64,
}

impl StateStore {
    /// Replaces the state by what is decided once nobody else writes: from what is there, `None` before the first apply. Nothing is
    /// written where it is decided to leave it so. The new serial is the one that was decided, or the first that is free behind what
    /// is there.
    pub fn replace_content<E: From<StoreError>>(
        &self,
        order: ReplacementOrder<'_>,
        decide: impl FnOnce(&State) -> Result<Option<State>, E>,
    ) -> Result<Option<ReplacedState>, E> {
        let ReplacementOrder { who, command, at } = order;
        let (mut lease, there) = self.lease(who, command, at)?;
        let Some(mut there) = there else {
            // It was there a moment ago, when somebody looked.
            return Err(self.held("another process".into(), HeldBy::Loose).into());
        };
        let Some(mut next) = decide(&there)? else { return Ok(None) };
        if self.is_unsaved(&there)? {
            // What only the journal holds becomes a snapshot, which can be gone back to.
            there.serial += 1;
            lease.save(&there)?;
        }
        next.serial = next.serial.max(there.serial + 1);
        // Behind every report that is kept: what is older than one of them is not believed.
        let known = KnownSerials::of(self.backend(), self.log())?;
        next.sign(who, command, at.max(known.last_report()));
        // Who did this, for the log: nothing else may be written.
        lease.append(&[])?;
        lease.save(&next)?;
        Ok(Some(ReplacedState { kept: there.serial, state: next }))
    }

    /// Whether entries tell what no snapshot holds.
    fn is_unsaved(&self, state: &State) -> Result<bool, StoreError> {
        let (_, bytes) = self.log().snapshot()?;
        let saved = bytes.and_then(|it| decode_state(&it).ok());
        Ok(saved.is_none_or(|it| it.sequence < state.touched))
    }
}

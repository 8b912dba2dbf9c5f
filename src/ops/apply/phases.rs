//! The phase of a switch while a run goes on: durable as soon as its users are where it wants them, or are found elsewhere.

use std::sync::Arc;

use crate::engine::state::journal::{JournalEntry, fold};
use crate::engine::state::record::Phase;
use crate::ops::apply::executor::Executor;
use crate::ops::apply::step_inputs::{Progress, StepContext};

impl Executor<'_> {
    /// What was read before this run may show that users are not where the switch had led them: until they are, it is not degraded,
    /// and carries nothing else. A destroy takes their names away.
    pub async fn record_users_away(&mut self, hands: &Arc<StepContext>) {
        if self.state.phase != Phase::Degraded || self.traffic.is_nothing() {
            return;
        }
        let away = JournalEntry::UsersAway { at: self.session.clock.now() };
        if hands.pen.write(vec![away.clone()]).await.is_ok() {
            fold(&mut self.state, &away);
            (hands.tell)(Progress::Phase(self.state.phase));
        }
    }

    /// The phase of a switch becomes durable as soon as its users are where it wants them: whoever goes on with it then may carry
    /// other changes, too. Where this cannot be written nothing new starts.
    pub async fn record_moved_users(&mut self, hands: &Arc<StepContext>) {
        if self.state.switching().is_none() || !self.traffic.is_nothing() {
            return;
        }
        let moved = JournalEntry::UsersMoved { at: self.session.clock.now() };
        if hands.pen.write(vec![moved.clone()]).await.is_ok() {
            fold(&mut self.state, &moved);
            (hands.tell)(Progress::Phase(self.state.phase));
        }
    }
}

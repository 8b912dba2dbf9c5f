//! The phase of a switch while a run goes on: durable as soon as its users are where it wants them, or are found elsewhere.

use std::sync::Arc;

use crate::engine::recovery::users_moved::UsersAre;
use crate::engine::state::journal::fold;
use crate::engine::state::record::{Phase, SwitchRecord};
use crate::ops::apply::executor::Executor;
use crate::ops::apply::step_inputs::{Progress, StepContext};

impl Executor<'_> {
    /// The phase of a switch becomes durable as soon as its users are where it wants them, since whoever goes on with it then may
    /// carry other changes, too; and as soon as what was read shows that they are elsewhere. Where this cannot be written
    /// nothing new starts.
    pub async fn record_phase(&mut self, hands: &Arc<StepContext>) {
        let phase = self.state.unfinished_switch().map_or(Phase::Settled, |_| self.state.phase);
        let Some(news) = self.traffic.news(phase, self.session.clock.now()) else { return };
        if hands.pen.write(vec![news.clone()]).await.is_ok() {
            fold(&mut self.state, &news);
            let has_shifted = self.state.switch.as_ref().is_some_and(SwitchRecord::has_shifted);
            let users = UsersAre::by(self.state.phase, has_shifted);
            (hands.tell)(Progress::Phase { phase: self.state.phase, users });
        }
    }
}

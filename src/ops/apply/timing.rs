//! The steps of a run with their times, for its report.

use crate::engine::plan::model::change::Step;
use crate::engine::plan::model::step_phase::StepPhase;
use crate::engine::plan::model::step_phase::{is_gated, ttl};
use crate::engine::recovery::report::step_timing::{StepResult, StepTiming};
use crate::engine::recovery::user_routes::leads_users;
use crate::engine::recovery::users_moved::role_of;
use crate::engine::schedule::StepState;
use crate::engine::state::journal::StepOutcome;
use crate::ops::apply::executor::Executor;

impl Executor<'_> {
    /// Every step of the plan, those that never started as well.
    pub fn timed(&self) -> Vec<StepTiming> {
        let steps = &self.plan.steps;
        let timed = steps.iter().map(|step| {
            let times = self.times.get(&step.id).copied().unwrap_or_default();
            let role = role_of(&self.session.catalog, step, steps);
            let is_unchecked = role == StepPhase::Traffic && !is_gated(step, steps);
            let leads = || leads_users(&self.session.catalog, &self.state, &step.address);
            StepTiming {
                id: step.id,
                address: step.address.clone(),
                kind: step.kind.clone(),
                call: step.call.word().into(),
                role,
                waits: self.waited_for(step),
                started: times.started,
                ended: times.ended,
                became: self.became(step.id, step.call.acts()),
                ttl: ttl(step, role),
                arrived: times.arrived,
                unchecked: is_unchecked.then(leads).flatten(),
                output: self.outputs.get(&step.id).cloned().unwrap_or_default(),
            }
        });
        timed.collect()
    }

    /// What a step has waited for: of groups of which some were enough, those that had ended when it started.
    fn waited_for(&self, step: &Step) -> Vec<usize> {
        let started = self.times.get(&step.id).and_then(|it| it.started);
        let in_time = |it: &&usize| {
            let ended = self.times.get(it).and_then(|it| it.ended);
            self.schedule.standing(**it) == StepState::Done && ended <= started
        };
        let counted = step.quorums.iter().flat_map(|it| it.of.iter().filter(in_time));
        step.waits.iter().chain(counted).copied().collect()
    }

    fn became(&self, step: usize, mutates: bool) -> StepResult {
        match (self.schedule.standing(step), self.outcomes.get(&step)) {
            (StepState::Done, Some(StepOutcome::Failed(_))) => StepResult::Failed,
            (StepState::Done, Some(StepOutcome::InDoubt(_))) => StepResult::InDoubt,
            (StepState::Done, _) => StepResult::Done,
            (_, Some(StepOutcome::InDoubt(_))) => StepResult::InDoubt,
            (StepState::Failed, _) => StepResult::Failed,
            (StepState::Running, _) if mutates => StepResult::InDoubt,
            _ => StepResult::NotDone,
        }
    }
}

//! The steps of a run with their times, for its report.

use crate::engine::ledger::timed::{Became, Role, Timed};
use crate::engine::plan::role::{is_gated, role, ttl};
use crate::engine::schedule::Standing;
use crate::engine::state::journal::Outcome;
use crate::engine::users::leads_users;
use crate::ops::run::Run;

impl Run<'_> {
    /// Every step of the plan, those that never started as well.
    pub fn timed(&self) -> Vec<Timed> {
        let steps = &self.plan.steps;
        let timed = steps.iter().map(|step| {
            let times = self.times.get(&step.id).copied().unwrap_or_default();
            let role = role(step, steps);
            let is_unchecked = role == Role::Traffic && !is_gated(step, steps);
            let leads = || leads_users(&self.session.catalog, &self.state, &step.address);
            Timed {
                id: step.id,
                address: step.address.clone(),
                kind: step.kind.clone(),
                call: step.call.word().into(),
                role,
                waits: step.waits.clone(),
                started: times.started,
                ended: times.ended,
                became: self.became(step.id, step.call.mutates()),
                ttl: ttl(step, role),
                arrived: times.arrived,
                unchecked: is_unchecked.then(leads).flatten(),
            }
        });
        timed.collect()
    }

    fn became(&self, step: usize, mutates: bool) -> Became {
        match (self.schedule.standing(step), self.outcomes.get(&step)) {
            (Standing::Done, _) => Became::Done,
            (_, Some(Outcome::InDoubt { .. })) => Became::InDoubt,
            (Standing::Failed, _) => Became::Failed,
            (Standing::Running, _) if mutates => Became::InDoubt,
            _ => Became::NotDone,
        }
    }
}

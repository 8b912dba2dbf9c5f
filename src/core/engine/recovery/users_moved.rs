//! Whether users are where a switch wants them: from then on it only lacks capacity or repairs.

use std::collections::BTreeSet;

use crate::engine::plan::model::change::{Change, DeferReason, Intent, Plan, Step};
use crate::engine::plan::model::step_phase::{StepPhase, role};
use crate::engine::schema::Catalog;

/// What is left of a plan before its users are where it wants them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemainingTraffic {
    /// Ids of steps that direct users and have not ended well.
    steps: BTreeSet<usize>,
    /// No step of this plan moves some of the users: what directs them could not be read, or they are led elsewhere by something else.
    is_out_of_reach: bool,
}

impl RemainingTraffic {
    pub fn new(catalog: &Catalog, plan: &Plan) -> Self {
        let directs = |it: &&Step| role(it, &plan.steps) == StepPhase::Traffic;
        let stays = plan.changes.iter().any(|it| stays_away(catalog, it));
        Self {
            steps: plan.steps.iter().filter(directs).map(|it| it.id).collect(),
            // A destroy leads users nowhere.
            is_out_of_reach: plan.bindings.intent == Intent::Destroy
                || stays
                || !plan.strays.is_empty()
                || plan.foreign.iter().any(|it| it.misleads),
        }
    }

    /// A step has ended well.
    pub fn finish(&mut self, step: usize) {
        self.steps.remove(&step);
    }

    /// Nothing: users are where they are wanted.
    pub fn is_nothing(&self) -> bool {
        self.steps.is_empty() && !self.is_out_of_reach
    }
}

/// Whether a name may lead its users elsewhere than wanted after every step: it could not be read, or its change waits for
/// what is lost or was not read. What was pending before the switch, or is kept by it, is not its business.
fn stays_away(catalog: &Catalog, change: &Change) -> bool {
    let Some(kind) = catalog.get(&change.kind).filter(|it| it.drain.is_some()) else {
        return false;
    };
    let waits = change.deferred.as_ref().filter(|it| {
        matches!(it.wait, DeferReason::Lost | DeferReason::Group | DeferReason::Unknown)
    });
    let moves = waits.is_some_and(|it| {
        it.action.destroys() || it.attributes.iter().any(|it| kind.directs(&it.name))
    });
    change.unknown.is_some() || moves
}

//! Where a stack stands, from its state and its layers alone.

use std::collections::BTreeMap;

use crate::engine::address::Address;
use crate::engine::lang::merge::variables::GivenVariable;
use crate::engine::plan::guard::rules::Allowances;
use crate::engine::plan::model::change::{Action, Plan};
use crate::engine::plan::planner::{Intent, Keep, PlanInputs, PlanOptions};
use crate::engine::state::record::State;
use crate::ops::error::OpsError;
use crate::ops::load::session::Session;
use crate::ops::load::sides::{PlanRequest, SwitchSides, sides};
use crate::ops::load::stack_ref::StackRef;
use crate::ops::load::switch_target::Losses;
use crate::ops::plan::make::between;

/// What state says, and what the layers would have done if everything is as recorded.
pub struct StackStatus {
    pub state: State,
    /// `Err` when the layers have mistakes: what is recorded is told all the same.
    pub pending: Result<Plan, String>,
}

impl StackStatus {
    /// How many changes the layers would have made, if everything is as recorded.
    pub fn pending_changes(&self) -> usize {
        let changes = self.pending.iter().flat_map(|it| &it.changes);
        changes.filter(|it| it.action != Action::NoOp).count()
    }
}

/// Asks no cloud and takes no lease.
pub fn status(
    session: &Session,
    place: &StackRef,
    given: &[GivenVariable],
) -> Result<Option<StackStatus>, OpsError> {
    let Some(state) = session.store(place).load()? else { return Ok(None) };
    let pending = pending(session, place, given, &state).map_err(|why| match why {
        OpsError::Mistakes { diagnostics, .. } => {
            diagnostics.first().map_or_else(String::new, |it| it.summary.clone())
        }
        other => other.to_string(),
    });
    Ok(Some(StackStatus { state, pending }))
}

fn pending(
    session: &Session,
    place: &StackRef,
    given: &[GivenVariable],
    state: &State,
) -> Result<Plan, OpsError> {
    let ask = PlanRequest {
        place: place.clone(),
        overlays: None,
        given: given.to_vec(),
        intent: Intent::Apply,
        allowed: Allowances::default(),
        replace: Vec::new(),
        losses: Losses::Assumed,
        only_switch: false,
        include_pending: false,
        keep: Keep::Nothing,
        last_good: None,
    };
    let SwitchSides { desired, before, course } = sides(session, &ask, Some(state))?;
    let order: Vec<Address> = desired.graph.order().cloned().collect();
    let observed = BTreeMap::new();
    let worlds = PlanInputs {
        catalog: &session.catalog,
        stack: &desired.stack,
        order: &order,
        state: Some(state),
        observed: &observed,
    };
    let options = PlanOptions {
        intent: Intent::Apply,
        now: session.clock.now(),
        lost: course.lost,
        thawed: course.thawed,
        from: course.from,
        ..PlanOptions::default()
    };
    Ok(between(&before, &worlds, &options).0)
}

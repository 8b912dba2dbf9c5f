//! Where a stack stands, from its state and its layers alone.

use std::collections::BTreeMap;

use crate::engine::address::Address;
use crate::engine::lang::merge::variables::GivenVariable;
use crate::engine::lang::model::Stack;
use crate::engine::plan::model::change::{Action, Plan};
use crate::engine::plan::planner::{Intent, PlanInputs, PlanOptions};
use crate::engine::recovery::report::journaled::{JournaledSwitch, runs};
use crate::engine::state::record::State;
use crate::ops::error::OpsError;
use crate::ops::load::session::Session;
use crate::ops::load::sides::{PlanRequest, SwitchSides, sides};
use crate::ops::load::stack_ref::StackRef;
use crate::ops::plan::between::between;
use crate::ops::plan::switch_rest::switch_rest;
use crate::ops::recovery_reports::RestEstimates;

/// What state says, and what the layers would have done if everything is as recorded.
pub struct StackStatus {
    pub state: State,
    /// `Err` when the layers have mistakes: what is recorded is told all the same.
    pub pending: Result<PendingChanges, String>,
    /// The run that goes on, as far as the journal tells.
    pub run: Option<JournaledSwitch>,
    /// How long what is pending will take, in seconds; `None`: nothing like it was ever measured.
    pub estimate: Option<u64>,
}

/// What the layers want, and the plan that would make it.
pub struct PendingChanges {
    pub stack: Stack,
    pub plan: Plan,
}

impl StackStatus {
    /// How many changes the layers would have made, if everything is as recorded.
    pub fn pending_changes(&self) -> usize {
        let changes = self.pending.iter().flat_map(|it| &it.plan.changes);
        changes.filter(|it| it.action != Action::NoOp).count()
    }
}

/// Asks no cloud and takes no lease.
pub fn status(
    session: &Session,
    place: &StackRef,
    given: &[GivenVariable],
    estimates: &mut RestEstimates,
) -> Result<Option<StackStatus>, OpsError> {
    let store = session.store(place);
    let Some(state) = store.load()? else { return Ok(None) };
    let pending = pending(session, place, given, &state).map_err(|why| match why {
        OpsError::Mistakes { diagnostics, .. } => {
            diagnostics.first().map_or_else(String::new, |it| it.summary.clone())
        }
        other => other.to_string(),
    });
    // Who took over and has written nothing yet is not the run that the journal tells of.
    let is_held = store.lease_status()?.is_some_and(|it| it.is_alive && it.epoch == state.epoch);
    // Without its journal less is known, and nothing else is wrong.
    let entries = if is_held { store.entries(0).unwrap_or_default() } else { Vec::new() };
    let run = runs(&entries).pop().filter(|it| !it.is_ended);
    let estimate = match (&pending, state.unfinished_switch()) {
        (Ok(it), Some(switch)) => estimates.whole(session, place, switch.identity(), &it.plan),
        _ => None,
    };
    Ok(Some(StackStatus { state, pending, run, estimate }))
}

fn pending(
    session: &Session,
    place: &StackRef,
    given: &[GivenVariable],
    state: &State,
) -> Result<PendingChanges, OpsError> {
    let ask = PlanRequest::to_apply(place, given);
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
        recovered_so_far: course.recovered_so_far,
        from: course.from,
        ..PlanOptions::default()
    };
    let mut plan = between(&before, &worlds, &options).0;
    plan.rest = switch_rest(session, &ask, &worlds, &options, &plan);
    Ok(PendingChanges { stack: desired.stack, plan })
}

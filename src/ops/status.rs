//! Where a stack stands, from its state and its layers alone.

use std::collections::BTreeMap;

use crate::engine::address::Address;
use crate::engine::plan::change::Plan;
use crate::engine::plan::propose::{Intent, Options, Worlds, propose, propose_switch};
use crate::engine::stack::variables::GivenVariable;
use crate::engine::state::record::State;
use crate::engine::value::Value;
use crate::ops::course::{Losses, course};
use crate::ops::error::OpsError;
use crate::ops::load;
use crate::ops::place::Place;
use crate::ops::session::Session;

/// What state says, and what the layers would have done if everything is as recorded.
pub struct Status {
    pub state: State,
    /// `Err` when the layers have mistakes: what is recorded is told all the same.
    pub pending: Result<Plan, String>,
}

/// Asks no cloud and takes no lease.
pub fn status(
    session: &Session,
    place: &Place,
    given: &[GivenVariable],
) -> Result<Option<Status>, OpsError> {
    let Some(state) = session.store(place).load()? else { return Ok(None) };
    let pending = pending(session, place, given, &state).map_err(|why| match why {
        OpsError::Mistakes { diagnostics, .. } => {
            diagnostics.first().map_or_else(String::new, |it| it.summary.clone())
        }
        other => other.to_string(),
    });
    Ok(Some(Status { state, pending }))
}

fn pending(
    session: &Session,
    place: &Place,
    given: &[GivenVariable],
    state: &State,
) -> Result<Plan, OpsError> {
    let catalog = &session.catalog;
    let load = |overlays: &[String], remembered: &BTreeMap<String, Value>| {
        load::desired(place, overlays, given, remembered, catalog)
    };
    let desired = load(&state.active, &state.variables)?;
    let course = course(Some(state), &desired.stack, &Losses::Assumed);
    let before: Vec<_> =
        course.left.iter().map(|it| load(&it.overlays, &it.variables)).collect::<Result<_, _>>()?;
    let order: Vec<Address> = desired.graph.order().cloned().collect();
    let observed = BTreeMap::new();
    let worlds = Worlds {
        catalog,
        stack: &desired.stack,
        order: &order,
        state: Some(state),
        observed: &observed,
    };
    let options = Options {
        intent: Intent::Apply,
        now: session.clock.now(),
        lost: course.lost,
        thawed: course.thawed,
        from: course.from,
        ..Options::default()
    };
    let orders: Vec<Vec<Address>> =
        before.iter().map(|it| it.graph.order().cloned().collect()).collect();
    let left: Vec<Worlds<'_>> = before
        .iter()
        .zip(&orders)
        .map(|(it, order)| Worlds { stack: &it.stack, order, ..worlds })
        .collect();
    let (plan, _) = if left.is_empty() {
        propose(&worlds, &options)
    } else {
        propose_switch(&left, &worlds, &options)
    };
    Ok(plan)
}

//! Lets the engine plan between what was desired and what is desired now.

use crate::engine::address::Address;
use crate::engine::plan::model::change::Plan;
use crate::engine::plan::planner::{PlanInputs, PlanOptions, plan_changes, plan_switch};
use crate::engine::text::diagnostic::Diagnostic;
use crate::ops::load::layers::DesiredStack;

/// A whole plan, or that of a switch from what these desire.
pub fn between(
    before: &[DesiredStack],
    worlds: &PlanInputs<'_>,
    options: &PlanOptions,
) -> (Plan, Vec<Diagnostic>) {
    if before.is_empty() {
        return plan_changes(worlds, options);
    }
    let orders: Vec<Vec<Address>> =
        before.iter().map(|it| it.graph.order().cloned().collect()).collect();
    let sides = before.iter().zip(&orders);
    let left: Vec<PlanInputs<'_>> =
        sides.map(|(it, order)| PlanInputs { stack: &it.stack, order, ..*worlds }).collect();
    plan_switch(&left, worlds, options)
}

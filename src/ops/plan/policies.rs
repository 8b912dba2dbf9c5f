//! Policies over a plan: reads what it costs where one of them asks, and lets the engine judge.

use crate::engine::lang::model::Stack;
use crate::engine::plan::model::change::Plan;
use crate::engine::plan::policy::{judge as engine_judge, read_cost};
use crate::engine::state::record::State;
use crate::engine::text::diagnostic::Diagnostic;
use crate::ops::load::session::Session;
use crate::ops::plan::prices::cost;

/// What the policies of the stack and of the project say of a plan.
pub async fn judge(
    session: &Session,
    stack: &Stack,
    plan: &Plan,
    state: Option<&State>,
) -> Vec<Diagnostic> {
    let cost = if read_cost(&stack.policies) { cost(session, plan, state).await } else { None };
    engine_judge(stack, plan, state, cost.as_ref())
}

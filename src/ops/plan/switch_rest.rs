//! What a switch whose users have moved has still to do, told apart from whatever else is pending.

use crate::engine::plan::model::change::{Action, Plan, SwitchRest};
use crate::engine::plan::planner::{Intent, PlanInputs, PlanOptions};
use crate::engine::state::record::Phase;
use crate::ops::load::session::Session;
use crate::ops::load::sides::{PlanRequest, sides};
use crate::ops::plan::between::between;

/// `None`: no switch is degraded, or this plan turns it. What the switch alone would do is planned beside; a mistake in layers that
/// it left hides nothing but this.
pub fn switch_rest(
    session: &Session,
    ask: &PlanRequest,
    worlds: &PlanInputs<'_>,
    options: &PlanOptions,
    plan: &Plan,
) -> Option<SwitchRest> {
    let state = worlds.state.filter(|it| it.phase == Phase::Degraded)?;
    let switch = state.switch.as_ref().filter(|_| ask.intent == Intent::Apply)?;
    if plan.overlays != state.active {
        return None;
    }
    let alone = PlanRequest { only_switch: true, ..ask.clone() };
    let alone = sides(session, &alone, Some(state)).ok()?;
    let options = PlanOptions { from: alone.course.from, ..options.clone() };
    let (whole, _) = between(&alone.before, worlds, &options);
    let changes = whole.changes.into_iter().filter(|it| it.action != Action::NoOp);
    let changes = changes.map(|it| it.address).collect();
    Some(SwitchRest { from: switch.from.clone(), changes, failures: switch.failures.clone() })
}

//! Looks for the command that moves users before more is made where they go: the same switch, with one variable as at home.

use crate::engine::lang::merge::variables::{GivenValue, GivenVariable, SAID};
use crate::engine::plan::model::change::Plan;
use crate::engine::plan::planner::PlanInputs;
use crate::engine::plan::users_wait::{TrafficFirst, moves_users, told, waiting};
use crate::engine::state::record::State;
use crate::engine::text::diagnostic::{Diagnostic, Severity};
use crate::engine::value::Value;
use crate::ops::load::layers::{self, DesiredStack};
use crate::ops::load::session::{CloudTarget, Session};
use crate::ops::load::stack_ref::StackRef;
use crate::ops::load::switch_target::Losses;
use crate::ops::load::workspace;

/// Everything a switch is tried again with.
pub struct TrafficFirstAttempt<'a> {
    pub session: &'a Session,
    pub place: &'a StackRef,
    pub given: &'a [GivenVariable],
    pub losses: &'a Losses,
    /// Plans the same switch towards other layers.
    pub plan: &'a dyn Fn(&PlanInputs<'_>) -> Plan,
    /// What the switch leaves.
    pub before: &'a [DesiredStack],
    pub worlds: &'a PlanInputs<'a>,
    pub state: &'a State,
}

/// What is said of a switch whose users wait for more than has to be there.
pub fn advice(it: &TrafficFirstAttempt<'_>, plan: &Plan) -> Option<Diagnostic> {
    let left = it.before.first()?;
    let waits = waiting(it.worlds.catalog, it.worlds.stack, it.state, plan)?;
    if it.place.instance.is_some() {
        return Some(told(&waits, &TrafficFirst::Drill));
    }
    let candidates = it.worlds.stack.variables.iter().filter_map(|(name, variable)| {
        let home = left.stack.variables.get(name)?;
        let differs = home.value != variable.value && !home.sensitive && !variable.sensitive;
        differs.then(|| (name.clone(), home.value.clone(), variable.value.clone()))
    });
    let found = candidates.into_iter().find(|(name, home, _)| is_sooner(it, name, home));
    let typed = found.and_then(|(name, home, wanted)| {
        Some((command(it, &name, &home)?, rest(it, &name, &wanted)?))
    });
    let sooner =
        typed.map_or(TrafficFirst::Nothing, |(first, rest)| TrafficFirst::Typed { first, rest });
    Some(told(&waits, &sooner))
}

/// Whether users move at once with this variable as it is at home.
fn is_sooner(it: &TrafficFirstAttempt<'_>, name: &str, value: &Value) -> bool {
    let mut given = it.given.to_vec();
    given.retain(|it| it.name != name);
    let value = GivenValue::Value(value.clone());
    given.push(GivenVariable { name: name.to_owned(), from: SAID.into(), value });
    let overlays = &it.worlds.stack.overlays;
    let remembered = it.state.remembered(overlays);
    let catalog = it.worlds.catalog;
    let Ok(mut desired) = layers::desired(it.place, overlays, &given, remembered, catalog) else {
        return false;
    };
    if workspace::lend(it.session, it.place, &mut desired).is_err() {
        return false;
    }
    let order: Vec<_> = desired.graph.order().cloned().collect();
    let worlds = PlanInputs { stack: &desired.stack, order: &order, ..*it.worlds };
    let plan = (it.plan)(&worlds);
    let stops = plan.notes.iter().any(|it| it.severity != Severity::Warning);
    !stops && moves_users(&plan) && waiting(catalog, &desired.stack, it.state, &plan).is_none()
}

/// The whole command; `None` where it is no failover, or where the value is not one word.
fn command(it: &TrafficFirstAttempt<'_>, name: &str, value: &Value) -> Option<String> {
    let overlays = &it.worlds.stack.overlays;
    let to = overlays.strip_prefix(it.state.home.as_slice())?.last()?;
    let set = set(it, name, value)?;
    let mut command = format!("lifeboat failover {} --to {to}", it.place.name());
    match it.losses {
        Losses::Planned => command.push_str(" --planned"),
        Losses::Assumed if goes_on_as_planned(it.state) => command.push_str(" --planned"),
        Losses::Also(lost) if lost.is_empty() && it.state.lost.is_empty() => {
            command.push_str(" --planned");
        }
        Losses::Also(lost) | Losses::Only(lost) => {
            for it in lost {
                command.push_str(" --lost ");
                command.push_str(it);
            }
        }
        Losses::Assumed => {}
    }
    Some(format!("{command}{set}"))
}

/// A planned switch that was cut off goes on as one: without the word, what its overlay assumes would be declared lost.
fn goes_on_as_planned(state: &State) -> bool {
    state.lost.is_empty() && state.unfinished_switch().is_some_and(|it| !it.under_loss)
}

/// What the switch was told not to make is made afterwards: what is said of a variable is remembered, so it is said anew.
fn rest(it: &TrafficFirstAttempt<'_>, name: &str, value: &Value) -> Option<String> {
    Some(format!("lifeboat apply {}{}", it.place.name(), set(it, name, value)?))
}

fn set(it: &TrafficFirstAttempt<'_>, name: &str, value: &Value) -> Option<String> {
    let value = match value {
        Value::Text(text) => text.clone(),
        other => other.json().to_string(),
    };
    let is_word = |it: &str| {
        !it.is_empty() && it.bytes().all(|it| it.is_ascii_alphanumeric() || b"-_./:@".contains(&it))
    };
    let sandbox = if it.session.target == CloudTarget::Sandbox { " --sandbox" } else { "" };
    is_word(&value).then(|| format!(" --var {name}={value}{sandbox}"))
}

//! What others notice of a replacement: the values that the cloud chooses anew, and for how long nothing is there.

use std::collections::BTreeMap;

use crate::engine::address::Address;
use crate::engine::plan::draft::topology::is_place;
use crate::engine::plan::model::change::{Action, Step, StepCall};
use crate::engine::plan::model::planned_change::PlannedChange;
use crate::engine::plan::model::replacement::Replacement;
use crate::engine::topological::topological_order;
use crate::engine::value::Value;

/// Every replacement of a plan, in the order of its changes. Times are those that steps are expected to take where nothing
/// was measured.
pub fn replacements(planned: &[PlannedChange<'_>], steps: &[Step]) -> Vec<Replacement> {
    let is_replaced = |it: &&PlannedChange<'_>| matches!(it.change.action, Action::Replace { .. });
    if !planned.iter().any(|it| is_replaced(&it)) {
        return Vec::new();
    }
    let ends = ends(steps);
    let mut own: BTreeMap<&Address, Vec<&Step>> = BTreeMap::new();
    for step in steps {
        own.entry(&step.address).or_default().push(step);
    }
    let of = |it: &PlannedChange<'_>| Replacement {
        address: it.change.address.clone(),
        loses: loses(it),
        away: match it.change.action {
            Action::Replace { create_first: false } => {
                away(own.get(&it.change.address).map_or(&[], Vec::as_slice), &ends)
            }
            _ => 0,
        },
    };
    planned.iter().filter(is_replaced).map(of).collect()
}

/// What users and other machines may know it by, and the cloud gave it.
fn loses(it: &PlannedChange<'_>) -> BTreeMap<String, String> {
    let outputs = it.record.iter().flat_map(|it| &it.outputs);
    let given = outputs.filter_map(|(name, value)| {
        let attribute = it.kind.attribute(name).filter(|it| it.computed && !it.live);
        let text = attribute.and(value.as_text()).filter(|text| is_place(text))?;
        let stays = it.desired.as_ref().and_then(|it| it.get(name)).and_then(Value::as_text);
        (stays != Some(text)).then(|| (name.clone(), text.to_owned()))
    });
    given.collect()
}

/// From the begin of its deletion to the end of the last step that makes it.
fn away(own: &[&Step], ends: &[u64]) -> u64 {
    let gone = own.iter().find(|it| it.call == StepCall::Delete { deposed: false });
    let makes = |it: &&&Step| {
        let call = &it.call;
        matches!(call, StepCall::Create { .. } | StepCall::Update { .. })
            || matches!(call, StepCall::Ready | StepCall::Gate)
    };
    let there = own.iter().filter(makes).map(|it| ends[it.id]).max();
    let begins = gone.map(|it| ends[it.id].saturating_sub(it.weight));
    // No call takes no time at all, and 0 says that the new one comes first.
    there.zip(begins).map_or(1, |(there, begins)| there.saturating_sub(begins).max(1))
}

/// When each step ends, in seconds after the begin, if all that can run at once does.
fn ends(steps: &[Step]) -> Vec<u64> {
    let mut leads_to: Vec<Vec<usize>> = vec![Vec::new(); steps.len()];
    for step in steps {
        for wait in step.before() {
            leads_to[wait].push(step.id);
        }
    }
    let mut ends = vec![0_u64; steps.len()];
    for at in topological_order(steps.len(), |it| leads_to[it].iter().copied()) {
        let begins = steps[at].before().map(|it| ends[it]).max().unwrap_or(0);
        ends[at] = begins.saturating_add(steps[at].weight);
    }
    ends
}

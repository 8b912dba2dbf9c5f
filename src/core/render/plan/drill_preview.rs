//! What a drill will do, told before it: the switch in two lines, what is deleted again in which order, and what is borrowed.

use std::collections::BTreeMap;

use crate::engine::address::Address;
use crate::engine::plan::model::change::{Plan, Step, StepCall};
use crate::engine::plan::model::forecast::SummedSteps;
use crate::engine::plan::model::plan_cost::PlanCost;
use crate::render::lines::LineLimits;
use crate::render::plan::cost::an_hour;
use crate::render::plan::outline::{Detail, name, outline};
use crate::render::plan::steps::depths;
use crate::render::words::{count, duration, escape_control};

/// A drill that was carried out on paper.
pub struct Foretold<'a> {
    /// `None`: there is none, or it cannot be known before.
    pub switch: Option<&'a Plan>,
    /// Objects of which it cannot be known how the switch changes them.
    pub unknown: &'a [Address],
    pub cleanup: &'a Plan,
    /// Used, and left as they are.
    pub borrowed: &'a [Address],
    pub expected: Option<&'a SummedSteps>,
    /// What all that is made for it costs.
    pub cost: Option<&'a PlanCost>,
}

/// As lines, in the order in which it will happen.
pub fn foretold(it: &Foretold<'_>) -> String {
    let mut lines = vec![String::new()];
    if let Some(plan) = it.switch {
        let told = outline(plan.into(), Detail { limits: LineLimits::BRIEF, all: false });
        lines.push(format!("Then: {}", told.header));
        lines.push(told.summary);
    }
    if !it.unknown.is_empty() {
        lines.push(format!(
            "Then: a switch that cannot be fully planned yet, because it depends on values known only after home is created: {}",
            named(it.unknown)
        ));
    }
    let order = order(&it.cleanup.steps);
    let all: usize = order.iter().map(Vec::len).sum();
    let data = it.cleanup.changes.iter().filter(|it| it.loses_data).count();
    let data = if data > 0 { format!(", {data} with data") } else { String::new() };
    let what = count(all, "resource");
    let whose = name(it.cleanup);
    lines.push(format!("Finally, in any case: {what} of {whose} to delete{data}, in this order"));
    let undone: Vec<&Address> =
        it.cleanup.tasks.iter().filter(|it| it.is_undo()).map(|it| &it.name).collect();
    if !undone.is_empty() {
        lines.push(format!("  to be undone first: {}", named(undone)));
    }
    for (at, together) in order.iter().enumerate() {
        lines.push(format!("  {:>2}. {}", at + 1, named(together.iter().copied())));
    }
    if !it.borrowed.is_empty() {
        lines.push(format!(
            "Borrowed from the plain stack (used, not changed): {}",
            named(it.borrowed)
        ));
    }
    if let Some(expected) = it.expected {
        lines.push(format!(
            "Estimated: {} in total; of the {2} that decide the time, {1} {3} been measured before",
            duration(expected.whole),
            expected.measured,
            count(expected.steps, "step"),
            if expected.measured == 1 { "has" } else { "have" }
        ));
    }
    lines.extend(it.cost.map(an_hour));
    lines.join("\n")
}

fn named<'a>(addresses: impl IntoIterator<Item = &'a Address>) -> String {
    addresses.into_iter().map(|it| escape_control(&it.to_string())).collect::<Vec<_>>().join(", ")
}

/// What is deleted, those together that need not wait for each other.
fn order(steps: &[Step]) -> Vec<Vec<&Address>> {
    let depths = depths(steps);
    let mut order: BTreeMap<usize, Vec<&Address>> = BTreeMap::new();
    for (step, depth) in steps.iter().zip(depths) {
        if matches!(step.call, StepCall::Delete { .. }) {
            order.entry(depth).or_default().push(&step.address);
        }
    }
    order.into_values().collect()
}

//! Tasks among the steps of a switch: each waits for what it comes after, and what it comes before waits for it.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::address::Address;
use crate::engine::lang::model::Stack;
use crate::engine::plan::model::change::{Step, StepCall};
use crate::engine::plan::model::planned_task::PlannedTask;
use crate::engine::plan::steps::cycle::{self, OrderingRule};
use crate::engine::plan::steps::step_builder::StepBuilder;
use crate::engine::task::TASK;
use crate::engine::text::codes::DiagnosticCode;
use crate::engine::text::diagnostic::Diagnostic;

/// The steps of each address that change it, or wait for what was changed. Gates are the traffic's, and no part of it.
pub fn own_steps(steps: &[Step]) -> BTreeMap<&Address, Vec<&Step>> {
    let mut own: BTreeMap<&Address, Vec<&Step>> = BTreeMap::new();
    for step in steps.iter().filter(|it| !it.call.is_gate()) {
        own.entry(&step.address).or_default().push(step);
    }
    own
}

/// Of the steps of one address those after which it is as it is to be: where something is made, what goes meanwhile is not
/// waited for.
pub fn making<'a>(own: &[&'a Step]) -> Vec<&'a Step> {
    let goes = |it: &&&Step| {
        !matches!(it.call, StepCall::Delete { .. } | StepCall::Gone { .. } | StepCall::Forget)
    };
    let made: Vec<&Step> = own.iter().filter(goes).copied().collect();
    if made.is_empty() { own.to_vec() } else { made }
}

impl StepBuilder {
    /// Adds a step for each task that has one. What is frozen or unchanged has no steps: it counts as done. Refuses tasks for
    /// which no order exists, and then leaves them out.
    pub fn place_tasks(&mut self, tasks: &[PlannedTask], stack: &Stack) -> Option<Diagnostic> {
        let (count, plain): (usize, Vec<Vec<usize>>) =
            (self.steps.len(), self.steps.iter().map(|it| it.waits.clone()).collect());
        for task in tasks.iter().filter(|it| it.fate.has_step()) {
            self.task(task);
        }
        let (mut first, mut last) = (BTreeMap::new(), BTreeMap::new());
        for (address, own) in own_steps(&self.steps) {
            first.insert(address.clone(), roots(&own));
            last.insert(address.clone(), sinks(&making(&own)));
        }
        for task in tasks {
            let Some(own) = first.get(&task.name).and_then(|it| it.first().copied()) else {
                continue;
            };
            for before in task.after.iter().filter_map(|it| last.get(it)).flatten() {
                self.derive(own, *before, OrderingRule::Task);
            }
            for after in task.before.iter().filter_map(|it| first.get(it)).flatten() {
                self.derive(*after, own, OrderingRule::Task);
            }
        }
        let cycle = cycle::find(&self.steps)?;
        let told = cycle::tell(&self.steps, &cycle, &self.rules);
        let names: BTreeSet<&str> =
            cycle.iter().map(|it| self.steps[*it].address.name.as_str()).collect();
        let text = format!("a task waits for itself, so none of these can start: {told}");
        let mut refusal = Diagnostic::refusal(DiagnosticCode::WaitsInCircle, text)
            .help("change `after` or `before` of the task; no flag overrides this");
        for task in stack.tasks.values().filter(|it| names.contains(it.name.as_str())) {
            let label = format!("`{}` is part of it", task.name);
            refusal = refusal.at(task.span, label);
        }
        self.steps.truncate(count);
        for (step, waits) in self.steps.iter_mut().zip(plain) {
            step.waits = waits;
        }
        Some(refusal)
    }

    /// Adds the steps that take tasks back before everything is deleted.
    pub fn take_back_first(&mut self, tasks: &[PlannedTask]) {
        let deletes: Vec<usize> = self.steps.iter().map(|it| it.id).collect();
        let mut before = None;
        for task in tasks.iter().filter(|it| it.fate.has_step()) {
            let own = self.steps.len();
            self.task(task);
            if let Some(before) = before {
                self.derive(own, before, OrderingRule::Task);
            }
            for delete in &deletes {
                self.derive(*delete, own, OrderingRule::Task);
            }
            before = Some(own);
        }
    }

    fn task(&mut self, task: &PlannedTask) {
        let (id, segment) = (self.steps.len(), self.next_segment());
        self.steps.push(Step {
            id,
            address: task.name.clone(),
            kind: TASK.into(),
            call: StepCall::Task { undo: task.is_undo() },
            waits: Vec::new(),
            quorums: Vec::new(),
            lane: None,
            segment,
            weight: task.weight(),
            shift: None,
        });
    }
}

/// Those that wait for none of the others.
fn roots(own: &[&Step]) -> Vec<usize> {
    let is_root = |it: &&&Step| own.iter().all(|other| !it.before().any(|wait| wait == other.id));
    own.iter().filter(is_root).map(|it| it.id).collect()
}

/// Those that none of the others waits for.
fn sinks(own: &[&Step]) -> Vec<usize> {
    let is_sink = |it: &&&Step| own.iter().all(|other| !other.before().any(|wait| wait == it.id));
    own.iter().filter(is_sink).map(|it| it.id).collect()
}

//! Plans the tasks of a switch: which of them it runs, which it has done already, and which it takes back on the way home.

use std::collections::BTreeSet;

use crate::engine::address::Address;
use crate::engine::lang::lower::dependencies::variables_in;
use crate::engine::lang::lower::task_links::named;
use crate::engine::lang::model::{Reference, Task, Term};
use crate::engine::lang::task_values::resolve_task;
use crate::engine::plan::diff::attributes::{is_missing_secret, seal};
use crate::engine::plan::draft::plan_builder::PlanBuilder;
use crate::engine::plan::guard::rules::ways_to_give;
use crate::engine::plan::model::change::{Change, DeferReason};
use crate::engine::plan::model::options::Intent;
use crate::engine::plan::model::planned_task::{PlannedTask, TaskFate};
use crate::engine::state::record::{State, SwitchRecord};
use crate::engine::state::task_record::{TaskAttempt, TaskEnd, TaskRecord};
use crate::engine::task::{IfLost, OnFailure, Rerun, TaskAction, TaskOccasion, TaskSpec};
use crate::engine::text::codes::DiagnosticCode;
use crate::engine::text::diagnostic::Diagnostic;
use crate::engine::value::Value;

impl PlanBuilder<'_> {
    /// The tasks that this switch names, in the order of the layers; none where nothing is switched. Before a workspace is
    /// deleted, those that ran there.
    pub fn tasks(&mut self) -> Vec<PlannedTask> {
        let stack = self.worlds.stack;
        if self.options.intent == Intent::Destroy {
            return self.tasks_of_workspace();
        }
        if !self.is_switching() {
            return Vec::new();
        }
        let occasion = self.occasion();
        let mut planned = Vec::new();
        for task in stack.tasks.values() {
            planned.extend(self.task(task, occasion));
        }
        if occasion == TaskOccasion::Failback {
            planned.extend(self.undeclared_tasks());
        }
        self.hold_tasks(&mut planned);
        planned
    }

    /// What could not be read is not known to be done: what comes after it, or before, waits until it is; and so on.
    fn hold_tasks(&self, tasks: &mut [PlannedTask]) {
        let waits = |it: &Change| {
            let held = it.deferred.as_ref().is_some_and(|it| it.wait == DeferReason::Unknown);
            it.unknown.is_some() || held
        };
        let unread: BTreeSet<&Address> = self
            .planned
            .iter()
            .map(|it| &it.change)
            .filter(|it| waits(it))
            .map(|it| &it.address)
            .collect();
        let mut held: BTreeSet<Address> = BTreeSet::new();
        loop {
            let before = held.len();
            for task in tasks.iter_mut().filter(|it| it.fate.has_step()) {
                let mut named = task.after.iter().chain(&task.before);
                let unread = named.find(|it| unread.contains(it));
                let why = match (unread, task.after.iter().find(|it| held.contains(it))) {
                    (Some(it), _) => format!("`{it}` could not be read"),
                    (None, Some(it)) => format!("`{it}` waits"),
                    (None, None) => continue,
                };
                held.insert(task.name.clone());
                task.fate = TaskFate::Wait { why };
            }
            if held.len() == before {
                return;
            }
        }
    }

    /// Whether this plan begins a switch, or goes on with one, whether or not its users have moved.
    fn is_switching(&self) -> bool {
        self.worlds.state.is_some_and(|state| {
            let is_there = state.active == self.worlds.stack.overlays;
            !state.records.is_empty() && (!is_there || state.unfinished_switch().is_some())
        })
    }

    /// What sort of switch it is. That nothing is lost makes it a planned one, whoever asked for it.
    fn occasion(&self) -> TaskOccasion {
        let overlays = &self.worlds.stack.overlays;
        if self.worlds.state.is_some_and(|it| it.home == *overlays) {
            TaskOccasion::Failback
        } else if self.options.lost.is_empty() && !self.is_under_loss() {
            TaskOccasion::Planned
        } else {
            TaskOccasion::Failover
        }
    }

    /// Whether the switch that goes on began under a loss: it stays what it is, also where that has recovered meanwhile.
    fn is_under_loss(&self) -> bool {
        let state = self.worlds.state.filter(|it| it.active == self.worlds.stack.overlays);
        state.and_then(State::unfinished_switch).is_some_and(|it| it.under_loss)
    }

    fn task(&mut self, task: &Task, occasion: TaskOccasion) -> Option<PlannedTask> {
        // What a workspace does is a drill of what the plain stack would do.
        let is_drill = self.worlds.stack.instance.is_some();
        let is_named =
            task.on.contains(&occasion) || (is_drill && task.on.contains(&TaskOccasion::Drill));
        let record = self.worlds.state.and_then(|it| it.tasks.get(&task.name));
        let owed = record.filter(|it| it.is_in_force() && !is_named);
        let is_owed = occasion == TaskOccasion::Failback && owed.is_some();
        let recorded = owed.filter(|_| is_owed).and_then(|it| it.takes_back.as_ref());
        let resolved = recorded.map(|it| (it, self.resolved_undo(it)));
        if let Some((recorded, Ok(work))) = resolved {
            return Some(self.taken_back(&task.name, (occasion, TaskFate::Undo), recorded, work));
        }
        let spec = task.spec(is_drill);
        let takes_back = is_owed && spec.is_some_and(|it| it.undo.is_some());
        if let Some((recorded, Err(why))) = resolved.filter(|_| !takes_back) {
            self.misses_undo(&task.name, recorded, why);
        }
        if !is_named && !takes_back {
            return self.undone(task, occasion, record?);
        }
        let fate = match spec {
            None => TaskFate::Skip { why: "`in_drill: skip`".into() },
            Some(spec) => self.fate(task, spec, record, takes_back),
        };
        // What is skipped is shown as the plain stack would do it.
        let spec = self.task_values(task, spec.unwrap_or(&task.spec), &fate)?;
        Some(self.planned(task, occasion, fate, spec))
    }

    /// What this switch home has taken back already, where it goes on.
    fn undone(
        &mut self,
        task: &Task,
        occasion: TaskOccasion,
        record: &TaskRecord,
    ) -> Option<PlannedTask> {
        let here = self.switch_identity()?;
        let at = record.undo.as_ref().filter(|it| it.switch == here)?.done_at()?;
        let fate = TaskFate::Done { at };
        let spec =
            self.task_values(task, task.spec(self.worlds.stack.instance.is_some())?, &fate)?;
        Some(self.planned(task, occasion, fate, spec))
    }

    /// Tasks that ran and that no layer of home declares: those of an overlay that is left, or of a commit of before.
    fn undeclared_tasks(&mut self) -> Vec<PlannedTask> {
        let Some(state) = self.worlds.state else { return Vec::new() };
        let here = self.switch_identity();
        let mut planned = Vec::new();
        for (name, record) in &state.tasks {
            let Some(recorded) = &record.takes_back else { continue };
            if self.worlds.stack.tasks.contains_key(name) {
                continue;
            }
            let undone = record.undo.as_ref().filter(|it| here == Some(it.switch));
            let fate = match undone.and_then(TaskAttempt::done_at) {
                _ if record.is_in_force() => TaskFate::Undo,
                Some(at) => TaskFate::Done { at },
                None => continue,
            };
            match self.resolved_undo(recorded) {
                Ok(work) => {
                    let what = (TaskOccasion::Failback, fate);
                    planned.push(self.taken_back(name, what, recorded, work));
                }
                Err(why) if record.is_in_force() => self.misses_undo(name, recorded, why),
                Err(_) => {}
            }
        }
        planned
    }

    /// What ran in a workspace is taken back before the workspace is deleted, the last one first, and nothing waits for one that
    /// fails. On the plain stack a destroy is no way back.
    fn tasks_of_workspace(&mut self) -> Vec<PlannedTask> {
        let state = self.worlds.state.filter(|it| it.instance.is_some());
        let ran = state.into_iter().flat_map(|it| &it.tasks);
        let mut ran: Vec<_> = ran.filter(|(_, it)| it.is_in_force()).collect();
        ran.sort_by_key(|(_, it)| std::cmp::Reverse(it.run.began));
        let mut planned: Vec<PlannedTask> = Vec::new();
        for (name, record) in ran {
            let Some(undo) = self.undo_in_workspace(name, record) else { continue };
            let after = planned.last().map(|it| it.name.clone());
            let mut undo =
                PlannedTask { after: after.into_iter().collect(), before: Vec::new(), ..undo };
            undo.spec.on_failure = OnFailure::Continue;
            planned.push(undo);
        }
        planned
    }

    /// As it is recorded; what is not recorded whole as the layers of the workspace declare it, where they can be read.
    fn undo_in_workspace(&mut self, name: &str, record: &TaskRecord) -> Option<PlannedTask> {
        let recorded = record.takes_back.as_ref().map(|it| (it, self.resolved_undo(it)));
        if let Some((recorded, Ok(work))) = recorded {
            let what = (TaskOccasion::Drill, TaskFate::Undo);
            return Some(self.taken_back(name, what, recorded, work));
        }
        let task = self.worlds.stack.tasks.get(name);
        let spec = task.and_then(|it| it.spec(true)).filter(|it| it.undo.is_some());
        let Some((task, spec)) = task.zip(spec) else {
            if let Some((recorded, Err(why))) = recorded {
                self.misses_undo(name, recorded, why);
            }
            return None;
        };
        let spec = self.task_values(task, spec, &TaskFate::Undo)?;
        Some(self.planned(task, TaskOccasion::Drill, TaskFate::Undo, spec))
    }

    fn planned(
        &self,
        task: &Task,
        occasion: TaskOccasion,
        fate: TaskFate,
        spec: TaskSpec<Value>,
    ) -> PlannedTask {
        let all = |references: &[Reference]| -> Vec<Address> {
            references.iter().flat_map(|it| named(it, self.worlds.stack)).collect()
        };
        let mut after = all(&task.after);
        for (need, _) in &task.needs {
            if !after.contains(need) {
                after.push(need.clone());
            }
        }
        let name = Address::one(task.name.clone());
        let (place, before) = (self.place(task.span), all(&task.before));
        PlannedTask { name, occasion, fate, place, after, before, spec }
    }

    /// What the switch that goes on is known by; `None`: it is yet to begin.
    fn switch_identity(&self) -> Option<i64> {
        let state = self.worlds.state.filter(|it| it.active == self.worlds.stack.overlays);
        state.and_then(State::unfinished_switch).map(SwitchRecord::identity)
    }

    fn fate(
        &self,
        task: &Task,
        spec: &TaskSpec<Term>,
        record: Option<&TaskRecord>,
        takes_back: bool,
    ) -> TaskFate {
        let here = self.switch_identity();
        let attempt = match (record, takes_back) {
            // What was taken back is as if it had not run.
            (Some(record), false) => Some(&record.run).filter(|_| record.is_in_force()),
            (Some(record), true) => record.undo.as_ref(),
            (None, _) => None,
        };
        let attempt = attempt.filter(|it| here == Some(it.switch));
        // A taking back that began and is not known to be over: how much of the task is in effect nobody knows.
        let half_undone = record
            .filter(|it| !takes_back && it.is_in_force())
            .and_then(|it| it.undo.as_ref())
            .filter(|it| here == Some(it.switch));
        // An approval is of one plan: made anew before users have moved, it may lead them elsewhere.
        let is_word = matches!(spec.work.action, TaskAction::Confirm { .. });
        let is_before = self.worlds.state.is_some_and(|it| it.switching().is_some());
        if is_word && is_before && !takes_back {
            return TaskFate::Run;
        }
        if let Some(at) = attempt.and_then(TaskAttempt::done_at).filter(|_| half_undone.is_none()) {
            return TaskFate::Done { at };
        }
        if takes_back {
            return TaskFate::Undo;
        }
        if let Some(domain) = self.lost_beside(task).filter(|_| spec.if_lost == IfLost::Skip) {
            return TaskFate::Skip { why: format!("{domain}, and it has `if_lost: skip`") };
        }
        let has_failed = attempt.is_some_and(|it| matches!(it.end, Some(TaskEnd::Failed { .. })));
        if has_failed && spec.on_failure == OnFailure::Continue {
            return TaskFate::Skip { why: "it failed, and the switch goes on without it".into() };
        }
        let half_undone = half_undone.and_then(TaskAttempt::doubt);
        let half_undone = half_undone.map(|it| format!("its `undo` began, and {it}"));
        match half_undone.or_else(|| attempt.and_then(TaskAttempt::doubt)) {
            Some(doubt) => TaskFate::Resume { why: format!("{doubt}; {}", goes_on(spec)) },
            None => TaskFate::Run,
        }
    }

    /// What a task names and is in a lost fault domain, in words.
    fn lost_beside(&self, task: &Task) -> Option<String> {
        let stack = self.worlds.stack;
        let declared = task.after.iter().chain(&task.before).flat_map(|it| named(it, stack));
        let named: Vec<Address> =
            declared.chain(task.needs.iter().map(|(it, _)| it.clone())).collect();
        let frozen = self
            .planned
            .iter()
            .find(|it| it.change.frozen.is_some() && named.contains(&it.change.address))?;
        let domain = frozen.change.frozen.as_deref()?;
        Some(format!("`{}` is in {domain}, which is lost", frozen.change.address))
    }

    /// Its values as they are planned: sealed. `None`: they are wrong, which is told.
    fn task_values(
        &mut self,
        task: &Task,
        spec: &TaskSpec<Term>,
        fate: &TaskFate,
    ) -> Option<TaskSpec<Value>> {
        let resolved = match resolve_task(self.worlds.stack, self.worlds.catalog, spec, &self.known)
        {
            Ok(resolved) => resolved,
            Err(mistakes) => {
                self.diagnostics.extend(mistakes);
                return None;
            }
        };
        if fate.has_step() && resolved.parts().into_iter().any(is_missing_secret) {
            let text = format!("the task `{}` requires a secret that was not given", task.name);
            let used = variables_in(spec.parts());
            let given = |it: &&String| {
                let value = self.worlds.stack.variables.get(*it).map(|it| &it.value);
                value.is_some_and(is_missing_secret)
            };
            let missing: Vec<String> = used.iter().filter(given).cloned().collect();
            self.diagnostics.push(
                Diagnostic::error(DiagnosticCode::MissingSecret, text)
                    .at(task.span, "a sensitive variable that it uses has no value")
                    .help(ways_to_give(&missing)),
            );
        }
        let key = self.key();
        Some(resolved.map(|it| seal(it, key)))
    }
}

/// What becomes of a task that began and did not come to a known end.
fn goes_on(spec: &TaskSpec<Term>) -> &'static str {
    match (spec.verify.is_some(), spec.rerun) {
        (true, Rerun::Safe) => "`verify` is asked whether it took effect; if not, it runs again",
        (true, Rerun::Never) => {
            "`verify` is asked whether it took effect; if not, it is indeterminate"
        }
        (false, Rerun::Safe) => "it runs again",
        (false, Rerun::Never) => "it is indeterminate, since it has `rerun: never`",
    }
}

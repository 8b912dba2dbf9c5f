//! Works out what a task does, now that everything before it is known, and takes it back where a switch failed.

use std::time::Duration;

use crate::engine::address::Address;
use crate::engine::lang::task_values::{as_written, recorded_work, resolve_task};
use crate::engine::plan::diff::attributes::seal;
use crate::engine::plan::model::change::{Step, StepCall};
use crate::engine::plan::model::planned_task::{PlannedTask, TaskFate};
use crate::engine::plan::model::step_phase::{StepPhase, role};
use crate::engine::schedule::StepState;
use crate::engine::state::journal::fold;
use crate::engine::state::record::SwitchRecord;
use crate::engine::state::task_record::{RecordedUndo, TaskRecord};
use crate::engine::task::{OnFailure, TaskAction, TaskSpec, TaskWork};
use crate::engine::text::diagnostic::on_one_line;
use crate::engine::value::Value;
use crate::ops::apply::executor::Executor;
use crate::ops::apply::step_inputs::StepContext;
use crate::ops::apply::task_steps::{ENDING, InterruptedProgram, TaskInputs, lift_task};

impl Executor<'_> {
    fn planned_task(&self, step: &Step) -> Option<&PlannedTask> {
        self.plan.tasks.iter().find(|it| it.name == step.address)
    }

    /// Whether what waits for a step runs also when it fails.
    pub fn goes_on_without(&self, step: &Step) -> bool {
        matches!(step.call, StepCall::Task { .. })
            && self.planned_task(step).is_some_and(|it| it.spec.on_failure == OnFailure::Continue)
    }

    /// Resolved anew; what the plan knew must be unchanged.
    pub fn task_inputs(&self, id: usize) -> Result<TaskInputs, String> {
        let step = &self.plan.steps[id];
        let name = &step.address.name;
        let planned = self.planned_task(step).ok_or("the plan does not show it")?;
        let (is_undo, fate) = (planned.is_undo(), planned.fate.clone());
        if let Some(recorded) = self.recorded_undo(planned) {
            let inputs = self.inputs_of(name, &recorded);
            return Ok(TaskInputs { step: id, undo: true, fate, ..inputs });
        }
        let task = self.stack.tasks.get(name).ok_or("the layers no longer hold it")?;
        let spec = task.spec(self.stack.instance.is_some()).ok_or("the layers skip it now")?;
        let resolved = resolve_task(self.stack, &self.session.catalog, spec, &self.known)
            .map_err(|mistakes| on_one_line(&mistakes, &self.stack.sources))?;
        let sealed = resolved.map(|it| seal(it, Some(&self.state.key)));
        let is_other = |(planned, now): (&&Value, &&Value)| !planned.has_open() && planned != now;
        let (then, now) = (planned.spec.parts(), sealed.parts());
        if then.len() != now.len() || then.iter().zip(&now).any(is_other) {
            return Err(format!(
                "what it does ({}) differs from the plan; plan again",
                self.stack.sources.place(task.span)
            ));
        }
        // What takes it back, or asks for it, may be read from what is not there yet.
        let needed = resolved.undo.as_ref().filter(|_| is_undo).unwrap_or(&resolved.work);
        if needed.action.parts().iter().any(|it| it.has_open()) {
            return Err(format!(
                "a value of it ({}) is still unknown although everything that it comes after is done",
                self.stack.sources.place(task.span)
            ));
        }
        let undo = spec.undo.as_ref();
        let written = undo.map(|it| as_written(self.stack, &self.session.catalog, it, &self.known));
        let takes_back = planned.recorded_undo(sealed.undo, written.unwrap_or_default());
        let inputs = self.inputs_of(name, &resolved);
        Ok(TaskInputs { step: id, undo: is_undo, fate, takes_back, ..inputs })
    }

    /// A task that is taken back as it was recorded when it ran, if the plan shows just that: secrets in clear, all of it known.
    fn recorded_undo(&self, planned: &PlannedTask) -> Option<TaskSpec<Value>> {
        let record = self.state.tasks.get(&planned.name.name).filter(|_| planned.is_undo())?;
        let recorded = record.takes_back.as_ref()?;
        let work = self.resolved_undo(recorded)?;
        let then = planned.spec.undo.as_ref()?.action.parts();
        let sealed = work.map(|it| seal(it, Some(&self.state.key)));
        let is_same = |(then, now): (&&Value, &&Value)| then.has_open() || then == now;
        let now = sealed.action.parts();
        let is_planned = then.len() == now.len() && then.iter().zip(&now).all(is_same);
        (is_planned && planned.place == recorded.place).then(|| recorded.spec(work))
    }

    /// What takes a task back as it was recorded; `None`: some of it is not known here.
    fn resolved_undo(&self, recorded: &RecordedUndo) -> Option<TaskWork<Value>> {
        let what = (&recorded.work, recorded.written.as_slice());
        let work = recorded_work(self.stack, &self.session.catalog, what, &self.known).ok()?;
        let is_known = !work.action.parts().iter().any(|it| it.has_open());
        is_known.then_some(work)
    }

    fn inputs_of(&self, name: &str, resolved: &TaskSpec<Value>) -> TaskInputs {
        let switch = self.state.switch.as_ref();
        TaskInputs {
            step: 0,
            name: name.to_owned(),
            undo: true,
            fate: TaskFate::Undo,
            takes_back: None,
            cut_off: self.cut_off(name, resolved),
            spec: in_clear(resolved),
            switch: switch.map_or(0, SwitchRecord::identity),
            from: switch.map(|it| it.from.clone()).unwrap_or_default(),
            to: self.state.active.clone(),
        }
    }

    /// Whether a program of this task was running when a run ended before its end, and can still run: no longer than its time, and
    /// no longer than its lifeboat.
    fn cut_off(&self, name: &str, resolved: &TaskSpec<Value>) -> InterruptedProgram {
        let Some(record) = self.state.tasks.get(name) else { return InterruptedProgram::No };
        let attempts = [Some(&record.run), record.undo.as_ref()].into_iter().flatten();
        // A question is no program.
        let open = attempts.filter(|it| it.end.is_none() && it.asks.is_none());
        let Some(began) = open.map(|it| it.began).max() else { return InterruptedProgram::No };
        if !self.interrupted_elsewhere {
            return InterruptedProgram::Here;
        }
        let parts = [Some(&resolved.work), resolved.verify.as_ref(), resolved.undo.as_ref()];
        let within = parts.into_iter().flatten().map(|it| it.within).max().unwrap_or_default();
        let until = Duration::from_secs(within) + ENDING;
        let until = began.saturating_add(i64::try_from(until.as_millis()).unwrap_or(i64::MAX));
        // The sandbox's clock is none of a program.
        let is_over = !self.session.target.is_sandbox() && self.session.clock.now() > until;
        if is_over { InterruptedProgram::No } else { InterruptedProgram::Elsewhere }
    }

    /// A planned switch that failed while users are still where they were: what its tasks did is taken back, the last one first.
    /// Under loss nothing is taken back: there is no other way than on.
    pub async fn lift(&mut self, hands: &StepContext) {
        let under_loss = self.state.switch.as_ref().is_some_and(|it| it.under_loss);
        let is_planned =
            self.plan.lost.is_empty() && !under_loss && self.stack.overlays != self.state.home;
        let stands = |it: &Step| self.schedule.standing(it.id);
        let steps = &self.plan.steps;
        let mut traffic =
            steps.iter().filter(|it| role(it, steps) == StepPhase::Traffic).peekable();
        let is_before =
            traffic.peek().is_some() && traffic.all(|it| stands(it) == StepState::Skipped);
        let has_moved = self.state.switch.as_ref().is_none_or(|it| !it.directed.is_empty());
        if !is_planned || !is_before || has_moved {
            return;
        }
        for (at, name) in self.to_lift().into_iter().enumerate() {
            let Some(job) = self.lift_inputs(&name, self.plan.steps.len() + at) else { continue };
            let done = lift_task(hands, job).await;
            for entry in &done.entries {
                fold(&mut self.state, entry);
            }
            self.lifted.push((Address::one(name), done.outcome));
        }
    }

    /// The tasks of this switch that did something, or may have, and can be taken back; the last one first.
    fn to_lift(&self) -> Vec<String> {
        let here = self.state.switch.as_ref().map(SwitchRecord::identity);
        let is_here =
            |it: &(&String, &TaskRecord)| it.1.is_in_force() && here == Some(it.1.run.switch);
        let mut found: Vec<_> = self.state.tasks.iter().filter(is_here).collect();
        found.sort_by_key(|(_, it)| std::cmp::Reverse(it.run.began));
        found.into_iter().map(|(name, _)| name.clone()).collect()
    }

    /// What takes a task back; `None`: nothing does, or only a person.
    fn lift_inputs(&self, name: &str, step: usize) -> Option<TaskInputs> {
        let record = self.state.tasks.get(name)?;
        let recorded = record.takes_back.as_ref();
        if let Some((recorded, work)) = recorded.and_then(|it| Some((it, self.resolved_undo(it)?)))
        {
            if matches!(recorded.work.action, TaskAction::Confirm { .. }) {
                return None;
            }
            let spec = recorded.spec(work);
            return Some(TaskInputs { step, ..self.inputs_of(name, &spec) });
        }
        let spec = self.stack.tasks.get(name)?.spec(self.stack.instance.is_some())?;
        let undo = spec.undo.as_ref()?;
        if matches!(undo.action, TaskAction::Confirm { .. }) {
            return None;
        }
        let resolved = resolve_task(self.stack, &self.session.catalog, spec, &self.known).ok()?;
        let is_known = |it: &TaskWork<Value>| !it.action.parts().iter().any(|it| it.has_open());
        resolved.undo.as_ref().filter(|it| is_known(it))?;
        Some(TaskInputs { step, ..self.inputs_of(name, &resolved) })
    }
}

/// As programs and servers get it.
fn in_clear(spec: &TaskSpec<Value>) -> TaskSpec<String> {
    spec.map(|it| match it {
        Value::Secret(secret) => secret.expose().as_text().unwrap_or_default().to_owned(),
        other => other.as_text().unwrap_or_default().to_owned(),
    })
}

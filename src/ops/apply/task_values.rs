//! Works out what a task does, now that everything before it is known.

use crate::engine::lang::task_values::resolve_task;
use crate::engine::plan::diff::attributes::seal;
use crate::engine::plan::model::change::{Step, StepCall};
use crate::engine::plan::model::planned_task::PlannedTask;
use crate::engine::state::record::SwitchRecord;
use crate::engine::task::{OnFailure, TaskSpec};
use crate::engine::text::diagnostic::on_one_line;
use crate::engine::value::Value;
use crate::ops::apply::executor::Executor;
use crate::ops::apply::task_steps::TaskInputs;

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
        let is_undo = planned.is_undo();
        let needed = resolved.undo.as_ref().filter(|_| is_undo).unwrap_or(&resolved.work);
        if needed.action.parts().iter().any(|it| it.has_open()) {
            return Err(format!(
                "a value of it ({}) is still unknown although everything that it comes after is done",
                self.stack.sources.place(task.span)
            ));
        }
        let switch = self.state.switch.as_ref();
        Ok(TaskInputs {
            step: id,
            name: name.clone(),
            undo: is_undo,
            fate: planned.fate.clone(),
            spec: in_clear(&resolved),
            switch: switch.map_or(0, SwitchRecord::identity),
            from: switch.map(|it| it.from.clone()).unwrap_or_default(),
            to: self.state.active.clone(),
        })
    }
}

/// As programs and servers get it.
fn in_clear(spec: &TaskSpec<Value>) -> TaskSpec<String> {
    spec.map(|it| match it {
        Value::Secret(secret) => secret.expose().as_text().unwrap_or_default().to_owned(),
        other => other.as_text().unwrap_or_default().to_owned(),
    })
}

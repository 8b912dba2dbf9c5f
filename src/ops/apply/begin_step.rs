//! Starts a step, of a resource or a task, once it is known what it needs.

use std::sync::Arc;

use tracing::Instrument as _;

use crate::engine::plan::model::change::{Step, StepCall};
use crate::ops::apply::execute_step::execute_step;
use crate::ops::apply::executor::Executor;
use crate::ops::apply::running_steps::RunningSteps;
use crate::ops::apply::step_inputs::StepContext;
use crate::ops::apply::task_steps::execute_task;

impl Executor<'_> {
    /// Starts a step, once it is known what it needs.
    pub fn begin(
        &mut self,
        step: usize,
        hands: &Arc<StepContext>,
        running: &mut RunningSteps,
    ) -> Result<(), String> {
        let Step { address, call, .. } = &self.plan.steps[step];
        let span = tracing::info_span!("step", address = address.to_string(), call = call.word());
        if matches!(call, StepCall::Task { .. }) {
            let job = self.task_inputs(step)?;
            running.start(step, execute_task(Arc::clone(hands), job).instrument(span));
        } else {
            let job = self.inputs(step)?;
            self.open_gate(&job);
            running.start(step, execute_step(Arc::clone(hands), job).instrument(span));
        }
        Ok(())
    }
}

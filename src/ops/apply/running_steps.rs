//! Steps that are being carried out, each a task of its own: how each ends, also where its task panics or is given up.

use std::time::Duration;

use tokio::task::{Id, JoinSet};

use crate::engine::state::journal::{JournalEntry, StepOutcome};
use crate::engine::state::task_record::TaskEnd;
use crate::ops::apply::step_inputs::StepDone;

/// How long tasks that are given up may take until they are gone. They end where they wait, which is at once; a guess, for one
/// that never waits.
const GIVE_UP: Duration = Duration::from_secs(1);

#[derive(Default)]
pub struct RunningSteps {
    tasks: JoinSet<StepDone>,
    /// Those that have not ended.
    steps: Vec<(Id, usize)>,
}

/// What became of a task.
pub enum EndedTask {
    Done(StepDone),
    /// A bug: it panicked, and said this.
    Panicked {
        step: usize,
        why: String,
    },
}

/// How a step ended, as its entries say.
pub fn ended(entries: &[JournalEntry]) -> Option<StepOutcome> {
    entries.iter().find_map(|it| match it {
        JournalEntry::Ended { outcome, .. } => Some(outcome.clone()),
        JournalEntry::TaskEnded { end, .. } => Some(match end {
            TaskEnd::Done { .. } => StepOutcome::Waited,
            TaskEnd::Failed { why, .. } => StepOutcome::failed(why.clone()),
            TaskEnd::Indeterminate { why, .. } => StepOutcome::in_doubt(why.clone()),
            TaskEnd::NotDone { .. } => StepOutcome::failed("it was given up before it began"),
        }),
        _ => None,
    })
}

impl RunningSteps {
    pub fn start(&mut self, step: usize, work: impl Future<Output = StepDone> + Send + 'static) {
        let task = self.tasks.spawn(work);
        self.steps.push((task.id(), step));
    }

    pub fn count(&self) -> usize {
        self.tasks.len()
    }

    /// The next one that ends; `None` where nothing runs.
    pub async fn next(&mut self) -> Option<EndedTask> {
        loop {
            match self.tasks.join_next_with_id().await? {
                Ok((task, done)) => {
                    self.ended(task);
                    return Some(EndedTask::Done(done));
                }
                Err(why) => {
                    let step = self.ended(why.id());
                    // What was given up has no end.
                    if let (Some(step), Ok(panic)) = (step, why.try_into_panic()) {
                        let said = panic.downcast_ref::<String>().map(String::as_str);
                        let said = said.or(panic.downcast_ref::<&str>().copied());
                        let why = said.unwrap_or_default().to_owned();
                        return Some(EndedTask::Panicked { step, why });
                    }
                }
            }
        }
    }

    fn ended(&mut self, task: Id) -> Option<usize> {
        let at = self.steps.iter().position(|(it, _)| *it == task)?;
        Some(self.steps.swap_remove(at).1)
    }

    /// Ends the tasks where they wait, and says which steps these were.
    pub async fn give_up(&mut self) -> Vec<usize> {
        let steps = std::mem::take(&mut self.steps);
        tokio::time::timeout(GIVE_UP, self.tasks.shutdown()).await.ok();
        steps.into_iter().map(|(_, step)| step).collect()
    }
}

//! Carries out the step of a task: journals that it begins, does it or asks whether it took effect, journals how it ended.

use std::sync::Arc;
use std::time::Duration;

use crate::engine::plan::model::planned_task::TaskFate;
use crate::engine::state::journal::{JournalEntry, StepOutcome};
use crate::engine::state::task_record::{RecordedUndo, TaskEnd};
use crate::engine::task::{Rerun, TaskAction, TaskSpec, TaskWork};
use crate::engine::text::advice::AdvisedCommand;
use crate::engine::text::redact::redactor;
use crate::ops::apply::execute_step::told;
use crate::ops::apply::step_inputs::{Progress, StepContext, StepDone};
use crate::ops::tasks::exec::{ProgramCall, TaskAnswer, TaskResult};
use crate::ops::tasks::program::{ProgramNote, may_run_in};
use crate::ops::tasks::runner::RequestCall;

/// How often it is looked whether somebody has approved.
const POLL: Duration = Duration::from_millis(250);

/// Everything that the step of a task needs, worked out when it starts.
pub struct TaskInputs {
    pub step: usize,
    pub name: String,
    pub undo: bool,
    pub fate: TaskFate,
    /// Resolved, secrets in clear.
    pub spec: TaskSpec<String>,
    /// What takes it back later; sealed.
    pub takes_back: Option<RecordedUndo>,
    /// Whether a program of it may still run, which ends with the lifeboat that started it.
    pub cut_off: InterruptedProgram,
    /// The switch that it is a part of, and between which overlays that is.
    pub switch: i64,
    pub from: Vec<String>,
    pub to: Vec<String>,
}

/// What is known of a program that began and whose end nobody has journalled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InterruptedProgram {
    /// There is none.
    No,
    /// It ran on this machine: it may run for as long as its folder is held.
    Here,
    /// It ran on another machine, of which nothing is seen here.
    Elsewhere,
}

/// How long the program of a lifeboat that was killed may take to end: the grace of 3 s that it has, and some.
pub const ENDING: Duration = Duration::from_millis(3_500);

/// The step of one task, from its beginning to its end.
pub async fn execute_task(hands: Arc<StepContext>, job: TaskInputs) -> StepDone {
    let step = job.step;
    tracing::info!(step, "begins");
    (hands.tell)(Progress::Started { step });
    let mut run = TaskRun { hands: &hands, job: &job, entries: Vec::new() };
    let (outcome, output) = run.carry_out().await;
    let entries = run.entries;
    let outcome = told(outcome);
    (hands.tell)(Progress::Ended { step, outcome: outcome.clone() });
    StepDone { output, ..StepDone::new(step, outcome, entries) }
}

/// Takes a task back at the end of a run: it is no step of the plan, and nobody follows it.
pub async fn lift_task(hands: &StepContext, job: TaskInputs) -> StepDone {
    let step = job.step;
    let mut run = TaskRun { hands, job: &job, entries: Vec::new() };
    let (outcome, output) = run.carry_out().await;
    let entries = run.entries;
    StepDone { output, ..StepDone::new(step, told(outcome), entries) }
}

/// A task while it runs.
struct TaskRun<'a> {
    hands: &'a StepContext,
    job: &'a TaskInputs,
    entries: Vec<JournalEntry>,
}

impl TaskRun<'_> {
    async fn carry_out(&mut self) -> (StepOutcome, String) {
        self.let_end().await;
        if matches!(self.job.fate, TaskFate::Resume { .. })
            && let Some(known) = self.resume().await
        {
            return known;
        }
        let work = match (self.job.undo, &self.job.spec.undo) {
            (true, Some(undo)) => undo,
            _ => &self.job.spec.work,
        };
        let asks = match &work.action {
            TaskAction::Confirm { text } => Some(redactor().redact(text).into_owned()),
            TaskAction::Exec { .. } | TaskAction::Http(_) => None,
        };
        let began = JournalEntry::TaskBegan {
            task: self.job.name.clone(),
            undo: self.job.undo,
            step: self.job.step,
            plan: self.hands.ground.plan.clone(),
            at: self.hands.session.clock.now(),
            takes_back: self.job.takes_back.clone().map(Box::new),
            asks,
        };
        if let Err(why) = self.write(began).await {
            return (StepOutcome::failed(why), String::new());
        }
        let answer = match self.hands.fenced().await {
            Ok(()) => self.act(work).await,
            Err(over) => TaskResult::NotStarted(over.to_string()).into(),
        };
        self.end(answer).await
    }

    /// Two of a program at once would be one too many: one that was cut off has ended before anything of its task goes on.
    async fn let_end(&self) {
        let may_run = || match self.job.cut_off {
            InterruptedProgram::No => false,
            InterruptedProgram::Here => may_run_in(&self.hands.ground.folder),
            InterruptedProgram::Elsewhere => true,
        };
        let began = tokio::time::Instant::now();
        while began.elapsed() < ENDING && may_run() {
            let why = "waiting until the interrupted program has ended for certain".to_owned();
            (self.hands.tell)(Progress::Waiting { step: self.job.step, why });
            tokio::time::sleep(POLL).await;
        }
    }

    /// What is known of a task that began before; `None`: it runs again.
    async fn resume(&mut self) -> Option<(StepOutcome, String)> {
        let spec = &self.job.spec;
        let mut said = String::new();
        if let Some(verify) = &spec.verify {
            let answer = self.act(verify).await;
            if answer.result == TaskResult::Done {
                return Some(self.end(answer).await);
            }
            let why = match answer.result {
                TaskResult::Done => String::new(),
                TaskResult::Failed(why)
                | TaskResult::Unknown(why)
                | TaskResult::NotStarted(why) => why,
            };
            said = format!("; `verify` did not say that it took effect: {why}");
        }
        if spec.rerun == Rerun::Safe {
            return None;
        }
        let TaskFate::Resume { why } = &self.job.fate else { return None };
        let why = format!("{}{said}", why.split("; ").next().unwrap_or(why));
        Some(self.end(TaskResult::Unknown(why).into()).await)
    }

    async fn act(&self, work: &TaskWork<String>) -> TaskAnswer {
        let (ground, session) = (&self.hands.ground, &self.hands.session);
        let within = Duration::from_secs(work.within);
        match &work.action {
            TaskAction::Exec { command, env } => {
                let call = ProgramCall {
                    command: command.clone(),
                    folder: ground.folder.clone(),
                    note: ProgramNote::of(&ground.folder, &ground.stack, &self.job.name),
                    env: env.clone(),
                    facts: self.facts(),
                    within,
                };
                session.tasks.exec(&call, ground.stop.clone()).await
            }
            TaskAction::Http(request) => {
                let is_safe = self.is_safe();
                let call = RequestCall { request: request.clone(), within, is_safe };
                session.tasks.request(&call, ground.stop.clone()).await
            }
            TaskAction::Confirm { text } => self.confirm(text, within).await,
        }
    }

    /// What a program is told of what it runs for.
    fn facts(&self) -> Vec<(&'static str, String)> {
        let (job, ground) = (self.job, &self.hands.ground);
        let overlays = |it: &[String]| if it.is_empty() { "base".into() } else { it.join("+") };
        let mut facts = vec![
            ("LIFEBOAT_STACK", ground.stack.clone()),
            ("LIFEBOAT_TASK", job.name.clone()),
            ("LIFEBOAT_SWITCH", job.switch.to_string()),
            ("LIFEBOAT_FROM", overlays(&job.from)),
            ("LIFEBOAT_TO", overlays(&job.to)),
        ];
        facts.extend(job.undo.then(|| ("LIFEBOAT_UNDO", "1".to_owned())));
        if self.hands.session.target.is_sandbox() {
            // A lifeboat that it calls acts in the same world.
            facts.push(("LIFEBOAT_SANDBOX", "1".to_owned()));
        }
        facts
    }

    /// Waits for the word of a person, on the wall's clock: people have no other.
    async fn confirm(&self, text: &str, within: Duration) -> TaskAnswer {
        let (job, ground) = (self.job, &self.hands.ground);
        let command = AdvisedCommand::Approve { stack: &ground.stack, task: &job.name };
        let what = format!("{text} To approve it: {command}");
        (self.hands.tell)(Progress::Asking { step: job.step, what });
        let mut stop = ground.stop.clone();
        let began = tokio::time::Instant::now();
        loop {
            if let Ok(Some(it)) = ground.approvals.read(&job.name)
                && it.is_of(&job.name, job.undo, job.switch, &ground.plan)
            {
                return TaskAnswer { result: TaskResult::Done, output: it.sentence() };
            }
            if let Some(why) = stop.borrow_and_update().clone() {
                return TaskResult::NotStarted(format!("it was stopped: {why}")).into();
            }
            if began.elapsed() >= within {
                let why = format!("nobody approved within {} s", within.as_secs());
                return TaskResult::NotStarted(why).into();
            }
            tokio::select! {
                () = tokio::time::sleep(POLL) => {}
                Ok(()) = stop.changed() => {}
            }
        }
    }

    /// Journals how it ended. Where that cannot be written, the next run asks what became of it.
    async fn end(&mut self, answer: TaskAnswer) -> (StepOutcome, String) {
        let at = self.hands.session.clock.now();
        let clean = |why: &str| redactor().redact(why).into_owned();
        let (end, outcome) = match &answer.result {
            TaskResult::Done => (TaskEnd::Done { at }, StepOutcome::Waited),
            TaskResult::Failed(why) => {
                let said = with_last_line(why, &answer.output);
                (
                    TaskEnd::Failed { at, why: clean(why) },
                    StepOutcome::failed(self.unless_safe(&said)),
                )
            }
            TaskResult::Unknown(why) => {
                let said = with_last_line(why, &answer.output);
                let end = TaskEnd::Indeterminate { at, why: clean(why) };
                (end, StepOutcome::in_doubt(self.unless_safe(&said)))
            }
            TaskResult::NotStarted(why) => {
                (TaskEnd::NotDone { at }, StepOutcome::failed(why.clone()))
            }
        };
        let (task, undo, step) = (self.job.name.clone(), self.job.undo, self.job.step);
        let outcome = match self.write(JournalEntry::TaskEnded { task, undo, step, end }).await {
            Ok(()) => outcome,
            Err(why) => StepOutcome::in_doubt(why),
        };
        (outcome, answer.output)
    }

    /// Whether it may be done again where nobody knows what became of it. What takes something back has to bear that: it is done
    /// until it is known to be done.
    fn is_safe(&self) -> bool {
        self.job.undo || self.job.spec.rerun == Rerun::Safe
    }

    /// What a person has to do before it can run again.
    fn unless_safe(&self, why: &str) -> String {
        if self.is_safe() {
            return format!("{why}; the next run runs it again");
        }
        let (stack, task) = (&self.hands.ground.stack, &self.job.name);
        let resolve = |is_done| AdvisedCommand::StateResolveTask { stack, task, is_done };
        format!(
            "{why}; it does not run again by itself: if it took effect: {}; if it did not: {}",
            resolve(true),
            resolve(false)
        )
    }

    async fn write(&mut self, entry: JournalEntry) -> Result<(), String> {
        self.hands.pen.write(vec![entry.clone()]).await?;
        self.entries.push(entry);
        Ok(())
    }
}

/// What went wrong is mostly said last.
fn with_last_line(why: &str, output: &str) -> String {
    match output.lines().rev().map(str::trim).find(|it| !it.is_empty()) {
        Some(last) => {
            let last: String = last.chars().take(200).collect();
            format!("{why}: {last}")
        }
        None => why.to_owned(),
    }
}

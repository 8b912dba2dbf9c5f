//! Tasks over doubles: what is durable before they start, and that no cut between two entries makes one run twice.

use std::sync::{Arc, Mutex};

use tokio::sync::watch;

use crate::engine::plan::model::planned_task::TaskFate;
use crate::engine::state::journal::{JournalEntry, StepOutcome};
use crate::engine::task::{IfLost, OnFailure, Rerun, TaskAction, TaskRequest, TaskSpec, TaskWork};
use crate::ops::apply::step_inputs::StepDone;
use crate::ops::apply::task_steps::{InterruptedProgram, TaskInputs, execute_task};
use crate::ops::tasks::approval::{Approval, Approvals};
use crate::ops::tasks::exec::{ProgramCall, TaskResult};
use crate::ops::tasks::runner::{RequestCall, TaskFuture, TaskRunner};
use crate::ops::tests::memory::Log;
use crate::ops::tests::stage::{Stage, end, in_time};

/// Runs nothing: notes what is asked of it, and answers as it was told.
struct MemoryRunner {
    log: Log,
    answers: Mutex<Vec<TaskResult>>,
}

impl MemoryRunner {
    fn answer(&self, what: &str) -> TaskResult {
        self.log.note(what);
        self.answers.lock().unwrap().pop().unwrap_or(TaskResult::Done)
    }
}

impl TaskRunner for MemoryRunner {
    fn exec<'a>(
        &'a self,
        call: &'a ProgramCall,
        _: watch::Receiver<Option<String>>,
    ) -> TaskFuture<'a> {
        let answer = self.answer(&format!("runs {}", call.command.join(" ")));
        Box::pin(async move { answer.into() })
    }

    fn request<'a>(
        &'a self,
        call: &'a RequestCall,
        _: watch::Receiver<Option<String>>,
    ) -> TaskFuture<'a> {
        let answer = self.answer(&format!("sends {}", call.request.url));
        Box::pin(async move { answer.into() })
    }
}

/// A stage whose tasks end so, the first one first.
fn stage(answers: &[TaskResult]) -> Stage {
    let mut stage = Stage::new();
    let answers = Mutex::new(answers.iter().rev().cloned().collect());
    let runner = MemoryRunner { log: stage.log.clone(), answers };
    let session = Arc::into_inner(stage.session).expect("nobody else has it yet");
    stage.session = Arc::new(session.with_tasks(Arc::new(runner)));
    stage
}

fn exec(command: &str) -> TaskWork<String> {
    let command = command.split(' ').map(str::to_owned).collect();
    TaskWork { action: TaskAction::Exec { command, env: Vec::new() }, within: 60 }
}

fn inputs(fate: TaskFate, rerun: Rerun, verify: Option<TaskWork<String>>) -> TaskInputs {
    TaskInputs {
        takes_back: None,
        cut_off: InterruptedProgram::No,
        step: 0,
        name: "purge".into(),
        undo: fate == TaskFate::Undo,
        fate,
        spec: TaskSpec {
            work: exec("./purge shop"),
            verify,
            undo: Some(exec("./fill shop")),
            rerun,
            on_failure: OnFailure::Stop,
            if_lost: IfLost::Try,
        },
        switch: 500,
        from: Vec::new(),
        to: vec!["eu".into()],
    }
}

fn resume() -> TaskFate {
    TaskFate::Resume { why: "it was interrupted; it runs again".into() }
}

/// Carries one task out; only so many writes to the journal succeed.
async fn carry_out(stage: &Stage, job: TaskInputs, writes: usize) -> StepDone {
    let (lease, _) = stage.lease();
    in_time(execute_task(stage.hands(&lease, writes), job)).await
}

/// What was journalled and run, in its order.
fn lines(stage: &Stage) -> Vec<String> {
    stage.log.lines()
}

#[tokio::test]
async fn execute_task_makes_its_beginning_durable_before_it_starts() {
    let stage = stage(&[]);
    let done = carry_out(&stage, inputs(TaskFate::Run, Rerun::Never, None), usize::MAX).await;
    assert_eq!(done.outcome, StepOutcome::Waited);
    assert_eq!(lines(&stage), ["began purge", "runs ./purge shop", "done purge"]);
    let undone = carry_out(&stage, inputs(TaskFate::Undo, Rerun::Never, None), usize::MAX).await;
    assert_eq!(undone.outcome, StepOutcome::Waited);
    assert_eq!(lines(&stage)[3..], ["began undo purge", "runs ./fill shop", "done undo purge"]);
}

/// Cut before its beginning is durable it never starts; cut after it, and before its end is, nobody says that it is done.
#[tokio::test]
async fn execute_task_cut_between_entries_is_never_taken_for_done() {
    for (writes, ran) in [(0, 0), (1, 1)] {
        let stage = stage(&[]);
        let done = carry_out(&stage, inputs(TaskFate::Run, Rerun::Never, None), writes).await;
        let runs = lines(&stage).iter().filter(|it| it.starts_with("runs")).count();
        assert_eq!(runs, ran, "{writes}");
        assert_eq!(end(&done.outcome), if writes == 0 { "failed" } else { "in doubt" });
        let ends = |it: &JournalEntry| matches!(it, JournalEntry::TaskEnded { .. });
        assert!(!done.entries.iter().any(ends), "{writes}");
    }
}

#[tokio::test]
async fn execute_task_resumed_asks_verify_and_runs_again_only_where_that_is_safe() {
    let verify = || Some(exec("./seen"));
    let failed = || TaskResult::Failed("exit status 1".into());
    // Rerun, verify, what that answers, and what is run and how it ends.
    let cases = [
        (Rerun::Safe, None, vec![], vec!["runs ./purge shop"], "waited"),
        (Rerun::Never, None, vec![], vec![], "in doubt"),
        (Rerun::Safe, verify(), vec![TaskResult::Done], vec!["runs ./seen"], "waited"),
        (Rerun::Never, verify(), vec![TaskResult::Done], vec!["runs ./seen"], "waited"),
        (Rerun::Safe, verify(), vec![failed()], vec!["runs ./seen", "runs ./purge shop"], "waited"),
        (Rerun::Never, verify(), vec![failed()], vec!["runs ./seen"], "in doubt"),
    ];
    for (rerun, verify, answers, ran, ended) in cases {
        let stage = stage(&answers);
        let said = format!("{rerun:?} {answers:?}");
        let done = carry_out(&stage, inputs(resume(), rerun, verify), usize::MAX).await;
        let runs: Vec<String> =
            lines(&stage).into_iter().filter(|it| it.starts_with("runs")).collect();
        assert_eq!(runs, ran, "{said}");
        assert_eq!(end(&done.outcome), ended, "{said}: {:?}", done.outcome);
    }
}

/// What certainly did nothing is as if it had not begun; what may have done something is indeterminate.
#[tokio::test]
async fn execute_task_tells_what_did_nothing_from_what_may_have() {
    let cases = [
        (TaskResult::NotStarted("no such file".into()), "not done", "failed"),
        (TaskResult::Failed("exit status 3".into()), "failed", "failed"),
        (TaskResult::Unknown("no answer".into()), "indeterminate", "in doubt"),
    ];
    for (answer, journaled, ended) in cases {
        let stage = stage(&[answer]);
        let done = carry_out(&stage, inputs(TaskFate::Run, Rerun::Never, None), usize::MAX).await;
        assert_eq!(lines(&stage).last().unwrap(), &format!("{journaled} purge"));
        assert_eq!(end(&done.outcome), ended);
    }
}

#[tokio::test]
async fn execute_task_waits_for_an_approval_of_its_own_switch_and_plan() {
    let stage = stage(&[]);
    let store = stage.session.store(&stage.place());
    let approvals = Approvals::new(Arc::clone(store.backend()));
    let approval = |switch, plan: &str| Approval {
        task: "purge".into(),
        undo: false,
        switch,
        plan: plan.into(),
        who: "ann@test".into(),
        because: Some("the board is green".into()),
        at: 1,
    };
    for (switch, plan, ended) in
        [(499, "sha256:1", "failed"), (500, "sha256:2", "failed"), (500, "sha256:1", "waited")]
    {
        approvals.write(&approval(switch, plan)).unwrap();
        let mut job = inputs(TaskFate::Run, Rerun::Safe, None);
        job.spec.work = TaskWork { action: TaskAction::Confirm { text: "Go?".into() }, within: 1 };
        let done = carry_out(&stage, job, usize::MAX).await;
        assert_eq!(end(&done.outcome), ended, "{switch} {plan}");
        let said = "approved by ann@test: the board is green";
        assert_eq!(done.output, if ended == "waited" { said } else { "" });
    }
}

#[tokio::test]
async fn execute_task_sends_a_request_once_unless_it_is_safe_to_send_it_again() {
    let stage = stage(&[]);
    let mut job = inputs(TaskFate::Run, Rerun::Never, None);
    let request = TaskRequest {
        method: "POST".into(),
        url: "http://192.0.2.1/purge".into(),
        headers: Vec::new(),
        body: None,
        expect: Vec::new(),
    };
    job.spec.work = TaskWork { action: TaskAction::Http(request), within: 60 };
    let done = carry_out(&stage, job, usize::MAX).await;
    assert_eq!(done.outcome, StepOutcome::Waited);
    assert_eq!(lines(&stage), ["began purge", "sends http://192.0.2.1/purge", "done purge"]);
}

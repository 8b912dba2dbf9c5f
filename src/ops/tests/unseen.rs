//! Law 1: unknown is not absent, so silence never leads to a create, a delete or a forgotten record.

use std::time::Duration;

use crate::engine::plan::model::change::{Plan, StepCall};
use crate::engine::state::journal::StepOutcome;
use crate::ops::error::OpsError;
use crate::ops::tests::calls::update;
use crate::ops::tests::memory::Fault;
use crate::ops::tests::stage::{NAME, Stage, create, end, name_attributes};

/// Steps that would make something, take it away or forget it.
fn drastic(plan: &Plan) -> Vec<&str> {
    let is_drastic = |it: &StepCall| {
        matches!(it, StepCall::Create { .. } | StepCall::Delete { .. } | StepCall::Forget)
    };
    plan.steps.iter().filter(|it| is_drastic(&it.call)).map(|it| it.call.word()).collect()
}

#[tokio::test]
async fn plan_neither_makes_nor_forgets_what_nobody_answers_for() {
    for fault in [Fault::Silent, Fault::Unwell] {
        let stage = Stage::new();
        assert!(stage.apply().await.is_over());
        // Long enough ago that a list without it would be believed.
        stage.clock.advance(Duration::from_secs(600));
        stage.cloud.always("observe", fault);
        let made = stage.plan().await.unwrap();
        assert_eq!(drastic(&made.plan), Vec::<&str>::new(), "{fault:?}");
        assert!(made.plan.changes.iter().any(|it| it.unknown.is_some()));
    }
}

/// The other side of it: what a healthy list does not have is made again.
#[tokio::test]
async fn plan_makes_again_what_is_seen_to_be_gone() {
    let stage = Stage::new();
    assert!(stage.apply().await.is_over());
    let name = stage.cloud.objects().into_iter().find(|it| it.kind == NAME).unwrap();
    stage.clock.advance(Duration::from_secs(600));
    stage.cloud.remove(&name.id);
    let made = stage.plan().await.unwrap();
    assert_eq!(drastic(&made.plan), ["create"]);
}

#[tokio::test]
async fn plan_is_refused_for_the_credentials_of_another_account() {
    let stage = Stage::new();
    assert!(stage.apply().await.is_over());
    stage.cloud.belongs_to("another");
    let refused = stage.plan().await.err();
    assert!(matches!(refused, Some(OpsError::Refused { .. })), "{refused:?}");
}

#[tokio::test]
async fn plan_stops_at_a_denied_account_and_goes_on_at_a_silent_one() {
    let stage = Stage::new();
    assert!(stage.apply().await.is_over());
    stage.cloud.always("account", Fault::Denied);
    assert!(matches!(stage.plan().await.err(), Some(OpsError::Provider(_))));
    stage.cloud.always("account", Fault::Silent);
    assert!(stage.plan().await.unwrap().plan.is_empty());
}

/// "Not found" is asked for once more; whoever gets no answer then knows nothing.
#[tokio::test]
async fn update_makes_nothing_anew_when_nobody_confirms_that_it_is_gone() {
    let stage = Stage::new();
    let job = update(&stage, true);
    stage.cloud.next("update", Fault::Missing);
    stage.cloud.always("look", Fault::Silent);
    let done = stage.step(job).await;
    assert_eq!((end(&done.outcome), stage.log.count("create")), ("failed", 0));
}

#[tokio::test]
async fn gone_takes_silence_for_no_end() {
    let stage = Stage::new();
    let mut job = stage.name_step(StepCall::Gone { deposed: false });
    let id = stage.cloud.put(NAME, &name_attributes(), None);
    job.record = Some(stage.record(NAME, &id, name_attributes()));
    stage.cloud.always("look", Fault::Silent);
    let done = stage.step(job).await;
    assert!(
        matches!(&done.outcome, StepOutcome::Failed(it) if it.why.starts_with("unreachable: ")),
        "{:?}",
        done.outcome
    );
}

/// What is alike has to be known before a create, or a crash after it could not be settled.
#[tokio::test]
async fn create_does_not_leave_when_nobody_says_what_is_alike() {
    let stage = Stage::new();
    let mut job = stage.name_step(create());
    job.surveyed = false;
    stage.cloud.always("alike", Fault::Silent);
    let done = stage.step(job).await;
    assert_eq!((end(&done.outcome), stage.log.changes()), ("failed", 0));
}

#[tokio::test]
async fn create_is_indeterminate_when_nobody_answers_after_a_lost_reply() {
    let stage = Stage::new();
    stage.cloud.next("create", Fault::LostReply);
    stage.cloud.always("alike", Fault::Silent);
    let done = stage.step(stage.name_step(create())).await;
    assert_eq!((end(&done.outcome), stage.log.count("create")), ("in doubt", 1));
}

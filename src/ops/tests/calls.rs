//! Law 10: a lost reply is looked up and never blindly repeated, and every patience has an end.

use std::time::Duration;

use crate::cloud::clock::Clock as _;
use crate::engine::plan::model::change::StepCall;
use crate::engine::retry::CHANGING;
use crate::engine::state::journal::{StepFailure, StepOutcome};
use crate::engine::value::Value;
use crate::ops::apply::step_inputs::StepInputs;
use crate::ops::tests::memory::{Fault, NOON};
use crate::ops::tests::stage::{NAME, Stage, create, end, name_attributes};

/// A step that changes where the name leads, of an object that is there.
pub(super) fn update(stage: &Stage, or_create: bool) -> StepInputs {
    let id = stage.cloud.put(NAME, &name_attributes(), None);
    let (changed, attributes) = (vec!["target".to_owned()], name_attributes());
    let mut job =
        stage.name_step(StepCall::Update { group: String::new(), changed, attributes, or_create });
    job.record = Some(stage.record(NAME, &id, name_attributes()));
    job.attributes.insert("target".into(), Value::text("192.0.2.2"));
    job.sealed.clone_from(&job.attributes);
    job
}

#[tokio::test]
async fn create_looks_up_a_lost_reply_instead_of_repeating_it() {
    let stage = Stage::new();
    stage.cloud.next("create", Fault::LostReply);
    let done = stage.step(stage.name_step(create())).await;
    let made = stage.cloud.objects();
    assert_eq!(stage.log.count("create"), 1);
    assert_eq!(made.len(), 1);
    assert!(matches!(done.outcome, StepOutcome::Recorded(it) if it.id == made[0].id));
}

/// The list lacks it for twenty seconds: whoever looks for five makes a second one.
#[tokio::test]
async fn create_looks_as_long_as_lists_may_lag_where_a_second_one_would_be_made() {
    let stage = Stage::new();
    stage.cloud.lag(Duration::from_secs(20));
    stage.cloud.next("create", Fault::LostReply);
    let done = stage.step(stage.name_step(create())).await;
    assert_eq!(stage.cloud.objects().len(), 1);
    assert_eq!(end(&done.outcome), "recorded");
}

#[tokio::test]
async fn create_that_never_arrived_is_made_once_again() {
    let stage = Stage::new();
    stage.cloud.next("create", Fault::CutOff);
    let done = stage.step(stage.name_step(create())).await;
    assert_eq!((stage.log.count("create"), stage.cloud.objects().len()), (2, 1));
    assert_eq!(end(&done.outcome), "recorded");
}

/// A stranger makes the same in the very moment: which of the two is ours nobody can say.
#[tokio::test]
async fn create_is_indeterminate_when_its_reply_may_be_either_of_two() {
    let stage = Stage::new();
    let cloud = std::sync::Arc::clone(&stage.cloud);
    stage.cloud.before("create", move || {
        cloud.put(NAME, &name_attributes(), None);
    });
    stage.cloud.next("create", Fault::LostReply);
    let done = stage.step(stage.name_step(create())).await;
    assert_eq!(end(&done.outcome), "in doubt");
    assert_eq!(stage.log.count("create"), 1);
}

#[tokio::test]
async fn create_gives_up_after_so_many_lost_replies() {
    let stage = Stage::new();
    stage.cloud.always("create", Fault::CutOff);
    let done = stage.step(stage.name_step(create())).await;
    assert_eq!(end(&done.outcome), "failed");
    assert_eq!(stage.log.count("create"), CHANGING.attempts as usize);
}

#[tokio::test]
async fn create_gives_up_after_so_many_attempts_at_a_cloud_that_is_not_well() {
    let stage = Stage::new();
    stage.cloud.always("create", Fault::Unwell);
    let done = stage.step(stage.name_step(create())).await;
    assert_eq!(end(&done.outcome), "failed");
    assert_eq!(stage.log.count("create"), CHANGING.attempts as usize);
}

#[tokio::test]
async fn create_waits_as_long_as_the_cloud_asks_it_to() {
    let stage = Stage::new();
    stage.cloud.next("create", Fault::Throttled(Duration::from_secs(90)));
    let done = stage.step(stage.name_step(create())).await;
    assert_eq!(end(&done.outcome), "recorded");
    assert!(stage.clock.now() >= NOON + 90_000);
}

#[tokio::test]
async fn create_does_not_ask_twice_for_what_is_refused() {
    let stage = Stage::new();
    stage.cloud.always("create", Fault::Refused);
    let done = stage.step(stage.name_step(create())).await;
    assert_eq!((end(&done.outcome), stage.log.count("create")), ("failed", 1));
}

#[tokio::test]
async fn update_reads_what_a_lost_reply_left_instead_of_sending_it_again() {
    let stage = Stage::new();
    let job = update(&stage, false);
    stage.cloud.next("update", Fault::LostReply);
    let done = stage.step(job).await;
    assert_eq!((end(&done.outcome), stage.log.count("update")), ("recorded", 1));
}

#[tokio::test]
async fn update_gives_up_after_so_many_lost_replies() {
    let stage = Stage::new();
    let job = update(&stage, false);
    stage.cloud.always("update", Fault::CutOff);
    stage.cloud.always("look", Fault::Silent);
    let done = stage.step(job).await;
    assert_eq!(end(&done.outcome), "failed");
    assert!(stage.log.count("update") <= 1 + CHANGING.attempts as usize);
}

/// A change that takes hours is waited for as long as its kind says, unless the stack says otherwise.
#[tokio::test]
async fn ready_waits_as_long_as_what_was_changed_may_take() {
    for (timeout, seconds) in [(None, 10_800), (Some(60), 60)] {
        let stage = Stage::new();
        let mut job = stage.name_step(StepCall::Ready);
        job.record = Some(stage.record(NAME, "999", name_attributes()));
        job.slow = Some(Duration::from_secs(10_800));
        job.timeout = timeout.map(Duration::from_secs);
        let StepOutcome::Failed(StepFailure { why, .. }) = stage.step(job).await.outcome else {
            panic!("it is never ready");
        };
        assert!(why.starts_with(&format!("timed out after {seconds} s")), "{why}");
    }
}

#[tokio::test]
async fn ready_gives_up_at_its_deadline() {
    let stage = Stage::new();
    let mut job = stage.name_step(StepCall::Ready);
    job.record = Some(stage.record(NAME, "999", name_attributes()));
    job.timeout = Some(Duration::from_secs(60));
    let done = stage.step(job).await;
    let why = match done.outcome {
        StepOutcome::Failed(it) => it.why,
        other => panic!("{other:?}"),
    };
    assert!(why.starts_with("timed out after 60 s"), "{why}");
    assert!(stage.clock.now() < NOON + 90_000, "it went on long after its deadline");
}

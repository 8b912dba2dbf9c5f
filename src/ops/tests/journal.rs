//! Laws 3 and 5: "began" is durable before a call leaves, and every step that was carried out has its end in the journal.

use crate::engine::plan::model::change::StepCall;
use crate::engine::state::journal::JournalEntry;
use crate::ops::tests::calls::update;
use crate::ops::tests::stage::{NAME, Stage, create, end, name_attributes};

#[tokio::test]
async fn execute_step_journals_began_before_a_create_and_its_end_after() {
    let stage = Stage::new();
    stage.step(stage.name_step(create())).await;
    assert_eq!(stage.log.lines(), ["began create www", "create", "ended www recorded"]);
}

#[tokio::test]
async fn execute_step_makes_began_durable_before_an_update_leaves() {
    let stage = Stage::new();
    let job = update(&stage, false);
    stage.step(job).await;
    assert_eq!(stage.log.lines(), ["began update www", "update", "ended www recorded"]);
}

#[tokio::test]
async fn execute_step_makes_began_durable_before_a_delete_leaves() {
    let stage = Stage::new();
    let mut job = stage.name_step(StepCall::Delete { deposed: false });
    let id = stage.cloud.put(NAME, &name_attributes(), None);
    job.record = Some(stage.record(NAME, &id, name_attributes()));
    stage.step(job).await;
    assert_eq!(stage.log.lines(), ["began delete www", "delete", "ended www removed"]);
}

/// What was to be changed is gone and is made anew: that is another call, and has an intent of its own.
#[tokio::test]
async fn execute_step_journals_began_again_before_update_becomes_create() {
    let stage = Stage::new();
    let job = update(&stage, true);
    stage.cloud.objects().iter().for_each(|it| stage.cloud.remove(&it.id));
    stage.step(job).await;
    let expected = [
        "began update www",
        "update",
        "look",
        "alike",
        "began create www",
        "create",
        "ended www recorded",
    ];
    assert_eq!(stage.log.lines(), expected);
}

#[tokio::test]
async fn execute_step_calls_nothing_when_began_cannot_be_written() {
    let stage = Stage::new();
    let (lease, _) = stage.lease();
    let done = stage.step_under(&lease, stage.name_step(create()), 0).await;
    assert_eq!((end(&done.outcome), stage.log.changes()), ("failed", 0));
}

/// The call was made, and nothing says how it ended: the next run looks.
#[tokio::test]
async fn execute_step_is_indeterminate_when_its_end_cannot_be_written() {
    let stage = Stage::new();
    let (lease, _) = stage.lease();
    let done = stage.step_under(&lease, stage.name_step(create()), 1).await;
    assert_eq!((end(&done.outcome), stage.log.count("create")), ("in doubt", 1));
}

/// What was there before is not ours, whatever it looks like.
#[tokio::test]
async fn execute_step_journals_look_alikes_before_an_unrefreshed_create() {
    let stage = Stage::new();
    let id = stage.cloud.put(NAME, &name_attributes(), None);
    let mut job = stage.name_step(create());
    job.surveyed = false;
    let done = stage.step(job).await;
    let JournalEntry::Pending(begun) = &done.entries[0] else { panic!("{:?}", done.entries) };
    assert_eq!(begun.alike, [id]);
}

#[tokio::test]
async fn execute_step_journals_a_wait_before_it_waits() {
    let stage = Stage::new();
    let call = StepCall::Drain { seconds: 60, until: None };
    stage.step(stage.name_step(call)).await;
    assert_eq!(stage.log.lines(), ["waiting drain gate www", "waits", "waits", "ended www waited"]);
}

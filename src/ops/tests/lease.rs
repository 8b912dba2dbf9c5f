//! Law 4: a call that changes something leaves only while the lease is ours.

use std::sync::Arc;

use crate::engine::address::Address;
use crate::engine::lang::resolve::{ResolvedGate, ResolvedProbe};
use crate::engine::plan::model::change::StepCall;
use crate::engine::schema::Membership;
use crate::engine::value::Value;
use crate::ops::apply::step_inputs::{StepInputs, StepWait};
use crate::ops::apply::watched_resources::{WatchedMembers, WatchedResource};
use crate::ops::tests::calls::update;
use crate::ops::tests::memory::Fault;
use crate::ops::tests::stage::{NAME, Stage, create, end, name_attributes, take_over};

#[tokio::test]
async fn execute_step_sends_no_create_without_the_lease() {
    let stage = Stage::new();
    let (lease, _) = stage.lease();
    stage.lose_lease();
    let done = stage.step_under(&lease, stage.name_step(create()), usize::MAX).await;
    assert_eq!((end(&done.outcome), stage.log.changes()), ("withdrawn", 0));
}

#[tokio::test]
async fn execute_step_sends_no_update_without_the_lease() {
    let stage = Stage::new();
    let job = update(&stage, false);
    let (lease, _) = stage.lease();
    stage.lose_lease();
    let done = stage.step_under(&lease, job, usize::MAX).await;
    assert_eq!((end(&done.outcome), stage.log.changes()), ("withdrawn", 0));
}

#[tokio::test]
async fn execute_step_sends_no_delete_without_the_lease() {
    let stage = Stage::new();
    let mut job = stage.name_step(StepCall::Delete { deposed: false });
    let id = stage.cloud.put(NAME, &name_attributes(), None);
    job.record = Some(stage.record(NAME, &id, name_attributes()));
    let (lease, _) = stage.lease();
    stage.lose_lease();
    let done = stage.step_under(&lease, job, usize::MAX).await;
    assert_eq!((end(&done.outcome), stage.log.changes()), ("withdrawn", 0));
    assert_eq!(stage.cloud.objects().len(), 1);
}

/// A gate that writes an item into another member of the group.
fn replication(stage: &Stage, back: bool) -> StepInputs {
    let from = Address::one("other");
    let mut job = stage.name_step(StepCall::Replication { from: from.clone(), back });
    // Names that lead to two places stand for the members of a group.
    let (name, region, others) = ("name".to_owned(), "target".to_owned(), String::new());
    job.kind.group = Some(Membership { name, region, others, join_as: None, twice: None });
    let gate = ResolvedGate { probe: ResolvedProbe::Replication, within_seconds: 60, times: 1 };
    let record = stage.record(NAME, "1", name_attributes());
    let mut theirs = record.clone();
    theirs.attributes.insert("target".into(), Value::text("192.0.2.2"));
    job.record = Some(record);
    let peer = Box::new(WatchedResource {
        address: from,
        kind: job.kind.clone(),
        record: theirs,
        count: 1,
        members: WatchedMembers::default(),
        front: None,
    });
    job.wait = StepWait::Replication { gate, peer };
    job
}

/// The item is a change as well.
#[tokio::test]
async fn replication_writes_no_item_without_the_lease() {
    let stage = Stage::new();
    let (lease, _) = stage.lease();
    let done = stage.step_under(&lease, replication(&stage, false), usize::MAX).await;
    assert_eq!((end(&done.outcome), stage.log.changes()), ("waited", 1));
    stage.lose_lease();
    let done = stage.step_under(&lease, replication(&stage, false), usize::MAX).await;
    assert_eq!((end(&done.outcome), stage.log.changes()), ("failed", 1));
}

/// On the way there it is written at home and read at the standby, on the way home the other way round.
#[tokio::test]
async fn replication_writes_where_users_leave_and_reads_where_they_come_to() {
    for (back, written, read) in
        [(false, "192.0.2.2", "192.0.2.1"), (true, "192.0.2.1", "192.0.2.2")]
    {
        let stage = Stage::new();
        let done = stage.step(replication(&stage, back)).await;
        assert_eq!(end(&done.outcome), "waited");
        let (writer, reader) = stage.cloud.probed().unwrap();
        assert_eq!(writer["target"], Value::text(written), "back: {back}");
        assert_eq!(reader["target"], Value::text(read), "back: {back}");
    }
}

/// The first attempt left in time; before the second one somebody else has taken over.
#[tokio::test]
async fn execute_step_makes_no_further_attempt_without_the_lease() {
    let stage = Stage::new();
    let (lease, _) = stage.lease();
    let (session, place) = (Arc::clone(&stage.session), stage.place());
    stage.cloud.before("create", move || take_over(&session, &place));
    stage.cloud.next("create", Fault::Unwell);
    let done = stage.step_under(&lease, stage.name_step(create()), usize::MAX).await;
    assert_eq!((end(&done.outcome), stage.log.count("create")), ("failed", 1));
    assert!(stage.cloud.objects().is_empty());
}

/// Whoever comes next has to look what became of it.
#[tokio::test]
async fn create_is_indeterminate_when_the_lease_ends_after_a_lost_reply() {
    let stage = Stage::new();
    let (lease, _) = stage.lease();
    let (session, place) = (Arc::clone(&stage.session), stage.place());
    stage.cloud.before("alike", move || take_over(&session, &place));
    stage.cloud.next("create", Fault::CutOff);
    let done = stage.step_under(&lease, stage.name_step(create()), usize::MAX).await;
    assert_eq!((end(&done.outcome), stage.log.count("create")), ("in doubt", 1));
}

/// What was to be changed is gone, and so is the lease: it is not made anew.
#[tokio::test]
async fn update_or_create_makes_nothing_anew_when_the_lease_is_gone() {
    let stage = Stage::new();
    let job = update(&stage, true);
    stage.cloud.objects().iter().for_each(|it| stage.cloud.remove(&it.id));
    let (lease, _) = stage.lease();
    let (session, place) = (Arc::clone(&stage.session), stage.place());
    stage.cloud.before("look", move || take_over(&session, &place));
    let done = stage.step_under(&lease, job, usize::MAX).await;
    assert_eq!((end(&done.outcome), stage.log.count("create")), ("withdrawn", 0));
}

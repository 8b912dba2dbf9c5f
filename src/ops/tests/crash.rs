//! Law 3 after a crash: every call that began is adopted by its tag, cleared, or in doubt; no orphan and no duplicate.

use std::sync::Arc;
use std::time::Duration;

use crate::cloud::clock::Clock as _;
use crate::engine::plan::model::change::{LossDeclaration, StepCall};
use crate::engine::state::journal::{JournalEntry, StepOutcome};
use crate::engine::state::record::State;
use crate::ops::apply::step_inputs::StepInputs;
use crate::ops::plan::make::plan_on;
use crate::ops::plan::recover::recover;
use crate::ops::tests::memory::{Fault, NOON};
use crate::ops::tests::stage::{
    NAME, Stage, ZONE, create, end, in_time, name_attributes, zone_attributes,
};

/// A state in which this call began just now.
fn began(stage: &Stage, job: &StepInputs) -> State {
    let mut state = Stage::empty_state();
    state.pending.insert(job.step.address.clone(), stage.begun(job));
    state
}

async fn recovered(stage: &Stage, state: &State) -> StepOutcome {
    match in_time(recover(&stage.session, state, &[])).await.swap_remove(0) {
        JournalEntry::Ended { outcome, .. } => outcome,
        other => panic!("{other:?}"),
    }
}

/// The id that was adopted.
fn adopted(outcome: &StepOutcome) -> Option<&str> {
    match outcome {
        StepOutcome::Recorded(record) => Some(&record.id),
        _ => None,
    }
}

#[tokio::test]
async fn recover_adopts_what_carries_the_tag_of_the_address() {
    let stage = Stage::new();
    let job = stage.zone_step(create());
    stage.cloud.put(ZONE, &zone_attributes(), Some("lb:other:x"));
    let ours = stage.cloud.put(ZONE, &zone_attributes(), job.mark.as_deref());
    let outcome = recovered(&stage, &began(&stage, &job)).await;
    assert_eq!(adopted(&outcome), Some(ours.as_str()));
}

#[tokio::test]
async fn recover_leaves_to_its_stack_what_carries_the_tag_of_another() {
    let stage = Stage::new();
    let job = stage.zone_step(create());
    stage.cloud.put(ZONE, &zone_attributes(), Some("lb:other:x"));
    let outcome = recovered(&stage, &began(&stage, &job)).await;
    assert_eq!(end(&outcome), "failed", "it was not made, and nothing is taken over");
}

#[tokio::test]
async fn recover_clears_a_create_that_was_not_made() {
    let stage = Stage::new();
    let outcome = recovered(&stage, &began(&stage, &stage.name_step(create()))).await;
    assert_eq!(end(&outcome), "failed");
    assert!(stage.clock.now() >= NOON + 30_000, "before lists had the time that they may lag");
}

#[tokio::test]
async fn recover_leaves_indeterminate_what_could_be_either_of_two() {
    let stage = Stage::new();
    let job = stage.name_step(create());
    stage.cloud.put(NAME, &name_attributes(), None);
    stage.cloud.put(NAME, &name_attributes(), None);
    assert_eq!(end(&recovered(&stage, &began(&stage, &job)).await), "in doubt");
}

#[tokio::test]
async fn recover_adopts_nothing_that_was_there_before_the_call_began() {
    let stage = Stage::new();
    let job = stage.name_step(create());
    let id = stage.cloud.put(NAME, &name_attributes(), None);
    let mut state = began(&stage, &job);
    state.pending.values_mut().for_each(|it| it.alike.push(id.clone()));
    assert_eq!(end(&recovered(&stage, &state).await), "failed");
}

/// Whoever believes the first list clears it, and makes a second one.
#[tokio::test]
async fn recover_looks_again_when_lists_have_had_the_time_that_they_may_lag() {
    let stage = Stage::new();
    let job = stage.name_step(create());
    stage.cloud.lag(Duration::from_secs(20));
    let id = stage.cloud.put(NAME, &name_attributes(), None);
    let outcome = recovered(&stage, &began(&stage, &job)).await;
    assert_eq!(adopted(&outcome), Some(id.as_str()));
}

/// The cloud refuses a second one of the same name: one that is found too late would be refused as somebody else's.
#[tokio::test]
async fn recover_waits_as_long_as_its_kind_says_for_what_may_not_be_found_yet() {
    let mut stage = Stage::new();
    let catalog = Arc::make_mut(&mut Arc::get_mut(&mut stage.session).unwrap().catalog);
    let zone = catalog.kinds.get_mut(ZONE).unwrap();
    assert!(zone.identity.unique, "another create would be refused");
    zone.identity.appears_within_seconds = Some(15);
    let job = stage.zone_step(create());
    stage.cloud.lag(Duration::from_secs(10));
    let id = stage.cloud.put(ZONE, &zone_attributes(), job.mark.as_deref());
    let outcome = recovered(&stage, &began(&stage, &job)).await;
    assert_eq!(adopted(&outcome), Some(id.as_str()));
}

#[tokio::test]
async fn recover_leaves_a_create_indeterminate_when_nobody_answers() {
    let stage = Stage::new();
    stage.cloud.always("alike", Fault::Silent);
    let outcome = recovered(&stage, &began(&stage, &stage.name_step(create()))).await;
    assert_eq!(end(&outcome), "in doubt");
}

/// A delete of an object that was made long ago.
fn deleting(stage: &Stage) -> (State, String) {
    let id = stage.cloud.put(NAME, &name_attributes(), None);
    let job = stage.name_step(StepCall::Delete { deposed: false });
    let mut state = began(stage, &job);
    state.records.insert(job.step.address, stage.record(NAME, &id, name_attributes()));
    (state, id)
}

#[tokio::test]
async fn recover_takes_what_is_not_found_for_deleted() {
    let stage = Stage::new();
    let (state, id) = deleting(&stage);
    stage.cloud.remove(&id);
    assert_eq!(end(&recovered(&stage, &state).await), "removed");
}

#[tokio::test]
async fn recover_never_takes_silence_for_a_finished_delete() {
    for fault in [Fault::Silent, Fault::Unwell, Fault::Denied] {
        let stage = Stage::new();
        let (state, _) = deleting(&stage);
        stage.cloud.always("look", fault);
        assert_eq!(end(&recovered(&stage, &state).await), "failed", "{fault:?}");
    }
}

/// What was made a moment ago may not be found yet.
#[tokio::test]
async fn recover_does_not_believe_a_not_found_of_what_was_made_a_moment_ago() {
    let stage = Stage::new();
    let (mut state, id) = deleting(&stage);
    state.records.values_mut().for_each(|it| it.since = NOON);
    stage.cloud.remove(&id);
    assert_eq!(end(&recovered(&stage, &state).await), "failed");
}

#[tokio::test]
async fn recover_asks_nobody_in_a_lost_fault_domain() {
    let stage = Stage::new();
    let state = began(&stage, &stage.name_step(create()));
    let lost = LossDeclaration { fault_domain: "linode:global".into(), recorded: None };
    let entries = in_time(recover(&stage.session, &state, &[lost])).await;
    assert!(entries.is_empty(), "it stays begun");
    assert!(stage.log.lines().is_empty());
}

/// Ends when the cloud holds so many objects: who was to carry it out is killed there.
async fn killed_when(stage: &Stage, is_it: impl Fn(usize) -> bool) {
    let (lease, state) = stage.lease();
    let made = in_time(plan_on(&stage.session, &stage.ask(), state)).await.unwrap();
    let until = async {
        while !is_it(stage.cloud.objects().len()) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    in_time(async {
        tokio::select! {
            _ = stage.run(lease, made) => panic!("it came to its end"),
            () = until => {}
        }
        // Its process is gone when the thread that wrote the journal is.
        let store = stage.session.store(&stage.place());
        while store.lease_status().unwrap().is_some_and(|it| it.is_alive) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn apply_that_was_killed_during_a_create_adopts_it_by_its_tag() {
    let stage = Stage::new();
    stage.cloud.next("create", Fault::Never);
    killed_when(&stage, |objects| objects == 1).await;
    assert_eq!(stage.state().pending.len(), 1, "it is known that something began");
    let report = stage.apply().await;
    assert!(report.is_over(), "{report:?}");
    let zones = stage.cloud.objects().into_iter().filter(|it| it.kind == ZONE).count();
    assert_eq!(zones, 1);
    assert!(stage.state().pending.is_empty());
}

/// The name carries no tag, may stand there twice, and is in no list for twenty seconds.
#[tokio::test]
async fn apply_after_a_kill_during_a_create_finds_it_while_lists_lag() {
    let stage = Stage::new();
    stage.cloud.next("create", Fault::Slow(Duration::ZERO));
    stage.cloud.next("create", Fault::Never);
    stage.cloud.lag(Duration::from_secs(20));
    killed_when(&stage, |objects| objects == 2).await;
    let report = stage.apply().await;
    assert!(report.is_over(), "{report:?}");
    let names: Vec<String> =
        stage.cloud.objects().into_iter().filter(|it| it.kind == NAME).map(|it| it.id).collect();
    assert_eq!(names.len(), 1);
    let state = stage.state();
    let record = state.records.values().find(|it| it.kind == NAME).unwrap();
    assert_eq!(record.id, names[0]);
}

/// What the second run found out is in its journal before it calls anything: the third one need not find it out again.
#[tokio::test]
async fn apply_that_was_killed_twice_still_knows_what_it_recovered() {
    let stage = Stage::new();
    assert!(stage.apply().await.is_over());
    stage.clock.advance(Duration::from_secs(600));
    let zone = |name: &str, domain: &str| {
        format!("  {name}: {{ kind: linode.domain, domain: {domain}, soa_email: a@b.example }}\n")
    };
    let stack = format!("stack: shop\nresources:\n{}", zone("zone", "example.com"));
    std::fs::write(stage.place().file(), &stack).unwrap();
    std::fs::remove_file(stage.place().folder().join("overlays/eu.yaml")).unwrap();
    stage.cloud.next("delete", Fault::Never);
    killed_when(&stage, |objects| objects == 1).await;
    let begun = || stage.state().pending.keys().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(begun(), ["www"]);
    std::fs::write(stage.place().file(), stack + &zone("two", "two.example")).unwrap();
    stage.cloud.next("create", Fault::Never);
    killed_when(&stage, |objects| objects == 2).await;
    assert_eq!(begun(), ["two"]);
}

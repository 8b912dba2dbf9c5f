//! Laws 2, 5, 6 and 11 over whole runs: a plan is a script, nothing starts behind a broken journal, over means seen.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;

use crate::engine::address::Address;
use crate::engine::plan::model::change::StepCall;
use crate::engine::recovery::completion::Completion;
use crate::engine::recovery::users_moved::UsersAre;
use crate::engine::state::record::Phase;
use crate::engine::value::Value;
use crate::ops::apply::call_slots::{CallSlots, Stopped};
use crate::ops::apply::executor::Executor;
use crate::ops::apply::run::apply;
use crate::ops::plan::make::plan_on;
use crate::ops::tests::memory::Fault;
use crate::ops::tests::stage::{NAME, Stage, ZONE, in_time};

fn one_at_once() -> BTreeMap<String, usize> {
    BTreeMap::from([("linode".to_owned(), 1)])
}

#[tokio::test]
async fn apply_twice_changes_nothing_the_second_time() {
    let stage = Stage::new();
    assert!(stage.apply().await.is_over());
    assert_eq!(stage.cloud.objects().len(), 2);
    let changes = stage.log.changes();
    assert!(stage.plan().await.unwrap().plan.is_empty());
    assert!(stage.apply().await.is_over());
    assert_eq!(stage.log.changes(), changes);
}

/// The plan was looked over with one value, and the layers say another now.
#[tokio::test]
async fn apply_stops_the_step_of_a_value_that_is_other_than_planned() {
    let stage = Stage::new();
    let (lease, state) = stage.lease();
    let mut made = in_time(plan_on(&stage.session, &stage.ask(), state)).await.unwrap();
    for step in &mut made.plan.steps {
        if let StepCall::Create { attributes, .. } = &mut step.call
            && step.kind == NAME
        {
            attributes.insert("target".into(), Value::text("192.0.2.66"));
        }
    }
    let report = stage.run(lease, made).await.unwrap();
    let (address, _, why) = &report.failed[0];
    assert_eq!(*address, Address::one("www"));
    let why = &why.why;
    assert!(why.contains("192.0.2.1") && why.contains("192.0.2.66"), "{why}");
    let made: Vec<String> = stage.cloud.objects().into_iter().map(|it| it.kind).collect();
    assert_eq!(made, [ZONE]);
    assert!(!report.is_over());
}

/// The first entry cannot be written: nothing is called, and the second step, which waits for nothing, does not start.
/// Whoever is told only to run it again does so, and is refused again.
#[tokio::test]
async fn apply_tells_what_a_refused_call_needs_before_it_can_succeed() {
    for (fault, remedy) in [(Fault::Denied, Some("grant what was denied")), (Fault::Unwell, None)] {
        let stage = Stage::new();
        stage.cloud.always("create", fault);
        let report = stage.apply().await;
        assert_eq!(report.failed[0].0, Address::one("zone"));
        assert_eq!(report.remedy(), remedy, "{fault:?}");
    }
}

#[tokio::test]
async fn carry_out_starts_nothing_more_when_the_journal_cannot_be_written() {
    let stage = Stage::new();
    let two = "stack: shop\nresources:\n  one: { kind: linode.domain, domain: one.example, soa_email: a@one.example }\n  two: { kind: linode.domain, domain: two.example, soa_email: a@two.example }\n";
    std::fs::write(stage.place().file(), two).unwrap();
    let made = stage.plan().await.unwrap();
    let (lease, _) = stage.lease();
    let hands = stage.hands(&lease, 2);
    let mut run = Executor::new(&stage.session, &made, Stage::empty_state(), one_at_once());
    let (_signal, stop) = watch::channel(None);
    // The third write is the beginning of the second step.
    let stopped = in_time(run.carry_out(&hands, stop)).await;
    assert_eq!(stage.log.count("create"), 1);
    assert!(stopped.is_some(), "it says why it stopped");
}

#[tokio::test]
async fn apply_is_not_over_while_a_step_is_undone() {
    let stage = Stage::new();
    stage.cloud.next("create", Fault::Slow(std::time::Duration::from_secs(1)));
    stage.cloud.next("create", Fault::Refused);
    let report = stage.apply().await;
    assert_eq!(report.ending(), Completion::Undone);
    assert_eq!(report.failed.len(), 1);
}

/// The switch is begun, its one change is refused: until that was made, state says that it goes on.
#[tokio::test]
async fn carry_out_settles_a_switch_only_when_all_its_changes_were_made() {
    let stage = Stage::new();
    assert!(stage.apply().await.is_over());
    stage.cloud.always("update", Fault::Refused);
    let report = stage.carry_out(&stage.ask_elsewhere()).await.unwrap();
    assert_eq!(report.ending(), Completion::Undone);
    assert_eq!(stage.state().phase, Phase::Switching);
    stage.cloud.mend();
    let report = stage.carry_out(&stage.ask_elsewhere()).await.unwrap();
    assert!(report.is_over(), "{report:?}");
    let state = stage.state();
    assert_eq!((state.phase, state.active), (Phase::Settled, vec!["eu".to_owned()]));
}

/// Nothing of it fails, since nothing of it could be planned.
#[tokio::test]
async fn carry_out_settles_no_switch_while_its_changes_were_not_read() {
    let stage = Stage::new();
    assert!(stage.apply().await.is_over());
    stage.cloud.always("observe", Fault::Silent);
    let report = stage.carry_out(&stage.ask_elsewhere()).await.unwrap();
    assert!(report.failed.is_empty(), "{report:?}");
    assert_eq!(report.ending(), Completion::Unread);
    assert_eq!(stage.state().phase, Phase::Switching);
}

/// A bug: whether its call was carried out is looked up by the next run, as after a crash.
#[tokio::test]
async fn apply_takes_in_a_step_whose_driver_panics_as_indeterminate() {
    let stage = Stage::new();
    stage.cloud.next("create", Fault::Panics);
    let report = stage.apply().await;
    let (address, _, why) = &report.in_doubt[0];
    assert_eq!((address, report.in_doubt.len()), (&Address::one("zone"), 1));
    assert!(why.why.contains("a bug in the driver"), "{}", why.why);
    assert_eq!(report.ending(), Completion::Undone);
    assert!(stage.state().pending.contains_key(&Address::one("zone")), "it stays begun");
    assert!(stage.apply().await.is_over());
    assert_eq!((stage.cloud.objects().len(), stage.log.count("create")), (2, 2), "none twice");
}

/// Nothing that changes anything was under way: the step failed.
#[tokio::test]
async fn apply_takes_in_a_wait_whose_driver_panics_as_failed() {
    let stage = Stage::new();
    let machine = "stack: shop\nresources:\n  web: { kind: linode.instance, region: us-east, type: g6-nanode-1, label: web }\n";
    std::fs::write(stage.place().file(), machine).unwrap();
    let cloud = Arc::clone(&stage.cloud);
    stage.cloud.before("create", move || cloud.always("look", Fault::Panics));
    let report = stage.apply().await;
    assert!(report.in_doubt.is_empty(), "{report:?}");
    let (address, what, why) = &report.failed[0];
    assert_eq!((address, *what), (&Address::one("web"), "wait until ready"));
    assert!(why.why.contains("a bug in the driver"), "{}", why.why);
    assert!(stage.state().pending.is_empty());
}

/// What a signal cut off may have been made: the state that ends the run has it as begun, as the journal has.
#[tokio::test]
async fn carry_out_keeps_as_pending_what_was_cut_off_after_a_signal() {
    let stage = Stage::new();
    let made = stage.plan().await.unwrap();
    let (lease, _) = stage.lease();
    let hands = stage.hands(&lease, usize::MAX);
    let mut run = Executor::new(&stage.session, &made, Stage::empty_state(), one_at_once());
    run.grace = std::time::Duration::ZERO;
    let (signal, stop) = watch::channel(None);
    stage.cloud.next("create", Fault::Never);
    stage.cloud.before("create", move || {
        signal.send_replace(Some("SIGINT".into()));
    });
    let stopped = in_time(run.carry_out(&hands, stop)).await;
    assert_eq!(stopped.as_deref(), Some("SIGINT"));
    assert!(run.state.pending.contains_key(&Address::one("zone")), "it stays begun");
    let report = run.report(stopped);
    assert_eq!((report.in_doubt.len(), report.failed.len()), (1, 0), "{report:?}");
}

/// With a store far away the next step is journalled while the one before it calls; after a signal it is taken back, and nothing is
/// to be found out about it.
#[tokio::test]
async fn carry_out_withdraws_after_a_signal_what_was_begun_and_has_no_place() {
    let stage = Stage::new();
    let zone = |name: &str| {
        format!(
            "  {name}: {{ kind: linode.domain, domain: {name}.example, soa_email: a@b.example }}\n"
        )
    };
    let three = ["one", "two", "three"].map(zone).concat();
    std::fs::write(stage.place().file(), format!("stack: shop\nresources:\n{three}")).unwrap();
    let made = stage.plan().await.unwrap();
    let (lease, _) = stage.lease();
    let mut hands = Arc::into_inner(stage.hands(&lease, usize::MAX)).unwrap();
    hands.slots = Arc::new(CallSlots::new(&one_at_once()));
    hands.pen.latency.note(std::time::Duration::from_secs(1));
    let mut run = Executor::new(&stage.session, &made, Stage::empty_state(), one_at_once());
    let (signal, stop) = watch::channel(None);
    hands.ground.stop = stop.clone();
    let hands = Arc::new(hands);
    let cloud = Arc::clone(&stage.cloud);
    stage.cloud.before("create", move || {
        cloud.before("create", move || {
            signal.send_replace(Some("SIGINT".into()));
        });
    });
    let stopped = in_time(run.carry_out(&hands, stop)).await;
    let count = |what| stage.log.count(what);
    assert_eq!(
        (count("began create three"), count("create"), count("ended three withdrawn")),
        (1, 2, 1)
    );
    let late = hands.slots.take("linode", (Reverse(1), 3)).await;
    assert_eq!(late.unwrap_err(), Stopped, "nobody gets a place any more");
    assert!(run.state.pending.is_empty(), "nothing is to be found out");
    let report = run.report(stopped);
    assert_eq!((report.done.len(), report.failed.len()), (2, 0), "{report:?}");
    assert_eq!(report.not_done.len(), 1, "{report:?}");
}

/// The change that moves users was in flight when the signal came: once it has ended they have moved, whoever reads the state.
#[tokio::test]
async fn apply_records_that_users_have_moved_by_what_a_signal_let_finish() {
    let stage = Stage::new();
    assert!(stage.apply().await.is_over());
    let (lease, state) = stage.lease();
    let made = plan_on(&stage.session, &stage.ask_elsewhere(), state).await.unwrap();
    let (signal, stop) = watch::channel(None);
    stage.cloud.before("update", move || {
        signal.send_replace(Some("SIGINT".into()));
    });
    let order = Stage::order();
    let run = apply(&stage.session, lease, made, &order, Arc::new(|_| ()), stop);
    let report = in_time(run).await.unwrap();
    assert_eq!(report.stopped.as_deref(), Some("SIGINT"), "{report:?}");
    assert_eq!(report.users, Some(UsersAre::Moved), "{report:?}");
    assert_eq!(stage.state().phase, Phase::Degraded);
}

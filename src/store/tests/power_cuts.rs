//! Machines that lose power at any moment: what was said to be durable is there, and what is there can be read.

use std::sync::Arc;
use std::time::Duration;

use crate::engine::recovery::watch::WatchMemory;
use crate::engine::state::journal::replay;
use crate::engine::state::record::State;
use crate::store::backend::{Backend, PutCondition};
use crate::store::error::StoreError;
use crate::store::keep_alive::LeaseTimes;
use crate::store::key::{HISTORY, SNAPSHOT};
use crate::store::lease::Lease;
use crate::store::reports::Reports;
use crate::store::state_store::StateStore;
use crate::store::tests::lossy::LossyBackend;
use crate::store::tests::{bound, founded, report};
use crate::store::watch::WatchFile;

/// A run that makes more calls than this goes round in a circle.
const CALLS_MAX: u64 = 500;

/// So many calls that the second holder is in the middle of a save.
const CUT_IN_THE_MIDDLE: u64 = 70;

/// No heartbeat by itself, so that one thread makes every call.
const STILL: LeaseTimes =
    LeaseTimes { lease: Duration::from_secs(60), heartbeat: Duration::from_secs(3_600) };

/// Runs something again and again, with power that fails one call later each time, and looks at all that may be left then.
fn at_every_cut<T: Default>(
    start: impl Fn(Option<u64>) -> Arc<LossyBackend>,
    run: impl Fn(&Arc<dyn Backend>, &mut T) -> Result<(), StoreError>,
    check: impl Fn(&Arc<dyn Backend>, &T),
) {
    for calls in 0..CALLS_MAX {
        let store = start(Some(calls));
        let mut told = T::default();
        let ended = run(&(Arc::<LossyBackend>::clone(&store) as Arc<dyn Backend>), &mut told);
        for left in store.crash() {
            check(&(left as Arc<dyn Backend>), &told);
        }
        if !store.is_off() {
            ended.unwrap();
            assert!(calls > 10, "it makes calls");
            return;
        }
    }
    panic!("it does not end");
}

/// What somebody was told to be durable.
#[derive(Debug, Default)]
struct Acknowledged {
    bound: Vec<String>,
    serial: u64,
    epoch: u64,
}

fn shop(backend: &Arc<dyn Backend>) -> StateStore {
    StateStore::over(Arc::clone(backend)).with_times(STILL)
}

/// One entry, which is told if it is there.
fn note(
    lease: &mut Lease,
    state: State,
    name: &str,
    told: &mut Acknowledged,
) -> Result<State, StoreError> {
    let entry = bound(name);
    lease.append(std::slice::from_ref(&entry))?;
    told.bound.push(name.into());
    told.epoch = lease.epoch;
    Ok(replay(Some(state), 0, &entry).expect("it was founded"))
}

fn save(lease: &mut Lease, state: &mut State, told: &mut Acknowledged) -> Result<(), StoreError> {
    state.serial += 1;
    lease.save(state)?;
    told.serial = state.serial;
    Ok(())
}

/// One holder after another: entries, snapshots between them, and a journal that is taken over.
fn holders(backend: &Arc<dyn Backend>, told: &mut Acknowledged) -> Result<(), StoreError> {
    let store = shop(backend);
    let (mut lease, _) = store.lease("ann", "apply shop", 0)?;
    lease.append(&[founded()])?;
    let state = replay(None, 1, &founded()).expect("it is founded");
    let state = note(&mut lease, state, "first", told)?;
    let mut state = note(&mut lease, state, "second", told)?;
    save(&mut lease, &mut state, told)?;
    note(&mut lease, state, "third", told)?;
    drop(lease);

    let (mut lease, state) = store.lease("bob", "apply shop", 0)?;
    let mut state = note(&mut lease, state.expect("it was founded"), "fourth", told)?;
    save(&mut lease, &mut state, told)?;
    let mut state = note(&mut lease, state, "fifth", told)?;
    save(&mut lease, &mut state, told)?;
    drop(lease);

    let (mut lease, state) = store.lease("eve", "apply shop", 0)?;
    note(&mut lease, state.expect("it was founded"), "sixth", told)?;
    Ok(())
}

/// What is left is believed, has what was acknowledged, and goes on under an epoch that nobody had.
fn check_state(backend: &Arc<dyn Backend>, told: &Acknowledged) {
    let store = shop(backend);
    let state = store.load().unwrap_or_else(|why| panic!("{why}, after {told:?}"));
    let (found, serial) = state.map_or_else(Default::default, |it| (it.bound, it.serial));
    for name in &told.bound {
        assert!(found.contains_key(name), "{name} is lost, after {told:?}");
    }
    assert!(serial >= told.serial, "serial {serial}, after {told:?}");

    let (mut lease, state) = store.lease("next", "apply shop", 0).unwrap();
    assert!(lease.epoch > told.epoch, "epoch {}, after {told:?}", lease.epoch);
    let founding = state.is_none().then(founded);
    let entries: Vec<_> = founding.into_iter().chain([bound("next")]).collect();
    lease.append(&entries).unwrap();
    let state = store.load().unwrap().unwrap();
    assert!(state.bound.contains_key("next"));
    lease.save(&State { serial: state.serial + 1, ..state.clone() }).unwrap();
    assert_eq!(store.load().unwrap().unwrap().bound, state.bound);
}

/// Law 5. Fails without the sync of an append, of what is prepared, or of the names after it was published.
#[test]
fn append_and_save_lose_nothing_acknowledged_in_a_power_cut() {
    at_every_cut(LossyBackend::new, holders, check_state);
}

/// Power may fail a second time before anybody has read.
#[test]
fn lease_survives_two_power_cuts_in_a_row() {
    let mut told = Acknowledged::default();
    let first = LossyBackend::new(Some(CUT_IN_THE_MIDDLE));
    holders(&(Arc::<LossyBackend>::clone(&first) as Arc<dyn Backend>), &mut told).unwrap_err();
    let told = Acknowledged { epoch: 0, ..told };
    for left in first.crash().into_iter().step_by(8) {
        let go_on = |backend: &Arc<dyn Backend>, later: &mut Acknowledged| {
            let (mut lease, state) = shop(backend).lease("eve", "apply shop", 0)?;
            let mut state = note(&mut lease, state.expect("it was founded"), "later", later)?;
            save(&mut lease, &mut state, later)
        };
        at_every_cut(
            |power| left.powered(power),
            go_on,
            |backend, later| {
                let bound = told.bound.iter().chain(&later.bound).cloned().collect();
                let serial = told.serial.max(later.serial);
                check_state(backend, &Acknowledged { bound, serial, epoch: later.epoch });
            },
        );
    }
}

/// What a restore goes on from is still there when it did not get to its end.
#[test]
fn restore_can_be_made_again_after_a_power_cut() {
    let mut told = Acknowledged::default();
    let store = LossyBackend::new(None);
    let backend = Arc::<LossyBackend>::clone(&store) as Arc<dyn Backend>;
    holders(&backend, &mut told).unwrap();
    // As a checkout does.
    let old = backend.get(&HISTORY.key("00000001.snapshot")).unwrap().unwrap();
    backend.put(&SNAPSHOT, &old, PutCondition::Always).unwrap();
    shop(&backend).load().unwrap_err();
    at_every_cut(
        |power| store.powered(power),
        |backend, ()| shop(backend).restore("ann", "state restore shop", 0).map(drop),
        |backend, ()| {
            let store = shop(backend);
            let found = match store.load() {
                Ok(state) => state.expect("it was restored").bound,
                Err(_) => store.restorable().unwrap().expect("it is whole").state.bound,
            };
            for name in &told.bound {
                assert!(found.contains_key(name), "{name} is lost");
            }
        },
    );
}

/// Fails without the sync of what is put, or of the names after it.
#[test]
fn write_of_a_report_survives_a_power_cut() {
    at_every_cut(
        LossyBackend::new,
        |backend, told: &mut Vec<i64>| {
            let reports = Reports::of(Arc::clone(backend));
            // The second has the name of the first, and gets another.
            for ended in [1_000, 1_001, 5_000] {
                reports.write(&report(0, ended))?;
                told.push(ended);
            }
            Ok(())
        },
        |backend, told| {
            let (kept, damaged) = Reports::of(Arc::clone(backend)).list().unwrap();
            assert_eq!(damaged, [], "after {told:?}");
            let ended: Vec<i64> = kept.iter().map(|it| it.report.span.ended).collect();
            assert!(told.iter().all(|it| ended.contains(it)), "{ended:?}, after {told:?}");
        },
    );
}

/// The same of what is replaced.
#[test]
fn watch_memory_survives_a_power_cut() {
    at_every_cut(
        LossyBackend::new,
        |backend, told: &mut Option<i64>| {
            let file = WatchFile::new(Arc::clone(backend), "eu");
            let lock = file.claim()?.expect("nobody else watches");
            for switched in [1, 2, 3] {
                let mut memory =
                    WatchMemory { last_switch: Some(switched), ..WatchMemory::new("x") };
                lock.save(&mut memory)?;
                *told = Some(switched);
            }
            Ok(())
        },
        |backend, told| {
            let notes = WatchFile::new(Arc::clone(backend), "eu").read();
            let remembered = notes.unwrap_or_else(|why| panic!("{why}, after {told:?}")).of("x");
            assert!(remembered.last_switch >= *told, "{remembered:?}, after {told:?}");
        },
    );
}

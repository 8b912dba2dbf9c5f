//! The past of a state, in files and in objects: its runs are told, and its snapshots are found again by their serials.

use std::sync::Arc;

use crate::engine::state::journal::fold;
use crate::engine::state::record::State;
use crate::engine::state::run_log::LoggedEnding;
use crate::store::backend::Backend;
use crate::store::error::StoreError;
use crate::store::replace::ReplacementOrder;
use crate::store::state_store::StateStore;
use crate::store::tests::memory::MemoryBackend;
use crate::store::tests::{bound, founded, report, take};

/// A store in a folder, which goes with its value, and one in objects.
pub(crate) fn stores() -> [(Option<tempfile::TempDir>, StateStore); 2] {
    let folder = tempfile::tempdir().unwrap();
    let files = StateStore::new(&folder.path().join("state/shop"));
    let objects = StateStore::over(MemoryBackend::new() as Arc<dyn Backend>);
    [(Some(folder), files), (None, objects)]
}

/// What holds for both.
pub(crate) fn each(check: impl Fn(&StateStore)) {
    for (_folder, store) in &stores() {
        check(store);
    }
}

/// So many changes by hand, each of which saves a serial.
fn changed(store: &StateStore, times: u64) {
    for number in 1..=times {
        let (mut lease, state) = store.lease("ann", &format!("change {number}"), 7).unwrap();
        if state.is_none() {
            lease.append(&[founded()]).unwrap();
        }
        lease.append(&[bound(number)]).unwrap();
        let mut state = store.load().unwrap().unwrap();
        state.serial += 1;
        lease.save(&state).unwrap();
    }
}

fn state(store: &StateStore) -> State {
    store.load().unwrap().unwrap()
}

/// The serials, commands and ends of the runs, the newest first.
fn told(store: &StateStore, most: Option<usize>) -> Vec<(Option<u64>, String, LoggedEnding)> {
    let history = store.run_history(most).unwrap();
    assert_eq!(history.damaged, Vec::<String>::new());
    let line = |it: crate::engine::state::run_log::LoggedRun| {
        (it.serial, it.command.unwrap_or_default(), it.ending)
    };
    history.runs.into_iter().map(line).collect()
}

#[test]
fn run_history_tells_the_newest_first_and_as_many_as_are_wanted() {
    each(|store| {
        assert!(told(store, None).is_empty());
        changed(store, 3);
        drop(take(store, "looked only"));
        let all: Vec<_> = [3, 2, 1]
            .map(|it| (Some(it), format!("change {it}"), LoggedEnding::Saved))
            .into_iter()
            .collect();
        assert_eq!(told(store, None), all);
        assert_eq!(told(store, Some(2)), all[..2]);
        assert_eq!(told(store, Some(0)), []);
        let (mut lease, _) = store.lease("bob", "apply shop", 9).unwrap();
        lease.append(&[bound("cut off")]).unwrap();
        drop(lease);
        assert_eq!(told(store, Some(1)), [(None, "apply shop".into(), LoggedEnding::Open)]);
    });
}

/// More than the history keeps: what is kept is told, whichever way it is stored.
#[test]
fn run_history_tells_as_much_as_is_kept() {
    each(|store| {
        changed(store, 60);
        let runs = told(store, None);
        assert!((50..=51).contains(&runs.len()), "{}", runs.len());
        assert_eq!(runs[0].0, Some(60));
        assert_eq!(store.kept_serials(&state(store)).unwrap().last(), Some(&59));
    });
}

/// Cut off between the snapshot and the new journal.
#[test]
fn run_history_tells_a_run_once_that_was_saved_already() {
    let folder = tempfile::tempdir().unwrap();
    let store = StateStore::new(folder.path());
    changed(&store, 2);
    let kept = folder.path().join("history/00000002.journal");
    std::fs::copy(kept, folder.path().join("journal")).unwrap();
    for most in [None, Some(5), Some(2)] {
        let serials: Vec<_> = told(&store, most).iter().map(|it| it.0).collect();
        assert_eq!(serials, [Some(2), Some(1)]);
    }
}

#[test]
fn run_history_tells_of_a_damaged_journal_and_shows_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let store = StateStore::new(folder.path());
    changed(&store, 2);
    let kept = folder.path().join("history/00000001.journal");
    let text = std::fs::read_to_string(&kept).unwrap();
    std::fs::write(&kept, text.replacen("shop", "shoq", 1)).unwrap();
    let history = store.run_history(None).unwrap();
    assert_eq!(history.damaged.len(), 1, "{:?}", history.damaged);
    assert!(history.damaged[0].contains("00000001.journal"), "{:?}", history.damaged);
    assert_eq!(history.runs[0].serial, Some(2));
}

#[test]
fn kept_state_is_found_by_its_serial_and_of_the_same_lineage_only() {
    each(|store| {
        changed(store, 3);
        let now = state(store);
        assert_eq!(store.kept_serials(&now).unwrap(), [1, 2]);
        let first = store.kept_state(&now, 1).unwrap().unwrap();
        assert_eq!((first.serial, first.bound.len()), (1, 1));
        assert!(store.kept_state(&now, 9).unwrap().is_none());
        let stranger = State { lineage: "m".into(), ..now };
        assert!(store.kept_state(&stranger, 1).unwrap().is_none());
    });
}

fn replace(store: &StateStore, content: State) -> (u64, u64) {
    let order = ReplacementOrder { who: "bob", command: "state push shop x", at: 3 };
    let decide = |there: &State| Ok::<_, StoreError>(Some(there.continued_by(content)));
    let done = store.replace_content(order, decide).unwrap().unwrap();
    (done.kept, done.state.serial)
}

#[test]
fn replace_content_keeps_what_was_there_under_its_own_serial() {
    each(|store| {
        changed(store, 2);
        let before = state(store);
        let mut content = before.clone();
        content.serial = 9;
        fold(&mut content, &bound("pushed"));
        assert_eq!(replace(store, content), (2, 9));
        let now = state(store);
        assert_eq!((now.serial, now.bound.contains_key("pushed")), (9, true));
        assert_eq!(store.kept_serials(&now).unwrap(), [1, 2]);
        let kept = store.kept_state(&now, 2).unwrap().unwrap();
        assert!(kept.says_the_same_as(&before));
        let (serial, command, _) = told(store, Some(1)).remove(0);
        assert_eq!((serial, command.as_str()), (Some(9), "state push shop x"));
        // The next run goes on from there.
        changed(store, 1);
        assert_eq!(state(store).serial, 10);
    });
}

/// What a run left that was cut off stands in no snapshot yet.
#[test]
fn replace_content_saves_first_what_only_the_journal_holds() {
    each(|store| {
        changed(store, 2);
        let mut lease = take(store, "cut off");
        lease.append(&[bound("in the journal")]).unwrap();
        drop(lease);
        let older = store.kept_state(&state(store), 1).unwrap().unwrap();
        assert_eq!(replace(store, older), (3, 4));
        let kept = store.kept_state(&state(store), 3).unwrap().unwrap();
        assert!(kept.bound.contains_key("in the journal"), "{:?}", kept.bound);
        assert!(!state(store).bound.contains_key("in the journal"));
    });
}

/// Older content knows nothing of a run that a report tells of, and would be taken for outdated.
#[test]
fn replace_content_is_believed_beside_the_report_of_a_later_run() {
    each(|store| {
        changed(store, 1);
        let (mut lease, state_of_switch) = store.lease("ann", "failover shop", 7).unwrap();
        let mut state_of_switch = state_of_switch.unwrap();
        state_of_switch.sign("ann", "failover shop", 2_000_000);
        state_of_switch.serial += 1;
        lease.save(&state_of_switch).unwrap();
        drop(lease);
        store.reports().write(&report(1_000_000, 2_000_000)).unwrap();
        let older = store.kept_state(&state(store), 1).unwrap().unwrap();
        assert_eq!(replace(store, older), (2, 3));
        assert_eq!(state(store).last_run.unwrap().who, "bob");
    });
}

#[test]
fn replace_content_writes_nothing_where_it_is_left_so() {
    each(|store| {
        changed(store, 1);
        let before = state(store);
        let order = ReplacementOrder { who: "bob", command: "state push shop x", at: 3 };
        let done = store.replace_content(order, |_| Ok::<_, StoreError>(None)).unwrap();
        assert!(done.is_none());
        assert!(state(store).says_the_same_as(&before));
        assert_eq!(state(store).serial, 1);
    });
}

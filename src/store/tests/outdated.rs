//! States that are older than what lies beside them, damaged or gone: never believed, and what there is goes on from the newest.

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

use crate::engine::state::journal::{JournalEntry, fold, replay};
use crate::engine::state::record::State;
use crate::engine::value::LineageKey;
use crate::store::error::StoreError;
use crate::store::state_store::StateStore;
use crate::store::tests::report;

const HOUR: i64 = 3_600_000;

fn founded(lineage: &str) -> JournalEntry {
    JournalEntry::Founded {
        stack: "shop".into(),
        instance: None,
        target: "sandbox".into(),
        lineage: lineage.into(),
        key: LineageKey(vec![1, 2]),
        overlays: Vec::new(),
    }
}

fn bound(cloud: &str) -> JournalEntry {
    JournalEntry::Bound { cloud: cloud.into(), account: "x".into() }
}

/// One run: an entry, and a snapshot with the next serial.
fn run(store: &StateStore, at: i64, cloud: &str) -> State {
    let (mut lease, state) = store.lease("ann", "apply shop", at).unwrap();
    let who = ("ann".to_owned(), "apply shop".to_owned());
    let began = JournalEntry::RunBegan {
        steps: 0,
        who: who.0,
        command: who.1,
        at,
        plan: String::new(),
        destroys: false,
        variables: None,
        home_variables: std::collections::BTreeMap::new(),
    };
    let mut entries = vec![began, bound(cloud)];
    let mut state = state.unwrap_or_else(|| {
        entries.insert(0, founded("l"));
        replay(None, 1, &founded("l")).unwrap()
    });
    for it in &entries {
        fold(&mut state, it);
    }
    lease.append(&entries).unwrap();
    state.serial += 1;
    lease.save(&state).unwrap();
    drop(lease);
    store.load().unwrap().unwrap()
}

/// A folder after three runs.
fn shop() -> (tempfile::TempDir, StateStore) {
    let folder = tempfile::tempdir().unwrap();
    let store = StateStore::new(&folder.path().join("state/shop"));
    for (at, cloud) in [(1, "one"), (2, "two"), (3, "three")] {
        run(&store, at * HOUR, cloud);
    }
    (folder, store)
}

fn copy(from: &Path, to: &Path) {
    std::fs::remove_file(to).ok();
    std::fs::copy(from, to).unwrap();
}

fn refused(store: &StateStore) -> String {
    let read = store.load().unwrap_err();
    // Who wants to write is told the same, and what told it is not lost by that.
    for _ in 0..2 {
        let wrote = store.lease("bob", "apply shop", 0).map(|_| ()).unwrap_err();
        assert_eq!(wrote.to_string(), read.to_string());
    }
    let folder = store.folder().display().to_string();
    format!("{read}\n{}", read.advice()).replace(&folder, "[STATE]")
}

fn restored(store: &StateStore) -> (State, Vec<String>) {
    let done = store.restore("ann", "state restore shop", 9 * HOUR).unwrap();
    let state = store.load().unwrap().expect("what was restored is believed");
    assert_eq!(state, State { epoch: state.epoch, ..done.state });
    let aside = done.aside.iter().map(|it| it.strip_prefix(store.folder()).unwrap());
    (state, aside.map(|it| it.display().to_string()).collect())
}

#[test]
fn load_refuses_an_old_snapshot_and_restore_takes_the_newest() {
    let (_folder, store) = shop();
    let file = |name: &str| store.folder().join(name);
    copy(&file("history/00000001.snapshot"), &file("state.snapshot"));
    insta::assert_snapshot!(refused(&store), @"
    the state is outdated: serial 3 was recorded, according to [STATE]/history/00000003.journal, but [STATE] has serial 1
    nothing was changed: an outdated state would undo later changes. Put the newer state back, or restore the newest one from its history: `lifeboat state restore shop`
    ");
    let (state, aside) = restored(&store);
    assert_eq!((state.serial, state.is_restored), (4, false));
    assert!(state.bound.contains_key("three"), "{:?}", state.bound);
    assert_eq!(aside, ["discarded/00000006.snapshot", "discarded/00000006.journal"]);
}

#[test]
fn load_refuses_a_missing_state_that_something_knows_of() {
    let (_folder, store) = shop();
    for name in ["state.snapshot", "journal"] {
        std::fs::remove_file(store.folder().join(name)).unwrap();
    }
    insta::assert_snapshot!(refused(&store), @"
    the state is missing: serial 3 was recorded, according to [STATE]/history/00000003.journal, but [STATE] contains none
    nothing was changed: without its state, everything would be created a second time. Put the state back, or restore the newest one from its history: `lifeboat state restore shop`
    ");
    assert!(restored(&store).0.bound.contains_key("three"));
    // Heartbeats alone know as well.
    let (_folder, store) = shop();
    for name in ["state.snapshot", "journal"] {
        std::fs::remove_file(store.folder().join(name)).unwrap();
    }
    std::fs::remove_dir_all(store.folder().join("history")).unwrap();
    assert!(refused(&store).starts_with("the state is missing: serial 3 was recorded"));
    let nothing = store.restore("ann", "state restore shop", 0).unwrap_err();
    assert!(
        nothing.to_string().starts_with("no intact part is left of the state in "),
        "{nothing}"
    );
    assert!(nothing.advice().contains("from a backup"), "{}", nothing.advice());
    assert!(refused(&store).starts_with("the state is missing: serial 3 was recorded"));
}

/// Three entries behind the last snapshot.
fn begun() -> (tempfile::TempDir, StateStore) {
    let (folder, store) = shop();
    let (mut lease, _) = store.lease("ann", "apply shop", 4 * HOUR).unwrap();
    lease.append(&[bound("four"), bound("five"), bound("six")]).unwrap();
    drop(lease);
    (folder, store)
}

#[test]
fn load_refuses_a_journal_that_lost_entries() {
    let (_folder, store) = begun();
    let journal = store.folder().join("journal");
    let whole = std::fs::read_to_string(&journal).unwrap();
    let (epoch, last) = (4, 14);
    std::fs::write(&journal, "").unwrap();
    let said = refused(&store);
    assert!(
        said.starts_with(&format!("the state is outdated: entry {last} of the journal was")),
        "{said}"
    );
    assert!(
        said.contains(&format!("[STATE]/lease/{epoch:08}.beat, but [STATE] has serial 3")),
        "{said}"
    );
    let lines: Vec<&str> = whole.split_inclusive('\n').collect();
    assert_eq!(lines.len(), 4, "{whole}");
    for gone in 0..lines.len() {
        let rest: Vec<&str> =
            lines.iter().enumerate().filter(|(at, _)| *at != gone).map(|(_, it)| *it).collect();
        std::fs::write(&journal, rest.concat()).unwrap();
        assert!(refused(&store).starts_with("the state is outdated: "), "line {gone}");
    }
    std::fs::write(&journal, lines[..2].concat()).unwrap();
    let (state, _) = restored(&store);
    assert_eq!((state.serial, state.sequence, state.is_restored), (4, last, true));
    assert!(state.bound.contains_key("four") && !state.bound.contains_key("five"));
    // A run that goes through ends it.
    let over = JournalEntry::RunEnded {
        at: 0,
        complete: true,
        overlays: Vec::new(),
        variables: std::collections::BTreeMap::new(),
        outputs: std::collections::BTreeMap::new(),
    };
    let mut state = state;
    fold(&mut state, &over);
    assert!(!state.is_restored);
}

#[test]
fn load_names_file_place_and_last_good_serial_of_damage() {
    let (_folder, store) = begun();
    let journal = store.folder().join("journal");
    let whole = std::fs::read(&journal).unwrap();
    let mut flipped = whole.clone();
    let at = whole.split_inclusive(|it| *it == b'\n').take(2).map(<[u8]>::len).sum::<usize>();
    flipped[at + 20] ^= 1;
    std::fs::write(&journal, &flipped).unwrap();
    let said = refused(&store).replace(&at.to_string(), "[AT]");
    insta::assert_snapshot!(said, @"
    [STATE]/journal is damaged at byte [AT], line 3: the checksum does not match; the entries before it are intact: up to number 12, serial 3
    nothing was changed; restore the newest intact state, keeping the damaged files: `lifeboat state restore shop`
    ");
    assert_eq!(std::fs::read(&journal).unwrap(), flipped, "it is left alone");
    let found = store.restorable().unwrap().unwrap();
    assert_eq!((found.state.sequence, found.lost), (12, 2));
    let (state, aside) = restored(&store);
    assert!(state.bound.contains_key("four") && !state.bound.contains_key("five"));
    assert_eq!(std::fs::read(store.folder().join(&aside[1])).unwrap(), flipped);
    // A snapshot as well.
    let snapshot = store.folder().join("state.snapshot");
    let mut flipped = std::fs::read(&snapshot).unwrap();
    flipped[30] ^= 1;
    std::fs::write(&snapshot, flipped).unwrap();
    assert!(refused(&store).contains("state.snapshot cannot be read: line 1"));
    assert!(restored(&store).0.bound.contains_key("three"));
}

#[test]
fn load_refuses_a_state_that_lacks_a_reported_run() {
    let (_folder, store) = shop();
    let report = |began: i64| report(began, began + 60_000);
    store.reports().write(&report(3 * HOUR)).unwrap();
    assert!(store.load().is_ok(), "its last run");
    store.reports().write(&report(5 * HOUR)).unwrap();
    let said = refused(&store);
    assert!(
        said.starts_with("the state is outdated: the run of 1970-01-01T05:00:00Z was recorded"),
        "{said}"
    );
    assert_eq!(restored(&store).0.serial, 4);
}

/// Somebody removed a state to begin anew, and left its history.
#[test]
fn load_ignores_the_history_of_another_lineage() {
    let (_folder, store) = shop();
    for name in ["state.snapshot", "journal"] {
        std::fs::remove_file(store.folder().join(name)).unwrap();
    }
    std::fs::remove_dir_all(store.folder().join("lease")).unwrap();
    let journal = crate::engine::state::codec::encode_entry(1, &founded("another"));
    std::fs::write(store.folder().join("journal"), journal).unwrap();
    assert_eq!(store.load().unwrap().unwrap().lineage, "another");
}

#[test]
fn load_beside_a_writer_never_takes_the_state_for_outdated() {
    let (_folder, store) = shop();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            while !over.load(Relaxed) {
                store.load().expect("it only goes on");
            }
        });
        for at in 4..40 {
            run(&store, at * HOUR, "more");
        }
        over.store(true, Relaxed);
        reader.join().unwrap();
    });
}

#[test]
fn load_refuses_a_state_that_git_tracks_with_the_remedy() {
    let (folder, store) = shop();
    let git = |words: &[&str]| {
        let mut git = std::process::Command::new("git");
        git.arg("-C").arg(folder.path()).args(words);
        git.output().is_ok_and(|it| it.status.success())
    };
    if !git(&["init", "-q"]) {
        return;
    }
    assert!(store.load().is_ok());
    assert!(git(&["add", "-A"]));
    let Err(why @ StoreError::Tracked { .. }) = store.load() else { panic!("it is believed") };
    assert!(store.lease("bob", "apply shop", 0).is_err());
    assert!(store.restore("bob", "state restore shop", 0).is_err(), "that is no way out of this");
    let advice = why.advice();
    let command = advice.split('`').nth(1).unwrap();
    let typed = std::process::Command::new("/bin/sh").args(["-c", command]).status().unwrap();
    assert!(typed.success(), "{command}");
    assert!(store.load().unwrap().is_some(), "the files stay");
}

/// What others put among the files of the history is theirs, and a saved run does not fail because an old file stays.
#[test]
fn save_leaves_strange_names_in_the_history_alone() {
    let (_folder, store) = shop();
    let folder = store.folder().to_owned();
    let history = folder.join("history");
    std::fs::create_dir(history.join("00000000.old")).unwrap();
    std::fs::write(history.join("notes.txt"), "mine").unwrap();
    // Old, and not to be removed: a folder under a name of ours.
    std::fs::create_dir(history.join("00000000.snapshot")).unwrap();
    for at in 10..70 {
        run(&store, at * HOUR, "linode");
    }
    assert!(history.join("00000000.old").exists() && history.join("notes.txt").exists());
    let kept = std::fs::read_dir(&history).unwrap().count();
    assert!((100..=104).contains(&kept), "{kept} files");
}

/// A number that no run has reached is nobody's: it neither outdates a state nor overflows what goes on from it.
#[test]
fn restore_believes_no_serial_beyond_all_numbers() {
    let (_folder, store) = shop();
    let folder = store.folder().to_owned();
    let history = folder.join("history");
    for serial in [u64::MAX, u64::MAX - 1] {
        std::fs::write(history.join(format!("{serial}.snapshot")), "rubbish").unwrap();
        std::fs::write(history.join(format!("{serial}.journal")), "").unwrap();
    }
    let beat = format!("{{\"at\":1,\"released\":true,\"sequence\":{0},\"serial\":{0}}}", u64::MAX);
    std::fs::write(folder.join("lease/00000001.beat"), beat).unwrap();
    let before = store.load().unwrap().unwrap();
    std::fs::remove_file(folder.join("state.snapshot")).unwrap();
    std::fs::remove_file(folder.join("journal")).unwrap();
    store.restore("ann", "state restore shop", HOUR).unwrap();
    let after = run(&store, 90 * HOUR, "linode");
    assert!(after.serial > before.serial && after.serial < before.serial + 10, "{}", after.serial);
}

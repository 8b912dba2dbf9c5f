//! What every backend has to keep, held against each that there is.

use std::io;
use std::sync::Arc;

use crate::store::backend::{
    Backend, FileBackend, LockAttempt, LockMode, ObjectVersion, PutCondition, PutOutcome,
};
use crate::store::error::StoreError;
use crate::store::files::{prepare, prepared_in, publish};
use crate::store::folder::FolderBackend;
use crate::store::key::{HISTORY, JOURNAL, KeyPrefix, LEASE, SNAPSHOT, StoreKey};
use crate::store::tests::lossy::LossyBackend;
use crate::store::tests::memory::MemoryBackend;
use crate::store::tests::sealed::sealed_in;

#[path = "rules.rs"]
mod rules;

use rules::RULES;

/// The same for every store, and for what pretends to be one in the other tests.
fn check(keeps: impl Fn(&Arc<dyn Backend>)) {
    check_files(|it| keeps(&(Arc::clone(it) as Arc<dyn Backend>)));
    keeps(&(MemoryBackend::new() as Arc<dyn Backend>));
    let folder = tempfile::tempdir().unwrap();
    let folder = Arc::new(FolderBackend::new(&folder.path().join("state/shop")));
    for inner in [folder as Arc<dyn Backend>, MemoryBackend::new()] {
        keeps(&(sealed_in(inner, &["NEW"]) as Arc<dyn Backend>));
    }
}

/// The same for what is made of files.
fn check_files(keeps: impl Fn(&Arc<dyn FileBackend>)) {
    let folder = tempfile::tempdir().unwrap();
    let folder: Arc<dyn FileBackend> =
        Arc::new(FolderBackend::new(&folder.path().join("state/shop")));
    for files in [folder, LossyBackend::new(None)] {
        assert_eq!(files.list(&KeyPrefix::ROOT).unwrap(), [], "nothing is there yet");
        files.ensure_prefix(&HISTORY).unwrap();
        keeps(&files);
    }
}

fn key(text: &str) -> StoreKey {
    StoreKey::parse(text).unwrap()
}

/// What is kept whatever the store is; the same holds for real servers (`tests/conformance/stores`).
#[test]
fn every_backend_keeps_the_rules() {
    for (name, rule) in RULES {
        check(|it| {
            println!("{name} in {}", it.root().display());
            rule(&**it);
        });
    }
}

/// What fencing rests on.
#[test]
fn publish_fails_for_what_was_swept() {
    check_files(|it| {
        let swept = prepare(&**it, &SNAPSHOT, 3, b"late").unwrap();
        assert_eq!(prepared_in(&swept.draft), Some(3));
        assert!(it.list(&KeyPrefix::ROOT).unwrap().contains(&swept.draft), "a sweep finds it");
        it.delete(&swept.draft).unwrap();
        publish(&**it, swept).unwrap_err();
        assert_eq!(it.get(&SNAPSHOT).unwrap(), None);
        let linked = it.link(&key("nothing"), &SNAPSHOT).unwrap_err();
        assert_eq!(linked.kind(), io::ErrorKind::NotFound);
        // Room is made by who needs it, and by nobody in passing: a heartbeat does not bring a removed folder back.
        let made = it.create(&LEASE.key("1.beat")).unwrap_err();
        assert_eq!(made.kind(), io::ErrorKind::NotFound);
        assert_eq!([prepared_in(&SNAPSHOT), prepared_in(&key("a.b.new"))], [None, None]);
    });
}

/// Nobody reads what a late holder appends, and who is kept in the history is not changed there.
#[test]
fn append_follows_its_file_through_renames() {
    check_files(|it| {
        let first = prepare(&**it, &JOURNAL, 1, b"one ").unwrap();
        let mut first = publish(&**it, first).unwrap();
        first.append(b"two three").unwrap();
        assert_eq!(first.position().unwrap(), 13);
        first.truncate(8).unwrap();
        first.append(b"four").unwrap();
        first.sync_data().unwrap();
        let kept = key("history/1.journal");
        it.link(&JOURNAL, &kept).unwrap();
        let second = prepare(&**it, &JOURNAL, 2, b"new").unwrap();
        publish(&**it, second).unwrap();
        assert_eq!(it.get(&JOURNAL).unwrap().unwrap(), b"new");
        assert_eq!(it.get(&kept).unwrap().unwrap(), b"one two four");
        let taken = it.link(&JOURNAL, &kept).unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AlreadyExists);
        // What has the name of a draft is not written through.
        drop(it.create(&kept).unwrap());
        assert_eq!(it.get(&kept).unwrap().unwrap(), b"");
        assert_eq!(it.get(&JOURNAL).unwrap().unwrap(), b"new");
    });
}

#[test]
fn lock_is_exclusive_or_shared_until_dropped() {
    check_files(|it| {
        let lock = |mode| it.lock(&key("lock"), mode).unwrap();
        assert!(matches!(lock(LockMode::Shared), LockAttempt::Missing));
        let alone = lock(LockMode::Exclusive);
        assert!(matches!(alone, LockAttempt::Locked(_)));
        assert!(matches!(lock(LockMode::Exclusive), LockAttempt::Busy));
        // It lies on what it was taken on, whatever that is called.
        it.rename(&key("lock"), &key("other")).unwrap();
        let other = it.lock(&key("other"), LockMode::Shared).unwrap();
        assert!(matches!(other, LockAttempt::Busy));
        drop(alone);
        it.rename(&key("other"), &key("lock")).unwrap();
        let shared = [lock(LockMode::Shared), lock(LockMode::Shared)];
        assert!(shared.iter().all(|it| matches!(it, LockAttempt::Locked(_))));
        assert!(matches!(lock(LockMode::Exclusive), LockAttempt::Busy));
        drop(shared);
        assert!(matches!(lock(LockMode::Exclusive), LockAttempt::Locked(_)));
    });
}

/// The folder alone: files are for their owner, and a link that lies there leads nowhere.
#[test]
fn folder_writes_for_its_owner_and_through_no_link() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    let folder = tempfile::tempdir().unwrap();
    let victim = folder.path().join("victim");
    std::fs::write(&victim, "mine").unwrap();
    let state = folder.path().join("shop");
    let backend = FolderBackend::new(&state);
    backend.ensure_prefix(&KeyPrefix::ROOT).unwrap();
    symlink(&victim, state.join("journal.00000001.new")).unwrap();
    symlink(&victim, state.join("state.snapshot")).unwrap();
    drop(publish(&backend, prepare(&backend, &JOURNAL, 1, b"one").unwrap()).unwrap());
    backend.put(&SNAPSHOT, b"two", PutCondition::Always).unwrap();
    assert_eq!(std::fs::read_to_string(&victim).unwrap(), "mine");
    for key in [&JOURNAL, &SNAPSHOT] {
        let found = std::fs::symlink_metadata(backend.place(key)).unwrap();
        assert_eq!((found.is_file(), found.permissions().mode() & 0o777), (true, 0o600), "{key}");
    }
    assert_eq!(backend.neighbors().unwrap(), ["shop"], "a file is no state");
}

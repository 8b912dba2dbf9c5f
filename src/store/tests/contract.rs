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

/// How many put at once.
const RACERS: usize = 16;

/// The same for every store, and for what pretends to be one in the other tests.
fn check(keeps: impl Fn(&Arc<dyn Backend>)) {
    check_files(|it| keeps(&(Arc::clone(it) as Arc<dyn Backend>)));
    keeps(&(MemoryBackend::new() as Arc<dyn Backend>));
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

#[test]
fn put_get_list_and_delete_agree() {
    check(|it| {
        assert_eq!(it.get(&JOURNAL).unwrap(), None);
        for (name, mode) in [
            ("b", PutCondition::Absent),
            ("a", PutCondition::Always),
            ("history/c", PutCondition::Absent),
            ("b", PutCondition::Always),
        ] {
            let put = it.put(&key(name), format!("{mode:?}").as_bytes(), mode).unwrap();
            assert!(put.is_written());
        }
        let lost = it.put(&key("b"), b"late", PutCondition::Absent).unwrap();
        assert_eq!(lost, PutOutcome::Refused);
        assert_eq!(it.get(&key("b")).unwrap().unwrap(), b"Always");
        let mut listed = it.list(&KeyPrefix::ROOT).unwrap();
        // Whether prefixes are listed among keys is nobody's business.
        listed.retain(|it| it.as_str() != HISTORY.as_str());
        assert_eq!(listed, [key("a"), key("b")], "no draft is left");
        assert_eq!(it.list(&HISTORY).unwrap(), [key("history/c")]);
        assert_eq!(it.list_after(&KeyPrefix::ROOT, &key("a")).unwrap()[0], key("b"));
        assert_eq!(it.list(&LEASE).unwrap(), []);
        for _ in 0..2 {
            it.delete(&key("b")).unwrap();
        }
        assert_eq!(it.get(&key("b")).unwrap(), None);
        it.put(&key("b"), b"again", PutCondition::Absent).unwrap();
        it.delete_all(&[key("a"), key("nothing"), key("b")]).unwrap();
        assert_eq!([it.get(&key("a")).unwrap(), it.get(&key("b")).unwrap()], [None, None]);
    });
}

#[test]
fn put_under_a_version_needs_what_was_read() {
    check(|it| {
        let absent = ObjectVersion("0".repeat(32));
        let none = it.put(&key("b"), b"early", PutCondition::Version(&absent)).unwrap();
        assert_eq!((none, it.get(&key("b")).unwrap()), (PutOutcome::Refused, None));
        let PutOutcome::Written(first) = it.put(&key("b"), b"one", PutCondition::Absent).unwrap()
        else {
            panic!("nothing is there")
        };
        assert_eq!(it.read(&key("b")).unwrap().unwrap().version, first);
        let PutOutcome::Written(second) =
            it.put(&key("b"), b"two", PutCondition::Version(&first)).unwrap()
        else {
            panic!("that is what is there")
        };
        let late = it.put(&key("b"), b"three", PutCondition::Version(&first)).unwrap();
        assert_eq!(late, PutOutcome::Refused);
        let found = it.read(&key("b")).unwrap().unwrap();
        assert_eq!((found.bytes, found.version), (b"two".to_vec(), second));
        it.put(&key("b"), b"four", PutCondition::Always).unwrap();
    });
}

#[test]
fn put_under_a_version_has_one_winner() {
    check(|it| {
        let PutOutcome::Written(first) = it.put(&JOURNAL, b"-", PutCondition::Absent).unwrap()
        else {
            panic!("nothing is there")
        };
        let first = &first;
        let put =
            |at: usize| it.put(&JOURNAL, at.to_string().as_bytes(), PutCondition::Version(first));
        assert_eq!(winners(put).len(), 1);
    });
}

/// Who of many that put at once was told that it was written.
fn winners(put: impl Fn(usize) -> Result<PutOutcome, StoreError> + Sync) -> Vec<usize> {
    std::thread::scope(|scope| {
        let put = &put;
        let all: Vec<_> = (0..RACERS).map(|at| scope.spawn(move || put(at))).collect();
        let outcomes = all.into_iter().map(|it| it.join().unwrap().unwrap()).enumerate();
        outcomes.filter(|it| it.1.is_written()).map(|it| it.0).collect()
    })
}

#[test]
fn put_if_absent_has_one_winner() {
    check(|it| {
        let put = |at: usize| it.put(&JOURNAL, at.to_string().as_bytes(), PutCondition::Absent);
        let won = winners(put);
        assert_eq!(won.len(), 1, "{won:?}");
        assert_eq!(it.get(&JOURNAL).unwrap().unwrap(), won[0].to_string().as_bytes());
    });
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

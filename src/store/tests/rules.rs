//! What every store keeps, whatever is behind it.
//!
//! It is held against the stores of the unit tests and, by the conformance tests, against real servers; what it uses it names
//! through its parent, which is another in each.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use super::{Backend, KeyPrefix, ObjectVersion, PutCondition, PutOutcome, StoreError, StoreKey};

/// How many put at once.
const RACERS: usize = 16;

/// More keys than one page of any list has (S3: 1,000).
const MANY: usize = 1_100;

/// More than one item of a table holds, so that it takes chunks there.
const LARGE: usize = 1024 * 1024 + 17;

/// A rule, and what it is called. Each has the store for itself and leaves nothing in it.
pub(crate) type StoreRule = (&'static str, fn(&dyn Backend));

/// All of them.
pub(crate) const RULES: [StoreRule; 7] = [
    ("put_get_list_and_delete_agree", put_get_list_and_delete_agree),
    ("put_under_a_version_needs_what_was_read", put_under_a_version_needs_what_was_read),
    ("put_has_one_winner", put_has_one_winner),
    ("values_come_back_as_they_were_put", values_come_back_as_they_were_put),
    ("readers_see_whole_values", readers_see_whole_values),
    ("list_has_all_pages", list_has_all_pages),
    ("neighbors_are_states_that_have_something", neighbors_are_states_that_have_something),
];

fn key(text: &str) -> StoreKey {
    StoreKey::parse(text).unwrap()
}

/// A prefix that has room.
fn room(it: &dyn Backend, text: &str) -> KeyPrefix {
    it.ensure_prefix(&KeyPrefix::ROOT).unwrap();
    let prefix = key(&format!("{text}/x")).prefix();
    it.ensure_prefix(&prefix).unwrap();
    prefix
}

fn written(put: Result<PutOutcome, StoreError>) -> ObjectVersion {
    match put.unwrap() {
        PutOutcome::Written(version) => version,
        PutOutcome::Refused => panic!("it was refused"),
    }
}

fn put_get_list_and_delete_agree(it: &dyn Backend) {
    let history = room(it, "history");
    assert_eq!(it.get(&key("b")).unwrap(), None);
    for (name, mode) in [
        ("b", PutCondition::Absent),
        ("a", PutCondition::Always),
        ("history/c", PutCondition::Absent),
        ("b", PutCondition::Always),
    ] {
        written(it.put(&key(name), format!("{name} {mode:?}").as_bytes(), mode));
    }
    let lost = it.put(&key("b"), b"late", PutCondition::Absent).unwrap();
    assert_eq!(lost, PutOutcome::Refused);
    assert_eq!(it.get(&key("b")).unwrap().unwrap(), b"b Always");
    let mut listed = it.list(&KeyPrefix::ROOT).unwrap();
    // Whether prefixes are listed among keys is nobody's business.
    listed.retain(|it| it.as_str() != history.as_str());
    assert_eq!(listed, [key("a"), key("b")], "no draft is left");
    assert_eq!(it.list(&history).unwrap(), [key("history/c")]);
    assert_eq!(it.list(&key("nothing/x").prefix()).unwrap(), []);
    for _ in 0..2 {
        it.delete(&key("b")).unwrap();
    }
    assert_eq!(it.get(&key("b")).unwrap(), None);
    written(it.put(&key("b"), b"again", PutCondition::Absent));
    it.delete_all(&[key("a"), key("nothing"), key("b"), key("history/c")]).unwrap();
    assert_eq!([it.get(&key("a")).unwrap(), it.get(&key("b")).unwrap()], [None, None]);
}

fn put_under_a_version_needs_what_was_read(it: &dyn Backend) {
    room(it, "history");
    let absent = ObjectVersion("0".repeat(32));
    let none = it.put(&key("b"), b"early", PutCondition::Version(&absent)).unwrap();
    assert_eq!((none, it.get(&key("b")).unwrap()), (PutOutcome::Refused, None));
    let first = written(it.put(&key("b"), b"one", PutCondition::Absent));
    assert_eq!(it.read(&key("b")).unwrap().unwrap().version, first);
    let second = written(it.put(&key("b"), b"two", PutCondition::Version(&first)));
    let late = it.put(&key("b"), b"three", PutCondition::Version(&first)).unwrap();
    assert_eq!(late, PutOutcome::Refused);
    let found = it.read(&key("b")).unwrap().unwrap();
    assert_eq!((found.bytes, found.version), (b"two".to_vec(), second.clone()));
    let fourth = written(it.put(&key("b"), b"four", PutCondition::Always));
    assert_ne!(fourth, second);
    it.delete(&key("b")).unwrap();
    let gone = it.put(&key("b"), b"five", PutCondition::Version(&fourth)).unwrap();
    assert_eq!((gone, it.get(&key("b")).unwrap()), (PutOutcome::Refused, None));
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

fn put_has_one_winner(it: &dyn Backend) {
    room(it, "history");
    let raced = key("raced");
    let won = winners(|at| it.put(&raced, format!("a{at}").as_bytes(), PutCondition::Absent));
    assert_eq!(won.len(), 1, "absent: {won:?}");
    let found = it.read(&raced).unwrap().unwrap();
    assert_eq!(found.bytes, format!("a{}", won[0]).as_bytes());
    let condition = PutCondition::Version(&found.version);
    let won = winners(|at| it.put(&raced, format!("v{at}").as_bytes(), condition));
    assert_eq!(won.len(), 1, "under a version: {won:?}");
    assert_eq!(it.get(&raced).unwrap().unwrap(), format!("v{}", won[0]).as_bytes());
    it.delete(&raced).unwrap();
}

fn values_come_back_as_they_were_put(it: &dyn Backend) {
    room(it, "history");
    let every: Vec<u8> = (0..=255).collect();
    let sizes = [0, 1, 380 * 1024 - 1, 380 * 1024, 380 * 1024 + 1, LARGE, 3];
    let values = sizes.map(|size| every.iter().copied().cycle().take(size).collect::<Vec<u8>>());
    let name = key("history/a.b_c-d@e=f+g");
    for value in &values {
        let version = written(it.put(&name, value, PutCondition::Always));
        let found = it.read(&name).unwrap().unwrap();
        assert_eq!((found.bytes == *value, found.version), (true, version), "{}", value.len());
    }
    it.delete(&name).unwrap();
    let first = written(it.put(&name, &values[5], PutCondition::Absent));
    assert!(!it.put(&name, &values[4], PutCondition::Absent).unwrap().is_written());
    assert!(it.get(&name).unwrap().unwrap() == values[5], "what was refused has changed nothing");
    written(it.put(&name, &values[4], PutCondition::Version(&first)));
    assert!(it.get(&name).unwrap().unwrap() == values[4]);
    it.delete_all(&[name]).unwrap();
}

/// Law 5: while a value is replaced, its readers see the old or the new one.
fn readers_see_whole_values(it: &dyn Backend) {
    room(it, "history");
    let name = key("history/large");
    let value = |at: u8| vec![at; LARGE];
    written(it.put(&name, &value(0), PutCondition::Always));
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reading = scope.spawn(|| {
            let mut seen = 0;
            while !is_over.load(SeqCst) || seen == 0 {
                let found = it.get(&name).unwrap().expect("it is always there");
                let whole = found.iter().all(|it| *it == found[0]);
                assert_eq!((found.len(), whole), (LARGE, true));
                seen += 1;
            }
        });
        let written =
            (1..12).try_for_each(|at| it.put(&name, &value(at), PutCondition::Always).map(drop));
        is_over.store(true, SeqCst);
        reading.join().unwrap();
        written.unwrap();
    });
    it.delete(&name).unwrap();
}

fn list_has_all_pages(it: &dyn Backend) {
    let many = room(it, "many");
    let keys: Vec<StoreKey> = (0..MANY).map(|at| many.key(&format!("{at:08}.entry"))).collect();
    std::thread::scope(|scope| {
        for some in keys.chunks(MANY / RACERS + 1) {
            scope.spawn(move || {
                for key in some {
                    written(it.put(key, key.as_str().as_bytes(), PutCondition::Absent));
                }
            });
        }
    });
    assert_eq!(it.list(&many).unwrap(), keys);
    assert!(!it.list(&KeyPrefix::ROOT).unwrap().contains(&keys[0]));
    it.delete_all(&keys).unwrap();
    assert_eq!(it.list(&many).unwrap(), []);
}

fn neighbors_are_states_that_have_something(it: &dyn Backend) {
    room(it, "history");
    let own = it.root().file_name().unwrap().to_string_lossy().into_owned();
    it.put(&key("a"), b"a", PutCondition::Always).unwrap();
    assert!(it.neighbors().unwrap().contains(&own));
    it.delete(&key("a")).unwrap();
}

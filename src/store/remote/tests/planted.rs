//! Stores that look before they write, ignore conditions or lie: each must be refused, for what it does.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use crate::store::backend::{Backend, ObjectVersion, PutCondition, PutOutcome, StoredObject};
use crate::store::error::{RemoteError, RemoteFault, StoreError};
use crate::store::folder::FolderBackend;
use crate::store::key::{KeyPrefix, StoreKey};
use crate::store::remote::probe::{is_probed, mark_probed, probe_races};
use crate::store::tests::memory::MemoryBackend;

/// What is wrong with a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum StorePlant {
    Nothing,
    /// Looks, and then writes.
    RacyAbsent,
    RacyVersion,
    IgnoresAbsent,
    IgnoresVersion,
    /// Tells everybody that somebody else was first.
    RefusesAll,
    /// Reads what was there a moment ago.
    Stale,
    /// Fails after so many requests.
    Dies(usize),
}

#[derive(Debug)]
struct PlantedBackend {
    plant: StorePlant,
    inner: Arc<MemoryBackend>,
    asked: AtomicUsize,
}

impl PlantedBackend {
    fn new(plant: StorePlant) -> Self {
        Self { plant, inner: MemoryBackend::new(), asked: AtomicUsize::new(0) }
    }

    fn alive(&self) -> Result<(), StoreError> {
        let asked = self.asked.fetch_add(1, SeqCst);
        match self.plant {
            StorePlant::Dies(after) if asked >= after => {
                Err(StoreError::Remote(Box::new(RemoteError {
                    fault: RemoteFault::Unreachable,
                    verb: "write",
                    place: "memory".into(),
                    endpoint: "nobody".into(),
                    words: "dead".into(),
                    advice: String::new(),
                })))
            }
            _ => Ok(()),
        }
    }

    /// What a server does that has no atomic compare-and-put.
    fn look_and_write(
        &self,
        key: &StoreKey,
        bytes: &[u8],
        holds: impl Fn(Option<StoredObject>) -> bool,
    ) -> Result<PutOutcome, StoreError> {
        let found = self.inner.read(key)?;
        std::thread::yield_now();
        std::thread::sleep(std::time::Duration::from_millis(2));
        if !holds(found) {
            return Ok(PutOutcome::Refused);
        }
        self.inner.put(key, bytes, PutCondition::Always)
    }
}

impl Backend for PlantedBackend {
    fn read(&self, key: &StoreKey) -> Result<Option<StoredObject>, StoreError> {
        self.alive()?;
        let found = self.inner.read(key)?;
        Ok(match self.plant {
            StorePlant::Stale => found.map(|it| StoredObject {
                bytes: b"before".to_vec(),
                version: ObjectVersion(format!("-{}", it.version.0)),
            }),
            _ => found,
        })
    }

    fn put(
        &self,
        key: &StoreKey,
        bytes: &[u8],
        condition: PutCondition<'_>,
    ) -> Result<PutOutcome, StoreError> {
        self.alive()?;
        match (self.plant, condition) {
            (StorePlant::RacyAbsent, PutCondition::Absent) => {
                self.look_and_write(key, bytes, |it| it.is_none())
            }
            (StorePlant::RacyVersion, PutCondition::Version(wanted)) => {
                self.look_and_write(key, bytes, |it| it.is_some_and(|it| it.version == *wanted))
            }
            (StorePlant::IgnoresAbsent, PutCondition::Absent)
            | (StorePlant::IgnoresVersion, PutCondition::Version(_)) => {
                self.inner.put(key, bytes, PutCondition::Always)
            }
            (StorePlant::RefusesAll, _) => Ok(PutOutcome::Refused),
            _ => self.inner.put(key, bytes, condition),
        }
    }

    fn list(&self, prefix: &KeyPrefix) -> Result<Vec<StoreKey>, StoreError> {
        self.inner.list(prefix)
    }

    fn delete(&self, key: &StoreKey) -> Result<(), StoreError> {
        self.inner.delete(key)
    }

    fn neighbors(&self) -> Result<Vec<String>, StoreError> {
        self.inner.neighbors()
    }

    fn root(&self) -> &Path {
        self.inner.root()
    }
}

/// What is seen of a store, and nothing of the probe is left in it.
fn seen(plant: StorePlant) -> Option<String> {
    let backend = PlantedBackend::new(plant);
    let probed = probe_races(&backend, "memory://states");
    assert_eq!(backend.inner.neighbors().unwrap(), [""; 0], "{plant:?}: it is swept");
    match probed {
        Ok(()) => None,
        Err(why @ StoreError::Unfit { .. }) => {
            assert!(why.advice().contains("conditional puts are atomic"), "{}", why.advice());
            Some(why.to_string())
        }
        Err(why) => panic!("{plant:?}: {why}"),
    }
}

#[test]
fn probe_races_refuses_each_planted_store_for_what_it_does() {
    assert_eq!(seen(StorePlant::Nothing), None);
    for (plant, words) in [
        (StorePlant::RacyAbsent, " of 16 simultaneous puts were told that they were first"),
        (StorePlant::RacyVersion, " of 16 simultaneous puts under one version took place"),
        (StorePlant::IgnoresAbsent, "the store ignores conditions"),
        (StorePlant::IgnoresVersion, "the store ignores versions"),
        (StorePlant::RefusesAll, "was told that something is there"),
        (StorePlant::Stale, "what was put last is not what is read"),
    ] {
        let seen = seen(plant).unwrap_or_else(|| panic!("{plant:?} was believed"));
        assert!(seen.starts_with("memory://states cannot keep states: "), "{seen}");
        assert!(seen.contains(words), "{plant:?}: {seen}");
    }
}

/// Silence is no verdict.
#[test]
fn probe_races_tells_a_dead_store_from_one_that_lies() {
    for after in [0, 3, 10, 40] {
        let backend = PlantedBackend::new(StorePlant::Dies(after));
        let why = probe_races(&backend, "memory://states").unwrap_err();
        assert!(matches!(why, StoreError::Remote(_)), "{why}");
    }
}

#[test]
fn probe_races_passes_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let backend = FolderBackend::new(&folder.path().join("state/shop"));
    backend.ensure_prefix(&KeyPrefix::ROOT).unwrap();
    probe_races(&backend, "the folder").unwrap();
}

#[test]
fn is_probed_counts_for_the_store_that_was_asked() {
    let backend = MemoryBackend::new();
    assert!(!is_probed(&*backend, "s3://a").unwrap());
    mark_probed(&*backend, "s3://a").unwrap();
    assert!(is_probed(&*backend, "s3://a").unwrap());
    assert!(!is_probed(&*backend, "s3://b").unwrap(), "a copy elsewhere");
}

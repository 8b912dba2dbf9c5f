//! A store in memory that has the few verbs only, as one behind a network has: no files, no locks.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::store::backend::{Backend, ObjectVersion, PutCondition, PutOutcome, StoredObject};
use crate::store::error::{StoreError, io as io_error};
use crate::store::key::{KeyPrefix, StoreKey};

#[derive(Debug)]
pub(crate) struct MemoryBackend {
    root: PathBuf,
    objects: Mutex<MemoryObjects>,
}

#[derive(Debug, Default)]
struct MemoryObjects {
    by_key: BTreeMap<StoreKey, StoredObject>,
    puts: u64,
    /// So many puts from now on do not arrive.
    failing: u64,
    /// So many from now on arrive, and nobody is told.
    unanswered: u64,
    /// So many from now on arrive, and none after that.
    left: Option<u64>,
    /// Nobody is answered.
    is_silent: bool,
}

impl MemoryBackend {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { root: PathBuf::from("memory://states/shop"), objects: Mutex::default() })
    }

    /// So many puts from now on do not arrive.
    pub(crate) fn fail(&self, puts: u64) {
        let mut objects = self.objects();
        (objects.failing, objects.left) = (puts, None);
    }

    /// So many puts from now on arrive, and none after that, as if the process were gone.
    pub(crate) fn fail_after(&self, puts: u64) {
        self.objects().left = Some(puts);
    }

    /// So many puts from now on arrive, and their replies are lost.
    pub(crate) fn lose_replies(&self, puts: u64) {
        self.objects().unanswered = puts;
    }

    /// Whether nobody is answered from now on.
    pub(crate) fn silence(&self, is_silent: bool) {
        self.objects().is_silent = is_silent;
    }

    /// All that is there.
    pub(crate) fn all(&self) -> BTreeMap<String, String> {
        let objects = self.objects();
        let text = |it: &StoredObject| String::from_utf8_lossy(&it.bytes).into_owned();
        objects.by_key.iter().map(|(key, it)| (key.to_string(), text(it))).collect()
    }

    /// What was there once, and nothing else.
    pub(crate) fn put_back(&self, all: &BTreeMap<String, String>) {
        self.objects().by_key.clear();
        for (key, text) in all {
            let key = StoreKey::parse(key).unwrap();
            self.put(&key, text.as_bytes(), PutCondition::Always).unwrap();
        }
    }

    fn answers(&self, key: &StoreKey) -> Result<MutexGuard<'_, MemoryObjects>, StoreError> {
        let objects = self.objects();
        if objects.is_silent {
            return Err(io_error("reach", &self.place(key))(io::ErrorKind::TimedOut.into()));
        }
        Ok(objects)
    }

    fn objects(&self) -> MutexGuard<'_, MemoryObjects> {
        self.objects.lock().unwrap()
    }
}

impl Backend for MemoryBackend {
    fn read(&self, key: &StoreKey) -> Result<Option<StoredObject>, StoreError> {
        Ok(self.answers(key)?.by_key.get(key).cloned())
    }

    fn put(
        &self,
        key: &StoreKey,
        bytes: &[u8],
        condition: PutCondition<'_>,
    ) -> Result<PutOutcome, StoreError> {
        let mut objects = self.answers(key)?;
        let timed_out = || Err(io_error("write", &self.place(key))(io::ErrorKind::TimedOut.into()));
        if let Some(left) = &mut objects.left {
            let Some(fewer) = left.checked_sub(1) else {
                // The process is gone: nobody waits for anything.
                return Err(io_error("write", &self.place(key))(io::ErrorKind::Other.into()));
            };
            *left = fewer;
        }
        if objects.failing > 0 {
            objects.failing -= 1;
            return timed_out();
        }
        let there = objects.by_key.get(key);
        let holds = match condition {
            PutCondition::Always => true,
            PutCondition::Absent => there.is_none(),
            PutCondition::Version(wanted) => there.is_some_and(|it| it.version == *wanted),
        };
        if !holds {
            return Ok(PutOutcome::Refused);
        }
        objects.puts += 1;
        let version = ObjectVersion(objects.puts.to_string());
        let object = StoredObject { bytes: bytes.to_vec(), version: version.clone() };
        objects.by_key.insert(key.clone(), object);
        if objects.unanswered > 0 {
            objects.unanswered -= 1;
            return timed_out();
        }
        Ok(PutOutcome::Written(version))
    }

    fn list(&self, prefix: &KeyPrefix) -> Result<Vec<StoreKey>, StoreError> {
        let objects = self.answers(&prefix.key("-"))?;
        Ok(objects.by_key.keys().filter(|it| it.prefix() == *prefix).cloned().collect())
    }

    fn delete(&self, key: &StoreKey) -> Result<(), StoreError> {
        self.answers(key)?.by_key.remove(key);
        Ok(())
    }

    fn neighbors(&self) -> Result<Vec<String>, StoreError> {
        let is_there = !self.objects().by_key.is_empty();
        Ok(is_there.then(|| "shop".into()).into_iter().collect())
    }

    fn root(&self) -> &Path {
        &self.root
    }
}

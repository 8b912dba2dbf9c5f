//! A watcher's memory beside the state of its stack: replaced whole, under a lock that watchers of one overlay share.

use std::path::PathBuf;
use std::sync::Arc;

use crate::engine::recovery::watch::{Notes, WatchMemory};
use crate::store::backend::{Backend, HeldLock, LockAttempt, LockMode, PutCondition};
use crate::store::error::{StoreError, io as io_error};
use crate::store::key::{KeyPrefix, StoreKey};

/// Where the memory of the watchers of one overlay is kept.
#[derive(Debug, Clone)]
pub struct WatchFile {
    backend: Arc<dyn Backend>,
    overlay: String,
}

/// The right to write it. Held for a moment to save, and as long as a switch takes: it goes with its process.
#[derive(Debug)]
pub struct WatchLock {
    file: WatchFile,
    /// Held for the life of the claim, where the store has locks. Where it has none, watchers on several machines may watch at once: what
    /// each remembers is merged, and the lease of the switch lets one of them switch.
    _lock: Option<Box<dyn HeldLock>>,
}

impl WatchFile {
    /// Of an overlay that there is: its name leads nowhere.
    pub fn new(backend: Arc<dyn Backend>, overlay: &str) -> Self {
        Self { backend, overlay: overlay.into() }
    }

    /// Where it is, as messages name it.
    pub fn path(&self) -> PathBuf {
        self.backend.place(&self.key("json"))
    }

    fn key(&self, ending: &str) -> StoreKey {
        KeyPrefix::ROOT.key(&format!("watch-{}.{ending}", self.overlay))
    }

    /// What was remembered last: nothing before the first time.
    pub fn read(&self) -> Result<Notes, StoreError> {
        let Some(bytes) = self.backend.get(&self.key("json"))? else {
            return Ok(Notes::default());
        };
        let broken = |why: String| StoreError::Memory { file: self.path(), why };
        let text = String::from_utf8(bytes).map_err(|_| broken("it is not UTF-8".into()))?;
        Notes::decode(&text).map_err(|why| broken(why.to_string()))
    }

    /// The right to write, unless another watcher has it.
    pub fn claim(&self) -> Result<Option<WatchLock>, StoreError> {
        self.backend.ensure_prefix(&KeyPrefix::ROOT)?;
        let key = self.key("lock");
        let wrong = |verb| io_error(verb, &self.backend.place(&key));
        match self.backend.lock(&key, LockMode::Exclusive).map_err(wrong("open"))? {
            LockAttempt::Locked(lock) => {
                Ok(Some(WatchLock { file: self.clone(), _lock: Some(lock) }))
            }
            LockAttempt::Busy => Ok(None),
            LockAttempt::Missing => Err(wrong("lock")(std::io::ErrorKind::NotFound.into())),
            LockAttempt::Unsupported(_) => Ok(Some(WatchLock { file: self.clone(), _lock: None })),
        }
    }
}

impl WatchLock {
    /// Makes this memory know what others have done, and puts it among theirs. Durable when this returns; a reader sees
    /// the old notes or the new ones.
    pub fn save(&self, memory: &mut WatchMemory) -> Result<(), StoreError> {
        let mut notes = self.file.read()?;
        memory.learn(&notes);
        notes.put(memory);
        self.write(&notes)
    }

    /// Puts this memory among the others as it is: what it began is known to have ended.
    pub fn settle(&self, memory: &WatchMemory) -> Result<(), StoreError> {
        let mut notes = self.file.read()?;
        notes.put(memory);
        self.write(&notes)
    }

    fn write(&self, notes: &Notes) -> Result<(), StoreError> {
        let key = self.file.key("json");
        self.file.backend.put(&key, notes.encode().as_bytes(), PutCondition::Always).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use super::WatchFile;
    use crate::engine::recovery::watch::{Notes, WatchMemory};
    use crate::store::error::StoreError;
    use crate::store::folder::FolderBackend;
    use crate::store::tests::memory::MemoryBackend;

    /// A store behind a network has none.
    #[test]
    fn claim_needs_no_locks() {
        let file = WatchFile::new(MemoryBackend::new(), "eu");
        let (one, two) = (file.claim().unwrap().unwrap(), file.claim().unwrap().unwrap());
        one.save(&mut WatchMemory { last_switch: Some(7), ..WatchMemory::new("x") }).unwrap();
        let mut other = WatchMemory::new("y");
        two.save(&mut other).unwrap();
        assert_eq!(other.last_switch, Some(7), "what one remembers the other one knows");
    }

    fn beside(state: &Path) -> WatchFile {
        WatchFile::new(Arc::new(FolderBackend::new(state)), "eu")
    }

    #[test]
    fn claim_lets_one_write_at_a_time_and_anyone_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = beside(&folder.path().join("new"));
        assert_eq!(file.read().unwrap(), Notes::default());
        let claim = file.claim().unwrap().unwrap();
        assert!(file.claim().unwrap().is_none());
        let mut one = WatchMemory { last_switch: Some(7), ..WatchMemory::new("x") };
        claim.save(&mut one).unwrap();
        assert_eq!(file.read().unwrap().of("x"), one);
        drop(claim);
        let claim = file.claim().unwrap().unwrap();
        let mut two = WatchMemory::new("y");
        claim.save(&mut two).unwrap();
        assert_eq!(two.last_switch, Some(7), "one has switched");
        two.last_switch = None;
        claim.settle(&two).unwrap();
        assert_eq!(file.read().unwrap().of("x"), one, "each keeps its own");
    }

    #[test]
    fn read_refuses_a_damaged_memory() {
        let folder = tempfile::tempdir().unwrap();
        let file = beside(folder.path());
        for damaged in
            [&b""[..], b"{}", b"\xff", b"{\"version\":1,\"checksum\":\"0\",\"notes\":{}}"]
        {
            std::fs::write(file.path(), damaged).unwrap();
            assert!(matches!(file.read(), Err(StoreError::Memory { .. })), "{damaged:?}");
        }
    }
}

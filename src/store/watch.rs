//! A watcher's memory beside the state of its stack: replaced whole, under a lock that watchers of one overlay share.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use crate::engine::recovery::watch::{Notes, WatchMemory};
use crate::store::error::{StoreError, io};
use crate::store::private;

/// Where the memory of the watchers of one overlay is kept.
#[derive(Debug, Clone)]
pub struct WatchFile {
    folder: PathBuf,
    overlay: String,
}

/// The right to write it. Held for a moment to save, and as long as a switch takes: it goes with its process.
#[derive(Debug)]
pub struct WatchLock {
    file: WatchFile,
    /// Held for the life of the claim.
    lock: File,
}

impl WatchFile {
    /// The memory of the watchers that switch to this overlay, in the folder of a state.
    pub fn new(folder: &Path, overlay: &str) -> Self {
        Self { folder: folder.to_owned(), overlay: overlay.into() }
    }

    /// The file itself.
    pub fn path(&self) -> PathBuf {
        self.folder.join(format!("watch-{}.json", self.overlay))
    }

    /// What was remembered last: nothing before the first time.
    pub fn read(&self) -> Result<Notes, StoreError> {
        let file = self.path();
        let bytes = match std::fs::read(&file) {
            Ok(bytes) => bytes,
            Err(why) if why.kind() == std::io::ErrorKind::NotFound => return Ok(Notes::default()),
            Err(why) => return Err(io("read", &file)(why)),
        };
        let broken = |why: String| StoreError::Memory { file: file.clone(), why };
        let text = String::from_utf8(bytes).map_err(|_| broken("it is not UTF-8".into()))?;
        Notes::decode(&text).map_err(|why| broken(why.to_string()))
    }

    /// The right to write, unless another watcher has it.
    pub fn claim(&self) -> Result<Option<WatchLock>, StoreError> {
        std::fs::create_dir_all(&self.folder).map_err(io("make", &self.folder))?;
        let path = self.folder.join(format!("watch-{}.lock", self.overlay));
        let lock = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
        let lock = lock.map_err(io("open", &path))?;
        match lock.try_lock() {
            Ok(()) => Ok(Some(WatchLock { file: self.clone(), lock })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(why)) => Err(io("lock", &path)(why)),
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
        let file = self.file.path();
        private::replace(&file, notes.encode().as_bytes()).map_err(io("replace", &file))
    }
}

impl Drop for WatchLock {
    fn drop(&mut self) {
        // Closing is not enough: a child that was forked and has not yet begun its own program has the file open as well.
        self.lock.unlock().ok();
    }
}

#[cfg(test)]
mod tests {
    use super::WatchFile;
    use crate::engine::recovery::watch::{Notes, WatchMemory};
    use crate::store::error::StoreError;

    #[test]
    fn claim_lets_one_write_at_a_time_and_anyone_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = WatchFile::new(&folder.path().join("new"), "eu");
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
        let file = WatchFile::new(folder.path(), "eu");
        for damaged in
            [&b""[..], b"{}", b"\xff", b"{\"version\":1,\"checksum\":\"0\",\"notes\":{}}"]
        {
            std::fs::write(file.path(), damaged).unwrap();
            assert!(matches!(file.read(), Err(StoreError::Memory { .. })), "{damaged:?}");
        }
    }
}

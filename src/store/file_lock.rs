//! The lock of the operating system on an open file, given back when it is dropped.

use std::fs::{File, TryLockError};

use crate::store::backend::HeldLock;

/// Held for as long as this is kept, and no longer.
#[derive(Debug)]
pub struct FileLock(File);

impl FileLock {
    /// Alone; the error where somebody has it, or where the file system knows no locks. Never waits.
    pub fn exclusive(file: File) -> Result<Self, TryLockError> {
        file.try_lock().map(|()| Self(file))
    }

    /// Beside others that share it.
    pub fn shared(file: File) -> Result<Self, TryLockError> {
        file.try_lock_shared().map(|()| Self(file))
    }
}

impl HeldLock for FileLock {}

impl Drop for FileLock {
    fn drop(&mut self) {
        // Closing is not enough: a child that was forked and has not yet begun its own program has the file open as well.
        self.0.unlock().ok();
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::FileLock;

    /// A child that was forked a moment ago has the file open as a duplicate of it has.
    #[test]
    fn drop_gives_a_lock_back_though_the_file_is_open_elsewhere() {
        let folder = tempfile::tempdir().unwrap();
        let open = || File::open(folder.path()).unwrap();
        let file = open();
        let duplicate = file.try_clone().unwrap();
        let held = FileLock::exclusive(file).unwrap();
        assert!(FileLock::shared(open()).is_err(), "it is held");
        drop(held);
        assert!(FileLock::exclusive(open()).is_ok(), "nobody holds it");
        drop(duplicate);
    }
}

//! A store that is a folder: a key is a file, a prefix is a folder, and the operating system holds the locks.

use std::fs::{File, TryLockError};
use std::io::{self, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::store::backend::{
    Appender, Backend, ClaimOutcome, FileBackend, LockAttempt, LockMode, PutCondition, PutOutcome,
    StoredObject,
};
use crate::store::error::{StoreError, io as io_error};
use crate::store::file_lock::FileLock;
use crate::store::files::{claim_file, put_file, tell_file, version_of};
use crate::store::key::{KeyPrefix, StoreKey};
use crate::store::private;
use crate::store::tracked::check_untracked;

/// The state in one folder.
#[derive(Debug, Clone)]
pub struct FolderBackend {
    root: PathBuf,
}

/// A file that is open: it is appended to whatever its name is by now.
#[derive(Debug)]
struct AppendedFile(File);

impl FolderBackend {
    /// The folder need not be there yet.
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }
}

impl Backend for FolderBackend {
    fn read(&self, key: &StoreKey) -> Result<Option<StoredObject>, StoreError> {
        let bytes = self.get(key)?;
        Ok(bytes.map(|bytes| StoredObject { version: version_of(&bytes), bytes }))
    }

    fn get(&self, key: &StoreKey) -> Result<Option<Vec<u8>>, StoreError> {
        let path = self.place(key);
        match std::fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(why) => Err(io_error("read", &path)(why)),
        }
    }

    fn put(
        &self,
        key: &StoreKey,
        bytes: &[u8],
        condition: PutCondition<'_>,
    ) -> Result<PutOutcome, StoreError> {
        put_file(self, key, bytes, condition)
    }

    fn list(&self, prefix: &KeyPrefix) -> Result<Vec<StoreKey>, StoreError> {
        // A name that is no text was not given by us.
        let names = names(&self.place_below(prefix))?.into_iter();
        Ok(names.map(|name| prefix.key(&name)).collect())
    }

    fn delete(&self, key: &StoreKey) -> Result<(), StoreError> {
        let path = self.place(key);
        match std::fs::remove_file(&path) {
            Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed.map_err(io_error("remove", &path)),
        }
    }

    /// Files are read more quickly than threads are started.
    fn is_concurrent(&self) -> bool {
        false
    }

    fn check_trusted(&self) -> Result<(), StoreError> {
        check_untracked(&self.root)
    }

    fn neighbors(&self) -> Result<Vec<String>, StoreError> {
        let Some(states) = self.root.parent() else { return Ok(Vec::new()) };
        let mut found = names(states)?;
        found.retain(|it| states.join(it).is_dir());
        Ok(found)
    }

    fn root(&self) -> &Path {
        &self.root
    }

    fn ensure_prefix(&self, prefix: &KeyPrefix) -> Result<(), StoreError> {
        self.make_prefix(prefix).map_err(io_error("make", &self.place_below(prefix)))
    }

    fn tell(&self, key: &StoreKey, bytes: &[u8]) -> Result<(), StoreError> {
        tell_file(self, key, bytes)
    }

    fn claim(
        &self,
        key: &StoreKey,
        bytes: &dyn Fn(bool) -> Vec<u8>,
    ) -> Result<ClaimOutcome, StoreError> {
        claim_file(self, key, bytes)
    }

    fn lock(&self, key: &StoreKey, mode: LockMode) -> io::Result<LockAttempt> {
        let path = self.place(key);
        let opened = match mode {
            LockMode::Exclusive => private::open_or_create(&path),
            LockMode::Shared => File::open(&path),
        };
        let file = match opened {
            Err(why) if why.kind() == io::ErrorKind::NotFound && mode == LockMode::Shared => {
                return Ok(LockAttempt::Missing);
            }
            opened => opened?,
        };
        let locked = match mode {
            LockMode::Exclusive => FileLock::exclusive(file),
            LockMode::Shared => FileLock::shared(file),
        };
        Ok(match locked {
            Ok(lock) => LockAttempt::Locked(Box::new(lock)),
            Err(TryLockError::WouldBlock) => LockAttempt::Busy,
            Err(TryLockError::Error(why)) => LockAttempt::Unsupported(why),
        })
    }

    fn machine(&self) -> String {
        machine()
    }

    fn files(self: Arc<Self>) -> Option<Arc<dyn FileBackend>> {
        Some(self)
    }
}

impl FileBackend for FolderBackend {
    fn make_prefix(&self, prefix: &KeyPrefix) -> io::Result<()> {
        let folder = self.place_below(prefix);
        let missing: Vec<&Path> = folder.ancestors().take_while(|it| !it.exists()).collect();
        std::fs::create_dir_all(&folder)?;
        // A folder is a name in the one above it.
        missing.into_iter().rev().try_for_each(private::sync_folder_of)
    }

    fn create(&self, key: &StoreKey) -> io::Result<Box<dyn Appender>> {
        let path = self.place(key);
        let file = match private::create_new(&path) {
            Err(why) if why.kind() == io::ErrorKind::AlreadyExists => {
                // What has the name may be a link, or have others: it is not written to.
                std::fs::remove_file(&path)?;
                private::create_new(&path)?
            }
            made => made?,
        };
        Ok(Box::new(AppendedFile(file)))
    }

    fn rename(&self, from: &StoreKey, to: &StoreKey) -> io::Result<()> {
        std::fs::rename(self.place(from), self.place(to))
    }

    fn link(&self, from: &StoreKey, to: &StoreKey) -> io::Result<()> {
        std::fs::hard_link(self.place(from), self.place(to))
    }

    fn sync_names(&self, prefix: &KeyPrefix) -> io::Result<()> {
        File::open(self.place_below(prefix))?.sync_all()
    }
}

impl Appender for AppendedFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    fn position(&mut self) -> io::Result<u64> {
        self.0.stream_position()
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.0.set_len(length)?;
        self.0.seek(io::SeekFrom::Start(length)).map(drop)
    }

    fn sync_data(&mut self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn sync_all(&mut self) -> io::Result<()> {
        self.0.sync_all()
    }
}

/// What this machine is called from its start to its end; empty where nothing tells.
pub fn machine() -> String {
    let named = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok();
    let named = named.or_else(|| {
        let told = std::process::Command::new("uname").arg("-n").output().ok()?;
        String::from_utf8(told.stdout).ok()
    });
    named.map(|it| it.trim().to_owned()).unwrap_or_default()
}

/// What is in a folder, in order; nothing where it is missing.
fn names(folder: &Path) -> Result<Vec<String>, StoreError> {
    let wrong = || io_error("list", folder);
    let entries = match std::fs::read_dir(folder) {
        Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(wrong())?,
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry.map_err(wrong())?.file_name().into_string().ok());
    }
    names.sort();
    Ok(names)
}

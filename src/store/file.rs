//! State in a folder: a snapshot that is replaced whole, a journal that is only appended to, and a lock of the operating system.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use crate::engine::state::codec::{
    CodecError, decode_journal, decode_state, encode_entry, encode_state,
};
use crate::engine::state::journal::{Entry, replay};
use crate::engine::state::record::State;
use crate::store::error::StoreError;

/// Snapshots that are kept beside the present one.
const HISTORY_MAX: usize = 50;

/// How often a reader starts again because a writer just put a new snapshot in place.
const READS_MAX: u32 = 20;

/// Where the state of one stack instance is kept.
#[derive(Debug, Clone)]
pub struct FileStore {
    folder: PathBuf,
}

/// The right to write; who holds one may, and the lock goes with it.
#[derive(Debug)]
pub struct Lease {
    store: FileStore,
    journal: File,
    sequence: u64,
    /// A write failed: what follows would not be whole.
    is_broken: bool,
    pub epoch: u64,
    /// Written before the first entry: who only looks, or is refused, leaves the state and every saved plan as they are.
    opening: Option<Entry>,
    /// Held for the life of the lease.
    _lock: File,
}

fn io(verb: &'static str, file: &Path) -> impl FnOnce(std::io::Error) -> StoreError {
    let file = file.to_owned();
    move |source| StoreError::Io { verb, file, source }
}

fn broken(file: PathBuf) -> impl FnOnce(CodecError) -> StoreError {
    move |source| StoreError::Broken { file, source }
}

impl FileStore {
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn snapshot_file(&self) -> PathBuf {
        self.folder.join("state.snapshot")
    }

    fn journal_file(&self) -> PathBuf {
        self.folder.join("journal")
    }

    fn lock_file(&self) -> PathBuf {
        self.folder.join("lock")
    }

    /// The state as of now; takes no lease. `None` before the first apply.
    pub fn load(&self) -> Result<Option<State>, StoreError> {
        let state = self.read()?.0;
        if let Some(wrong) = state.as_ref().map(State::integrity).filter(|it| !it.is_empty()) {
            return Err(StoreError::Integrity { folder: self.folder.clone(), wrong });
        }
        Ok(state)
    }

    /// The entries since the last snapshot, as text for people.
    pub fn journal(&self) -> Result<Vec<String>, StoreError> {
        let journal = read_if_there(&self.journal_file())?.unwrap_or_default();
        let (entries, _) = decode_journal(&journal).map_err(broken(self.journal_file()))?;
        Ok(entries.iter().map(|(at, entry)| format!("{at}: {entry:?}")).collect())
    }

    /// The state and how many bytes of the journal are whole.
    fn read(&self) -> Result<(Option<State>, usize), StoreError> {
        for _ in 0..READS_MAX {
            let snapshot = read_if_there(&self.snapshot_file())?;
            let journal = read_if_there(&self.journal_file())?.unwrap_or_default();
            let state = match &snapshot {
                None => None,
                Some(bytes) => Some(decode_state(bytes).map_err(broken(self.snapshot_file()))?),
            };
            let (entries, whole) = decode_journal(&journal).map_err(broken(self.journal_file()))?;
            let seen = state.as_ref().map_or(0, |it| it.sequence);
            let new: Vec<_> = entries.into_iter().filter(|(at, _)| *at > seen).collect();
            // Between our two reads a writer may have folded the journal into a newer snapshot.
            if new.first().is_some_and(|(at, _)| *at != seen + 1) {
                continue;
            }
            let state = new.iter().fold(state, |state, (at, entry)| replay(state, *at, entry));
            return Ok((state, whole));
        }
        Err(broken(self.journal_file())(CodecError::Torn))
    }

    /// Takes the right to write, and the state as of that moment.
    pub fn lease(&self, owner: &str, at: i64) -> Result<(Lease, Option<State>), StoreError> {
        std::fs::create_dir_all(&self.folder).map_err(io("make", &self.folder))?;
        let path = self.lock_file();
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(io("open", &path))?;
        if lock.try_lock().is_err() {
            let mut by = String::new();
            lock.read_to_string(&mut by).map_err(io("read", &path))?;
            let by = if by.trim().is_empty() { "another process".into() } else { by.trim().into() };
            return Err(StoreError::Held { folder: self.folder.clone(), by });
        }
        lock.set_len(0).and_then(|()| lock.seek(SeekFrom::Start(0))).map_err(io("write", &path))?;
        lock.write_all(owner.as_bytes()).map_err(io("write", &path))?;
        let (state, whole) = self.read()?;
        if let Some(wrong) = state.as_ref().map(State::integrity).filter(|it| !it.is_empty()) {
            return Err(StoreError::Integrity { folder: self.folder.clone(), wrong });
        }
        let path = self.journal_file();
        let journal = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(io("open", &path))?;
        let whole = u64::try_from(whole).expect("a file's length fits");
        journal.set_len(whole).map_err(io("cut the torn tail of", &path))?;
        let epoch = state.as_ref().map_or(0, |it| it.epoch) + 1;
        let leased = Entry::Leased { epoch, owner: owner.into(), at };
        let mut lease = Lease {
            store: self.clone(),
            journal,
            is_broken: false,
            sequence: state.as_ref().map_or(0, |it| it.sequence),
            epoch,
            opening: state.is_some().then_some(leased),
            _lock: lock,
        };
        lease.journal.seek(SeekFrom::End(0)).map_err(io("open", &path))?;
        Ok((lease, state))
    }
}

impl Lease {
    /// Appends entries; they are durable when this returns. The numbers they got end with the returned one.
    pub fn append(&mut self, entries: &[Entry]) -> Result<u64, StoreError> {
        let mut text = String::new();
        let mut sequence = self.sequence;
        let opening = self.opening.take();
        for entry in opening.iter().chain(entries) {
            sequence += 1;
            text.push_str(&encode_entry(sequence, entry));
        }
        let path = self.store.journal_file();
        if self.is_broken {
            let why = std::io::Error::other("an earlier write failed");
            return Err(io("append to", &path)(why));
        }
        let whole = self.journal.stream_position().map_err(io("append to", &path))?;
        let written =
            self.journal.write_all(text.as_bytes()).and_then(|()| self.journal.sync_data());
        if let Err(why) = written {
            // Nothing may stand behind half a line: cut it off, and write no more.
            self.is_broken = true;
            self.journal.set_len(whole).ok();
            return Err(io("append to", &path)(why));
        }
        self.sequence = sequence;
        Ok(sequence)
    }

    /// Folds the journal into a new snapshot. The old journal and snapshot move to `history/`.
    pub fn save(&mut self, state: &State) -> Result<(), StoreError> {
        let mut state = state.clone();
        state.sequence = self.sequence;
        state.touched = self.sequence;
        state.epoch = self.epoch;
        let bytes = encode_state(&state);
        let read_back = decode_state(&bytes).map_err(broken(self.store.snapshot_file()))?;
        assert_eq!(read_back, state, "what is written is what is read");
        let new = self.store.folder.join("state.snapshot.new");
        let mut file = File::create(&new).map_err(io("write", &new))?;
        file.write_all(&bytes).and_then(|()| file.sync_all()).map_err(io("write", &new))?;
        let history = self.store.folder.join("history");
        std::fs::create_dir_all(&history).map_err(io("make", &history))?;
        let snapshot = self.store.snapshot_file();
        if snapshot.exists() {
            let kept = history.join(format!("{:08}.snapshot", state.serial.saturating_sub(1)));
            std::fs::hard_link(&snapshot, &kept)
                .or_else(exists_is_fine)
                .map_err(io("link", &kept))?;
        }
        std::fs::rename(&new, &snapshot).map_err(io("replace", &snapshot))?;
        sync_folder(&self.store.folder)?;
        let journal = self.store.journal_file();
        let kept = history.join(format!("{:08}.journal", state.serial));
        std::fs::rename(&journal, &kept).map_err(io("move", &journal))?;
        self.journal = File::create(&journal).map_err(io("write", &journal))?;
        sync_folder(&self.store.folder)?;
        prune(&history)
    }
}

fn exists_is_fine(why: std::io::Error) -> std::io::Result<()> {
    if why.kind() == std::io::ErrorKind::AlreadyExists { Ok(()) } else { Err(why) }
}

fn read_if_there(file: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    match std::fs::read(file) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(why) if why.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(why) => Err(io("read", file)(why)),
    }
}

fn sync_folder(folder: &Path) -> Result<(), StoreError> {
    File::open(folder).and_then(|it| it.sync_all()).map_err(io("sync", folder))
}

/// Keeps the newest snapshots and journals only.
fn prune(history: &Path) -> Result<(), StoreError> {
    let entries = std::fs::read_dir(history).map_err(io("list", history))?;
    let mut files: Vec<PathBuf> = entries.filter_map(|it| it.ok().map(|it| it.path())).collect();
    files.sort();
    let surplus = files.len().saturating_sub(2 * HISTORY_MAX);
    for file in &files[..surplus] {
        std::fs::remove_file(file).map_err(io("remove", file))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::FileStore;
    use crate::engine::state::journal::{Entry, fold, replay};
    use crate::engine::value::LineageKey;
    use crate::store::error::StoreError;

    fn founded() -> Entry {
        Entry::Founded {
            stack: "shop".into(),
            instance: None,
            target: "sandbox".into(),
            lineage: "l".into(),
            key: LineageKey(vec![1, 2]),
            overlays: vec!["eu".into()],
        }
    }

    #[test]
    fn a_second_writer_is_told_who_holds_it() {
        let folder = tempfile::tempdir().unwrap();
        let store = FileStore::new(folder.path());
        let (_lease, _) = store.lease("ann on laptop", 0).unwrap();
        match store.lease("bob", 0) {
            Err(StoreError::Held { by, .. }) => assert_eq!(by, "ann on laptop"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_torn_tail_is_cut_and_the_last_acknowledged_entry_survives() {
        let folder = tempfile::tempdir().unwrap();
        let store = FileStore::new(folder.path());
        let (mut lease, _) = store.lease("a", 0).unwrap();
        lease.append(&[founded()]).unwrap();
        lease.append(&[Entry::Bound { cloud: "linode".into(), account: "x".into() }]).unwrap();
        drop(lease);
        let journal = folder.path().join("journal");
        let mut file = std::fs::OpenOptions::new().append(true).open(&journal).unwrap();
        file.write_all(b"12345678 {\"version\":1,\"seq").unwrap();
        assert_eq!(store.load().unwrap().unwrap().bound["linode"], "x");
        let (mut lease, state) = store.lease("b", 0).unwrap();
        assert_eq!(state.unwrap().bound["linode"], "x");
        lease.append(&[Entry::Bound { cloud: "aws".into(), account: "y".into() }]).unwrap();
        assert_eq!(store.load().unwrap().unwrap().bound["aws"], "y");
    }

    #[test]
    fn a_snapshot_and_the_journal_behind_it_give_the_same_state() {
        let folder = tempfile::tempdir().unwrap();
        let store = FileStore::new(folder.path());
        let (mut lease, _) = store.lease("a", 0).unwrap();
        lease.append(&[founded()]).unwrap();
        let mut state = replay(None, 1, &founded()).unwrap();
        lease.save(&state).unwrap();
        let bound = Entry::Bound { cloud: "aws".into(), account: "y".into() };
        lease.append(std::slice::from_ref(&bound)).unwrap();
        fold(&mut state, &bound);
        let read = store.load().unwrap().unwrap();
        assert_eq!((read.bound, read.home), (state.bound, vec!["eu".to_owned()]));
    }

    #[test]
    fn damage_in_the_middle_and_newer_versions_are_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let store = FileStore::new(folder.path());
        let (mut lease, _) = store.lease("a", 0).unwrap();
        lease.append(&[founded()]).unwrap();
        lease.append(&[Entry::Bound { cloud: "aws".into(), account: "y".into() }]).unwrap();
        drop(lease);
        let journal = folder.path().join("journal");
        let text = std::fs::read_to_string(&journal).unwrap();
        let damaged = text.replacen("shop", "shoq", 1);
        std::fs::write(&journal, &damaged).unwrap();
        assert!(matches!(store.load(), Err(StoreError::Broken { .. })));
        assert_eq!(std::fs::read_to_string(&journal).unwrap(), damaged);
    }
}

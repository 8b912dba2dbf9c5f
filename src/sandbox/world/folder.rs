//! The world on disk: a snapshot and a log of changed rows, shared by processes through one exclusive lock.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Table, key and row; `None` means that the row is gone.
pub type RowChange = (String, String, Option<Value>);

/// A log that is longer than this, in bytes, is folded into a new snapshot. A guess: every process reads it when it starts.
const LONG: u64 = 4 * 1024 * 1024;

/// Why the folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    #[error("the sandbox in {path} cannot be {what}")]
    Io { what: &'static str, path: PathBuf, source: io::Error },
    #[error(
        "this version cannot read the sandbox in {path}: {why}; `lifeboat sandbox reset` deletes everything and starts over"
    )]
    Unreadable { path: PathBuf, why: String },
}

#[derive(Serialize, Deserialize)]
struct Snapshot {
    generation: u64,
    rows: Vec<RowChange>,
}

/// What happened since this process looked last.
#[derive(Debug, Default)]
pub struct FolderNews {
    /// Forget everything first: there is a new snapshot.
    pub reload: bool,
    pub changes: Vec<RowChange>,
}

/// The folder and how far this process has read it.
#[derive(Debug)]
pub struct WorldFolder {
    path: PathBuf,
    lock: Arc<File>,
    log: File,
    /// End of the last whole line that was read or written.
    cursor: u64,
    generation: u64,
    snapshot: Option<(SystemTime, u64)>,
}

/// The right to read and write the folder until dropped, also when the holder panics.
#[derive(Debug)]
pub struct HeldFolder(Arc<File>);

impl Drop for HeldFolder {
    fn drop(&mut self) {
        // Nothing can be done about a failure; the lock ends with the process at the latest.
        self.0.unlock().ok();
    }
}

/// The first line of the log; always of the same length, so that it can be read and replaced in place.
fn header(generation: u64) -> String {
    format!("{{\"generation\":{generation:>12}}}\n")
}

impl WorldFolder {
    /// Opens or makes the folder; nothing is read yet.
    pub fn open(path: &Path) -> Result<Self, FolderError> {
        let failed = |what| move |source| FolderError::Io { what, path: path.to_owned(), source };
        fs::create_dir_all(path).map_err(failed("created"))?;
        let open = |name: &str| {
            OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(path.join(name))
        };
        let lock = Arc::new(open("world.lock").map_err(failed("opened"))?);
        let log = open("world.log").map_err(failed("opened"))?;
        // Generation 0 is nobody's, so the first look always loads.
        Ok(Self { path: path.to_owned(), lock, log, cursor: 0, generation: 0, snapshot: None })
    }

    /// Waits until no other process holds the world.
    pub fn hold(&self) -> Result<HeldFolder, FolderError> {
        self.lock.lock().map_err(|source| self.failed("locked", source))?;
        Ok(HeldFolder(Arc::clone(&self.lock)))
    }

    fn failed(&self, what: &'static str, source: io::Error) -> FolderError {
        FolderError::Io { what, path: self.path.clone(), source }
    }

    /// Reads what others wrote. Call only while holding.
    pub fn news(&mut self) -> Result<FolderNews, FolderError> {
        self.read_news().map_err(|error| match error {
            ReadError::Io(source) => self.failed("read", source),
            ReadError::Unreadable(why) => FolderError::Unreadable { path: self.path.clone(), why },
        })
    }

    fn read_news(&mut self) -> Result<FolderNews, ReadError> {
        let stamp = fs::metadata(self.path.join("world.json"))
            .ok()
            .map(|it| (it.modified().unwrap_or(SystemTime::UNIX_EPOCH), it.len()));
        let length = self.log.metadata()?.len();
        if self.generation != 0
            && stamp == self.snapshot
            && self.log_generation()? == self.generation
        {
            if length == self.cursor {
                return Ok(FolderNews::default());
            }
            return Ok(FolderNews { reload: false, changes: self.read_tail(length)? });
        }
        let mut changes = self.load_snapshot()?;
        self.snapshot = stamp;
        let of_the_log = self.log_generation()?;
        if of_the_log == 0 && length >= header(0).len() as u64 {
            // A log always begins with its generation; no crash of ours leaves another beginning of this length.
            return Err(ReadError::Unreadable("its log has no valid first line".into()));
        }
        if of_the_log == 0 && self.started() == self.generation {
            return Err(ReadError::Unreadable("its log is empty".into()));
        }
        if of_the_log > self.generation {
            return Err(ReadError::Unreadable("its snapshot is older than its log".into()));
        }
        if of_the_log == self.generation {
            self.cursor = header(0).len() as u64;
            changes.extend(self.read_tail(length)?);
        } else {
            // A crash between the new snapshot and the new log: the old log is already in the snapshot.
            self.start_log()?;
        }
        Ok(FolderNews { reload: true, changes })
    }

    fn load_snapshot(&mut self) -> Result<Vec<RowChange>, ReadError> {
        let path = self.path.join("world.json");
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.generation = 1;
                return Ok(Vec::new());
            }
            Err(error) => return Err(error.into()),
        };
        let snapshot: Snapshot = serde_json::from_slice(&bytes)
            .map_err(|error| ReadError::Unreadable(error.to_string()))?;
        self.generation = snapshot.generation;
        Ok(snapshot.rows)
    }

    /// The generation that the log belongs to; 0 when it has none.
    fn log_generation(&mut self) -> io::Result<u64> {
        let mut bytes = vec![0; header(0).len()];
        self.log.seek(SeekFrom::Start(0))?;
        match self.log.read_exact(&mut bytes) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(0),
            Err(error) => return Err(error),
        }
        let value: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        Ok(value["generation"].as_u64().unwrap_or(0))
    }

    fn start_log(&mut self) -> io::Result<()> {
        self.log.set_len(0)?;
        self.log.seek(SeekFrom::Start(0))?;
        let line = header(self.generation);
        self.log.write_all(line.as_bytes())?;
        self.cursor = line.len() as u64;
        // From now on an empty log of this generation is a damaged one.
        let mut lock = &*self.lock;
        lock.seek(SeekFrom::Start(0))?;
        lock.write_all(line.as_bytes())
    }

    /// The generation whose log was begun last; 0 when nobody wrote that down.
    fn started(&self) -> u64 {
        let mut lock = &*self.lock;
        let mut text = String::new();
        let read = lock.seek(SeekFrom::Start(0)).and_then(|_| lock.read_to_string(&mut text));
        let value: Value =
            read.ok().and_then(|_| serde_json::from_str(&text).ok()).unwrap_or_default();
        value["generation"].as_u64().unwrap_or(0)
    }

    /// Reads whole lines up to `length`; a torn last one is left for the next writer to overwrite.
    fn read_tail(&mut self, length: u64) -> Result<Vec<RowChange>, ReadError> {
        let mut bytes = Vec::new();
        self.log.seek(SeekFrom::Start(self.cursor))?;
        (&self.log).take(length.saturating_sub(self.cursor)).read_to_end(&mut bytes)?;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let mut changes = Vec::new();
        for line in bytes[..whole].split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let of_one_request: Vec<RowChange> = serde_json::from_slice(line)
                .map_err(|error| ReadError::Unreadable(error.to_string()))?;
            changes.extend(of_one_request);
        }
        // What a process that was killed began to write is text; anything else was put there by a broken disk.
        if bytes[whole..].contains(&0) {
            return Err(ReadError::Unreadable("its log ends in zeros".into()));
        }
        self.cursor += whole as u64;
        Ok(changes)
    }

    /// Appends what one request changed. Call only while holding, after [`Self::news`].
    pub fn append(&mut self, changes: &[RowChange]) -> Result<(), FolderError> {
        let mut line = serde_json::to_vec(changes).expect("rows are plain data and serialize");
        line.push(b'\n');
        self.write_line(&line).map_err(|source| {
            // What was not written must not be believed: the next look loads everything again.
            self.distrust();
            self.failed("written", source)
        })
    }

    fn write_line(&mut self, line: &[u8]) -> io::Result<()> {
        if self.log.metadata()?.len() > self.cursor {
            self.log.set_len(self.cursor)?;
        }
        self.log.seek(SeekFrom::Start(self.cursor))?;
        self.log.write_all(line)?;
        self.cursor += line.len() as u64;
        Ok(())
    }

    /// Forgets how far this process has read, because what it made of it cannot be believed.
    pub fn distrust(&mut self) {
        self.generation = 0;
    }

    pub fn is_long(&self) -> bool {
        self.cursor > LONG
    }

    /// Replaces snapshot and log by these rows; other processes notice by the generation.
    pub fn compact(&mut self, rows: Vec<RowChange>) -> Result<(), FolderError> {
        self.write_snapshot(rows).map_err(|source| self.failed("written", source))
    }

    fn write_snapshot(&mut self, rows: Vec<RowChange>) -> io::Result<()> {
        let (path, new) = (self.path.join("world.json"), self.path.join("world.json.new"));
        let generation = self.generation + 1;
        let mut writer = BufWriter::new(File::create(&new)?);
        serde_json::to_writer(&mut writer, &Snapshot { generation, rows })?;
        writer.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        fs::rename(&new, &path)?;
        self.generation = generation;
        self.snapshot = fs::metadata(&path)
            .ok()
            .map(|it| (it.modified().unwrap_or(SystemTime::UNIX_EPOCH), it.len()));
        self.start_log()
    }

    /// Starts over without reading rows, also when nobody can read them.
    pub fn wipe(&mut self) -> Result<(), FolderError> {
        let _held = self.hold()?;
        // Whatever generation others are at, the next one tells them.
        self.load_snapshot().ok();
        let last = self.log_generation().map_err(|source| self.failed("read", source))?;
        self.generation = self.generation.max(last);
        self.compact(Vec::new())?;
        match fs::remove_dir_all(self.items()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(self.failed("emptied", error))
            }
            _ => Ok(()),
        }
    }

    /// Where items of tables are kept beside the world.
    pub fn items(&self) -> PathBuf {
        self.path.join("items")
    }
}

#[derive(Debug)]
enum ReadError {
    Io(io::Error),
    Unreadable(String),
}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use serde_json::json;

    use super::{RowChange, WorldFolder};

    fn change(key: &str) -> RowChange {
        ("t".into(), key.into(), Some(json!({ "name": key })))
    }

    fn keys(folder: &mut WorldFolder) -> (bool, Vec<String>) {
        let _held = folder.hold().unwrap();
        let news = folder.news().unwrap();
        (news.reload, news.changes.into_iter().map(|(_, key, _)| key).collect())
    }

    fn write(folder: &mut WorldFolder, key: &str) {
        let _held = folder.hold().unwrap();
        folder.news().unwrap();
        folder.append(&[change(key)]).unwrap();
    }

    #[test]
    fn news_tells_what_the_other_wrote_once() {
        let place = tempfile::tempdir().unwrap();
        let mut one = WorldFolder::open(place.path()).unwrap();
        let mut two = WorldFolder::open(place.path()).unwrap();
        assert_eq!(keys(&mut one), (true, vec![]));
        write(&mut one, "a");
        assert_eq!(keys(&mut two), (true, vec!["a".into()]));
        write(&mut two, "b");
        assert_eq!(keys(&mut one), (false, vec!["b".into()]));
        assert_eq!(keys(&mut one), (false, vec![]));
    }

    #[test]
    fn append_overwrites_a_torn_last_line() {
        let place = tempfile::tempdir().unwrap();
        let mut one = WorldFolder::open(place.path()).unwrap();
        keys(&mut one);
        write(&mut one, "a");
        let log = place.path().join("world.log");
        let mut file = fs::OpenOptions::new().append(true).open(&log).unwrap();
        file.write_all(b"[[\"t\",\"torn\",{\"na").unwrap();
        let mut two = WorldFolder::open(place.path()).unwrap();
        assert_eq!(keys(&mut two).1, ["a"]);
        write(&mut two, "b");
        assert_eq!(keys(&mut one).1, ["b"]);
        assert!(!fs::read_to_string(&log).unwrap().contains("torn"));
    }

    #[test]
    fn news_refuses_what_is_no_log() {
        let place = tempfile::tempdir().unwrap();
        let mut one = WorldFolder::open(place.path()).unwrap();
        keys(&mut one);
        write(&mut one, "a");
        let log = place.path().join("world.log");
        let whole = fs::read(&log).unwrap();
        let told = |bytes: &[u8]| {
            fs::write(&log, bytes).unwrap();
            let mut other = WorldFolder::open(place.path()).unwrap();
            let _held = other.hold().unwrap();
            other.news().unwrap_err().to_string()
        };
        assert!(told(&vec![0; whole.len()]).contains("has no valid first line"));
        assert!(told(b"").contains("its log is empty"));
        let half = [&whole[..whole.len() - 9], &[0; 9]].concat();
        assert!(told(&half).contains("ends in zeros"));
        let newer =
            String::from_utf8(whole.clone()).unwrap().replacen("           1}", "           2}", 1);
        assert!(told(newer.as_bytes()).contains("older than its log"));
        fs::write(&log, &whole).unwrap();
        assert_eq!(keys(&mut WorldFolder::open(place.path()).unwrap()).1, ["a"]);
    }

    #[test]
    fn compact_is_noticed_and_survives_a_crash_before_the_new_log() {
        let place = tempfile::tempdir().unwrap();
        let mut one = WorldFolder::open(place.path()).unwrap();
        let mut two = WorldFolder::open(place.path()).unwrap();
        keys(&mut one);
        write(&mut one, "a");
        keys(&mut two);
        let old_log = fs::read(place.path().join("world.log")).unwrap();
        one.compact(vec![change("a"), change("folded")]).unwrap();
        fs::write(place.path().join("world.log"), old_log).unwrap();
        assert_eq!(keys(&mut two), (true, vec!["a".into(), "folded".into()]));
        write(&mut two, "c");
        assert_eq!(keys(&mut one).1, ["c"]);
    }
}

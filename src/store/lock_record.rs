//! Who may write: for each epoch one claim in `lease/`, whole and locked before it gets its name, and beside it its heartbeat and its stop flag.
//!
//! An epoch is claimed by giving a file its name, which fails if the name is taken: of any number who try, one has it. The
//! newest claim is never removed, so epochs only grow. The lock of the operating system lies on the claim itself and goes
//! with its process. It says at once, on one machine, that the holder of *this* epoch is gone; a holder that is stopped or
//! hangs keeps its lock, and a newer claim takes over regardless.

use std::fs::{File, TryLockError};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::store::error::{StoreError, io};
use crate::store::private;

/// How often a reader starts over because a file that it had listed was swept a moment later. Every sweep follows a new
/// lease, so 20 in a row means that the folder keeps changing by other hands.
const READS_MAX: u32 = 20;

/// What stands in a claim; it never changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockRecord {
    /// Told by the file's name.
    #[serde(skip)]
    pub epoch: u64,
    pub owner: String,
    pub command: String,
    /// As far as locks of the operating system reach for certain.
    pub machine: String,
    /// The file system has locks.
    #[serde(rename = "locked")]
    pub is_locked: bool,
    /// It is a switch: given up to another switch only.
    #[serde(rename = "firm")]
    pub is_firm: bool,
    /// Where a switch goes; older claims do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aim: Option<SwitchIntent>,
    /// On the wall, in milliseconds since the Unix epoch.
    pub since: i64,
}

impl LockRecord {
    /// `ann@laptop, process 12 (lifeboat apply shop)`
    pub fn holder(&self) -> String {
        words(&self.owner, &self.command)
    }

    /// What a crash of the machine left behind: only its lock can tell whether someone holds it.
    fn unreadable() -> Self {
        Self {
            epoch: 0,
            owner: "another process".into(),
            command: String::new(),
            machine: machine(),
            is_locked: true,
            is_firm: false,
            aim: None,
            since: 0,
        }
    }
}

/// Where a switch goes, and when it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SwitchIntent {
    /// The overlays that it makes active.
    pub to: Vec<String>,
    /// The fault domains that it assumes lost.
    #[serde(default)]
    pub lost: Vec<String>,
    /// Somebody is asked before it begins.
    #[serde(default)]
    pub asks: bool,
    /// On the wall, in milliseconds since the Unix epoch: of two switches the later one is meant.
    pub since: i64,
}

/// A sign of life, replaced at every heartbeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// On the wall, in milliseconds since the Unix epoch.
    pub at: i64,
    /// The last one: the lease was given back.
    #[serde(rename = "released")]
    pub is_released: bool,
    /// The number of the last entry that is durable; older heartbeats do not say.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub sequence: u64,
    /// The serial of the snapshot below it, likewise.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub serial: u64,
}

impl Heartbeat {
    /// Of a holder of whom nothing else is known.
    pub fn plain(at: i64, is_released: bool) -> Self {
        Self { at, is_released, sequence: 0, serial: 0 }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_zero(it: &u64) -> bool {
    *it == 0
}

/// A request to stop: who made it, and when, in milliseconds since the Unix epoch on the wall.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopRequest {
    pub owner: String,
    pub command: String,
    pub at: i64,
}

impl StopRequest {
    /// Who made it, in words for people.
    pub fn by(&self) -> String {
        words(&self.owner, &self.command)
    }
}

fn words(owner: &str, command: &str) -> String {
    if command.is_empty() { owner.into() } else { format!("{owner} (lifeboat {command})") }
}

/// Milliseconds since the Unix epoch, on the wall: heartbeats are never on the sandbox's clock.
pub fn wall() -> i64 {
    jiff::Timestamp::now().as_millisecond()
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

/// What a file in the folder is to its epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RecordPart {
    Claim,
    Stop,
    /// A heartbeat, or a file that has not got its name yet.
    Other,
}

/// One look at an epoch's standing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LockView {
    /// The newest epoch that anybody has claimed.
    pub newest: Option<u64>,
    /// Somebody has asked the holder to stop.
    pub is_asked: bool,
}

/// The claims on one state.
#[derive(Debug, Clone)]
pub struct LockRecords {
    folder: PathBuf,
}

impl LockRecords {
    /// Those on the state in this folder.
    pub fn of(state: &Path) -> Self {
        Self { folder: state.join("lease") }
    }

    pub(super) fn file(&self, epoch: u64, what: &str) -> PathBuf {
        self.folder.join(format!("{epoch:08}.{what}"))
    }

    fn list(&self) -> Result<Vec<(u64, RecordPart, PathBuf)>, StoreError> {
        let entries = match std::fs::read_dir(&self.folder) {
            Err(why) if why.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(io("list", &self.folder))?,
        };
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry.map_err(io("list", &self.folder))?;
            let name = entry.file_name();
            let Some((epoch, what)) = name.to_str().and_then(|it| it.split_once('.')) else {
                continue;
            };
            let Ok(epoch) = epoch.parse() else { continue };
            let part = match what {
                "claim" => RecordPart::Claim,
                "stop" => RecordPart::Stop,
                _ => RecordPart::Other,
            };
            found.push((epoch, part, entry.path()));
        }
        Ok(found)
    }

    /// Whether an epoch is still the newest and is wanted by nobody else: one listing of a small folder.
    pub fn look(&self, epoch: u64) -> Result<LockView, StoreError> {
        let found = self.list()?;
        let claims = found.iter().filter(|(_, part, _)| *part == RecordPart::Claim);
        Ok(LockView {
            newest: claims.map(|(epoch, _, _)| *epoch).max(),
            is_asked: found.iter().any(|(it, part, _)| *it == epoch && *part == RecordPart::Stop),
        })
    }

    /// The newest claim.
    pub fn newest(&self) -> Result<Option<LockRecord>, StoreError> {
        for _ in 0..READS_MAX {
            let Some(epoch) = self.look(0)?.newest else { return Ok(None) };
            let claim = match std::fs::read(self.file(epoch, "claim")) {
                // Swept a moment ago, because there is a newer one.
                Err(why) if why.kind() == std::io::ErrorKind::NotFound => continue,
                read => read.map_err(io("read", &self.file(epoch, "claim")))?,
            };
            let claim = serde_json::from_slice(&claim).unwrap_or_else(|_| LockRecord::unreadable());
            return Ok(Some(LockRecord { epoch, ..claim }));
        }
        let gone = std::io::Error::other("it kept changing while it was read; retry");
        Err(io("read", &self.folder)(gone))
    }

    /// Claims an epoch and holds its lock; `None` if another was quicker.
    pub fn take(&self, mut claim: LockRecord) -> Result<Option<File>, StoreError> {
        std::fs::create_dir_all(&self.folder).map_err(io("make", &self.folder))?;
        let path = self.file(claim.epoch, "claim");
        let new = self.unnamed(claim.epoch, "claim");
        let mut file = private::create_new(&new).map_err(io("write", &new))?;
        claim.is_locked = file.try_lock().is_ok();
        let text = serde_json::to_vec(&claim).expect("a claim is plain data");
        let linked = file.write_all(&text).and_then(|()| std::fs::hard_link(&new, &path));
        std::fs::remove_file(&new).ok();
        use std::io::ErrorKind::{AlreadyExists, NotFound};
        match linked {
            // Not found: a newer holder has swept it away.
            Err(why) if matches!(why.kind(), AlreadyExists | NotFound) => return Ok(None),
            linked => linked.map_err(io("write", &path))?,
        }
        // Who was asleep since it looked may have got an epoch that is long over.
        if self.look(claim.epoch)?.newest != Some(claim.epoch) {
            std::fs::remove_file(&path).ok();
            return Ok(None);
        }
        Ok(Some(file))
    }

    /// Whether somebody still acts under this claim, as far as can be told without asking.
    ///
    /// A heartbeat counts where locks do not: from another machine, or on a file system without them. Such machines' clocks
    /// are taken to agree within half a lease.
    pub fn is_alive(&self, claim: &LockRecord, lease: Duration) -> Result<bool, StoreError> {
        let beat = self.last_beat(claim)?;
        if beat.is_released {
            return Ok(false);
        }
        let path = self.file(claim.epoch, "claim");
        let file = match File::open(&path) {
            Err(why) if why.kind() == std::io::ErrorKind::NotFound => return Ok(false),
            file => file.map_err(io("open", &path))?,
        };
        let is_fresh = u128::from((wall() - beat.at).unsigned_abs()) < lease.as_millis();
        // Shared, so that two who look do not take each other for the holder.
        Ok(match file.try_lock_shared() {
            Err(TryLockError::WouldBlock) => true,
            Err(TryLockError::Error(_)) => is_fresh,
            Ok(()) => {
                let ours = !claim.machine.is_empty() && claim.machine == machine();
                is_fresh && !(ours && claim.is_locked)
            }
        })
    }

    /// Writes a heartbeat; the file is replaced as a whole.
    pub fn beat(&self, epoch: u64, beat: Heartbeat) -> Result<(), StoreError> {
        let text = serde_json::to_vec(&beat).expect("a heartbeat is plain data");
        self.put(epoch, "beat", &text)
    }

    /// The last sign of life; the claim itself is the first.
    pub fn last_beat(&self, claim: &LockRecord) -> Result<Heartbeat, StoreError> {
        let beat = self.read(claim.epoch, "beat")?;
        Ok(beat.unwrap_or(Heartbeat::plain(claim.since, false)))
    }

    /// The heartbeat, of whatever epoch, that knows of the most entries.
    pub fn told(&self) -> Result<Option<(Heartbeat, PathBuf)>, StoreError> {
        let files = self.list()?.into_iter().filter(|(_, part, _)| *part == RecordPart::Other);
        let beats = files.filter_map(|(_, _, file)| {
            let beat: Heartbeat = serde_json::from_slice(&std::fs::read(&file).ok()?).ok()?;
            (file.extension().is_some_and(|it| it == "beat")).then_some((beat, file))
        });
        Ok(beats.max_by_key(|(beat, _)| beat.sequence))
    }

    /// Sets the stop flag of an epoch.
    pub fn ask(&self, epoch: u64, stop: &StopRequest) -> Result<(), StoreError> {
        let text = serde_json::to_vec(stop).expect("a stop flag is plain data");
        self.put(epoch, "stop", &text)
    }

    /// Who wants this epoch to end.
    pub fn asked(&self, epoch: u64) -> Result<Option<StopRequest>, StoreError> {
        self.read(epoch, "stop")
    }

    /// Removes what belongs to epochs before this one.
    pub fn sweep(&self, epoch: u64) -> Result<(), StoreError> {
        for (it, _, path) in self.list()? {
            if it < epoch {
                remove(&path)?;
            }
        }
        Ok(())
    }

    /// A name that nobody else uses, for a file on its way to its own.
    fn unnamed(&self, epoch: u64, what: &str) -> PathBuf {
        self.file(epoch, &format!("{what}.{}.new", uuid::Uuid::new_v4()))
    }

    fn put(&self, epoch: u64, what: &str, text: &[u8]) -> Result<(), StoreError> {
        let new = self.unnamed(epoch, what);
        let path = self.file(epoch, what);
        let written = private::create_new(&new)
            .and_then(|mut file| file.write_all(text))
            .and_then(|()| std::fs::rename(&new, &path));
        if written.is_err() {
            std::fs::remove_file(&new).ok();
        }
        match written {
            // Swept: the epoch is over, and nobody will read it.
            Err(why) if why.kind() == std::io::ErrorKind::NotFound => Ok(()),
            written => written.map_err(io("write", &path)),
        }
    }

    fn read<T: for<'a> Deserialize<'a>>(
        &self,
        epoch: u64,
        what: &str,
    ) -> Result<Option<T>, StoreError> {
        let path = self.file(epoch, what);
        match std::fs::read(&path) {
            Err(why) if why.kind() == std::io::ErrorKind::NotFound => Ok(None),
            read => Ok(serde_json::from_slice(&read.map_err(io("read", &path))?).ok()),
        }
    }
}

/// Removes a file that may be gone already.
pub fn remove(path: &Path) -> Result<(), StoreError> {
    match std::fs::remove_file(path) {
        Err(why) if why.kind() == std::io::ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(io("remove", path)),
    }
}

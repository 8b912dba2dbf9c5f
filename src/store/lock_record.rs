//! Who may write: for each epoch one claim in `lease/`, whole and locked before it gets its name, and beside it its heartbeat and its stop flag.
//!
//! An epoch is claimed by giving a file its name, which fails if the name is taken: of any number who try, one has it. The
//! newest claim is never removed, so epochs only grow. The lock of the operating system lies on the claim itself and goes
//! with its process. It says at once, on one machine, that the holder of *this* epoch is gone; a holder that is stopped or
//! hangs keeps its lock, and a newer claim takes over regardless.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::store::backend::{Backend, ClaimOutcome, HeldLock, LockAttempt, LockMode};
use crate::store::error::{StoreError, io as io_error};
use crate::store::key::{LEASE, NUMBER_MAX, StoreKey};

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
    /// As far as locks reach for certain: [`Backend::machine`].
    pub machine: String,
    /// The store has locks.
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
    fn unreadable(machine: String) -> Self {
        Self {
            epoch: 0,
            owner: "another process".into(),
            command: String::new(),
            machine,
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

/// What a record is to its epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RecordPart {
    Claim,
    Stop,
    Beat,
    /// What has not got its name yet.
    Draft,
}

/// One look at an epoch's standing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LockView {
    /// The newest epoch that anybody has claimed.
    pub newest: Option<u64>,
    /// Somebody has asked the holder to stop.
    pub is_asked: bool,
}

/// Whether a holder lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HolderStanding {
    /// A lock says so.
    Alive,
    /// It gave the lease back, or a lock says that its process is gone.
    Gone,
    /// It is on another machine, or the store has no locks: only its heartbeats tell, and they have to be watched.
    Untold(Heartbeat),
}

/// The heartbeats of a holder as they are watched: it lives as long as they change. Their times are of another machine's clock,
/// so they are compared with each other and with nothing else.
#[derive(Debug, Clone, Default)]
pub struct HeartbeatWatch {
    seen: Option<(u64, Heartbeat, Duration)>,
}

impl HeartbeatWatch {
    /// How long the heartbeat of this epoch has been the same by now, on the clock of who watches; `None` if it is not the one
    /// that was seen last, and one was.
    pub fn unchanged_for(
        &mut self,
        epoch: u64,
        beat: Heartbeat,
        now: Duration,
    ) -> Option<Duration> {
        match self.seen {
            Some((same, last, since)) if same == epoch && last == beat => {
                Some(now.saturating_sub(since))
            }
            Some((same, ..)) if same == epoch => {
                self.seen = Some((epoch, beat, now));
                None
            }
            Some(_) | None => {
                self.seen = Some((epoch, beat, now));
                Some(Duration::ZERO)
            }
        }
    }
}

/// The claims on one state.
#[derive(Debug, Clone)]
pub struct LockRecords {
    backend: Arc<dyn Backend>,
}

/// An epoch that is held, until this is dropped or its process ends; a store without locks has none to give.
#[derive(Debug)]
pub struct HeldEpoch {
    _lock: Option<Box<dyn HeldLock>>,
}

impl LockRecords {
    /// Those on the state in this store.
    pub fn of(backend: Arc<dyn Backend>) -> Self {
        Self { backend }
    }

    /// Nobody acts under it any more.
    pub(super) fn end_epoch(&self) {
        self.backend.end_epoch();
    }

    /// The claim on an epoch, as messages name it.
    pub(super) fn claim_place(&self, epoch: u64) -> PathBuf {
        self.backend.place(&record_key(epoch, "claim"))
    }

    fn list(&self) -> Result<Vec<(u64, RecordPart, StoreKey)>, StoreError> {
        let records = self.backend.list(&LEASE)?.into_iter().filter_map(|key| {
            let (epoch, what) = key.name().split_once('.')?;
            let part = match what {
                "claim" => RecordPart::Claim,
                "stop" => RecordPart::Stop,
                "beat" => RecordPart::Beat,
                _ => RecordPart::Draft,
            };
            Some((epoch.parse().ok()?, part, key))
        });
        Ok(records.collect())
    }

    /// Whether an epoch is still the newest and is wanted by nobody else: one listing of a few records.
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
        Ok(self.newest_holder()?.map(|(claim, _)| claim))
    }

    /// The newest claim, and the last sign of life of whoever made it; the claim itself is the first.
    pub fn newest_holder(&self) -> Result<Option<(LockRecord, Heartbeat)>, StoreError> {
        for _ in 0..READS_MAX {
            let Some(epoch) = self.look(0)?.newest else { return Ok(None) };
            let keys = ["claim", "beat"].map(|it| record_key(epoch, it));
            let mut read = self.backend.get_all(&keys)?.into_iter();
            let (claim, beat) = (read.next().flatten(), read.next().flatten());
            // Swept a moment ago, because there is a newer one.
            let Some(claim) = claim else { continue };
            let claim = serde_json::from_slice(&claim)
                .unwrap_or_else(|_| LockRecord::unreadable(self.backend.machine()));
            let claim = LockRecord { epoch, ..claim };
            let beat = beat.and_then(|it| serde_json::from_slice(&it).ok());
            let beat = beat.unwrap_or(Heartbeat::plain(claim.since, false));
            return Ok(Some((claim, beat)));
        }
        let gone = io::Error::other("it kept changing while it was read; retry");
        Err(io_error("read", &self.backend.place_below(&LEASE))(gone))
    }

    /// Claims an epoch and holds its lock; `None` if another was quicker. It is ours once [`LockRecords::confirm`] says so.
    pub fn take(&self, claim: &LockRecord) -> Result<Option<HeldEpoch>, StoreError> {
        self.backend.ensure_prefix(&LEASE)?;
        let key = record_key(claim.epoch, "claim");
        let text = |is_locked| {
            let claim = LockRecord { is_locked, ..claim.clone() };
            serde_json::to_vec(&claim).expect("a claim is plain data")
        };
        let ClaimOutcome::Claimed(lock) = self.backend.claim(&key, &text)? else { return Ok(None) };
        Ok(Some(HeldEpoch { _lock: lock }))
    }

    /// Whether an epoch that was just claimed is the newest; otherwise the claim goes again. Who was asleep since it looked may have
    /// got an epoch that is long over.
    pub fn confirm(&self, epoch: u64) -> Result<bool, StoreError> {
        let is_newest = self.look(epoch)?.newest == Some(epoch);
        if !is_newest {
            self.backend.delete(&record_key(epoch, "claim")).ok();
        }
        Ok(is_newest)
    }

    /// What can be told at once of a holder whose last sign of life is this one.
    pub fn standing(
        &self,
        claim: &LockRecord,
        beat: Heartbeat,
    ) -> Result<HolderStanding, StoreError> {
        if beat.is_released {
            return Ok(HolderStanding::Gone);
        }
        let key = record_key(claim.epoch, "claim");
        // Shared, so that two who look do not take each other for the holder.
        let attempt = self.backend.lock(&key, LockMode::Shared);
        let attempt = attempt.map_err(io_error("open", &self.backend.place(&key)))?;
        Ok(match attempt {
            LockAttempt::Missing => HolderStanding::Gone,
            LockAttempt::Busy => HolderStanding::Alive,
            LockAttempt::Locked(_) if claim.is_locked && self.is_of_this_machine(claim) => {
                HolderStanding::Gone
            }
            LockAttempt::Locked(_) | LockAttempt::Unsupported(_) => HolderStanding::Untold(beat),
        })
    }

    /// Whether a claim was made where the clock on the wall is the one that we read.
    pub fn is_of_this_machine(&self, claim: &LockRecord) -> bool {
        !claim.machine.is_empty() && claim.machine == self.backend.machine()
    }

    /// Whether somebody seems to act under this claim, for people to read: of what no lock tells, by a heartbeat on another
    /// machine's clock. Nothing is decided by it.
    pub fn seems_alive(
        &self,
        claim: &LockRecord,
        beat: Heartbeat,
        lease: Duration,
    ) -> Result<bool, StoreError> {
        Ok(match self.standing(claim, beat)? {
            HolderStanding::Alive => true,
            HolderStanding::Gone => false,
            HolderStanding::Untold(beat) => {
                u128::from((wall() - beat.at).unsigned_abs()) < lease.as_millis()
            }
        })
    }

    /// Writes a heartbeat; the file is replaced as a whole.
    pub fn beat(&self, epoch: u64, beat: Heartbeat) -> Result<(), StoreError> {
        let text = serde_json::to_vec(&beat).expect("a heartbeat is plain data");
        self.backend.tell(&record_key(epoch, "beat"), &text)
    }

    /// The heartbeat, of whatever epoch, that knows of the most entries.
    pub fn told(&self) -> Result<Option<(Heartbeat, PathBuf)>, StoreError> {
        let beats = self.list()?.into_iter().filter(|(_, part, _)| *part == RecordPart::Beat);
        let keys: Vec<StoreKey> = beats.map(|(_, _, key)| key).collect();
        let read = self.backend.get_all(&keys)?;
        let beats = keys.into_iter().zip(read).filter_map(|(key, bytes)| {
            let beat: Heartbeat = serde_json::from_slice(&bytes?).ok()?;
            let is_ours = beat.sequence <= NUMBER_MAX && beat.serial <= NUMBER_MAX;
            is_ours.then(|| (beat, self.backend.place(&key)))
        });
        Ok(beats.max_by_key(|(beat, _)| beat.sequence))
    }

    /// Sets the stop flag of an epoch.
    pub fn ask(&self, epoch: u64, stop: &StopRequest) -> Result<(), StoreError> {
        let text = serde_json::to_vec(stop).expect("a stop flag is plain data");
        self.backend.tell(&record_key(epoch, "stop"), &text)
    }

    /// Who wants this epoch to end.
    pub fn asked(&self, epoch: u64) -> Result<Option<StopRequest>, StoreError> {
        self.read(epoch, "stop")
    }

    /// What belongs to epochs before this one.
    pub fn older(&self, epoch: u64) -> Result<Vec<StoreKey>, StoreError> {
        let older = self.list()?.into_iter().filter(|(it, _, _)| *it < epoch);
        Ok(older.map(|(_, _, key)| key).collect())
    }

    fn read<T: for<'a> Deserialize<'a>>(
        &self,
        epoch: u64,
        what: &str,
    ) -> Result<Option<T>, StoreError> {
        let text = self.backend.get(&record_key(epoch, what))?;
        Ok(text.and_then(|it| serde_json::from_slice(&it).ok()))
    }
}

fn record_key(epoch: u64, what: &str) -> StoreKey {
    LEASE.key(&format!("{epoch:08}.{what}"))
}

//! What watchers remember from round to round and from run to run, and its bytes.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use crate::engine::recovery::watch::event::WatchEvent;
use crate::engine::recovery::watch::rules::WatchRules;

/// The newest version that this program reads. What says nothing new is written as the oldest version that can say it: without
/// a switch that is unanswered, version 1.
const VERSION: u32 = 2;
/// How many targets are remembered; the one that was probed longest ago goes first. A guess, far above what one overlay has.
const TARGETS_MAX: usize = 16;

/// The memories of all watchers of one overlay: one for each target, and what one has switched holds for all.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Notes {
    memories: Vec<WatchMemory>,
}

/// Counters, history and the last switch of one target. Times are in milliseconds since the Unix epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WatchMemory {
    /// What is watched, as a digest: the history of another target is no evidence.
    pub watched: String,
    /// The last rounds that count, oldest first.
    pub window: VecDeque<SeenTarget>,
    pub good_in_row: u32,
    /// When it last answered well; a target that never did is more likely a typo than an outage.
    pub answered: Option<i64>,
    /// It is down.
    pub outage: Option<Outage>,
    /// When the last switch began, of those that may have moved users.
    pub last_switch: Option<i64>,
    /// A switch began, and its end is not recorded.
    pub begun: Option<i64>,
    /// When the last switch began, until a good answer comes after it. Since version 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unanswered: Option<i64>,
    /// The days left of the certificate that were last warned of.
    pub certificate_days: Option<i64>,
}

/// One round that counts, and when it was, in milliseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeenTarget {
    pub at: i64,
    pub good: bool,
}

/// From down to up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outage {
    /// Its first failed round.
    pub since: i64,
    /// How often a switch was tried and not done.
    pub attempts: u32,
    /// When the last one of those began.
    pub last_attempt: Option<i64>,
    /// Nothing is tried again before.
    pub not_before: Option<i64>,
    pub told_cooldown: bool,
    pub told_already: bool,
}

impl Outage {
    pub(super) fn new(since: i64) -> Self {
        Self {
            since,
            attempts: 0,
            last_attempt: None,
            not_before: None,
            told_cooldown: false,
            told_already: false,
        }
    }

    /// Whether the last switch is an attempt of this outage that failed: the next attempt is the same switch once more.
    pub(super) fn is_tried_again(&self, last_switch: Option<i64>) -> bool {
        self.last_attempt.is_some() && self.last_attempt == last_switch
    }

    /// Said once.
    pub(super) fn already(&mut self) -> Option<WatchEvent> {
        let news = !std::mem::replace(&mut self.told_already, true);
        news.then_some(WatchEvent::AlreadySwitched)
    }
}

/// Why bytes are no memory.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnreadableNotes {
    #[error("its format is version {0}, but this version of lifeboat reads up to {VERSION}")]
    Newer(u32),
    #[error("{0}")]
    Damaged(String),
    #[error("its checksum does not match")]
    Checksum,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct MemoryEnvelope<T> {
    version: u32,
    checksum: String,
    notes: T,
}

#[derive(Deserialize)]
struct MemoryVersion {
    version: u32,
}

impl WatchMemory {
    /// That of a watcher that has seen nothing.
    pub fn new(watched: &str) -> Self {
        Self {
            watched: watched.into(),
            window: VecDeque::new(),
            good_in_row: 0,
            answered: None,
            outage: None,
            last_switch: None,
            begun: None,
            unanswered: None,
            certificate_days: None,
        }
    }

    /// Rounds before this are no evidence any more.
    pub(super) fn forget(&mut self, before: i64) {
        if self.window.back().is_some_and(|it| it.at < before) {
            self.good_in_row = 0;
        }
        self.window.retain(|it| it.at >= before);
    }

    /// Takes over what any watcher of the overlay has done; one that began and is gone may have moved users.
    pub fn learn(&mut self, notes: &Notes) {
        for other in &notes.memories {
            self.last_switch = self.last_switch.max(other.last_switch).max(other.begun);
        }
    }

    /// When users were last known to be served: the last good round, unless nobody looked between it and the outage.
    pub fn last_good(&self, rules: &WatchRules) -> Option<i64> {
        let since = self.outage.as_ref().map(|it| it.since);
        let is_watched = |it: &i64| since.is_none_or(|since| since - it <= rules.stale);
        self.answered.filter(is_watched).or(since)
    }

    fn latest(&self) -> Option<i64> {
        self.window.back().map(|it| it.at).max(self.answered).max(self.last_switch)
    }
}

impl Notes {
    /// What is remembered of this target; of another one only the last switch counts.
    pub fn of(&self, watched: &str) -> WatchMemory {
        let (mut own, mut others) = (WatchMemory::new(watched), Self::default());
        for memory in &self.memories {
            if memory.watched == watched {
                own = memory.clone();
            } else {
                others.memories.push(memory.clone());
            }
        }
        own.learn(&others);
        own
    }

    pub fn put(&mut self, memory: &WatchMemory) {
        self.memories.retain(|it| it.watched != memory.watched);
        self.memories.sort_by_key(WatchMemory::latest);
        let surplus = (self.memories.len() + 1).saturating_sub(TARGETS_MAX);
        self.memories.drain(..surplus);
        self.memories.push(memory.clone());
    }

    pub fn encode(&self) -> String {
        let notes = serde_json::to_string(self).expect("plain data serialises");
        let checksum = checksum(&notes);
        let notes = RawValue::from_string(notes).expect("what was written is JSON");
        let is_new = self.memories.iter().any(|it| it.unanswered.is_some());
        let version = if is_new { VERSION } else { 1 };
        let envelope = MemoryEnvelope { version, checksum, notes };
        let text = serde_json::to_string(&envelope).expect("plain data serialises");
        format!("{text}\n")
    }

    pub fn decode(text: &str) -> Result<Self, UnreadableNotes> {
        let damaged = |why: serde_json::Error| UnreadableNotes::Damaged(why.to_string());
        let version: MemoryVersion = serde_json::from_str(text).map_err(damaged)?;
        if version.version > VERSION {
            return Err(UnreadableNotes::Newer(version.version));
        }
        let envelope: MemoryEnvelope<Box<RawValue>> =
            serde_json::from_str(text).map_err(damaged)?;
        if checksum(envelope.notes.get()) != envelope.checksum {
            return Err(UnreadableNotes::Checksum);
        }
        serde_json::from_str(envelope.notes.get()).map_err(damaged)
    }
}

/// First eight hexadecimal digits of SHA-256: finds damage, not malice.
fn checksum(text: &str) -> String {
    data_encoding::HEXLOWER.encode(&Sha256::digest(text.as_bytes())[..4])
}

//! What is between the regions: how long a write travels, and which regions are cut off.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::faults::state::GroupsMode;
use crate::http::Millis;
use crate::rng::draw;

/// The stream of chance that belongs to replication.
const REPLICATION: u64 = 0x5EED;

/// Decided by the rest of the world and told before each call; never a row.
#[derive(Debug, Clone, Default)]
pub struct Links {
    /// Regions that are lost.
    pub lost: BTreeMap<String, LostRegion>,
    /// The shortest and the longest journey of a write, in world time.
    pub lag: (Millis, Millis),
    pub seed: u64,
}

/// How a region is lost.
#[derive(Debug, Clone, Copy)]
pub struct LostRegion {
    pub since: Millis,
    pub groups: GroupsMode,
}

/// One item that one member has still to take over from another. What it becomes is looked up when it arrives.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Write {
    pub table: String,
    pub key: Value,
    pub from: String,
    pub to: String,
    pub due: Millis,
}

impl Links {
    /// How long this write travels.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        reason = "a lag of milliseconds is far below 2^53"
    )]
    pub fn journey(&self, write: u64) -> Millis {
        let (least, most) = self.lag;
        let spread = (most - least).max(0) as f64;
        least + (spread * draw(self.seed, REPLICATION, write)) as Millis
    }

    /// Whether what is due then still arrives: a region takes and gives nothing after it is lost.
    pub fn carries(&self, region: &str, due: Millis) -> bool {
        self.lost.get(region).is_none_or(|away| due <= away.since)
    }

    /// Whether changes of groups with a member there are refused.
    pub fn freezes(&self, region: &str) -> bool {
        self.lost.get(region).is_some_and(|away| away.groups == GroupsMode::Frozen)
    }
}

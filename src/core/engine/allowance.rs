//! What a layer lets through the guards: reviewed with it, once, and until a day.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::engine::address::Address;

/// One thing that an `allow:` block lets through.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exemption {
    /// A delete or replacement that loses data.
    Delete(Address),
    /// A replacement whose only cause is drift.
    Replace(Address),
    /// Taking back a traffic attribute that was changed outside.
    RevertDrift(Address),
    /// So many deletes and replacements at once.
    Destroys(usize),
    /// So many recorded resources that do not exist.
    Absent(usize),
}

impl Exemption {
    /// The key of the block.
    pub fn key(&self) -> &'static str {
        match self {
            Self::Delete(_) => "delete",
            Self::Replace(_) => "replace",
            Self::RevertDrift(_) => "revert_drift",
            Self::Destroys(_) => "destroys",
            Self::Absent(_) => "absent",
        }
    }

    pub fn address(&self) -> Option<&Address> {
        match self {
            Self::Delete(it) | Self::Replace(it) | Self::RevertDrift(it) => Some(it),
            Self::Destroys(_) | Self::Absent(_) => None,
        }
    }
}

/// `delete: products`, as in the layer.
impl std::fmt::Display for Exemption {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Delete(it) | Self::Replace(it) | Self::RevertDrift(it) => {
                write!(to, "{}: {it}", self.key())
            }
            Self::Destroys(count) | Self::Absent(count) => write!(to, "{}: {count}", self.key()),
        }
    }
}

/// An exemption as it was reviewed. Two of the same words are one, in whatever layer they stand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReviewedAllowance {
    #[serde(flatten)]
    pub exempts: Exemption,
    /// As it is written: a day, whose end in UTC counts, or a time.
    pub until: String,
    pub because: String,
}

/// When something ends that holds until a day, whose end in UTC counts, or a time: in milliseconds since the Unix epoch. `None`
/// where the text is neither.
pub fn end_of(until: &str) -> Option<i64> {
    if let Ok(at) = until.parse::<Timestamp>() {
        return Some(at.as_millisecond());
    }
    let after = until.parse::<Date>().ok()?.tomorrow().ok()?;
    Some(after.to_zoned(TimeZone::UTC).ok()?.timestamp().as_millisecond())
}

/// One that a run was begun with, and what it lets go: nothing else any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsedAllowance {
    #[serde(flatten)]
    pub allowance: ReviewedAllowance,
    /// By address the recorded ID, and when it was made; of drift, what was seen.
    pub lets_go: BTreeMap<Address, String>,
    /// In milliseconds since the Unix epoch.
    pub at: i64,
}

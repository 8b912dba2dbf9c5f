//! What lets a plan through the guards: what was typed, and what a layer says, reviewed with it, once, and until a day.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::engine::address::Address;

/// What the operator allowed on the command line; what was allowed for a switch holds for whoever finishes it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Allowances {
    /// `--allow-delete ADDRESS`.
    pub delete: Vec<Address>,
    /// `--allow-replace ADDRESS`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub replace: Vec<Address>,
    /// `--revert-drift ADDRESS`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub revert: Vec<Address>,
    /// `--allow-destroys N`.
    pub destroys: Option<usize>,
    /// `--allow-absent N`.
    pub absent: Option<usize>,
    /// `--allow-outage`.
    pub outage: bool,
    /// `--allow-group-changes`: also while a member is lost.
    pub group_changes: bool,
    /// `--skip-gate ADDRESS --because TEXT`: whose gates are not waited for, and why.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub skip_gates: BTreeMap<Address, String>,
}

impl Allowances {
    /// Nothing beyond what holds anyway.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// All that either allows.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        let all = |mine: &[Address], others: &[Address]| {
            let others = others.iter().filter(|it| !mine.contains(it));
            mine.iter().chain(others).cloned().collect()
        };
        Self {
            delete: all(&self.delete, &other.delete),
            replace: all(&self.replace, &other.replace),
            revert: all(&self.revert, &other.revert),
            destroys: self.destroys.max(other.destroys),
            absent: self.absent.max(other.absent),
            outage: self.outage || other.outage,
            group_changes: self.group_changes || other.group_changes,
            skip_gates: other
                .skip_gates
                .clone()
                .into_iter()
                .chain(self.skip_gates.clone())
                .collect(),
        }
    }
}

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

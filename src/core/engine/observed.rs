//! What looking at the clouds can yield: exists, absent, unseen.

use serde::{Deserialize, Serialize};

use crate::engine::value::Attributes;

/// What was seen of one recorded object.
#[derive(Debug, Clone, PartialEq)]
pub enum Observation {
    /// Its attributes as the cloud tells them, in the words of its kind; attributes that the cloud does not tell are not in it.
    Exists { attributes: Attributes, ready: bool },
    /// A healthy endpoint of the right account does not list it, and asked by id says not found.
    Absent,
    /// It could not be looked at; why, in a sentence that names the endpoint.
    Unknown(Unreadable),
}

/// Why something could not be looked at: of what sort the failure was, and its words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    pub reason: UnknownReason,
    /// A sentence that names the endpoint, what it said and, where there is one, the remedy.
    pub why: String,
}

/// Sorts of not knowing, by what they say about the world. A "no" is not silence: only what is unreachable can be lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnknownReason {
    /// Nothing failed: what was asked has no one answer (too young for lists, two of one identity, in doubt).
    Unclear,
    /// It answers, and wants to be asked later.
    Throttled,
    /// Nobody answered, or only that it is not well: no connection, no answer in time, 5xx.
    Unreachable,
    /// It answered, and what it said makes no sense: not JSON, another object, a list without pages.
    Malformed,
    /// It answered no: credentials, scopes, grants, or a request that it refuses.
    Denied,
}

impl UnknownReason {
    /// The cloud said no, or nonsense: something that a person has to mend, and no sign of a loss.
    pub fn is_no(self) -> bool {
        matches!(self, Self::Denied | Self::Malformed)
    }

    pub fn word(self) -> &'static str {
        match self {
            Self::Unclear => "unclear",
            Self::Throttled => "throttled",
            Self::Unreachable => "unreachable",
            Self::Malformed => "malformed",
            Self::Denied => "denied",
        }
    }
}

impl Unreadable {
    pub fn new(reason: UnknownReason, why: impl Into<String>) -> Self {
        Self { reason, why: why.into() }
    }
}

#[cfg(test)]
impl From<&str> for Unreadable {
    fn from(why: &str) -> Self {
        Self::new(UnknownReason::Unreachable, why)
    }
}

/// Something that a list shows beside what it was read for: state knows nothing of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Neighbor {
    pub kind: String,
    pub id: String,
    /// What the row tells, with what the path of the list is made of.
    pub attributes: Attributes,
    /// The owner mark that it carries.
    pub mark: Option<String>,
}

/// An object that could be taken for another: same identity, whoever made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    pub id: String,
    /// When it was made, as far as the cloud tells, in milliseconds since the Unix epoch.
    pub created: Option<i64>,
    /// The owner mark that it carries.
    pub mark: Option<String>,
    /// It is in the way, and no create of this identity makes such a thing: a table outside the group that a replica joins.
    pub foreign: bool,
}

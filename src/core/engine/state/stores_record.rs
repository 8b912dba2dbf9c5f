//! What the stores of a state record of each other: which there are, in which of them the state goes on, and which records came before.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::engine::state::chain::{decode_header, encode_header};
use crate::engine::state::codec::CodecError;

/// The newest version of the record that this program reads.
pub const STORES_VERSION: u32 = 1;

/// How many earlier records one knows of. A record is written when a store goes or comes back, so a hundred are years of outages; a store
/// that was away for longer is taken for one that went on by itself, and a person is asked.
const KNOWN_MAX: usize = 100;

/// Which of the stores of a state it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StoreRole {
    Primary,
    Mirror,
}

impl StoreRole {
    pub const BOTH: [Self; 2] = [Self::Primary, Self::Mirror];

    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Primary => Self::Mirror,
            Self::Mirror => Self::Primary,
        }
    }

    /// As `--keep` and `state:` have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Mirror => "mirror",
        }
    }
}

impl fmt::Display for StoreRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Primary => "the primary store",
            Self::Mirror => "the mirror store",
        })
    }
}

/// Why a state goes on in one of its stores alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AloneReason {
    /// `state mirror suspend`: until `state mirror resume`.
    Suspended,
    /// These fault domains were declared lost.
    Loss(Vec<String>),
    /// It and the witness are two of three.
    Majority,
    /// `state resolve --keep`.
    Kept,
    /// `state migrate` has named another mirror, which is not caught up yet.
    Migrated,
}

/// In which of its stores a state goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActiveStores {
    /// In all that it has.
    All,
    /// In one alone; what the other has behind the entry of this number is not believed.
    Alone { role: StoreRole, reason: AloneReason, after: u64 },
}

impl ActiveStores {
    /// The same once this store is called the primary one, and the other one the mirror.
    #[must_use]
    pub fn called_from(&self, primary: StoreRole) -> Self {
        match self {
            Self::Alone { role, reason, after } if primary == StoreRole::Mirror => {
                Self::Alone { role: role.other(), reason: reason.clone(), after: *after }
            }
            same => same.clone(),
        }
    }

    /// Whether somebody suspended the mirror.
    pub fn is_suspended(&self) -> bool {
        matches!(self, Self::Alone { reason: AloneReason::Suspended, .. })
    }
}

/// All stores of a state, as each of them records it. They are named as addresses without credentials.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoresRecord {
    /// Higher with each change of what follows.
    pub generation: u64,
    /// What it is called, and which records came before it, the last of them at the end: of two records neither of which came before
    /// the other, each was written by somebody who did not see the other one.
    #[serde(default)]
    pub id: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub before: Vec<String>,
    #[serde(flatten)]
    pub named: NamedStores,
    pub active: ActiveStores,
    /// Who changed it last, and when, in milliseconds since the Unix epoch.
    pub by: String,
    pub at: i64,
}

/// The stores that a state has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedStores {
    pub primary: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mirror: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub witness: Option<String>,
}

impl fmt::Display for NamedStores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.primary)?;
        if let Some(mirror) = &self.mirror {
            write!(f, ", mirror {mirror}")?;
        }
        if let Some(witness) = &self.witness {
            write!(f, ", witness {witness}")?;
        }
        Ok(())
    }
}

impl StoresRecord {
    /// Whether it was written by somebody who knew of the other one, at whatever distance.
    pub fn follows(&self, other: &Self) -> bool {
        self.id == other.id || self.before.contains(&other.id)
    }

    /// What a record that follows these knows of.
    pub fn known<'a>(seen: impl IntoIterator<Item = &'a Self>) -> Vec<String> {
        let mut known: Vec<String> = Vec::new();
        for record in seen {
            for id in record.before.iter().chain([&record.id]) {
                if !known.contains(id) {
                    known.push(id.clone());
                }
            }
        }
        known.drain(..known.len().saturating_sub(KNOWN_MAX));
        known
    }

    /// Whether somebody suspended the mirror.
    pub fn is_suspended(&self) -> bool {
        self.active.is_suspended()
    }

    pub fn is_alone(&self) -> bool {
        matches!(self.active, ActiveStores::Alone { .. })
    }
}

pub fn encode_record(record: &StoresRecord) -> Vec<u8> {
    encode_header(record, STORES_VERSION)
}

pub fn decode_record(bytes: &[u8]) -> Result<StoresRecord, CodecError> {
    decode_header(bytes, STORES_VERSION)
}

//! How an entry of the journal looks as JSON: its parts in the names that files keep, and back.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::engine::state::journal::{JournalEntry, StepOutcome};
use crate::engine::state::json::{
    BegunJson, CodecError, LostJson, RecordJson, address, addresses, key,
};
use crate::engine::state::record::{Allowances, Keep, ShiftRecord};
use crate::engine::value::Value;

#[derive(Serialize, Deserialize)]
pub(super) struct EntryLine {
    pub(super) version: u32,
    pub(super) sequence: u64,
    pub(super) entry: EntryJson,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum EntryJson {
    Founded {
        stack: String,
        instance: Option<String>,
        target: String,
        lineage: String,
        key: String,
        overlays: Vec<String>,
    },
    Leased {
        epoch: u64,
        owner: String,
        at: i64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        preempted: Option<String>,
    },
    Bound {
        cloud: String,
        account: String,
    },
    RunBegan {
        who: String,
        command: String,
        at: i64,
        plan: String,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        destroys: bool,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        variables: Option<BTreeMap<String, Value>>,
    },
    Switched {
        from: Vec<String>,
        to: Vec<String>,
        lost: Vec<LostJson>,
        #[serde(default)]
        variables: BTreeMap<String, Value>,
        #[serde(default)]
        keep: Keep,
        #[serde(default, skip_serializing_if = "Allowances::is_nothing")]
        allowed: Allowances,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        last_good: Option<i64>,
        at: i64,
        who: String,
    },
    Found {
        fault_domain: String,
        at: i64,
        who: String,
    },
    Directed {
        address: String,
        was: Vec<String>,
        until: Option<i64>,
        directed: ShiftRecord,
    },
    Began(BegunJson),
    Waiting {
        address: String,
        step: usize,
        gate: String,
        at: i64,
    },
    Ended {
        address: String,
        step: usize,
        outcome: OutcomeJson,
        at: i64,
    },
    RunEnded {
        at: i64,
        complete: bool,
        overlays: Vec<String>,
        variables: BTreeMap<String, Value>,
        outputs: BTreeMap<String, Value>,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum OutcomeJson {
    Recorded(RecordJson),
    Removed,
    Moved { from: String },
    Failed { why: String },
    InDoubt { why: String },
    Waited,
}

impl From<&JournalEntry> for EntryJson {
    fn from(entry: &JournalEntry) -> Self {
        match entry.clone() {
            JournalEntry::Founded { stack, instance, target, lineage, key, overlays } => {
                let key = data_encoding::HEXLOWER.encode(&key.0);
                Self::Founded { stack, instance, target, lineage, key, overlays }
            }
            JournalEntry::Leased { epoch, owner, at, preempted } => {
                Self::Leased { epoch, owner, at, preempted }
            }
            JournalEntry::Bound { cloud, account } => Self::Bound { cloud, account },
            JournalEntry::RunBegan { who, command, at, plan, destroys, variables } => {
                Self::RunBegan { who, command, at, plan, destroys, variables }
            }
            JournalEntry::Switched {
                from,
                to,
                lost,
                variables,
                keep,
                allowed,
                last_good,
                at,
                who,
            } => {
                let lost = lost.iter().map(Into::into).collect();
                Self::Switched { from, to, lost, variables, keep, allowed, last_good, at, who }
            }
            JournalEntry::Found { fault_domain, at, who } => Self::Found { fault_domain, at, who },
            JournalEntry::Directed { address, was, until, directed } => {
                let was = was.iter().map(ToString::to_string).collect();
                Self::Directed { address: address.to_string(), was, until, directed }
            }
            JournalEntry::Began(begun) => Self::Began((&begun).into()),
            JournalEntry::Waiting { address, step, gate, at } => {
                Self::Waiting { address: address.to_string(), step, gate, at }
            }
            JournalEntry::Ended { address, step, outcome, at } => {
                Self::Ended { address: address.to_string(), step, outcome: (&outcome).into(), at }
            }
            JournalEntry::RunEnded { at, complete, overlays, variables, outputs } => {
                Self::RunEnded { at, complete, overlays, variables, outputs }
            }
        }
    }
}

impl EntryJson {
    pub(super) fn into_entry(self, line: usize) -> Result<JournalEntry, CodecError> {
        Ok(match self {
            Self::Founded { stack, instance, target, lineage, key: text, overlays } => {
                JournalEntry::Founded {
                    stack,
                    instance,
                    target,
                    lineage,
                    key: key(&text),
                    overlays,
                }
            }
            Self::Leased { epoch, owner, at, preempted } => {
                JournalEntry::Leased { epoch, owner, at, preempted }
            }
            Self::Bound { cloud, account } => JournalEntry::Bound { cloud, account },
            Self::RunBegan { who, command, at, plan, destroys, variables } => {
                JournalEntry::RunBegan { who, command, at, plan, destroys, variables }
            }
            Self::Switched { from, to, lost, variables, keep, allowed, last_good, at, who } => {
                let lost = lost.into_iter().map(Into::into).collect();
                JournalEntry::Switched {
                    from,
                    to,
                    lost,
                    variables,
                    keep,
                    allowed,
                    last_good,
                    at,
                    who,
                }
            }
            Self::Found { fault_domain, at, who } => JournalEntry::Found { fault_domain, at, who },
            Self::Directed { address: text, was, until, directed } => JournalEntry::Directed {
                address: address(&text, line)?,
                was: addresses(&was, line)?,
                until,
                directed,
            },
            Self::Began(begun) => JournalEntry::Began(begun.into_begun(line)?),
            Self::Waiting { address: text, step, gate, at } => {
                JournalEntry::Waiting { address: address(&text, line)?, step, gate, at }
            }
            Self::Ended { address: text, step, outcome, at } => JournalEntry::Ended {
                address: address(&text, line)?,
                step,
                outcome: outcome.into_outcome(line)?,
                at,
            },
            Self::RunEnded { at, complete, overlays, variables, outputs } => {
                JournalEntry::RunEnded { at, complete, overlays, variables, outputs }
            }
        })
    }
}

impl From<&StepOutcome> for OutcomeJson {
    fn from(outcome: &StepOutcome) -> Self {
        match outcome {
            StepOutcome::Recorded(record) => Self::Recorded((&**record).into()),
            StepOutcome::Removed => Self::Removed,
            StepOutcome::Moved { from } => Self::Moved { from: from.to_string() },
            StepOutcome::Failed { why } => Self::Failed { why: why.clone() },
            StepOutcome::InDoubt { why } => Self::InDoubt { why: why.clone() },
            StepOutcome::Waited => Self::Waited,
        }
    }
}

impl OutcomeJson {
    fn into_outcome(self, line: usize) -> Result<StepOutcome, CodecError> {
        Ok(match self {
            Self::Recorded(record) => StepOutcome::Recorded(Box::new(record.into_record(line)?)),
            Self::Removed => StepOutcome::Removed,
            Self::Moved { from } => StepOutcome::Moved { from: address(&from, line)? },
            Self::Failed { why } => StepOutcome::Failed { why },
            Self::InDoubt { why } => StepOutcome::InDoubt { why },
            Self::Waited => StepOutcome::Waited,
        })
    }
}

//! One step of a plan: a provider call or a wait, what it waits for, and what it does.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::engine::address::Address;
use crate::engine::state::record::MutatingCall;
use crate::engine::value::Attributes;

/// One provider call, or one wait, with the steps it waits for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    pub id: usize,
    pub address: Address,
    pub kind: String,
    /// Ids of steps that must have ended well.
    pub waits: Vec<usize>,
    /// Groups of steps of which some must have ended well, whichever they are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub quorums: Vec<StepQuorum>,
    /// At most one object of a lane is worked on at a time.
    pub lane: Option<String>,
    /// Steps of one object that belong together within a lane.
    pub segment: usize,
    /// Expected seconds, for the longest path first.
    pub weight: u64,
    /// It directs users away from what others remember for a while.
    #[serde(alias = "directs", default, skip_serializing_if = "Option::is_none")]
    pub shift: Option<TrafficShift>,
    pub call: StepCall,
}

/// So many of these steps must have ended well before a step starts; the others may still run then, or fail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepQuorum {
    pub count: usize,
    /// Ids of steps, each once.
    pub of: Vec<usize>,
}

impl Step {
    /// Every step that it may have to wait for.
    pub fn before(&self) -> impl Iterator<Item = usize> {
        self.waits.iter().chain(self.quorums.iter().flat_map(|it| &it.of)).copied()
    }

    /// Whether it is a gate before users, which may be skipped: others wait for what this plan disturbs to serve again.
    pub fn holds_users_back(&self) -> bool {
        match &self.call {
            StepCall::Serving { of, .. } => of[..] != [self.address.clone()],
            StepCall::Replication { .. } => true,
            _ => false,
        }
    }

    /// Whether it may start once exactly these steps have ended well.
    pub fn is_free(&self, done: impl Fn(usize) -> bool) -> bool {
        let reached = |it: &StepQuorum| it.of.iter().filter(|at| done(**at)).count() >= it.count;
        self.waits.iter().all(|it| done(*it)) && self.quorums.iter().all(reached)
    }
}

/// What users were directed to before a step, and how long they may still come that way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrafficShift {
    pub was: Vec<Address>,
    /// How long the old target has to stay, in seconds; 0: nobody has to be waited for.
    pub seconds: u64,
    /// For how many seconds resolvers may still answer what was before, whether or not that is waited for.
    #[serde(default)]
    pub ttl: u64,
}

/// What one step does: a provider call, a wait, or a change of the record alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum StepCall {
    /// Only the record changes its address.
    Move {
        from: Address,
    },
    /// Only the record goes.
    Forget,
    /// What the plan knows of the attributes; open ones are resolved when it starts.
    Create {
        label: Option<String>,
        attributes: Attributes,
    },
    Update {
        group: String,
        changed: Vec<String>,
        attributes: Attributes,
        /// What turns out to be gone is made again: it holds no data.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        or_create: bool,
    },
    Delete {
        deposed: bool,
    },
    /// The `create_before_destroy` name gives way to the desired one; or its own to a temporary one, for others to take.
    Rename {
        attribute: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<String>,
    },
    /// The cloud says that it is usable.
    Ready,
    /// The cloud says that it is gone.
    Gone {
        deposed: bool,
    },
    /// The resource's own `ready` condition.
    Gate,
    /// What users are about to be directed to serves: healthy nodes behind each of these, or, of nothing, a probe of its own `gate`.
    Serving {
        of: Vec<Address>,
        /// How many behind each, where more than one has to be healthy.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        serves: BTreeMap<Address, usize>,
        /// Of nothing: which of its own probes, in the order of the layers.
        #[serde(default, skip_serializing_if = "is_first")]
        probe: usize,
    },
    /// An item written to another member of its group arrives at this one; on the way home one written to this one arrives at
    /// the other, since that is where users have written.
    Replication {
        from: Address,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        back: bool,
    },
    /// Nobody remembers the old way any more.
    Drain {
        seconds: u64,
        /// Of traffic directed by an earlier run: when it is over.
        until: Option<i64>,
    },
    /// What the plan shows of the task of this name; or what takes it back.
    Task {
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        undo: bool,
    },
}

/// The only one of a plan that an older program saved.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands it so")]
fn is_first(probe: &usize) -> bool {
    *probe == 0
}

impl StepCall {
    /// Whether a request leaves that changes something.
    pub fn mutates(&self) -> bool {
        self.mutation().is_some()
    }

    /// Whether it may have done something, known or not, once it has begun.
    pub fn acts(&self) -> bool {
        self.mutates() || matches!(self, Self::Task { .. })
    }

    /// What that request changes.
    pub fn mutation(&self) -> Option<MutatingCall> {
        match self {
            Self::Create { .. } => Some(MutatingCall::Create),
            Self::Update { .. } => Some(MutatingCall::Update),
            Self::Rename { .. } => Some(MutatingCall::Rename),
            Self::Delete { .. } => Some(MutatingCall::Delete),
            _ => None,
        }
    }

    /// Whether it waits at a gate, which leaves the record as it is.
    pub fn is_gate(&self) -> bool {
        matches!(self, Self::Serving { .. } | Self::Replication { .. } | Self::Drain { .. })
    }

    /// For a sentence: a call as its word, a wait as what is waited for.
    pub fn phrase(&self) -> &'static str {
        match self {
            Self::Ready => "wait until ready",
            Self::Gone { .. } => "wait for deletion",
            Self::Gate => "wait for the `ready` condition",
            other => other.word(),
        }
    }

    pub fn word(&self) -> &'static str {
        match self {
            Self::Move { .. } => "move",
            Self::Forget => "forget",
            Self::Create { .. } => "create",
            Self::Update { .. } => "update",
            Self::Delete { .. } => "delete",
            Self::Rename { .. } => "rename",
            Self::Ready => "ready",
            Self::Gone { .. } => "gone",
            Self::Gate => "gate",
            Self::Serving { .. } => "serving gate",
            Self::Replication { .. } => "replication gate",
            Self::Drain { .. } => "drain gate",
            Self::Task { undo: false } => "run task",
            Self::Task { undo: true } => "undo task",
        }
    }
}

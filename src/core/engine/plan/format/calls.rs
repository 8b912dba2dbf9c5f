//! The steps of a plan as plain serde structs.

use serde::{Deserialize, Serialize};

use crate::engine::address::NotAnAddress;
use crate::engine::plan::model::change::{Step, StepCall, TrafficShift};
use crate::engine::value::Attributes;

/// What a field says that no plan can say.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    #[error(transparent)]
    Address(#[from] NotAnAddress),
    #[error("`{0}` is not an action")]
    Action(String),
    #[error("step {0} is not in its place, or waits for a step that is not there")]
    Step(usize),
}

#[derive(Serialize, Deserialize)]
pub struct StepJson {
    id: usize,
    address: String,
    kind: String,
    waits: Vec<usize>,
    lane: Option<String>,
    segment: usize,
    weight: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    directs: Option<DirectsJson>,
    call: CallJson,
}

#[derive(Serialize, Deserialize)]
struct DirectsJson {
    was: Vec<String>,
    seconds: u64,
    #[serde(default)]
    ttl: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum CallJson {
    Move {
        from: String,
    },
    Forget,
    Create {
        label: Option<String>,
        attributes: Attributes,
    },
    Update {
        group: String,
        changed: Vec<String>,
        attributes: Attributes,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        or_create: bool,
    },
    Delete {
        deposed: bool,
    },
    Rename {
        attribute: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<String>,
    },
    Ready,
    Gone {
        deposed: bool,
    },
    Gate,
    Serving {
        of: Vec<String>,
    },
    Replication {
        from: String,
    },
    Drain {
        seconds: u64,
        until: Option<i64>,
    },
}

impl From<&Step> for StepJson {
    fn from(it: &Step) -> Self {
        Self {
            id: it.id,
            address: it.address.to_string(),
            kind: it.kind.clone(),
            waits: it.waits.clone(),
            lane: it.lane.clone(),
            segment: it.segment,
            weight: it.weight,
            directs: it.directs.as_ref().map(|it| DirectsJson {
                was: it.was.iter().map(ToString::to_string).collect(),
                seconds: it.seconds,
                ttl: it.ttl,
            }),
            call: (&it.call).into(),
        }
    }
}

impl StepJson {
    /// Schedules index steps by their ids, so these are checked here.
    pub fn into_step(self, at: usize, count: usize) -> Result<Step, Malformed> {
        if self.id != at || self.waits.iter().any(|it| *it >= count || *it == at) {
            return Err(Malformed::Step(self.id));
        }
        Ok(Step {
            id: self.id,
            address: self.address.parse()?,
            kind: self.kind,
            call: self.call.into_call()?,
            waits: self.waits,
            lane: self.lane,
            segment: self.segment,
            weight: self.weight,
            directs: self.directs.map(DirectsJson::into_directs).transpose()?,
        })
    }
}

impl DirectsJson {
    fn into_directs(self) -> Result<TrafficShift, Malformed> {
        let was = self.was.iter().map(|it| it.parse()).collect::<Result<_, _>>()?;
        Ok(TrafficShift { was, seconds: self.seconds, ttl: self.ttl })
    }
}

impl From<&StepCall> for CallJson {
    fn from(it: &StepCall) -> Self {
        match it {
            StepCall::Move { from } => Self::Move { from: from.to_string() },
            StepCall::Forget => Self::Forget,
            StepCall::Create { attributes, label } => {
                Self::Create { label: label.clone(), attributes: attributes.clone() }
            }
            StepCall::Update { group, changed, attributes, or_create } => Self::Update {
                group: group.clone(),
                changed: changed.clone(),
                attributes: attributes.clone(),
                or_create: *or_create,
            },
            StepCall::Delete { deposed } => Self::Delete { deposed: *deposed },
            StepCall::Rename { attribute, to } => {
                Self::Rename { attribute: attribute.clone(), to: to.clone() }
            }
            StepCall::Ready => Self::Ready,
            StepCall::Gone { deposed } => Self::Gone { deposed: *deposed },
            StepCall::Gate => Self::Gate,
            StepCall::Serving { of } => {
                Self::Serving { of: of.iter().map(ToString::to_string).collect() }
            }
            StepCall::Replication { from } => Self::Replication { from: from.to_string() },
            StepCall::Drain { seconds, until } => Self::Drain { seconds: *seconds, until: *until },
        }
    }
}

impl CallJson {
    fn into_call(self) -> Result<StepCall, Malformed> {
        Ok(match self {
            Self::Move { from } => StepCall::Move { from: from.parse()? },
            Self::Forget => StepCall::Forget,
            Self::Create { label, attributes } => StepCall::Create { attributes, label },
            Self::Update { group, changed, attributes, or_create } => {
                StepCall::Update { group, changed, attributes, or_create }
            }
            Self::Delete { deposed } => StepCall::Delete { deposed },
            Self::Rename { attribute, to } => StepCall::Rename { attribute, to },
            Self::Ready => StepCall::Ready,
            Self::Gone { deposed } => StepCall::Gone { deposed },
            Self::Gate => StepCall::Gate,
            Self::Serving { of } => {
                StepCall::Serving { of: of.iter().map(|it| it.parse()).collect::<Result<_, _>>()? }
            }
            Self::Replication { from } => StepCall::Replication { from: from.parse()? },
            Self::Drain { seconds, until } => StepCall::Drain { seconds, until },
        })
    }
}

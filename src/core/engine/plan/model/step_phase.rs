//! What each step of a plan is to a switch, and for how long others remember what it directs users away from.

use crate::engine::plan::model::change::{Step, StepCall};

/// What a step is to a switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum StepPhase {
    /// It makes, changes or deletes something, or waits for what it made.
    Work,
    /// It waits until a written item arrives at another member of its group.
    Replication,
    /// It waits until what users are about to be directed to serves.
    Gate,
    /// It directs users.
    Traffic,
    /// It waits until nobody comes the old way any more.
    Drain,
    /// It takes away again what a rehearsal made.
    Cleanup,
}

impl StepPhase {
    pub const ALL: [Self; 6] =
        [Self::Work, Self::Replication, Self::Gate, Self::Traffic, Self::Drain, Self::Cleanup];

    pub fn word(self) -> &'static str {
        match self {
            Self::Work => "work",
            Self::Replication => "replication",
            Self::Gate => "gate",
            Self::Traffic => "traffic",
            Self::Drain => "drain",
            Self::Cleanup => "cleanup",
        }
    }
}

/// Whether a gate of its own opens the way to what a step directs users to. Other gates of the same sort see to it that what was
/// disturbed serves again.
pub fn is_gated(step: &Step, steps: &[Step]) -> bool {
    let gates = step.waits.iter().filter_map(|id| steps.get(*id));
    let mut gates = gates.filter(|it| matches!(it.call, StepCall::Serving { .. }));
    gates.any(|it| it.address == step.address)
}

/// A step directs users if others remember what was before, or if a gate of the traffic opens the way to it.
pub fn role(step: &Step, steps: &[Step]) -> StepPhase {
    match step.call {
        StepCall::Replication { .. } => StepPhase::Replication,
        StepCall::Serving { .. } => StepPhase::Gate,
        StepCall::Drain { .. } => StepPhase::Drain,
        _ if step.shift.is_some() || is_gated(step, steps) => StepPhase::Traffic,
        _ => StepPhase::Work,
    }
}

/// Seconds for which resolvers may still answer what was before a step that directs users.
pub fn ttl(step: &Step, role: StepPhase) -> Option<u64> {
    (role == StepPhase::Traffic).then(|| step.shift.as_ref().map_or(0, |it| it.ttl))
}

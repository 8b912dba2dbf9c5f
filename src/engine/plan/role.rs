//! What each step of a plan is to a switch, and for how long others remember what it directs users away from.

use crate::engine::ledger::timed::Role;
use crate::engine::plan::change::{Call, Step};

/// A step directs users if others remember what was before, or if a gate of the traffic opens the way to it.
pub fn role(step: &Step, steps: &[Step]) -> Role {
    // Other gates of its kind see to it that what was disturbed serves again.
    let is_serving = |id: &usize| {
        let gate = steps.get(*id).filter(|it| matches!(it.call, Call::Serving { .. }));
        gate.is_some_and(|it| it.address == step.address)
    };
    match step.call {
        Call::Replication { .. } => Role::Replication,
        Call::Serving { .. } => Role::Gate,
        Call::Drain { .. } => Role::Drain,
        _ if step.directs.is_some() || step.waits.iter().any(is_serving) => Role::Traffic,
        _ => Role::Work,
    }
}

/// Seconds for which resolvers may still answer what was before a step that directs users.
pub fn ttl(step: &Step, role: Role) -> Option<u64> {
    (role == Role::Traffic).then(|| step.directs.as_ref().map_or(0, |it| it.ttl))
}

//! A plan as JSON: the same that `plan --out` writes.

use crate::engine::plan::change::Plan;
use crate::engine::plan::wire::{PlanEnvelope, encode};

/// See [`encode`]: the plan must be sealed.
pub fn json(plan: &Plan, envelope: &PlanEnvelope) -> String {
    encode(plan, envelope)
}

//! A plan as JSON: the same that `plan --out` writes.

use crate::engine::plan::format::codec::{PlanEnvelope, encode};
use crate::engine::plan::model::change::Plan;

/// See [`encode`]: the plan must be sealed.
pub fn json(plan: &Plan, envelope: &PlanEnvelope) -> String {
    encode(plan, envelope)
}

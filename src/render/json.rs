//! A plan as JSON: the same that `plan --out` writes.

use crate::engine::plan::change::Plan;
use crate::engine::plan::wire::{Envelope, encode};

/// See [`encode`]: the plan must be sealed.
pub fn json(plan: &Plan, envelope: &Envelope) -> String {
    encode(plan, envelope)
}

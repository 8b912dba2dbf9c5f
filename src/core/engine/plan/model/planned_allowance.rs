//! An allowance of a layer in a plan: where it stands, and what the plan uses it for.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::engine::address::Address;
use crate::engine::allowance::ReviewedAllowance;

/// One that was in force when the plan was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedAllowance {
    #[serde(flatten)]
    pub allowance: ReviewedAllowance,
    /// `stacks/shop/stack.yaml:12`
    pub place: String,
    /// By address the recorded ID of what goes, and when it was made; of drift, what was seen. Nothing: this plan does not need it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub lets_go: BTreeMap<Address, String>,
}

impl PlannedAllowance {
    pub fn new(allowance: ReviewedAllowance, place: String) -> Self {
        Self { allowance, place, lets_go: BTreeMap::new() }
    }

    pub fn is_used(&self) -> bool {
        !self.lets_go.is_empty()
    }
}

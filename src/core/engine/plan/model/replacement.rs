//! What is made anew: which values the cloud will choose again for it, and for how long nothing is there.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::engine::address::Address;

/// One resource that is replaced, and what others notice of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replacement {
    pub address: Address,
    /// Network addresses and host names that the cloud gave the old one, by attribute: the new one gets others.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub loses: BTreeMap<String, String>,
    /// Expected seconds from the deletion of the old one until the new one is ready; 0: the new one is made first.
    pub away: u64,
}

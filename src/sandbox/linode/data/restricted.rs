//! Users of the account that do not see all of it: what their grants name, and whether they may change it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// A restricted user.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestrictedToken {
    pub name: String,
    /// By the API's word for a sort, and by id: whether it may change it, or only look at it.
    pub objects: BTreeMap<String, BTreeMap<u64, bool>>,
    /// What it may do in the account as a whole: `add_linodes`.
    pub may: BTreeSet<String>,
}

/// The account-wide grants that are true or false.
pub const GLOBAL: [&str; 14] = [
    "add_databases",
    "add_domains",
    "add_firewalls",
    "add_images",
    "add_linodes",
    "add_longview",
    "add_nodebalancers",
    "add_placement_groups",
    "add_stackscripts",
    "add_volumes",
    "add_vpcs",
    "cancel_account",
    "child_account_access",
    "longview_subscription",
];

impl RestrictedToken {
    /// Whether it may change an object; `None`: it does not see it.
    pub fn grant(&self, entity: &str, id: u64) -> Option<bool> {
        self.objects.get(entity)?.get(&id).copied()
    }
}

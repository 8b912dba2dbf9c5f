//! What an audit is told from outside: the time, drills, where state is kept, settings of the environment, what the clouds say.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::address::Address;
use crate::engine::observed::Observation;
use crate::engine::plan::checks::offers::ReadOffers;
use crate::engine::plan::model::change::Foreign;
use crate::engine::value::Value;

/// Facts that the layers do not hold.
#[derive(Debug, Clone, Default)]
pub struct AuditFacts {
    /// In milliseconds since the Unix epoch.
    pub now: i64,
    /// The stack lives in the sandbox, where nobody's data is.
    pub in_sandbox: bool,
    pub store: Store,
    /// The second copy, if there is one.
    pub mirror: Option<Store>,
    /// A third store decides whether one copy goes on without the other.
    pub has_witness: bool,
    /// Settings of this environment that lead into a fault domain: `AWS_REGION` → `aws:us-east-1`.
    pub settings: Vec<(String, String)>,
    pub drills: Vec<Drill>,
    /// Overlays with an instance of their own, and those that they rehearse.
    pub rehearsals: BTreeMap<String, Vec<String>>,
    /// Tasks of which a program cannot be started here, and why.
    pub missing_programs: BTreeMap<String, String>,
    /// Reports that could not be read, and why.
    pub unread: Vec<String>,
    /// What the clouds said; `None`: they were not asked.
    pub online: Option<Online>,
    /// What they said of what they offer; `None`: they were not asked.
    pub offers: Option<ReadOffers>,
}

/// Where state is kept.
#[derive(Debug, Clone, Default)]
pub struct Store {
    /// For people: `state/woocommerce`.
    pub shown: String,
    /// What it is lost with, where that is known.
    pub fault_domain: Option<String>,
}

/// A rehearsal that was reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drill {
    /// The overlays that it switched to.
    pub overlays: Vec<String>,
    /// When it ended, in milliseconds since the Unix epoch.
    pub at: i64,
    pub passed: bool,
    /// The tasks that it has done.
    pub tasks: BTreeSet<String>,
}

/// The world as it was seen.
#[derive(Debug, Clone, Default)]
pub struct Online {
    pub observed: BTreeMap<Address, Observation>,
    /// What differs from what is recorded: the attributes' names; none: the object is gone.
    pub drift: BTreeMap<Address, Vec<String>>,
    /// What is somebody else's, and takes users of ours.
    pub foreign: Vec<Foreign>,
    /// What somebody else's filters shut, in sentences.
    pub shut: Vec<String>,
}

impl Online {
    /// The texts of a list that the cloud tells about an object.
    pub fn list(&self, address: &Address, attribute: &str) -> Option<Vec<&str>> {
        let Some(Observation::Exists { attributes, .. }) = self.observed.get(address) else {
            return None;
        };
        match attributes.get(attribute)? {
            Value::List(items) => Some(items.iter().filter_map(Value::as_text).collect()),
            _ => None,
        }
    }
}

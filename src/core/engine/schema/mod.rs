//! What a kind is: attributes, what a change of each means, identity, containment and routes, as read from `kind.yaml`.

pub mod danger;
pub mod offers;
pub mod charge;
pub mod attribute;
pub mod routes;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use crate::engine::fast_map::FastMap;
pub use crate::engine::schema::attribute::{
    Attribute, DefaultWithout, Encode, FormBy, LeadsTo, Lookup, MadeWith, Normalize, OnChange,
    OnShrink, Pick, ReadRule, Slow, TextForm, Type,
};
use crate::engine::schema::charge::{Charge, PriceTable};
pub use crate::engine::schema::danger::{Packets, Risk, Sort};
pub use crate::engine::schema::offers::{AccountDefault, Available, Chosen, Quota, Shipped, Wants};
pub use crate::engine::schema::routes::{GrantRoutes, Ready, RestRoutes, UpdateGroup};
use crate::engine::value::{Attributes, Value};

/// Every kind that stacks may use, by name.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    pub kinds: BTreeMap<String, Kind>,
    /// What the clouds offered when this lifeboat was built, by the name of the list.
    pub shipped: BTreeMap<String, Shipped>,
    /// Prices that no API tells, by the name of the table.
    pub prices: BTreeMap<String, PriceTable>,
}

impl Catalog {
    pub fn get(&self, name: &str) -> Option<&Kind> {
        self.kinds.get(name)
    }
}

/// One kind of resource.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kind {
    pub kind: String,
    pub summary: String,
    /// Longer words for `lifeboat kinds KIND`.
    #[serde(default)]
    pub doc: String,
    /// Which driver of `cloud` acts on it: `linode` or `dynamodb`.
    pub provider: String,
    /// The prefix of its fault domains: `linode`, `aws`.
    pub cloud: String,
    /// Deleting or replacing it loses data.
    #[serde(default)]
    pub holds_data: bool,
    /// The attribute that carries the owner mark, where the kind is taggable.
    #[serde(default)]
    pub mark: Option<String>,
    pub fault_domain: FaultDomain,
    pub identity: Identity,
    /// The reference attribute that names what contains it; deleting the container deletes it.
    #[serde(default)]
    pub contains_in: Option<String>,
    /// Attributes whose change directs users.
    #[serde(default)]
    pub traffic: Vec<String>,
    /// How long users keep coming after traffic was directed elsewhere.
    #[serde(default)]
    pub drain: Option<Drain>,
    /// When an object of this kind has something behind it that can serve.
    #[serde(default)]
    pub serves_when: Option<ServesWhen>,
    /// How it finds out that what is behind it has failed.
    #[serde(default)]
    pub health_check: Option<HealthCheck>,
    /// When an object of this kind takes part in serving; always, where nothing is said.
    #[serde(default)]
    pub serves: Option<Serves>,
    /// The live attribute that says that it is being deleted.
    #[serde(default)]
    pub leaves: Option<LookAlikes>,
    /// The addresses from which it reaches what is behind it; a filter in front of that must let them in.
    #[serde(default)]
    pub reaches_from: Option<String>,
    /// The attribute with the port at which users come; a filter before what contains it must let them in.
    #[serde(default)]
    pub listens: Option<String>,
    /// Which packets it lets in, if it is a filter.
    #[serde(default)]
    pub packets: Option<Packets>,
    /// Values of an attribute with which `traffic` directs no users: a record that is only read.
    #[serde(default)]
    pub directs_nobody: Option<(String, Vec<String>)>,
    /// What an object is billed for; nothing: it is free. `None`: nobody knows.
    #[serde(default)]
    pub cost: Option<Vec<Charge>>,
    /// Which attribute says how much one object of this kind can do.
    #[serde(default)]
    pub capacity: Option<Capacity>,
    /// Attributes by which several objects make one serving set (law 7), e.g. records of one name.
    #[serde(default)]
    pub serving_set: Vec<String>,
    /// Values that count as one there, since users take objects of either for one another.
    #[serde(default)]
    pub serving_alike: Option<LookAlikes>,
    /// Objects beside which the cloud lets no other stand.
    #[serde(default)]
    pub excludes: Option<Excludes>,
    /// Objects of this kind are members of groups whose members hold the same data.
    #[serde(default)]
    pub group: Option<Membership>,
    /// At most one step at a time among objects that share these attributes.
    #[serde(default)]
    pub serialise_by: Vec<String>,
    pub attributes: FastMap<String, Attribute>,
    /// Rules over several attributes, each with its message.
    #[serde(default)]
    pub rules: Vec<KindRule>,
    #[serde(default)]
    pub rest: Option<RestRoutes>,
    /// Waits of kinds that a driver of their own serves.
    #[serde(default)]
    pub waits: Waits,
}

/// Where an object is lost together with others.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultDomain {
    /// `<cloud>:<value of this attribute>`.
    Region(String),
    /// The same as the object that this reference attribute names.
    Of(String),
    /// `linode:global` and the like.
    Global(String),
}

/// How long what is withdrawn is still used, because others remember it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drain {
    /// The attribute with the seconds that others may remember it for; 0 means what its container says.
    pub ttl: String,
    /// The attribute of the container that stands in.
    pub inherits: String,
    /// Seconds, where the container says nothing either.
    pub otherwise: u64,
}

/// Several values of one attribute that mean the same.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LookAlikes {
    pub attribute: String,
    pub values: Vec<String>,
}

/// What an attribute says of whether an object serves.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Serves {
    pub attribute: String,
    /// With any other value it does not serve.
    pub values: Vec<serde_json::Value>,
    /// The live attribute that says whether it was found healthy, where what contains it checks that.
    #[serde(default)]
    pub healthy: Option<Healthy>,
}

/// How the cloud says that something is healthy.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Healthy {
    pub attribute: String,
    pub is: Vec<String>,
}

/// With this value of an attribute an object stands alone: of those that agree in `by` there is no other.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Excludes {
    pub by: Vec<String>,
    pub attribute: String,
    pub value: String,
}

/// A live attribute that counts what serves.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServesWhen {
    /// The live attribute, a map of counts.
    pub attribute: String,
    /// Its member that must be at least 1.
    pub member: String,
    /// With this attribute at this value nothing is checked, so nothing can be waited for.
    pub unless: (String, String),
    /// How long it is waited for.
    pub within_seconds: u64,
    /// The longest pause between two reads; they come more often at first.
    pub poll_seconds: u64,
}

/// The attributes that describe a health check.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HealthCheck {
    pub method: String,
    /// The methods that look at what an application answers.
    pub deep: Vec<String>,
    pub path: String,
    /// Seconds between checks.
    pub interval: String,
    /// Seconds that one check may take.
    pub timeout: String,
    /// Failures in a row until it believes them.
    pub attempts: String,
}

/// How much one object can do, by the value of an attribute.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Capacity {
    pub attribute: String,
    /// What is counted, for people.
    pub unit: String,
    pub of: BTreeMap<String, u64>,
}

/// How members of a group without a primary know each other.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Membership {
    /// The attribute whose value all members share.
    pub name: String,
    /// The attribute in which members differ.
    pub region: String,
    /// The live attribute that lists the regions of the other members.
    pub others: String,
    /// With this attribute set to a living member's region, a create joins the group instead of founding one.
    #[serde(default)]
    pub join_as: Option<String>,
    /// What to write instead of a second object that founds a group of the same name.
    #[serde(default)]
    pub twice: Option<String>,
}

/// How the cloud tells two objects apart, and how an object is found without its id.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// Attributes that together name it.
    pub by: Vec<String>,
    #[serde(default)]
    pub rename: Rename,
    /// The cloud itself refuses a second object of the same identity.
    #[serde(default)]
    pub unique: bool,
    /// So long after it was made an object may be missing where it is looked for; `LIST_LAG` where nothing is said, and no
    /// time where the cloud refuses a second one.
    #[serde(default)]
    pub appears_within_seconds: Option<u64>,
    /// Small and capital letters are the same to the cloud there.
    #[serde(default)]
    pub caseless: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rename {
    InPlace,
    #[default]
    Never,
}

/// How long a list may lack what was made: in linodego's recordings a disk was missing from its list 15 s after it was made,
/// and present after 30 s.
pub const LIST_LAG: Duration = Duration::from_secs(30);

impl Identity {
    /// How long a create whose outcome is unknown is looked for before it counts as not made.
    pub fn appears_within(&self) -> Duration {
        match self.appears_within_seconds {
            Some(seconds) => Duration::from_secs(seconds),
            None if self.unique => Duration::ZERO,
            None => LIST_LAG,
        }
    }
}

/// A rule over several attributes, as a CEL expression over them; unset ones are null, carried ones are `self['table.name']`,
/// and so are those of what an attribute leads to: `self['config.nodebalancer.region']`. `ready` is null, or the list of
/// the attributes of the object itself that its `ready` condition tries.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KindRule {
    /// The rule holds when this is true.
    pub check: String,
    pub message: String,
    #[serde(default)]
    pub help: Option<String>,
    /// The attribute to point at, or `ready`.
    pub at: String,
}

/// How long a kind with a driver of its own is waited for, and how often it is read meanwhile.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Waits {
    #[serde(default)]
    pub ready: Option<ReadinessWait>,
    #[serde(default)]
    pub gone: Option<ReadinessWait>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReadinessWait {
    /// `timeouts` in a layer replace it.
    pub within_seconds: u64,
    /// The longest pause between two reads; they come more often at first.
    pub poll_seconds: u64,
}

impl Kind {
    /// The attribute that says whom a new member joins; no layer says it, and no record keeps it.
    pub fn join_as(&self) -> Option<&String> {
        self.group.as_ref()?.join_as.as_ref()
    }

    /// Whether the cloud says of what is there that it is being deleted.
    pub fn is_leaving(&self, seen: &Attributes) -> bool {
        self.leaves.as_ref().is_some_and(|it| {
            let status = seen.get(&it.attribute).and_then(Value::as_text);
            status.is_some_and(|status| it.values.iter().any(|it| it == status))
        })
    }

    /// The attributes that a stack may set.
    pub fn settable(&self) -> impl Iterator<Item = (&String, &Attribute)> {
        self.attributes.iter().filter(|(_, it)| !it.computed)
    }

    /// Whether a change of this attribute directs users.
    pub fn directs(&self, attribute: &str) -> bool {
        self.traffic.iter().any(|it| it == attribute)
    }

    /// Whether what an object with these values directs are users: some records are only read.
    pub fn directs_users<'a>(&self, value: impl Fn(&str) -> Option<&'a Value>) -> bool {
        self.directs_nobody.as_ref().is_none_or(|(attribute, values)| {
            let value = value(attribute).and_then(Value::as_text);
            value.is_none_or(|it| !values.iter().any(|nobody| nobody == it))
        })
    }

    /// The attribute of this name; `parent.name` is carried by the reference `parent`.
    pub fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes.get(name)
    }

    /// How long the slowest of these changes may take, where that is said.
    pub fn slowest(&self, changed: &[String]) -> Option<Duration> {
        let slow = changed.iter().filter_map(|it| self.attribute(it)?.slow.as_ref());
        slow.map(|it| Duration::from_secs(it.within_seconds)).max()
    }

    /// Makes of what an object is to be what a call of this group leaves it with.
    pub fn unset(&self, group: &str, changed: &[String], attributes: &mut Attributes) {
        for name in changed {
            if self.attribute(name).is_some_and(|it| it.is_unset_by(group)) {
                attributes.insert(name.clone(), Value::Null);
            }
        }
    }

    /// The names of reference attributes.
    pub fn references(&self) -> impl Iterator<Item = (&String, &Attribute)> {
        self.attributes.iter().filter(|(_, it)| it.kind == Type::Reference)
    }
}

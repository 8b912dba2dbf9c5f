//! What a kind is: attributes, what a change of each means, identity, containment and routes, as read from `kind.yaml`.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::engine::quick::QuickMap;
use crate::engine::value::Value;

/// Every kind that stacks may use, by name.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    pub kinds: BTreeMap<String, Kind>,
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
    /// Which attribute says how much one object of this kind can do.
    #[serde(default)]
    pub capacity: Option<Capacity>,
    /// Attributes by which several objects make one serving set (law 7), e.g. records of one name.
    #[serde(default)]
    pub serving_set: Vec<String>,
    /// Objects of this kind are members of groups whose members hold the same data.
    #[serde(default)]
    pub group: Option<Membership>,
    /// At most one step at a time among objects that share these attributes.
    #[serde(default)]
    pub serialise_by: Vec<String>,
    pub attributes: QuickMap<String, Attribute>,
    /// Rules over several attributes, each with its message.
    #[serde(default)]
    pub rules: Vec<Rule>,
    #[serde(default)]
    pub rest: Option<Rest>,
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
    pub within_seconds: u64,
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
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rename {
    InPlace,
    #[default]
    Never,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Type {
    Text,
    Int,
    Float,
    Bool,
    List,
    /// A list whose order and repetitions mean nothing.
    Set,
    Map,
    /// Another resource; its value is that resource's id.
    Reference,
    Any,
}

impl Type {
    /// The word for messages.
    pub fn word(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Int => "an integer",
            Self::Float => "a number",
            Self::Bool => "true or false",
            Self::List | Self::Set => "a list",
            Self::Map => "a map",
            Self::Reference => "a reference",
            Self::Any => "any value",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnChange {
    #[default]
    Update,
    Replace,
    /// The kind cannot change it and replacing would be wrong: refused at plan.
    Refuse,
}

/// One attribute of a kind.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attribute {
    #[serde(rename = "type")]
    pub kind: Type,
    #[serde(default)]
    pub doc: String,
    /// The element type of a list, set or map.
    #[serde(default)]
    pub of: Option<Box<Attribute>>,
    /// The members of a map with fixed keys.
    #[serde(default)]
    pub members: Option<QuickMap<String, Attribute>>,
    /// The kind that a reference must name.
    #[serde(default)]
    pub to: Option<String>,
    /// Attributes of the referenced object that travel along as `<attribute>.<name>`.
    #[serde(default)]
    pub carries: Vec<String>,
    #[serde(default)]
    pub required: bool,
    /// Made by the cloud; cannot be set.
    #[serde(default)]
    pub computed: bool,
    /// A computed value that changes by itself: never drift, shown by `status` only.
    #[serde(default)]
    pub live: bool,
    /// `default` of the cloud or of lifeboat when the stack is silent.
    #[serde(default)]
    pub default: Option<serde_json::Value>,
    /// `address`: the default is `<stack>-<address>`.
    #[serde(default)]
    pub default_from: Option<String>,
    /// Silent in the stack means: whatever the cloud has.
    #[serde(default)]
    pub optional_computed: bool,
    #[serde(default)]
    pub sensitive: bool,
    /// Never read back; compared by fingerprint with what was last sent.
    #[serde(default)]
    pub write_only: bool,
    #[serde(default)]
    pub on_change: OnChange,
    /// Why a change means replace, for the plan.
    #[serde(default)]
    pub why: Option<String>,
    /// The update group that carries a change; empty: the plain update of the object.
    #[serde(default)]
    pub via: String,
    /// A computed value that is open again while one of these attributes changes.
    #[serde(default)]
    pub opened_by: Vec<String>,
    /// What users meet depends on it: home and a standby have the same.
    #[serde(default)]
    pub alike: bool,
    /// While it is true, the cloud can bring back what was overwritten or deleted in it.
    #[serde(default)]
    pub restores: bool,
    /// A PEM certificate, its chain behind it.
    #[serde(default)]
    pub certificate: bool,
    /// Values of this pattern exist in some regions only.
    #[serde(default)]
    pub regional: Option<String>,
    /// While it is true, the cloud itself refuses to delete the object.
    #[serde(default)]
    pub protects: bool,
    /// Cannot be given at creation: an update right after it carries it when it differs from the default.
    #[serde(default)]
    pub after_create: bool,
    /// Of a member of a group: its own, not the group's, so that joining does not bring it.
    #[serde(default)]
    pub own: bool,
    /// Of a member of a group: a change reaches all members, also those that are lost.
    #[serde(default)]
    pub group_wide: bool,
    /// Sent along, changed or not, whenever this one is sent.
    #[serde(default)]
    pub together: Vec<String>,
    /// The name on the wire, dotted when nested; the attribute's own name when empty.
    #[serde(default)]
    pub wire: Option<String>,
    /// How it is found in what the cloud answers, where that is not its wire name.
    #[serde(default)]
    pub read: Option<Read>,
    #[serde(default)]
    pub encode: Option<Encode>,
    #[serde(default)]
    pub one_of: Vec<String>,
    #[serde(default)]
    pub range: Option<(i64, i64)>,
    /// Length of a text in characters, or of a list in items.
    #[serde(default)]
    pub length: Option<(usize, usize)>,
    /// Limit of a text in bytes.
    #[serde(default)]
    pub max_bytes: Option<usize>,
    #[serde(default)]
    pub pattern: Option<String>,
    /// What the pattern means, for people.
    #[serde(default)]
    pub pattern_says: Option<String>,
    /// What the cloud makes of a value; applied before comparing.
    #[serde(default)]
    pub normalise: Vec<Normalise>,
    /// The values that the cloud stores; others are rounded up to the next one.
    #[serde(default)]
    pub rounds_up_to: Vec<i64>,
}

/// How the cloud rewrites a value.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Normalise {
    LowerCase,
    TrimSpace,
    TrimTrailingDot,
    /// Cuts `.<value of that attribute>` off the end; the value itself becomes empty.
    TrimSuffixOf(String),
    /// An unset value and this one are the same.
    EmptyIsNull,
}

/// Where in an answer an attribute is found.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Read {
    /// Dotted path in the object.
    #[serde(default)]
    pub field: Option<String>,
    #[serde(default)]
    pub pick: Option<Pick>,
    /// Looked up in another list instead of in the object itself.
    #[serde(default)]
    pub lookup: Option<Lookup>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pick {
    /// The first public address of a list.
    Public,
    /// The first private address (192.168.0.0/16) of a list.
    Private,
    /// Whether the list has a private address.
    HasPrivate,
    /// An address without its prefix length.
    WithoutPrefix,
    /// Whether the text is one of these.
    OneOf(Vec<String>),
}

/// Finds a value in another list: the `take` of the row whose `entities` name this object.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lookup {
    pub list: String,
    /// The array field of a row that names objects.
    pub within: String,
    /// The `type` that names this kind there.
    pub entity: String,
    pub take: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encode {
    Base64,
}

/// A rule over several attributes, as a CEL expression over them; unset ones are null, carried ones are `self['table.name']`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The rule holds when this is true.
    pub check: String,
    pub message: String,
    #[serde(default)]
    pub help: Option<String>,
    /// The attribute to point at.
    pub at: String,
}

/// The routes of a kind that the REST driver serves. `{name}` in a path is an attribute or a carried one; `{id}` the object's id.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rest {
    pub collection: String,
    /// The list can be filtered by these identity attributes.
    #[serde(default)]
    pub filter: Vec<String>,
    /// Named updates: `via` of an attribute names one.
    #[serde(default)]
    pub groups: BTreeMap<String, Group>,
    #[serde(default)]
    pub ready: Option<Ready>,
}

/// One way of updating an object.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// `post` or `put`.
    pub method: String,
    /// Below the object's own path; empty is the object itself.
    #[serde(default)]
    pub path: String,
    /// All these attributes are sent, changed or not.
    #[serde(default)]
    pub whole: Vec<String>,
    /// Constant members of the body.
    #[serde(default)]
    pub with: BTreeMap<String, serde_json::Value>,
    /// The path depends on a bool attribute: when true, when false.
    #[serde(default)]
    pub switch: Option<(String, String)>,
    /// The attribute itself is not sent.
    #[serde(default)]
    pub no_body: bool,
    /// The attribute is sent as a list of one under this name, unset as an empty list.
    #[serde(default)]
    pub list_of: Option<String>,
    /// Leading part of the wire names that is not sent here.
    #[serde(default)]
    pub cut: Option<String>,
    /// The object is not ready right afterwards.
    #[serde(default)]
    pub settles: bool,
}

/// When a created or changed object can be used.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ready {
    pub field: String,
    /// Ready values; several bool attributes may choose between them.
    pub is: Vec<String>,
    /// When this bool attribute is false, `or` is ready instead.
    #[serde(default)]
    pub unless: Option<String>,
    #[serde(default)]
    pub or: Vec<String>,
    /// When this attribute is unset, `or` is ready instead.
    #[serde(default)]
    pub unless_null: Option<String>,
    /// No event of this entity type may be scheduled or started.
    #[serde(default)]
    pub quiet: Option<String>,
    pub within_seconds: u64,
    pub poll_seconds: u64,
}

/// How long a driver of its own may wait, and how often it looks.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Waits {
    #[serde(default)]
    pub ready: Option<Wait>,
    #[serde(default)]
    pub gone: Option<Wait>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wait {
    pub within_seconds: u64,
    pub poll_seconds: u64,
}

impl Kind {
    /// The attribute that says whom a new member joins; no layer says it, and no record keeps it.
    pub fn join_as(&self) -> Option<&String> {
        self.group.as_ref()?.join_as.as_ref()
    }

    /// The attributes that a stack may set.
    pub fn settable(&self) -> impl Iterator<Item = (&String, &Attribute)> {
        self.attributes.iter().filter(|(_, it)| !it.computed)
    }

    /// Whether a change of this attribute directs users.
    pub fn directs(&self, attribute: &str) -> bool {
        self.traffic.iter().any(|it| it == attribute)
    }

    /// The attribute of this name; `parent.name` is carried by the reference `parent`.
    pub fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes.get(name)
    }

    /// The names of reference attributes.
    pub fn references(&self) -> impl Iterator<Item = (&String, &Attribute)> {
        self.attributes.iter().filter(|(_, it)| it.kind == Type::Reference)
    }
}

impl Attribute {
    /// Lifeboat's or the cloud's default as a value.
    pub fn default_value(&self) -> Option<Value> {
        self.default.as_ref().map(Value::from_json)
    }
}

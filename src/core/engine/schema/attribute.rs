//! What an attribute is: its type and limits, what a change of it means, and how it stands on the wire.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::engine::fast_map::FastMap;
use crate::engine::schema::danger::Risk;
use crate::engine::schema::offers::{AccountDefault, Chosen, Quota, Wants};
use crate::engine::value::Value;

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

/// A change to a value that counts for less may mean something else than other changes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OnShrink {
    pub becomes: OnChange,
    /// Why, for the plan.
    pub why: String,
    /// What each text counts for; nothing is said of a change from or to another one. Numbers count for themselves.
    #[serde(default)]
    pub of: BTreeMap<String, u64>,
}

/// One attribute of a kind.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attribute {
    #[serde(rename = "type")]
    pub kind: Type,
    #[serde(default)]
    pub doc: String,
    /// Of a computed text: one that the cloud may make, to check what is made of it before it is known.
    #[serde(default)]
    pub like: Option<String>,
    /// Of a computed value: the cloud makes it only while another attribute has a certain value.
    #[serde(default)]
    pub made_with: Option<MadeWith>,
    /// Of a text: the object that it leads to when it is made of that one's attributes; rules see it as
    /// `self['<attribute>.<name>']`.
    #[serde(default)]
    pub leads_to: Option<LeadsTo>,
    /// The element type of a list, set or map.
    #[serde(default)]
    pub of: Option<Box<Attribute>>,
    /// The members of a map with fixed keys.
    #[serde(default)]
    pub members: Option<FastMap<String, Attribute>>,
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
    /// What a change to a smaller value means, where that is not `on_change`.
    #[serde(default)]
    pub on_shrink: Option<OnShrink>,
    /// The update group that carries a change; empty: the plain update of the object.
    #[serde(default)]
    pub via: String,
    /// The update group that unsets it, where `via` can only set it. From one value to another leads over both: it is unset,
    /// that is waited for, and it is set.
    #[serde(default)]
    pub unset_via: Option<String>,
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
    /// Changes of it that a reader of a plan must not overlook.
    #[serde(default)]
    pub risks: Vec<Risk>,
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
    pub read: Option<ReadRule>,
    #[serde(default)]
    pub encode: Option<Encode>,
    #[serde(default)]
    pub one_of: Vec<String>,
    /// What is good beside the choices: a pattern, and what it means in words.
    #[serde(default)]
    pub or_matches: Option<String>,
    #[serde(default)]
    pub or_says: Option<String>,
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
    /// The form of a text that a pattern does not tell well.
    #[serde(default)]
    pub form: Option<TextForm>,
    /// Its form, by the value of another attribute.
    #[serde(default)]
    pub form_by: Option<FormBy>,
    /// What a text may not hold.
    #[serde(default)]
    pub forbids: Vec<String>,
    /// What a text may not begin with.
    #[serde(default)]
    pub forbids_prefix: Vec<String>,
    /// The limits of the names in a map whose names are the user's own.
    #[serde(default)]
    pub names: Option<Box<Attribute>>,
    /// The list of the cloud that its values come from.
    #[serde(default)]
    pub chosen: Option<Chosen>,
    /// What the values of other attributes must be capable of.
    #[serde(default)]
    pub wants: Vec<Wants>,
    /// What the account decides where the stack is silent.
    #[serde(default)]
    pub account_default: Option<AccountDefault>,
    /// What the account may have of it, where the cloud tells that.
    #[serde(default)]
    pub quota: Option<Quota>,
    /// A change from one value to another takes so long that it is said beforehand, and waited for.
    #[serde(default)]
    pub slow: Option<Slow>,
    /// The default where another attribute is not set.
    #[serde(default)]
    pub default_without: Option<DefaultWithout>,
    /// What the cloud makes of a value; applied before comparing.
    #[serde(default)]
    pub normalise: Vec<Normalize>,
    /// The values that the cloud stores; others are rounded up to the next one.
    #[serde(default)]
    pub rounds_up_to: Vec<i64>,
}

/// What a text is, where that takes more than a pattern to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TextForm {
    Ipv4,
    Ipv6,
    Ip,
    /// Address and mask.
    Ipv4Network,
    Ipv6Network,
    /// A name that DNS resolves; a dot at its end is taken off by whoever keeps it.
    Host,
    /// The name of a zone.
    Zone,
    /// A name inside a zone.
    RecordName,
    NoTrailingDot,
    Email,
    /// Ports and ranges of ports.
    Ports,
    /// Private address and port of what a load balancer sends users to.
    Backend,
    /// An OpenSSH public key.
    PublicKey,
    /// PEM certificates, the own one first.
    Certificate,
    /// A private key in PEM, without a passphrase.
    PrivateKey,
}

/// The form of a value, by the value of another attribute.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FormBy {
    pub attribute: String,
    pub of: BTreeMap<String, TextForm>,
}

/// A change that the cloud makes in its own time.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slow {
    /// How long it is waited for.
    pub within_seconds: u64,
    /// What happens, for the plan.
    pub says: String,
}

/// Without this value of another attribute there is none.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MadeWith {
    pub attribute: String,
    pub is: serde_json::Value,
}

/// Which attributes of which kind make a text lead to an object.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeadsTo {
    pub kind: String,
    pub by: Vec<String>,
}

/// A default that holds while another attribute is not set.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DefaultWithout {
    pub attribute: String,
    pub then: serde_json::Value,
}

/// How the cloud rewrites a value.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Normalize {
    LowerCase,
    TrimSpace,
    TrimTrailingDot,
    /// Cuts `.<value of that attribute>` off the end; the value itself becomes empty.
    TrimSuffixOf(String),
    /// An unset value and this one are the same.
    EmptyIsNull,
    /// Takes this off the beginning, as often as it is there.
    TrimPrefix(String),
    /// An address, or a network, in the one spelling that RFC 5952 recommends.
    Address,
    /// A name without a dot gets that attribute's value behind it.
    Qualify(String),
    /// Whatever was written: `_{service}._{protocol}` with the normalised values of these attributes.
    Made(String),
    /// Other words for the same, each with the one that counts.
    Named(BTreeMap<String, String>),
    /// Only while another attribute has one of these values.
    When(RiskWhen),
}

/// What is done to a value while another attribute has one of these.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RiskWhen {
    pub attribute: String,
    pub is: Vec<String>,
    pub then: Vec<Normalize>,
}

/// Where in an answer an attribute is found.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReadRule {
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

impl TextForm {
    /// Too long for a message, or too secret even where nobody said so.
    pub fn is_hidden(self) -> bool {
        matches!(self, Self::Certificate | Self::PrivateKey)
    }
}

impl MadeWith {
    /// Whether the cloud makes it for an object of these attributes; `None`: that is not known yet.
    pub fn holds<'a>(&self, value: impl Fn(&str) -> Option<&'a Value>) -> Option<bool> {
        let has = value(&self.attribute).filter(|it| !it.has_open() && !it.has_secret())?;
        Some(*has == Value::from_json(&self.is))
    }
}

/// How much a value is; `None`: nobody says.
fn amount(shrink: &OnShrink, value: &Value) -> Option<i128> {
    match value {
        Value::Int(number) => Some(i128::from(*number)),
        other => shrink.of.get(other.as_text()?).copied().map(i128::from),
    }
}

impl Attribute {
    /// What a map takes under a key: the member of that name, else what all of them are.
    pub fn member(&self, key: &str) -> Option<&Self> {
        let members = self.members.as_ref();
        members.and_then(|it| it.get(key)).or(self.of.as_deref())
    }

    /// Whether it is a reference or holds some, in elements or in members.
    pub fn has_references(&self) -> bool {
        let members = self.members.iter().flat_map(|it| it.values());
        self.kind == Type::Reference
            || self.of.as_deref().into_iter().chain(members).any(Self::has_references)
    }

    /// The update groups that lead from one value to another, one after the other.
    pub fn ways(&self, before: &Value, after: &Value) -> impl Iterator<Item = &str> {
        let unset = self.unset_via.as_deref().filter(|_| !before.is_null());
        let set = (unset.is_none() || !after.is_null()).then_some(self.via.as_str());
        unset.into_iter().chain(set)
    }

    /// Whether a call of this group leaves it without a value.
    pub fn is_unset_by(&self, group: &str) -> bool {
        self.unset_via.as_deref() == Some(group)
    }

    /// The choices, in words.
    pub fn choices(&self) -> String {
        let or = self.or_says.as_ref().map_or_else(String::new, |it| format!(", or {it}"));
        format!("one of {}{or}", self.one_of.join(", "))
    }

    /// Lifeboat's or the cloud's default as a value.
    pub fn default_value(&self) -> Option<Value> {
        self.default.as_ref().map(Value::from_json)
    }

    /// What a change from one value to another means, and why.
    pub fn meaning(&self, before: &Value, after: &Value) -> (OnChange, Option<&str>) {
        let shrinks = self.on_shrink.as_ref().filter(|it| {
            amount(it, before).zip(amount(it, after)).is_some_and(|(had, wanted)| wanted < had)
        });
        match shrinks {
            Some(it) => (it.becomes, Some(&it.why)),
            None => (self.on_change, self.why.as_deref()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Attribute, OnChange};
    use crate::engine::value::Value;

    fn attribute(yaml: &str) -> Attribute {
        serde_yaml::from_str(yaml).unwrap()
    }

    fn meaning(of: &Attribute, before: impl Into<Value>, after: impl Into<Value>) -> OnChange {
        of.meaning(&before.into(), &after.into()).0
    }

    #[test]
    fn meaning_compares_numbers_themselves_and_texts_by_their_amount() {
        let size = attribute("{ type: int, on_shrink: { becomes: refuse, why: it only grows } }");
        assert_eq!(meaning(&size, 20, 10), OnChange::Refuse);
        assert_eq!(meaning(&size, 10, 20), OnChange::Update);
        assert_eq!(meaning(&size, 20, Value::Open), OnChange::Update, "nobody knows yet");
        assert_eq!(size.meaning(&20.into(), &10.into()).1, Some("it only grows"));
        let plan = "{ type: text, on_shrink: { becomes: replace, why: no, of: { a: 1, b: 2 } } }";
        let plan = attribute(plan);
        assert_eq!(meaning(&plan, "b", "a"), OnChange::Replace);
        assert_eq!(meaning(&plan, "a", "b"), OnChange::Update);
        assert_eq!(meaning(&plan, "c", "a"), OnChange::Update);
    }

    #[test]
    fn ways_lead_over_unset_and_set_where_groups_differ() {
        let ways = |of: &Attribute, before: Value, after: Value| {
            of.ways(&before, &after).collect::<Vec<_>>().join(", ")
        };
        let at = attribute("{ type: reference, via: attach, unset_via: detach }");
        assert_eq!(ways(&at, Value::Null, "1".into()), "attach");
        assert_eq!(ways(&at, "1".into(), Value::Null), "detach");
        assert_eq!(ways(&at, "1".into(), "2".into()), "detach, attach");
        assert_eq!(ways(&at, "1".into(), Value::Open), "detach, attach");
        let plain = attribute("{ type: text, via: rules }");
        assert_eq!(ways(&plain, "1".into(), Value::Null), "rules");
        assert!(at.is_unset_by("detach") && !at.is_unset_by("attach") && !plain.is_unset_by(""));
    }
}

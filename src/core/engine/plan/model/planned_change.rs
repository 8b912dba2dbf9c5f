//! A change with what its steps are made from, and the name of the serving set it belongs to.

use std::borrow::Cow;

use crate::engine::lang::model::Instance;
use crate::engine::normalize::{identifying, normalise};
use crate::engine::ownership_tag::short;
use crate::engine::plan::model::change::{Action, Change};
use crate::engine::schema::{Kind, Rename};
use crate::engine::state::record::Record;
use crate::engine::value::{Attributes, Value};

/// A change with everything that steps are made from.
pub struct PlannedChange<'a> {
    pub change: Change,
    pub kind: &'a Kind,
    /// Lent by the record where that says just the same.
    pub desired: Option<Cow<'a, Attributes>>,
    pub record: Option<&'a Record>,
    pub instance: Option<&'a Instance>,
    pub not_ready: bool,
}

/// Whether an interrupted replace left an older incarnation.
pub fn is_deposed(it: &PlannedChange<'_>) -> bool {
    it.record.is_some_and(|it| it.deposed.is_some())
}

/// What a record keeps. That a write-only attribute is unset is kept, too: no cloud will ever tell.
pub fn kept(kind: &Kind, attributes: &Attributes) -> Attributes {
    let mut kept = attributes.clone();
    kept.retain(|name, it| !it.is_null() && kind.join_as() != Some(name));
    for (name, _) in kind.settable().filter(|(_, it)| it.write_only) {
        kept.entry(name.clone()).or_insert(Value::Null);
    }
    kept
}

/// The length of the digest at the end of a name, while its owner exists beside what it replaces. 25 bits are enough to tell
/// two such names apart, and some names may have 32 characters only.
const DIGEST: usize = 5;

/// The name under which something is made beside what it replaces.
pub fn name_beside(kind: &Kind, attribute: &str, name: &str, seed: &str) -> String {
    format!("{}-{}", cut(kind, attribute, name), short(seed, DIGEST))
}

/// Whether what is recorded is such a name of what is to be called so: its replace was cut before it was renamed.
pub fn is_name_beside(kind: &Kind, attribute: &str, recorded: &str, name: &str) -> bool {
    let is_digest = |it: &str| {
        it.len() == DIGEST && it.bytes().all(|it| matches!(it, b'a'..=b'z' | b'2'..=b'7'))
    };
    kind.identity.rename == Rename::InPlace
        && kind.identity.by.last().is_some_and(|it| it == attribute)
        && recorded
            .rsplit_once('-')
            .is_some_and(|(kept, digest)| kept == cut(kind, attribute, name) && is_digest(digest))
}

/// As much of a name as leaves room for the rest.
fn cut(kind: &Kind, attribute: &str, name: &str) -> String {
    let room = kind.attributes.get(attribute).and_then(|it| it.length).map_or(64, |it| it.1);
    let cut: String = name.chars().take(room.saturating_sub(DIGEST + 1)).collect();
    // Two separators in a row are refused.
    cut.trim_end_matches(['-', '_', '.']).to_owned()
}

/// What tells an object from every other of its kind; `None` while a part of it is open. Records that users take for one
/// another are one.
pub fn identity_of(kind: &Kind, attributes: &Attributes) -> Option<String> {
    let names = if kind.drain.is_some() { &kind.serving_set } else { &kind.identity.by };
    joined(kind, names, attributes)
}

/// What users look an object up by, where any object of that name and sort serves them: a second one of somebody else's takes
/// its share of them. Objects of another sort are not taken for it, and neither is one that stands for every name.
pub fn looked_up_by(kind: &Kind, attributes: &Attributes) -> Option<String> {
    let alike = kind.serving_alike.as_ref().filter(|_| kind.drain.is_some())?;
    let sort = attributes.get(&alike.attribute)?.as_text()?;
    if !alike.values.iter().any(|it| it == sort) {
        return None;
    }
    let mut parts = vec![kind.kind.clone()];
    for name in &kind.serving_set {
        let value = identifying(kind, name, attributes.get(name)?, attributes);
        if value.has_open() || value.has_secret() {
            return None;
        }
        parts.push(value.json().to_string());
    }
    Some(parts.join(" "))
}

/// The identity of which the cloud lets there be one only; `None` where it does not care, or where a part of it is open.
pub fn unique_identity(kind: &Kind, attributes: &Attributes) -> Option<String> {
    joined(kind, &kind.identity.by, attributes).filter(|_| kind.identity.unique)
}

/// The place at which an object of this kind may have to stand alone.
pub fn place_alone(kind: &Kind, attributes: &Attributes) -> Option<String> {
    joined(kind, &kind.excludes.as_ref()?.by, attributes)
}

/// Whether the cloud lets these two not stand beside each other.
pub fn excludes(kind: &Kind, one: &Attributes, other: &Attributes) -> bool {
    let Some(rule) = &kind.excludes else { return false };
    let alone = |it: &Attributes| {
        it.get(&rule.attribute).and_then(Value::as_text).is_some_and(|it| it == rule.value)
    };
    (alone(one) || alone(other))
        && place_alone(kind, one).is_some_and(|it| Some(it) == place_alone(kind, other))
}

/// Several values as one word; `None` while one of them is open.
fn joined(kind: &Kind, names: &[String], attributes: &Attributes) -> Option<String> {
    let mut parts = vec![kind.kind.clone()];
    for name in names {
        let value = attributes.get(name)?;
        let value = identifying(kind, name, value, attributes);
        if value.has_open() || value.has_secret() {
            return None;
        }
        parts.push(word(kind, name, &value));
    }
    Some(parts.join(" "))
}

/// A value in the name of a serving set or an identity; users may take several for one.
fn word(kind: &Kind, name: &str, value: &Value) -> String {
    let alike = kind.serving_alike.as_ref().filter(|it| {
        it.attribute == name
            && value.as_text().is_some_and(|it2| it.values.iter().any(|it| it == it2))
    });
    alike.map_or_else(|| value.json().to_string(), |it| it.values.join("|"))
}

/// The name of the serving set that an object of these attributes is in.
pub fn set_name(kind: &Kind, attributes: &Attributes) -> String {
    let parts: Vec<String> = kind
        .serving_set
        .iter()
        .map(|name| {
            let value = attributes.get(name).cloned().unwrap_or_default();
            word(kind, name, &normalise(kind, name, &value, attributes))
        })
        .collect();
    format!("{} {}", kind.kind, parts.join(" "))
}

/// Whether a change directs users: to something new, or away from something.
pub fn directs(kind: &Kind, change: &Change) -> bool {
    match change.action {
        Action::Create | Action::Delete => !kind.traffic.is_empty(),
        Action::Update | Action::Replace { .. } => {
            change.attributes.iter().any(|it| kind.directs(&it.name))
        }
        _ => false,
    }
}

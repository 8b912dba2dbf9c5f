//! Compares desired with recorded and observed, attribute by attribute, and says what each difference means.

use crate::engine::observed::Observation;
use crate::engine::plan::change::AttributeChange;
use crate::engine::plan::normalise::normalise;
use crate::engine::schema::{Attribute, Kind, OnChange, Type};
use crate::engine::stack::resolve::Resolved;
use crate::engine::state::record::Record;
use crate::engine::value::{Attributes, LineageKey, Secret, Value};

/// What differs, before any decision about the whole object.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Difference {
    pub changes: Vec<AttributeChange>,
    /// Attributes that no plan may change: name and why.
    pub refused: Vec<String>,
}

impl Difference {
    pub fn replaces(&self) -> bool {
        self.changes.iter().any(|it| it.replaces.is_some())
    }
}

/// Everything one comparison looks at.
pub struct Sides<'a> {
    pub kind: &'a Kind,
    pub desired: &'a Resolved,
    pub record: Option<&'a Record>,
    pub observed: Option<&'a Attributes>,
    pub key: Option<&'a LineageKey>,
    pub ignore: &'a [String],
}

/// Which attributes differ.
pub fn diff(sides: &Sides<'_>, place: impl Fn(&str) -> Option<String>) -> Difference {
    let mut difference = Difference::default();
    for (name, attribute) in sides.kind.settable() {
        if sides.record.is_some() && sides.ignore.contains(name) {
            continue;
        }
        if is_as_it_was(sides, name, attribute) {
            continue;
        }
        let Some(after) = wanted(sides, name, attribute) else { continue };
        let before = had(sides, name, attribute);
        if is_same(sides, name, attribute, &before, &after) {
            continue;
        }
        let replaces =
            (sides.record.is_some() && attribute.on_change == OnChange::Replace).then(|| {
                attribute.why.clone().unwrap_or_else(|| "it cannot be changed in place".into())
            });
        if sides.record.is_some() && attribute.on_change == OnChange::Refuse {
            difference.refused.push(name.clone());
        }
        difference.changes.push(AttributeChange {
            name: name.clone(),
            before: seal(&before, sides.key),
            after: seal(&after, sides.key),
            replaces,
            place: place(name),
        });
    }
    difference
}

/// The common case, without a copy: what is desired is what is there, to the letter.
fn is_as_it_was(sides: &Sides<'_>, name: &str, attribute: &Attribute) -> bool {
    let desired = sides.desired.attributes.get(name);
    let recorded = sides.record.and_then(|it| it.attributes.get(name));
    let observed = sides.observed.filter(|_| !attribute.write_only).and_then(|it| it.get(name));
    match (desired, observed.or(recorded)) {
        (Some(desired), Some(there)) => desired == there && !desired.has_open(),
        (None, there) => {
            let silent = !sides.desired.given.contains(name) && recorded.is_none();
            silent && (there.is_none() || attribute.optional_computed)
        }
        (Some(_), None) => false,
    }
}

/// The desired value, or `None` when the stack does not care.
fn wanted(sides: &Sides<'_>, name: &str, attribute: &Attribute) -> Option<Value> {
    let value = sides.desired.attributes.get(name).cloned().unwrap_or_default();
    // A secret that nobody gave means "unchanged" for what exists.
    if is_missing_secret(&value) && sides.record.is_some_and(|it| it.attributes.contains_key(name))
    {
        return None;
    }
    if sides.desired.given.contains(name) || !value.is_null() {
        return Some(value);
    }
    if attribute.optional_computed {
        return None;
    }
    // Silent now, and set by the last apply: it is to be unset.
    let was_set =
        sides.record.is_some_and(|it| it.attributes.get(name).is_some_and(|it| !it.is_null()));
    was_set.then_some(Value::Null)
}

/// A sensitive value that is not known: the variable behind it was not given.
pub fn is_missing_secret(value: &Value) -> bool {
    matches!(value, Value::Secret(secret) if secret.expose().has_open())
}

/// The value it has: observed where the cloud tells it, else recorded.
fn had(sides: &Sides<'_>, name: &str, attribute: &Attribute) -> Value {
    let recorded =
        || sides.record.and_then(|it| it.attributes.get(name)).cloned().unwrap_or_default();
    if attribute.write_only {
        return recorded();
    }
    let Some(observed) = sides.observed.and_then(|it| it.get(name)) else { return recorded() };
    let known =
        [sides.desired.attributes.get(name), sides.record.and_then(|it| it.attributes.get(name))];
    match known.into_iter().flatten().find(|it| it.has_secret()) {
        Some(secret) => conceal(observed, secret),
        None => observed.clone(),
    }
}

/// What the cloud tells is as secret as what we asked for: only parts that we hold in clear stay in clear.
fn conceal(observed: &Value, like: &Value) -> Value {
    match (observed, like) {
        (Value::List(items), Value::List(likes)) => {
            let hide = |it: &Value| {
                if likes.contains(it) { it.clone() } else { Value::Secret(Secret::new(it.clone())) }
            };
            Value::List(items.iter().map(hide).collect())
        }
        (Value::Map(map), Value::Map(likes)) => Value::Map(
            map.iter()
                .map(|(name, it)| match likes.get(name).filter(|it| it.has_secret()) {
                    Some(like) => (name.clone(), conceal(it, like)),
                    None => (name.clone(), it.clone()),
                })
                .collect(),
        ),
        (Value::Null, _) => Value::Null,
        (other, _) => Value::Secret(Secret::new(other.clone())),
    }
}

fn is_same(
    sides: &Sides<'_>,
    name: &str,
    attribute: &Attribute,
    before: &Value,
    after: &Value,
) -> bool {
    if after.has_open() {
        return false;
    }
    let Some(record) = sides.record else { return after.is_null() };
    // Never recorded (adopted) and never told by the cloud: not compared, never a change.
    if attribute.write_only && !record.attributes.contains_key(name) {
        return true;
    }
    let before = normalise(sides.kind, name, before, &sides.desired.attributes);
    let after = normalise(sides.kind, name, after, &sides.desired.attributes);
    let after = in_order(attribute, seal(&after, sides.key));
    let before = in_order(attribute, seal(&before, sides.key));
    let unset = |it: &Value| {
        it.is_null()
            || matches!(it, Value::Text(text) if text.is_empty())
            || matches!(it, Value::List(items) if items.is_empty())
            || matches!(it, Value::Map(map) if map.is_empty())
    };
    before == after || (unset(&before) && unset(&after))
}

/// Sets are ordered by what may be seen of them: sealing changes that.
fn in_order(attribute: &Attribute, value: Value) -> Value {
    match value {
        Value::List(mut items) if attribute.kind == Type::Set => {
            items.sort_by_cached_key(|it| it.json().to_string());
            Value::List(items)
        }
        other => other,
    }
}

/// The form that a plan may keep; before the first apply there is no key and a secret has no fingerprint.
pub fn seal(value: &Value, key: Option<&LineageKey>) -> Value {
    match key {
        Some(key) => value.sealed(key),
        None => Value::from_json(&value.json()),
    }
}

/// What the cloud says now against what was recorded: name, recorded, observed.
pub fn drift(
    kind: &Kind,
    record: &Record,
    observation: &Observation,
) -> Vec<(String, Value, Value)> {
    let Observation::Exists { attributes: observed, .. } = observation else { return Vec::new() };
    let mut found = Vec::new();
    for (name, attribute) in &kind.attributes {
        if attribute.live || attribute.write_only {
            continue;
        }
        let recorded = if attribute.computed { &record.outputs } else { &record.attributes };
        let (Some(before), Some(now)) = (recorded.get(name), observed.get(name)) else { continue };
        // What the cloud makes later than the object itself is news, not drift.
        if attribute.computed && before.is_null() {
            continue;
        }
        // A difference in a secret is a change, shown as such; nothing of it is shown here.
        if before == now || before.has_secret() {
            continue;
        }
        let normal = |it: &Value| normalise(kind, name, it, &record.attributes);
        if normal(before) != normal(now) && !(before.is_null() && is_default(attribute, now)) {
            found.push((name.clone(), before.clone(), now.clone()));
        }
    }
    found
}

/// The cloud filling in what nobody asked for is no drift.
fn is_default(attribute: &Attribute, value: &Value) -> bool {
    attribute.optional_computed
        || matches!(value, Value::Null)
        || matches!(value, Value::Text(text) if text.is_empty())
        || matches!(value, Value::List(items) if items.is_empty())
        || matches!(value, Value::Map(map) if map.is_empty())
        || attribute.default_value().as_ref() == Some(value)
}

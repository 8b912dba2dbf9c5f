//! Compares desired with recorded and observed, attribute by attribute, and says what each difference means.

use std::collections::btree_map;
use std::iter::Peekable;

use crate::engine::lang::resolve::Resolved;
use crate::engine::normalize::normalise;
use crate::engine::observed::Observation;
use crate::engine::plan::model::change::{AttributeChange, DriftedAttribute};
use crate::engine::schema::{Attribute, Kind, OnChange, Type};
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
pub struct DiffSides<'a> {
    pub kind: &'a Kind,
    pub desired: &'a Resolved,
    pub record: Option<&'a Record>,
    pub observed: Option<&'a Attributes>,
    pub key: Option<&'a LineageKey>,
    pub ignore: &'a [String],
}

/// Which attributes differ.
pub fn diff(sides: &DiffSides<'_>, place: impl Fn(&str) -> Option<String>) -> Difference {
    if is_all_as_it_was(sides) {
        return Difference::default();
    }
    one_by_one(sides, place)
}

fn one_by_one(sides: &DiffSides<'_>, place: impl Fn(&str) -> Option<String>) -> Difference {
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
        let (meaning, why) = attribute.meaning(&before, &after);
        let replaces = (sides.record.is_some() && meaning == OnChange::Replace)
            .then(|| why.unwrap_or("it cannot be changed in place").to_owned());
        if sides.record.is_some() && meaning == OnChange::Refuse {
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

/// The most common case, in one pass: desired, recorded and observed agree about everything, to the letter.
fn is_all_as_it_was(sides: &DiffSides<'_>) -> bool {
    let Some(record) = sides.record else { return false };
    let desired = &sides.desired.attributes;
    let mut pairs = Pairs::new(desired, sides.observed.into_iter().flatten());
    *desired == record.attributes
        && !desired.values().any(Value::has_open)
        && pairs.all(|(name, desired, observed)| match desired {
            Some(desired) => desired == observed,
            None => sides.kind.attribute(name).is_none_or(|it| it.computed),
        })
}

/// Each observed attribute beside the other side's of the same name; both sides are in the order of names.
struct Pairs<'a, I: Iterator<Item = (&'a String, &'a Value)>> {
    side: Peekable<btree_map::Iter<'a, String, Value>>,
    observed: I,
}

impl<'a, I: Iterator<Item = (&'a String, &'a Value)>> Pairs<'a, I> {
    fn new(side: &'a Attributes, observed: I) -> Self {
        Self { side: side.iter().peekable(), observed }
    }
}

impl<'a, I: Iterator<Item = (&'a String, &'a Value)>> Iterator for Pairs<'a, I> {
    type Item = (&'a String, Option<&'a Value>, &'a Value);

    fn next(&mut self) -> Option<Self::Item> {
        let (name, observed) = self.observed.next()?;
        while self.side.next_if(|(it, _)| *it < name).is_some() {}
        let beside = self.side.next_if(|(it, _)| *it == name).map(|(_, value)| value);
        Some((name, beside, observed))
    }
}

/// The common case, without a copy: what is desired is what is there, to the letter.
fn is_as_it_was(sides: &DiffSides<'_>, name: &str, attribute: &Attribute) -> bool {
    let desired = sides.desired.attributes.get(name);
    let recorded = sides.record.and_then(|it| it.attributes.get(name));
    let observed = sides.observed.filter(|_| !attribute.write_only).and_then(|it| it.get(name));
    match (desired, observed.or(recorded)) {
        (Some(desired), Some(there)) => desired == there && !desired.has_open(),
        (None, there) => {
            let silent = !sides.desired.is_given(name) && recorded.is_none();
            silent && (there.is_none() || attribute.optional_computed)
        }
        (Some(_), None) => false,
    }
}

/// The desired value, or `None` when the stack does not care.
fn wanted(sides: &DiffSides<'_>, name: &str, attribute: &Attribute) -> Option<Value> {
    let value = sides.desired.attributes.get(name).cloned().unwrap_or_default();
    // A secret that nobody gave means "unchanged" for what exists.
    if is_missing_secret(&value) && sides.record.is_some_and(|it| it.attributes.contains_key(name))
    {
        return None;
    }
    if sides.desired.is_given(name) || !value.is_null() {
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

/// Attributes that differ from what was applied, and are not compared with the layers because their secret is not given.
/// The fingerprint of what was applied tells so much without it.
pub fn uncompared(sides: &DiffSides<'_>) -> Vec<String> {
    let (Some(record), Some(_)) = (sides.record, sides.observed) else { return Vec::new() };
    let hides = |name: &String, attribute: &Attribute| {
        let desired = sides.desired.attributes.get(name)?;
        let applied = record.attributes.get(name).filter(|_| is_missing_secret(desired))?;
        // A fingerprint is of what was sent: what the cloud rewrites looks like another.
        let untold = attribute.write_only || !attribute.normalise.is_empty();
        (!untold
            && !sides.ignore.contains(name)
            && !is_same(sides, name, attribute, &had(sides, name, attribute), applied))
        .then(|| name.clone())
    };
    sides.kind.settable().filter_map(|(name, attribute)| hides(name, attribute)).collect()
}

/// A sensitive value that was computed from one that this run does not know: its variable was not given, or only its
/// fingerprint is recorded.
pub fn is_missing_secret(value: &Value) -> bool {
    match value {
        Value::Secret(secret) => secret.expose().has_withheld(),
        // One of several is as much missing as a single one.
        Value::List(items) => items.iter().any(is_missing_secret),
        Value::Map(map) => map.values().any(is_missing_secret),
        _ => false,
    }
}

/// The value it has: observed where the cloud tells it, else recorded.
fn had(sides: &DiffSides<'_>, name: &str, attribute: &Attribute) -> Value {
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
    sides: &DiffSides<'_>,
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
pub fn drift(kind: &Kind, record: &Record, observation: &Observation) -> Vec<DriftedAttribute> {
    let Observation::Exists { attributes: observed, .. } = observation else { return Vec::new() };
    let mut pairs = Pairs::new(&record.attributes, observed.iter());
    let mut outputs = record.outputs.iter();
    if pairs.all(|(_, before, now)| before.is_none_or(|it| it == now))
        && outputs.all(|(name, before)| observed.get(name).is_none_or(|it| it == before))
    {
        return Vec::new();
    }
    drifted(kind, record, observed)
}

fn drifted(kind: &Kind, record: &Record, observed: &Attributes) -> Vec<DriftedAttribute> {
    let mut found = Vec::new();
    for (name, attribute) in &kind.attributes {
        if attribute.live || attribute.write_only {
            continue;
        }
        // A call of ours that ended badly was to change it, and may have got half of the way.
        if record.tried.contains_key(name) {
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
            let (recorded, observed) = (before.clone(), now.clone());
            found.push(DriftedAttribute { name: name.clone(), recorded, observed });
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

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::{DiffSides, diff, drift, drifted, is_all_as_it_was, one_by_one};
    use crate::engine::lang::resolve::resolve;
    use crate::engine::observed::Observation;
    use crate::engine::plan::draft::refresh::KnownValues;
    use crate::engine::plan::tests::{applied, stack};
    use crate::engine::value::{Attributes, Value};
    use crate::kinds::builtin;

    const RECORD: &str = "  zone: { kind: linode.domain, domain: example.com, soa_email: a@example.com }
  shop: { kind: linode.domain_record, domain: '${zone}', type: CAA, name: shop, target: ca.example.net, tag: issue }";

    fn damage(attributes: &mut Attributes, names: &[String], hits: &[(usize, usize)]) {
        for (at, what) in hits {
            let name = names[at % names.len()].clone();
            match what {
                0 => drop(attributes.remove(&name)),
                1 => drop(attributes.insert(name, Value::Null)),
                2 => drop(attributes.insert(name, Value::Open)),
                _ => drop(attributes.insert(name, Value::text("other"))),
            }
        }
    }

    proptest! {
        /// The one pass over everything sees no difference where a look at each attribute does, and takes no drift for none.
        #[test]
        fn diff_and_drift_agree_with_comparing_each_attribute(
            recorded in vec((0..64_usize, 0..4_usize), 0..2),
            made in vec((0..64_usize, 0..4_usize), 0..2),
            told in vec((0..64_usize, 0..4_usize), 0..2),
        ) {
            let catalog = builtin();
            let stack = stack(RECORD, &catalog);
            let (mut state, mut observed) = applied(&stack, &catalog);
            let address = "shop".parse().unwrap();
            let instance = &stack.instances[&address];
            let kind = &catalog.kinds[&instance.resource.kind];
            let known = KnownValues::recorded(&state);
            let desired = resolve(&stack, &catalog, instance, &known).unwrap();
            let names: Vec<String> = kind.attributes.keys().cloned().collect();
            let record = state.records.get_mut(&address).unwrap();
            damage(&mut record.attributes, &names, &recorded);
            damage(&mut record.outputs, &names, &made);
            let seen = observed.get_mut(&address).unwrap();
            if let Observation::Exists { attributes, .. } = seen {
                damage(attributes, &names, &told);
            }
            let Observation::Exists { attributes, .. } = &*seen else { unreachable!() };
            for observed in [Some(attributes), None] {
                let sides = DiffSides {
                    kind, desired: &desired, record: Some(&*record), observed, key: Some(&state.key), ignore: &[],
                };
                prop_assert_eq!(diff(&sides, |_| None), one_by_one(&sides, |_| None));
                if recorded.is_empty() && made.is_empty() && told.is_empty() {
                    prop_assert!(is_all_as_it_was(&sides));
                }
            }
            prop_assert_eq!(drift(kind, record, seen), drifted(kind, record, attributes));
        }
    }
}

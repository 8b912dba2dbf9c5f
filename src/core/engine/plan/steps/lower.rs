//! Lowers one change to calls: what each action asks of the provider, in which order.

use crate::engine::plan::model::change::{Action, StepCall};
use crate::engine::plan::model::planned_change::{PlannedChange, is_deposed, name_beside};
use crate::engine::schema::{Attribute, Kind, Rename};
use crate::engine::value::{Attributes, Value};

/// Whether the object does not serve for a while: replaced in place, or by an update after which it has to settle.
pub fn disrupts(it: &PlannedChange<'_>) -> bool {
    let Some(rest) = it.kind.rest.as_ref().filter(|it| it.ready.is_some()) else { return false };
    let settles = |name: &str| {
        let via = it.kind.attribute(name).map(|it| it.via.as_str()).unwrap_or_default();
        rest.groups.get(via).is_some_and(|it| it.settles)
    };
    match it.change.action {
        Action::Replace { create_first } => !create_first,
        Action::Update => it.change.attributes.iter().any(|it| settles(&it.name)),
        _ => false,
    }
}

/// The name under which steps of several addresses run one at a time, such as those of one DynamoDB group; `None`: no limit.
pub fn lane(it: &PlannedChange<'_>) -> Option<String> {
    if it.kind.serialise_by.is_empty() {
        return None;
    }
    let attributes = it.desired.as_deref().or(it.record.map(|it| &it.attributes))?;
    let parts: Vec<String> = it
        .kind
        .serialise_by
        .iter()
        .map(|name| attributes.get(name).map_or_else(String::new, |it| it.json().to_string()))
        .collect();
    Some(format!("{} {}", it.kind.provider, parts.join(" ")))
}

/// The attribute and value under which a replacement is made beside what it replaces.
pub fn temporary(it: &PlannedChange<'_>) -> Option<(String, String)> {
    if it.kind.identity.rename != Rename::InPlace || !it.kind.identity.unique {
        return None;
    }
    let name = it.kind.identity.by.last()?;
    let Some(Value::Text(text)) = it.desired.as_ref()?.get(name) else { return None };
    let seed = format!("{} {}", it.change.address, it.change.id.as_deref().unwrap_or_default());
    Some((name.clone(), name_beside(it.kind, name, text, &seed)))
}

/// The calls of a creation, each with the seconds that it is expected to take where nothing was measured yet. 5 s for the
/// create itself: Linode answers one within 2 s (linodego's recordings), and a DynamoDB table is there after 2 to 6 s
/// (public lab ack-api-quirks, October 2026).
pub fn creation(
    it: &PlannedChange<'_>,
    temporary: Option<(String, String)>,
) -> Vec<(StepCall, u64)> {
    let mut attributes = it.desired.as_deref().cloned().unwrap_or_default();
    let mut label = None;
    if let Some((name, value)) = temporary {
        attributes.insert(name, Value::Text(value.clone()));
        label = Some(value);
    }
    let mut calls = vec![(StepCall::Create { attributes: attributes.clone(), label }, 5)];
    let join_as = it.kind.group.as_ref().and_then(|it| it.join_as.as_ref());
    let joins = join_as.is_some_and(|it| attributes.contains_key(it));
    let mut later = Vec::new();
    let afterwards = |it: &Attribute| it.after_create || (joins && it.own);
    for (name, attribute) in it.kind.settable().filter(|(_, it)| afterwards(it)) {
        let value = attributes.get(name).filter(|it| !it.is_null());
        if value.is_some_and(|value| Some(value) != attribute.default_value().as_ref()) {
            later.push(group(attribute.via.clone(), vec![name.clone()], &attributes, false));
        }
    }
    // What cannot be given at creation mostly cannot be given before it is ready either.
    if !later.is_empty() && it.kind.waits.ready.is_some() {
        calls.push(ready(it.kind));
    }
    calls.extend(later);
    calls.extend(readiness(it));
    calls
}

/// 2 s, since the APIs answer an update within about a second; what it sets going is the `ready` step after it.
fn group(
    name: String,
    changed: Vec<String>,
    attributes: &Attributes,
    or_create: bool,
) -> (StepCall, u64) {
    (StepCall::Update { group: name, changed, attributes: attributes.clone(), or_create }, 2)
}

/// One call for each group of changed attributes, in the order of the kind.
pub fn update(it: &PlannedChange<'_>) -> Vec<(StepCall, u64)> {
    let attributes = it.desired.as_deref().cloned().unwrap_or_default();
    let mut groups: Vec<(String, Vec<String>)> = Vec::new();
    // The old incarnation still holds the name.
    let later = temporary(it).filter(|_| is_deposed(it)).map(|(name, _)| name);
    for (name, attribute) in it.kind.settable() {
        let Some(change) = it.change.attributes.iter().find(|it| it.name == *name) else {
            continue;
        };
        if later.as_ref() == Some(name) {
            continue;
        }
        for way in attribute.ways(&change.before, &change.after) {
            match groups.iter_mut().find(|(via, _)| via == way) {
                Some((_, names)) => names.push(name.clone()),
                None => groups.push((way.to_owned(), vec![name.clone()])),
            }
        }
    }
    let mut calls = Vec::new();
    for (via, changed) in groups {
        let rest = it.kind.rest.as_ref();
        let settles = rest.and_then(|it| it.groups.get(&via)).is_some_and(|it| it.settles);
        let mut attributes = attributes.clone();
        it.kind.unset(&via, &changed, &mut attributes);
        calls.push(group(via, changed, &attributes, !it.kind.holds_data));
        if settles || it.kind.waits.ready.is_some() {
            calls.push(ready(it.kind));
        }
    }
    if it.not_ready {
        calls.extend(readiness(it));
    }
    calls
}

/// A tenth of the limit is expected, as limits are several times what was measured: an instance with 900 s runs after about
/// 60 s (linodego's recordings), a replica with 7200 s is active after 562 to 686 s if its table holds items (ack-api-quirks).
pub fn ready(kind: &Kind) -> (StepCall, u64) {
    let rest = kind.rest.as_ref().and_then(|it| it.ready.as_ref()).map(|it| it.within_seconds);
    (StepCall::Ready, rest.or(kind.waits.ready.map(|it| it.within_seconds)).unwrap_or(0) / 10)
}

/// 30 s for a gate. A guess: what starts after a boot differs from stack to stack, and is measured from the first run on.
pub fn readiness(it: &PlannedChange<'_>) -> Vec<(StepCall, u64)> {
    let mut calls = Vec::new();
    let has_ready = it.kind.rest.as_ref().is_some_and(|it| it.ready.is_some());
    if has_ready || it.kind.waits.ready.is_some() {
        calls.push(ready(it.kind));
    }
    if it.instance.is_some_and(|it| it.resource.ready.is_some()) {
        calls.push((StepCall::Gate, 30));
    }
    calls
}

/// 2 s for the call, as both APIs answer within that; the wait until it is gone is expected to take a tenth of its limit.
pub fn deletion(it: &PlannedChange<'_>, deposed: bool) -> Vec<(StepCall, u64)> {
    let mut calls = vec![(StepCall::Delete { deposed }, 2)];
    if let Some(wait) = it.kind.waits.gone {
        calls.push((StepCall::Gone { deposed }, wait.within_seconds / 10));
    }
    calls
}

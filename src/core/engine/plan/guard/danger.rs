//! What of a plan must not be overlooked: data that goes, users who are sent elsewhere, doors that open, checks that end.

use crate::engine::lang::lower::dependencies::named_by;
use crate::engine::lang::model::Stack;
use crate::engine::packets::Filter;
use crate::engine::plan::availability::replica_group::{CopyLoss, RemainingCopies};
use crate::engine::plan::model::change::{Action, AttributeChange, Danger};
use crate::engine::plan::model::planned_change::PlannedChange;
use crate::engine::schema::{Attribute, HealthCheck, Sort};
use crate::engine::text::plain::counted;
use crate::engine::value::Value;

/// A health check that needs longer than this to notice a dead backend protects nobody: a gate that uses its default `within`
/// would have given up by then.
pub const DETECTION_SECONDS_MAX: u64 = 300;

/// What is said of a name that is deleted, unless others of that name stay.
pub const NAME_GONE: &str = "the name will no longer resolve";

/// Every danger of a plan, the worst first, otherwise in the order of the changes.
pub fn dangers(
    planned: &[PlannedChange<'_>],
    stack: &Stack,
    copies: &RemainingCopies,
) -> Vec<Danger> {
    let mut all: Vec<Danger> = planned.iter().flat_map(|it| of(it, stack, copies)).collect();
    all.sort_by_key(|it| it.sort);
    all
}

/// The dangers of one change.
fn of(planned: &PlannedChange<'_>, stack: &Stack, copies: &RemainingCopies) -> Vec<Danger> {
    let change = &planned.change;
    let is_made = matches!(change.action, Action::Create | Action::Update | Action::Replace { .. });
    let mut said: Vec<(Sort, String)> = Vec::new();
    if change.action.destroys() && change.loses_data {
        let copy = copies.get(&change.address).map(CopyLoss::sentence);
        said.push((
            Sort::Data,
            copy.unwrap_or_else(|| "its data will be permanently deleted".into()),
        ));
    }
    if change.action == Action::Delete && planned.kind.drain.is_some() {
        let users = planned.kind.directs_users(|name| recorded(planned, name));
        said.extend(users.then(|| (Sort::Traffic, NAME_GONE.into())));
    }
    if is_made {
        let is_new = change.action == Action::Create;
        for it in &change.attributes {
            if let Some(attribute) = planned.kind.attribute(&it.name) {
                said.extend(of_attribute(attribute, it, is_new));
            }
        }
        said.extend(of_traffic(planned, stack));
        said.extend(of_packets(planned));
        said.extend(of_check(planned));
    }
    let stays = |sort| match copies.get(&change.address) {
        Some(it) if sort == Sort::Data => it.stays.clone(),
        _ => Vec::new(),
    };
    let address = &change.address;
    let danger = |(sort, says)| Danger { address: address.clone(), sort, says, stays: stays(sort) };
    said.into_iter().map(danger).collect()
}

fn recorded<'a>(planned: &'a PlannedChange<'_>, name: &str) -> Option<&'a Value> {
    planned.record.and_then(|it| it.attributes.get(name))
}

/// What an attribute had before the change.
fn before<'a>(planned: &'a PlannedChange<'_>, name: &str) -> Option<&'a Value> {
    let changed = planned.change.attributes.iter().find(|it| it.name == name);
    changed.map_or_else(|| recorded(planned, name), |it| Some(&it.before))
}

/// What an attribute has after the change.
fn after<'a>(planned: &'a PlannedChange<'_>, name: &str) -> Option<&'a Value> {
    let changed = planned.change.attributes.iter().find(|it| it.name == name);
    let desired = || planned.desired.as_ref().and_then(|it| it.get(name));
    changed.map(|it| &it.after).or_else(desired)
}

fn of_attribute(attribute: &Attribute, it: &AttributeChange, is_new: bool) -> Vec<(Sort, String)> {
    let mut said = Vec::new();
    let is_switched_off = !is_new && it.before == Value::Bool(true) && it.after != it.before;
    if attribute.protects && is_switched_off {
        said.push((
            Sort::Protection,
            format!("`{}`: the cloud will no longer refuse to delete it", it.name),
        ));
    }
    if attribute.restores && is_switched_off {
        let why = "overwritten or deleted items can no longer be restored";
        said.push((Sort::Protection, format!("`{}` is switched off: {why}", it.name)));
    }
    let risks = attribute.risks.iter().filter(|risk| risk.is(&it.before, &it.after, is_new));
    said.extend(risks.map(|risk| (risk.sort, format!("`{}`: {}", it.name, risk.says))));
    said
}

/// Users who are sent elsewhere, most of all to where nothing of this stack is.
fn of_traffic(planned: &PlannedChange<'_>, stack: &Stack) -> Option<(Sort, String)> {
    let (kind, change) = (planned.kind, &planned.change);
    if !kind.directs_users(|name| after(planned, name)) {
        return None;
    }
    let is_name = kind.drain.is_some();
    let changed = change.attributes.iter().find(|it| {
        // A balancer's backends are its own matter; where names lead concerns everybody.
        kind.directs(&it.name) && (is_name || !it.before.is_null())
    })?;
    let is_foreign = is_name
        && planned
            .instance
            .is_some_and(|it| kind.traffic.iter().all(|name| named_by(stack, it, name).is_empty()))
        && !changed.after.is_null();
    match (is_foreign, &changed.after) {
        (true, Value::Text(text)) => Some((
            Sort::Traffic,
            format!("users will be sent to {text}, which is not part of this stack"),
        )),
        (true, _) => {
            Some((Sort::Traffic, "users will be sent to a target outside this stack".into()))
        }
        (false, _) if change.action == Action::Create => None,
        (false, _) => {
            Some((Sort::Traffic, format!("`{}` decides where users are sent", changed.name)))
        }
    }
}

/// What everybody will reach, and does not yet.
fn of_packets(planned: &PlannedChange<'_>) -> Vec<(Sort, String)> {
    let Some(now) = Filter::of(planned.kind, |name| after(planned, name)) else {
        return Vec::new();
    };
    let had = match planned.change.action {
        Action::Create => Vec::new(),
        _ => Filter::of(planned.kind, |name| before(planned, name))
            .map(|it| it.openings())
            .unwrap_or_default(),
    };
    let packets = planned.kind.packets.as_ref();
    let names = packets.map_or(&[][..], |it| it.administration.as_slice());
    let mut said = Vec::new();
    for it in now.openings().into_iter().filter(|it| !had.contains(it)) {
        let held = |port: u16| it.ports.is_some_and(|(low, high)| low <= port && port <= high);
        let within: Vec<&str> =
            names.iter().filter(|(port, _)| held(*port)).map(|(_, name)| name.as_str()).collect();
        let within =
            if within.is_empty() { String::new() } else { format!(" ({})", within.join(", ")) };
        said.push((Sort::Exposure, format!("{it}{within} will be open to everyone")));
    }
    said
}

/// A health check that is taken away, looks less deep, or tells too late.
fn of_check(planned: &PlannedChange<'_>) -> Option<(Sort, String)> {
    let check = planned.kind.health_check.as_ref()?;
    if planned.change.action == Action::Create {
        return None;
    }
    let text =
        |value: Option<&Value>| value.and_then(Value::as_text).unwrap_or_default().to_owned();
    let (had, has) = (text(before(planned, &check.method)), text(after(planned, &check.method)));
    let is_off = |method: &str| {
        let serves = planned.kind.serves_when.as_ref();
        serves.is_some_and(|it| it.unless.0 == check.method && it.unless.1 == method)
    };
    let is_deep = |method: &str| check.deep.iter().any(|it| it == method);
    let says = if had != has && is_off(&has) {
        "the health check is disabled: a dead backend will keep receiving users".to_owned()
    } else if had != has && is_deep(&had) && !is_deep(&has) {
        format!("the health check no longer tests the application (`{had}` → `{has}`)")
    } else {
        let late = |seconds: Option<u64>| seconds.filter(|it| *it > DETECTION_SECONDS_MAX);
        let seconds = late(detection(check, |name| after(planned, name)))?;
        if late(detection(check, |name| before(planned, name))).is_some() || is_off(&has) {
            return None;
        }
        format!(
            "a dead backend will keep receiving users for {}",
            counted(seconds.div_ceil(60), "minute")
        )
    };
    Some((Sort::Protection, says))
}

/// Seconds until a health check believes that a backend is dead.
pub fn detection<'a>(
    check: &HealthCheck,
    value: impl Fn(&str) -> Option<&'a Value>,
) -> Option<u64> {
    let number = |name: &str| match value(name) {
        Some(Value::Int(it)) => u64::try_from(*it).ok(),
        _ => None,
    };
    let (interval, timeout) = (number(&check.interval)?, number(&check.timeout)?);
    Some(interval.saturating_mul(number(&check.attempts)?).saturating_add(timeout))
}

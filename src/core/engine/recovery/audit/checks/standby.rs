//! Whether the standby is there before it is needed, the same as home, and large enough.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::lang::model::ServingQuorum;
use crate::engine::plan::steps::quorum::is_backend;
use crate::engine::recovery::audit::case::AuditCase;
use crate::engine::recovery::audit::finding::{AuditRule, AuditSection, Finding, Level};
use crate::engine::recovery::audit::reads::inputs;
use crate::engine::recovery::audit::side::SideItem;
use crate::engine::schema::Kind;
use crate::engine::value::Value;

pub static STANDBY_COLD: AuditRule = AuditRule {
    id: "standby-cold",
    level: Level::Warning,
    title: "A resource that serves after the switch is created only by the switch",
    remedy: "declare it in the stack itself, if necessary with a small size; the overlay then only scales it up",
};
pub static STANDBY_DIFFERS: AuditRule = AuditRule {
    id: "standby-differs",
    level: Level::Error,
    title: "The standby differs from home",
    remedy: "give both the same image, files, and variables",
};
pub static STANDBY_SMALLER: AuditRule = AuditRule {
    id: "standby-smaller",
    level: Level::Warning,
    title: "The standby has less capacity than home",
    remedy: "let the overlay raise the count or the size",
};

pub fn check(case: &AuditCase<'_>, out: &mut AuditSection) {
    if case.targets.is_empty() {
        // Nothing is switched to: that is told already.
        return;
    }
    cold(case, out);
    way(case, out);
    different(case, out);
    capacity(case, out);
    quorum(case, out);
}

/// Resources of which home has none; what is missing only because of another is not told.
fn cold(case: &AuditCase<'_>, out: &mut AuditSection) {
    let warm: BTreeSet<&str> =
        case.home.stack.instances.keys().map(|it| it.name.as_str()).collect();
    let is_cold = |name: &str| !warm.contains(name);
    let mut told = BTreeSet::new();
    for item in case.living() {
        let name = &item.address.name;
        let follows = item.instance.needs.iter().any(|(it, _)| is_cold(&it.name));
        if is_cold(name) && !follows && told.insert(name) {
            let why = format!(
                "`{}` is created by the switch: every minute of that is an outage",
                item.address
            );
            let place = case.recovery.place(item.instance.resource.span);
            out.findings.push(Finding::new(&STANDBY_COLD, Some(place), why).about(item.address));
        }
    }
}

/// What the switch makes: the part of the way that home does not have yet. Under a loss users wait for one backend; where one is
/// there already, for none of this, unless a record asks for more.
fn way(case: &AuditCase<'_>, out: &mut AuditSection) {
    let made: Vec<String> = case
        .living()
        .filter(|it| case.home.item(it.address).is_none() && !case.moving.contains(it.address))
        .map(|it| format!("`{}`", it.address))
        .collect();
    if made.is_empty() {
        return;
    }
    let is_warm =
        case.living().any(|it| is_backend(it.kind) && case.home.item(it.address).is_some());
    let asks_for_more = case.moving.iter().any(|it| {
        let item = case.recovery.item(it);
        item.is_some_and(|it| it.instance.resource.gates.serves().is_some())
    });
    let when = if is_warm && !asks_for_more {
        "while users are sent to the backends that exist, the switch creates"
    } else {
        "before traffic is shifted, the switch creates"
    };
    let number = made.len();
    let what = if number == 1 { "resource" } else { "resources" };
    out.fact("way", format!("{when} {number} {what}: {}", made.join(", ")));
}

fn different(case: &AuditCase<'_>, out: &mut AuditSection) {
    let home: Vec<SideItem<'_>> =
        case.home_closure.iter().filter_map(|it| case.home.item(it)).collect();
    let mut peers: BTreeMap<(&str, &str), Vec<Peer<'_>>> = BTreeMap::new();
    for item in home {
        for (name, _) in item.kind.settable().filter(|(_, it)| it.alike) {
            let peer = Peer { item, value: comparable(case, item, name) };
            peers.entry((&item.kind.kind, name)).or_default().push(peer);
        }
    }
    let mut told = BTreeSet::new();
    // What serves on both sides is the same by itself.
    for item in case.living().filter(|it| !case.home_closure.contains(it.address)) {
        for (name, _) in item.kind.settable().filter(|(_, it)| it.alike) {
            let Some(peers) = peers.get(&(item.kind.kind.as_str(), name.as_str())) else {
                continue;
            };
            let mine = comparable(case, item, name);
            let is_same = mine.is_some() && peers.iter().any(|it| it.value == mine);
            if is_same || told.contains(&(&item.address.name, name)) {
                continue;
            }
            let reasons = peers.iter().map(|it| reason(case, it, item, name, mine.as_ref()));
            if let Some(Some((level, reason))) = reasons.min() {
                told.insert((&item.address.name, name));
                let why = format!("`{name}` of `{}`: {reason}", item.address);
                let place = case.recovery.place_of(item, name);
                let finding = Finding::new(&STANDBY_DIFFERS, Some(place), why);
                out.findings.push(finding.about(item.address).at_level(level));
            }
        }
    }
}

/// An object at home that a standby is compared with.
struct Peer<'a> {
    item: SideItem<'a>,
    value: Option<Value>,
}

/// A value in which the names of regions do not count; `None` where it is not known yet.
fn comparable(case: &AuditCase<'_>, item: SideItem<'_>, name: &str) -> Option<Value> {
    let value = item.value(name).cloned().unwrap_or_default().exposed();
    if value.has_unknown() {
        return None;
    }
    let Value::Text(mut text) = value else { return Some(value) };
    let domains = [&case.home.domains, &case.recovery.domains];
    let mut regions: Vec<&str> = domains
        .iter()
        .flat_map(|it| it.names())
        .filter_map(|it| it.split_once(':').map(|it| it.1))
        .collect();
    // The longer ones first: `us-east-1` holds `us-east`.
    regions.sort_by_key(|it| std::cmp::Reverse(it.len()));
    for region in regions {
        text = text.replace(region, "\u{0}");
    }
    Some(Value::Text(text))
}

/// Why a standby's attribute is not that of a peer at home; `None`: as far as is known, it is.
fn reason(
    case: &AuditCase<'_>,
    peer: &Peer<'_>,
    item: SideItem<'_>,
    name: &str,
    mine: Option<&Value>,
) -> Option<(Level, String)> {
    let (home, here) = (inputs(case.home, peer.item, name), inputs(case.recovery, item, name));
    let of = peer.item.address;
    let list =
        |all: Vec<&String>| all.iter().map(|it| format!("`{it}`")).collect::<Vec<_>>().join(", ");
    let files: Vec<&String> = home.files.symmetric_difference(&here.files).collect();
    if !files.is_empty() {
        let text = format!("home and the standby read different files: {}", list(files));
        return Some((Level::Error, text));
    }
    let missing: Vec<&String> =
        home.variables.keys().filter(|it| !here.variables.contains_key(*it)).collect();
    if !missing.is_empty() {
        let text = format!("home (`{of}`) uses {}, but the standby does not", list(missing));
        return Some((Level::Error, text));
    }
    let other: Vec<&String> = home
        .variables
        .iter()
        .filter(|(name, value)| here.variables.get(*name) != Some(*value))
        .map(|(name, _)| name)
        .collect();
    if !other.is_empty() {
        let text = format!("the overlay sets {} to a different value than home", list(other));
        return Some((Level::Error, text));
    }
    let (before, after) = (peer.value.as_ref()?, mine?);
    if before == after {
        return None;
    }
    if let (Value::Text(before), Value::Text(after)) = (before, after)
        && (before.contains('\n') || after.contains('\n'))
    {
        let at = before.lines().zip(after.lines()).take_while(|(a, b)| a == b).count() + 1;
        let text = format!("line {at} differs from `{of}` in more than the region");
        return Some((Level::Warning, text));
    }
    Some((Level::Error, format!("home (`{of}`) has a different one")))
}

fn capacity(case: &AuditCase<'_>, out: &mut AuditSection) {
    let home: Vec<SideItem<'_>> =
        case.home_closure.iter().filter_map(|it| case.home.item(it)).collect();
    let living: Vec<SideItem<'_>> = case.living().collect();
    let kinds: BTreeMap<&str, &Kind> =
        home.iter().map(|it| (it.kind.kind.as_str(), it.kind)).collect();
    for kind in kinds.values() {
        let Some(capacity) = &kind.capacity else { continue };
        let of = |all: &[SideItem<'_>]| {
            let mut sizes: BTreeMap<String, u64> = BTreeMap::new();
            for item in all.iter().filter(|it| it.kind.kind == kind.kind) {
                let size = item.text(&capacity.attribute).unwrap_or("?");
                *sizes.entry(size.to_owned()).or_default() += 1;
            }
            sizes
        };
        let (before, after) = (of(&home), of(&living));
        let total = |sizes: &BTreeMap<String, u64>| -> Option<u64> {
            sizes.iter().map(|(size, count)| Some(capacity.of.get(size)? * count)).sum()
        };
        let shown = |sizes: &BTreeMap<String, u64>| {
            let parts: Vec<String> =
                sizes.iter().map(|(size, count)| format!("{count} × {size}")).collect();
            let parts = if parts.is_empty() { "none".to_owned() } else { parts.join(" + ") };
            match total(sizes) {
                Some(sum) => format!("{parts} ({sum} {})", capacity.unit),
                None => parts,
            }
        };
        let text = format!("home has {}, the recovery {}", shown(&before), shown(&after));
        let is_less = match (total(&before), total(&after)) {
            (Some(before), Some(after)) => after < before,
            _ => before.iter().any(|(size, count)| after.get(size).is_none_or(|it| it < count)),
        };
        if is_less {
            let first = living.iter().find(|it| it.kind.kind == kind.kind);
            let place = first.map(|it| case.recovery.place_of(*it, &capacity.attribute));
            let place = place.or_else(|| said(case));
            let mut finding = Finding::new(&STANDBY_SMALLER, place, text.clone());
            finding.subject = first.map(|it| it.address.name.clone());
            out.findings.push(finding);
        }
        out.fact("capacity", text);
    }
}

/// What serves users at the moment when they are sent there, beside what serves them at home.
fn quorum(case: &AuditCase<'_>, out: &mut AuditSection) {
    let backends = case.living().filter(|it| is_backend(it.kind)).count();
    if backends == 0 {
        return;
    }
    let moved = case.moving.iter().filter_map(|it| case.recovery.item(it));
    let names = moved.filter(|it| it.kind.drain.is_some());
    let default = if case.lost.is_empty() { ServingQuorum::All } else { ServingQuorum::Count(1) };
    let asked = |it: SideItem<'_>| it.instance.resource.gates.serves().unwrap_or(default);
    let Some(required) = names.map(|it| asked(it).of(backends)).min() else { return };
    let serve = if required == 1 { "serves" } else { "serve" };
    let share = share(case, required).unwrap_or_default();
    out.fact(
        "quorum",
        format!("traffic is shifted as soon as {required} of {backends} backends {serve}{share}"),
    );
}

/// How much of home's capacity so many of the recovery's machines have, the smallest ones first; `None`: some size is unknown.
fn share(case: &AuditCase<'_>, machines: usize) -> Option<String> {
    let size = |it: &SideItem<'_>| -> Option<Option<u64>> {
        let capacity = it.kind.capacity.as_ref()?;
        Some(it.text(&capacity.attribute).and_then(|size| capacity.of.get(size)).copied())
    };
    let home = case.home_closure.iter().filter_map(|it| case.home.item(it));
    let home: Option<Vec<u64>> = home.filter_map(|it| size(&it)).collect();
    let living: Option<Vec<u64>> = case.living().filter_map(|it| size(&it)).collect();
    let (home, mut living) = (home?.iter().sum::<u64>(), living?);
    living.sort_unstable();
    let quorum: u64 = living.iter().take(machines).sum();
    let unit = case.living().find_map(|it| Some(it.kind.capacity.as_ref()?.unit.clone()))?;
    let percent = (quorum * 100).checked_div(home)?;
    Some(format!(": {percent} % of home's capacity ({quorum} of {home} {unit})"))
}

/// Where the overlay says what is lost.
fn said(case: &AuditCase<'_>) -> Option<crate::engine::recovery::audit::finding::FindingPlace> {
    let said = case.recovery.stack.assumes_lost.first();
    said.map(|(_, span)| case.recovery.place(*span))
}

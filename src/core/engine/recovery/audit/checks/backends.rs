//! What stands behind the balancers, at home and after the switch: who accepts users, on which port, and behind which firewall.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::address::Address;
use crate::engine::containment::declared_containers;
use crate::engine::lang::lower::dependencies::named_by;
use crate::engine::packets::{Admits, Family, Filter, Network};
use crate::engine::plan::traffic::balancer_firewalls::port_of;
use crate::engine::recovery::audit::case::AuditCase;
use crate::engine::recovery::audit::finding::{AuditRule, AuditSection, Finding, Level};
use crate::engine::recovery::audit::reads::{reads, tail};
use crate::engine::recovery::audit::side::{Side, SideItem};

pub static BACKEND_SHUT: AuditRule = AuditRule {
    id: "backend-shut",
    level: Level::Error,
    title: "A backend accepts no users",
    remedy: "let it accept users, or remove it: a balancer sends no users there, even if it is healthy",
};
pub static PORTS_DIFFER: AuditRule = AuditRule {
    id: "ports-differ",
    level: Level::Error,
    title: "The standby's backends listen on other ports than those at home",
    remedy: "give both sites the same ports: the same image and files listen on the same ports",
};
pub static FIREWALL_MISSING: AuditRule = AuditRule {
    id: "firewall-missing",
    level: Level::Warning,
    title: "A serving resource has no firewall",
    remedy: "add one: every listening port, including databases and administration, is open to everyone",
};
pub static FIREWALL_SHUTS: AuditRule = AuditRule {
    id: "firewall-shuts",
    level: Level::Error,
    title: "A firewall blocks required traffic",
    remedy: "add a rule that accepts TCP on that port from them",
};
pub static ADMIN_OPEN: AuditRule = AuditRule {
    id: "administration-open",
    level: Level::Warning,
    title: "Administration ports are open to everyone",
    remedy: "admit only the addresses of administrators and of the machines that run lifeboat",
};
pub static HOME_SINGLE: AuditRule = AuditRule {
    id: "home-single",
    level: Level::Warning,
    title: "Home has a single backend",
    remedy: "run two: losing or replacing a single machine should not be a disaster",
};

/// What is true of a side by itself.
pub fn check_side(side: &Side<'_>, out: &mut AuditSection) {
    for item in side.items().filter(|it| it.kind.packets.is_some()) {
        open(side, item, out);
    }
}

/// What the switch meets: the closures before and after it.
pub fn check(case: &AuditCase<'_>, out: &mut AuditSection) {
    for is_home in [true, false] {
        let side = if is_home { case.home } else { case.recovery };
        let mut told = BTreeSet::new();
        for item in case.behind(is_home) {
            if item.serves() == Some(false) {
                shut(side, item, out);
            }
            guarded(side, item, &mut told, out);
            let families = case.families(is_home);
            admitted(side, item, &families, &mut told, out);
        }
    }
    single(case, out);
    alone(case, out);
    ports(case, out);
    unguarded(case, out);
}

fn open(side: &Side<'_>, item: SideItem<'_>, out: &mut AuditSection) {
    let Some(packets) = &item.kind.packets else { return };
    let Some(filter) = Filter::of(item.kind, |name| item.value(name)) else { return };
    let within = packets.administration.iter();
    let names: Vec<String> = within
        .filter(|(port, _)| packets.ports_of.iter().any(|protocol| filter.opens(protocol, *port)))
        .map(|(port, name)| format!("{name} (port {port})"))
        .collect();
    if names.is_empty() {
        return;
    }
    let at = if filter.is_open() { &packets.policy } else { &packets.rules };
    let why = format!("`{}` admits everyone to {}", item.address, names.join(" and "));
    let place = side.place_of(item, at);
    out.findings.push(Finding::new(&ADMIN_OPEN, Some(place), why).about(item.address));
}

fn shut(side: &Side<'_>, item: SideItem<'_>, out: &mut AuditSection) {
    let Some(serves) = &item.kind.serves else { return };
    let shown = item.value(&serves.attribute).map(|it| it.json().to_string()).unwrap_or_default();
    let why = format!("`{}` of `{}` is {shown}", serves.attribute, item.address);
    let place = side.place_of(item, &serves.attribute);
    out.findings.push(Finding::new(&BACKEND_SHUT, Some(place), why).about(item.address));
}

/// The attribute by which a backend says where users go, and its port, as far as that is known.
fn port(side: &Side<'_>, item: SideItem<'_>) -> Option<(String, u16)> {
    item.kind.contains_in.as_ref()?;
    item.kind.traffic.iter().find_map(|name| {
        let text = item.text(name).map(str::to_owned).or_else(|| tail(side, item, name))?;
        let (_, port) = text.rsplit_once(':')?;
        Some((name.clone(), port.parse().ok()?))
    })
}

/// The objects that hold this one, from the nearest.
fn holders<'a>(side: &'a Side<'_>, item: SideItem<'_>) -> Vec<SideItem<'a>> {
    let mut found: Vec<SideItem<'a>> = Vec::new();
    let containers = |it: SideItem<'_>| declared_containers(side.stack, it.instance, it.kind);
    let mut next = containers(item);
    while let Some(holder) = next.first().and_then(|it| side.item(it)) {
        if found.iter().any(|it| it.address == holder.address) {
            break;
        }
        found.push(holder);
        next = containers(holder);
    }
    found
}

/// The firewall that an object names.
fn firewall<'a>(side: &'a Side<'_>, item: SideItem<'_>) -> Option<(String, SideItem<'a>)> {
    item.kind.references().find_map(|(name, attribute)| {
        let is_filter =
            |kind: &String| side.catalog.get(kind).is_some_and(|it| it.packets.is_some());
        attribute.to.as_ref().filter(|it| is_filter(it))?;
        let named = named_by(side.stack, item.instance, name);
        Some((name.clone(), side.item(named.first()?)?))
    })
}

/// Whether a kind can stand behind a firewall.
fn can_be_guarded(side: &Side<'_>, item: SideItem<'_>) -> bool {
    item.kind.references().any(|(_, attribute)| {
        let to = attribute.to.as_ref().and_then(|it| side.catalog.get(it));
        to.is_some_and(|it| it.packets.is_some())
    })
}

/// Whether firewalls let balancers in to their backends, and users in to the balancers.
fn guarded(
    side: &Side<'_>,
    item: SideItem<'_>,
    told: &mut BTreeSet<Address>,
    out: &mut AuditSection,
) {
    let Some((attribute, port)) = port(side, item) else { return };
    let holders = holders(side, item);
    let range = holders.iter().find_map(|it| it.kind.reaches_from.as_ref());
    let Some((text, network)) = range.and_then(|it| Some((it, Network::parse(it)?))) else {
        return;
    };
    let machines = reads(side, item).into_iter().filter(|it| it.by == attribute);
    for machine in machines.filter_map(|it| side.item(&it.of)) {
        let Some((_, wall)) = firewall(side, machine) else { continue };
        let Some(filter) = Filter::of(wall.kind, |name| wall.value(name)) else { continue };
        if filter.is_partly_unknown || filter.lets_in("TCP", port, &network) {
            continue;
        }
        if told.insert(wall.address.clone()) {
            let why = format!(
                "`{}`, in front of `{}`, does not admit {text} to port {port}: no balancer can reach it, not even for health checks",
                wall.address, machine.address
            );
            let rules = wall.kind.packets.as_ref().map_or("", |it| &it.rules);
            let place = side.place_of(wall, rules);
            out.findings.push(Finding::new(&FIREWALL_SHUTS, Some(place), why).about(wall.address));
        }
    }
}

/// Whether the filter before a balancer lets in anybody of those who come to its port.
fn admitted(
    side: &Side<'_>,
    item: SideItem<'_>,
    families: &[Option<Family>],
    told: &mut BTreeSet<Address>,
    out: &mut AuditSection,
) {
    let Some(port) = port_of(item.kind, item.attributes()) else { return };
    let Some(holder) = holders(side, item).into_iter().next() else { return };
    let Some((_, wall)) = firewall(side, holder) else { return };
    let Some(filter) = Filter::of(wall.kind, |name| wall.value(name)) else { return };
    let admits = families.iter().map(|it| filter.admits("TCP", Some(port), *it)).max();
    if admits == Some(Admits::Nobody) && told.insert(wall.address.clone()) {
        let why = format!(
            "`{}`, in front of `{}`, blocks all traffic to port {port}: no user can reach `{}`",
            wall.address, holder.address, item.address
        );
        let rules = wall.kind.packets.as_ref().map_or("", |it| &it.rules);
        let place = side.place_of(wall, rules);
        out.findings.push(Finding::new(&FIREWALL_SHUTS, Some(place), why).about(wall.address));
    }
}

fn single(case: &AuditCase<'_>, out: &mut AuditSection) {
    let mut backends: BTreeMap<Address, Vec<SideItem<'_>>> = BTreeMap::new();
    for item in case.behind(true).filter(|it| !it.kind.serving_set.is_empty()) {
        let Some(holder) = holders(case.home, item).first().map(|it| it.address.clone()) else {
            continue;
        };
        let of = backends.entry(holder).or_default();
        if of.iter().all(|it| it.address != item.address) && item.serves() != Some(false) {
            of.push(item);
        }
    }
    for (holder, of) in backends {
        if let [one] = of.as_slice() {
            let why = format!("`{}` is the only backend of `{holder}`", one.address);
            let place = case.home.place(one.instance.resource.span);
            out.findings.push(Finding::new(&HOME_SINGLE, Some(place), why).about(one.address));
        }
    }
}

/// A machine that users are directed to without a balancer, and no other beside it.
fn alone(case: &AuditCase<'_>, out: &mut AuditSection) {
    let [target] = case.home_targets.as_slice() else { return };
    let Some(machine) = case.home.item(target).filter(|it| it.kind.capacity.is_some()) else {
        return;
    };
    let why = format!("`{target}` is the only target of users");
    let place = case.home.place(machine.instance.resource.span);
    out.findings.push(Finding::new(&HOME_SINGLE, Some(place), why).about(target));
}

fn ports(case: &AuditCase<'_>, out: &mut AuditSection) {
    let mut home: BTreeMap<&str, BTreeSet<u16>> = BTreeMap::new();
    for item in case.behind(true) {
        if let Some((_, port)) = port(case.home, item) {
            home.entry(&item.kind.kind).or_default().insert(port);
        }
    }
    let mut told = BTreeSet::new();
    for item in case.behind(false) {
        let Some((attribute, port)) = port(case.recovery, item) else { continue };
        let Some(usual) = home.get(item.kind.kind.as_str()).filter(|it| !it.contains(&port)) else {
            continue;
        };
        if told.insert(item.address.clone()) {
            let usual: Vec<String> = usual.iter().map(ToString::to_string).collect();
            let why = format!(
                "`{}` uses port {port}, but home's backends listen on {}",
                item.address,
                usual.join(", ")
            );
            let place = case.recovery.place_of(item, &attribute);
            out.findings.push(Finding::new(&PORTS_DIFFER, Some(place), why).about(item.address));
        }
    }
}

/// Machines that serve without a firewall: worse, where home has one.
fn unguarded(case: &AuditCase<'_>, out: &mut AuditSection) {
    let machines = |is_home: bool| {
        let side = if is_home { case.home } else { case.recovery };
        let behind: Vec<SideItem<'_>> = case.behind(is_home).collect();
        let reached = behind.into_iter().filter_map(|it| Some((it, port(side, it)?.0)));
        let reached: BTreeSet<Address> = reached
            .flat_map(|(it, by)| reads(side, it).into_iter().filter(move |read| read.by == by))
            .map(|it| it.of)
            .collect();
        let found: Vec<SideItem<'_>> = reached.iter().filter_map(|it| side.item(it)).collect();
        found
    };
    let home = machines(true);
    let has_wall = home.iter().any(|it| firewall(case.home, *it).is_some());
    for (side, machine) in home
        .iter()
        .map(|it| (case.home, *it))
        .chain(machines(false).into_iter().map(|it| (case.recovery, it)))
    {
        if !can_be_guarded(side, machine) || firewall(side, machine).is_some() {
            continue;
        }
        let (level, why) = if has_wall {
            (
                Level::Error,
                format!(
                    "`{}` has no firewall, but its counterpart at home has one",
                    machine.address
                ),
            )
        } else {
            (Level::Warning, format!("`{}` has no firewall", machine.address))
        };
        let place = side.place(machine.instance.resource.span);
        let finding = Finding::new(&FIREWALL_MISSING, Some(place), why).about(machine.address);
        out.findings.push(finding.at_level(level));
    }
}

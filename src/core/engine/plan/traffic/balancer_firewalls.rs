//! Filters before balancers that let no user in: whoever is sent there is served by nobody, however healthy the backends are.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::address::Address;
use crate::engine::lang::model::Stack;
use crate::engine::packets::{Admits, Family, Filter};
use crate::engine::plan::draft::topology::DesiredTopology;
use crate::engine::plan::model::change::{Action, Danger};
use crate::engine::plan::model::planned_change::PlannedChange;
use crate::engine::plan::traffic::filters::{SHUT_BY_OTHERS, Walls, filters, stranger};
use crate::engine::plan::traffic::serving::{after, is_there};
use crate::engine::plan::traffic::shifts::ShiftDirection;
use crate::engine::schema::{Catalog, Kind, Sort, TextForm};
use crate::engine::text::codes::DiagnosticCode;
use crate::engine::text::diagnostic::Diagnostic;
use crate::engine::value::{Attributes, Value};

/// A port of a balancer, or a machine without one, at which not everybody is let in.
pub struct FilteredPort {
    /// The port's own object, or the machine.
    at: Address,
    holder: Address,
    wall: String,
    /// `None`: somebody else attached it.
    own: Option<Address>,
    port: Option<u16>,
    is_shut: bool,
    /// It was not so before this plan.
    is_change: bool,
    /// This plan sends users there.
    is_directed: bool,
    /// A gate waits until they are let in.
    is_gated: bool,
}

/// The families of addresses under which users come to what a name leads to; none: any.
fn family<'a>(kind: &Kind, value: impl Fn(&str) -> Option<&'a Value>) -> Option<Family> {
    kind.traffic.iter().find_map(|name| {
        let by = kind.attribute(name)?.form_by.as_ref()?;
        match by.of.get(value(&by.attribute)?.as_text()?)? {
            TextForm::Ipv4 => Some(Family::Four),
            TextForm::Ipv6 => Some(Family::Six),
            _ => None,
        }
    })
}

/// The families of a name that is recorded, for a gate.
pub fn family_of(kind: &Kind, attributes: &Attributes) -> Option<Family> {
    family(kind, |name| attributes.get(name))
}

/// The port at which users come to an object, where its kind has one.
pub fn port_of(kind: &Kind, attributes: &Attributes) -> Option<u16> {
    let name = kind.listens.as_ref()?;
    let default = || kind.attribute(name)?.default_value();
    match attributes.get(name).cloned().or_else(default)? {
        Value::Int(port) => u16::try_from(port).ok(),
        _ => None,
    }
}

/// The filter among those that were seen before something that lets no user in, in a sentence.
pub fn shut_by(
    kind: &Kind,
    seen: &[(String, Attributes)],
    port: u16,
    family: Option<Family>,
) -> Option<String> {
    seen.iter().find_map(|(id, attributes)| {
        let filter = Filter::of(kind, |name| attributes.get(name))?;
        let is_shut = filter.admits("TCP", Some(port), family) == Admits::Nobody;
        is_shut.then(|| {
            format!("{} blocks all traffic to port {port}", stranger(kind, id, attributes))
        })
    })
}

/// The attribute by which an object names what may shut it, and the kind of that.
pub fn shut_through<'a>(kind: &'a Kind, catalog: &'a Catalog) -> Option<(&'a String, &'a Kind)> {
    filters(kind, catalog).next()
}

/// Where users come in.
struct Entry<'a, 'b> {
    at: &'a PlannedChange<'b>,
    /// What the filter stands before.
    holder: &'a PlannedChange<'b>,
    /// `None`: nobody says which port is meant.
    port: Option<u16>,
}

/// The ports of balancers, and the machines to which names lead without one.
fn entries<'a, 'b>(
    planned: &'a [PlannedChange<'b>],
    catalog: &Catalog,
    walls: &Walls<'a, 'b>,
    fronts: &BTreeMap<Address, BTreeSet<Option<Family>>>,
) -> Vec<Entry<'a, 'b>> {
    let ports: Vec<&Kind> = catalog.kinds.values().filter(|it| it.listens.is_some()).collect();
    let has_ports = |kind: &Kind| {
        let mut holders = ports.iter().filter_map(|it| it.attribute(it.contains_in.as_ref()?));
        holders.any(|it| it.to.as_ref() == Some(&kind.kind))
    };
    let entry = |it: &'a PlannedChange<'b>| {
        if it.kind.listens.is_some() {
            let port = after(it).and_then(|attributes| port_of(it.kind, &attributes))?;
            let holder = walls.holder(it).filter(|it| lives(it))?;
            return Some(Entry { at: it, holder, port: Some(port) });
        }
        let is_front = fronts.contains_key(&it.change.address) && !has_ports(it.kind);
        is_front.then_some(Entry { at: it, holder: it, port: None })
    };
    planned.iter().filter(|it| lives(it)).filter_map(entry).collect()
}

/// Every place at which not everybody is let in when the plan is carried out.
pub fn doors<'a, 'b>(
    planned: &'a [PlannedChange<'b>],
    (stack, catalog): (&Stack, &Catalog),
    walls: &Walls<'a, 'b>,
    directions: &[ShiftDirection],
) -> Vec<FilteredPort> {
    let fronts = fronts(planned, &DesiredTopology::new(catalog, stack));
    let entries = entries(planned, catalog, walls, &fronts);
    entries.iter().filter_map(|it| door(it, walls, &fronts, directions)).collect()
}

fn door(
    entry: &Entry<'_, '_>,
    walls: &Walls<'_, '_>,
    fronts: &BTreeMap<Address, BTreeSet<Option<Family>>>,
    directions: &[ShiftDirection],
) -> Option<FilteredPort> {
    let Entry { at, holder, port } = entry;
    let wall = walls.after(holder)?;
    let any = BTreeSet::from([None]);
    let families = fronts.get(&holder.change.address).unwrap_or(&any);
    let admits = |filter: &Filter, port: Option<u16>| {
        families.iter().map(|family| filter.admits("TCP", port, *family)).max()
    };
    let then = admits(&wall.filter, *port);
    // Of a machine nobody says which ports users need: only that none of them gets in at any is told.
    if then == Some(Admits::Everybody) || (port.is_none() && then == Some(Admits::Some)) {
        return None;
    }
    let stays = |it: &PlannedChange<'_>| {
        is_there(it) && !matches!(it.change.action, Action::Replace { .. })
    };
    let was = at.record.filter(|_| stays(at) && stays(holder)).map(|record| {
        let port = port.map(|now| port_of(at.kind, &record.attributes).unwrap_or(now));
        let before = walls.before(holder).and_then(|wall| admits(&wall.filter, port));
        before.unwrap_or(Admits::Everybody)
    });
    let address = &at.change.address;
    let mut directed =
        directions.iter().filter(|it| it.until.is_none() && it.serving.contains(address));
    let is_directed = directed.clone().next().is_some();
    let watched = |it: &ShiftDirection| it.probes > 0 || it.checked.contains(address);
    Some(FilteredPort {
        at: address.clone(),
        holder: holder.change.address.clone(),
        own: wall.own.cloned(),
        wall: wall.name,
        port: *port,
        is_shut: then == Some(Admits::Nobody),
        is_change: match (was, then) {
            // What is new and lets some in is as it was meant to be.
            (None, then) => then == Some(Admits::Nobody),
            (was, then) => then < was,
        },
        is_directed,
        is_gated: directed.all(watched),
    })
}

/// It is there when the plan is carried out, and can be looked at.
fn lives(it: &PlannedChange<'_>) -> bool {
    let goes = matches!(it.change.action, Action::Delete | Action::Forget);
    !goes && it.change.frozen.is_none() && it.change.unknown.is_none()
}

/// How users come to what names lead to.
fn fronts(
    planned: &[PlannedChange<'_>],
    wanted: &DesiredTopology<'_>,
) -> BTreeMap<Address, BTreeSet<Option<Family>>> {
    let mut fronts: BTreeMap<Address, BTreeSet<Option<Family>>> = BTreeMap::new();
    for it in planned.iter().filter(|it| it.kind.drain.is_some() && lives(it)) {
        let Some(instance) = it.instance else { continue };
        let Some(attributes) = it.desired.as_deref().or(it.record.map(|it| &it.attributes)) else {
            continue;
        };
        let family = family_of(it.kind, attributes);
        for target in wanted.targets(it.kind, instance) {
            fronts.entry(target).or_default().insert(family);
        }
    }
    fronts
}

impl FilteredPort {
    fn says(&self) -> String {
        let Self { wall, port, at, holder, .. } = self;
        match port {
            None => format!("{wall} blocks all traffic to `{at}`: no user can reach it"),
            Some(port) if self.is_shut => format!(
                "{wall} blocks all traffic to port {port} of `{holder}`: no user can reach `{at}`, even if its backends are healthy"
            ),
            Some(port) => {
                format!("{wall} admits only some networks to port {port} of `{holder}`")
            }
        }
    }

    /// What is worse than it was, or where users are about to be sent.
    pub fn danger(&self) -> Option<Danger> {
        let is_danger = self.is_change || (self.is_directed && self.is_shut);
        let address = self.own.clone().unwrap_or_else(|| self.holder.clone());
        is_danger.then(|| Danger {
            address,
            sort: Sort::Traffic,
            says: self.says(),
            stays: Vec::new(),
        })
    }

    /// A refusal of what this plan would do, unless it may; what is so already, or what others did and a gate waits for, is told.
    pub fn told(&self, stack: &Stack, is_allowed: bool) -> Option<Diagnostic> {
        if !self.is_shut {
            return None;
        }
        let let_in = "add a rule that accepts TCP on that port from 0.0.0.0/0 and ::/0";
        let is_meant = match &self.own {
            Some(_) => self.is_change || self.is_directed,
            None => self.is_directed && !self.is_gated,
        };
        let told = if is_meant && !is_allowed {
            // A gate asks whether users are served, and not whether that is wanted.
            let waits = self.is_directed && self.is_gated;
            let waits = if waits { "; its gate still waits until they are admitted" } else { "" };
            Diagnostic::refusal(DiagnosticCode::ShutsUsers, self.says())
                .help(format!("{let_in}; or, to accept the outage, --allow-outage{waits}"))
        } else {
            match &self.own {
                Some(_) => Diagnostic::warning(DiagnosticCode::ShutOut, self.says()).help(let_in),
                None => Diagnostic::warning(SHUT_BY_OTHERS, self.says())
                    .help("remove it, or open it there"),
            }
        };
        let of = self.own.as_ref().unwrap_or(&self.holder);
        let label = if self.own.is_some() { "the firewall" } else { "it protects this resource" };
        Some(match stack.instances.get(of) {
            Some(instance) => told.at(instance.resource.span, label),
            None => told,
        })
    }
}

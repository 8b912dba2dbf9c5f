//! Filters that shut balancers out from backends that they reach now: nobody is deleted, and nobody is served.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::address::Address;
use crate::engine::diagnostic::Diagnostic;
use crate::engine::packets::{Filter, Network};
use crate::engine::plan::change::Danger;
use crate::engine::plan::planned::Planned;
use crate::engine::schema::{Catalog, Kind, Sort};
use crate::engine::stack::model::Stack;
use crate::engine::stack::uses::named_by;
use crate::engine::value::{Attributes, Value};

/// A machine whose balancer would not reach it any more.
pub(super) struct Shut {
    machine: Address,
    wall: Address,
    port: u16,
    from: String,
}

/// Every machine that is reached now and would not be when the plan is made.
pub(super) fn shut(planned: &[Planned<'_>], stack: &Stack, catalog: &Catalog) -> Vec<Shut> {
    if !planned.iter().any(|it| it.kind.packets.is_some()) {
        return Vec::new();
    }
    let at: BTreeMap<&Address, &Planned<'_>> =
        planned.iter().map(|it| (&it.change.address, it)).collect();
    let mut found = Vec::new();
    let mut told = BTreeSet::new();
    for node in planned.iter().filter(|it| !it.change.action.destroys()) {
        let Some(instance) = node.instance else { continue };
        let Some((name, port)) = port(node) else { continue };
        let holders = std::iter::successors(Some(node), |it| holder(it, stack, &at));
        let Some(from) = holders.skip(1).find_map(|it| it.kind.reaches_from.as_ref()) else {
            continue;
        };
        let Some(network) = Network::parse(from) else { continue };
        let machines = named_by(stack, instance, &name);
        for machine in machines.iter().filter_map(|it| at.get(it)) {
            let Some((wall, now)) = after(machine, stack, catalog, &at) else { continue };
            let lets_in = |it: &Filter| it.is_partly_unknown || it.lets_in("TCP", port, &network);
            let was_shut = before(machine, catalog, planned).is_some_and(|it| !lets_in(&it));
            let is_new = machine.record.is_none();
            if !lets_in(&now) && !is_new && !was_shut && told.insert((wall, port)) {
                found.push(Shut {
                    machine: machine.change.address.clone(),
                    wall: wall.clone(),
                    port,
                    from: from.clone(),
                });
            }
        }
    }
    found
}

/// The attribute that says where a backend is, and its port.
fn port(node: &Planned<'_>) -> Option<(String, u16)> {
    node.kind.contains_in.as_ref()?;
    let known = |name: &String| {
        let desired = node.desired.as_ref().and_then(|it| it.get(name)).and_then(Value::as_text);
        let text = desired.or(node.record.and_then(|it| it.attributes.get(name)?.as_text()))?;
        Some((name.clone(), text.rsplit_once(':')?.1.parse().ok()?))
    };
    node.kind.traffic.iter().find_map(known)
}

fn holder<'a, 'b>(
    it: &Planned<'_>,
    stack: &Stack,
    at: &BTreeMap<&Address, &'a Planned<'b>>,
) -> Option<&'a Planned<'b>> {
    let named = named_by(stack, it.instance?, it.kind.contains_in.as_ref()?);
    at.get(named.first()?).copied()
}

/// The attributes by which a machine names a filter.
fn filters<'a>(kind: &'a Kind, catalog: &'a Catalog) -> impl Iterator<Item = &'a String> {
    kind.references().filter_map(|(name, attribute)| {
        let to = catalog.get(attribute.to.as_ref()?)?;
        to.packets.is_some().then_some(name)
    })
}

/// What stands in front of a machine when the plan is made.
fn after<'a>(
    machine: &Planned<'_>,
    stack: &Stack,
    catalog: &Catalog,
    at: &BTreeMap<&'a Address, &'a Planned<'_>>,
) -> Option<(&'a Address, Filter)> {
    let instance = machine.instance?;
    let named = filters(machine.kind, catalog).flat_map(|it| named_by(stack, instance, it));
    let wall = named.into_iter().find_map(|it| at.get(&it).copied())?;
    let has: &Attributes = wall.desired.as_deref()?;
    Some((&wall.change.address, Filter::of(wall.kind, |name| has.get(name))?))
}

/// What state says stands in front of it.
fn before(machine: &Planned<'_>, catalog: &Catalog, planned: &[Planned<'_>]) -> Option<Filter> {
    let record = machine.record?;
    let id = filters(machine.kind, catalog).find_map(|it| record.attributes.get(it)?.as_text())?;
    let walls = planned.iter().filter(|it| it.kind.packets.is_some());
    let wall = walls.filter_map(|it| Some((it.kind, it.record?))).find(|(_, it)| it.id == id)?;
    Filter::of(wall.0, |name| wall.1.attributes.get(name))
}

impl Shut {
    fn says(&self) -> String {
        format!(
            "`{}` would not let {} in to port {}: no balancer reaches `{}` any more, checks included",
            self.wall, self.from, self.port, self.machine
        )
    }

    pub(super) fn danger(&self) -> Danger {
        Danger { address: self.wall.clone(), sort: Sort::Traffic, says: self.says() }
    }

    pub(super) fn refusal(&self, stack: &Stack) -> Diagnostic {
        let refusal = Diagnostic::refusal("shuts_backends", self.says())
            .help("let them in with a rule that accepts TCP on that port; or, if nobody is to be served meanwhile, --allow-outage");
        match stack.instances.get(&self.wall) {
            Some(instance) => refusal.at(instance.resource.span, "the filter"),
            None => refusal,
        }
    }
}

//! Where users are sent: each name that others remember, what it leads to, and whether that is lost.

use std::collections::BTreeMap;

use crate::engine::address::Address;
use crate::engine::fault_domain::FaultDomains;
use crate::engine::lang::model::Stack;
use crate::engine::lang::validate::dry_run::objects;
use crate::engine::packets::{Admits, Family, Filter};
use crate::engine::plan::draft::destination::leads_elsewhere;
use crate::engine::plan::draft::topology::{DesiredTopology, RecordedTopology};
use crate::engine::plan::model::change::Plan;
use crate::engine::plan::traffic::balancer_firewalls::{family_of, port_of, shut_through};
use crate::engine::plan::traffic::serving::lets_serve;
use crate::engine::schema::Catalog;
use crate::engine::state::record::State;
use crate::engine::value::Value;

/// One way on which users come, as it was last recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserRoute {
    pub address: Address,
    /// What it says: an address, or a name.
    pub target: String,
    /// What stands there.
    pub to: Vec<Address>,
    /// Where that is.
    pub fault_domain: Option<String>,
    pub is_lost: bool,
    /// The layers want it to lead elsewhere, or not to be there.
    pub is_to_move: bool,
    /// Where the layers lead its users instead, as far as that is in this stack.
    pub wanted: Vec<Address>,
    /// The filter of this stack that lets nobody in there, in a sentence.
    pub shut: Option<String>,
    /// What takes users behind that; `None`: nothing that counts them stands there.
    pub backends: Option<BackendCount>,
}

/// How many backends take users, as recorded, and how many the layers want.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackendCount {
    pub recorded: usize,
    pub wanted: usize,
}

/// All of them; `pending`: what the layers want, and what they would have changed.
pub fn ways(catalog: &Catalog, state: &State, pending: Option<(&Stack, &Plan)>) -> Vec<UserRoute> {
    let wanted = pending.map(|(stack, _)| (stack, DesiredTopology::new(catalog, stack)));
    let plan = pending.map(|(_, plan)| plan);
    let (recorded, domains) =
        (RecordedTopology::new(catalog, state), FaultDomains::new(catalog, Some(state)));
    let mut ways = Vec::new();
    for (address, record) in &state.records {
        let Some(kind) = catalog.get(&record.kind).filter(|it| it.drain.is_some()) else {
            continue;
        };
        let mut changes = plan.into_iter().flat_map(|it| &it.changes);
        let change = changes.find(|it| it.address == *address);
        let is_to_move = change.is_some_and(|it| leads_elsewhere(kind, it));
        let to = recorded.leads_to(kind, record);
        // A text under a name leads nobody anywhere.
        if to.is_empty() && !is_to_move {
            continue;
        }
        let targets = kind.traffic.iter().filter_map(|it| record.attributes.get(it));
        let target: Vec<&str> = targets.filter_map(Value::as_text).collect();
        let fault_domain = to.iter().find_map(|it| domains.of_record(it)).map(str::to_owned);
        let is_lost =
            fault_domain.iter().any(|it| state.lost.iter().any(|lost| lost.fault_domain == *it));
        let shut = shut(catalog, state, &recorded, family_of(kind, &record.attributes), &to);
        let backends = backends(catalog, (state, &recorded), wanted.as_ref(), &to);
        let aim = wanted.as_ref().filter(|_| is_to_move).and_then(|(stack, topology)| {
            Some(topology.targets(kind, stack.instances.get(address)?))
        });
        let (address, target) = (address.clone(), target.join(", "));
        ways.push(UserRoute {
            address,
            target,
            to,
            fault_domain,
            is_lost,
            is_to_move,
            wanted: aim.unwrap_or_default(),
            shut,
            backends,
        });
    }
    ways
}

/// What of serving sets stands behind these, made and wanted.
fn backends(
    catalog: &Catalog,
    (state, recorded): (&State, &RecordedTopology<'_>),
    wanted: Option<&(&Stack, DesiredTopology<'_>)>,
    to: &[Address],
) -> Option<BackendCount> {
    let is_backend = |kind: &str| catalog.get(kind).filter(|it| !it.serving_set.is_empty());
    let stands = |it: &&Address| {
        let record = state.records.get(*it);
        record.is_some_and(|it| {
            is_backend(&it.kind).is_some_and(|kind| lets_serve(kind, &it.attributes))
        })
    };
    let stand = recorded.contained(to).iter().filter(stands).count();
    let declared = wanted.map_or(stand, |(stack, wanted)| {
        let kind = |it: &Address| stack.instances.get(it).map(|it| it.resource.kind.as_str());
        let all = wanted.contained(to);
        all.iter().filter(|it| kind(it).is_some_and(|it| is_backend(it).is_some())).count()
    });
    (stand + declared > 0).then_some(BackendCount { recorded: stand, wanted: declared })
}

/// The first filter before what users come to that lets none of them in, as far as state knows.
fn shut(
    catalog: &Catalog,
    state: &State,
    recorded: &RecordedTopology<'_>,
    family: Option<Family>,
    to: &[Address],
) -> Option<String> {
    recorded.contained(to).iter().find_map(|address| {
        let record = state.records.get(address)?;
        let kind = catalog.get(&record.kind)?;
        let port = port_of(kind, &record.attributes)?;
        let holder = recorded.container(kind, record)?;
        let (name, wall) = shut_through(catalog.get(&holder.kind)?, catalog)?;
        let id = holder.attributes.get(name)?.as_text()?;
        let named = recorded.of_id(&wall.kind, id)?;
        let own = state.records.get(named)?;
        let filter = Filter::of(wall, |name| own.attributes.get(name))?;
        let is_shut = filter.admits("TCP", Some(port), family) == Admits::Nobody;
        is_shut.then(|| format!("`{named}` blocks all traffic to port {port}"))
    })
}

/// Whether a switch between these layers has traffic to shift: a name that one of them alone has, or that leads its users
/// elsewhere in the other.
pub fn moves_users(catalog: &Catalog, before: &Stack, after: &Stack) -> bool {
    let names = |stack: &Stack| {
        let (wanted, values) = (DesiredTopology::new(catalog, stack), objects(stack, catalog));
        let mut names = BTreeMap::new();
        for instance in stack.instances.values() {
            let kind = catalog.get(&instance.resource.kind).filter(|it| it.drain.is_some());
            let (Some(kind), Some(value)) = (kind, values.get(&instance.address)) else { continue };
            let value = |name: &str| value.attributes.get(name).filter(|it| !it.has_open());
            if kind.directs_users(value) {
                let said = kind.traffic.iter().map(|it| value(it).cloned()).collect::<Vec<_>>();
                names.insert(instance.address.clone(), (wanted.targets(kind, instance), said));
            }
        }
        names
    };
    names(before) != names(after)
}

/// Where a name leads its users, as state says; empty where it was taken away, `None` where it leads nobody.
pub fn leads_users(catalog: &Catalog, state: &State, address: &Address) -> Option<String> {
    let Some(record) = state.records.get(address) else { return Some(String::new()) };
    let kind = catalog.get(&record.kind)?;
    let is_name = kind.drain.is_some() && kind.directs_users(|name| record.attributes.get(name));
    let targets = kind.traffic.iter().filter_map(|it| record.attributes.get(it)?.as_text());
    is_name.then(|| targets.collect::<Vec<_>>().join(", "))
}

//! Where users are sent: each name that others remember, what it leads to, and whether that is lost.

use crate::engine::address::Address;
use crate::engine::fault_domain::Domains;
use crate::engine::plan::change::{AttributeChange, Change, Plan};
use crate::engine::plan::closure::Recorded;
use crate::engine::plan::danger::directs_users;
use crate::engine::schema::Catalog;
use crate::engine::state::record::State;
use crate::engine::value::Value;

/// One way on which users come, as it was last recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Way {
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
}

/// All of them; `plan`: what the layers would have changed.
pub fn ways(catalog: &Catalog, state: &State, plan: Option<&Plan>) -> Vec<Way> {
    let (recorded, domains) = (Recorded::new(catalog, state), Domains::new(catalog, Some(state)));
    let mut ways = Vec::new();
    for (address, record) in &state.records {
        let Some(kind) = catalog.get(&record.kind).filter(|it| it.drain.is_some()) else {
            continue;
        };
        let mut changes = plan.into_iter().flat_map(|it| &it.changes);
        let change = changes.find(|it| it.address == *address);
        let is_to_move = change.is_some_and(|it| moves(it, |name| kind.directs(name)));
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
        let (address, target) = (address.clone(), target.join(", "));
        ways.push(Way { address, target, to, fault_domain, is_lost, is_to_move });
    }
    ways
}

/// Where a name leads its users, as state says; empty where it was taken away, `None` where it leads nobody.
pub fn leads_users(catalog: &Catalog, state: &State, address: &Address) -> Option<String> {
    let Some(record) = state.records.get(address) else { return Some(String::new()) };
    let kind = catalog.get(&record.kind)?;
    let is_name = kind.drain.is_some() && directs_users(kind, |name| record.attributes.get(name));
    let targets = kind.traffic.iter().filter_map(|it| record.attributes.get(it)?.as_text());
    is_name.then(|| targets.collect::<Vec<_>>().join(", "))
}

fn moves(change: &Change, directs: impl Fn(&str) -> bool) -> bool {
    let held = change.held.as_ref();
    let goes = change.action.destroys() || held.is_some_and(|it| it.action.destroys());
    let held = held.into_iter().flat_map(|it| &it.attributes);
    let is_directed = |it: &AttributeChange| directs(&it.name);
    goes || change.attributes.iter().chain(held).any(is_directed)
}

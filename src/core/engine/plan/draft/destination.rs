//! Where layers would send users who are served now, so that nobody is advised to send them into what is lost.

use std::collections::BTreeSet;

use crate::engine::address::Address;
use crate::engine::fault_domain::FaultDomains;
use crate::engine::lang::model::Stack;
use crate::engine::plan::draft::topology::{DesiredTopology, RecordedTopology};
use crate::engine::plan::model::change::{AttributeChange, Change};
use crate::engine::schema::{Catalog, Kind};
use crate::engine::state::record::State;

/// Whether a change of a name, made now or deferred, leads its users elsewhere than before.
pub fn leads_elsewhere(kind: &Kind, change: &Change) -> bool {
    let held = change.deferred.as_ref();
    let goes = change.action.destroys() || held.is_some_and(|it| it.action.destroys());
    let held = held.into_iter().flat_map(|it| &it.attributes);
    let is_directed = |it: &AttributeChange| kind.directs(&it.name);
    kind.drain.is_some() && (goes || change.attributes.iter().chain(held).any(is_directed))
}

/// The first name that these layers would lead from what lives into one of these fault domains: a plan that does so is refused.
pub fn sends_into<'a>(
    catalog: &Catalog,
    stack: &Stack,
    state: &State,
    lost: &BTreeSet<&'a str>,
) -> Option<(Address, &'a str)> {
    let recorded = RecordedTopology::new(catalog, state);
    let lost_at = lost_at(catalog, stack, state, lost);
    first_into(catalog, stack, &lost_at, |kind, address, targets| {
        let before = state.records.get(address);
        let before = before.map(|it| recorded.targets(kind, it)).unwrap_or_default();
        // From one lost place to another nobody is worse off.
        before != targets && !before.iter().any(|it| lost_at(it).is_some())
    })
}

/// The first name that these layers lead into one of these fault domains, wherever it leads now: nobody is advised to have it so.
pub fn leads_into<'a>(
    catalog: &Catalog,
    stack: &Stack,
    state: &State,
    lost: &BTreeSet<&'a str>,
) -> Option<(Address, &'a str)> {
    first_into(catalog, stack, lost_at(catalog, stack, state, lost), |_, _, _| true)
}

/// The first name of those that are looked for which leads into what is lost.
fn first_into<'a>(
    catalog: &Catalog,
    stack: &Stack,
    lost_at: impl Fn(&Address) -> Option<&'a str>,
    is_wanted: impl Fn(&Kind, &Address, &[Address]) -> bool,
) -> Option<(Address, &'a str)> {
    let wanted = DesiredTopology::new(catalog, stack);
    stack.instances.values().find_map(|instance| {
        let kind = catalog.get(&instance.resource.kind).filter(|it| it.drain.is_some())?;
        let targets = wanted.targets(kind, instance);
        let domain = targets.iter().find_map(&lost_at)?;
        let is_wanted = is_wanted(kind, &instance.address, &targets);
        is_wanted.then(|| (instance.address.clone(), domain))
    })
}

/// In which of these fault domains a resource is, or will be.
fn lost_at<'r, 'a: 'r>(
    catalog: &'r Catalog,
    stack: &'r Stack,
    state: &'r State,
    lost: &'r BTreeSet<&'a str>,
) -> impl Fn(&Address) -> Option<&'a str> {
    let (planned, made) =
        (FaultDomains::planned(catalog, stack), FaultDomains::new(catalog, Some(state)));
    move |address: &Address| {
        let domain = made.of_record(address).or_else(|| planned.of_desired(address))?;
        lost.get(domain).copied()
    }
}

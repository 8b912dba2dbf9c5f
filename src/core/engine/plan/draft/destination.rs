//! Where layers would send users who are served now, so that nobody is advised to send them into what is lost.

use std::collections::BTreeSet;

use crate::engine::address::Address;
use crate::engine::fault_domain::FaultDomains;
use crate::engine::lang::model::Stack;
use crate::engine::plan::draft::topology::{DesiredTopology, RecordedTopology};
use crate::engine::schema::Catalog;
use crate::engine::state::record::State;

/// The first name that these layers would lead from what lives into one of these fault domains: a plan that does so is refused.
pub fn sends_into<'a>(
    catalog: &Catalog,
    stack: &Stack,
    state: &State,
    lost: &BTreeSet<&'a str>,
) -> Option<(Address, &'a str)> {
    let wanted = DesiredTopology::new(catalog, stack);
    let recorded = RecordedTopology::new(catalog, state);
    let (planned, made) =
        (FaultDomains::planned(catalog, stack), FaultDomains::new(catalog, Some(state)));
    let lost_at = |address: &Address| {
        let domain = made.of_record(address).or_else(|| planned.of_desired(address))?;
        lost.get(domain).copied()
    };
    stack.instances.values().find_map(|instance| {
        let kind = catalog.get(&instance.resource.kind).filter(|it| it.drain.is_some())?;
        let targets = wanted.targets(kind, instance);
        let before = state.records.get(&instance.address);
        let before = before.map(|it| recorded.targets(kind, it)).unwrap_or_default();
        // From one lost place to another nobody is worse off.
        if before == targets || before.iter().any(|it| lost_at(it).is_some()) {
            return None;
        }
        let domain = targets.iter().find_map(lost_at)?;
        Some((instance.address.clone(), domain))
    })
}

//! Fault domains that say nothing, though nobody declares them lost: a call there would not end well either.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::address::Address;
use crate::engine::fault_domain::Domains;
use crate::engine::observed::Observation;
use crate::engine::schema::{Catalog, FaultDomain, Kind};
use crate::engine::stack::model::{Instance, Stack};
use crate::engine::state::record::State;
use crate::engine::value::Attributes;

/// Nothing is worked out while everybody answers.
#[derive(Debug, Default)]
pub(super) struct Silent {
    domains: Domains,
    names: BTreeSet<String>,
}

impl Silent {
    pub(super) fn new(
        catalog: &Catalog,
        state: Option<&State>,
        observed: &BTreeMap<Address, Observation>,
    ) -> Self {
        let is_unseen = |it: &Observation| matches!(it, Observation::Unseen(_));
        if !observed.values().any(is_unseen) {
            return Self::default();
        }
        let domains = Domains::new(catalog, state);
        let (mut unseen, mut answered) = (BTreeSet::new(), BTreeSet::new());
        for (address, record) in state.into_iter().flat_map(|it| &it.records) {
            let Some(kind) = catalog.get(&record.kind).filter(|it| !is_global(it)) else {
                continue;
            };
            let Some(domain) = domains.of_record(address) else { continue };
            match observed.get(address) {
                Some(Observation::Unseen(_)) => unseen.insert(domain.to_owned()),
                Some(Observation::Exists { .. }) if is_asked_there(kind) => {
                    answered.insert(domain.to_owned())
                }
                Some(Observation::Exists { .. } | Observation::Absent) | None => false,
            };
        }
        let names = unseen.difference(&answered).cloned().collect();
        Self { domains, names }
    }

    /// Takes in where an instance is to be; in the order of the graph.
    pub(super) fn take_in(
        &mut self,
        catalog: &Catalog,
        stack: &Stack,
        instance: &Instance,
        attributes: &Attributes,
    ) {
        if !self.names.is_empty() {
            self.domains.take_in(catalog, stack, instance, attributes);
        }
    }

    /// The silent fault domain that something recorded is in, or else is to be in.
    pub(super) fn of(&self, address: &Address) -> Option<&str> {
        let recorded = self.domains.of_record(address);
        recorded.or(self.domains.of_desired(address)).filter(|it| self.names.contains(*it))
    }
}

/// What is everywhere is not lost by halves.
fn is_global(kind: &Kind) -> bool {
    matches!(kind.fault_domain, FaultDomain::Global(_))
}

/// Lists of a cloud with one API for all regions tell of what is in a region that does not answer, too.
fn is_asked_there(kind: &Kind) -> bool {
    kind.contains_in.is_some() || kind.rest.is_none()
}

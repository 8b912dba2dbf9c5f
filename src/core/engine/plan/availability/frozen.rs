//! Frozen: which objects are in a fault domain that is lost, and what that means for the others.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::address::Address;
use crate::engine::fault_domain::FaultDomains;
use crate::engine::lang::model::{Instance, Stack};
use crate::engine::plan::model::change::LossDeclaration;
use crate::engine::schema::{Catalog, FaultDomain, Kind};
use crate::engine::state::record::State;
use crate::engine::value::Attributes;

/// What is lost, and what that freezes. Nothing is worked out while nothing is lost.
#[derive(Debug)]
pub struct Frozen<'a> {
    lost: &'a [LossDeclaration],
    domains: FaultDomains,
    /// Cloud → its global fault domain, where that is lost: then nothing of that cloud can be reached.
    clouds: BTreeMap<String, String>,
    /// Living objects that something frozen depends on.
    needed: BTreeSet<Address>,
}

impl<'a> Frozen<'a> {
    pub fn new(catalog: &Catalog, state: Option<&State>, lost: &'a [LossDeclaration]) -> Self {
        let mut frozen = Self {
            lost,
            domains: FaultDomains::default(),
            clouds: BTreeMap::new(),
            needed: BTreeSet::new(),
        };
        if lost.is_empty() {
            return frozen;
        }
        frozen.domains = FaultDomains::new(catalog, state);
        for kind in catalog.kinds.values() {
            if let FaultDomain::Global(name) = &kind.fault_domain
                && frozen.is_lost(name)
            {
                frozen.clouds.insert(kind.cloud.clone(), name.clone());
            }
        }
        for (address, record) in state.into_iter().flat_map(|it| &it.records) {
            let is_frozen =
                catalog.get(&record.kind).is_some_and(|it| frozen.of_record(address, it).is_some());
            if is_frozen {
                frozen.needed.extend(record.needs.iter().cloned());
            }
        }
        frozen
    }

    pub fn is_any(&self) -> bool {
        !self.lost.is_empty()
    }

    fn is_lost(&self, domain: &str) -> bool {
        self.lost.iter().any(|it| it.fault_domain == domain)
    }

    /// Takes in where an instance is to be; in the order of the graph.
    pub fn take_in(
        &mut self,
        catalog: &Catalog,
        stack: &Stack,
        instance: &Instance,
        attributes: &Attributes,
    ) {
        if self.is_any() {
            self.domains.take_in(catalog, stack, instance, attributes);
        }
    }

    /// The lost fault domain that a recorded object is in.
    pub fn of_record(&self, address: &Address, kind: &Kind) -> Option<&str> {
        self.lost_one(self.domains.of_record(address), kind)
    }

    /// The lost fault domain that an instance is to be in.
    pub fn of_desired(&self, address: &Address, kind: &Kind) -> Option<&str> {
        self.lost_one(self.domains.of_desired(address), kind)
    }

    fn lost_one<'b>(&'b self, domain: Option<&'b str>, kind: &Kind) -> Option<&'b str> {
        if let Some(global) = self.clouds.get(&kind.cloud) {
            return Some(global);
        }
        domain.filter(|it| self.is_lost(it))
    }

    /// Since when it is lost, where state says so.
    pub fn since(&self, domain: &str) -> Option<i64> {
        let loss = self.lost.iter().find(|it| it.fault_domain == domain)?;
        loss.recorded.as_ref().map(|(since, _)| *since)
    }

    /// Whether something frozen depends on it.
    pub fn needs(&self, address: &Address) -> bool {
        self.needed.contains(address)
    }

    /// The clouds of which nothing can be reached, with the fault domain that says so.
    pub fn clouds(&self) -> &BTreeMap<String, String> {
        &self.clouds
    }
}

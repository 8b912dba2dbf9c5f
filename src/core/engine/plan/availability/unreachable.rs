//! Fault domains that say nothing, though nobody declares them lost: a call there would not end well either.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::address::Address;
use crate::engine::fault_domain::FaultDomains;
use crate::engine::lang::model::{Instance, Stack};
use crate::engine::observed::{Observation, UnknownReason, Unreadable};
use crate::engine::schema::{Catalog, FaultDomain, Kind};
use crate::engine::state::record::State;
use crate::engine::value::Attributes;

/// Nothing is worked out while everybody answers.
#[derive(Debug, Default)]
pub struct UnreachablePlaces {
    domains: FaultDomains,
    /// With whether there was an answer after all, which was no or nonsense.
    names: BTreeMap<String, bool>,
    /// Those of them from which nothing came at all.
    silent: BTreeSet<String>,
}

impl UnreachablePlaces {
    pub fn new(
        catalog: &Catalog,
        state: Option<&State>,
        observed: &BTreeMap<Address, Observation>,
    ) -> Self {
        let is_unseen = |it: &Observation| matches!(it, Observation::Unknown(_));
        if !observed.values().any(is_unseen) {
            return Self::default();
        }
        let domains = FaultDomains::new(catalog, state);
        let (mut unseen, mut answered) = (BTreeMap::new(), BTreeSet::new());
        let mut heard = BTreeSet::new();
        for (address, record) in state.into_iter().flat_map(|it| &it.records) {
            let Some(kind) = catalog.get(&record.kind).filter(|it| !is_global(it)) else {
                continue;
            };
            let Some(domain) = domains.of_record(address) else { continue };
            match observed.get(address) {
                Some(Observation::Unknown(it)) => {
                    *unseen.entry(domain.to_owned()).or_insert(true) &= it.reason.is_no();
                    let is_silence = it.reason == UnknownReason::Unreachable;
                    heard.extend((!is_silence).then(|| domain.to_owned()));
                }
                Some(Observation::Exists { .. }) if is_asked_there(kind) => {
                    answered.insert(domain.to_owned());
                }
                Some(Observation::Exists { .. } | Observation::Absent) | None => {}
            }
        }
        unseen.retain(|it, _| !answered.contains(it));
        let silent = unseen.keys().filter(|it| !heard.contains(*it)).cloned().collect();
        Self { domains, names: unseen, silent }
    }

    /// Takes in where an instance is to be; in the order of the graph.
    pub fn take_in(
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

    /// What is known of something there that only a list of elsewhere showed; `None`: its fault domain answers, or said no.
    pub fn unread(&self, address: &Address) -> Option<Unreadable> {
        let domain = self.domains.of_record(address)?;
        let why = || format!("{domain} is unreachable");
        let is_silent = self.silent.contains(domain);
        is_silent.then(|| Unreadable::new(UnknownReason::Unreachable, why()))
    }

    /// Everybody answers, be it no or nonsense.
    pub fn is_empty(&self) -> bool {
        self.silent.is_empty()
    }

    /// The fault domain of something, recorded or to be made, where nothing came from it at all.
    pub fn silent_at(&self, address: &Address) -> Option<&str> {
        let domain = self.domains.of_record(address).or(self.domains.of_desired(address))?;
        self.silent.contains(domain).then_some(domain)
    }

    /// Why nothing can be called where something is recorded, or else is to be.
    pub fn why(&self, address: &Address) -> Option<String> {
        let domain = self.domains.of_record(address).or(self.domains.of_desired(address))?;
        Some(match self.names.get(domain)? {
            false => format!("{domain} is unreachable"),
            true => format!("{domain} gave no valid answer"),
        })
    }
}

/// What is everywhere is not lost by halves.
pub fn is_global(kind: &Kind) -> bool {
    matches!(kind.fault_domain, FaultDomain::Global(_))
}

/// Lists of a cloud with one API for all regions tell of what is in a region that does not answer, too.
pub fn is_asked_there(kind: &Kind) -> bool {
    kind.contains_in.is_some() || kind.rest.is_none()
}

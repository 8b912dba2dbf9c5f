//! In which fault domain each object is: what is lost together.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::address::Address;
use crate::engine::containment::{RecordIndex, find_record, referred};
use crate::engine::lang::lower::dependencies::named_by;
use crate::engine::lang::model::{Instance, Stack};
use crate::engine::lang::validate::dry_run::objects;
use crate::engine::schema::{Catalog, FaultDomain, Kind};
use crate::engine::state::record::{PendingOperation, Record, State};
use crate::engine::text::codes::DiagnosticCode;
use crate::engine::text::diagnostic::{Diagnostic, nearest};
use crate::engine::value::{Attributes, Value};

/// How many containers are followed upwards. The deepest kind has two (a node in a config in a balancer); the limit only ends
/// a chain that leads back to itself.
const DEPTH_MAX: usize = 8;

/// Fault domains by address: of what is recorded, and of what is desired.
#[derive(Debug, Default)]
pub struct FaultDomains {
    recorded: BTreeMap<Address, String>,
    desired: BTreeMap<Address, String>,
}

impl FaultDomains {
    /// Where everything recorded is.
    pub fn new(catalog: &Catalog, state: Option<&State>) -> Self {
        let Some(state) = state else { return Self::default() };
        let by_id = RecordIndex::new(state);
        let domain = |record: &Record| recorded(catalog, &by_id, record, DEPTH_MAX);
        let recorded = state.records.iter();
        let recorded = recorded.filter_map(|(at, it)| Some((at.clone(), domain(it)?))).collect();
        Self { recorded, desired: BTreeMap::new() }
    }

    /// Where everything is to be, before anything is made.
    pub fn planned(catalog: &Catalog, stack: &Stack) -> Self {
        let mut domains = Self::default();
        for (address, object) in objects(stack, catalog) {
            if let Some(instance) = stack.instances.get(&address) {
                domains.take_in(catalog, stack, instance, &object.attributes);
            }
        }
        domains
    }

    /// Takes in where an instance is to be; its containers were taken in before it.
    pub fn take_in(
        &mut self,
        catalog: &Catalog,
        stack: &Stack,
        instance: &Instance,
        attributes: &Attributes,
    ) {
        let Some(kind) = catalog.get(&instance.resource.kind) else { return };
        let domain = match &kind.fault_domain {
            FaultDomain::Global(name) => Some(name.clone()),
            FaultDomain::Region(name) => region(kind, attributes, name),
            FaultDomain::Of(name) => named_by(stack, instance, name)
                .iter()
                .find_map(|it| self.desired.get(it).or(self.recorded.get(it)).cloned()),
        };
        if let Some(domain) = domain {
            self.desired.insert(instance.address.clone(), domain);
        }
    }

    /// Where an object is that a step began to make: by its attributes, or by what contains it.
    pub fn of_begun(
        &self,
        catalog: &Catalog,
        state: &State,
        begun: &PendingOperation,
    ) -> Option<String> {
        let kind = catalog.get(&begun.kind)?;
        match &kind.fault_domain {
            FaultDomain::Global(name) => Some(name.clone()),
            FaultDomain::Region(name) => region(kind, &begun.attributes, name),
            FaultDomain::Of(name) => {
                let within = referred(kind, name, &begun.attributes)?;
                let (holder, _) = find_record(state, within)?;
                self.of_record(holder).map(str::to_owned)
            }
        }
    }

    pub fn of_record(&self, address: &Address) -> Option<&str> {
        self.recorded.get(address).map(String::as_str)
    }

    pub fn of_desired(&self, address: &Address) -> Option<&str> {
        self.desired.get(address).map(String::as_str)
    }

    /// Every fault domain that something is in, or is to be in.
    pub fn names(&self) -> BTreeSet<&str> {
        self.recorded.values().chain(self.desired.values()).map(String::as_str).collect()
    }

    /// The known fault domain that looks most like this one.
    pub fn nearest(&self, name: &str) -> Option<String> {
        nearest(name, self.names()).map(str::to_owned)
    }
}

/// Tells the losses that the overlays assume of what is nowhere in the stack.
pub fn check_assumed(stack: &Stack, known: &BTreeSet<&str>) -> Vec<Diagnostic> {
    let unknown = stack.assumes_lost.iter().filter(|(name, _)| !known.contains(name.as_str()));
    let told = unknown.map(|(name, span)| {
        let known: Vec<&str> = known.iter().copied().collect();
        Diagnostic::error(DiagnosticCode::UnknownFaultDomain, "Unknown fault domain")
            .at(*span, format!("nothing of this stack is in `{name}`"))
            .help(format!("it is in {}", known.join(", ")))
            .nearest(name, known)
    });
    told.collect()
}

fn region(kind: &Kind, attributes: &Attributes, name: &str) -> Option<String> {
    let region = attributes.get(name).and_then(Value::as_text)?;
    Some(format!("{}:{region}", kind.cloud))
}

fn recorded(
    catalog: &Catalog,
    by_id: &RecordIndex<'_>,
    record: &Record,
    depth: usize,
) -> Option<String> {
    let kind = catalog.get(&record.kind)?;
    match &kind.fault_domain {
        FaultDomain::Global(name) => Some(name.clone()),
        FaultDomain::Region(name) => region(kind, &record.attributes, name),
        FaultDomain::Of(name) => {
            let (_, holder) = by_id.get(referred(kind, name, &record.attributes)?)?;
            recorded(catalog, by_id, holder, depth.checked_sub(1)?)
        }
    }
}

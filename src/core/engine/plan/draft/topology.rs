//! Serving closures: what stands behind a target, so that whoever is directed there is served.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::engine::address::Address;
use crate::engine::containment::{ObjectRef, RecordIndex, declared_containers};
use crate::engine::lang::lower::dependencies::named_by;
use crate::engine::lang::model::{Instance, Stack};
use crate::engine::schema::{Catalog, Kind};
use crate::engine::state::record::{Record, State};
use crate::engine::value::{Attributes, Value};

/// What contains and needs what, as the layers say.
pub struct DesiredTopology<'a> {
    stack: &'a Stack,
    contents: BTreeMap<Address, Vec<Address>>,
}

impl<'a> DesiredTopology<'a> {
    pub fn new(catalog: &Catalog, stack: &'a Stack) -> Self {
        let mut contents: BTreeMap<Address, Vec<Address>> = BTreeMap::new();
        for instance in stack.instances.values() {
            let Some(kind) = catalog.get(&instance.resource.kind) else { continue };
            for holder in declared_containers(stack, instance, kind) {
                contents.entry(holder).or_default().push(instance.address.clone());
            }
        }
        Self { stack, contents }
    }

    /// What the traffic attributes of an instance name.
    pub fn targets(&self, kind: &Kind, instance: &Instance) -> Vec<Address> {
        let mut found: Vec<Address> =
            kind.traffic.iter().flat_map(|it| named_by(self.stack, instance, it)).collect();
        found.sort();
        found.dedup();
        found
    }

    /// These objects and all that they contain.
    pub fn contained(&self, roots: &[Address]) -> BTreeSet<Address> {
        contained(&self.contents, roots)
    }

    /// The waits that no reference asks for: what directs users comes after all that its targets contain.
    pub fn derived(&self, catalog: &Catalog) -> Vec<(Address, Address)> {
        let mut derived = Vec::new();
        for instance in self.stack.instances.values() {
            let Some(kind) = catalog.get(&instance.resource.kind) else { continue };
            if kind.traffic.is_empty() {
                continue;
            }
            let is_need = |address: &Address| instance.needs.iter().any(|(it, _)| it == address);
            let behind = self.contained(&self.targets(kind, instance));
            let behind = behind.into_iter().filter(|it| !is_need(it) && *it != instance.address);
            derived.extend(behind.map(|it| (it, instance.address.clone())));
        }
        derived
    }

    /// The serving closure: these objects, all they contain, all their dependencies.
    pub fn closure(&self, roots: &[Address]) -> BTreeSet<Address> {
        let needs = |address: &Address| {
            let instance = self.stack.instances.get(address);
            instance.into_iter().flat_map(|it| &it.needs).map(|(need, _)| need.clone()).collect()
        };
        dependencies(self.contained(roots), needs)
    }
}

/// What contains and needs what, as state records it.
pub struct RecordedTopology<'a> {
    state: &'a State,
    records: RecordIndex<'a>,
    contents: BTreeMap<Address, Vec<Address>>,
    /// What stands at an address or a host name; put together when somebody asks.
    standing: OnceCell<BTreeMap<String, Vec<Address>>>,
}

impl<'a> RecordedTopology<'a> {
    pub fn new(catalog: &Catalog, state: &'a State) -> Self {
        let records = RecordIndex::new(state);
        let mut contents: BTreeMap<Address, Vec<Address>> = BTreeMap::new();
        for (address, record) in &state.records {
            let kind = catalog.get(&record.kind);
            let holder = kind.and_then(|it| records.container(it, &record.attributes));
            if let Some((holder, _)) = holder {
                contents.entry(holder.clone()).or_default().push(address.clone());
            }
        }
        Self { state, records, contents, standing: OnceCell::new() }
    }

    /// What contains a recorded object.
    pub fn container(&self, kind: &Kind, record: &Record) -> Option<&'a Record> {
        self.records.container(kind, &record.attributes).map(|(_, it)| it)
    }

    /// What a record directs users to: those of its dependencies of which the cloud made its traffic values.
    pub fn targets(&self, kind: &Kind, record: &Record) -> Vec<Address> {
        let values: Vec<&str> = kind
            .traffic
            .iter()
            .filter_map(|it| record.attributes.get(it).and_then(Value::as_text))
            .collect();
        let container = self.records.container(kind, &record.attributes).map(|(it, _)| it);
        let needs = || record.needs.iter().filter(|it| Some(*it) != container);
        let has_value = |address: &&Address| {
            let target = self.state.records.get(*address);
            target.is_some_and(|it| holds(&it.outputs, &values))
        };
        let exact: Vec<Address> = needs().filter(has_value).cloned().collect();
        if !exact.is_empty() {
            return exact;
        }
        // A value made of parts of what it needs; what holds nothing cannot be what serves behind it.
        needs().filter(|it| self.contents.contains_key(*it)).cloned().collect()
    }

    /// The same, also where the layers spell the address out: then nothing is needed, and users are there all the same.
    pub fn leads_to(&self, kind: &Kind, record: &Record) -> Vec<Address> {
        let needed = self.targets(kind, record);
        if !needed.is_empty() {
            return needed;
        }
        let values = kind.traffic.iter().filter_map(|it| record.attributes.get(it)?.as_text());
        values.flat_map(|it| self.standing_at(it)).cloned().collect()
    }

    /// What stands at an address, or at a host name of the cloud's.
    pub fn standing_at(&self, target: &str) -> &[Address] {
        let standing = self.standing.get_or_init(|| {
            let mut standing: BTreeMap<String, Vec<Address>> = BTreeMap::new();
            for (address, record) in &self.state.records {
                for text in record.outputs.values().filter_map(Value::as_text) {
                    if is_place(text) {
                        standing.entry(spelled(text)).or_default().push(address.clone());
                    }
                }
            }
            standing
        });
        standing.get(&spelled(target)).map_or(&[], Vec::as_slice)
    }

    /// What is recorded under an id.
    pub fn of_id(&self, kind: &str, id: &str) -> Option<&'a Address> {
        self.records.get(ObjectRef { kind, id }).map(|(address, _)| address)
    }

    /// Whether something is recorded inside of it.
    pub fn holds_any(&self, address: &Address) -> bool {
        self.contents.contains_key(address)
    }

    pub fn contained(&self, roots: &[Address]) -> BTreeSet<Address> {
        contained(&self.contents, roots)
    }

    /// The serving closure of recorded objects.
    pub fn closure(&self, roots: &[Address]) -> BTreeSet<Address> {
        let needs = |address: &Address| {
            self.state.records.get(address).map(|it| it.needs.clone()).unwrap_or_default()
        };
        dependencies(self.contained(roots), needs)
    }
}

/// Whether a text is an address or the name of a host, and no id or number.
pub fn is_place(text: &str) -> bool {
    text.parse::<IpAddr>().is_ok() || (text.contains('.') && !text.contains([' ', '/', ':']))
}

/// An address, or the name of a host, in the one way that counts.
fn spelled(text: &str) -> String {
    let name = text.trim_end_matches('.');
    name.parse::<IpAddr>().map_or_else(|_| name.to_lowercase(), |it| it.to_string())
}

/// Whether one of the values, or the host of `host:port`, is among the attributes.
fn holds(attributes: &Attributes, values: &[&str]) -> bool {
    attributes.values().filter_map(Value::as_text).any(|it| {
        !it.is_empty()
            && values.iter().any(|value| {
                let rest = value.strip_prefix('[').unwrap_or(value).strip_prefix(it);
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([':', ']']))
            })
    })
}

fn contained(contents: &BTreeMap<Address, Vec<Address>>, roots: &[Address]) -> BTreeSet<Address> {
    let mut found: BTreeSet<Address> = roots.iter().cloned().collect();
    let mut todo: Vec<&Address> = roots.iter().collect();
    while let Some(address) = todo.pop() {
        for content in contents.get(address).into_iter().flatten() {
            if found.insert(content.clone()) {
                todo.push(content);
            }
        }
    }
    found
}

fn dependencies(
    mut found: BTreeSet<Address>,
    needs: impl Fn(&Address) -> Vec<Address>,
) -> BTreeSet<Address> {
    let mut todo: Vec<Address> = found.iter().cloned().collect();
    while let Some(address) = todo.pop() {
        for need in needs(&address) {
            if found.insert(need.clone()) {
                todo.push(need);
            }
        }
    }
    found
}

//! What has to be looked at before a plan can be made, and what expressions may see meanwhile.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::engine::address::Address;
use crate::engine::plan::change::Loss;
use crate::engine::plan::frozen::Frozen;
use crate::engine::schema::{Catalog, Kind};
use crate::engine::stack::model::{Instance, Scope, Stack};
use crate::engine::stack::resolve::resolve;
use crate::engine::state::record::{Record, State};
use crate::engine::value::{Attributes, Value};

/// One object to look at: by id when recorded, by identity when it would be created.
#[derive(Debug, Clone, PartialEq)]
pub struct Inquiry<'a> {
    pub address: Address,
    pub kind: String,
    pub id: Option<String>,
    /// Recorded ones are lent: a survey of a large state copies nothing.
    pub attributes: Cow<'a, Attributes>,
}

/// What is known of every address so far.
#[derive(Debug, Clone, Default)]
pub struct Known {
    pub objects: BTreeMap<Address, Arc<Attributes>>,
}

impl Scope for Known {
    fn object(&self, address: &Address) -> Option<Arc<Attributes>> {
        self.objects.get(address).cloned()
    }
}

impl Known {
    pub fn put(&mut self, address: Address, object: Attributes) {
        self.objects.insert(address, Arc::new(object));
    }

    /// Everything that state remembers.
    pub fn recorded(state: &State) -> Self {
        let mut known = Self::default();
        for (address, record) in &state.records {
            known.put(address.clone(), record.object());
        }
        known
    }
}

/// An object of which nothing is made yet: what is desired is known, what the cloud makes is open.
pub fn promised(kind: &Kind, desired: &Attributes) -> Attributes {
    let mut object = desired.clone();
    for (name, attribute) in &kind.attributes {
        if attribute.computed || (attribute.optional_computed && !object.contains_key(name)) {
            object.insert(name.clone(), Value::Open);
        }
    }
    object.insert("id".into(), Value::Open);
    object
}

/// The record of an instance, under its own address, the one it moved from, or its twin's.
pub fn record_of<'a>(
    state: Option<&'a State>,
    stack: &Stack,
    instance: &Instance,
) -> Option<(Address, &'a Record)> {
    let records = &state?.records;
    if let Some(record) = records.get(&instance.address) {
        return Some((instance.address.clone(), record));
    }
    let candidates = [instance.resource.moved_from.clone(), instance.address.twin()];
    candidates.into_iter().flatten().find_map(|from| {
        let record = records.get(&from)?;
        let free = !stack.instances.contains_key(&from) && record.kind == instance.resource.kind;
        free.then_some((from, record))
    })
}

/// Everything recorded, and everything that would be created and has a known identity.
pub fn survey<'a>(
    catalog: &Catalog,
    stack: &Stack,
    order: &[Address],
    state: Option<&'a State>,
    lost: &[Loss],
) -> Vec<Inquiry<'a>> {
    let mut inquiries = Vec::new();
    let mut known = Known::default();
    let mut frozen = Frozen::new(catalog, state, lost);
    if let Some(state) = state {
        for (address, record) in &state.records {
            let kind = catalog.get(&record.kind);
            if kind.is_some_and(|it| frozen.of_record(address, it).is_some()) {
                continue;
            }
            inquiries.push(Inquiry {
                address: address.clone(),
                kind: record.kind.clone(),
                id: Some(record.id.clone()),
                attributes: Cow::Borrowed(&record.attributes),
            });
        }
        let is_new = |it: &Instance| record_of(Some(state), stack, it).is_none();
        if stack.instances.values().any(is_new) {
            known = Known::recorded(state);
        }
    }
    for address in order {
        let Some(instance) = stack.instances.get(address) else { continue };
        let Some(kind) = catalog.get(&instance.resource.kind) else { continue };
        if let Some(object) = stack.lent.get(address) {
            known.put(address.clone(), (**object).clone());
            continue;
        }
        let recorded = record_of(state, stack, instance);
        if let Some((from, record)) = &recorded
            && from != address
        {
            known.put(address.clone(), record.object());
        }
        // What is new may be inside what is recorded, so that its fault domain is needed as well.
        if recorded.is_some() {
            continue;
        }
        let Ok(resolved) = resolve(stack, catalog, instance, &known) else { continue };
        frozen.take_in(catalog, stack, instance, &resolved.attributes);
        known.put(address.clone(), promised(kind, &resolved.attributes));
        let identified = kind.identity.by.iter().all(|name| {
            resolved.attributes.get(name).is_some_and(|it| !it.has_open() && !it.is_null())
        });
        let is_frozen = frozen.of_desired(address, kind).is_some();
        if identified && !is_frozen && reachable(kind, &resolved.attributes) {
            inquiries.push(Inquiry {
                address: address.clone(),
                kind: kind.kind.clone(),
                id: None,
                attributes: Cow::Owned(resolved.attributes),
            });
        }
    }
    inquiries
}

/// Whether every reference that leads to it is known: nothing can be inside what is not there yet.
fn reachable(kind: &Kind, attributes: &Attributes) -> bool {
    kind.contains_in
        .as_ref()
        .is_none_or(|name| attributes.get(name).is_some_and(|it| !it.has_open()))
}

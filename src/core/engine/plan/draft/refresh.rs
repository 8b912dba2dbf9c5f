//! What has to be looked at before a plan can be made, and what expressions may see meanwhile.

use std::borrow::Cow;
use std::sync::Arc;

use crate::engine::address::Address;
use crate::engine::fast_map::{FastMap, FoldHash};
use crate::engine::lang::model::{Instance, Parts, Scope, Stack};
use crate::engine::lang::resolve::resolve;
use crate::engine::plan::availability::frozen::Frozen;
use crate::engine::plan::model::change::LossDeclaration;
use crate::engine::schema::{Catalog, Kind};
use crate::engine::state::record::{Record, State};
use crate::engine::value::{Attributes, LineageKey, Value};

/// One object to look at: by id when recorded, by identity when it would be created.
#[derive(Debug, Clone, PartialEq)]
pub struct ReadRequest<'a> {
    pub address: Address,
    pub kind: String,
    pub id: Option<String>,
    /// Recorded ones are lent: a survey of a large state copies nothing.
    pub attributes: Cow<'a, Attributes>,
}

/// What is known of every address so far.
#[derive(Debug, Clone, Default)]
pub struct KnownValues {
    pub objects: FastMap<Address, Arc<Attributes>>,
}

impl Scope for KnownValues {
    fn object(&self, address: &Address) -> Option<Arc<Attributes>> {
        self.objects.get(address).cloned()
    }
}

impl KnownValues {
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

/// What is known while a plan is made: an object that is just as its record says is read there.
#[derive(Default)]
pub struct KnownParts<'a> {
    known: KnownValues,
    records: FastMap<&'a Address, &'a Record>,
}

impl<'a> KnownParts<'a> {
    /// Nothing yet, with room for so many.
    pub fn with_capacity(count: usize) -> Self {
        let records = FastMap::with_capacity_and_hasher(count, FoldHash::default());
        Self { known: KnownValues::default(), records }
    }

    pub fn put(&mut self, address: Address, object: Attributes) {
        self.known.put(address, object);
    }

    pub fn put_record(&mut self, address: &'a Address, record: &'a Record) {
        self.records.insert(address, record);
    }
}

impl Scope for KnownParts<'_> {
    fn object(&self, address: &Address) -> Option<Arc<Attributes>> {
        match self.records.get(&address) {
            Some(record) => Some(Arc::new(record.object())),
            None => self.known.object(address),
        }
    }

    fn parts(&self, address: &Address) -> Option<Parts<'_>> {
        let record = self.records.get(&address)?;
        let Record { attributes, outputs, id, .. } = record;
        Some(Parts { attributes, outputs, id })
    }
}

/// A recorded object, with each secret in clear that the layers give and that is the recorded one; `None`: it holds no secret.
///
/// State keeps fingerprints. What reads another resource's secret is planned and made with the secret itself.
pub fn recorded_in_clear(
    record: &Record,
    desired: &Attributes,
    key: &LineageKey,
) -> Option<Attributes> {
    let mut withheld = record.attributes.iter().filter(|(_, it)| it.has_withheld()).peekable();
    withheld.peek()?;
    let mut object = record.object();
    for (name, recorded) in withheld {
        let desired = desired.get(name).filter(|it| it.sealed(key) == *recorded);
        if let Some(desired) = desired {
            object.insert(name.clone(), desired.clone());
        }
    }
    Some(object)
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
) -> Option<(&'a Address, &'a Record)> {
    let records = &state?.records;
    if let Some(own) = records.get_key_value(&instance.address) {
        return Some(own);
    }
    let candidates = [instance.resource.moved_from.clone(), instance.address.zeroth_alias()];
    candidates.into_iter().flatten().find_map(|from| {
        let (from, record) = records.get_key_value(&from)?;
        let free = !stack.instances.contains_key(from) && record.kind == instance.resource.kind;
        free.then_some((from, record))
    })
}

/// Everything recorded, and everything that would be created and has a known identity.
pub fn read_requests<'a>(
    catalog: &Catalog,
    stack: &Stack,
    order: &[Address],
    state: Option<&'a State>,
    lost: &[LossDeclaration],
) -> Vec<ReadRequest<'a>> {
    let mut inquiries = Vec::new();
    let mut known = KnownValues::default();
    let mut frozen = Frozen::new(catalog, state, lost);
    let is_recorded = |it: &Address| state.is_some_and(|state| state.records.contains_key(it));
    if let Some(state) = state {
        inquiries.reserve(state.records.len());
        for (address, record) in &state.records {
            let kind = catalog.get(&record.kind);
            if kind.is_some_and(|it| frozen.of_record(address, it).is_some()) {
                continue;
            }
            inquiries.push(ReadRequest {
                address: address.clone(),
                kind: record.kind.clone(),
                id: Some(record.id.clone()),
                attributes: Cow::Borrowed(&record.attributes),
            });
        }
        let is_new = |it: &Instance| {
            !is_recorded(&it.address) && record_of(Some(state), stack, it).is_none()
        };
        // Mostly each has a record under its own address: the stack finds them sooner than the state does.
        let recorded = state.records.keys().filter(|it| stack.instances.contains_key(*it));
        if recorded.count() == stack.instances.len() || !stack.instances.values().any(is_new) {
            return inquiries;
        }
        known = KnownValues::recorded(state);
    }
    let is_left = |it: &&Address| !is_recorded(it) || stack.lent.contains_key(*it);
    for address in order.iter().filter(is_left) {
        let Some(instance) = stack.instances.get(address) else { continue };
        let Some(kind) = catalog.get(&instance.resource.kind) else { continue };
        if let Some(object) = stack.lent.get(address) {
            known.put(address.clone(), (**object).clone());
            continue;
        }
        if let Some((_, record)) = record_of(state, stack, instance) {
            known.put(address.clone(), record.object());
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
            inquiries.push(ReadRequest {
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

#[cfg(test)]
mod tests {
    use super::KnownParts;
    use crate::engine::lang::model::Scope as _;
    use crate::engine::plan::tests::{applied, stack};
    use crate::engine::value::Value;
    use crate::kinds::builtin;

    #[test]
    fn parts_of_an_object_match_its_record() {
        let catalog = builtin();
        let stack = stack("  lb: { kind: linode.nodebalancer, region: us-east }", &catalog);
        let (mut state, _) = applied(&stack, &catalog);
        let address = "lb".parse().unwrap();
        let record = state.records.get_mut(&address).unwrap();
        // Made by the cloud, it hides what was desired.
        record.outputs.insert("label".into(), Value::text("made"));
        let record = &state.records[&address];
        let mut known = KnownParts::default();
        assert!(known.parts(&address).is_none() && known.object(&address).is_none());
        known.put_record(&address, record);
        let parts = known.parts(&address).unwrap();
        let object = known.object(&address).unwrap();
        assert_eq!(*object, record.object());
        for (name, value) in &*object {
            assert_eq!(parts.member(name).as_deref(), Some(value), "{name}");
        }
        assert_eq!(parts.member("nothing"), None);
    }
}

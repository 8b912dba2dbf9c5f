//! What expressions know while a run goes on: what is recorded, with the secrets in clear that the layers still give.
//!
//! State keeps fingerprints. A value that reads another resource's secret was planned with the secret itself, so the run that
//! carries the plan out has to see it as well.

use std::sync::Arc;

use crate::engine::address::Address;
use crate::engine::lang::model::{Instance, Stack};
use crate::engine::lang::resolve::resolve;
use crate::engine::plan::draft::refresh::KnownValues;
use crate::engine::schema::Catalog;
use crate::engine::state::record::{Record, State};
use crate::engine::value::{Attributes, LineageKey, Value};

/// What is recorded, and what the plain stack lends. `order`: every address after those that it needs.
pub fn known_values<'a>(
    stack: &Stack,
    catalog: &Catalog,
    order: impl Iterator<Item = &'a Address>,
    state: &State,
) -> KnownValues {
    let mut known = KnownValues::recorded(state);
    for (address, object) in &stack.lent {
        known.objects.insert(address.clone(), Arc::clone(object));
    }
    for address in order {
        let (Some(instance), Some(record)) =
            (stack.instances.get(address), state.records.get(address))
        else {
            continue;
        };
        if has_secrets(record) {
            let object = with_secrets(stack, catalog, instance, record, (&state.key, &known));
            known.put(address.clone(), object);
        }
    }
    known
}

fn has_secrets(record: &Record) -> bool {
    record.attributes.values().any(Value::has_withheld)
}

/// A recorded object, with each secret in clear that the layers give and that is the recorded one.
pub fn with_secrets(
    stack: &Stack,
    catalog: &Catalog,
    instance: &Instance,
    record: &Record,
    (key, known): (&LineageKey, &KnownValues),
) -> Attributes {
    let mut object = record.object();
    if !has_secrets(record) {
        return object;
    }
    let Ok(resolved) = resolve(stack, catalog, instance, known) else { return object };
    for (name, recorded) in record.attributes.iter().filter(|(_, it)| it.has_withheld()) {
        let desired = resolved.attributes.get(name);
        if let Some(desired) = desired.filter(|it| it.sealed(key) == *recorded) {
            object.insert(name.clone(), desired.clone());
        }
    }
    object
}

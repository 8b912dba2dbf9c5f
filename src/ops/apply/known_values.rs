//! What expressions know while a run goes on: what is recorded, with the secrets in clear that the layers still give.

use std::sync::Arc;

use crate::engine::address::Address;
use crate::engine::lang::model::{Instance, Stack};
use crate::engine::lang::resolve::resolve;
use crate::engine::plan::draft::refresh::{KnownValues, recorded_in_clear};
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
        if let Some(object) = in_clear(stack, catalog, instance, record, (&state.key, &known)) {
            known.put(address.clone(), object);
        }
    }
    known
}

/// A recorded object, with each secret in clear that the layers give and that is the recorded one.
pub fn with_secrets(
    stack: &Stack,
    catalog: &Catalog,
    instance: &Instance,
    record: &Record,
    given: (&LineageKey, &KnownValues),
) -> Attributes {
    in_clear(stack, catalog, instance, record, given).unwrap_or_else(|| record.object())
}

/// `None`: it has no secret, or the layers do not give the recorded ones.
fn in_clear(
    stack: &Stack,
    catalog: &Catalog,
    instance: &Instance,
    record: &Record,
    (key, known): (&LineageKey, &KnownValues),
) -> Option<Attributes> {
    if !record.attributes.values().any(Value::has_withheld) {
        return None;
    }
    let resolved = resolve(stack, catalog, instance, known).ok()?;
    recorded_in_clear(record, &resolved.attributes, key)
}

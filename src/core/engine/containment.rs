//! What contains a resource: as its layers name it, and as it is recorded.
//!
//! A kind says by which reference it is inside of another (`contains_in`): a config in a NodeBalancer, a record in a zone. What
//! is deleted goes with all it contains, and what is in a lost fault domain is there with its container.

use std::collections::BTreeMap;

use crate::engine::address::Address;
use crate::engine::lang::lower::dependencies::named_by;
use crate::engine::lang::model::{Instance, Stack};
use crate::engine::schema::Kind;
use crate::engine::state::record::{Record, State};
use crate::engine::value::{Attributes, Value};

/// What a reference attribute leads to: a kind, and an id of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectRef<'a> {
    pub kind: &'a str,
    pub id: &'a str,
}

/// What the reference of this name leads to; `None`: it is not set, not known yet, or no reference.
pub fn referred<'a>(
    kind: &'a Kind,
    name: &str,
    attributes: &'a Attributes,
) -> Option<ObjectRef<'a>> {
    let to = kind.attribute(name)?.to.as_deref()?;
    let id = attributes.get(name).and_then(Value::as_text)?;
    Some(ObjectRef { kind: to, id })
}

/// The container that these attributes name.
pub fn container<'a>(kind: &'a Kind, attributes: &'a Attributes) -> Option<ObjectRef<'a>> {
    referred(kind, kind.contains_in.as_ref()?, attributes)
}

/// The kind of what contains resources of this one.
pub fn container_kind(kind: &Kind) -> Option<&str> {
    kind.attribute(kind.contains_in.as_ref()?)?.to.as_deref()
}

/// What contains an instance, as its layers say; several where the expression may mean any of them.
pub fn declared_containers(stack: &Stack, instance: &Instance, kind: &Kind) -> Vec<Address> {
    let attribute = kind.contains_in.iter();
    attribute.flat_map(|it| named_by(stack, instance, it)).collect()
}

/// The record of one object: for a single look, which needs no index.
pub fn find_record<'a>(state: &'a State, it: ObjectRef<'_>) -> Option<(&'a Address, &'a Record)> {
    state.records.iter().find(|(_, record)| record.kind == it.kind && record.id == it.id)
}

/// Recorded resources by kind and id, for many looks.
pub struct RecordIndex<'a> {
    by_id: BTreeMap<ObjectRef<'a>, (&'a Address, &'a Record)>,
}

impl<'a> RecordIndex<'a> {
    pub fn new(state: &'a State) -> Self {
        Self::of(&state.records)
    }

    pub fn of(records: impl IntoIterator<Item = (&'a Address, &'a Record)>) -> Self {
        let by_id = records
            .into_iter()
            .map(|(address, it)| (ObjectRef { kind: &it.kind, id: &it.id }, (address, it)));
        Self { by_id: by_id.collect() }
    }

    pub fn get(&self, it: ObjectRef<'_>) -> Option<(&'a Address, &'a Record)> {
        self.by_id.get(&it).copied()
    }

    /// What contains an object of these attributes, as recorded.
    pub fn container(
        &self,
        kind: &Kind,
        attributes: &Attributes,
    ) -> Option<(&'a Address, &'a Record)> {
        self.get(container(kind, attributes)?)
    }
}

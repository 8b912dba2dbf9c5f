//! One merged stack with what rules ask of it: objects, fault domains, what contains what, and places.

use std::collections::BTreeSet;

use crate::engine::address::Address;
use crate::engine::fast_map::FastMap;
use crate::engine::fault_domain::FaultDomains;
use crate::engine::lang::model::{Instance, Stack};
use crate::engine::lang::resolve::Resolved;
use crate::engine::lang::validate::dry_run::objects;
use crate::engine::plan::draft::topology::DesiredTopology;
use crate::engine::recovery::audit::finding::FindingPlace;
use crate::engine::schema::{Catalog, Kind};
use crate::engine::text::diagnostic::Span;
use crate::engine::value::{Attributes, Value};

/// The stack at home, or after a switch.
pub struct Side<'a> {
    pub stack: &'a Stack,
    pub catalog: &'a Catalog,
    pub objects: FastMap<Address, Resolved>,
    pub domains: FaultDomains,
    pub wanted: DesiredTopology<'a>,
}

/// One object of a side.
#[derive(Clone, Copy)]
pub struct SideItem<'a> {
    pub address: &'a Address,
    pub instance: &'a Instance,
    pub kind: &'a Kind,
    pub object: &'a Resolved,
}

impl SideItem<'_> {
    pub fn value(&self, name: &str) -> Option<&Value> {
        self.object.attributes.get(name)
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        self.value(name).and_then(Value::as_text)
    }

    pub fn int(&self, name: &str) -> Option<u64> {
        match self.value(name) {
            Some(Value::Int(number)) => u64::try_from(*number).ok(),
            _ => None,
        }
    }

    pub fn is_on(&self, name: &str) -> bool {
        self.value(name) == Some(&Value::Bool(true))
    }

    /// Whether it takes part in serving; `None`: its kind does not say, or the value is not known yet.
    pub fn serves(&self) -> Option<bool> {
        let serves = self.kind.serves.as_ref()?;
        let value = self.value(&serves.attribute).filter(|it| !it.has_open() && !it.is_null())?;
        Some(serves.values.iter().any(|it| Value::from_json(it) == *value))
    }

    pub fn attributes(&self) -> &Attributes {
        &self.object.attributes
    }

    /// Where an attribute is given; the resource's own place where the layers are silent.
    pub fn span(&self, name: &str) -> Span {
        self.object.span(name).unwrap_or(self.instance.resource.span)
    }
}

impl<'a> Side<'a> {
    pub fn new(catalog: &'a Catalog, stack: &'a Stack) -> Self {
        let objects = objects(stack, catalog);
        let mut domains = FaultDomains::default();
        for (address, object) in &objects {
            if let Some(instance) = stack.instances.get(address) {
                domains.take_in(catalog, stack, instance, &object.attributes);
            }
        }
        Self { stack, catalog, objects, domains, wanted: DesiredTopology::new(catalog, stack) }
    }

    pub fn item(&self, address: &Address) -> Option<SideItem<'_>> {
        let (address, instance) = self.stack.instances.get_key_value(address)?;
        let kind = self.catalog.get(&instance.resource.kind)?;
        Some(SideItem { address, instance, kind, object: self.objects.get(address)? })
    }

    /// Every object, in the order of the layers.
    pub fn items(&self) -> impl Iterator<Item = SideItem<'_>> {
        self.stack.instances.keys().filter_map(|it| self.item(it))
    }

    pub fn is_in(&self, address: &Address, lost: &BTreeSet<String>) -> bool {
        self.domains.of_desired(address).is_some_and(|it| lost.contains(it))
    }

    pub fn place(&self, span: Span) -> FindingPlace {
        FindingPlace::of(&self.stack.sources, span)
    }

    /// Where an attribute of an object is given.
    pub fn place_of(&self, item: SideItem<'_>, attribute: &str) -> FindingPlace {
        self.place(item.span(attribute))
    }

    /// The beginning of the stack file.
    pub fn top(&self) -> FindingPlace {
        self.place(Span { line: 1, column: 1, ..Span::default() })
    }
}

//! The filters that stand before objects, before a plan and after it: those of the stack, and those that others attached.

use std::collections::BTreeMap;

use crate::engine::address::Address;
use crate::engine::containment::declared_containers;
use crate::engine::lang::lower::dependencies::named_by;
use crate::engine::lang::model::Stack;
use crate::engine::observed::{Neighbor, Observation};
use crate::engine::packets::Filter;
use crate::engine::plan::model::change::Action;
use crate::engine::plan::model::planned_change::PlannedChange;
use crate::engine::plan::traffic::serving::{after, is_there};
use crate::engine::schema::{Catalog, Kind};
use crate::engine::text::codes::DiagnosticCode;
use crate::engine::value::{Attributes, Value};

/// The code of a warning of what somebody else's filter shuts.
pub const SHUT_BY_OTHERS: DiagnosticCode = DiagnosticCode::ShutByOthers;

/// What stands before something.
pub struct AttachedFirewall<'a> {
    /// For sentences.
    pub name: String,
    /// Its address, where it is of this stack.
    pub own: Option<&'a Address>,
    pub filter: Filter,
}

/// Every planned object, and what others have put before it.
pub struct Walls<'a, 'b> {
    stack: &'a Stack,
    catalog: &'a Catalog,
    observed: &'a BTreeMap<Address, Observation>,
    beside: &'a [Neighbor],
    at: BTreeMap<&'a Address, &'a PlannedChange<'b>>,
    by_id: BTreeMap<(&'a str, &'a str), &'a PlannedChange<'b>>,
}

/// The attributes by which an object names a filter, and the kind of that.
pub fn filters<'a>(
    kind: &'a Kind,
    catalog: &'a Catalog,
) -> impl Iterator<Item = (&'a String, &'a Kind)> {
    kind.references().filter_map(|(name, attribute)| {
        let to = catalog.get(attribute.to.as_ref()?)?;
        to.packets.is_some().then_some((name, to))
    })
}

/// How somebody else's filter is named: by what its owner finds it by.
pub fn stranger(kind: &Kind, id: &str, attributes: &Attributes) -> String {
    let label = kind.identity.by.last().and_then(|it| attributes.get(it)?.as_text());
    let label = label.map_or_else(String::new, |it| format!(" (`{it}`)"));
    format!("{} {id}{label}", kind.kind)
}

impl<'a, 'b> Walls<'a, 'b> {
    /// `None`: there are no filters, here or there.
    pub fn new(
        planned: &'a [PlannedChange<'b>],
        (stack, catalog): (&'a Stack, &'a Catalog),
        observed: &'a BTreeMap<Address, Observation>,
        beside: &'a [Neighbor],
    ) -> Option<Self> {
        let is_filter = |kind: &str| catalog.get(kind).is_some_and(|it| it.packets.is_some());
        let is_any = planned.iter().any(|it| it.kind.packets.is_some())
            || beside.iter().any(|it| is_filter(&it.kind));
        is_any.then(|| Self {
            stack,
            catalog,
            observed,
            beside,
            at: planned.iter().map(|it| (&it.change.address, it)).collect(),
            by_id: planned
                .iter()
                .filter_map(|it| Some(((it.kind.kind.as_str(), it.record?.id.as_str()), it)))
                .collect(),
        })
    }

    pub fn get(&self, address: &Address) -> Option<&'a PlannedChange<'b>> {
        self.at.get(address).copied()
    }

    /// What contains an object, as the layers say.
    pub fn holder(&self, it: &PlannedChange<'_>) -> Option<&'a PlannedChange<'b>> {
        self.get(declared_containers(self.stack, it.instance?, it.kind).first()?)
    }

    /// What stands before it when the plan is carried out.
    pub fn after(&self, it: &PlannedChange<'_>) -> Option<AttachedFirewall<'a>> {
        let attributes = after(it)?;
        filters(it.kind, self.catalog).find_map(|(name, kind)| match attributes.get(name) {
            Some(Value::Text(id)) => self.of_id(kind, id, true),
            Some(value) if value.has_open() => {
                let named = named_by(self.stack, it.instance?, name);
                self.own(named.into_iter().find_map(|it| self.get(&it))?, true)
            }
            // Where the layers are silent, what others attached stays.
            _ if it.change.attributes.iter().any(|changed| changed.name == *name) => None,
            _ => self.of_id(kind, self.attached(it, name)?, true),
        })
    }

    /// What stands before it now; `None` as well where nothing is known.
    pub fn before(&self, it: &PlannedChange<'_>) -> Option<AttachedFirewall<'a>> {
        let record = it.record.filter(|_| is_there(it))?;
        filters(it.kind, self.catalog).find_map(|(name, kind)| {
            let recorded = record.attributes.get(name).and_then(Value::as_text);
            self.of_id(kind, recorded.or_else(|| self.attached(it, name))?, false)
        })
    }

    /// What was seen to be attached to what is not made anew.
    fn attached(&self, it: &PlannedChange<'_>, name: &str) -> Option<&'a str> {
        let stays = is_there(it) && !matches!(it.change.action, Action::Replace { .. });
        self.seen(&it.change.address).filter(|_| stays)?.get(name)?.as_text()
    }

    fn seen(&self, address: &Address) -> Option<&'a Attributes> {
        match self.observed.get(address)? {
            Observation::Exists { attributes, .. } => Some(attributes),
            _ => None,
        }
    }

    fn of_id(&self, kind: &Kind, id: &str, then: bool) -> Option<AttachedFirewall<'a>> {
        if let Some(own) = self.by_id.get(&(kind.kind.as_str(), id)) {
            return self.own(own, then);
        }
        let theirs = self.beside.iter().find(|it| it.kind == kind.kind && it.id == id)?;
        let filter = Filter::of(kind, |name| theirs.attributes.get(name))?;
        let name = stranger(kind, id, &theirs.attributes);
        Some(AttachedFirewall {
            name: format!("{name}, which is not part of this stack,"),
            own: None,
            filter,
        })
    }

    /// `then`: as it is when the plan is carried out.
    fn own(&self, it: &'a PlannedChange<'_>, then: bool) -> Option<AttachedFirewall<'a>> {
        let address = &it.change.address;
        // What somebody changed, and this plan leaves, is as it was seen.
        let seen = self.seen(address).filter(|_| it.change.deferred.is_some());
        let filter = match (then, seen) {
            (true, Some(seen)) => Filter::of(it.kind, |name| seen.get(name)),
            (true, None) => {
                let attributes = after(it)?;
                Filter::of(it.kind, |name| attributes.get(name))
            }
            (false, _) => {
                let record = it.record?;
                Filter::of(it.kind, |name| record.attributes.get(name))
            }
        };
        Some(AttachedFirewall { name: format!("`{address}`"), own: Some(address), filter: filter? })
    }
}

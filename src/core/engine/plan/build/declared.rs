//! Plans one declared instance: what it is now, what it is to be, and what later expressions see of it.

use std::borrow::Cow;
use std::sync::Arc;

use crate::engine::address::Address;
use crate::engine::containment::declared_containers;
use crate::engine::lang::model::Instance;
use crate::engine::lang::resolve::{Resolved, resolve};
use crate::engine::observed::{Observation, UnknownReason, Unreadable};
use crate::engine::plan::diff::action::{ResourceState, decide};
use crate::engine::plan::diff::attributes::{DiffSides, diff, uncompared};
use crate::engine::plan::draft::plan_builder::{Missing, PlanBuilder};
use crate::engine::plan::draft::refresh::{promised, record_of};
use crate::engine::plan::guard::rules;
use crate::engine::plan::model::change::{Action, Change};
use crate::engine::plan::model::planned_change::{PlannedChange, excludes, identity_of, kept};
use crate::engine::schema::Kind;
use crate::engine::state::record::Record;
use crate::engine::value::{Attributes, Value};

impl<'a> PlanBuilder<'a> {
    pub fn instance(&mut self, instance: &'a Instance) {
        let Some(kind) = self.worlds.catalog.get(&instance.resource.kind) else { return };
        if let Some(object) = self.worlds.stack.lent.get(&instance.address) {
            self.borrowed(instance, kind, object);
            return;
        }
        let found = record_of(self.worlds.state, self.worlds.stack, instance)
            .filter(|(from, _)| !self.taken.contains(from));
        if let Some((from, record)) = &found
            && record.kind != kind.kind
        {
            // An id means nothing to another kind: neither call may use it.
            self.diagnostics.push(rules::kind_changed(instance, &record.kind));
            self.taken.insert(from);
            return;
        }
        let worlds = self.worlds;
        let resolved = match resolve(worlds.stack, worlds.catalog, instance, &self.known) {
            Ok(resolved) => resolved,
            Err(mistakes) => {
                self.diagnostics.extend(mistakes);
                return;
            }
        };
        self.frozen.take_in(worlds.catalog, worlds.stack, instance, &resolved.attributes);
        self.silent.take_in(worlds.catalog, worlds.stack, instance, &resolved.attributes);
        let record = found.as_ref().map(|(_, record)| *record);
        let from = found.map(|(from, _)| from);
        self.taken.extend(from);
        let domain = match (from, record) {
            (Some(from), Some(_)) => self.frozen.of_record(from, kind),
            _ => self.frozen.of_desired(&instance.address, kind),
        };
        if let Some(domain) = domain.map(str::to_owned) {
            self.frozen_instance(instance, kind, resolved, record, &domain);
            return;
        }
        self.plan_living_instance(instance, kind, resolved, record, from);
    }

    /// What the plain stack lends is used, and nothing is ever done to it.
    fn borrowed(&mut self, instance: &'a Instance, kind: &'a Kind, object: &Arc<Attributes>) {
        let mut change = self.undecided(instance, kind, None);
        change.reason = format!("borrowed from {}", self.worlds.stack.name);
        let (catalog, stack) = (self.worlds.catalog, self.worlds.stack);
        self.frozen.take_in(catalog, stack, instance, object);
        self.known.put(instance.address.clone(), (**object).clone());
        self.planned.push(PlannedChange {
            change,
            kind,
            desired: None,
            record: None,
            instance: Some(instance),
            not_ready: false,
        });
    }

    /// Its recorded outputs serve; what was never recorded is not there for anybody.
    fn frozen_instance(
        &mut self,
        instance: &'a Instance,
        kind: &'a Kind,
        resolved: Resolved,
        record: Option<&'a Record>,
        domain: &str,
    ) {
        let change = self.freeze(instance, kind, &resolved, record, domain);
        let address = &instance.address;
        if let Some(record) = record {
            self.publish_recorded(address, record, &resolved);
        } else {
            self.unavailable.insert(address.clone(), Missing::Lost);
            self.known.put(address.clone(), promised(kind, &resolved.attributes));
        }
        let desired = Some(Cow::Owned(self.sealed(resolved.attributes)));
        let not_ready = false;
        self.planned.push(PlannedChange {
            change,
            kind,
            desired,
            record,
            instance: Some(instance),
            not_ready,
        });
    }

    /// Plans what stands in no lost fault domain: what would change, what refuses or defers that, and what others see of it.
    /// Law 1 holds throughout: what could not be read stays as it is recorded.
    fn plan_living_instance(
        &mut self,
        instance: &'a Instance,
        kind: &'a Kind,
        mut resolved: Resolved,
        record: Option<&'a Record>,
        from: Option<&'a Address>,
    ) {
        let seen = self.observation(instance, kind, record, from);
        let seen = seen.as_deref();
        if record.is_some() && seen == Some(&Observation::Absent) {
            self.gone.insert(instance.address.clone());
        }
        let mut change = self.change(instance, kind, &resolved, record, seen);
        self.refuse(instance, kind, &resolved, &change);
        self.defer(instance, kind, &resolved.attributes, &mut change);
        self.require_secrets(instance, kind, &resolved, &change);
        let joins = self.join_group(kind, &mut resolved.attributes, &mut change);
        note_move(instance, from, &mut change);
        // Who joins comes back under the name and id that the others know.
        let returns = joins && record.is_some();
        let action = if returns { Action::Update } else { change.action };
        let as_recorded = record.filter(|it| is_as_recorded(action, kind, &resolved, it, seen));
        // What could not be read stays as it was, for everybody.
        let unread = record.filter(|_| change.unknown.is_some());
        if change.unknown.is_some() && unread.is_none() {
            self.miss(&instance.address);
        }
        match unread {
            Some(record) => self.publish_recorded(&instance.address, record, &resolved),
            None => self.publish(&instance.address, as_recorded, || {
                remembered(kind, &resolved, record, seen, action, &change)
            }),
        }
        let not_ready = is_not_ready(instance, kind, record, seen);
        self.require_secrets_of_conditions(instance, kind, (&change, not_ready));
        if let (Some(record), Some(seen)) = (record.filter(|it| !it.leaving), seen) {
            self.note_drift(&instance.address, kind, record, seen);
        }
        self.planned.push(PlannedChange {
            change,
            kind,
            desired: Some(match as_recorded {
                Some(record) => Cow::Borrowed(&record.attributes),
                None => Cow::Owned(self.sealed(resolved.attributes)),
            }),
            record,
            instance: Some(instance),
            not_ready,
        });
    }

    /// What is seen of it, under the address that it is recorded by; with its container it is gone, whatever lists say.
    fn observation(
        &self,
        instance: &Instance,
        kind: &Kind,
        record: Option<&Record>,
        from: Option<&Address>,
    ) -> Option<Cow<'a, Observation>> {
        match (from, record) {
            (Some(_), Some(_)) if self.went_with_its_container(instance, kind) => {
                Some(Cow::Owned(Observation::Absent))
            }
            (Some(from), Some(record)) => self.seen(from, record),
            _ => self.worlds.observed.get(&instance.address).map(Cow::Borrowed),
        }
    }

    /// What is wrong with changing it so: it is borrowed, or its identity is another's.
    fn refuse(&mut self, instance: &Instance, kind: &Kind, resolved: &Resolved, change: &Change) {
        let borrowed = rules::touches_borrowed(self.worlds.stack, instance, kind, change);
        self.diagnostics.extend(borrowed);
        if let Some(whose) = self.collides(kind, &resolved.attributes, change) {
            self.diagnostics.push(rules::collides(instance, kind, resolved, &whose));
        }
    }

    /// Makes it wait for what it cannot do without. What is deferred is a no-op for the rules behind, so the first reason is
    /// the one that is told: that of the switch, before what others lack, before where it is made through, before silence.
    fn defer(
        &mut self,
        instance: &Instance,
        kind: &Kind,
        desired: &Attributes,
        change: &mut Change,
    ) {
        self.hold_pending(change);
        self.hold_without(instance, change);
        self.hold_beyond_reach(instance, kind, desired, change);
        self.hold_in_silence(instance, change);
    }

    /// What is created where members of its group live elsewhere joins them: a table of its own would split the group.
    fn join_group(&self, kind: &Kind, desired: &mut Attributes, change: &mut Change) -> bool {
        if change.action != Action::Create {
            return false;
        }
        let Some((join_as, region)) = self.groups.join(kind, desired) else { return false };
        let reason = &change.reason;
        change.reason =
            format!("{reason}; it joins the group through its healthy member in {region}");
        desired.insert(join_as, Value::text(region));
        true
    }

    /// What later expressions see of it: what is recorded, where that holds, else what is planned.
    fn publish(
        &mut self,
        address: &'a Address,
        recorded: Option<&'a Record>,
        planned: impl FnOnce() -> Attributes,
    ) {
        match recorded {
            Some(record) => self.known.put_record(address, record),
            None => self.known.put(address.clone(), planned()),
        }
    }

    /// Under which other address state has what is desired here, and that no layer declares any more.
    fn recorded_as(&self, kind: &Kind, resolved: &Resolved) -> Option<&'a Address> {
        let identity = identity_of(kind, &resolved.attributes)?;
        let left = self.worlds.state?.records.iter().filter(|(address, record)| {
            record.kind == kind.kind && !self.worlds.stack.instances.contains_key(*address)
        });
        let mut same =
            left.filter(|(_, it)| identity_of(kind, &it.attributes).as_ref() == Some(&identity));
        same.next().map(|(address, _)| address)
    }

    /// Neither seen nor recorded: nobody can say what it is.
    fn miss(&mut self, address: &Address) {
        let in_doubt = self.doubt(address).is_some();
        let missing = if in_doubt { Missing::InDoubt } else { Missing::Unseen };
        self.unavailable.insert(address.clone(), missing);
    }

    /// Deleting a container deletes what is in it.
    fn went_with_its_container(&self, instance: &Instance, kind: &Kind) -> bool {
        let mut containers = declared_containers(self.worlds.stack, instance, kind).into_iter();
        !self.gone.is_empty() && containers.any(|it| self.gone.contains(&it))
    }

    /// Whether its container is made anew beside the old one, which serves until users have moved: with what it contains.
    fn moves_beside(&self, instance: &Instance, kind: &Kind) -> bool {
        let containers = declared_containers(self.worlds.stack, instance, kind);
        containers.iter().any(|it| self.beside.contains(it))
    }

    /// Whose identity in another instance a change would take, in words.
    fn collides(&self, kind: &Kind, attributes: &Attributes, change: &Change) -> Option<String> {
        if change.action == Action::NoOp || self.options.others.is_empty() {
            return None;
        }
        self.options.others.get(&identity_of(kind, attributes)?).cloned()
    }

    /// Somebody wants a new one, whatever differs.
    fn replace_when_asked(
        &self,
        change: &mut Change,
        instance: &Instance,
        record: Option<&Record>,
    ) {
        let is_there = record.is_some_and(|it| it.deposed.is_none());
        if is_there && self.options.replace.contains(&instance.address) {
            let create_first = instance.resource.lifecycle.create_before_destroy;
            change.action = Action::Replace { create_first };
            change.reason = "replacement was requested with --replace".into();
        }
    }

    fn change(
        &mut self,
        instance: &Instance,
        kind: &Kind,
        resolved: &Resolved,
        record: Option<&Record>,
        seen: Option<&Observation>,
    ) -> Change {
        let mut change = self.undecided(instance, kind, record);
        if let Some(why) = self.doubt(&instance.address).filter(|_| record.is_none()) {
            change.unknown = Some(Unreadable::new(UnknownReason::Unclear, why));
            change.reason =
                "an interrupted operation may have created it, so nothing is planned for it".into();
            return change;
        }
        if let Some(Observation::Unknown(unseen)) = seen {
            change.unknown = Some(unseen.clone());
            change.reason = "it could not be read, so no change is planned for it".into();
            return change;
        }
        if is_leaving(kind, record, seen) {
            self.diagnostics.push(rules::still_leaving(instance, kind, record.is_some()));
            change.reason = "it is being deleted, so no change is planned for it".into();
            return change;
        }
        let was_left = record.is_some_and(|it| it.leaving);
        let absent = record.is_some() && seen == Some(&Observation::Absent);
        let record = record.filter(|_| !absent);
        // What lifeboat itself has deleted was not deleted outside.
        let gone = absent && !was_left;
        let observed = match seen {
            Some(Observation::Exists { attributes, .. }) if record.is_some() => Some(attributes),
            _ => None,
        };
        if record.is_none() && matches!(seen, Some(Observation::Exists { .. })) {
            let recorded = self.recorded_as(kind, resolved);
            self.diagnostics.push(rules::exists_already(instance, kind, resolved, recorded));
        }
        let sides = DiffSides {
            kind,
            desired: resolved,
            record,
            observed,
            key: self.key(),
            ignore: &instance.resource.lifecycle.ignore_changes,
        };
        let mut difference = diff(&sides, |name| resolved.span(name).map(|it| self.place(it)));
        for name in uncompared(&sides) {
            self.diagnostics.push(rules::secret_drift(instance, &name, resolved));
        }
        change.deferred = record.and_then(|it| self.hold_back(instance, kind, it, &mut difference));
        for it in difference.changes.iter().filter(|it| difference.refused.contains(&it.name)) {
            self.diagnostics.push(rules::unchangeable(instance, kind, it, resolved));
        }
        let not_ready = is_not_ready(instance, kind, record, seen);
        decide(&mut change, kind, ResourceState { record, gone, not_ready }, difference, instance);
        self.replace_when_asked(&mut change, instance, record);
        if let Action::Replace { create_first } = &mut change.action {
            *create_first |= self.moves_beside(instance, kind);
            // What may not stand beside its successor has to go first, whatever the layers say.
            *create_first &=
                !record.is_some_and(|it| excludes(kind, &it.attributes, &resolved.attributes));
        }
        if change.action == (Action::Replace { create_first: true })
            || record.is_some_and(|it| it.deposed.is_some())
        {
            self.beside.insert(instance.address.clone());
        }
        change.loses_data = kind.holds_data && change.action.destroys();
        change
    }
}

/// Whether what is there is being deleted, by the word of the cloud or by our own.
pub fn is_leaving(kind: &Kind, record: Option<&Record>, seen: Option<&Observation>) -> bool {
    let Some(Observation::Exists { attributes, .. }) = seen else { return false };
    kind.is_leaving(attributes) || record.is_some_and(|it| it.leaving)
}

/// Whether something of it is still to be waited for. Whose create was cut off is recorded as not ready; a kind without a condition is
/// ready once it is there.
fn is_not_ready(
    instance: &Instance,
    kind: &Kind,
    record: Option<&Record>,
    seen: Option<&Observation>,
) -> bool {
    let has_condition = kind.rest.as_ref().is_some_and(|it| it.ready.is_some())
        || kind.waits.ready.is_some()
        || instance.resource.ready.is_some();
    let is_recorded_so = has_condition && record.is_some_and(|it| !it.ready);
    is_recorded_so || matches!(seen, Some(Observation::Exists { ready: false, .. }))
}

/// A record that goes under another address moves, also where nothing else changes.
fn note_move(instance: &Instance, from: Option<&Address>, change: &mut Change) {
    change.moved_from = from.filter(|it| **it != instance.address).cloned();
    if change.action == Action::NoOp && change.moved_from.is_some() {
        change.action = Action::Move;
        change.reason = "the record moves to another address; the resource is not changed".into();
    }
}

/// Whether an object stays, and is in every attribute what its record says.
fn is_as_recorded(
    action: Action,
    kind: &Kind,
    resolved: &Resolved,
    record: &Record,
    seen: Option<&Observation>,
) -> bool {
    let is_made_so = match seen {
        Some(Observation::Exists { attributes, .. }) => {
            let mut made = kind.attributes.iter().filter(|(_, it)| it.computed);
            made.all(|(name, _)| {
                attributes.get(name).is_none_or(|it| record.outputs.get(name) == Some(it))
            })
        }
        _ => true,
    };
    action == Action::NoOp && is_made_so && resolved.attributes == record.attributes
}

/// What later expressions see of an address.
fn remembered(
    kind: &Kind,
    resolved: &Resolved,
    record: Option<&Record>,
    seen: Option<&Observation>,
    action: Action,
    change: &Change,
) -> Attributes {
    match (action, record) {
        (Action::Create | Action::Replace { .. }, _) | (_, None) => {
            promised(kind, &resolved.attributes)
        }
        (_, Some(record)) => {
            // As a record keeps it: what it was when it was made, it is at each look.
            let mut object = kept(kind, &resolved.attributes);
            // What is held stays as it was, for everybody.
            for it in change.deferred.iter().flat_map(|it| &it.attributes) {
                let recorded = record.attributes.get(&it.name).cloned();
                object.insert(it.name.clone(), recorded.unwrap_or_default());
            }
            add_outputs(&mut object, kind, record, seen);
            for (name, attribute) in &kind.attributes {
                if change.attributes.iter().any(|it| attribute.opened_by.contains(&it.name)) {
                    object.insert(name.clone(), Value::Open);
                }
            }
            object.insert("id".into(), Value::Text(record.id.clone()));
            object
        }
    }
}

/// Computed attributes as seen now, else as recorded.
fn add_outputs(object: &mut Attributes, kind: &Kind, record: &Record, seen: Option<&Observation>) {
    object.extend(record.outputs.iter().map(|(name, value)| (name.clone(), value.clone())));
    if let Some(Observation::Exists { attributes, .. }) = seen {
        // What changes by itself is no part of it: else an output of it would never be what was set.
        for (name, _) in kind.attributes.iter().filter(|(_, it)| it.computed && !it.live) {
            if let Some(value) = attributes.get(name) {
                object.insert(name.clone(), value.clone());
            }
        }
    }
}

//! Proposes a plan: one change for each address, the steps that follow, and what the guards say.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use crate::engine::address::Address;
use crate::engine::diagnostic::{Diagnostic, Span};
use crate::engine::observed::Observation;
pub use crate::engine::plan::asked::{Intent, Options};
use crate::engine::plan::change::{
    Action, AttributeChange, Change, Drift, OutputChange, Plan, note,
};
use crate::engine::plan::diff::{Difference, Sides, diff, drift, is_missing_secret, seal};
use crate::engine::plan::group::Groups;
use crate::engine::plan::guard;
use crate::engine::plan::order::steps;
use crate::engine::plan::planned::Planned;
use crate::engine::plan::survey::{Known, promised, record_of};
use crate::engine::schema::{Catalog, Kind};
use crate::engine::stack::model::{Instance, Stack};
use crate::engine::stack::resolve::{Resolved, resolve, resolve_output};
use crate::engine::state::record::{Record, State};
use crate::engine::value::{Attributes, LineageKey, Value};

/// Everything a plan is worked out from.
pub struct Worlds<'a> {
    pub catalog: &'a Catalog,
    /// For [`Intent::Destroy`] the stack still gives the guards their `lifecycle`.
    pub stack: &'a Stack,
    /// Topological order of the stack's instances.
    pub order: &'a [Address],
    pub state: Option<&'a State>,
    pub observed: &'a BTreeMap<Address, Observation>,
}

/// An object younger than this may be missing from lists.
const YOUNG_MILLISECONDS: i64 = 60_000;

/// The plan; diagnostics stop it only when they are errors.
pub fn propose(worlds: &Worlds<'_>, options: &Options) -> (Plan, Vec<Diagnostic>) {
    let mut proposal = Proposal::new(worlds, options);
    if options.intent == Intent::Apply {
        for address in worlds.order {
            if let Some(instance) = worlds.stack.instances.get(address) {
                proposal.instance(instance);
            }
        }
    }
    proposal.leftovers();
    proposal.finish()
}

struct Proposal<'a> {
    worlds: &'a Worlds<'a>,
    options: &'a Options,
    known: Known,
    groups: Groups,
    planned: Vec<Planned<'a>>,
    drift: Vec<Drift>,
    taken: BTreeSet<Address>,
    diagnostics: Vec<Diagnostic>,
}

impl<'a> Proposal<'a> {
    fn new(worlds: &'a Worlds<'a>, options: &'a Options) -> Self {
        Self {
            worlds,
            options,
            known: Known::default(),
            groups: Groups::new(worlds.catalog, worlds.state, worlds.observed),
            planned: Vec::new(),
            drift: Vec::new(),
            taken: BTreeSet::new(),
            diagnostics: Vec::new(),
        }
    }

    /// Plans keep no secret.
    fn sealed(&self, attributes: Attributes) -> Attributes {
        let seal = |it: Value| if it.has_secret() { seal(&it, self.key()) } else { it };
        attributes.into_iter().map(|(name, it)| (name, seal(it))).collect()
    }

    fn key(&self) -> Option<&'a LineageKey> {
        self.worlds.state.map(|it| &it.key)
    }

    /// What was seen of a record; too young to be missing counts as unseen.
    fn seen(&self, address: &Address, record: &Record) -> Option<Cow<'a, Observation>> {
        let seen = self.worlds.observed.get(address)?;
        if *seen == Observation::Absent && self.options.now - record.since < YOUNG_MILLISECONDS {
            let why = "it was made less than a minute ago and is in no list yet";
            return Some(Cow::Owned(Observation::Unseen(why.into())));
        }
        Some(Cow::Borrowed(seen))
    }

    fn instance(&mut self, instance: &'a Instance) {
        let Some(kind) = self.worlds.catalog.get(&instance.resource.kind) else { return };
        if let Some(gate) = &instance.resource.gate {
            self.diagnostics.push(guard::gate_not_awaited(instance, gate.span));
        }
        let found = record_of(self.worlds.state, self.worlds.stack, instance)
            .filter(|(from, _)| !self.taken.contains(from));
        if let Some((from, record)) = &found
            && record.kind != kind.kind
        {
            // An id means nothing to another kind: neither call may use it.
            self.diagnostics.push(guard::kind_changed(instance, &record.kind));
            self.taken.insert(from.clone());
            return;
        }
        let resolved = match resolve(self.worlds.stack, self.worlds.catalog, instance, &self.known)
        {
            Ok(resolved) => resolved,
            Err(mistakes) => {
                self.diagnostics.extend(mistakes);
                return;
            }
        };
        let mut resolved = resolved;
        let record = found.as_ref().map(|(_, record)| *record);
        let from = found.map(|(from, _)| from);
        if let Some(from) = &from {
            self.taken.insert(from.clone());
        }
        let seen = match (&from, record) {
            (Some(from), Some(record)) => self.seen(from, record),
            _ => self.worlds.observed.get(&instance.address).map(Cow::Borrowed),
        };
        let seen = seen.as_deref();
        let mut change = self.change(instance, kind, &resolved, record, seen);
        self.require_secrets(instance, &resolved, &change);
        let joins = (change.action == Action::Create)
            .then(|| self.groups.join(kind, &resolved.attributes))
            .flatten();
        if let Some((join_as, region)) = &joins {
            resolved.attributes.insert(join_as.clone(), Value::text(region));
            change.reason = format!("{}; it joins the living member in {region}", change.reason);
        }
        change.moved_from = from.filter(|it| *it != instance.address);
        if change.action == Action::NoOp && change.moved_from.is_some() {
            change.action = Action::Move;
            change.reason = "it goes under another address; the object stays".into();
        }
        // Who joins comes back under the name and id that the others know.
        let returns = joins.is_some() && record.is_some();
        let action = if returns { Action::Update } else { change.action };
        self.remember(
            instance,
            kind,
            &resolved,
            record,
            seen,
            &Change { action, ..change.clone() },
        );
        if let (Some(record), Some(seen)) = (record, seen) {
            self.note_drift(&instance.address, kind, record, seen);
        }
        self.planned.push(Planned {
            change,
            kind,
            desired: Some(self.sealed(resolved.attributes)),
            record,
            instance: Some(instance),
            not_ready: record.is_some_and(|it| !it.ready)
                || matches!(seen, Some(Observation::Exists { ready: false, .. })),
        });
    }

    /// What is made needs every secret; all that are missing are told at once, before any call.
    fn require_secrets(&mut self, instance: &Instance, resolved: &Resolved, change: &Change) {
        if !matches!(change.action, Action::Create | Action::Replace { .. }) {
            return;
        }
        for (name, _) in resolved.attributes.iter().filter(|(_, it)| is_missing_secret(it)) {
            let span = resolved.spans.get(name).copied().unwrap_or(instance.resource.span);
            self.diagnostics.push(guard::missing_secret(instance, name, span));
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
        let mut change = Change {
            address: instance.address.clone(),
            kind: kind.kind.clone(),
            action: Action::NoOp,
            reason: String::new(),
            place: Some(self.place(instance.resource.span)),
            attributes: Vec::new(),
            loses_data: false,
            unseen: None,
            id: record.map(|it| it.id.clone()),
            moved_from: None,
        };
        if let Some(why) = self.doubt(&instance.address).filter(|_| record.is_none()) {
            change.unseen = Some(why);
            change.reason = "whether it was made is in doubt, so nothing is planned for it".into();
            return change;
        }
        if let Some(Observation::Unseen(why)) = seen {
            change.unseen = Some(why.clone());
            change.reason = "it could not be looked at, so nothing is planned against it".into();
            return change;
        }
        let gone = record.is_some() && seen == Some(&Observation::Absent);
        let record = record.filter(|_| !gone);
        let observed = match seen {
            Some(Observation::Exists { attributes, .. }) if record.is_some() => Some(attributes),
            _ => None,
        };
        if record.is_none() && matches!(seen, Some(Observation::Exists { .. })) {
            self.diagnostics.push(guard::exists_already(instance, kind, resolved));
        }
        let sides = Sides {
            kind,
            desired: resolved,
            record,
            observed,
            key: self.key(),
            ignore: &instance.resource.lifecycle.ignore_changes,
        };
        let difference = diff(&sides, |name| resolved.spans.get(name).map(|it| self.place(*it)));
        for name in &difference.refused {
            self.diagnostics.push(guard::unchangeable(instance, kind, name, resolved));
        }
        let not_ready = record.is_some_and(|it| !it.ready)
            || matches!(seen, Some(Observation::Exists { ready: false, .. }));
        decide(&mut change, kind, record, gone, difference, not_ready, instance);
        change.loses_data = kind.holds_data && change.action.destroys();
        change
    }

    /// A create that began, of which nobody knows whether it was carried out.
    fn doubt(&self, address: &Address) -> Option<String> {
        let begun = self.worlds.state?.begun.get(address).filter(|it| it.call == "create")?;
        let stack = &self.worlds.state?.stack;
        Some(format!(
            "a create of a {} began and its end is not known; look what is there, then say so with \
             `lifeboat state settle {stack} '{address}' --id ID`, or `--nothing`",
            begun.kind
        ))
    }

    /// What later expressions see of this address.
    fn remember(
        &mut self,
        instance: &Instance,
        kind: &Kind,
        resolved: &Resolved,
        record: Option<&Record>,
        seen: Option<&Observation>,
        change: &Change,
    ) {
        let object = match (change.action, record) {
            (Action::Create | Action::Replace { .. }, _) | (_, None) => {
                promised(kind, &resolved.attributes)
            }
            (_, Some(record)) => {
                let mut object = resolved.attributes.clone();
                object.extend(current_outputs(kind, record, seen));
                for (name, attribute) in &kind.attributes {
                    let opened =
                        change.attributes.iter().any(|it| attribute.opened_by.contains(&it.name));
                    if opened {
                        object.insert(name.clone(), Value::Open);
                    }
                }
                object.insert("id".into(), Value::Text(record.id.clone()));
                object
            }
        };
        self.known.put(instance.address.clone(), object);
    }

    fn note_drift(&mut self, address: &Address, kind: &Kind, record: &Record, seen: &Observation) {
        let attributes = drift(kind, record, seen);
        let absent = *seen == Observation::Absent;
        if absent || !attributes.is_empty() {
            let address = address.clone();
            self.drift.push(Drift { address, kind: kind.kind.clone(), absent, attributes });
        }
    }

    /// Records that no layer declares any more.
    fn leftovers(&mut self) {
        let Some(state) = self.worlds.state else { return };
        for (address, record) in &state.records {
            if self.taken.contains(address) {
                continue;
            }
            let Some(kind) = self.worlds.catalog.get(&record.kind) else {
                self.diagnostics.push(guard::unknown_kind(address, &record.kind));
                continue;
            };
            let seen = self.seen(address, record);
            let seen = seen.as_deref();
            let (action, reason, unseen) = match seen {
                Some(Observation::Absent) => {
                    (Action::Forget, "it is gone already and no layer declares it", None)
                }
                Some(Observation::Unseen(why)) => (
                    Action::NoOp,
                    "it could not be looked at, so it is neither deleted nor forgotten",
                    Some(why.clone()),
                ),
                _ if self.options.intent == Intent::Destroy => {
                    (Action::Delete, "the stack is to be destroyed", None)
                }
                _ => (Action::Delete, "no layer declares it any more", None),
            };
            if let (Some(seen), Intent::Apply) = (seen, self.options.intent) {
                self.note_drift(address, kind, record, seen);
            }
            let instance = self.worlds.stack.instances.get(address);
            let change = Change {
                address: address.clone(),
                kind: kind.kind.clone(),
                action,
                reason: reason.into(),
                place: None,
                attributes: Vec::new(),
                loses_data: kind.holds_data && action.destroys(),
                unseen,
                id: Some(record.id.clone()),
                moved_from: None,
            };
            self.planned.push(Planned {
                change,
                kind,
                desired: None,
                record: Some(record),
                instance,
                not_ready: false,
            });
        }
    }

    fn outputs(&mut self) -> Vec<OutputChange> {
        let mut after: BTreeMap<String, Value> = BTreeMap::new();
        if self.options.intent == Intent::Apply {
            for (name, output) in &self.worlds.stack.outputs {
                match resolve_output(self.worlds.stack, self.worlds.catalog, output, &self.known) {
                    // Made of a secret that nobody gave: as it was.
                    Ok(value) if is_missing_secret(&value) => {
                        let before = self.worlds.state.and_then(|it| it.outputs.get(name));
                        after.extend(before.map(|it| (name.clone(), it.clone())));
                    }
                    Ok(value) => {
                        after.insert(name.clone(), seal(&value, self.key()));
                    }
                    Err(mistakes) => self.diagnostics.extend(mistakes),
                }
            }
        }
        let empty = BTreeMap::new();
        let before = self.worlds.state.map_or(&empty, |it| &it.outputs);
        let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
        names
            .into_iter()
            .map(|name| OutputChange {
                name: name.clone(),
                before: before.get(name).cloned().unwrap_or_default(),
                after: after.get(name).cloned().unwrap_or_default(),
            })
            .filter(|it| it.before != it.after)
            .collect()
    }

    fn finish(mut self) -> (Plan, Vec<Diagnostic>) {
        let outputs = self.outputs();
        let (steps, refusals) = steps(&self.planned, &self.options.allowed, self.options.intent);
        self.diagnostics.extend(refusals);
        if self.options.intent == Intent::Apply {
            self.diagnostics.extend(self.groups.split());
        }
        self.diagnostics.extend(guard::guard(&self.planned, self.worlds.state, self.options));
        let stack = self.worlds.stack;
        let switch = self.worlds.state.and_then(|state| {
            (state.active != stack.overlays && self.options.intent == Intent::Apply)
                .then(|| (state.active.clone(), stack.overlays.clone()))
        });
        let notes =
            self.diagnostics.iter().map(|it| note(it, |span| stack.sources.line(span))).collect();
        let plan = Plan {
            stack: stack.name.clone(),
            instance: stack.instance.clone(),
            switch,
            overlays: stack.overlays.clone(),
            bindings: self.options.bindings.clone(),
            changes: self.planned.into_iter().map(|it| it.change).collect(),
            drift: self.drift,
            outputs,
            steps,
            notes,
        };
        (plan, self.diagnostics)
    }

    fn place(&self, span: Span) -> String {
        self.worlds.stack.sources.line(span)
    }
}

/// The one place where differences become an action.
fn decide(
    change: &mut Change,
    kind: &Kind,
    record: Option<&Record>,
    gone: bool,
    difference: Difference,
    not_ready: bool,
    instance: &Instance,
) {
    let replaces = difference.replaces();
    change.attributes = difference.changes;
    if record.is_some_and(|it| it.deposed.is_some()) {
        // Two incarnations are there already: the second is made the only one before a third is thought of.
        change.attributes.retain(|it| kind.identity.by.contains(&it.name));
        change.action = Action::Update;
        change.reason = "an interrupted replace is finished first: what it replaced is deleted; the rest follows with the next apply".into();
        return;
    }
    let (action, reason) = if record.is_none() {
        let reason =
            if gone { "it was deleted outside lifeboat" } else { "it is not in state yet" };
        (Action::Create, reason.to_owned())
    } else if replaces {
        let create_first = instance.resource.lifecycle.create_before_destroy;
        (Action::Replace { create_first }, why_replace(&change.attributes))
    } else if !change.attributes.is_empty() {
        let names: Vec<&str> = change.attributes.iter().map(|it| it.name.as_str()).collect();
        let verb = if names.len() == 1 { "differs" } else { "differ" };
        (Action::Update, format!("{} {verb}", names.join(", ")))
    } else if not_ready {
        (Action::Await, "it is not ready yet".to_owned())
    } else {
        (Action::NoOp, String::new())
    };
    change.action = action;
    change.reason = reason;
    let first = change.attributes.iter().find(|it| it.replaces.is_some() || !replaces);
    if let Some(place) = first.filter(|_| record.is_some()).and_then(|it| it.place.clone()) {
        change.place = Some(place);
    }
}

fn why_replace(attributes: &[AttributeChange]) -> String {
    let reasons: Vec<String> = attributes
        .iter()
        .filter_map(|it| it.replaces.as_ref().map(|why| format!("{}: {why}", it.name)))
        .collect();
    reasons.join("; ")
}

/// Computed attributes as seen now, else as recorded.
fn current_outputs(kind: &Kind, record: &Record, seen: Option<&Observation>) -> Attributes {
    let mut outputs = record.outputs.clone();
    if let Some(Observation::Exists { attributes, .. }) = seen {
        for (name, attribute) in &kind.attributes {
            if let Some(value) = attributes.get(name).filter(|_| attribute.computed) {
                outputs.insert(name.clone(), value.clone());
            }
        }
    }
    outputs
}

//! Secrets of a plan: what others see of recorded ones, and which are missing, told all at once before any call.

use crate::engine::address::Address;
use crate::engine::lang::lower::dependencies::variables_of;
use crate::engine::lang::model::{Gate, Instance};
use crate::engine::lang::resolve::{Resolved, ResolvedProbe, resolve_gate};
use crate::engine::plan::diff::attributes::is_missing_secret;
use crate::engine::plan::draft::plan_builder::PlanBuilder;
use crate::engine::plan::draft::refresh::recorded_in_clear;
use crate::engine::plan::guard::rules;
use crate::engine::plan::model::change::{Action, Change};
use crate::engine::plan::model::planned_change::directs;
use crate::engine::schema::Kind;
use crate::engine::state::record::Record;
use crate::engine::text::diagnostic::Span;

impl<'a> PlanBuilder<'a> {
    /// What others see of an object that stays as it is recorded, lost or unread: what is made of its secrets can be made as
    /// long as the layers give them.
    pub fn publish_recorded(
        &mut self,
        address: &'a Address,
        record: &'a Record,
        resolved: &Resolved,
    ) {
        let key = self.worlds.state.map(|it| &it.key);
        match key.and_then(|key| recorded_in_clear(record, &resolved.attributes, key)) {
            Some(object) => self.known.put(address.clone(), object),
            None => self.known.put_record(address, record),
        }
    }

    /// What is sent: all of what is created, and of what is updated what changes and what goes together with that.
    pub fn require_secrets(
        &mut self,
        instance: &Instance,
        kind: &Kind,
        resolved: &Resolved,
        change: &Change,
    ) {
        let goes_with = |changed: &String, name: &String| {
            kind.attribute(changed).is_some_and(|it| it.together.contains(name))
        };
        let is_sent = |name: &String| match change.action {
            Action::Create | Action::Replace { .. } => true,
            Action::Update => {
                let mut changed = change.attributes.iter().map(|it| &it.name);
                changed.any(|it| it == name || goes_with(it, name))
            }
            _ => false,
        };
        let unknown = resolved.attributes.iter().filter(|(_, it)| it.has_withheld());
        for (name, _) in unknown.filter(|(name, _)| is_sent(name)) {
            let span = resolved.span(name).unwrap_or(instance.resource.span);
            self.miss_secret(instance, name, span, change.action);
        }
    }

    /// What the run asks on its way: the `ready` of what it creates or waits for, and the `gate` of what directs users. A condition that
    /// nobody can ask would stop the run when machines are made and users have not moved.
    pub fn require_secrets_of_conditions(
        &mut self,
        instance: &Instance,
        kind: &Kind,
        (change, not_ready): (&Change, bool),
    ) {
        let resource = &instance.resource;
        let asks = match change.action {
            Action::Create | Action::Replace { .. } | Action::Await => true,
            Action::Update => not_ready,
            _ => false,
        };
        let ready = resource.ready.as_deref().filter(|_| asks).map(|it| ("ready", it));
        let moves = change.action != Action::Delete && directs(kind, change);
        let gates = resource.gates.0.iter().filter(|_| moves).map(|it| ("gate", it));
        for (name, condition) in ready.into_iter().chain(gates) {
            if self.lacks_secret(instance, condition) {
                self.miss_secret(instance, name, condition.span, change.action);
            }
        }
    }

    fn lacks_secret(&self, instance: &Instance, condition: &Gate) -> bool {
        let worlds = self.worlds;
        let resolved = resolve_gate(worlds.stack, worlds.catalog, instance, condition, &self.known);
        match resolved.map(|it| it.probe) {
            Ok(ResolvedProbe::Tcp(asked) | ResolvedProbe::Http { url: asked, .. }) => {
                asked.has_withheld()
            }
            _ => false,
        }
    }

    fn miss_secret(&mut self, instance: &Instance, name: &str, span: Span, action: Action) {
        let variables = self.worlds.stack.variables.iter();
        let missing = variables.filter(|(_, it)| is_missing_secret(&it.value));
        let mut missing: Vec<String> = missing.map(|(name, _)| name.clone()).collect();
        // What it is made of only in a roundabout way may be any of them.
        let used = variables_of(instance, name);
        if missing.iter().any(|it| used.contains(it)) {
            missing.retain(|it| used.contains(it));
        }
        self.diagnostics.push(rules::missing_secret(instance, name, span, (&missing, action)));
    }
}

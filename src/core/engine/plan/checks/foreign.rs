//! Somebody else's object of a name that is ours: users take it for ours, and a switch moves only a part of them.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::address::Address;
use crate::engine::lang::model::Stack;
use crate::engine::normalize::identifying;
use crate::engine::observed::Neighbor;
use crate::engine::plan::draft::plan_builder::PlanBuilder;
use crate::engine::plan::model::change::Foreign;
use crate::engine::plan::model::options::Intent;
use crate::engine::plan::model::planned_change::{identity_of, looked_up_by};
use crate::engine::schema::{Catalog, Kind};
use crate::engine::state::record::{MutatingCall, State};
use crate::engine::text::codes::DiagnosticCode;
use crate::engine::text::diagnostic::Diagnostic;
use crate::engine::value::{Attributes, Value};

/// One of our names: where it is declared or recorded, and what it is looked up by.
pub type Name<'a> = (&'a Address, &'a Kind, &'a Attributes);

/// What is beside our names, and nobody's of this state.
pub fn foreign<'a>(
    names: impl Iterator<Item = Name<'a>>,
    catalog: &Catalog,
    state: Option<&State>,
    beside: &[Neighbor],
) -> Vec<Foreign> {
    if beside.is_empty() {
        return Vec::new();
    }
    let mut ours: BTreeMap<String, (&Address, BTreeSet<String>)> = BTreeMap::new();
    for (address, kind, attributes) in names {
        if let Some(name) = looked_up_by(kind, attributes) {
            let (_, targets) = ours.entry(name).or_insert((address, BTreeSet::new()));
            targets.insert(leads_to(kind, attributes));
        }
    }
    let theirs = beside.iter().filter_map(|it| {
        let kind = catalog.get(&it.kind)?;
        let (address, targets) = ours.get(&looked_up_by(kind, &it.attributes)?)?;
        let leads_to = leads_to(kind, &it.attributes);
        // One that may have been made by a step of ours is in doubt, and told as that.
        let is_ours = state.is_some_and(|state| is_known(state, &it.kind, &it.id));
        (!is_ours).then(|| Foreign {
            address: (*address).clone(),
            kind: it.kind.clone(),
            id: it.id.clone(),
            misleads: !targets.contains(&leads_to),
            leads_to,
        })
    });
    let mut found: Vec<Foreign> = theirs.collect();
    // Lists come in any order.
    found.sort_by(|a, b| (&a.address, &a.id).cmp(&(&b.address, &b.id)));
    found
}

/// Whether state has it, or began to make something that it may be.
fn is_known(state: &State, kind: &str, id: &str) -> bool {
    let has = |it: &crate::engine::state::record::Record| {
        it.id == id || it.deposed.as_ref().is_some_and(|old| old.id == id)
    };
    let began = |it: &crate::engine::state::journal::PendingOperation| {
        it.call == MutatingCall::Create && it.kind == kind && !it.alike.iter().any(|it| it == id)
    };
    state.records.values().any(|it| it.kind == kind && has(it)) || state.pending.values().any(began)
}

/// The names that state records.
pub fn recorded<'a>(catalog: &'a Catalog, state: &'a State) -> impl Iterator<Item = Name<'a>> {
    let records = state.records.iter();
    records.filter_map(|(address, it)| Some((address, catalog.get(&it.kind)?, &it.attributes)))
}

fn leads_to(kind: &Kind, attributes: &Attributes) -> String {
    let told = |name: &String| match identifying(kind, name, attributes.get(name)?, attributes) {
        Value::Null => None,
        Value::Text(text) => Some(text),
        other => Some(other.json().to_string()),
    };
    let values = kind.traffic.iter().filter_map(told);
    values.collect::<Vec<_>>().join(" ")
}

/// In a sentence.
pub fn sentence(it: &Foreign) -> String {
    if !it.misleads {
        return format!(
            "{} {}, which is not part of this stack, also points to {}, and a switch would not move it",
            it.kind, it.id, it.leads_to
        );
    }
    format!(
        "its users are also sent to {} by {} {}, which is not part of this stack",
        it.leads_to, it.kind, it.id
    )
}

/// A warning for each.
pub fn told(found: &[Foreign], stack: &Stack) -> Vec<Diagnostic> {
    let told = found.iter().map(|it| {
        let text = format!("`{}`: {}", it.address, sentence(it));
        let warning = Diagnostic::warning(DiagnosticCode::ForeignRecord, text).help(
            "remove that record, or declare it in this stack, too; while both exist, a switch moves only some of the users and stays incomplete",
        );
        match stack.instances.get(&it.address) {
            Some(instance) => warning.at(instance.resource.span, "the same name"),
            None => warning,
        }
    });
    told.collect()
}

impl PlanBuilder<'_> {
    /// What is beside the names of this plan.
    pub fn foreign(&self) -> Vec<Foreign> {
        if self.options.intent == Intent::Destroy {
            return Vec::new();
        }
        let kept = self.planned.iter().filter(|it| !it.change.action.destroys());
        let names = kept.filter_map(|it| {
            let attributes = it.desired.as_deref().or(it.record.map(|it| &it.attributes))?;
            Some((&it.change.address, it.kind, attributes))
        });
        let found = foreign(names, self.worlds.catalog, self.worlds.state, &self.options.beside);
        // What is equal in everything that tells objects apart is refused by that name.
        let made = self.planned.iter().filter(|it| it.record.is_none());
        let made: BTreeSet<String> =
            made.filter_map(|it| identity_of_all(it.kind, it.desired.as_deref()?)).collect();
        let is_refused = |it: &Foreign| {
            let theirs =
                self.options.beside.iter().find(|one| one.kind == it.kind && one.id == it.id);
            theirs.is_some_and(|one| {
                let kind = self.worlds.catalog.get(&one.kind);
                kind.and_then(|kind| identity_of_all(kind, &one.attributes))
                    .is_some_and(|it| made.contains(&it))
            })
        };
        found.into_iter().filter(|it| !is_refused(it)).collect()
    }
}

/// The name, and where it leads.
fn identity_of_all(kind: &Kind, attributes: &Attributes) -> Option<String> {
    let name = identity_of(kind, attributes)?;
    Some(format!("{name} {}", leads_to(kind, attributes)))
}

//! What serves: the members of serving sets before and after a plan, and sets of which nothing would be left.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use crate::engine::address::Address;
use crate::engine::containment::RecordIndex;
use crate::engine::plan::model::change::Action;
use crate::engine::plan::model::options::Allowances;
use crate::engine::plan::model::planned_change::{PlannedChange, excludes, set_name};
use crate::engine::schema::{Attribute, Kind};
use crate::engine::text::codes::DiagnosticCode;
use crate::engine::text::diagnostic::Diagnostic;
use crate::engine::value::Attributes;

/// Whether these attributes let an object take part in serving. What is only read, as a TXT record is, serves nobody.
pub fn lets_serve(kind: &Kind, attributes: &Attributes) -> bool {
    if !kind.directs_users(|name| attributes.get(name)) {
        return false;
    }
    let Some(serves) = &kind.serves else { return true };
    let default = || kind.attribute(&serves.attribute).and_then(Attribute::default_value);
    let given = attributes.get(&serves.attribute).filter(|it| !it.is_null()).cloned();
    match given.or_else(default) {
        // What only applying will know may serve.
        Some(value) => value.has_unknown() || serves.values.contains(&value.json()),
        None => true,
    }
}

/// The attributes that it has when the plan is carried out; `None`: it is not there.
pub fn after<'a>(it: &'a PlannedChange<'_>) -> Option<Cow<'a, Attributes>> {
    let desired = || it.desired.as_deref().map(Cow::Borrowed);
    match it.change.action {
        Action::Delete | Action::Forget => None,
        Action::Create | Action::Replace { .. } => desired(),
        Action::Update => {
            // What is held of an update stays as it was.
            let mut attributes = it.record?.attributes.clone();
            for changed in &it.change.attributes {
                attributes.insert(changed.name.clone(), changed.after.clone());
            }
            Some(Cow::Owned(attributes))
        }
        Action::NoOp | Action::Await | Action::Move | Action::Adopt => {
            it.record.map(|it| Cow::Borrowed(&it.attributes))
        }
    }
}

/// Whether it is there now, as far as is known.
pub fn is_there(it: &PlannedChange<'_>) -> bool {
    it.record.is_some() && !matches!(it.change.action, Action::Create | Action::Forget)
}

/// Every planned object by its address, for looks at what it needs.
pub struct ServingView<'a, 'b> {
    pub planned: &'a [PlannedChange<'b>],
    pub at: BTreeMap<&'a Address, usize>,
}

impl<'a, 'b> ServingView<'a, 'b> {
    pub fn new(planned: &'a [PlannedChange<'b>]) -> Self {
        let at = planned.iter().enumerate().map(|(at, it)| (&it.change.address, at)).collect();
        Self { planned, at }
    }

    pub fn get(&self, address: &Address) -> Option<&'a PlannedChange<'b>> {
        self.at.get(address).map(|at| &self.planned[*at])
    }

    /// Whether it serves before anything is changed: it and what it needs are on.
    pub fn before(&self, it: &PlannedChange<'_>) -> bool {
        let Some(record) = it.record.filter(|_| is_there(it)) else { return false };
        let on = |need: &Address| {
            self.at.get(need).is_none_or(|at| {
                let need = &self.planned[*at];
                need.record.is_none_or(|it| lets_serve(need.kind, &it.attributes))
            })
        };
        lets_serve(it.kind, &record.attributes) && record.needs.iter().all(on)
    }

    /// Whether it serves when the plan is carried out.
    pub fn after(&self, it: &PlannedChange<'_>) -> bool {
        let Some(attributes) = after(it) else { return false };
        let on = |need: &Address| {
            self.at.get(need).is_none_or(|at| {
                let need = &self.planned[*at];
                after(need).is_none_or(|it| lets_serve(need.kind, &it))
            })
        };
        let needs = it.instance.iter().flat_map(|it| &it.needs).map(|(need, _)| need);
        lets_serve(it.kind, &attributes) && needs.into_iter().all(on)
    }

    /// What an object needs and this plan switches off; itself, where it is that.
    pub fn culprit(&self, it: &'a PlannedChange<'b>) -> &'a PlannedChange<'b> {
        let off = |need: &&PlannedChange<'_>| {
            after(need).is_some_and(|it| !lets_serve(need.kind, &it))
                && need.change.action == Action::Update
        };
        let needs = it.record.iter().flat_map(|it| &it.needs);
        let needs = needs.filter_map(|need| Some(&self.planned[*self.at.get(need)?]));
        needs.into_iter().find(off).unwrap_or(it)
    }
}

/// Indexes of the planned objects of each serving set.
pub fn serving_sets(planned: &[PlannedChange<'_>]) -> BTreeMap<String, Vec<usize>> {
    let mut sets: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (at, it) in planned.iter().enumerate() {
        if it.kind.serving_set.is_empty() {
            continue;
        }
        let recorded = it.record.map(|it| &it.attributes);
        for attributes in [recorded, it.desired.as_deref()].into_iter().flatten() {
            let members = sets.entry(set_name(it.kind, attributes)).or_default();
            if members.last() != Some(&at) {
                members.push(at);
            }
        }
    }
    sets
}

/// Serving sets in which nothing would be left that serves, or nothing for a while.
pub fn emptied_sets(
    planned: &[PlannedChange<'_>],
    sets: &BTreeMap<String, Vec<usize>>,
    allowed: &Allowances,
    left: &BTreeSet<Address>,
) -> Vec<Diagnostic> {
    if allowed.outage || sets.is_empty() {
        return Vec::new();
    }
    let serving = ServingView::new(planned);
    let going: BTreeSet<&Address> = planned
        .iter()
        .filter(|it| it.change.action.destroys())
        .map(|it| &it.change.address)
        .collect();
    let holders = holders(planned);
    let mut refusals: Vec<Diagnostic> = Vec::new();
    let mut told: BTreeSet<&Address> = BTreeSet::new();
    for (name, members) in sets {
        let members: Vec<&PlannedChange<'_>> = members.iter().map(|at| &planned[*at]).collect();
        let was = |it: &&&PlannedChange<'_>| {
            let record = it.record.is_some_and(|it2| set_name(it.kind, &it2.attributes) == *name);
            record && serving.before(it)
        };
        let is_in = |it: &PlannedChange<'_>| {
            after(it).is_some_and(|it2| set_name(it.kind, &it2) == *name) && serving.after(it)
        };
        // In the place of what it excludes its successor comes at once: there is no other way.
        let stays = |it: &&PlannedChange<'_>| {
            (!going.contains(&it.change.address) || follows_at_once(it)) && is_in(it)
        };
        let leaves = |it: &&&PlannedChange<'_>| !stays(it);
        let leaving: Vec<&&PlannedChange<'_>> = members.iter().filter(was).filter(leaves).collect();
        // With its container gone there is no set left to serve from.
        let orphaned = leaving
            .iter()
            .all(|it| container_of(it, &holders).is_some_and(|it| going.contains(it)));
        let nobody_comes = leaving.iter().all(|it| left.contains(&it.change.address));
        if leaving.is_empty() || orphaned || nobody_comes || members.iter().any(stays) {
            continue;
        }
        let culprit = serving.culprit(leaving[0]);
        if told.insert(&culprit.change.address) {
            refusals.push(emptied(culprit));
        }
    }
    refusals
}

/// A replacement in place of what its successor could not stand beside.
fn follows_at_once(it: &PlannedChange<'_>) -> bool {
    let both = it.record.map(|it| &it.attributes).zip(it.desired.as_deref());
    matches!(it.change.action, Action::Replace { create_first: false })
        && both.is_some_and(|(old, new)| excludes(it.kind, old, new))
}

/// Recorded objects by kind and id.
pub fn holders<'a>(planned: &'a [PlannedChange<'_>]) -> RecordIndex<'a> {
    RecordIndex::of(planned.iter().filter_map(|it| Some((&it.change.address, it.record?))))
}

pub fn container_of<'a>(it: &PlannedChange<'_>, holders: &RecordIndex<'a>) -> Option<&'a Address> {
    holders.container(it.kind, &it.record?.attributes).map(|(address, _)| address)
}

fn emptied(it: &PlannedChange<'_>) -> Diagnostic {
    let address = &it.change.address;
    let refusal = Diagnostic::refusal(DiagnosticCode::EmptiesServingSet, format!("to {} `{address}` leaves nothing to serve in its place", it.change.action.word()))
        .help("add its successor first, use `lifecycle: { create_before_destroy: true }`, or pass --allow-outage");
    match it.instance {
        Some(instance) => refusal.at(instance.resource.span, it.change.reason.clone()),
        None => refusal,
    }
}

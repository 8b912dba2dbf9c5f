//! The one place where differences become an action, with its reason.

use crate::engine::lang::model::Instance;
use crate::engine::plan::diff::attributes::Difference;
use crate::engine::plan::model::change::{Action, AttributeChange, Change};
use crate::engine::schema::Kind;
use crate::engine::state::record::Record;

/// What is known of one object when its action is chosen.
#[derive(Clone, Copy)]
pub struct ResourceState<'a> {
    pub record: Option<&'a Record>,
    /// It was recorded and is absent.
    pub gone: bool,
    pub not_ready: bool,
}

/// The action for one address, by what is desired, recorded and observed.
pub fn decide(
    change: &mut Change,
    kind: &Kind,
    standing: ResourceState<'_>,
    difference: Difference,
    instance: &Instance,
) {
    let replaces = difference.replaces();
    let record = standing.record;
    change.attributes = difference.changes;
    if record.is_some_and(|it| it.deposed.is_some()) {
        // Two incarnations are there already: the second is made the only one before a third is thought of.
        change.attributes.retain(|it| kind.identity.by.contains(&it.name));
        change.action = Action::Update;
        change.reason = "an interrupted replacement is finished first by deleting the old resource; other changes follow with the next apply".into();
        return;
    }
    let (action, reason) = if record.is_none() {
        let reason = if standing.gone { "deleted outside of lifeboat" } else { "not in state" };
        (Action::Create, reason.to_owned())
    } else if replaces {
        let create_first = instance.resource.lifecycle.create_before_destroy;
        (Action::Replace { create_first }, why_replace(&change.attributes))
    } else if !change.attributes.is_empty() {
        let names: Vec<&str> = change.attributes.iter().map(|it| it.name.as_str()).collect();
        let verb = if names.len() == 1 { "differs" } else { "differ" };
        (Action::Update, format!("{} {verb}", names.join(", ")))
    } else if standing.not_ready {
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

/// What these differences of an object that is there would mean.
pub fn action_of(attributes: &[AttributeChange], instance: &Instance) -> Action {
    if attributes.iter().any(|it| it.replaces.is_some()) {
        Action::Replace { create_first: instance.resource.lifecycle.create_before_destroy }
    } else {
        Action::Update
    }
}

fn why_replace(attributes: &[AttributeChange]) -> String {
    let reasons: Vec<String> = attributes
        .iter()
        .filter_map(|it| it.replaces.as_ref().map(|why| format!("{}: {why}", it.name)))
        .collect();
    reasons.join("; ")
}

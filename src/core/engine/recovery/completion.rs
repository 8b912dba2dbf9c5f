//! Over means seen: whether a switch, an apply, a drill or a destroy is over, from what was read and what was made.

use std::collections::BTreeMap;

use crate::engine::address::Address;
use crate::engine::observed::{Neighbor, Observation, UnknownReason};
use crate::engine::plan::checks::foreign::{foreign, recorded, sentence};
use crate::engine::plan::diff::attributes::drift;
use crate::engine::plan::model::change::{Change, DeferReason, Foreign, Intent, Plan, Stray};
use crate::engine::plan::traffic::stray;
use crate::engine::schema::Catalog;
use crate::engine::state::record::State;
use crate::engine::value::Value;

/// Something that keeps a run from being over, whatever became of its steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfinished {
    pub address: Address,
    pub why: String,
    /// Of what sort the failure to read it was; `None`: it was read, and stays, or waits for what was not.
    pub reason: Option<UnknownReason>,
    /// A part of its users is led elsewhere than they are wanted: what mends that.
    pub remedy: Option<String>,
}

/// How far something came; the worse is the greater.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Completion {
    /// Everything was read, planned and made.
    #[default]
    Over,
    /// Everything was read and made, and a part of the users is led elsewhere: by what is somebody else's, or to what is lost.
    Shared,
    /// What was planned is made, and a part of the world was not read, or is left.
    Unread,
    /// The same, and what was answered made no sense.
    Malformed,
    /// The same, and the cloud said no: that does not pass by itself.
    Denied,
    /// A step did not end well, or never began.
    Undone,
}

/// What a plan leaves open even if each of its steps ends well. What is deferred because of a declared loss, or because it was
/// pending before a switch, does not count: it is no part of it. A destroy is for everything, so to it all that stays does.
pub fn open(plan: &Plan) -> Vec<Unfinished> {
    let destroys = plan.bindings.intent == Intent::Destroy;
    let open = |it: &Change| {
        let held = it.deferred.as_ref().filter(|it| destroys || it.wait == DeferReason::Unknown);
        let unseen = it.unknown.as_ref();
        let why = unseen.map(|it| it.why.clone()).or(held.map(|it| it.why.clone()))?;
        let (address, reason) = (it.address.clone(), unseen.map(|it| it.reason));
        Some(Unfinished { address, why, reason, remedy: None })
    };
    let led = misleading(&plan.foreign).chain(strayed(&plan.strays));
    plan.changes.iter().filter_map(open).chain(led).collect()
}

/// Names of which a part of the users is led elsewhere.
fn misleading(found: &[Foreign]) -> impl Iterator<Item = Unfinished> {
    found.iter().filter(|it| it.misleads).map(|it| Unfinished {
        address: it.address.clone(),
        why: sentence(it),
        reason: None,
        remedy: Some("remove it, or declare it in this stack, too".to_owned()),
    })
}

/// Names of ours that lead users to what is lost.
fn strayed(found: &[Stray]) -> impl Iterator<Item = Unfinished> {
    found.iter().map(|it| Unfinished {
        address: it.address.clone(),
        why: stray::sentence(it),
        reason: None,
        remedy: Some(it.remedy.clone()),
    })
}

impl Unfinished {
    /// What, and why.
    pub fn sentence(&self) -> String {
        format!("`{}`: {}", self.address, self.why)
    }

    /// It was read, and what was to be made is made: a part of the users is elsewhere.
    pub fn is_shared(&self) -> bool {
        self.remedy.is_some()
    }
}

/// `is_made`: every step ended well, and nothing stopped the run.
pub fn ending(open: &[Unfinished], is_made: bool) -> Completion {
    match (is_made, open) {
        (false, _) => Completion::Undone,
        (true, []) => Completion::Over,
        (true, open) if open.iter().all(Unfinished::is_shared) => Completion::Shared,
        (true, open) => match open.iter().filter_map(|it| it.reason).max() {
            Some(UnknownReason::Denied) => Completion::Denied,
            Some(UnknownReason::Malformed) => Completion::Malformed,
            _ => Completion::Unread,
        },
    }
}

/// Whether state says that a switch to these overlays is over.
pub fn is_recorded(state: &State, overlays: &[String]) -> bool {
    state.phase.is_settled() && state.active == overlays
}

/// Where users were not observed where state says that they were directed: each name that others remember.
pub fn astray(
    catalog: &Catalog,
    state: &State,
    observed: &BTreeMap<Address, Observation>,
    beside: &[Neighbor],
) -> Vec<Unfinished> {
    let found = foreign(recorded(catalog, state), catalog, Some(state), beside);
    let strays = stray::recorded(catalog, state);
    let mut astray: Vec<Unfinished> = misleading(&found).chain(strayed(&strays)).collect();
    for (address, record) in &state.records {
        let Some(kind) = catalog.get(&record.kind).filter(|it| it.drain.is_some()) else {
            continue;
        };
        let (why, reason) = match observed.get(address) {
            None => continue,
            Some(Observation::Unknown(it)) => {
                (format!("its target could not be read: {}", it.why), Some(it.reason))
            }
            Some(Observation::Absent) => ("it no longer exists".to_owned(), None),
            Some(seen) => {
                let mut drifted = drift(kind, record, seen).into_iter();
                let Some(it) = drifted.find(|it| kind.directs(&it.name)) else { continue };
                let (is, was) = (plain(&it.observed), plain(&it.recorded));
                (format!("its {} is {is}, but was set to {was}", it.name), None)
            }
        };
        astray.push(Unfinished { address: address.clone(), why, reason, remedy: None });
    }
    astray
}

fn plain(value: &Value) -> String {
    value.as_text().map_or_else(|| value.json().to_string(), Into::into)
}

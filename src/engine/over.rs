//! Over means seen: whether a switch, an apply, a drill or a destroy is over, from what was read and what was made.

use std::collections::BTreeMap;

use crate::engine::address::Address;
use crate::engine::observed::Observation;
use crate::engine::plan::change::{Change, Plan, Wait};
use crate::engine::plan::diff::drift;
use crate::engine::schema::Catalog;
use crate::engine::state::record::{Phase, State};
use crate::engine::value::Value;

/// Something that keeps a run from being over, whatever became of its steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    pub address: Address,
    pub why: String,
}

/// How far something came; the worse is the greater.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ending {
    /// Everything was read, planned and made.
    #[default]
    Over,
    /// What was planned is made, and a part of the world was not read, or is left.
    Unread,
    /// A step did not end well, or never began.
    Undone,
}

/// What a plan leaves open even if each of its steps ends well. What is deferred because of a declared loss, or because it was
/// pending before a switch, does not count: it is no part of it. A destroy is for everything, so to it all that stays does.
pub fn open(plan: &Plan) -> Vec<Open> {
    let destroys = plan.bindings.intent == "destroy";
    let open = |it: &Change| {
        let held = it.held.as_ref().filter(|it| destroys || it.wait == Wait::Unseen);
        let why = it.unseen.clone().or(held.map(|it| it.why.clone()))?;
        Some(Open { address: it.address.clone(), why })
    };
    plan.changes.iter().filter_map(open).collect()
}

/// `is_made`: every step ended well, and nothing stopped the run.
pub fn ending(open: &[Open], is_made: bool) -> Ending {
    match (is_made, open) {
        (false, _) => Ending::Undone,
        (true, []) => Ending::Over,
        (true, _) => Ending::Unread,
    }
}

/// Whether state says that a switch to these overlays is over.
pub fn is_recorded(state: &State, overlays: &[String]) -> bool {
    state.phase == Phase::Settled && state.active == overlays
}

/// Where users were not observed where state says that they were directed: each name that others remember.
pub fn astray(
    catalog: &Catalog,
    state: &State,
    observed: &BTreeMap<Address, Observation>,
) -> Vec<Open> {
    let mut astray = Vec::new();
    for (address, record) in &state.records {
        let Some(kind) = catalog.get(&record.kind).filter(|it| it.drain.is_some()) else {
            continue;
        };
        let why = match observed.get(address) {
            None => continue,
            Some(Observation::Unseen(why)) => format!("where it leads could not be read: {why}"),
            Some(Observation::Absent) => "it is gone".to_owned(),
            Some(seen) => {
                match drift(kind, record, seen).into_iter().find(|it| kind.directs(&it.0)) {
                    None => continue,
                    Some((name, was, is)) => {
                        format!("its {name} is {}, and was set to {}", plain(&is), plain(&was))
                    }
                }
            }
        };
        astray.push(Open { address: address.clone(), why });
    }
    astray
}

fn plain(value: &Value) -> String {
    value.as_text().map_or_else(|| value.json().to_string(), Into::into)
}

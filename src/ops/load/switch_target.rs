//! Where a command goes: which overlays it makes active, from which it comes, and what is lost meanwhile.

use std::collections::BTreeMap;

use crate::engine::lang::model::Stack;
use crate::engine::plan::model::change::LossDeclaration;
use crate::engine::recovery::completion::is_recorded;
use crate::engine::state::record::{LeftSite, State, SwitchRecord};
use crate::engine::value::Value;

/// Which fault domains are treated as lost.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Losses {
    /// Those that state says, and for a switch those that its overlays assume.
    #[default]
    Assumed,
    /// Those that state says, and these.
    Also(Vec<String>),
    /// These alone: everything else that state says is lost is looked at again.
    Only(Vec<String>),
}

/// Lost fault domains, and those that have recovered.
#[derive(Debug, Clone, Default)]
pub struct SwitchTarget {
    pub lost: Vec<LossDeclaration>,
    pub thaws: Vec<String>,
    /// The overlays that a switch leaves; of one that goes on, those it began from.
    pub from: Option<Vec<String>>,
    /// These, and those that switches left which were turned before they ended.
    pub left: Vec<LeftSite>,
    /// What this switch, and those that it turned, have found again so far.
    pub thawed: Vec<String>,
    /// The switch that goes on.
    pub going_on: Option<SwitchRecord>,
}

/// What follows from state, from what was asked, and from what the overlays assume.
pub fn resolve_target(state: Option<&State>, stack: &Stack, losses: &Losses) -> SwitchTarget {
    let left = state.map(|it| left(it, &stack.overlays)).unwrap_or_default();
    let from = left.first().map(|it| it.overlays.clone());
    let recorded = state.map_or(&[][..], |it| &it.lost);
    let begins = state.is_some_and(|it| it.active != stack.overlays);
    let mut names: Vec<String> = recorded.iter().map(|it| it.fault_domain.clone()).collect();
    match losses {
        Losses::Assumed if begins => {
            names.extend(stack.assumes_lost.iter().map(|(name, _)| name.clone()));
        }
        Losses::Assumed => {}
        Losses::Also(more) => names.extend(more.iter().cloned()),
        Losses::Only(these) => names.clone_from(these),
    }
    names.sort();
    names.dedup();
    let thaws = recorded.iter().map(|it| it.fault_domain.clone());
    let thaws: Vec<String> = thaws.filter(|it| !names.contains(it)).collect();
    let unfinished = state.and_then(State::switching);
    let going_on = unfinished.filter(|_| !begins).cloned();
    let before = unfinished.into_iter().flat_map(|it| it.recovered.iter().cloned());
    let thawed = thaws.iter().cloned().chain(before).filter(|it| !names.contains(it)).collect();
    let loss = |fault_domain: String| {
        let known = recorded.iter().find(|it| it.fault_domain == fault_domain);
        LossDeclaration { recorded: known.map(|it| (it.since, it.by.clone())), fault_domain }
    };
    SwitchTarget {
        lost: names.into_iter().map(loss).collect(),
        thaws,
        from,
        left,
        thawed,
        going_on,
    }
}

/// What a switch to these overlays leaves, each once, where it began first; empty where it is none, or nothing was made yet.
fn left(state: &State, overlays: &[String]) -> Vec<LeftSite> {
    if state.records.is_empty() {
        return Vec::new();
    }
    let unfinished = state.switching();
    let origin = if state.active == overlays {
        unfinished.map(|it| (&it.from, &it.variables))
    } else {
        Some((&state.active, &state.variables))
    };
    let origin = origin.map(|(overlays, variables)| LeftSite {
        overlays: overlays.clone(),
        variables: variables.clone(),
    });
    let mut left: Vec<LeftSite> = Vec::new();
    for it in origin.into_iter().chain(unfinished.into_iter().flat_map(SwitchRecord::left)) {
        if it.overlays != overlays && left.iter().all(|known| known.overlays != it.overlays) {
            left.push(it);
        }
    }
    left
}

/// The variables that are remembered for a plan under these overlays: what was said for a switch that is turned before it
/// ended goes with it.
pub fn remembered<'a>(state: &'a State, overlays: &[String]) -> &'a BTreeMap<String, Value> {
    match state.switching() {
        Some(it) if state.active != overlays => {
            it.turned.first().map_or(&it.variables, |it| &it.variables)
        }
        _ => &state.variables,
    }
}

/// Whether a switch to these overlays under these losses is over, as far as state knows.
pub fn is_made(state: &State, overlays: &[String], losses: &Losses) -> bool {
    let is_lost = |name: &String| state.lost.iter().any(|it| it.fault_domain == *name);
    let agrees = match losses {
        Losses::Assumed => true,
        Losses::Also(more) => more.iter().all(is_lost),
        Losses::Only(these) => these.len() == state.lost.len() && these.iter().all(is_lost),
    };
    agrees && is_recorded(state, overlays)
}

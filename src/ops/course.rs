//! Where a command goes: which overlays it makes active, from which it comes, and what is lost meanwhile.

use crate::engine::plan::change::Loss;
use crate::engine::stack::model::Stack;
use crate::engine::state::record::{Phase, State, Switch};

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

/// Lost fault domains, and those that are found again.
#[derive(Debug, Clone, Default)]
pub struct Course {
    pub lost: Vec<Loss>,
    pub thaws: Vec<String>,
    /// The overlays that a switch leaves; of one that goes on, those it began from.
    pub from: Option<Vec<String>>,
    /// What this switch has found again so far.
    pub thawed: Vec<String>,
    /// The switch that goes on.
    pub going_on: Option<Switch>,
}

/// What follows from state, from what was asked, and from what the overlays assume.
pub fn course(state: Option<&State>, stack: &Stack, losses: &Losses) -> Course {
    let from = state.and_then(|it| origin(it, &stack.overlays));
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
    let going_on = state.filter(|it| it.phase == Phase::Switching && it.active == stack.overlays);
    let going_on = going_on.and_then(|it| it.switch.clone());
    let before = going_on.iter().flat_map(|it| it.thawed.iter().cloned());
    let thawed = thaws.iter().cloned().chain(before).filter(|it| !names.contains(it)).collect();
    let loss = |fault_domain: String| {
        let known = recorded.iter().find(|it| it.fault_domain == fault_domain);
        Loss { recorded: known.map(|it| (it.since, it.by.clone())), fault_domain }
    };
    Course { lost: names.into_iter().map(loss).collect(), thaws, from, thawed, going_on }
}

/// Whether these overlays are active, no switch stands still, and nothing that is lost would be added or found again.
pub fn is_there(state: &State, overlays: &[String], losses: &Losses) -> bool {
    let is_recorded = |name: &String| state.lost.iter().any(|it| it.fault_domain == *name);
    let same_losses = match losses {
        Losses::Assumed => true,
        Losses::Also(more) => more.iter().all(is_recorded),
        Losses::Only(these) => {
            these.iter().all(is_recorded)
                && state.lost.iter().all(|it| these.contains(&it.fault_domain))
        }
    };
    state.phase == Phase::Settled && state.active == overlays && same_losses
}

/// What a switch to these overlays leaves; `None` where it is none, or nothing was made yet.
fn origin(state: &State, overlays: &[String]) -> Option<Vec<String>> {
    if state.records.is_empty() {
        return None;
    }
    if state.active != overlays {
        return Some(state.active.clone());
    }
    let going_on = state.switch.as_ref().filter(|_| state.phase == Phase::Switching);
    going_on.map(|it| it.from.clone()).filter(|it| it != overlays)
}

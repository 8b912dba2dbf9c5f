//! Where a command goes: which overlays it makes active, from which it comes, and what is lost meanwhile.

use std::collections::BTreeMap;

use crate::engine::lang::model::Stack;
use crate::engine::plan::model::change::LossDeclaration;
use crate::engine::recovery::completion::is_recorded;
use crate::engine::state::record::{Allowances, LeftSite, State, SwitchRecord};
use crate::engine::value::Value;

/// Which fault domains are treated as lost.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Losses {
    /// Those that state says, and for a switch those that its overlays assume.
    #[default]
    Assumed,
    /// None, `--planned`: refused where state says that one is.
    Planned,
    /// Those that state says, and these.
    Also(Vec<String>),
    /// These alone: everything else that state says is lost is looked at again.
    Only(Vec<String>),
}

/// Lost fault domains, and those that have recovered.
#[derive(Debug, Clone, Default)]
pub struct SwitchTarget {
    pub lost: Vec<LossDeclaration>,
    pub recovered: Vec<String>,
    /// The overlays that a switch leaves; of one that goes on, those it began from.
    pub from: Option<Vec<String>>,
    /// These, and those that switches left which were turned before they ended.
    pub left: Vec<LeftSite>,
    /// What this switch, and those that it turned, have found again so far.
    pub recovered_so_far: Vec<String>,
    /// The switch that goes on.
    pub going_on: Option<SwitchRecord>,
}

/// What a command carries where it leads to the overlays that are active already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carries {
    /// A switch and nothing else, to its end: `failover`, `failback`.
    SwitchAlone,
    /// A switch until its users have moved; then all that is pending: `apply`, `plan`.
    Everything,
}

/// What follows from state, from what was asked, and from what the overlays assume.
pub fn resolve_target(
    state: Option<&State>,
    stack: &Stack,
    losses: &Losses,
    carries: Carries,
) -> SwitchTarget {
    let left = state.map(|it| left(it, &stack.overlays, carries)).unwrap_or_default();
    let from = left.first().map(|it| it.overlays.clone());
    let recorded = state.map_or(&[][..], |it| &it.lost);
    let begins = state.is_some_and(|it| it.active != stack.overlays);
    let mut names: Vec<String> = recorded.iter().map(|it| it.fault_domain.clone()).collect();
    match losses {
        Losses::Assumed if begins => {
            names.extend(stack.assumes_lost.iter().map(|(name, _)| name.clone()));
        }
        Losses::Assumed | Losses::Planned => {}
        Losses::Also(more) => names.extend(more.iter().cloned()),
        Losses::Only(these) => names.clone_from(these),
    }
    names.sort();
    names.dedup();
    let recovered = recorded.iter().map(|it| it.fault_domain.clone());
    let recovered: Vec<String> = recovered.filter(|it| !names.contains(it)).collect();
    let unfinished = state.and_then(State::unfinished_switch);
    let mut going_on = unfinished.filter(|_| !begins).cloned();
    // Where everything is carried, what was allowed to the switch is allowed to nothing else: the same address may be deleted by a
    // change that came since. The switch alone goes on with it.
    let carries_more =
        carries == Carries::Everything && state.is_some_and(|it| it.switching().is_none());
    if let Some(switch) = going_on.as_mut().filter(|_| carries_more) {
        switch.allowed = Allowances::default();
    }
    let before = unfinished.into_iter().flat_map(|it| it.recovered.iter().cloned());
    let recovered_so_far =
        recovered.iter().cloned().chain(before).filter(|it| !names.contains(it)).collect();
    let loss = |fault_domain: String| {
        let known = recorded.iter().find(|it| it.fault_domain == fault_domain);
        LossDeclaration { recorded: known.map(|it| (it.since, it.by.clone())), fault_domain }
    };
    SwitchTarget {
        lost: names.into_iter().map(loss).collect(),
        recovered,
        from,
        left,
        recovered_so_far,
        going_on,
    }
}

/// What a switch to these overlays leaves, each once, where it began first; empty where nothing is to be held back: nothing was
/// made yet, no switch is going on, or its users have moved and everything is carried.
fn left(state: &State, overlays: &[String], carries: Carries) -> Vec<LeftSite> {
    if state.records.is_empty() {
        return Vec::new();
    }
    let site = |(overlays, variables): (&Vec<String>, &BTreeMap<String, Value>)| LeftSite {
        overlays: overlays.clone(),
        variables: variables.clone(),
    };
    let active = || site((&state.active, &state.variables));
    let is_there = state.active == overlays;
    let (unfinished, origin) = match (is_there, carries) {
        (false, _) => (state.unfinished_switch(), Some(active())),
        (true, Carries::Everything) => {
            let switch = state.switching();
            (switch, switch.map(|it| site((&it.from, &it.variables))))
        }
        (true, Carries::SwitchAlone) => {
            let Some(switch) = state.unfinished_switch() else {
                // There is no switch to make: what is pending stays so.
                return vec![active()];
            };
            (Some(switch), Some(site((&switch.from, &switch.variables))))
        }
    };
    let mut left: Vec<LeftSite> = Vec::new();
    for it in origin.into_iter().chain(unfinished.into_iter().flat_map(SwitchRecord::left)) {
        if it.overlays != overlays && left.iter().all(|known| known.overlays != it.overlays) {
            left.push(it);
        }
    }
    left
}

/// Whether a switch to these overlays under these losses is over, as far as state knows.
pub fn is_made(state: &State, overlays: &[String], losses: &Losses) -> bool {
    let is_lost = |name: &String| state.lost.iter().any(|it| it.fault_domain == *name);
    let agrees = match losses {
        Losses::Assumed | Losses::Planned => true,
        Losses::Also(more) => more.iter().all(is_lost),
        Losses::Only(these) => these.len() == state.lost.len() && these.iter().all(is_lost),
    };
    agrees && is_recorded(state, overlays)
}

#[cfg(test)]
mod tests {
    use super::{Carries, Losses, SwitchTarget, resolve_target};
    use crate::engine::address::Address;
    use crate::engine::lang::model::Stack;
    use crate::engine::state::journal::{JournalEntry, fold};
    use crate::engine::state::record::{Allowances, Keep, Phase, Record, State};
    use crate::engine::value::{Attributes, LineageKey};

    fn names(text: &str) -> Vec<String> {
        text.split_terminator(' ').map(str::to_owned).collect()
    }

    fn allowed() -> Allowances {
        let delete = vec![Address::one("old")];
        Allowances { delete, outage: true, destroys: Some(9), ..Allowances::default() }
    }

    /// A failover from home to `eu`, as far as this phase.
    fn state(phase: Phase) -> State {
        let mut state = State::new("shop", None, "sandbox", "l", LineageKey(vec![1]));
        let record = Record {
            kind: "linode.instance".into(),
            id: "1".into(),
            attributes: Attributes::new(),
            outputs: Attributes::new(),
            needs: Vec::new(),
            ready: true,
            protected: false,
            retained: false,
            leaving: false,
            since: 0,
            deposed: None,
            tried: Attributes::new(),
        };
        state.records.insert(Address::one("web"), record);
        let switched = JournalEntry::Switched {
            from: Vec::new(),
            to: names("eu"),
            lost: Vec::new(),
            variables: Attributes::new(),
            keep: Keep::All,
            allowed: allowed(),
            last_good: None,
            at: 1,
            who: "w".into(),
        };
        let ended = JournalEntry::RunEnded {
            at: 3,
            complete: true,
            overlays: names("eu"),
            variables: Attributes::new(),
            outputs: Attributes::new(),
        };
        let entries = [switched, JournalEntry::UsersMoved { at: 2 }, ended];
        let count = match phase {
            Phase::Switching => 1,
            Phase::Degraded => 2,
            Phase::Settled => 3,
        };
        entries[..count].iter().for_each(|it| fold(&mut state, it));
        assert_eq!(state.phase, phase);
        state
    }

    fn target(phase: Phase, to: &str, carries: Carries) -> SwitchTarget {
        let stack = Stack { overlays: names(to), ..Stack::default() };
        resolve_target(Some(&state(phase)), &stack, &Losses::Assumed, carries)
    }

    /// What is held back is what was pending under these overlays; nothing where none is left.
    #[test]
    fn resolve_target_leaves_what_a_switch_has_still_to_leave() {
        use Carries::{Everything, SwitchAlone};
        use Phase::{Degraded, Settled, Switching};
        for (phase, to, carries, left) in [
            (Switching, "eu", Everything, &[""][..]),
            (Switching, "eu", SwitchAlone, &[""]),
            // Users have moved: a plain apply holds nothing back, and the same failover carries the switch alone.
            (Degraded, "eu", Everything, &[]),
            (Degraded, "eu", SwitchAlone, &[""]),
            (Settled, "eu", Everything, &[]),
            (Settled, "eu", SwitchAlone, &["eu"]),
            // Back home, and to a third place: what the unfinished switch left is between them, too.
            (Switching, "", SwitchAlone, &["eu"]),
            (Degraded, "", SwitchAlone, &["eu"]),
            (Degraded, "us", SwitchAlone, &["eu", ""]),
            (Settled, "us", SwitchAlone, &["eu"]),
        ] {
            let found = target(phase, to, carries);
            let found: Vec<String> = found.left.iter().map(|it| it.overlays.join(" ")).collect();
            assert_eq!(found, left, "{phase:?} to `{to}`, {carries:?}");
        }
    }

    /// Where an apply carries other changes as well, what was allowed to the switch as a whole is not theirs.
    #[test]
    fn resolve_target_goes_on_with_what_was_allowed_to_the_switch() {
        let going_on = |phase, carries| target(phase, "eu", carries).going_on.unwrap();
        for (phase, carries) in [
            (Phase::Switching, Carries::Everything),
            (Phase::Switching, Carries::SwitchAlone),
            (Phase::Degraded, Carries::SwitchAlone),
        ] {
            assert_eq!(going_on(phase, carries).allowed, allowed(), "{phase:?} {carries:?}");
        }
        let rest = going_on(Phase::Degraded, Carries::Everything);
        assert_eq!((rest.allowed, rest.keep), (Allowances::default(), Keep::All));
        assert!(target(Phase::Settled, "eu", Carries::Everything).going_on.is_none());
        assert!(target(Phase::Degraded, "", Carries::SwitchAlone).going_on.is_none());
    }
}

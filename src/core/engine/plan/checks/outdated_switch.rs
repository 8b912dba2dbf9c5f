//! A switch that goes on without a word: refused when what it had made is gone, for then its state is older than the world.

use std::collections::BTreeMap;

use crate::engine::address::Address;
use crate::engine::observed::Observation;
use crate::engine::plan::model::change::{Action, Plan};
use crate::engine::state::record::State;
use crate::engine::text::advice::AdvisedCommand;
use crate::engine::text::codes::DiagnosticCode;
use crate::engine::text::diagnostic::Diagnostic;
use crate::engine::text::names::OverlayNames;

/// How many resources a message names before it only counts the rest: more would not fit on a line.
const NAMED_MAX: usize = 5;

/// What an unfinished switch had made and is gone. A machine that was lost meanwhile looks the same, so a word is enough to
/// go on; without one, whoever put back the state of a switch that was taken back since would have users moved again.
pub fn outdated(
    plan: &Plan,
    state: &State,
    observed: &BTreeMap<Address, Observation>,
    stack: &str,
) -> Option<Diagnostic> {
    let switch = state.switching()?;
    let is_made_again = |address: &Address| {
        let mut changes = plan.changes.iter();
        changes.any(|it| it.address == *address && it.action == Action::Create)
    };
    let gone: Vec<String> = state
        .records
        .iter()
        .filter(|(address, it)| {
            it.since >= switch.since
                && matches!(observed.get(*address), Some(Observation::Absent))
                && is_made_again(address)
        })
        .map(|(address, it)| format!("`{address}` ({}, {})", it.kind, it.id))
        .collect();
    if gone.is_empty() {
        return None;
    }
    let more = if gone.len() > NAMED_MAX { ", …" } else { "" };
    let text = format!(
        "the switch to {} is recorded as unfinished, but the resources that it created no longer exist: {}{more}; the state may be older than a later failback",
        OverlayNames(&state.active),
        gone[..gone.len().min(NAMED_MAX)].join(", ")
    );
    Some(Diagnostic::refusal(DiagnosticCode::OutdatedSwitch, text).help(ways_on(state, stack)))
}

fn ways_on(state: &State, stack: &str) -> String {
    let lost: Vec<&str> = state.lost.iter().map(|it| it.fault_domain.as_str()).collect();
    let mut ways = vec!["put the newer state back".to_owned()];
    if let [to] = state.active.as_slice() {
        let planned = lost.is_empty();
        let on = AdvisedCommand::Failover { stack, to, lost: lost.clone(), planned };
        ways.push(format!("if users belong at {to}, resume: {on}"));
    }
    // With a lost home left frozen the way there would be refused: it has to answer.
    let first = if lost.is_empty() { "" } else { " once what is lost has recovered" };
    let home = AdvisedCommand::Failback { stack, lost: Vec::new() };
    ways.push(format!("if users belong at home, fail back{first}: {home}"));
    ways.join("; ")
}

#[cfg(test)]
mod tests {
    use super::ways_on;
    use crate::engine::state::record::{LostDomain, State};
    use crate::engine::value::LineageKey;

    /// The way home would be refused while home is left frozen.
    #[test]
    fn ways_on_lead_home_only_once_it_has_recovered() {
        let mut state = State::new("t", None, "sandbox", "l", LineageKey(vec![1]));
        state.active = vec!["eu".into()];
        assert!(ways_on(&state, "t").ends_with("home, fail back: `lifeboat failback t`"));
        let (fault_domain, by) = ("linode:us-east".into(), "me".into());
        state.lost = vec![LostDomain { fault_domain, since: 1, by }];
        let told = ways_on(&state, "t");
        let home = "home, fail back once what is lost has recovered: `lifeboat failback t`";
        assert!(told.ends_with(home), "{told}");
        assert!(told.contains("`lifeboat failover t --to eu --lost linode:us-east`"), "{told}");
    }
}

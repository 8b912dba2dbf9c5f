//! What to do in an outage: whether a switch is needed, which one fits what is silent, and what no switch helps with.

use std::collections::BTreeSet;

use crate::engine::address::Address;
use crate::engine::observed::Unreadable;
use crate::engine::plan::model::options::{RecoveryOverlay, fitting};
use crate::engine::recovery::users_moved::UsersAre;

/// What is known of a stack at the moment.
#[derive(Debug, Clone, Default)]
pub struct OutageFacts {
    /// The overlays, those that assume a loss first.
    pub ways: Vec<RecoveryOverlay>,
    /// Those of them that move no users: with home itself there is nothing to shift.
    pub unmoving: BTreeSet<String>,
    /// `None`: the stack was never applied.
    pub applied: Option<AppliedFacts>,
    /// Fault domains that do not answer, and why.
    pub silent: Vec<(String, Unreadable)>,
    /// Fault domains whose health could not be asked: they answered, and not what they should.
    pub unknown: Vec<(String, Unreadable)>,
    /// Fault domains that answer.
    pub answers: Vec<String>,
}

/// What state says.
#[derive(Debug, Clone, Default)]
pub struct AppliedFacts {
    pub home: Vec<String>,
    pub active: Vec<String>,
    /// Of a switch that goes on, where its users are.
    pub users: Option<UsersAre>,
    /// The overlays that this switch left.
    pub from: Vec<String>,
    /// Fault domains of what users are sent to now.
    pub users_in: BTreeSet<String>,
    /// Declared lost.
    pub lost: Vec<String>,
    /// What leads users, and which of the fault domains it is in.
    pub names: Vec<(Address, String)>,
}

/// What to type first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FirstMove {
    /// Nothing answers at all: it is more likely this machine that has no network than every site that is lost.
    LookAtNetwork,
    /// There is nothing to switch yet.
    Apply,
    /// What leads users is where nothing answers: no switch can change it.
    WaitFor { domains: Vec<String>, names: Vec<Address> },
    /// A switch goes on, and nothing stands in its way.
    Resume { overlays: Vec<String>, users: UsersAre },
    /// A switch goes on, and waits for what is silent: it is made under loss.
    GoOnWithout(OfferedWay),
    /// A failback goes on, and what it leads to is silent: users go, or stay, where they are served. `stuck`: where users are sent
    /// though nothing answers there; empty: they are still where they were before it.
    TurnBack { way: OfferedWay, stuck: Vec<String> },
    /// This overlay is made for what is silent; of what it assumes lost this answers.
    Switch { way: OfferedWay, answers: Vec<String> },
    /// Users are away, and nothing is silent.
    GoHome { overlays: Vec<String> },
    /// Nothing is recommended.
    Choose,
}

/// An overlay with the way to switch to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferedWay {
    pub overlay: String,
    pub assumes_lost: Vec<String>,
    pub mode: SwitchMode,
}

/// Whether a switch is a planned one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SwitchMode {
    Planned,
    /// What is to be declared beside what the overlay assumes.
    UnderLoss(Vec<String>),
}

/// All that can be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaysOut {
    pub first: FirstMove,
    /// Other overlays that move users.
    pub others: Vec<OfferedWay>,
    /// Overlays that move nobody, where no switch is recommended.
    pub unmoving: Vec<String>,
}

impl OutageFacts {
    fn silent_names(&self) -> BTreeSet<&str> {
        self.silent.iter().map(|it| it.0.as_str()).collect()
    }

    fn is_deaf(&self) -> bool {
        !self.silent.is_empty() && self.answers.is_empty() && self.unknown.is_empty()
    }
}

/// Decides all of it. Nobody is advised to declare lost what answers, nor to switch where users are already.
pub fn ways_out(facts: &OutageFacts) -> WaysOut {
    let first = first(facts);
    let named = match &first {
        FirstMove::Switch { way, .. }
        | FirstMove::GoOnWithout(way)
        | FirstMove::TurnBack { way, .. } => Some(way.overlay.as_str()),
        _ => None,
    };
    let active = facts.applied.as_ref().map(|it| it.active.as_slice()).unwrap_or_default();
    let is_other = |it: &&RecoveryOverlay| {
        named != Some(it.overlay.as_str())
            && !active.contains(&it.overlay)
            && !facts.unmoving.contains(&it.overlay)
    };
    // Where nothing was applied nothing can be switched, and nobody can be moved without their names.
    let none_helps = matches!(first, FirstMove::Apply | FirstMove::WaitFor { .. });
    let others = facts.ways.iter().filter(|it| !none_helps && is_other(it));
    let others = others.map(|it| offered(it, facts)).collect();
    let is_choice = first == FirstMove::Choose;
    let unmoving = facts.ways.iter().map(|it| &it.overlay);
    let unmoving = unmoving.filter(|it| is_choice && facts.unmoving.contains(*it));
    WaysOut { first, others, unmoving: unmoving.cloned().collect() }
}

fn first(facts: &OutageFacts) -> FirstMove {
    let Some(state) = &facts.applied else { return FirstMove::Apply };
    if facts.is_deaf() {
        return FirstMove::LookAtNetwork;
    }
    let silent = facts.silent_names();
    let held: Vec<&(Address, String)> =
        state.names.iter().filter(|(_, domain)| silent.contains(domain.as_str())).collect();
    let is_needed = state.users != Some(UsersAre::Moved);
    if !held.is_empty() && is_needed {
        let domains: BTreeSet<String> = held.iter().map(|it| it.1.clone()).collect();
        return FirstMove::WaitFor {
            domains: domains.into_iter().collect(),
            names: held.iter().map(|it| it.0.clone()).collect(),
        };
    }
    if let Some(turn) = turn_back(facts, state, &silent) {
        return turn;
    }
    if let Some(users) = state.users {
        let goes_to = facts.ways.iter().find(|it| state.active.last() == Some(&it.overlay));
        let waits = users == UsersAre::NotMoved && !silent.is_empty();
        return match goes_to.filter(|_| waits && state.active != state.home) {
            Some(way) => FirstMove::GoOnWithout(without(way, facts, state)),
            None => FirstMove::Resume { overlays: state.active.clone(), users },
        };
    }
    if silent.is_empty() {
        let is_away = state.active != state.home;
        let overlays = state.active.clone();
        return if is_away { FirstMove::GoHome { overlays } } else { FirstMove::Choose };
    }
    let gone: BTreeSet<&str> =
        state.lost.iter().map(String::as_str).chain(silent.iter().copied()).collect();
    let there = |it: &&RecoveryOverlay| !state.active.contains(&it.overlay);
    match fitting(facts.ways.iter().filter(there), &gone) {
        Some(way) => {
            let answers = way.assumes_lost.iter().filter(|it| facts.answers.contains(it));
            let answers = answers.cloned().collect();
            FirstMove::Switch { way: offered(way, facts), answers }
        }
        None => FirstMove::Choose,
    }
}

/// A failback cannot end while its home is silent. Users who have not left the standby are served there, and stay; those who were
/// led home already are served nowhere.
fn turn_back(
    facts: &OutageFacts,
    state: &AppliedFacts,
    silent: &BTreeSet<&str>,
) -> Option<FirstMove> {
    if state.active != state.home || silent.is_empty() {
        return None;
    }
    let stuck = state.users_in.iter().filter(|it| silent.contains(it.as_str()));
    let stuck: Vec<String> = stuck.cloned().collect();
    let left = || facts.ways.iter().find(|it| state.from.last() == Some(&it.overlay));
    let way = match state.users? {
        UsersAre::NotMoved if stuck.is_empty() => left(),
        UsersAre::Moved | UsersAre::PartlyMoved if !stuck.is_empty() => {
            let lost = state.lost.iter().map(String::as_str);
            let gone = lost.chain(silent.iter().copied()).collect();
            fitting(facts.ways.iter(), &gone).or_else(left)
        }
        _ => None,
    };
    way.map(|way| FirstMove::TurnBack { way: without(way, facts, state), stuck })
}

/// While all answers that an overlay assumes lost, the switch is a planned one. What is declared lost stays so, and what is silent
/// cannot be left in a planned way: an overlay that assumes nothing is told of both.
fn offered(way: &RecoveryOverlay, facts: &OutageFacts) -> OfferedWay {
    let lost = facts.applied.as_ref().map(|it| it.lost.as_slice()).unwrap_or_default();
    let answers = way.assumes_lost.iter().all(|it| facts.answers.contains(it));
    let gone: Vec<String> =
        lost.iter().chain(facts.silent.iter().map(|it| &it.0)).cloned().collect();
    let mode = match (way.assumes_lost.is_empty(), lost.is_empty() && answers) {
        (true, _) if gone.is_empty() => SwitchMode::Planned,
        (true, _) => SwitchMode::UnderLoss(gone),
        (false, true) => SwitchMode::Planned,
        (false, false) => SwitchMode::UnderLoss(Vec::new()),
    };
    OfferedWay { overlay: way.overlay.clone(), assumes_lost: way.assumes_lost.clone(), mode }
}

/// The same switch under the loss of what is silent as well.
fn without(way: &RecoveryOverlay, facts: &OutageFacts, state: &AppliedFacts) -> OfferedWay {
    let gone: BTreeSet<String> = facts
        .silent
        .iter()
        .map(|it| &it.0)
        .chain(&state.lost)
        .chain(&way.assumes_lost)
        .cloned()
        .collect();
    let is_assumed = gone.iter().all(|it| way.assumes_lost.contains(it));
    let declared = if is_assumed { Vec::new() } else { gone.into_iter().collect() };
    OfferedWay {
        overlay: way.overlay.clone(),
        assumes_lost: way.assumes_lost.clone(),
        mode: SwitchMode::UnderLoss(declared),
    }
}

#[cfg(test)]
mod tests {
    use super::{AppliedFacts, FirstMove, OutageFacts, SwitchMode, ways_out};
    use crate::engine::address::Address;
    use crate::engine::observed::{UnknownReason, Unreadable};
    use crate::engine::plan::model::options::RecoveryOverlay;
    use crate::engine::recovery::users_moved::UsersAre;

    const US: &str = "linode:us-east";
    const EU: &str = "linode:eu-central";
    const DNS: &str = "linode:global";

    fn facts(silent: &[&str]) -> OutageFacts {
        let way = |overlay: &str, lost: &[&str]| RecoveryOverlay {
            overlay: overlay.into(),
            assumes_lost: lost.iter().map(ToString::to_string).collect(),
        };
        let quiet =
            |it: &&str| (it.to_string(), Unreadable::new(UnknownReason::Unreachable, "no answer"));
        let all = [US, EU, DNS];
        OutageFacts {
            ways: vec![way("eu", &[US]), way("other", &[]), way("big", &[])],
            unmoving: ["big".to_owned()].into(),
            applied: Some(AppliedFacts {
                names: vec![(Address::one("shop"), DNS.into())],
                ..AppliedFacts::default()
            }),
            silent: silent.iter().map(quiet).collect(),
            unknown: Vec::new(),
            answers: all
                .iter()
                .filter(|it| !silent.contains(it))
                .map(ToString::to_string)
                .collect(),
        }
    }

    fn away(silent: &[&str], users: Option<UsersAre>, lost: &[&str]) -> OutageFacts {
        let mut facts = facts(silent);
        facts.answers.retain(|it| !lost.contains(&it.as_str()));
        let state = facts.applied.as_mut().unwrap();
        state.active = vec!["eu".into()];
        (state.users, state.lost) = (users, lost.iter().map(ToString::to_string).collect());
        facts
    }

    fn told(facts: &OutageFacts) -> String {
        let ways = ways_out(facts);
        let mode = |it: &SwitchMode| match it {
            SwitchMode::Planned => "planned".to_owned(),
            SwitchMode::UnderLoss(more) => format!("under loss{more:?}"),
        };
        let first = match &ways.first {
            FirstMove::LookAtNetwork => "network".to_owned(),
            FirstMove::Apply => "apply first".into(),
            FirstMove::WaitFor { domains, names } => {
                let names: Vec<String> = names.iter().map(ToString::to_string).collect();
                format!("wait for {}: {}", domains.join(", "), names.join(", "))
            }
            FirstMove::Resume { overlays, users } => format!("resume {overlays:?}, {users:?}"),
            FirstMove::GoOnWithout(it) => format!("go on to {} {}", it.overlay, mode(&it.mode)),
            FirstMove::TurnBack { way, stuck } => {
                format!("turn back to {} {}, stuck {stuck:?}", way.overlay, mode(&way.mode))
            }
            FirstMove::Switch { way, answers } => {
                format!("switch to {} {}, answers {answers:?}", way.overlay, mode(&way.mode))
            }
            FirstMove::GoHome { overlays } => format!("home from {overlays:?}"),
            FirstMove::Choose => "choose".into(),
        };
        let others = ways.others.iter().map(|it| format!("{} {}", it.overlay, mode(&it.mode)));
        let others: Vec<String> = others.collect();
        let named = |all: &[String]| if all.is_empty() { "none".into() } else { all.join(", ") };
        format!("{first}; others: {}; unmoving: {}", named(&others), named(&ways.unmoving))
    }

    /// Each situation, and the one thing to type first.
    #[test]
    fn ways_out_of_each_situation() {
        let never = OutageFacts { applied: None, ..facts(&[]) };
        let refused = |it: &mut OutageFacts| {
            let no = Unreadable::new(UnknownReason::Denied, "403");
            it.unknown.push((US.into(), no));
            it.answers.retain(|it| it != US);
        };
        let mut denied = facts(&[]);
        refused(&mut denied);
        let moving = Some(UsersAre::NotMoved);
        let back = |silent: &[&str], users, at: &str| {
            let mut back = away(silent, Some(users), &[]);
            let state = back.applied.as_mut().unwrap();
            state.from = std::mem::take(&mut state.active);
            state.users_in = [at.to_owned()].into();
            back
        };
        let cases = [
            ("never applied", never),
            ("nothing answers", facts(&[US, EU, DNS])),
            ("all answers", facts(&[])),
            ("home is silent", facts(&[US])),
            ("home and another are silent", facts(&[US, EU])),
            ("the standby is silent", facts(&[EU])),
            ("home refuses", denied),
            ("the names are silent", facts(&[DNS])),
            ("home and the names are silent", facts(&[US, DNS])),
            ("switching, all answers", away(&[], moving, &[])),
            ("switching, home is silent", away(&[US], moving, &[])),
            ("switching, home and another are silent", away(&[US, EU], moving, &[])),
            ("switching under loss", away(&[], moving, &[US])),
            ("switching, the names are silent", away(&[DNS], moving, &[US])),
            ("going home, home is silent", back(&[US], UsersAre::NotMoved, EU)),
            ("going home, the standby is silent", back(&[EU], UsersAre::NotMoved, EU)),
            ("going home, all answers", back(&[], UsersAre::NotMoved, EU)),
            ("home again, and home is silent", back(&[US], UsersAre::Moved, US)),
            ("home again, and the standby is silent", back(&[EU], UsersAre::Moved, US)),
            ("partly home, and home is silent", back(&[US], UsersAre::PartlyMoved, US)),
            ("degraded, the names are silent", away(&[DNS], Some(UsersAre::Moved), &[US])),
            ("settled away, all answers", away(&[], None, &[])),
            ("settled away under loss", away(&[], None, &[US])),
            ("settled away, the standby is silent", away(&[EU], None, &[US])),
        ];
        let lines = cases.iter().map(|(what, facts)| format!("{what}: {}", told(facts)));
        insta::assert_snapshot!(lines.collect::<Vec<_>>().join("\n"), @r#"
        never applied: apply first; others: none; unmoving: none
        nothing answers: network; others: eu under loss[], other under loss["linode:us-east", "linode:eu-central", "linode:global"]; unmoving: none
        all answers: choose; others: eu planned, other planned; unmoving: big
        home is silent: switch to eu under loss[], answers []; others: other under loss["linode:us-east"]; unmoving: none
        home and another are silent: choose; others: eu under loss[], other under loss["linode:us-east", "linode:eu-central"]; unmoving: big
        the standby is silent: choose; others: eu planned, other under loss["linode:eu-central"]; unmoving: big
        home refuses: choose; others: eu under loss[], other planned; unmoving: big
        the names are silent: wait for linode:global: shop; others: none; unmoving: none
        home and the names are silent: wait for linode:global: shop; others: none; unmoving: none
        switching, all answers: resume ["eu"], NotMoved; others: other planned; unmoving: none
        switching, home is silent: go on to eu under loss[]; others: other under loss["linode:us-east"]; unmoving: none
        switching, home and another are silent: go on to eu under loss["linode:eu-central", "linode:us-east"]; others: other under loss["linode:us-east", "linode:eu-central"]; unmoving: none
        switching under loss: resume ["eu"], NotMoved; others: other under loss["linode:us-east"]; unmoving: none
        switching, the names are silent: wait for linode:global: shop; others: none; unmoving: none
        going home, home is silent: turn back to eu under loss[], stuck []; others: other under loss["linode:us-east"]; unmoving: none
        going home, the standby is silent: resume [], NotMoved; others: eu planned, other under loss["linode:eu-central"]; unmoving: none
        going home, all answers: resume [], NotMoved; others: eu planned, other planned; unmoving: none
        home again, and home is silent: turn back to eu under loss[], stuck ["linode:us-east"]; others: other under loss["linode:us-east"]; unmoving: none
        home again, and the standby is silent: resume [], Moved; others: eu planned, other under loss["linode:eu-central"]; unmoving: none
        partly home, and home is silent: turn back to eu under loss[], stuck ["linode:us-east"]; others: other under loss["linode:us-east"]; unmoving: none
        degraded, the names are silent: resume ["eu"], Moved; others: other under loss["linode:us-east", "linode:global"]; unmoving: none
        settled away, all answers: home from ["eu"]; others: other planned; unmoving: none
        settled away under loss: home from ["eu"]; others: other under loss["linode:us-east"]; unmoving: none
        settled away, the standby is silent: choose; others: other under loss["linode:us-east", "linode:eu-central"]; unmoving: big
        "#);
    }
}

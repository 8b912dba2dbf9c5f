//! What is told of an outage: the situation, what to type first, and what else there is.

use crate::engine::observed::Unreadable;
use crate::engine::recovery::users_moved::UsersAre;
use crate::engine::recovery::ways_out::{FirstMove, OfferedWay, OutageFacts, SwitchMode, WaysOut};
use crate::engine::text::advice::AdvisedCommand;
use crate::engine::text::names::OverlayNames;
use crate::render::words::users_are;

/// What is wrong, in a sentence.
pub fn situation(facts: &OutageFacts, ways: &WaysOut, stack: &str) -> String {
    let Some(state) = &facts.applied else {
        return format!("{stack} has not been applied yet, so there is nothing to switch");
    };
    if ways.first == FirstMove::LookAtNetwork {
        return "nothing could be reached at all".into();
    }
    let names = |all: &[(String, Unreadable)]| {
        listed(&all.iter().map(|it| it.0.clone()).collect::<Vec<_>>())
    };
    let mut told = Vec::new();
    if !facts.silent.is_empty() {
        let verb = if facts.silent.len() == 1 { "is" } else { "are" };
        told.push(format!("{} {verb} unreachable", names(&facts.silent)));
    }
    if !state.lost.is_empty() {
        let verb = if state.lost.len() == 1 { "is" } else { "are" };
        told.push(format!("{} {verb} declared lost", listed(&state.lost)));
    }
    if !facts.unknown.is_empty() {
        told.push(format!("{} could not be checked", names(&facts.unknown)));
    }
    if told.is_empty() { "every fault domain answers".into() } else { told.join("; ") }
}

/// What to type, each command on a line of its own.
pub fn advice(facts: &OutageFacts, ways: &WaysOut, stack: &str) -> String {
    let mut lines = first(facts, ways, stack);
    if !ways.others.is_empty() {
        let is_more = matches!(
            ways.first,
            FirstMove::Switch { .. } | FirstMove::GoOnWithout(_) | FirstMove::TurnBack { .. }
        );
        let which = if is_more { "other overlays" } else { "overlays" };
        lines.push(format!("{which} that move users:"));
        lines.extend(ways.others.iter().flat_map(|it| other(it, stack)));
    }
    if !ways.unmoving.is_empty() {
        lines.push(format!("overlays that move no users: {}", ways.unmoving.join(", ")));
    }
    if facts.applied.is_some() && facts.ways.is_empty() {
        lines.push(format!("{stack} has no overlay to switch to: add one in `overlays/`"));
    }
    lines.extend(health(facts));
    lines.join("\n")
}

fn first(facts: &OutageFacts, ways: &WaysOut, stack: &str) -> Vec<String> {
    let typed = |why: String, command: AdvisedCommand<'_>| vec![why, format!("  {command}")];
    match &ways.first {
        FirstMove::LookAtNetwork => vec!["check this machine's network first".into()],
        FirstMove::Apply => typed("apply it first:".into(), AdvisedCommand::Apply { stack }),
        FirstMove::WaitFor { domains, names } => {
            let names: Vec<String> = names.iter().map(ToString::to_string).collect();
            let verb = if domains.len() == 1 { "answers" } else { "answer" };
            let domains = listed(domains);
            vec![format!(
                "{} leads users and is in {domains}: no switch can move them until {domains} {verb}",
                listed(&names)
            )]
        }
        FirstMove::Resume { overlays, users } => {
            let to = OverlayNames(overlays);
            let why = match users {
                UsersAre::NotMoved => {
                    format!(
                        "the switch to {to} has begun, and its users have not all moved; to resume it:"
                    )
                }
                it => format!("{}; to resume the switch to {to}:", users_are(*it)),
            };
            typed(why, AdvisedCommand::Apply { stack })
        }
        FirstMove::GoOnWithout(way) => {
            let why = format!(
                "the switch to {} has begun and waits for what is unreachable; if that is lost, to resume without it:",
                way.overlay
            );
            typed(why, command(way, stack))
        }
        FirstMove::TurnBack { way, stuck } => {
            let why = turned_back(stuck);
            typed(format!("{why}; if home is lost:"), command(way, stack))
        }
        FirstMove::Switch { way, answers } => {
            let also = match answers.as_slice() {
                [] => String::new(),
                [one] => format!(" (it also declares {one} lost, which answers)"),
                more => format!(" (it also declares {} lost, which answer)", listed(more)),
            };
            typed(
                format!("to move users with {}, which is made for this{also}:", way.overlay),
                command(way, stack),
            )
        }
        FirstMove::GoHome { overlays } => {
            let is_lost = facts.applied.as_ref().is_some_and(|it| !it.lost.is_empty());
            let when = if is_lost { ", once what is lost answers again" } else { "" };
            let why = format!(
                "{} is active, and no switch goes on; to go home{when}:",
                OverlayNames(overlays)
            );
            typed(why, AdvisedCommand::Failback { stack, lost: Vec::new() })
        }
        FirstMove::Choose => Vec::new(),
    }
}

/// Why a failback does not go on, and where that leaves users.
pub fn turned_back(stuck: &[String]) -> String {
    let users = if stuck.is_empty() {
        "users are still sent to the standby".to_owned()
    } else {
        let verb = if stuck.len() == 1 { "is" } else { "are" };
        format!("users are sent to {}, which {verb} unreachable", listed(stuck))
    };
    format!("the failback cannot finish while home is unreachable; {users}")
}

/// What takes users back to where they are served, or keeps them there.
pub fn command<'a>(way: &'a OfferedWay, stack: &'a str) -> AdvisedCommand<'a> {
    let (planned, lost) = match &way.mode {
        SwitchMode::Planned => (true, Vec::new()),
        SwitchMode::UnderLoss(lost) => (false, lost.iter().map(String::as_str).collect()),
    };
    AdvisedCommand::Failover { stack, to: &way.overlay, lost, planned }
}

fn other(way: &OfferedWay, stack: &str) -> [String; 2] {
    let assumes = match way.assumes_lost.as_slice() {
        [] => "nothing".to_owned(),
        all => listed(all),
    };
    let planned = match way.mode {
        SwitchMode::Planned => "; planned, since all of that answers",
        SwitchMode::UnderLoss(_) => "",
    };
    [format!("  {}", command(way, stack)), format!("    assumes lost: {assumes}{planned}")]
}

/// What each fault domain said.
fn health(facts: &OutageFacts) -> Vec<String> {
    let mut lines = Vec::new();
    if !facts.answers.is_empty() {
        lines.push(format!("reachable: {}", facts.answers.join(", ")));
    }
    for (what, all) in [("unreachable", &facts.silent), ("not checked", &facts.unknown)] {
        lines.extend(all.iter().map(|(name, why)| format!("{what}: {name}: {}", why.why)));
    }
    lines
}

/// `a`, `a and b`, `a, b and c`.
fn listed(all: &[String]) -> String {
    match all {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

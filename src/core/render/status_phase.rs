//! How far a switch is, what it waits for, and how much of its time is used, in the words of a status.

use crate::engine::plan::model::change::{Change, Plan};
use crate::engine::recovery::users_moved::{UsersAre, lacks_nothing};
use crate::engine::recovery::ways_out::FirstMove;
use crate::engine::state::record::{Phase, RunRecord};
use crate::engine::text::advice::AdvisedCommand;
use crate::render::status_facts::{StatusFacts, age, named};
use crate::render::ways_out::{command, turned_back};
use crate::render::words::{clock_of, count, duration, moment, person, users_are};

/// Overlays are active from the moment that a switch to them is recorded, wherever users are.
pub(super) fn reached(facts: &StatusFacts<'_>) -> &'static str {
    match UsersAre::of(facts.state) {
        Some(UsersAre::NotMoved) => " (the switch to it has begun, and no users have moved)",
        Some(UsersAre::PartlyMoved) => {
            " (the switch to it has begun, and its users have not all moved)"
        }
        _ => "",
    }
}

pub(super) fn phase(facts: &StatusFacts<'_>) -> String {
    let is_home = facts.state.active == facts.state.home;
    match (facts.state.phase, &facts.state.switch) {
        (Phase::Settled, _) if unfinished(facts).is_some() => format!(
            "settled (no switch is unfinished), but the last run did not finish: run {} to resume",
            facts.state.resume()
        ),
        (Phase::Settled, _) if facts.state.lost.is_empty() && is_home => {
            "settled (no switch is going on)".into()
        }
        (Phase::Settled, _) if facts.state.lost.is_empty() => format!(
            "settled (no switch is going on); to go home: {}",
            AdvisedCommand::Failback { stack: &facts.name, lost: Vec::new() }
        ),
        // The one thing that is left to do after a failover.
        (Phase::Settled, _) if !is_home => format!(
            "settled (the switch is complete; what is lost stays so until it recovers); to go home then: {}",
            AdvisedCommand::Failback { stack: &facts.name, lost: Vec::new() }
        ),
        (Phase::Settled, _) => {
            "settled (no switch is unfinished), although a fault domain is lost".into()
        }
        (phase, Some(it)) => {
            let begun = format!(
                "from {} since {} by {}",
                named(&it.from),
                age(facts, it.identity()),
                person(&it.by)
            );
            let next = next(facts);
            let users = users_are(UsersAre::by(phase, it.has_shifted()));
            match phase {
                Phase::Degraded => {
                    format!("degraded: {users}; {}{next} (begun {begun})", rest(facts))
                }
                _ => format!("switching {begun}; {users}{next}"),
            }
        }
        (phase, None) => phase.word().into(),
    }
}

/// What a switch has left whose users are where it wants them: a part of their site, or only what it had before.
fn rest(facts: &StatusFacts<'_>) -> String {
    let Some(plan) = facts.plan.filter(|it| lacks_nothing(it, facts.state)) else {
        return "the rest of the switch is not finished".to_owned();
    };
    let own = |it: &&Change| is_of_rest(plan, it);
    let deletes = count(plan.changes.iter().filter(own).count(), "deletion");
    let drained = facts.state.draining.iter().map(|it| it.until).max();
    let waits = drained.filter(|it| *it > facts.now).map_or_else(String::new, |it| {
        format!("the wait for DNS caches until {}, then ", moment(it))
    });
    format!("nothing is missing where they are; left: {waits}{deletes}")
}

fn is_of_rest(plan: &Plan, change: &Change) -> bool {
    plan.rest.as_ref().is_some_and(|it| it.changes.contains(&change.address))
}

/// The last run of a state that no switch is under way in, where it left something and none goes on with it.
pub(super) fn unfinished<'a>(facts: &StatusFacts<'a>) -> Option<&'a RunRecord> {
    let is_left = |it: &&RunRecord| it.is_unfinished() && facts.run.is_none();
    facts.state.last_run.as_ref().filter(is_left)
}

/// What a person does next, unless a run is at it.
fn next(facts: &StatusFacts<'_>) -> String {
    let stack = &facts.name;
    match facts.first {
        Some(FirstMove::TurnBack { way, stuck }) => {
            let why = turned_back(stuck);
            return format!("; {why}; if home is lost: {}", command(way, stack));
        }
        Some(FirstMove::GoOnWithout(way)) => {
            return format!(
                "; it waits for what is unreachable; if that is lost, to resume without it: {}",
                command(way, stack)
            );
        }
        _ => {}
    }
    if facts.run.is_some() {
        return String::new();
    }
    let again = facts.state.resume();
    if !facts.state.destroyed.is_empty() {
        return format!("; a destroy took a part of it away: run {again} to resume it");
    }
    // Whether home still answers, state does not know.
    let goes_home = facts.state.active == facts.state.home && facts.online.is_none();
    let else_where = if goes_home {
        let command = AdvisedCommand::FailoverWhere { stack };
        format!(", or, if home is unreachable, {command} to see what to do")
    } else {
        String::new()
    };
    format!("; run {again} to resume{else_where}")
}

/// How much of the time that a switch may take is used, counted as its report will count it.
pub(super) fn clock(facts: &StatusFacts<'_>) -> Option<String> {
    let what = clock_of(facts.state.unfinished_switch()?.under_loss);
    let rest = match facts.estimate {
        Some(it) if facts.run.is_some() => {
            format!("; the rest of the switch will take about {}", duration(it))
        }
        Some(it) => {
            format!("; the rest of the switch takes about {} once it is resumed", duration(it))
        }
        None => String::new(),
    };
    if UsersAre::of(facts.state) == Some(UsersAre::Stayed) {
        return Some(format!("{what}: not counted, because no traffic was to be shifted{rest}"));
    }
    if let Some(told) = stuck(facts) {
        return Some(told);
    }
    let time = used(facts)?;
    let (used, objective) = (duration(time.used), facts.objective.map(duration));
    Some(match (time.has_moved, objective) {
        (true, Some(objective)) => format!(
            "{what}: traffic was shifted after {used}, DNS caches included {}; objective {objective}{rest}",
            duration(time.used.saturating_add(time.dns_bound))
        ),
        (true, None) => format!("{what}: traffic was shifted after {used}{rest}"),
        (false, Some(objective)) => format!("{what}: {used} of {objective} used{rest}"),
        (false, None) => format!("{what}: {used} so far; the stack sets no objective{rest}"),
    })
}

/// Users who were led to a site that does not answer wait since it was last seen good: when they were led there.
fn stuck(facts: &StatusFacts<'_>) -> Option<String> {
    let Some(FirstMove::TurnBack { stuck, .. }) = facts.first else { return None };
    let shifted = facts.state.unfinished_switch()?.directed.iter().map(|it| it.at).max();
    let since = shifted.filter(|_| !stuck.is_empty())?;
    let used = duration(u64::try_from(facts.now.saturating_sub(since) / 1_000).unwrap_or(0));
    let objective = facts.objective.map_or_else(
        || "the stack sets no objective".to_owned(),
        |it| format!("objective {}", duration(it)),
    );
    Some(format!(
        "recovery time: {used} since home was last seen good, at {}, when traffic was shifted to it; {objective}",
        moment(since)
    ))
}

/// The time of a switch that has not ended and that has, or had, users to move, in seconds.
pub(super) struct UsedTime {
    pub used: u64,
    /// Users have moved: then that is how long it took, and so long others may still answer the old way.
    pub has_moved: bool,
    pub dns_bound: u64,
}

pub(super) fn used(facts: &StatusFacts<'_>) -> Option<UsedTime> {
    let switch = facts.state.unfinished_switch()?;
    if UsersAre::of(facts.state) == Some(UsersAre::Stayed) {
        return None;
    }
    // A further loss that was declared on the way begins nothing anew.
    let began = switch.last_good.unwrap_or(switch.identity()).min(switch.identity());
    let moved = switch.moved.filter(|_| facts.state.phase == Phase::Degraded);
    let shifts = switch.directed.iter().filter(|it| it.at <= moved.unwrap_or(facts.now));
    let last = shifts.max_by_key(|it| it.at);
    // As the report counts it: to the last shift, whenever somebody found that no other was left.
    let until = moved.map_or(facts.now, |it| last.map_or(it, |last| last.at));
    let used = u64::try_from(until.saturating_sub(began) / 1_000).unwrap_or(0);
    let dns_bound = last.map_or(0, |it| it.dns_bound);
    Some(UsedTime { used, has_moved: moved.is_some(), dns_bound })
}

//! Watching from outside: answers become up and down with hysteresis, and down becomes at most one switch.
//!
//! A watcher feeds each round to [`observe`]. Only a round that failed, while a control answered, while enough of the last
//! rounds failed, yields a [`WatchCase`]; without a case nothing can be decided. [`decide`] takes the case and what state says of
//! the active overlays; [`ended`] takes what became of the switch. Between all of them stands the [`WatchMemory`], which is all that
//! a restarted watcher needs to decide the same.

pub mod event;
pub mod rules;
pub mod memory;

pub use event::WatchEvent;
pub use memory::{Notes, Outage, SeenTarget, WatchMemory};
pub use rules::WatchRules;

use crate::engine::recovery::users_moved::UsersAre;

/// Milliseconds of a day.
const DAY: i64 = 86_400_000;
/// How long a failed switch waits before it is tried again, in milliseconds; the pause doubles. A guess: most causes that pass
/// by themselves, such as throttling, last a minute.
const FIRST_PAUSE: i64 = 60_000;
/// The longest such pause, in milliseconds. A guess: users are without service, so it is tried four times an hour at least.
const LONGEST_PAUSE: i64 = 15 * 60_000;

/// What one round saw; times are in milliseconds since the Unix epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Round {
    pub at: i64,
    /// Good, or why not.
    pub target: Result<(), String>,
    pub control: Control,
    /// When the certificate of an https target ends.
    pub certificate_until: Option<i64>,
}

/// What the control targets of one round say about the observer itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Control {
    /// None was named: the observer is taken to be connected.
    NotAsked,
    Answered,
    /// None answered, and why: the observer may be cut off.
    Silent(String),
}

/// The proof that a switch may be thought about: made by [`observe`] only, used up by [`decide`].
#[derive(Debug)]
pub struct WatchCase {
    at: i64,
}

/// What state says of the overlay that would be switched to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Active {
    Elsewhere,
    /// The switch to it began and has not moved its users.
    Underway,
    /// Users are there; capacity or repairs are missing, which is for people to look at.
    Degraded,
    There,
}

impl Active {
    /// Whether users are there.
    pub fn is_there(self) -> bool {
        matches!(self, Self::Degraded | Self::There)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    Wait,
    /// Memory holds the intent: it must be durable before anything is run.
    Switch {
        attempt: u32,
    },
}

/// What became of a switch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WatchOutcome {
    Done,
    /// A command that somebody else wrote ended well: nobody says where users are.
    Ran,
    /// The switch went to its overlay and had no traffic to shift; where the rest of it did not end well, why.
    MovedNobody {
        why: Option<String>,
    },
    /// Users have moved; the rest of the switch did not end well, and why.
    Degraded {
        why: String,
    },
    /// Somebody else was at it; nothing was done. What state says since.
    Held {
        active: Active,
    },
    /// `moved`: users may have been moved all the same.
    Failed {
        why: String,
        exit: Option<i32>,
        moved: bool,
    },
    /// A later switch stopped it and goes elsewhere. Who asked for that knows more: it is not turned back.
    Turned {
        by: String,
    },
}

/// Takes in one round. A round without a control that answers counts for nothing.
pub fn observe(
    memory: &mut WatchMemory,
    rules: &WatchRules,
    round: &Round,
) -> (Vec<WatchEvent>, Option<WatchCase>) {
    if let Control::Silent(control) = &round.control {
        let target = match &round.target {
            Ok(()) => "the URL is healthy".to_owned(),
            Err(why) => format!("the URL is unhealthy ({why})"),
        };
        let why = format!(
            "no control target answers ({control}), so this host may be offline; {target}, but this probe does not count"
        );
        return (vec![WatchEvent::Undecided { why }], None);
    }
    memory.forget(round.at - rules.stale);
    let mut events = certificate(memory, rules, round);
    let before = memory.window.back().is_some_and(|it| !it.good);
    memory.window.push_back(SeenTarget { at: round.at, good: round.target.is_ok() });
    while memory.window.len() > rules.of {
        memory.window.pop_front();
    }
    let failed = memory.window.iter().filter(|it| !it.good).count();
    match &round.target {
        Ok(()) => {
            memory.good_in_row = memory.good_in_row.saturating_add(1);
            memory.answered = Some(round.at);
            if let Some(switched) = memory.unanswered.take() {
                events.push(WatchEvent::Answered { after: round.at - switched });
            }
            if before {
                events.push(WatchEvent::ProbeOk { good: memory.good_in_row, of: rules.good });
            }
            if memory.good_in_row >= rules.good
                && let Some(outage) = memory.outage.take()
            {
                // Else one more failure on top of the old ones would be the next outage.
                memory.window.clear();
                events.push(WatchEvent::Up { since: outage.since, good: memory.good_in_row });
            }
            (events, None)
        }
        Err(why) => {
            memory.good_in_row = 0;
            events.push(WatchEvent::ProbeFailed { why: why.clone(), failed, of: rules.of });
            if failed < rules.failed {
                return (events, None);
            }
            if memory.outage.is_none() {
                let first = memory.window.iter().find(|it| !it.good).map_or(round.at, |it| it.at);
                memory.outage = Some(Outage::new(first));
                events.push(WatchEvent::Down { since: first, failed, of: rules.of });
            }
            (events, Some(WatchCase { at: round.at }))
        }
    }
}

/// A certificate that ends soon is said once a day.
fn certificate(memory: &mut WatchMemory, rules: &WatchRules, round: &Round) -> Vec<WatchEvent> {
    let Some(until) = round.certificate_until else { return Vec::new() };
    let days = (until - round.at).div_euclid(DAY);
    let soon = (days < rules.certificate_days).then_some(days);
    let is_news = soon.is_some() && soon != memory.certificate_days;
    memory.certificate_days = soon;
    if is_news { vec![WatchEvent::CertificateExpires { days, until }] } else { Vec::new() }
}

/// Whether it is to be switched now.
pub fn decide(
    memory: &mut WatchMemory,
    rules: &WatchRules,
    case: WatchCase,
    active: Active,
) -> (Option<WatchEvent>, Decision) {
    let at = case.at;
    let until = memory.last_switch.map(|it| it.saturating_add(rules.cooldown));
    let until = until.filter(|until| at < *until);
    let last_switch = memory.last_switch;
    let Some(outage) = memory.outage.as_mut() else { return (None, Decision::Wait) };
    match active {
        Active::Degraded | Active::There => return (outage.already(), Decision::Wait),
        // Half a switch is worse than either side; to finish it is no second one.
        Active::Underway => {}
        Active::Elsewhere => {
            if let Some(until) = until.filter(|_| !outage.is_tried_again(last_switch)) {
                let news = !std::mem::replace(&mut outage.told_cooldown, true);
                let last = last_switch.unwrap_or_default();
                return (news.then_some(WatchEvent::Cooldown { last, until }), Decision::Wait);
            }
        }
    }
    if outage.not_before.is_some_and(|it| at < it) {
        return (None, Decision::Wait);
    }
    outage.attempts += 1;
    outage.told_cooldown = false;
    outage.told_already = false;
    let attempt = outage.attempts;
    memory.begun = Some(at);
    (Some(WatchEvent::Switching { attempt }), Decision::Switch { attempt })
}

/// Takes in what became of the switch that began.
pub fn ended(memory: &mut WatchMemory, at: i64, outcome: WatchOutcome) -> Option<WatchEvent> {
    let begun = memory.begun.take()?;
    let pause = memory.outage.as_ref().map_or(FIRST_PAUSE, |it| pause(it.attempts));
    match outcome {
        WatchOutcome::Done
        | WatchOutcome::Ran
        | WatchOutcome::Degraded { .. }
        | WatchOutcome::MovedNobody { .. } => {
            (memory.last_switch, memory.unanswered) = (Some(begun), Some(begun));
            if let Some(outage) = memory.outage.as_mut() {
                outage.last_attempt = None;
                outage.attempts = 0;
            }
            let (degraded, users) = match outcome {
                WatchOutcome::Degraded { why } => (Some(why), UsersAre::Moved),
                WatchOutcome::MovedNobody { why } => (why, UsersAre::Stayed),
                WatchOutcome::Ran => (None, UsersAre::Unconfirmed),
                _ => (None, UsersAre::Moved),
            };
            Some(WatchEvent::Switched { milliseconds: at - begun, users, degraded })
        }
        WatchOutcome::Held { active } => {
            let outage = memory.outage.as_mut()?;
            outage.attempts = outage.attempts.saturating_sub(1);
            if active.is_there() {
                return outage.already();
            }
            Some(WatchEvent::SwitchHeld { why: "another process holds the lease".into() })
        }
        WatchOutcome::Turned { by } => {
            memory.last_switch = Some(begun);
            if let Some(outage) = memory.outage.as_mut() {
                outage.last_attempt = None;
                outage.attempts = 0;
            }
            Some(WatchEvent::SwitchHeld {
                why: format!("it was superseded: {by} is switching elsewhere"),
            })
        }
        WatchOutcome::Failed { why, exit, moved } => {
            let again = at + pause;
            if moved {
                memory.last_switch = Some(begun);
            }
            if let Some(outage) = memory.outage.as_mut() {
                outage.last_attempt = Some(begun);
                outage.not_before = Some(again);
            }
            Some(WatchEvent::SwitchFailed { why, exit, again })
        }
    }
}

/// What is left of a watcher that ended in the middle of a switch.
pub fn interrupted(
    memory: &mut WatchMemory,
    at: i64,
    (active, users): (Active, UsersAre),
    moved: bool,
) -> Option<WatchEvent> {
    memory.begun?;
    if active.is_there() {
        let nobody = WatchOutcome::MovedNobody { why: None };
        let is_nobody = users == UsersAre::Stayed;
        return ended(memory, at, if is_nobody { nobody } else { WatchOutcome::Done });
    }
    let why = "watch was terminated during the switch".to_owned();
    ended(memory, at, WatchOutcome::Failed { why, exit: None, moved })
}

/// Doubles with each attempt.
fn pause(attempts: u32) -> i64 {
    let doubled = FIRST_PAUSE.saturating_mul(1 << attempts.saturating_sub(1).min(16));
    doubled.min(LONGEST_PAUSE)
}

#[cfg(test)]
mod laws;
#[cfg(test)]
mod tests;

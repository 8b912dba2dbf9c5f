//! From timed steps to the phases of a switch, the time until traffic was shifted, and the path that took it.

use crate::engine::plan::model::step_phase::StepPhase;
use crate::engine::recovery::report::step_timing::{StepResult, StepTiming};
pub use crate::engine::state::record::ShiftRecord;

/// When a switch took place, in milliseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunSpan {
    /// Users were last known to be served, where somebody watched; else the switch was recorded.
    pub began: i64,
    /// The switch was recorded.
    pub recorded: i64,
    /// The run that is measured began: later, where it went on with a switch that an earlier one left.
    pub run_began: i64,
    pub ended: i64,
}

/// A process ended early, and another took over: from the last entry of the first to the beginning of the second, both in
/// milliseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    pub from: i64,
    pub to: i64,
}

impl Gap {
    /// How much of it lies between two times.
    fn within(self, from: i64, to: i64) -> i64 {
        self.to.min(to).saturating_sub(self.from.max(from)).max(0)
    }
}

/// Where the time went, in milliseconds; together they are the whole from the begin to the end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Phases {
    /// From when the site was last seen good until the switch was recorded.
    pub detection: u64,
    /// Until the run that is measured went on with the switch.
    pub earlier: u64,
    /// Between two processes: the first had ended before its end.
    pub idle: u64,
    /// Until the first gate on the way to the traffic; where users were not directed, all that no gate took.
    pub prepare: u64,
    /// Users had to wait until replication was verified: 0 where something else took longer.
    pub replication: u64,
    /// What users were about to be directed to had to serve.
    pub gate: u64,
    /// Users were directed.
    pub traffic: u64,
    /// After the traffic: nobody may come the old way any more.
    pub drain: u64,
    /// Of a rehearsal, after the traffic: everything else of its switch.
    pub rest: u64,
    /// After the traffic: everything else; of a rehearsal what it took to delete again what it had made.
    pub cleanup: u64,
}

impl Phases {
    /// With their names, in their order.
    pub fn named(&self) -> [(&'static str, u64); 10] {
        [
            ("detection", self.detection),
            ("earlier", self.earlier),
            ("idle", self.idle),
            ("prepare", self.prepare),
            ("replication", self.replication),
            ("gate", self.gate),
            ("traffic", self.traffic),
            ("drain", self.drain),
            ("rest", self.rest),
            ("cleanup", self.cleanup),
        ]
    }
}

/// What can be said of a switch from the times of its steps.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Measured {
    pub phases: Phases,
    /// `None`: not every step that directs users was done, or there is none.
    pub directed: Option<ShiftRecord>,
    /// Whether there were steps that direct users.
    pub has_traffic: bool,
    /// How long a written item took to arrive at most, in milliseconds, and whether it did.
    pub replication: Option<(u64, bool)>,
    /// Ids of the steps, one after another, that users had to wait for; where there was no traffic, those that took to the end.
    pub path: Vec<usize>,
}

/// Measures one run; `earlier`: when a run before it of the same switch directed users.
pub fn measure(
    span: RunSpan,
    steps: &[StepTiming],
    earlier: Option<ShiftRecord>,
    idle: Option<Gap>,
) -> Measured {
    let is_traffic = |it: &&StepTiming| it.role == StepPhase::Traffic;
    let has_traffic = steps.iter().any(|it| it.role == StepPhase::Traffic);
    let all_done = steps.iter().filter(is_traffic).all(|it| it.became == StepResult::Done);
    let own = directed(steps).filter(|_| all_done);
    let directed = match (own, earlier) {
        (Some(own), Some(earlier)) => Some(later(own, earlier)),
        (Some(own), None) => Some(own),
        (None, earlier) => earlier.filter(|_| !has_traffic),
    };
    let turn = match (own, has_traffic) {
        (Some(own), _) => own.at,
        (None, true) => started(steps, StepPhase::Cleanup).unwrap_or(i64::MAX),
        (None, false) if earlier.is_some() => span.run_began,
        // What an earlier run directed, and left no report of, is waited for at a drain gate.
        (None, false) => {
            let ends = [StepPhase::Drain, StepPhase::Cleanup].map(|it| started(steps, it));
            ends.into_iter().flatten().min().unwrap_or(i64::MAX)
        }
    };
    let path = path(span, steps, own.is_some());
    Measured {
        phases: phases(span, steps, &path, turn, idle),
        directed,
        has_traffic,
        replication: replication(span, steps),
        path,
    }
}

/// The last step that directed users, and how long after it somebody may come the old way.
fn directed(steps: &[StepTiming]) -> Option<ShiftRecord> {
    let done =
        steps.iter().filter(|it| it.role == StepPhase::Traffic && it.became == StepResult::Done);
    done.filter_map(|it| Some(ShiftRecord { at: it.ended?, dns_bound: it.ttl.unwrap_or(0) }))
        .reduce(later)
}

/// The later of two, with the bound of whoever comes the old way last.
pub fn later(one: ShiftRecord, other: ShiftRecord) -> ShiftRecord {
    let at = one.at.max(other.at);
    let until = one.until().max(other.until());
    ShiftRecord {
        at,
        dns_bound: u64::try_from(until.saturating_sub(at)).unwrap_or(0).div_ceil(1_000),
    }
}

fn started(steps: &[StepTiming], role: StepPhase) -> Option<i64> {
    steps.iter().filter(|it| it.role == role).filter_map(|it| it.started).min()
}

/// Until the turn the steps of the path, one after another, each with the time that it could not start in; from the turn
/// on what is drained, and the rest.
fn phases(
    span: RunSpan,
    steps: &[StepTiming],
    path: &[usize],
    turn: i64,
    idle: Option<Gap>,
) -> Phases {
    let ended = span.ended.max(span.run_began);
    let turn = turn.clamp(span.run_began, ended);
    let nobody = |from: i64, to: i64| idle.map_or(0, |it| it.within(from, to));
    let count = |time: i64| u64::try_from(time).unwrap_or(0);
    let length = |from: i64, to: i64| count(to.saturating_sub(from) - nobody(from, to));
    let mut phases = Phases {
        detection: count(span.recorded.saturating_sub(span.began)),
        earlier: count(span.run_began.saturating_sub(span.recorded)),
        idle: count(nobody(span.run_began, ended)),
        ..Phases::default()
    };
    let mut now = span.run_began;
    for step in path.iter().filter_map(|id| steps.get(*id)) {
        let until = step.until(span.ended).unwrap_or(now).min(turn);
        let phase = match step.role {
            StepPhase::Work | StepPhase::Drain | StepPhase::Cleanup => &mut phases.prepare,
            StepPhase::Replication => &mut phases.replication,
            StepPhase::Gate => &mut phases.gate,
            StepPhase::Traffic => &mut phases.traffic,
        };
        *phase += length(now, until);
        now = now.max(until);
    }
    phases.prepare += length(now, turn);
    // A rehearsal is over, and its cleanup begins, when the last step of its switch is.
    let of_switch = steps.iter().filter(|it| it.role != StepPhase::Cleanup);
    let is_rehearsal = steps.len() > of_switch.clone().count();
    let rehearsed = of_switch.filter_map(|it| it.until(span.ended)).max().unwrap_or(turn);
    let over = if is_rehearsal { rehearsed.clamp(turn, ended) } else { turn };
    let of_drain = |from: i64, to: i64| -> u64 {
        let times = drained(span, steps).into_iter();
        times.map(|it| length(it.0.max(from), it.1.min(to))).sum()
    };
    phases.drain = of_drain(turn, ended);
    phases.rest = length(turn, over).saturating_sub(of_drain(turn, over));
    phases.cleanup = length(over, ended).saturating_sub(of_drain(over, ended));
    phases
}

/// The times in which at least one drain gate was waited at, apart from each other.
fn drained(span: RunSpan, steps: &[StepTiming]) -> Vec<(i64, i64)> {
    let drains = steps.iter().filter(|it| it.role == StepPhase::Drain);
    let mut times: Vec<(i64, i64)> =
        drains.filter_map(|it| Some((it.started?, it.until(span.ended)?))).collect();
    times.sort_unstable();
    let mut apart: Vec<(i64, i64)> = Vec::new();
    for (from, to) in times {
        match apart.last_mut().filter(|it| from <= it.1) {
            Some(last) => last.1 = last.1.max(to),
            None => apart.push((from, to)),
        }
    }
    apart
}

/// The slowest of the replication gates; one that did not open took at least as long.
fn replication(span: RunSpan, steps: &[StepTiming]) -> Option<(u64, bool)> {
    let gates = steps.iter().filter(|it| it.role == StepPhase::Replication);
    let took = gates.filter_map(|it| {
        let whole = it.until(span.ended)?.saturating_sub(it.started?);
        let took = it.arrived.unwrap_or(u64::try_from(whole).unwrap_or(0));
        Some((took, it.became == StepResult::Done))
    });
    took.reduce(|one, other| (one.0.max(other.0), one.1 && other.1))
}

/// Back from the last traffic step, or the last step at all: each after the one that it waited for longest.
fn path(span: RunSpan, steps: &[StepTiming], to_traffic: bool) -> Vec<usize> {
    let over = |it: &&StepTiming| (it.until(span.ended), it.id);
    let has_started = |it: &&StepTiming| it.started.is_some() && it.role != StepPhase::Cleanup;
    let ends = steps.iter().filter(has_started);
    let last = ends
        .filter(|it| !to_traffic || (it.role == StepPhase::Traffic && it.ended.is_some()))
        .max_by_key(over);
    let mut path = Vec::new();
    let mut next = last;
    while let Some(step) = next.filter(|it| !path.contains(&it.id)) {
        path.push(step.id);
        let waited = step.waits.iter().filter_map(|id| steps.get(*id));
        next = waited.filter(has_started).max_by_key(over);
    }
    path.reverse();
    path
}

//! The report of one switch: what it was, how long it took, and whether that was within its objectives.

use crate::engine::address::Address;
use crate::engine::plan::model::change::SkippedGate;
use crate::engine::plan::model::step_phase::StepPhase;
use crate::engine::recovery::report::phases::{Gap, Measured, RunSpan, ShiftRecord, measure};
use crate::engine::recovery::report::step_timing::{Arrival, StepResult, StepTiming};
use crate::engine::recovery::users_moved::UsersAre;
use crate::engine::state::record::Phase;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SwitchKind {
    Failover,
    Failback,
    Drill,
    /// Other overlays that direct nobody anew.
    Switch,
}

impl SwitchKind {
    pub const ALL: [Self; 4] = [Self::Failover, Self::Failback, Self::Drill, Self::Switch];

    pub fn word(self) -> &'static str {
        match self {
            Self::Failover => "failover",
            Self::Failback => "failback",
            Self::Drill => "drill",
            Self::Switch => "switch",
        }
    }
}

/// What is lost is not asked how far its writes had come.
pub(super) const NOT_ASKED: &str = "writes of the last moments before the loss may be missing";

/// How long a recovery may take, and how much of the latest data may be missing after it, both in seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RecoveryObjectives {
    pub rto: Option<u64>,
    pub rpo: Option<u64>,
}

/// The facts of one switch; everything else is worked out from them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SwitchReport {
    pub kind: SwitchKind,
    pub stack: String,
    pub instance: Option<String>,
    /// `clouds` or `sandbox`.
    pub target: String,
    /// Overlays.
    pub from: Vec<String>,
    /// Overlays; of a drill, those that it rehearses the switch to.
    pub to: Vec<String>,
    /// Fault domains; none: the switch was planned, both sides lived.
    pub lost: Vec<String>,
    pub who: String,
    pub command: String,
    pub span: RunSpan,
    /// How far it came: settled when it is complete, degraded when only its users have moved.
    pub phase: Phase,
    pub goals: RecoveryObjectives,
    /// When an earlier run of the same switch directed users.
    pub earlier: Option<ShiftRecord>,
    /// When the first good answer was seen from outside after users had moved, in milliseconds since the Unix epoch; `None`: nobody
    /// looked, or it has not come yet.
    pub answered: Option<i64>,
    /// Its process ended before its end: from then on nobody was at it, until another one was.
    pub idle: Option<Gap>,
    /// What a rehearsal measured beside its steps.
    pub arrivals: Vec<Arrival>,
    /// How far the data of each group with a replication gate is known to go that has lost a member: what `watch` wrote there.
    pub heartbeats: Vec<SeenHeartbeat>,
    /// When a loss was declared that was none when the switch began, in milliseconds since the Unix epoch; `None`: it began with it.
    pub declared: Option<i64>,
    /// When an item was written to each group that lost a member later, which then came to the other one: what an earlier gate of the
    /// same switch saw, in milliseconds since the Unix epoch.
    pub replicated: Vec<(Address, i64)>,
    /// What was declared lost though it answered a moment before.
    pub answering: Vec<String>,
    /// Where it directed users without a look at whether they are served there, also in earlier runs of it.
    pub unchecked: Vec<Unchecked>,
    /// Gates that it did not wait for, and why.
    pub skipped_gates: Vec<SkippedGate>,
    /// What keeps it from being over though each of its steps was done, in sentences.
    pub open: Vec<String>,
    pub steps: Vec<StepTiming>,
}

/// The newest heartbeat that had come to a surviving member of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenHeartbeat {
    pub address: Address,
    /// When it was written at the lost one, in milliseconds since the Unix epoch; `None`: there is none, or it could not be read.
    pub at: Option<i64>,
    /// After how many seconds the next one was to come.
    pub every: u64,
}

/// Data of the last so many milliseconds before the loss may be missing at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DataBound {
    pub bound: u64,
    /// When that was written which is known to have come, in milliseconds since the Unix epoch.
    pub at: i64,
    pub by: BoundBy,
}

/// Who wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BoundBy {
    Heartbeat,
    Gate,
}

/// A name that users were directed by, and what it leads to; empty where that is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unchecked {
    pub address: Address,
    pub target: String,
}

/// What these steps directed users to without a look at it.
pub fn unchecked<'a>(steps: impl IntoIterator<Item = &'a StepTiming>) -> Vec<Unchecked> {
    let done = steps.into_iter().filter(|it| it.became == StepResult::Done);
    let found = done.filter_map(|it| {
        Some(Unchecked { address: it.address.clone(), target: it.unchecked.clone()? })
    });
    found.collect()
}

/// Whether an objective was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ObjectiveVerdict {
    Met,
    Missed,
    /// And why.
    NotMeasured(&'static str),
    /// Users were directed in time, and nobody looked whether they were served; and why.
    Unknown(&'static str),
}

impl ObjectiveVerdict {
    pub fn word(&self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::Missed => "missed",
            Self::NotMeasured(_) => "not measured",
            Self::Unknown(_) => "unknown",
        }
    }
}

/// An objective beside what was measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectiveResult {
    /// In seconds; `None`: the stack says nothing.
    pub objective: Option<u64>,
    /// In milliseconds.
    pub measured: Option<u64>,
    /// Without an objective: whether it was measured.
    pub verdict: ObjectiveVerdict,
}

impl ObjectiveResult {
    pub fn is_missed(&self) -> bool {
        self.objective.is_some() && self.verdict == ObjectiveVerdict::Missed
    }
}

impl SwitchReport {
    pub fn measured(&self) -> Measured {
        measure(self.span, &self.steps, self.earlier, self.idle)
    }

    /// Where its users are: they have moved only where a shift of its traffic was seen.
    pub fn users(&self) -> UsersAre {
        // What an earlier run directed, and left no report of, is waited for at a drain gate.
        let has_drain = self.steps.iter().any(|it| it.role == StepPhase::Drain);
        UsersAre::by(self.phase, has_drain || self.measured().directed.is_some())
    }

    /// From the begin until nobody is directed the old way any more, in milliseconds: the time that counts.
    pub fn recovery(&self) -> Option<u64> {
        let directed = self.measured().directed?;
        let until = u64::try_from(directed.at.saturating_sub(self.span.began)).unwrap_or(0);
        Some(until.saturating_add(directed.dns_bound.saturating_mul(1_000)))
    }

    /// Takes in the times of good answers that were seen from outside: the first one after users had moved is where this report
    /// ends. Whether it was told anything by that.
    pub fn take_answers(&mut self, seen: &[i64]) -> bool {
        let Some(directed) = self.measured().directed.filter(|_| self.answered.is_none()) else {
            return false;
        };
        // What answered before may be what was left.
        self.answered = seen.iter().copied().filter(|it| *it >= directed.at).min();
        self.answered.is_some()
    }

    /// From the begin until the first good answer from outside, in milliseconds. It is shown beside the recovery and judges nothing:
    /// one observer's cache says nothing about the last user's, and one who looks late sees it late.
    pub fn answered_after(&self) -> Option<u64> {
        Some(u64::try_from(self.answered?.saturating_sub(self.span.began)).unwrap_or(0))
    }

    /// The recovery beside the objective.
    pub fn rto(&self) -> ObjectiveResult {
        let objective = self.goals.rto;
        let measured = self.recovery();
        let so_far = u64::try_from(self.span.ended.saturating_sub(self.span.began)).unwrap_or(0);
        let verdict = match (measured, objective) {
            (Some(it), Some(objective)) if judged(it, objective) == ObjectiveVerdict::Missed => {
                ObjectiveVerdict::Missed
            }
            // Some of them are directed, and others are still where they were, or where nobody is served.
            (Some(_), _) if self.phase == Phase::Switching => {
                ObjectiveVerdict::Unknown("users have not all moved")
            }
            (Some(_), _) if !self.unchecked.is_empty() => ObjectiveVerdict::Unknown(UNCHECKED),
            (Some(_), _) => ObjectiveVerdict::Met,
            (None, _) if self.users() == UsersAre::Stayed => {
                ObjectiveVerdict::NotMeasured("no traffic was to be shifted")
            }
            (None, _) if !self.measured().has_traffic => {
                ObjectiveVerdict::NotMeasured("no step of this run shifted traffic")
            }
            // Where nothing is lost users are served where they are, however long it takes.
            (None, Some(objective))
                if !self.lost.is_empty()
                    && judged(so_far, objective) == ObjectiveVerdict::Missed =>
            {
                ObjectiveVerdict::Missed
            }
            (None, _) => ObjectiveVerdict::NotMeasured("traffic was not shifted"),
        };
        ObjectiveResult { objective, measured, verdict }
    }

    /// The slowest replication gate beside the objective.
    pub fn rpo(&self) -> ObjectiveResult {
        let objective = self.goals.rpo;
        // What came before a group lost a member says nothing of what was written after it.
        let is_at_risk = !self.heartbeats.is_empty();
        let replication = self.replication().filter(|_| !is_at_risk);
        let (measured, verdict) = match (replication, objective) {
            (Some((it, true)), Some(objective)) => (Some(it), judged(it, objective)),
            (Some((it, true)), None) => (Some(it), ObjectiveVerdict::Met),
            (Some((it, false)), Some(objective))
                if judged(it, objective) == ObjectiveVerdict::Missed =>
            {
                (None, ObjectiveVerdict::Missed)
            }
            (Some((_, false)), _) => {
                (None, ObjectiveVerdict::NotMeasured("replication was not verified"))
            }
            (None, _) if self.lost.is_empty() => {
                (None, ObjectiveVerdict::NotMeasured("the run had no replication gate"))
            }
            (None, objective) => match (self.behind(), objective) {
                (None, _) => (None, ObjectiveVerdict::NotMeasured(NOT_ASKED)),
                // It is a bound: that more is missing than it says is excluded, and that less is missing is not.
                (Some(it), Some(objective))
                    if judged(it.bound, objective) == ObjectiveVerdict::Missed =>
                {
                    (Some(it.bound), ObjectiveVerdict::Unknown(LONGER))
                }
                (Some(it), _) => (Some(it.bound), ObjectiveVerdict::Met),
            },
        };
        ObjectiveResult { objective, measured, verdict }
    }

    /// How long before the loss data may be missing at most, and what says so: of the group that is furthest behind. `None`: of one
    /// group nothing is known, or none was asked.
    pub fn behind(&self) -> Option<DataBound> {
        let all = self.heartbeats.iter().map(|it| {
            let gates = self.replicated.iter().filter(|(address, _)| *address == it.address);
            let gates = gates.map(|(_, at)| self.behind_gate(*at));
            self.behind_by(it).into_iter().chain(gates).min_by_key(|it| it.bound)
        });
        all.collect::<Option<Vec<_>>>()?.into_iter().max_by_key(|it| it.bound)
    }

    /// When the loss was declared that this switch lives with.
    fn lost_at(&self) -> i64 {
        self.declared.unwrap_or(self.span.recorded)
    }

    /// What was written before a heartbeat that has come is taken to have come as well. The site was lost after it was last seen good
    /// and before the next look or the next heartbeat, or, where nobody watched, before the loss was declared at the latest.
    fn behind_by(&self, it: &SeenHeartbeat) -> Option<DataBound> {
        let at = it.at?;
        let every = it.every.saturating_mul(1_000);
        // A heartbeat of after the switch, by whatever clock, says that it was not lost yet.
        let lost = self.lost_at();
        let until_lost = if at < lost { count(lost - at) } else { every };
        let is_watched = self.span.began < self.span.recorded;
        let until_bad = count(self.span.began.saturating_sub(at)).saturating_add(every);
        let bound = if is_watched { until_bad.min(until_lost) } else { until_lost };
        Some(DataBound { bound, at, by: BoundBy::Heartbeat })
    }

    /// The same of what a replication gate wrote then: nothing says that the site was lost before the loss was declared.
    fn behind_gate(&self, at: i64) -> DataBound {
        DataBound { bound: count(self.lost_at().saturating_sub(at)), at, by: BoundBy::Gate }
    }

    /// The slowest written item, and whether all of them arrived.
    fn replication(&self) -> Option<(u64, bool)> {
        let beside = self.arrivals.iter().map(|it| (it.took.unwrap_or(0), it.took.is_some()));
        let all = self.measured().replication.into_iter().chain(beside);
        all.reduce(|one, other| (one.0.max(other.0), one.1 && other.1))
    }

    /// Everything was done, and no objective is known to be missed.
    pub fn passed(&self) -> bool {
        self.phase.is_settled() && !self.rto().is_missed() && !self.rpo().is_missed()
    }
}

/// Why nobody knows whether too much data is missing.
const LONGER: &str = "the bound is longer";

/// Why nobody knows whether users were served in time.
const UNCHECKED: &str = "nothing verified that users are served";

/// Milliseconds between two times; none where the later one comes first.
fn count(time: i64) -> u64 {
    u64::try_from(time).unwrap_or(0)
}

fn judged(milliseconds: u64, objective: u64) -> ObjectiveVerdict {
    if milliseconds <= objective.saturating_mul(1_000) {
        ObjectiveVerdict::Met
    } else {
        ObjectiveVerdict::Missed
    }
}

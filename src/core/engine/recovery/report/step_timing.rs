//! Steps of a run with the times at which they started and ended, on the clock of the world.

use crate::engine::address::Address;
use crate::engine::plan::model::step_phase::StepPhase;

/// What became of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum StepResult {
    Done,
    Failed,
    InDoubt,
    /// It never started, or was given up while it ran.
    NotDone,
}

impl StepResult {
    pub const ALL: [Self; 4] = [Self::Done, Self::Failed, Self::InDoubt, Self::NotDone];

    pub fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::InDoubt => "indeterminate",
            Self::NotDone => "not done",
        }
    }
}

/// One step with its times, in milliseconds since the Unix epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepTiming {
    /// Its place among the steps of its run.
    pub id: usize,
    pub address: Address,
    pub kind: String,
    /// `create`, `drain gate`, …
    pub call: String,
    pub role: StepPhase,
    /// Ids of the steps that had to end well before.
    pub waits: Vec<usize>,
    /// In milliseconds since the Unix epoch, on the clock of the world; `None`: it never started.
    pub started: Option<i64>,
    /// Likewise; `None` as well where it was given up.
    pub ended: Option<i64>,
    pub became: StepResult,
    /// For how many seconds resolvers may still answer what was before; only of what directs users.
    pub ttl: Option<u64>,
    /// Milliseconds until a written item had arrived; only of a replication gate that opened.
    pub arrived: Option<u64>,
    /// It directed users, and nothing checked whether they are served: where it leads; empty where that is not known.
    pub unchecked: Option<String>,
    /// The end of what a task printed, redacted; else empty.
    pub output: String,
}

impl StepTiming {
    /// From start to end, in milliseconds; `None` unless both are known.
    pub fn duration(&self) -> Option<u64> {
        u64::try_from(self.ended? - self.started?).ok()
    }

    /// When it was over as far as a run is concerned that ended then.
    pub fn until(&self, run_ended: i64) -> Option<i64> {
        self.started.map(|_| self.ended.unwrap_or(run_ended))
    }
}

/// The steps of a rehearsal, with those that took away again what it made.
#[must_use]
pub fn with_cleanup(mut rehearsed: Vec<StepTiming>, cleanup: Vec<StepTiming>) -> Vec<StepTiming> {
    let offset = rehearsed.len();
    rehearsed.extend(cleanup.into_iter().map(|it| StepTiming {
        id: it.id + offset,
        waits: it.waits.iter().map(|wait| wait + offset).collect(),
        role: StepPhase::Cleanup,
        ttl: None,
        unchecked: None,
        ..it
    }));
    rehearsed
}

/// The steps that made home for a rehearsal whose switch was never begun: what they direct recovers nobody.
#[must_use]
pub fn of_home(steps: Vec<StepTiming>) -> Vec<StepTiming> {
    let of_home = |it: StepTiming| match it.role {
        StepPhase::Traffic => {
            StepTiming { role: StepPhase::Work, ttl: None, unchecked: None, ..it }
        }
        _ => it,
    };
    steps.into_iter().map(of_home).collect()
}

/// An item that was written to another member of the group of this one, outside of the steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    pub address: Address,
    /// In milliseconds; `None`: it did not arrive in time.
    pub took: Option<u64>,
}

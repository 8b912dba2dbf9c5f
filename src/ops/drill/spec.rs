//! What a drill plays: the instance, the overlays that it switches to, who follows it, and one run of it.

use std::sync::Arc;

use tokio::sync::watch;

use crate::engine::plan::format::codec::plan_digest;
use crate::engine::plan::model::change::Plan;
use crate::engine::plan::planner::{Intent, Keep};
use crate::engine::recovery::report::phases::RunSpan;
use crate::engine::recovery::report::summary::{RecoveryObjectives, SwitchKind, SwitchReport};
use crate::engine::retry::Pacing;
use crate::engine::state::record::Phase;
use crate::ops::apply::finish::{RunRequest, RunResult};
use crate::ops::apply::run::apply;
use crate::ops::apply::step_inputs::Progress;
use crate::ops::error::OpsError;
use crate::ops::load::session::Session;
use crate::ops::load::sides::PlanRequest;
use crate::ops::load::switch_target::Losses;
use crate::ops::plan::make::Proposed;
use crate::store::lease::Lease;

/// Who follows a drill.
pub trait DrillObserver {
    /// A part of the drill begins, with its plan.
    fn begins(&self, part: DrillPhase, plan: &Plan);
    /// What is worth a warning in what a cleanup was planned from.
    fn warns(&self, cleanup: &Proposed);
    fn listener(&self, plan: &Plan) -> Arc<dyn Fn(Progress) + Send + Sync>;
    /// The part that began last has ended so.
    fn ended(&self, report: &RunResult);
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DrillPhase {
    /// Home is made as it is before the disaster.
    Apply,
    /// The switch that is rehearsed.
    Switch,
    /// Everything is deleted again.
    Cleanup,
}

impl DrillPhase {
    pub fn word(self) -> &'static str {
        match self {
            Self::Apply => "apply",
            Self::Switch => "switch",
            Self::Cleanup => "cleanup",
        }
    }
}

/// What is rehearsed.
pub struct DrillSpec {
    /// Of the instance, under the drill's overlay.
    pub ask: PlanRequest,
    /// The drill's own, which names the instance.
    pub overlay: String,
    /// The overlays that the drill switches to on top of that.
    pub rehearses: Vec<String>,
    /// What is assumed lost in the switch.
    pub losses: Losses,
    pub command: String,
    pub pace: Pacing,
}

impl DrillSpec {
    /// Home, under the drill's overlay.
    pub fn home(&self) -> Vec<String> {
        self.ask.overlays.clone().unwrap_or_default()
    }

    /// What its report names: the overlays that are rehearsed, else its own.
    pub fn to(&self) -> Vec<String> {
        if self.rehearses.is_empty() { self.home() } else { self.rehearses.clone() }
    }

    /// Its report, of which nothing is known yet but whose it is.
    pub fn report(
        &self,
        session: &Session,
        goals: RecoveryObjectives,
        span: RunSpan,
    ) -> SwitchReport {
        SwitchReport {
            kind: SwitchKind::Drill,
            stack: self.ask.place.stack.clone(),
            instance: self.ask.place.instance.clone(),
            target: session.target.word().into(),
            from: self.home(),
            to: self.to(),
            lost: Vec::new(),
            who: session.who.clone(),
            command: self.command.clone(),
            span,
            phase: Phase::Switching,
            goals,
            earlier: None,
            answered: None,
            idle: None,
            arrivals: Vec::new(),
            heartbeats: Vec::new(),
            declared: None,
            replicated: Vec::new(),
            answering: Vec::new(),
            unchecked: Vec::new(),
            skipped_gates: Vec::new(),
            open: Vec::new(),
            steps: Vec::new(),
        }
    }

    /// What the rehearsed switch asks for; `None`: the overlay rehearses no other.
    pub fn switch(&self) -> Option<PlanRequest> {
        (!self.rehearses.is_empty()).then(|| PlanRequest {
            overlays: Some([self.home(), self.rehearses.clone()].concat()),
            losses: self.losses.clone(),
            ..self.ask.clone()
        })
    }

    /// Nothing is to be left, and nothing is lost any more.
    pub fn cleanup(&self) -> PlanRequest {
        PlanRequest {
            overlays: None,
            intent: Intent::Destroy,
            losses: Losses::Only(Vec::new()),
            keep: Keep::Nothing,
            ..self.ask.clone()
        }
    }
}

/// What every part of a drill is carried out with.
pub(super) struct DrillContext<'a> {
    pub session: &'a Arc<Session>,
    pub script: &'a DrillSpec,
    pub audience: &'a dyn DrillObserver,
}

impl DrillContext<'_> {
    pub(super) async fn run(
        &self,
        lease: Lease,
        proposed: Proposed,
        ask: &PlanRequest,
        stop: watch::Receiver<Option<String>>,
    ) -> Result<RunResult, OpsError> {
        let order = RunRequest {
            pace: self.script.pace,
            command: self.script.command.clone(),
            intent: ask.intent,
            instance: ask.place.instance.clone(),
            plan_digest: plan_digest(&proposed.plan),
        };
        let tell = self.audience.listener(&proposed.plan);
        let report = apply(self.session, lease, proposed, &order, tell, stop).await?;
        self.audience.ended(&report);
        Ok(report)
    }
}

//! A rehearsal from its first step to its report: apply, switch, cleanup.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::engine::recovery::completion::{Completion, Unfinished, ending};
use crate::engine::recovery::report::phases::RunSpan;
use crate::engine::recovery::report::step_timing::{Arrival, of_home, with_cleanup};
use crate::engine::recovery::report::summary::{RecoveryObjectives, SwitchReport, unchecked};
use crate::engine::state::record::Phase;
use crate::ops::apply::finish::RunResult;
use crate::ops::drill::cleanup::{Cleaned, clean_up};
use crate::ops::drill::preview::{Discrepancies, DrillPreview};
use crate::ops::drill::replication::Arrived;
use crate::ops::drill::spec::{DrillContext, DrillObserver, DrillPhase, DrillSpec};
use crate::ops::error::OpsError;
use crate::ops::load::session::Session;
use crate::ops::plan::make::{Proposed, plan_on};
use crate::ops::recovery_reports::goals;
use crate::store::lease::Lease;

/// How a drill went.
pub struct DrillRun {
    pub applied: RunResult,
    /// `None`: it was not reached, or the overlay rehearses no other.
    pub switched: Option<RunResult>,
    /// Why the switch could not be planned.
    pub refused: Option<String>,
    /// How long a written item took to each member with a replication gate, or why it did not arrive.
    pub replicated: Vec<Arrived>,
    pub cleaned: Cleaned,
    /// In what the cleanup was another than the foreseen one.
    pub surprises: Discrepancies,
    /// What the switch took for lost.
    pub lost: Vec<String>,
    pub goals: RecoveryObjectives,
}

impl DrillRun {
    /// Everything that was to be rehearsed was done.
    fn is_played(&self) -> bool {
        self.applied.is_over()
            && self.switched.as_ref().is_none_or(RunResult::is_over)
            && self.refused.is_none()
    }

    /// The worst of its parts. What it should have shown, and did not, is no less than a step that failed.
    pub fn ending(&self) -> Completion {
        let is_shown = self.refused.is_none()
            && !self.surprises.is_any()
            && self.replicated.iter().all(|(_, it)| it.is_ok());
        let shown = ending(&[], is_shown);
        let switched = self.switched.as_ref().map(RunResult::ending).unwrap_or_default();
        self.applied.ending().max(switched).max(self.cleaned.ending()).max(shown)
    }

    /// What it took: the switch, or what was made where it came to none, and the cleanup.
    pub fn report(&self, session: &Session, script: &DrillSpec) -> SwitchReport {
        let main = self.switched.as_ref().unwrap_or(&self.applied);
        let steps = main.steps.clone();
        let is_reached = self.switched.is_some() || script.rehearses.is_empty();
        let steps = if is_reached { steps } else { of_home(steps) };
        let cleanup = &self.cleaned.report;
        let took = |it: &Duration| u64::try_from(it.as_millis()).unwrap_or(u64::MAX);
        let arrival = |(address, it): &Arrived| Arrival {
            address: address.clone(),
            took: it.as_ref().ok().map(took),
        };
        let span = RunSpan {
            began: main.began,
            recorded: main.began,
            run_began: main.began,
            ended: main.ended.max(cleanup.ended).max(main.began),
        };
        SwitchReport {
            lost: self.lost.clone(),
            phase: self.phase(main, is_reached),
            arrivals: self.replicated.iter().map(arrival).collect(),
            unchecked: unchecked(&steps),
            skipped_gates: main.skipped_gates.clone(),
            open: main.open.iter().map(Unfinished::sentence).collect(),
            steps: with_cleanup(steps, cleanup.steps.clone()),
            ..script.report(session, self.goals, span)
        }
    }
}

impl DrillRun {
    /// How far the drill came. A switch that was rehearsed to its end has moved its users, whatever became of the cleanup.
    fn phase(&self, main: &RunResult, is_reached: bool) -> Phase {
        match (self.ending(), main.phase) {
            (Completion::Over, _) => Phase::Settled,
            (_, Phase::Degraded) => Phase::Degraded,
            (_, Phase::Settled) if self.is_played() && is_reached => Phase::Degraded,
            (_, Phase::Settled | Phase::Switching) => Phase::Switching,
        }
    }
}

/// Applies, switches, and deletes again; the cleanup also follows a failure and a signal.
pub async fn rehearse(
    session: &Arc<Session>,
    lease: Lease,
    proposed: Proposed,
    script: &DrillSpec,
    foresight: &DrillPreview,
    audience: &dyn DrillObserver,
    stop: &watch::Receiver<Option<String>>,
) -> Result<DrillRun, OpsError> {
    let stage = DrillContext { session, script, audience };
    audience.begins(DrillPhase::Apply, &proposed.plan);
    let stack = proposed.desired.stack.clone();
    let applied = stage.run(lease, proposed, &script.ask, stop.clone()).await;
    let mut replicated = Vec::new();
    let mut switched = None;
    let mut lost = Vec::new();
    let mut refused = None;
    let is_applied = applied.as_ref().is_ok_and(RunResult::is_over);
    if is_applied {
        replicated = stage.replication(&stack).await;
        match stage.switch(stop).await {
            Ok(Some((report, assumed))) => (switched, lost) = (Some(report), assumed),
            Ok(None) => {}
            Err(why) => refused = Some(why.to_string()),
        }
    }
    // Nothing stops the cleanup but a second signal, which ends the process.
    let cleaned = clean_up(session, script, audience).await;
    let (applied, cleaned, goals) = (applied?, cleaned?, goals(&stack));
    let surprises = Discrepancies::default();
    let mut rehearsal =
        DrillRun { applied, switched, refused, replicated, cleaned, surprises, lost, goals };
    let is_reached = rehearsal.switched.is_some() || script.rehearses.is_empty();
    let all_was_made = rehearsal.is_played() && is_reached;
    rehearsal.surprises = foresight.surprises(&rehearsal.cleaned.deleted, all_was_made);
    Ok(rehearsal)
}

impl DrillContext<'_> {
    /// The switch itself, and what it assumes lost; `None` where the overlay rehearses no other.
    async fn switch(
        &self,
        stop: &watch::Receiver<Option<String>>,
    ) -> Result<Option<(RunResult, Vec<String>)>, OpsError> {
        let Some(ask) = self.script.switch().filter(|_| stop.borrow().is_none()) else {
            return Ok(None);
        };
        let store = self.session.store(&ask.place);
        let at = self.session.clock.now();
        let (lease, state) = store.lease(&self.session.who, &self.script.command, at)?;
        let proposed = plan_on(self.session, &ask, state).await?;
        if let Some(refusal) = proposed.plan.refusals().next() {
            return Err(OpsError::refused(refusal.text.clone(), "see the plan above"));
        }
        self.audience.begins(DrillPhase::Switch, &proposed.plan);
        let lost = proposed.plan.lost.iter().map(|it| it.fault_domain.clone()).collect();
        let report = self.run(lease, proposed, &ask, stop.clone()).await?;
        Ok(Some((report, lost)))
    }
}

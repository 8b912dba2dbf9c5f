//! Carries out one step: journals that it began, makes the call or waits, journals how it ended.

use std::sync::Arc;
use std::time::Duration;

use crate::engine::plan::model::change::StepCall;
use crate::engine::state::journal::{JournalEntry, PendingOperation, StepFailure, StepOutcome};
use crate::engine::state::record::MutatingCall;
use crate::engine::text::redact::redactor;
use crate::ops::apply::call_slots::{CallSlot, Stopped};
use crate::ops::apply::gates::{drain, replication, serving};
use crate::ops::apply::mutations::{Updated, create, delete, update};
use crate::ops::apply::step_inputs::{Progress, StepContext, StepDone, StepInputs};
use crate::ops::apply::waits::{gate, gone, ready};

/// What is shown and journalled of an end: without what the other side quotes of what it was sent.
pub fn told(outcome: StepOutcome) -> StepOutcome {
    let told = |it: StepFailure| {
        let why = redactor().redact(&it.why).into_owned();
        StepFailure { why, ..it }
    };
    match outcome {
        StepOutcome::Failed(it) => StepOutcome::Failed(told(it)),
        StepOutcome::InDoubt(it) => StepOutcome::InDoubt(told(it)),
        other => other,
    }
}

/// How old "began" may be when its call leaves, on the clock of the world: what is made much later is not taken for ours after a crash
/// (law 3), and what was alike then may have changed. A guess, small beside the minutes that a call may be tried for.
const BEGUN_MAX: Duration = Duration::from_secs(10);

/// Why a step does not act.
enum NoAct {
    /// What stops it was found before anything was asked for.
    Failed(StepFailure),
    /// The run is to stop, or the lease is over.
    Withdrawn,
}

impl From<StepFailure> for NoAct {
    fn from(why: StepFailure) -> Self {
        Self::Failed(why)
    }
}

/// A step while it is carried out.
struct StepRun<'a> {
    hands: &'a StepContext,
    job: &'a StepInputs,
    /// What is durable of it.
    entries: Vec<JournalEntry>,
    started: Option<i64>,
    arrived: Option<Duration>,
}

/// One step from began to ended.
pub async fn execute_step(hands: Arc<StepContext>, job: StepInputs) -> StepDone {
    let step = job.step.id;
    let mut run =
        StepRun { hands: &hands, job: &job, entries: Vec::new(), started: None, arrived: None };
    let outcome = told(run.carry_out().await);
    let outcome = run.end(outcome).await;
    let StepRun { entries, started, arrived, .. } = run;
    // What was taken back before its turn came was never shown.
    if let Some(began) = started {
        log_end(step, &outcome, hands.session.clock.now() - began);
        (hands.tell)(Progress::Ended { step, outcome: outcome.clone() });
    }
    StepDone { started, arrived, ..StepDone::new(step, outcome, entries) }
}

impl StepRun<'_> {
    async fn carry_out(&mut self) -> StepOutcome {
        // Its place is free as soon as it has acted: the end is made durable without one.
        let _slot = match self.prepare().await {
            Ok(slot) => slot,
            Err(NoAct::Withdrawn) => return StepOutcome::Withdrawn,
            Err(NoAct::Failed(why)) => {
                self.start();
                return StepOutcome::Failed(why);
            }
        };
        self.start();
        let outcome = self.act().await;
        self.hands.slots.has_acted(&self.job.provider, self.job.step.id);
        outcome
    }

    /// Journals that it begins, and waits for its place.
    async fn prepare(&mut self) -> Result<CallSlot, NoAct> {
        let (hands, job) = (self.hands, self.job);
        self.begin().await?;
        let slot = hands.slots.take(&job.provider, job.rank).await;
        let slot = slot.map_err(|Stopped| NoAct::Withdrawn)?;
        if hands.ground.stop.borrow().is_some() {
            return Err(NoAct::Withdrawn);
        }
        if slot.was_waited_for {
            self.freshen().await?;
        }
        Ok(slot)
    }

    fn start(&mut self) {
        let step = self.job.step.id;
        tracing::info!(step, "begins");
        self.started = Some(self.hands.session.clock.now());
        (self.hands.tell)(Progress::Started { step });
    }

    /// Journals how it ended, and where users go now.
    async fn end(&mut self, outcome: StepOutcome) -> StepOutcome {
        let (hands, job) = (self.hands, self.job);
        if outcome == StepOutcome::Withdrawn && self.entries.is_empty() {
            return outcome;
        }
        let at = hands.session.clock.now();
        let ended = JournalEntry::Ended {
            address: job.step.address.clone(),
            step: job.step.id,
            outcome: outcome.clone(),
            at,
        };
        let mut ends = vec![ended];
        ends.extend(directed(job, &outcome, at));
        match hands.pen.write(ends.clone()).await {
            Ok(()) => {
                self.entries.extend(ends);
                outcome
            }
            // It did nothing, and stays begun until the next run has looked.
            Err(_) if outcome == StepOutcome::Withdrawn => outcome,
            // The call was made and cannot be recorded: the step stays begun and is settled next time.
            Err(why) if !self.entries.is_empty() => StepOutcome::in_doubt(why),
            Err(why) => StepOutcome::failed(why),
        }
    }

    /// "began" is durable before the request leaves; a gate is journalled as well.
    async fn begin(&mut self) -> Result<(), NoAct> {
        let (hands, job) = (self.hands, self.job);
        if job.step.call.is_gate() {
            let waiting = JournalEntry::Waiting {
                address: job.step.address.clone(),
                step: job.step.id,
                gate: job.step.call.word().into(),
                at: hands.session.clock.now(),
            };
            hands.pen.write(vec![waiting.clone()]).await.map_err(StepFailure::from)?;
            self.entries.push(waiting);
        }
        let Some(call) = job.step.call.mutation() else { return Ok(()) };
        let looks = call == MutatingCall::Create && !job.surveyed;
        self.write_begun(call, looks).await.map(|_| ())
    }

    /// Begins anew where it has waited long for its place.
    async fn freshen(&mut self) -> Result<(), NoAct> {
        let Some(call) = self.job.step.call.mutation() else { return Ok(()) };
        let age = self.begun().map_or(0, |it| self.hands.session.clock.now() - it.at);
        if u128::from(age.unsigned_abs()) < BEGUN_MAX.as_millis() {
            return Ok(());
        }
        self.write_begun(call, call == MutatingCall::Create).await.map(|_| ())
    }

    /// What is durable of its call: the last word counts.
    fn begun(&self) -> Option<&PendingOperation> {
        self.entries.iter().rev().find_map(|it| match it {
            JournalEntry::Pending(begun) => Some(begun),
            _ => None,
        })
    }

    /// Journals that a call is about to leave, of a create with all that is alike now; and looks at the lease after that (law 4).
    async fn write_begun(
        &mut self,
        call: MutatingCall,
        looks: bool,
    ) -> Result<PendingOperation, NoAct> {
        let (hands, job) = (self.hands, self.job);
        if hands.pulse.over().is_some() {
            return Err(NoAct::Withdrawn);
        }
        let mut alike = Vec::new();
        if looks {
            let seen = hands.session.provider.alike(&job.kind, &job.attributes).await;
            let seen = seen.map_err(StepFailure::from)?;
            alike = seen.into_iter().map(|it| it.id).collect();
        }
        let begun = PendingOperation {
            step: job.step.id,
            address: job.step.address.clone(),
            kind: job.kind.kind.clone(),
            call,
            attributes: job.sealed.clone(),
            needs: job.needs.clone(),
            alike,
            mark: job.mark.clone(),
            at: hands.session.clock.now(),
        };
        let began = JournalEntry::Pending(begun.clone());
        let looks = hands.pen.write_before_look(vec![began.clone()]).await;
        let looks = looks.map_err(StepFailure::from)?;
        self.entries.push(began);
        hands.look.fenced_since(looks).await.map_err(|_| NoAct::Withdrawn)?;
        job.looked.note();
        Ok(begun)
    }

    /// What was to be changed is gone: the same is made anew, as the plan says.
    async fn create_again(&mut self) -> StepOutcome {
        match self.write_begun(MutatingCall::Create, true).await {
            Ok(begun) => create(self.hands, self.job, &begun).await,
            Err(NoAct::Withdrawn) => StepOutcome::Withdrawn,
            Err(NoAct::Failed(why)) => StepOutcome::Failed(why),
        }
    }

    async fn act(&mut self) -> StepOutcome {
        let (hands, job) = (self.hands, self.job);
        match &job.step.call {
            StepCall::Move { from } => StepOutcome::Moved { from: from.clone() },
            StepCall::Forget => StepOutcome::Removed,
            StepCall::Create { .. } => match self.begun().cloned() {
                Some(begun) => create(hands, job, &begun).await,
                None => StepOutcome::failed("a create is journalled before it is made"),
            },
            StepCall::Update { group, changed, or_create, .. } => {
                match update(hands, job, group, changed).await {
                    Updated::Gone if *or_create => self.create_again().await,
                    updated => updated.outcome(),
                }
            }
            StepCall::Rename { attribute, .. } => {
                let group = job.kind.attribute(attribute).map(|it| it.via.clone());
                let changed = std::slice::from_ref(attribute);
                update(hands, job, &group.unwrap_or_default(), changed).await.outcome()
            }
            StepCall::Delete { deposed } => delete(hands, job, *deposed).await,
            StepCall::Ready => ready(hands, job).await,
            StepCall::Gone { deposed } => gone(hands, job, *deposed).await,
            StepCall::Gate => gate(hands, job).await,
            StepCall::Serving { .. } => serving(hands, job).await,
            StepCall::Replication { .. } => replication(hands, job, &mut self.arrived).await,
            StepCall::Drain { seconds, .. } => drain(hands, job, *seconds).await,
            StepCall::Task { .. } => StepOutcome::failed("a task is no step of a resource"),
        }
    }
}

/// `milliseconds` are on the clock of the world, which in the sandbox runs faster than the wall's.
fn log_end(step: usize, outcome: &StepOutcome, milliseconds: i64) {
    match outcome {
        StepOutcome::Failed(StepFailure { why, class }) => {
            tracing::warn!(step, milliseconds, why, ?class, "failed");
        }
        StepOutcome::InDoubt(StepFailure { why, class }) => {
            tracing::warn!(step, milliseconds, why, ?class, "indeterminate");
        }
        StepOutcome::Recorded(_)
        | StepOutcome::Removed
        | StepOutcome::Moved { .. }
        | StepOutcome::Waited => tracing::info!(step, milliseconds, "done"),
        StepOutcome::Withdrawn => tracing::info!(step, milliseconds, "withdrawn"),
    }
}

/// From now on users come the new way; some still remember the old one.
fn directed(job: &StepInputs, outcome: &StepOutcome, at: i64) -> Option<JournalEntry> {
    let dns_bound = job.dns_bound?;
    let (was, seconds) =
        job.step.shift.as_ref().map(|it| (it.was.clone(), it.seconds)).unwrap_or_default();
    let done = matches!(outcome, StepOutcome::Recorded(_) | StepOutcome::Removed);
    done.then(|| JournalEntry::directed(&job.step.address, was, seconds, dns_bound, at))
}

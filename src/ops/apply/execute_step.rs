//! Carries out one step: journals that it began, makes the call or waits, journals how it ended.

use std::sync::Arc;
use std::time::Duration;

use crate::engine::plan::model::change::StepCall;
use crate::engine::state::journal::{JournalEntry, PendingOperation, StepFailure, StepOutcome};
use crate::engine::state::record::MutatingCall;
use crate::engine::text::redact::redactor;
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

/// One step from began to ended.
pub async fn execute_step(hands: Arc<StepContext>, job: StepInputs) -> StepDone {
    let step = job.step.id;
    let began = hands.session.clock.now();
    tracing::info!(step, "begins");
    (hands.tell)(Progress::Started { step });
    let mut entries = Vec::new();
    let mut arrived = None;
    let outcome = match begin(&hands, &job, &mut entries).await {
        Ok(()) => act(&hands, &job, &mut entries, &mut arrived).await,
        Err(why) => StepOutcome::failed(why),
    };
    let outcome = told(outcome);
    let at = hands.session.clock.now();
    let ended = JournalEntry::Ended {
        address: job.step.address.clone(),
        step,
        outcome: outcome.clone(),
        at,
    };
    let mut ends = vec![ended];
    ends.extend(directed(&job, &outcome, at));
    let outcome = match hands.pen.write(ends.clone()).await {
        Ok(()) => {
            entries.extend(ends);
            outcome
        }
        // The call was made and cannot be recorded: the step stays begun and is settled next time.
        Err(why) if !entries.is_empty() => StepOutcome::in_doubt(why),
        Err(why) => StepOutcome::failed(why),
    };
    log_end(step, &outcome, hands.session.clock.now() - began);
    (hands.tell)(Progress::Ended { step, outcome: outcome.clone() });
    StepDone { step, outcome, entries, arrived, output: String::new() }
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
        | StepOutcome::Waited => {
            tracing::info!(step, milliseconds, "done");
        }
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

/// "began" is durable before the request leaves; a gate is journalled as well.
async fn begin(
    hands: &StepContext,
    job: &StepInputs,
    entries: &mut Vec<JournalEntry>,
) -> Result<(), StepFailure> {
    if job.step.call.is_gate() {
        let waiting = JournalEntry::Waiting {
            address: job.step.address.clone(),
            step: job.step.id,
            gate: job.step.call.word().into(),
            at: hands.session.clock.now(),
        };
        hands.pen.write(vec![waiting.clone()]).await?;
        entries.push(waiting);
    }
    let Some(call) = job.step.call.mutation() else { return Ok(()) };
    if let Some(over) = hands.pulse.over() {
        return Err(over.to_string().into());
    }
    let looks = call == MutatingCall::Create && !job.surveyed;
    write_begun(hands, job, call, looks, entries).await.map(|_| ())
}

/// Journals that a call is about to leave; of a create with all that is alike now.
async fn write_begun(
    hands: &StepContext,
    job: &StepInputs,
    call: MutatingCall,
    looks: bool,
    entries: &mut Vec<JournalEntry>,
) -> Result<PendingOperation, StepFailure> {
    let mut alike = Vec::new();
    if looks {
        let seen = hands.session.provider.alike(&job.kind, &job.attributes).await;
        alike = seen?.into_iter().map(|it| it.id).collect();
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
    hands.pen.write(vec![began.clone()]).await?;
    entries.push(began);
    Ok(begun)
}

/// What was to be changed is gone: the same is made anew, as the plan says.
async fn create_again(
    hands: &StepContext,
    job: &StepInputs,
    entries: &mut Vec<JournalEntry>,
) -> StepOutcome {
    if let Some(over) = hands.pulse.over() {
        return StepOutcome::failed(over.to_string());
    }
    match write_begun(hands, job, MutatingCall::Create, true, entries).await {
        Ok(begun) => create(hands, job, &begun).await,
        Err(why) => StepOutcome::failed(why),
    }
}

async fn act(
    hands: &StepContext,
    job: &StepInputs,
    entries: &mut Vec<JournalEntry>,
    arrived: &mut Option<Duration>,
) -> StepOutcome {
    let began = entries.iter().find_map(|it| match it {
        JournalEntry::Pending(begun) => Some(begun.clone()),
        _ => None,
    });
    match &job.step.call {
        StepCall::Move { from } => StepOutcome::Moved { from: from.clone() },
        StepCall::Forget => StepOutcome::Removed,
        StepCall::Create { .. } => match began {
            Some(begun) => create(hands, job, &begun).await,
            None => StepOutcome::failed("a create is journalled before it is made"),
        },
        StepCall::Update { group, changed, or_create, .. } => {
            match update(hands, job, group, changed).await {
                Updated::Gone if *or_create => create_again(hands, job, entries).await,
                updated => updated.outcome(),
            }
        }
        StepCall::Rename { attribute, .. } => {
            let group = job.kind.attribute(attribute).map(|it| it.via.clone()).unwrap_or_default();
            update(hands, job, &group, std::slice::from_ref(attribute)).await.outcome()
        }
        StepCall::Delete { deposed } => delete(hands, job, *deposed).await,
        StepCall::Ready => ready(hands, job).await,
        StepCall::Gone { deposed } => gone(hands, job, *deposed).await,
        StepCall::Gate => gate(hands, job).await,
        StepCall::Serving { .. } => serving(hands, job).await,
        StepCall::Replication { .. } => replication(hands, job, arrived).await,
        StepCall::Drain { seconds, .. } => drain(hands, job, *seconds).await,
        StepCall::Task { .. } => StepOutcome::failed("a task is no step of a resource"),
    }
}

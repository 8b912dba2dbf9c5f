//! Carries out one step: journals that it began, makes the call or waits, journals how it ended.

use std::sync::Arc;
use std::time::Duration;

use crate::engine::plan::change::Call;
use crate::engine::state::journal::{Begun, Entry, Outcome};
use crate::ops::call::{create, delete, update};
use crate::ops::gates::{drain, replication, serving};
use crate::ops::job::{Done, Hands, Job, Progress};
use crate::ops::wait::{gate, gone, ready};

/// One step from began to ended.
pub async fn perform(hands: Arc<Hands>, job: Job) -> Done {
    let step = job.step.id;
    (hands.tell)(Progress::Started { step });
    let mut entries = Vec::new();
    let mut arrived = None;
    let outcome = match begin(&hands, &job, &mut entries).await {
        Ok(()) => act(&hands, &job, &entries, &mut arrived).await,
        Err(why) => Outcome::Failed { why },
    };
    let at = hands.session.clock.now();
    let ended =
        Entry::Ended { address: job.step.address.clone(), step, outcome: outcome.clone(), at };
    let mut ends = vec![ended];
    ends.extend(directed(&job, &outcome, at));
    let outcome = match hands.pen.write(ends.clone()).await {
        Ok(()) => {
            entries.extend(ends);
            outcome
        }
        // The call was made and cannot be recorded: the step stays begun and is settled next time.
        Err(why) if !entries.is_empty() => Outcome::InDoubt { why },
        Err(why) => Outcome::Failed { why },
    };
    (hands.tell)(Progress::Ended { step, outcome: outcome.clone() });
    Done { step, outcome, entries, arrived }
}

/// From now on users come the new way; some still remember the old one.
fn directed(job: &Job, outcome: &Outcome, at: i64) -> Option<Entry> {
    let dns_bound = job.dns_bound?;
    let (was, seconds) =
        job.step.directs.as_ref().map(|it| (it.was.clone(), it.seconds)).unwrap_or_default();
    let done = matches!(outcome, Outcome::Recorded(_) | Outcome::Removed);
    done.then(|| Entry::directed(&job.step.address, was, seconds, dns_bound, at))
}

/// "began" is durable before the request leaves; a gate is journalled as well.
async fn begin(hands: &Hands, job: &Job, entries: &mut Vec<Entry>) -> Result<(), String> {
    if job.step.call.is_gate() {
        let waiting = Entry::Waiting {
            address: job.step.address.clone(),
            step: job.step.id,
            gate: job.step.call.word().into(),
            at: hands.session.clock.now(),
        };
        hands.pen.write(vec![waiting.clone()]).await?;
        entries.push(waiting);
    }
    if !job.step.call.mutates() {
        return Ok(());
    }
    if let Some(over) = hands.pulse.over() {
        return Err(over.to_string());
    }
    let mut alike = Vec::new();
    if matches!(job.step.call, Call::Create { .. }) && !job.surveyed {
        let seen = hands.session.provider.alike(&job.kind, &job.attributes).await;
        alike = seen.map_err(|why| why.to_string())?.into_iter().map(|it| it.id).collect();
    }
    let began = Entry::Began(Begun {
        step: job.step.id,
        address: job.step.address.clone(),
        kind: job.kind.kind.clone(),
        call: job.step.call.word().into(),
        attributes: job.sealed.clone(),
        needs: job.needs.clone(),
        alike,
        mark: job.mark.clone(),
        at: hands.session.clock.now(),
    });
    hands.pen.write(vec![began.clone()]).await?;
    entries.push(began);
    Ok(())
}

async fn act(
    hands: &Hands,
    job: &Job,
    entries: &[Entry],
    arrived: &mut Option<Duration>,
) -> Outcome {
    let began = entries.iter().find_map(|it| match it {
        Entry::Began(begun) => Some(begun),
        _ => None,
    });
    match &job.step.call {
        Call::Move { from } => Outcome::Moved { from: from.clone() },
        Call::Forget => Outcome::Removed,
        Call::Create { .. } => match began {
            Some(begun) => create(hands, job, begun).await,
            None => Outcome::Failed { why: "a create is journalled before it is made".into() },
        },
        Call::Update { group, changed, .. } => update(hands, job, group, changed).await,
        Call::Rename { attribute } => {
            let group = job.kind.attribute(attribute).map(|it| it.via.clone()).unwrap_or_default();
            update(hands, job, &group, std::slice::from_ref(attribute)).await
        }
        Call::Delete { deposed } => delete(hands, job, *deposed).await,
        Call::Ready => ready(hands, job).await,
        Call::Gone { deposed } => gone(hands, job, *deposed).await,
        Call::Gate => gate(hands, job).await,
        Call::Serving { .. } => serving(hands, job).await,
        Call::Replication { .. } => replication(hands, job, arrived).await,
        Call::Drain { seconds, .. } => drain(hands, job, *seconds).await,
    }
}

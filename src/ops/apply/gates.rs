//! The gates of a switch: what users are directed to serves, written items arrive, nobody remembers the old way.

use std::time::Duration;

use crate::cloud::provider::MemberRead;
use crate::engine::containment::container_kind;
use crate::engine::plan::model::change::StepCall;
use crate::engine::schema::{Kind, ReadinessWait, ServesWhen};
use crate::engine::state::journal::StepOutcome;
use crate::engine::state::record::Record;
use crate::engine::value::Attributes;
use crate::ops::apply::step_inputs::{Progress, StepContext, StepInputs, StepWait};
use crate::ops::apply::waits::{WaitTarget, looked_at, probed, wait};
use crate::ops::apply::watched_resources::WatchedResource;
use crate::render::words::gate_closed;

/// How often a drain reports that it still waits. It lasts minutes and nothing else happens, so two lines a minute are enough.
const REMINDER: Duration = Duration::from_secs(30);

/// Waits for its own `gate`, or for as many healthy objects as it asks for behind each of the targets that have a health check.
pub async fn serving(hands: &StepContext, job: &StepInputs) -> StepOutcome {
    match &job.wait {
        StepWait::Condition(gate) => match probed(hands, job, gate).await {
            Ok(()) => StepOutcome::Waited,
            // A name may have several: by where it looks one knows which.
            Err(why) => {
                let of = looked_at(gate).map(|it| format!(" of {it}")).unwrap_or_default();
                closed(hands, job, &format!("the `gate` condition{of} was not met: {why}"))
            }
        },
        StepWait::Serving { of, within, times } => {
            each_serves(hands, job, of, (*within, *times)).await
        }
        _ => StepOutcome::Waited,
    }
}

async fn each_serves(
    hands: &StepContext,
    job: &StepInputs,
    of: &[WatchedResource],
    (within, times): (Option<u64>, u32),
) -> StepOutcome {
    for watched in of {
        let (serves, target) = match &watched.kind.serves_when {
            Some(serves) => {
                (Some(serves), WaitTarget::Serves { watched, serves, times, passed: 0 })
            }
            // What contains a member says how long its health may take.
            None => (checked_by(hands, &watched.kind), WaitTarget::Member(watched)),
        };
        let Some(serves) = serves else { continue };
        let limits = ReadinessWait {
            within_seconds: within.unwrap_or(serves.within_seconds),
            poll_seconds: serves.poll_seconds,
        };
        if let Err(why) = wait(hands, job, limits, target).await {
            return closed(hands, job, &format!("`{}` does not serve: {why}", watched.address));
        }
        if watched.kind.serves_when.is_some() {
            let backends = watched.members.serving();
            (hands.tell)(Progress::Serving { step: job.step.id, backends });
        }
    }
    StepOutcome::Waited
}

/// How what contains objects of a kind finds out whether they are healthy.
fn checked_by<'a>(hands: &'a StepContext, kind: &Kind) -> Option<&'a ServesWhen> {
    hands.session.catalog.get(container_kind(kind)?)?.serves_when.as_ref()
}

/// An item written to another member of the group is read from this one within the bound of its gate; on the way home the
/// other way round.
pub async fn replication(
    hands: &StepContext,
    job: &StepInputs,
    arrived: &mut Option<Duration>,
) -> StepOutcome {
    let (StepWait::Replication { gate, peer }, Some(record)) = (&job.wait, &job.record) else {
        return StepOutcome::failed("no other member of its group is recorded");
    };
    let (theirs, own) = (members(peer), record_of(&job.kind, record));
    let other = MemberRead { kind: &peer.kind, attributes: &theirs };
    let gated = MemberRead { kind: &job.kind, attributes: &own };
    let back = matches!(job.step.call, StepCall::Replication { back: true, .. });
    let (writer, reader) = if back { (gated, other) } else { (other, gated) };
    let within = Duration::from_secs(gate.within_seconds);
    // The item is written into the group's table: a change, if a small one.
    if let Err(over) = hands.fenced().await {
        return StepOutcome::failed(over.to_string());
    }
    match hands.session.provider.replicates(writer, reader, within).await {
        Ok(took) => {
            *arrived = Some(took);
            StepOutcome::Waited
        }
        Err(why) => closed(hands, job, &format!("the `replication` condition was not met: {why}")),
    }
}

/// What was seen last, and what can be done; where it only waits for what this very run disturbed, that is to serve again.
fn closed(hands: &StepContext, job: &StepInputs, why: &str) -> StepOutcome {
    if !job.step.holds_users_back() {
        return StepOutcome::failed(why.to_owned());
    }
    let address = &job.step.address.to_string();
    StepOutcome::failed(gate_closed(why, &hands.ground.stack, address, job.record.is_some()))
}

fn members(watched: &WatchedResource) -> Attributes {
    record_of(&watched.kind, &watched.record)
}

/// What is applied, and what the cloud made of it where the group is known by that.
fn record_of(kind: &Kind, record: &Record) -> Attributes {
    let mut attributes = record.attributes.clone();
    for name in kind.group.iter().flat_map(|it| [&it.name, &it.region]) {
        if let Some(value) = record.outputs.get(name).filter(|_| !attributes.contains_key(name)) {
            attributes.insert(name.clone(), value.clone());
        }
    }
    attributes
}

/// Waits until `seconds` have passed since users were sent elsewhere, on the clock of the world: until then caches may still
/// send them the old way. Nothing is probed.
pub async fn drain(hands: &StepContext, job: &StepInputs, seconds: u64) -> StepOutcome {
    let clock = &hands.session.clock;
    let whole = i64::try_from(seconds).unwrap_or(i64::MAX / 2_000) * 1_000;
    let until = match job.wait {
        StepWait::Drain { until: Some(until) } => until,
        _ => clock.now() + whole,
    };
    loop {
        let left = u64::try_from(until - clock.now()).unwrap_or(0);
        if left == 0 {
            return StepOutcome::Waited;
        }
        let left = Duration::from_millis(left);
        let why = format!("{} s left", left.as_secs());
        (hands.tell)(Progress::Waiting { step: job.step.id, why });
        clock.sleep(left.min(REMINDER)).await;
    }
}

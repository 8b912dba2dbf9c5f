//! The waits of a step: until an object is ready, until it is gone, until its own `ready` condition holds.

use std::time::Duration;

use crate::cloud::error::ProviderError;
use crate::cloud::http::prober::{Probe, ProbeAnswer};
use crate::cloud::provider::ReadResult;
use crate::engine::lang::check::probe_address;
use crate::engine::lang::resolve::{ResolvedGate, ResolvedProbe};
use crate::engine::plan::traffic::balancer_firewalls::shut_by;
use crate::engine::plan::traffic::serving::lets_serve;
use crate::engine::retry::{ErrorClass, SilenceBudget, is_late, poll};
use crate::engine::schema::{ReadinessWait, ServesWhen};
use crate::engine::state::journal::StepOutcome;
use crate::engine::text::plain::counted;
use crate::engine::value::{Attributes, Value};
use crate::ops::apply::mutations::{take_outputs, went};
use crate::ops::apply::step_inputs::{Progress, StepContext, StepInputs, StepWait};
use crate::ops::apply::watched_resources::{Front, WatchedResource};

/// How long to wait where neither the kind nor the stack says it. A guess: a shorter limit would fail a step that only needs
/// time, a longer one would delay the message that something hangs.
const WAIT: ReadinessWait = ReadinessWait { within_seconds: 600, poll_seconds: 5 };

/// Waits until the cloud reports the object as ready: as long as the kind, the stack's `timeouts` or else ten minutes allow.
pub async fn ready(hands: &StepContext, job: &StepInputs) -> StepOutcome {
    let Some(mut record) = job.record.clone() else {
        return StepOutcome::failed("it is not recorded, so it cannot be awaited");
    };
    let rest = job.kind.rest.as_ref().and_then(|it| it.ready.as_ref());
    let rest = rest.map(|it| ReadinessWait {
        within_seconds: it.within_seconds,
        poll_seconds: it.poll_seconds,
    });
    let limits = rest.or(job.kind.waits.ready).unwrap_or(WAIT);
    let target = WaitTarget::Ready { id: &record.id };
    match wait(hands, job, limits, target).await {
        Ok(told) => {
            take_outputs(&mut record, &job.kind, &told);
            record.ready = job.is_last;
            StepOutcome::Recorded(Box::new(record))
        }
        Err(why) => StepOutcome::failed(why),
    }
}

/// Waits until the object does not exist any more, within the same limits.
pub async fn gone(hands: &StepContext, job: &StepInputs, deposed: bool) -> StepOutcome {
    let Some(record) = &job.record else { return StepOutcome::Waited };
    let (id, attributes) = match (&record.deposed, deposed) {
        (Some(old), true) => (&old.id, &old.attributes),
        _ => (&record.id, &record.attributes),
    };
    let target = WaitTarget::Gone { id, attributes };
    match wait(hands, job, job.kind.waits.gone.unwrap_or(WAIT), target).await {
        Ok(_) => went(record, deposed),
        Err(why) => StepOutcome::failed(why),
    }
}

/// Waits until the object's own `ready` condition of the stack holds; done at once where there is none.
pub async fn gate(hands: &StepContext, job: &StepInputs) -> StepOutcome {
    let StepWait::Condition(gate) = &job.wait else { return StepOutcome::Waited };
    match (probed(hands, job, gate).await, job.record.clone()) {
        (Ok(()), Some(mut record)) => {
            record.ready = job.is_last;
            StepOutcome::Recorded(Box::new(record))
        }
        (Ok(()), None) => StepOutcome::Waited,
        (Err(why), _) => StepOutcome::failed(format!("the `ready` condition was not met: {why}")),
    }
}

/// A gate that has to hold several times in a row is over when the last of them is seen.
fn every(gate: &ResolvedGate) -> u64 {
    (gate.within_seconds / 10).clamp(1, 5)
}

/// Probes until a condition holds as many times in a row as it says.
pub async fn probed(
    hands: &StepContext,
    job: &StepInputs,
    gate: &ResolvedGate,
) -> Result<(), String> {
    let probe = probe_of(gate)?;
    let limits = ReadinessWait { within_seconds: gate.within_seconds, poll_seconds: every(gate) };
    let target = WaitTarget::Gate { gate, probe, passed: 0 };
    wait(hands, job, limits, target).await.map(|_| ())
}

/// What a wait looks at.
pub enum WaitTarget<'a> {
    Ready {
        id: &'a str,
    },
    Gone {
        id: &'a str,
        attributes: &'a Attributes,
    },
    /// A condition holds, as many times in a row as it says.
    Gate {
        gate: &'a ResolvedGate,
        probe: Probe,
        passed: u32,
    },
    /// So many of what it counts are healthy and take users, as many times in a row as is asked.
    Serves {
        watched: &'a WatchedResource,
        serves: &'a ServesWhen,
        times: u32,
        passed: u32,
    },
    /// A member of a serving set takes users and is healthy.
    Member(&'a WatchedResource),
}

impl WaitTarget<'_> {
    /// Whether this run may still add to what it looks at.
    fn awaits_more(&self) -> bool {
        matches!(self, Self::Serves { watched, .. } if watched.members.are_coming())
    }
}

/// One look of a wait.
enum Polled {
    Yes(Attributes),
    NotYet(String),
    /// Nobody answered.
    Silent(String),
    Never(String),
}

/// One look. `pause`: until the next one, if this is not the last; a driver may wait as long for the answer to change.
async fn look(
    hands: &StepContext,
    job: &StepInputs,
    target: &mut WaitTarget<'_>,
    pause: Duration,
) -> Polled {
    let provider = &hands.session.provider;
    match target {
        WaitTarget::Ready { id } => {
            is_ready(provider.ready(&job.kind, id, &job.attributes, pause).await)
        }
        WaitTarget::Gone { id, attributes } => {
            is_gone(provider.look(&job.kind, id, attributes).await)
        }
        WaitTarget::Gate { gate, probe, passed } => {
            let answer = hands.session.prober.probe(probe.clone()).await;
            passes(gate, &answer, passed)
        }
        WaitTarget::Serves { watched, serves, times, passed } => {
            in_a_row(serves_now(reached(hands, watched, serves).await), *times, passed)
        }
        WaitTarget::Member(watched) => serves_now(takes_users(hands, watched).await),
    }
}

fn is_ready(seen: Result<ReadResult, ProviderError>) -> Polled {
    match seen {
        Ok(ReadResult::Exists { attributes, ready: true, .. }) => Polled::Yes(attributes),
        Ok(ReadResult::Exists { why_not, .. }) => {
            Polled::NotYet(why_not.unwrap_or_else(|| "it is not ready".into()))
        }
        Ok(ReadResult::Absent) => Polled::NotYet("not listed by the API yet".into()),
        Err(why) => seen_error(&why),
    }
}

fn is_gone(seen: Result<ReadResult, ProviderError>) -> Polled {
    match seen {
        Ok(ReadResult::Absent) => Polled::Yes(Attributes::new()),
        Ok(ReadResult::Exists { why_not, .. }) => {
            Polled::NotYet(why_not.unwrap_or_else(|| "it still exists".into()))
        }
        Err(why) => seen_error(&why),
    }
}

fn passes(gate: &ResolvedGate, answer: &ProbeAnswer, passed: &mut u32) -> Polled {
    let polled = if accepts(&gate.probe, answer) {
        Polled::Yes(Attributes::new())
    } else {
        Polled::NotYet(describe(answer))
    };
    in_a_row(polled, gate.times, passed)
}

/// It holds once it was seen so many times in a row; one bad answer begins the row anew.
fn in_a_row(polled: Polled, times: u32, passed: &mut u32) -> Polled {
    if !matches!(polled, Polled::Yes(_)) {
        *passed = 0;
        return polled;
    }
    *passed += 1;
    if *passed >= times {
        return polled;
    }
    Polled::NotYet(format!("it passed {passed} of {times} times"))
}

fn serves_now(seen: Result<(), Unserved>) -> Polled {
    seen.map_or_else(Unserved::seen, |()| Polled::Yes(Attributes::new()))
}

/// Why nobody is served yet.
struct Unserved {
    why: String,
    /// Nobody said so: there was no answer.
    is_silent: bool,
}

impl Unserved {
    fn seen(self) -> Polled {
        if self.is_silent { Polled::Silent(self.why) } else { Polled::NotYet(self.why) }
    }
}

impl From<String> for Unserved {
    fn from(why: String) -> Self {
        Self { why, is_silent: false }
    }
}

impl From<ProviderError> for Unserved {
    fn from(why: ProviderError) -> Self {
        Self { why: why.to_string(), is_silent: why.is_silence() }
    }
}

/// What is told of an object now.
async fn told(hands: &StepContext, watched: &WatchedResource) -> Result<Attributes, Unserved> {
    let record = &watched.record;
    match hands.session.provider.look(&watched.kind, &record.id, &record.attributes).await? {
        ReadResult::Exists { attributes, .. } => Ok(attributes),
        ReadResult::Absent => Err("it does not exist".to_owned().into()),
    }
}

/// `Ok` when enough serves and users are let in to it; otherwise what is seen instead.
async fn reached(
    hands: &StepContext,
    watched: &WatchedResource,
    serves: &ServesWhen,
) -> Result<(), Unserved> {
    served(hands, watched, serves).await?;
    let Some(front) = &watched.front else { return Ok(()) };
    let Front { kind, record, wall, port, family } = &**front;
    let provider = &hands.session.provider;
    let seen = provider.filters(kind, &record.id, &record.attributes, wall).await?;
    shut_by(wall, &seen, *port, *family).map_or(Ok(()), |why| Err(why.into()))
}

/// `Ok` when so many serve; otherwise what is seen instead.
async fn served(
    hands: &StepContext,
    watched: &WatchedResource,
    serves: &ServesWhen,
) -> Result<(), Unserved> {
    let count = watched.count;
    let attributes = told(hands, watched).await?;
    let counts = attributes.get(&serves.attribute).and_then(Value::as_map);
    let healthy = counts.and_then(|it| it.get(&serves.member));
    if let Some(Value::Int(healthy)) = healthy {
        watched.members.note_healthy(usize::try_from(*healthy).unwrap_or(0));
    }
    match healthy {
        Some(Value::Int(up)) if usize::try_from(*up).is_ok_and(|it| it >= count) => {
            members_serve(hands, watched).await
        }
        Some(Value::Int(healthy)) => {
            let up = usize::try_from(*healthy).unwrap_or(0);
            let all = counts.into_iter().flatten().filter_map(|(_, it)| match it {
                Value::Int(number) => usize::try_from(*number).ok(),
                _ => None,
            });
            let all = backends(all.sum());
            Err(format!("{up} of its {all} {} healthy, and {count} must be", are(up)).into())
        }
        _ => Err(format!("the cloud does not return `{}`", serves.attribute).into()),
    }
}

fn are(number: usize) -> &'static str {
    if number == 1 { "is" } else { "are" }
}

fn backends(number: usize) -> String {
    counted(number, "backend")
}

/// What is counted as healthy may refuse users: as many of those that state knows have to take them. Where state knows none,
/// the count is all that can be said.
async fn members_serve(hands: &StepContext, watched: &WatchedResource) -> Result<(), Unserved> {
    let members = watched.members.recorded();
    // Others may have put some there.
    if members.is_empty() && !watched.members.are_coming() {
        return Ok(());
    }
    let mut told = Vec::new();
    let mut is_silent = !members.is_empty();
    let mut serving = 0;
    for member in &members {
        match takes_users(hands, member).await {
            Ok(()) => serving += 1,
            Err(unserved) => {
                is_silent &= unserved.is_silent;
                told.push(format!("`{}`: {}", member.address, unserved.why));
            }
        }
        if serving >= watched.count {
            return Ok(());
        }
    }
    told.insert(0, format!("{serving} of {} required take users", watched.count));
    Err(Unserved { why: told.join("; "), is_silent: is_silent && serving == 0 })
}

/// Whether a member of a serving set is told to be healthy, and takes users.
async fn takes_users(hands: &StepContext, watched: &WatchedResource) -> Result<(), Unserved> {
    let attributes = told(hands, watched).await?;
    let kind = &watched.kind;
    let Some(serves) = &kind.serves else { return Ok(()) };
    let told = |name: &str| match attributes.get(name) {
        Some(value) => format!("{name} {}", value.json()),
        None => format!("the cloud does not return `{name}`"),
    };
    if !lets_serve(kind, &attributes) {
        return Err(told(&serves.attribute).into());
    }
    let Some(healthy) = &serves.healthy else { return Ok(()) };
    let status = attributes.get(&healthy.attribute).and_then(Value::as_text);
    if status.is_some_and(|it| healthy.is.iter().any(|is| is == it)) {
        return Ok(());
    }
    Err(told(&healthy.attribute).into())
}

fn seen_error(why: &ProviderError) -> Polled {
    match why.fault {
        ErrorClass::Unauthenticated | ErrorClass::Denied | ErrorClass::Rejected => {
            Polled::Never(why.to_string())
        }
        _ if why.is_silence() => Polled::Silent(why.to_string()),
        _ => Polled::NotYet(why.to_string()),
    }
}

/// Reads again and again until it is so. Fails when the deadline is over and it has read five times at least, or when nobody
/// has answered for three minutes; all times are those of the world's clock.
pub async fn wait(
    hands: &StepContext,
    job: &StepInputs,
    limits: ReadinessWait,
    mut target: WaitTarget<'_>,
) -> Result<Attributes, String> {
    let clock = &hands.session.clock;
    let own = Duration::from_secs(limits.within_seconds).max(job.slow.unwrap_or_default());
    let within = job.timeout.unwrap_or(own);
    let began = clock.now();
    let after = i64::try_from(within.as_millis()).unwrap_or(i64::MAX / 2);
    let mut deadline = began.saturating_add(after);
    let longest = Duration::from_secs(limits.poll_seconds);
    let pause = || {
        let waited = Duration::from_millis(u64::try_from(clock.now() - began).unwrap_or(0));
        let own = poll(waited, longest).max(clock.grain().min(longest));
        hands.pace.poll.unwrap_or(own)
    };
    let mut silence = SilenceBudget::default();
    let mut looks = 0;
    loop {
        looks += 1;
        let (why, is_silent) = match look(hands, job, &mut target, pause()).await {
            Polled::Yes(it) => return Ok(it),
            Polled::Never(why) => return Err(why),
            Polled::NotYet(why) => (why, false),
            Polled::Silent(why) => (why, true),
        };
        // Whoever is still to come may serve; they have their time from then on.
        let gives_up = !target.awaits_more();
        if !gives_up {
            deadline = clock.now().saturating_add(after);
        }
        if silence.lasts(is_silent && gives_up, clock.now()) {
            return Err(format!("unreachable: {why}"));
        }
        if is_late(clock.now(), deadline, looks) {
            return Err(format!("timed out after {} s: {why}", within.as_secs()));
        }
        (hands.tell)(Progress::Waiting { step: job.step.id, why });
        clock.sleep(pause()).await;
    }
}

fn describe(answer: &ProbeAnswer) -> String {
    match answer {
        ProbeAnswer::Open => "the port is open".into(),
        ProbeAnswer::Refused(why) => format!("refused: {why}"),
        ProbeAnswer::Timeout => "no answer".into(),
        ProbeAnswer::Http { status, .. } => format!("HTTP {status}"),
    }
}

/// Where a condition looks, as the layers write it.
pub fn looked_at(gate: &ResolvedGate) -> Option<String> {
    match &gate.probe {
        ResolvedProbe::Http { url: target, .. } | ResolvedProbe::Tcp(target) => {
            target.exposed().as_text().map(str::to_owned)
        }
        ResolvedProbe::Health | ResolvedProbe::Replication => None,
    }
}

/// What to try; a target that is still open cannot be.
fn probe_of(gate: &ResolvedGate) -> Result<Probe, String> {
    let known = |it: &Value| match it.exposed() {
        Value::Text(text) => Ok(text),
        _ => Err("the address to check is unknown".to_owned()),
    };
    match &gate.probe {
        ResolvedProbe::Http { url, .. } => {
            Ok(Probe::Http { url: probe_address::page(&known(url)?)?.to_owned() })
        }
        ResolvedProbe::Tcp(target) => {
            let target = known(target)?;
            let (host, port) = probe_address::address(&target)?;
            Ok(Probe::Tcp { host: host.to_owned(), port })
        }
        ResolvedProbe::Health | ResolvedProbe::Replication => {
            Err("this gate has no address to check".to_owned())
        }
    }
}

fn accepts(wanted: &ResolvedProbe, answer: &ProbeAnswer) -> bool {
    match (wanted, answer) {
        (ResolvedProbe::Tcp(_), ProbeAnswer::Open) => true,
        (ResolvedProbe::Http { expect, body: wanted, .. }, ProbeAnswer::Http { status, body }) => {
            status == expect && wanted.as_ref().is_none_or(|it| body.contains(it))
        }
        _ => false,
    }
}

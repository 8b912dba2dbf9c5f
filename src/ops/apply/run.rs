//! Applies a plan: founds or takes over the state, holds the pen, runs the steps, saves.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot, watch};

use crate::engine::address::Address;
use crate::engine::lang::merge::variables::remembered;
use crate::engine::observed::Observation;
use crate::engine::plan::model::change::{
    Action, Change, Drift, DriftedAttribute, LossDeclaration, SkippedGate,
};
use crate::engine::plan::planner::Intent;
use crate::engine::recovery::completion::open;
use crate::engine::schema::Kind;
use crate::engine::state::journal::{JournalEntry, StepOutcome, fold, replay};
use crate::engine::state::record::{LostDomain, Record, RunRecord, State};
use crate::engine::value::LineageKey;
use crate::ops::apply::append_entries::{append, append_and_save};
use crate::ops::apply::call_slots::{CallSlots, NEAR, limits};
use crate::ops::apply::executor::Executor;
use crate::ops::apply::finish::{RunRequest, RunResult, record_metadata_updates};
use crate::ops::apply::mutations::take_outputs;
use crate::ops::apply::shared_look::{LookCount, SharedLook};
use crate::ops::apply::step_inputs::{
    DurableEntries, JournalWriter, PendingWrite, Progress, StepContext, TaskGround, WriteLatency,
};
use crate::ops::error::OpsError;
use crate::ops::load::session::Session;
use crate::ops::plan::make::Proposed;
use crate::ops::tasks::approval::Approvals;
use crate::store::keep_alive::LeaseGuard;
use crate::store::lease::Lease;

/// How long what opens a run waits for what its first steps write, which comes at once where there is any. A guess, as long as a write
/// to a near store.
const OPENING_HELD: Duration = Duration::from_millis(20);

/// Whether applying would change neither the world nor the state.
pub fn is_idle(proposed: &Proposed) -> bool {
    let Some(state) = &proposed.state else { return false };
    // A switch that did everything and was cut off before it could say so is still to be ended; what was said on the command
    // line is remembered also where it is so already.
    // A run that left something, or died, is ended by the one that finds nothing left.
    let is_left = state.last_run.as_ref().is_some_and(RunRecord::is_unfinished);
    state.phase.is_settled()
        && !(is_left && open(&proposed.plan).is_empty())
        && remembered(&proposed.desired.stack.variables) == state.variables
        && proposed.plan.is_empty()
        && proposed.plan.drift.is_empty()
        && proposed.settled.is_empty()
        && record_metadata_updates(&proposed.desired.stack, &proposed.plan, state, 0).is_empty()
}

/// Runs the steps of a plan under a lease.
pub async fn apply(
    session: &Arc<Session>,
    mut lease: Lease,
    proposed: Proposed,
    order: &RunRequest,
    tell: Arc<dyn Fn(Progress) + Send + Sync>,
    stop: watch::Receiver<Option<String>>,
) -> Result<RunResult, OpsError> {
    let (state, mut opening) = open_run(session, &proposed, order);
    // Where it costs next to nothing, a store that refuses it is told of before any step begins.
    if !session.store(&proposed.place).backend().is_concurrent() {
        append(&mut lease, &std::mem::take(&mut opening))?;
    }
    let pulse = lease.pulse();
    let stop = stop_with(&pulse, stop);
    let looks = LookCount::default();
    let (pen, lease_back) = hold_pen(lease, opening, Arc::clone(&looks));
    tokio::spawn(write_opening(pen.entries.downgrade()));
    let (session_of, pulse_of) = (Arc::clone(session), Arc::clone(&pulse));
    let at_once = limits(session, order.pace);
    let hands = StepContext {
        session: session_of,
        pen: pen.clone(),
        look: SharedLook::at(Arc::clone(&pulse_of), looks),
        slots: Arc::new(CallSlots::new(&at_once)),
        pulse: pulse_of,
        tell,
        pace: order.pace,
        ground: TaskGround {
            stack: proposed.place.name(),
            folder: proposed.place.folder(),
            plan: order.plan_digest.clone(),
            approvals: Approvals::new(Arc::clone(session.store(&proposed.place).backend())),
            stop: stop.clone(),
        },
    };
    let hands = Arc::new(hands);
    let mut run = Executor::new(session, &proposed, state, at_once);
    let stopped = run.carry_out(&hands, stop).await;
    if stopped.is_none() {
        run.lift(&hands).await;
    }
    let mut report = run.report(stopped);
    let entries = run.close(session, order, &mut report);
    drop(pen);
    drop(hands);
    let (mut lease, unwritten) = lease_back.await.map_err(|_| OpsError::Input {
        what: "the journal could not be closed".into(),
        help: "the state is intact up to its last entry; run the command again".into(),
    })?;
    // What was done is told even where it could not be folded into a snapshot: the journal holds it.
    let entries = [unwritten, entries].concat();
    if let Err(why) = append_and_save(&mut lease, &entries, &run.state) {
        report.stopped = Some(why.to_string());
    }
    // Who was asked to stop when everything was done has done everything.
    report.lease_over = pulse.over().filter(|_| report.stopped.is_some());
    Ok(report)
}

/// One word to stop for: a signal, or the end of the lease.
fn stop_with(
    pulse: &Arc<LeaseGuard>,
    mut signal: watch::Receiver<Option<String>>,
) -> watch::Receiver<Option<String>> {
    let (tell, stop) = watch::channel(signal.borrow().clone());
    let tell = Arc::new(tell);
    let from_pulse = Arc::clone(&tell);
    pulse.when_over(move |over| {
        from_pulse.send_replace(Some(over.to_string()));
    });
    let guard = Arc::clone(pulse);
    tokio::spawn(async move {
        tokio::select! {
            Ok(()) = signal.changed() => {
                guard.stop_waiting();
                let word = signal.borrow().clone();
                tell.send_replace(word);
            }
            () = tell.closed() => {}
        }
    });
    stop
}

/// Founds the state if need be; with what is to be journalled of what was settled, seen and is about to run.
fn open_run(
    session: &Session,
    proposed: &Proposed,
    order: &RunRequest,
) -> (State, Vec<JournalEntry>) {
    let at = session.clock.now();
    let mut entries = Vec::new();
    let mut state = proposed.state.clone();
    if state.is_none() {
        let founded = JournalEntry::Founded {
            stack: proposed.plan.stack.clone(),
            instance: order.instance.clone(),
            target: session.target.word().into(),
            lineage: uuid::Uuid::new_v4().to_string(),
            key: LineageKey(uuid::Uuid::new_v4().as_bytes().to_vec()),
            overlays: proposed.desired.stack.overlays.clone(),
        };
        state = replay(state, 0, &founded);
        entries.push(founded);
    }
    let mut state = state.expect("it was just founded");
    entries.extend(proposed.settled.iter().cloned());
    let mut fresh = Vec::new();
    for (cloud, account) in &proposed.plan.bindings.accounts {
        if !state.bound.contains_key(cloud) {
            fresh.push(JournalEntry::Bound { cloud: cloud.clone(), account: account.clone() });
        }
    }
    let switched = switched(session, &state, proposed, at);
    let destroys = order.intent == Intent::Destroy;
    // A switch journals its variables together with what they were before.
    let is_switch = switched.iter().any(|it| matches!(it, JournalEntry::Switched { .. }));
    let variables =
        (!destroys && !is_switch).then(|| remembered(&proposed.desired.stack.variables));
    let home_variables = match variables {
        // What a switch is given is this side's, also where it goes on.
        Some(_) if !proposed.is_switch => state.given_for_home(&proposed.desired.stack),
        _ => BTreeMap::new(),
    };
    fresh.push(JournalEntry::RunBegan {
        who: session.who.clone(),
        command: order.command.clone(),
        at,
        plan: order.plan_digest.clone(),
        steps: proposed.plan.steps.len(),
        destroys,
        variables,
        home_variables,
    });
    fresh.extend(switched);
    let skipped = proposed.plan.skipped_gates.iter().cloned();
    fresh.extend(skipped.map(|SkippedGate { address, because }| JournalEntry::GateSkipped {
        address,
        because,
        at,
    }));
    let allowances = proposed.plan.used_allowances(at);
    if !allowances.is_empty() {
        fresh.push(JournalEntry::AllowancesUsed { allowances, at });
    }
    fresh.extend(refreshed(session, &state, proposed, at));
    for entry in &fresh {
        fold(&mut state, entry);
    }
    entries.extend(fresh);
    (state, entries)
}

/// The switch, with all that is lost, before its first call; what has recovered without one.
fn switched(session: &Session, state: &State, proposed: &Proposed, at: i64) -> Vec<JournalEntry> {
    let plan = &proposed.plan;
    let who = || session.who.clone();
    let lost = |it: &LossDeclaration| {
        let (since, by) = it.recorded.clone().unwrap_or_else(|| (at, who()));
        LostDomain { fault_domain: it.fault_domain.clone(), since, by }
    };
    let is_new = plan.lost.iter().any(|it| it.recorded.is_none());
    if plan.switch.is_some() || is_new {
        // A further loss does not make one forget where a switch that goes on came from.
        let from =
            state.unfinished_switch().map_or_else(|| state.active.clone(), |it| it.from.clone());
        let (from, to) = plan.switch.clone().unwrap_or((from, state.active.clone()));
        let lost = plan.lost.iter().map(lost).collect();
        let variables = remembered(&proposed.desired.stack.variables);
        let (keep, allowed, last_good) =
            (proposed.keep, proposed.allowed.clone(), proposed.last_good);
        let who = who();
        let switched =
            JournalEntry::Switched { from, to, lost, variables, keep, allowed, last_good, at, who };
        return vec![switched];
    }
    let found = plan.recovered.iter();
    found.map(|it| JournalEntry::Recovered { fault_domain: it.clone(), at, who: who() }).collect()
}

/// Records whose computed attributes the cloud tells differently now.
fn refreshed(session: &Session, state: &State, proposed: &Proposed, at: i64) -> Vec<JournalEntry> {
    let plan = &proposed.plan;
    let drifted: BTreeMap<&Address, &Drift> =
        plan.drift.iter().map(|it| (&it.address, it)).collect();
    // What waits is not as desired: recorded as it is seen, the next plan would take back what somebody else did without a word.
    let is_settled = |it: &&Change| {
        it.action == Action::NoOp
            && it.deferred.is_none()
            && it.unknown.is_none()
            && it.frozen.is_none()
    };
    let settled: BTreeSet<&Address> =
        plan.changes.iter().filter(is_settled).map(|it| &it.address).collect();
    let mut entries = Vec::new();
    for (address, record) in &state.records {
        let Some(Observation::Exists { attributes, .. }) = proposed.observed.get(address) else {
            continue;
        };
        let Some(kind) = session.catalog.get(&record.kind) else { continue };
        let mut seen = record.clone();
        take_outputs(&mut seen, kind, attributes);
        if let Some(drift) = drifted.get(address).filter(|_| settled.contains(address)) {
            acknowledge(&mut seen, kind, drift);
        }
        if seen != *record {
            let outcome = StepOutcome::Recorded(Box::new(seen));
            // No step of the plan: those that count steps pass it over.
            let step = plan.steps.len();
            entries.push(JournalEntry::Ended { address: address.clone(), step, outcome, at });
        }
    }
    entries
}

/// What differs from the record and is as desired is recorded so: an interrupted call of ours, mostly.
fn acknowledge(record: &mut Record, kind: &Kind, drift: &Drift) {
    for DriftedAttribute { name, observed, .. } in &drift.attributes {
        if kind.attribute(name).is_some_and(|it| !it.computed) {
            record.attributes.insert(name.clone(), observed.clone());
        }
    }
}

/// One thread owns the lease and makes entries durable, as many as wait at a time with one sync. What opens the run comes with the
/// first of them: behind a network each write takes a while, and no call leaves before one. Where there is none, it comes back with the
/// lease.
fn hold_pen(
    mut lease: Lease,
    mut opening: Vec<JournalEntry>,
    looks: LookCount,
) -> (JournalWriter, oneshot::Receiver<(Lease, Vec<JournalEntry>)>) {
    let (entries, mut queue) = mpsc::unbounded_channel::<PendingWrite>();
    let (give_back, back) = oneshot::channel();
    let durable = DurableEntries::default();
    let known = durable.clone();
    let latency = WriteLatency::default();
    let took = latency.clone();
    let gathering: Arc<Mutex<()>> = Arc::default();
    let gathered = Arc::clone(&gathering);
    std::thread::spawn(move || {
        while let Some(first) = queue.blocking_recv() {
            let mut waiting = vec![first];
            drop(gathered.lock());
            if took.recent() >= NEAR {
                // What is on its way comes along: of a write that takes so long, a sixteenth is not noticed.
                std::thread::sleep(took.recent() / 16);
            }
            while let Ok(next) = queue.try_recv() {
                waiting.push(next);
            }
            let mut all = std::mem::take(&mut opening);
            all.extend(waiting.iter().flat_map(|(it, _)| it.iter().cloned()));
            let began = Instant::now();
            let written = append(&mut lease, &all).map_err(|why| why.to_string());
            let begun = looks.load(SeqCst);
            if !all.is_empty() {
                took.note(began.elapsed());
            }
            for (entries, done) in waiting {
                if written.is_ok() {
                    known.note(&entries);
                }
                // A task that was given up does not listen any more.
                done.send(written.clone().map(|()| begun)).ok();
            }
        }
        give_back.send((lease, opening)).ok();
    });
    (JournalWriter { entries, broken: Arc::default(), latency, durable, gathering }, back)
}

/// Has what opens the run written where no step writes soon, so that others see that it goes on. The run may be over by then.
async fn write_opening(entries: mpsc::WeakUnboundedSender<PendingWrite>) {
    tokio::time::sleep(OPENING_HELD).await;
    let Some(entries) = entries.upgrade() else { return };
    let (done, written) = oneshot::channel();
    entries.send((Vec::new(), done)).ok();
    drop(entries);
    written.await.ok();
}

#[cfg(test)]
mod tests {
    use super::{LookCount, hold_pen, write_opening};
    use crate::engine::state::journal::JournalEntry;
    use crate::store::key::ENTRIES;
    use crate::store::lease::Lease;
    use crate::store::state_store::StateStore;
    use crate::store::tests::memory::MemoryBackend;

    fn entry(cloud: &str) -> JournalEntry {
        JournalEntry::Bound { cloud: cloud.into(), account: "1".into() }
    }

    fn store() -> (StateStore, Lease) {
        let store = StateStore::over(MemoryBackend::new());
        let (lease, _) = store.lease("ann", "apply shop", 0).unwrap();
        (store, lease)
    }

    /// How many batches there are besides the lease's own.
    fn batches(store: &StateStore) -> usize {
        store.backend().list(&ENTRIES).unwrap().len() - 1
    }

    #[tokio::test]
    async fn hold_pen_writes_what_opens_the_run_with_what_comes_first() {
        let (store, lease) = store();
        let (pen, _back) = hold_pen(lease, vec![entry("linode")], LookCount::default());
        pen.write(vec![entry("aws")]).await.unwrap();
        assert_eq!(batches(&store), 1);
        let entries = store.entries(0).unwrap();
        assert_eq!(entries[1..], [entry("linode"), entry("aws")]);
        pen.write(vec![entry("other")]).await.unwrap();
        assert_eq!(batches(&store), 2);
    }

    #[tokio::test]
    async fn write_opening_writes_it_where_nothing_comes() {
        let (store, lease) = store();
        let (pen, back) = hold_pen(lease, vec![entry("linode")], LookCount::default());
        write_opening(pen.entries.downgrade()).await;
        assert_eq!(store.entries(0).unwrap()[1..], [entry("linode")]);
        drop(pen);
        assert_eq!(back.await.unwrap().1, [], "it does not keep a run that is over");
    }

    #[tokio::test]
    async fn hold_pen_gives_back_what_no_step_has_written() {
        let (_store, lease) = store();
        let (pen, back) = hold_pen(lease, vec![entry("linode")], LookCount::default());
        drop(pen);
        assert_eq!(back.await.unwrap().1, [entry("linode")]);
    }
}

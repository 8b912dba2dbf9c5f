//! Applies a plan: founds or takes over the state, holds the pen, runs the steps, saves.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

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
use crate::ops::apply::append_entries::append;
use crate::ops::apply::call_slots::{CallSlots, limits};
use crate::ops::apply::executor::Executor;
use crate::ops::apply::finish::{RunRequest, RunResult, record_metadata_updates};
use crate::ops::apply::mutations::take_outputs;
use crate::ops::apply::shared_look::SharedLook;
use crate::ops::apply::step_inputs::{
    DurableEntries, JournalWriter, PendingWrite, Progress, StepContext, TaskGround, WriteLatency,
};
use crate::ops::error::OpsError;
use crate::ops::load::session::Session;
use crate::ops::plan::make::Proposed;
use crate::ops::tasks::approval::Approvals;
use crate::store::keep_alive::LeaseGuard;
use crate::store::lease::Lease;

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
    let state = open_run(session, &mut lease, &proposed, order)?;
    let pulse = lease.pulse();
    let stop = stop_with(&pulse, stop);
    let (pen, lease_back) = hold_pen(lease);
    let (session_of, pulse_of) = (Arc::clone(session), Arc::clone(&pulse));
    let at_once = limits(session, order.pace);
    let hands = StepContext {
        session: session_of,
        pen: pen.clone(),
        look: SharedLook::at(Arc::clone(&pulse_of)),
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
    let written = pen.write(entries).await;
    drop(pen);
    drop(hands);
    let mut lease = lease_back.await.map_err(|_| OpsError::Input {
        what: "the journal could not be closed".into(),
        help: "the state is intact up to its last entry; run the command again".into(),
    })?;
    // What was done is told even where it could not be folded into a snapshot: the journal holds it.
    let written = written.and_then(|()| lease.save(&run.state).map_err(|why| why.to_string()));
    if let Err(why) = written {
        report.stopped = Some(why);
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

/// Founds the state if need be, and journals what was settled, seen and is about to run.
fn open_run(
    session: &Session,
    lease: &mut Lease,
    proposed: &Proposed,
    order: &RunRequest,
) -> Result<State, OpsError> {
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
    fresh.extend(refreshed(session, &state, proposed, at));
    for entry in &fresh {
        fold(&mut state, entry);
    }
    entries.extend(fresh);
    append(lease, &entries)?;
    Ok(state)
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

/// One thread owns the lease and makes entries durable, as many as wait at a time with one sync.
fn hold_pen(mut lease: Lease) -> (JournalWriter, oneshot::Receiver<Lease>) {
    let (entries, mut queue) = mpsc::unbounded_channel::<PendingWrite>();
    let (give_back, back) = oneshot::channel();
    let durable = DurableEntries::default();
    let known = durable.clone();
    let latency = WriteLatency::default();
    let took = latency.clone();
    std::thread::spawn(move || {
        while let Some(first) = queue.blocking_recv() {
            let mut waiting = vec![first];
            while let Ok(next) = queue.try_recv() {
                waiting.push(next);
            }
            let all: Vec<JournalEntry> =
                waiting.iter().flat_map(|(it, _)| it.iter().cloned()).collect();
            let began = Instant::now();
            let written = append(&mut lease, &all).map_err(|why| why.to_string());
            if !all.is_empty() {
                took.note(began.elapsed());
            }
            for (entries, done) in waiting {
                if written.is_ok() {
                    known.note(&entries);
                }
                // A task that was given up does not listen any more.
                done.send(written.clone()).ok();
            }
        }
        give_back.send(lease).ok();
    });
    (JournalWriter { entries, broken: Arc::default(), latency, durable }, back)
}

//! Applies a plan: takes the lease, starts steps as they become free, and keeps the state in step with the journal.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use crate::engine::address::Address;
use crate::engine::mark::mark;
use crate::engine::observed::Observation;
use crate::engine::plan::change::{Action, Call, Plan, Step};
use crate::engine::plan::diff::seal;
use crate::engine::plan::propose::Intent;
use crate::engine::plan::survey::{Known, promised};
use crate::engine::schedule::{Schedule, Standing};
use crate::engine::schema::Kind;
use crate::engine::stack::model::{Instance, Stack};
use crate::engine::stack::resolve::{ResolvedGate, resolve, resolve_gate, resolve_output};
use crate::engine::state::journal::{Entry, Outcome, fold, replay};
use crate::engine::state::record::{Record, State};
use crate::engine::value::{Attributes, LineageKey, Value};
use crate::ops::call::take_outputs;
use crate::ops::error::OpsError;
use crate::ops::job::{Done, Hands, Job, Pen, Progress, Waiting};
use crate::ops::perform::perform;
use crate::ops::plan::Proposed;
use crate::ops::session::Session;
use crate::store::error::StoreError;
use crate::store::file::Lease;

/// Steps at once, by provider.
const AT_ONCE: [(&str, usize); 2] = [("linode", 10), ("dynamodb", 4)];

/// How long calls in flight may take after a signal.
const GRACE: Duration = Duration::from_secs(5);

/// What was asked for, for the journal.
#[derive(Debug, Clone)]
pub struct Order {
    pub command: String,
    pub intent: Intent,
    pub instance: Option<String>,
    pub plan_digest: String,
}

/// How a run went.
#[derive(Debug, Clone, Default)]
pub struct Report {
    pub done: Vec<(Address, &'static str)>,
    /// With the reason.
    pub failed: Vec<(Address, &'static str, String)>,
    pub in_doubt: Vec<(Address, &'static str, String)>,
    pub not_done: Vec<(Address, &'static str)>,
    pub outputs: BTreeMap<String, Value>,
    /// A signal or a broken store stopped it.
    pub stopped: Option<String>,
}

impl Report {
    pub fn is_complete(&self) -> bool {
        self.failed.is_empty()
            && self.in_doubt.is_empty()
            && self.not_done.is_empty()
            && self.stopped.is_none()
    }
}

/// Whether applying would change neither the world nor the state.
pub fn is_idle(proposed: &Proposed) -> bool {
    let Some(state) = &proposed.state else { return false };
    proposed.plan.is_empty()
        && proposed.settled.is_empty()
        && housekeeping(&proposed.desired.stack, state, 0).is_empty()
}

/// Runs the steps of a plan under a lease.
pub async fn apply(
    session: &Arc<Session>,
    mut lease: Lease,
    proposed: Proposed,
    order: &Order,
    tell: Arc<dyn Fn(Progress) + Send + Sync>,
    stop: watch::Receiver<Option<String>>,
) -> Result<Report, OpsError> {
    let state = open_run(session, &mut lease, &proposed, order)?;
    let (pen, lease_back) = hold_pen(lease);
    let hands = Arc::new(Hands { session: Arc::clone(session), pen: pen.clone(), tell });
    let mut run = Run::new(session, &proposed, state);
    let stopped = run.carry_out(&hands, stop).await;
    let mut report = run.report(stopped);
    let entries = run.close(session, order, &mut report);
    let written = pen.write(entries).await;
    drop(pen);
    drop(hands);
    let mut lease = lease_back.await.map_err(|_| OpsError::Input {
        what: "the journal could not be closed".into(),
        help: "the state is whole up to its last entry; run the command again".into(),
    })?;
    if let Err(why) = written {
        report.stopped = Some(why);
        return Ok(report);
    }
    lease.save(&run.state)?;
    Ok(report)
}

/// Founds the state if need be, and journals what was settled, seen and is about to run.
fn open_run(
    session: &Session,
    lease: &mut Lease,
    proposed: &Proposed,
    order: &Order,
) -> Result<State, OpsError> {
    let at = session.clock.now();
    let mut entries = Vec::new();
    let mut state = proposed.state.clone();
    if state.is_none() {
        let founded = Entry::Founded {
            stack: proposed.plan.stack.clone(),
            instance: order.instance.clone(),
            target: session.target.word().into(),
            lineage: uuid::Uuid::new_v4().to_string(),
            key: LineageKey(uuid::Uuid::new_v4().as_bytes().to_vec()),
            overlays: proposed.desired.stack.overlays.clone(),
        };
        state = replay(state, 0, &founded);
        entries.push(founded);
        entries.push(Entry::Leased { epoch: lease.epoch, owner: session.who.clone(), at });
    }
    let mut state = state.expect("it was just founded");
    entries.extend(proposed.settled.iter().cloned());
    let mut fresh = Vec::new();
    for (cloud, account) in &proposed.plan.bindings.accounts {
        if !state.bound.contains_key(cloud) {
            fresh.push(Entry::Bound { cloud: cloud.clone(), account: account.clone() });
        }
    }
    fresh.push(Entry::RunBegan {
        who: session.who.clone(),
        command: order.command.clone(),
        at,
        plan: order.plan_digest.clone(),
    });
    if let Some((from, to)) = &proposed.plan.switch {
        let (from, to, lost) = (from.clone(), to.clone(), state.lost.clone());
        fresh.push(Entry::Switched { from, to, lost, at, who: session.who.clone() });
    }
    fresh.extend(refreshed(session, &state, proposed, at));
    for entry in &fresh {
        fold(&mut state, entry);
    }
    entries.extend(fresh);
    lease.append(&entries)?;
    Ok(state)
}

/// Records whose computed attributes the cloud tells differently now.
fn refreshed(session: &Session, state: &State, proposed: &Proposed, at: i64) -> Vec<Entry> {
    let mut entries = Vec::new();
    for (address, record) in &state.records {
        let Some(Observation::Exists { attributes, .. }) = proposed.observed.get(address) else {
            continue;
        };
        let Some(kind) = session.catalog.get(&record.kind) else { continue };
        let mut seen = record.clone();
        take_outputs(&mut seen, kind, attributes);
        if seen != *record {
            let outcome = Outcome::Recorded(Box::new(seen));
            entries.push(Entry::Ended { address: address.clone(), step: 0, outcome, at });
        }
    }
    entries
}

/// One thread owns the lease and makes entries durable, as many as wait at a time with one sync.
fn hold_pen(mut lease: Lease) -> (Pen, oneshot::Receiver<Lease>) {
    let (entries, mut queue) = mpsc::unbounded_channel::<Waiting>();
    let (give_back, back) = oneshot::channel();
    std::thread::spawn(move || {
        while let Some(first) = queue.blocking_recv() {
            let mut waiting = vec![first];
            while let Ok(next) = queue.try_recv() {
                waiting.push(next);
            }
            let all: Vec<Entry> = waiting.iter().flat_map(|(it, _)| it.iter().cloned()).collect();
            let written = lease.append(&all).map(|_| ()).map_err(|why: StoreError| why.to_string());
            for (_, done) in waiting {
                // A task that was given up does not listen any more.
                done.send(written.clone()).ok();
            }
        }
        give_back.send(lease).ok();
    });
    (Pen { entries }, back)
}

/// What a run knows while it goes on.
struct Run<'a> {
    session: &'a Arc<Session>,
    stack: &'a Stack,
    plan: &'a Plan,
    state: State,
    known: Known,
    /// Deleted in this run: what a wait for its disappearance looks for.
    removed: BTreeMap<Address, Record>,
    surveyed: BTreeSet<Address>,
    created: BTreeSet<Address>,
    beside: BTreeSet<Address>,
    schedule: Schedule,
    last_of: BTreeMap<Address, usize>,
    outcomes: BTreeMap<usize, Outcome>,
}

impl<'a> Run<'a> {
    fn new(session: &'a Arc<Session>, proposed: &'a Proposed, state: State) -> Self {
        let plan = &proposed.plan;
        let limits = AT_ONCE.iter().map(|(name, limit)| ((*name).to_owned(), *limit)).collect();
        let provider_of = |step: &Step| {
            session.catalog.get(&step.kind).map(|it| it.provider.clone()).unwrap_or_default()
        };
        let mut last_of = BTreeMap::new();
        for step in &plan.steps {
            let makes =
                !matches!(step.call, Call::Delete { .. } | Call::Gone { .. } | Call::Forget);
            if makes {
                last_of.insert(step.address.clone(), step.id);
            }
        }
        let surveyed = proposed
            .observed
            .iter()
            .filter(|(_, it)| **it == Observation::Absent)
            .map(|(address, _)| address.clone())
            .collect();
        Self {
            session,
            stack: &proposed.desired.stack,
            plan,
            known: Known::recorded(&state),
            state,
            removed: BTreeMap::new(),
            surveyed,
            created: BTreeSet::new(),
            beside: plan
                .changes
                .iter()
                .filter(|it| it.action == Action::Replace { create_first: true })
                .map(|it| it.address.clone())
                .collect(),
            schedule: Schedule::new(&plan.steps, provider_of, limits),
            last_of,
            outcomes: BTreeMap::new(),
        }
    }

    /// Starts what is free, takes in what ends, until nothing runs and nothing can start.
    async fn carry_out(
        &mut self,
        hands: &Arc<Hands>,
        mut stop: watch::Receiver<Option<String>>,
    ) -> Option<String> {
        let mut running: JoinSet<Done> = JoinSet::new();
        let mut stopped = stop.borrow().clone();
        loop {
            if stopped.is_some() {
                self.schedule.stop();
            }
            for step in self.schedule.start() {
                match self.job(step) {
                    Ok(job) => {
                        running.spawn(perform(Arc::clone(hands), job));
                    }
                    Err(why) => self.take_in(Done {
                        step,
                        outcome: Outcome::Failed { why },
                        entries: Vec::new(),
                    }),
                }
            }
            if running.is_empty() {
                // Steps that could not even start may have set others free or skipped them.
                if self.schedule.has_startable() {
                    continue;
                }
                return stopped;
            }
            tokio::select! {
                ended = running.join_next() => {
                    if let Some(Ok(done)) = ended {
                        self.take_in(done);
                    }
                }
                changed = stop.changed(), if stopped.is_none() => {
                    stopped = changed.ok().and_then(|()| stop.borrow().clone());
                    if stopped.is_some() {
                        self.schedule.stop();
                        self.drain(&mut running).await;
                        return stopped;
                    }
                }
            }
        }
    }

    /// After a signal: calls in flight may finish, waits are given up.
    async fn drain(&mut self, running: &mut JoinSet<Done>) {
        let deadline = tokio::time::Instant::now() + GRACE;
        while let Ok(Some(ended)) = tokio::time::timeout_at(deadline, running.join_next()).await {
            if let Ok(done) = ended {
                self.take_in(done);
            }
        }
        running.abort_all();
    }

    fn take_in(&mut self, done: Done) {
        for entry in &done.entries {
            if let Entry::Ended { address, outcome: Outcome::Removed, .. } = entry
                && let Some(record) = self.state.records.get(address)
            {
                self.removed.insert(address.clone(), record.clone());
            }
            fold(&mut self.state, entry);
        }
        let step = &self.plan.steps[done.step];
        match &done.outcome {
            Outcome::Recorded(record) => {
                let object = record.object();
                self.known.put(step.address.clone(), object);
            }
            Outcome::Moved { .. } => {
                if let Some(record) = self.state.records.get(&step.address) {
                    self.known.put(step.address.clone(), record.object());
                }
            }
            Outcome::Removed
            | Outcome::Waited
            | Outcome::Failed { .. }
            | Outcome::InDoubt { .. } => {}
        }
        let failed = matches!(done.outcome, Outcome::Failed { .. } | Outcome::InDoubt { .. });
        if matches!(step.call, Call::Create { .. }) && !failed {
            self.created.insert(step.address.clone());
        }
        self.schedule.finish(done.step, !failed);
        self.outcomes.insert(done.step, done.outcome);
    }

    /// Works out what a step needs, now that everything before it is known.
    fn job(&self, id: usize) -> Result<Job, String> {
        let step = self.plan.steps[id].clone();
        let kind = self.session.catalog.get(&step.kind).expect("plans hold known kinds").clone();
        let instance = self.stack.instances.get(&step.address);
        let record = self.state.records.get(&step.address).or(self.removed.get(&step.address));
        let (attributes, sealed) = self.attributes(&step, &kind, instance, record)?;
        let gate = match (&step.call, instance) {
            (Call::Gate, Some(instance)) => self.gate(instance)?,
            _ => None,
        };
        let taggable = kind.mark.is_some();
        let needs = instance.map(|it| it.needs.iter().map(|(need, _)| need.clone()).collect());
        let protected = instance.and_then(|it| it.resource.lifecycle.prevent_destroy);
        let timeout = instance.and_then(|it| it.resource.timeouts.get(timeout_name(&step.call)));
        Ok(Job {
            mark: taggable.then(|| mark(&self.plan.stack, &self.state.lineage, &step.address)),
            surveyed: self.surveyed.contains(&step.address) || self.is_inside_new(&kind, instance),
            needs: needs.or(record.map(|it| it.needs.clone())).unwrap_or_default(),
            protected: protected.unwrap_or(record.is_some_and(|it| it.protected)),
            beside: self.beside.contains(&step.address),
            is_last: self.last_of.get(&step.address) == Some(&id),
            timeout: timeout.map(|it| Duration::from_secs(*it)),
            record: record.cloned(),
            step,
            kind,
            attributes,
            sealed,
            gate,
        })
    }

    /// What this run made a moment ago holds nothing that could be taken for ours.
    fn is_inside_new(&self, kind: &Kind, instance: Option<&Instance>) -> bool {
        let (Some(_), Some(instance)) = (&kind.contains_in, instance) else { return false };
        instance.needs.iter().any(|(need, _)| {
            let to = kind.contains_in.as_ref().and_then(|it| kind.attribute(it)?.to.as_ref());
            let holder = self.stack.instances.get(need).map(|it| &it.resource.kind);
            holder == to && self.created.contains(need)
        })
    }

    /// Resolved anew; what the plan knew must be unchanged.
    fn attributes(
        &self,
        step: &Step,
        kind: &Kind,
        instance: Option<&Instance>,
        record: Option<&Record>,
    ) -> Result<(Attributes, Attributes), String> {
        let planned = match &step.call {
            Call::Create { attributes, .. } | Call::Update { attributes, .. } => attributes,
            Call::Rename { .. } => &Attributes::new(),
            _ => {
                let recorded = record.map(|it| it.attributes.clone()).unwrap_or_default();
                return Ok((recorded.clone(), recorded));
            }
        };
        let instance = instance.ok_or("the layers no longer hold it")?;
        let resolved = resolve(self.stack, &self.session.catalog, instance, &self.known).map_err(
            |mistakes| mistakes.first().map_or_else(String::new, |it| it.summary.clone()),
        )?;
        let mut attributes = resolved.attributes;
        if let Call::Create { label: Some(label), .. } = &step.call
            && let Some(name) = kind.identity.by.last()
        {
            attributes.insert(name.clone(), Value::Text(label.clone()));
        }
        let sealed: Attributes = attributes
            .iter()
            .map(|(name, it)| (name.clone(), seal(it, Some(&self.state.key))))
            .collect();
        for (name, planned) in planned {
            let now = sealed.get(name).unwrap_or(&Value::Null);
            if !agrees(planned, now) {
                return Err(format!("`{name}` turned out other than planned; plan again"));
            }
        }
        if let Some((name, _)) = attributes.iter().find(|(_, it)| it.has_open()) {
            return Err(format!(
                "`{name}` is still not known, though everything it needs is there"
            ));
        }
        Ok((attributes, sealed))
    }

    fn gate(&self, instance: &Instance) -> Result<Option<ResolvedGate>, String> {
        let Some(gate) = &instance.resource.ready else { return Ok(None) };
        resolve_gate(self.stack, &self.session.catalog, instance, gate, &self.known)
            .map(Some)
            .map_err(|mistakes| mistakes.first().map_or_else(String::new, |it| it.summary.clone()))
    }

    fn report(&self, stopped: Option<String>) -> Report {
        let mut report = Report { stopped, ..Report::default() };
        for step in &self.plan.steps {
            let what = (step.address.clone(), step.call.word());
            match (self.schedule.standing(step.id), self.outcomes.get(&step.id)) {
                (Standing::Done, _) => report.done.push(what),
                (_, Some(Outcome::InDoubt { why })) => {
                    report.in_doubt.push((what.0, what.1, why.clone()));
                }
                (Standing::Failed, Some(Outcome::Failed { why })) => {
                    report.failed.push((what.0, what.1, why.clone()));
                }
                (Standing::Running, _) if step.call.mutates() => {
                    let why = "it was interrupted; the next run looks what became of it".into();
                    report.in_doubt.push((what.0, what.1, why));
                }
                _ => report.not_done.push(what),
            }
        }
        report
    }

    /// The entries that end the run, folded into the state already.
    fn close(&mut self, session: &Session, order: &Order, report: &mut Report) -> Vec<Entry> {
        let at = session.clock.now();
        let mut entries = Vec::new();
        if order.intent == Intent::Apply {
            entries.extend(housekeeping(self.stack, &self.state, at));
        }
        let outputs = self.outputs(order);
        report.outputs.clone_from(&outputs);
        entries.push(Entry::RunEnded {
            at,
            complete: report.is_complete(),
            overlays: match order.intent {
                Intent::Apply => self.stack.overlays.clone(),
                // Nothing is left to be under an overlay: the next apply starts at home.
                Intent::Destroy if self.state.records.is_empty() => self.state.home.clone(),
                Intent::Destroy => self.state.active.clone(),
            },
            variables: self.remembered(),
            outputs,
        });
        for entry in &entries {
            fold(&mut self.state, entry);
        }
        entries
    }

    fn outputs(&self, order: &Order) -> BTreeMap<String, Value> {
        if order.intent == Intent::Destroy {
            return BTreeMap::new();
        }
        let mut known = self.known.clone();
        for (address, instance) in &self.stack.instances {
            if let Some(kind) = self.session.catalog.get(&instance.resource.kind)
                && !known.objects.contains_key(address)
            {
                known.put(address.clone(), promised(kind, &Attributes::new()));
            }
        }
        let mut outputs = BTreeMap::new();
        for (name, output) in &self.stack.outputs {
            let value = resolve_output(self.stack, &self.session.catalog, output, &known);
            match value.ok().filter(|it| !it.has_open()) {
                Some(value) => outputs.insert(name.clone(), seal(&value, Some(&self.state.key))),
                // Not known after a failure: what was recorded stays.
                None => self
                    .state
                    .outputs
                    .get(name)
                    .and_then(|it| outputs.insert(name.clone(), it.clone())),
            };
        }
        outputs
    }

    /// Non-sensitive variables that somebody gave; defaults and overlays speak for themselves.
    fn remembered(&self) -> BTreeMap<String, Value> {
        self.stack
            .variables
            .iter()
            .filter(|(_, it)| it.is_given() && !it.sensitive && !it.value.has_secret())
            .map(|(name, it)| (name.clone(), it.value.clone()))
            .collect()
    }
}

/// Protection and dependencies follow the layers even where nothing is called.
fn housekeeping(stack: &Stack, state: &State, at: i64) -> Vec<Entry> {
    let mut entries = Vec::new();
    for (address, instance) in &stack.instances {
        let Some(record) = state.records.get(address) else { continue };
        let mut kept = record.clone();
        kept.needs = instance.needs.iter().map(|(need, _)| need.clone()).collect();
        kept.protected = instance.resource.lifecycle.prevent_destroy.unwrap_or(record.protected);
        if kept != *record {
            let outcome = Outcome::Recorded(Box::new(kept));
            entries.push(Entry::Ended { address: address.clone(), step: 0, outcome, at });
        }
    }
    entries
}

/// Whether a value is what the plan knew of it; open parts and unfingerprinted secrets may be anything.
fn agrees(planned: &Value, now: &Value) -> bool {
    match (planned, now) {
        (Value::Open, _) => true,
        (Value::Fingerprint(it), Value::Fingerprint(_)) if it.is_empty() => true,
        (Value::List(planned), Value::List(now)) => {
            planned.len() == now.len() && planned.iter().zip(now).all(|(a, b)| agrees(a, b))
        }
        (Value::Map(planned), Value::Map(now)) => {
            planned.len() == now.len()
                && planned.iter().all(|(name, a)| now.get(name).is_some_and(|b| agrees(a, b)))
        }
        (planned, now) => planned == now,
    }
}

fn timeout_name(call: &Call) -> &'static str {
    match call {
        Call::Delete { .. } | Call::Gone { .. } => "delete",
        Call::Update { .. } | Call::Rename { .. } => "update",
        _ => "create",
    }
}

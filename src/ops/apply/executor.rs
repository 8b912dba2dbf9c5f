//! A run while it goes on: starts what is free, takes in what ends, works out what each step needs.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::sync::watch;

use crate::engine::address::Address;
use crate::engine::containment::declared_containers;
use crate::engine::lang::model::{Gate, Instance, Resource, Stack};
use crate::engine::lang::resolve::{ResolvedGate, resolve, resolve_gate};
use crate::engine::lang::validate::attribute_reads::Around;
use crate::engine::lang::validate::implied::forms;
use crate::engine::lang::validate::kind_rules::KindRules;
use crate::engine::observed::Observation;
use crate::engine::ownership_tag::ownership_tag;
use crate::engine::plan::diff::attributes::seal;
use crate::engine::plan::draft::refresh::KnownValues;
use crate::engine::plan::format::same_as_planned::changed;
use crate::engine::plan::model::change::{Action, Plan, Step, StepCall};
use crate::engine::plan::model::step_phase::ttl;
use crate::engine::recovery::users_moved::{RemainingTraffic, role_of};
use crate::engine::schedule::Schedule;
use crate::engine::schema::Kind;
use crate::engine::state::journal::{JournalEntry, StepOutcome, fold};
use crate::engine::state::record::{Record, State};
use crate::engine::text::diagnostic::{Diagnostic, on_one_line, stops};
use crate::engine::text::redact::redactor;
use crate::engine::value::{Attributes, Value};
use crate::ops::apply::call_slots::{NEAR, provider_of};
use crate::ops::apply::known_values::{known_values, with_secrets};
use crate::ops::apply::running_steps::{EndedTask, RunningSteps, ended};
use crate::ops::apply::step_inputs::{
    LookedBehindBegan, Progress, StepContext, StepDone, StepInputs, StepWait, Times,
};
use crate::ops::apply::watched_resources::OpenGate;
use crate::ops::load::session::Session;
use crate::ops::plan::make::Proposed;

/// How long calls in flight may take after a signal: less than the 7.5 s after which GitHub Actions follows up with SIGTERM
/// (<https://docs.github.com/en/actions/reference/workflow-cancellation-reference>). The next run finds out what became of a
/// call that was cut off.
const GRACE: Duration = Duration::from_secs(5);

/// Whether the last run was one of another machine, by what it called itself: `ann@host, process 7`.
fn is_elsewhere(before: Option<&State>, who: &str) -> bool {
    let machine = |who: &str| {
        let of = who.split_once(", process ").map_or(who, |it| it.0);
        of.rsplit_once('@').map_or(of, |it| it.1).to_owned()
    };
    let last = before.and_then(|it| it.last_run.as_ref());
    last.is_some_and(|it| machine(&it.who) != machine(who))
}

/// What a run knows while it goes on.
pub struct Executor<'a> {
    pub session: &'a Arc<Session>,
    pub stack: &'a Stack,
    pub plan: &'a Plan,
    pub state: State,
    pub known: KnownValues,
    /// Deleted in this run: what a wait for its disappearance looks for.
    pub removed: BTreeMap<Address, Record>,
    pub surveyed: BTreeSet<Address>,
    pub created: BTreeSet<Address>,
    pub beside: BTreeSet<Address>,
    /// Deleted by this plan, sooner or later.
    pub leaving: BTreeSet<Address>,
    pub schedule: Schedule,
    pub last_of: BTreeMap<Address, usize>,
    pub outcomes: BTreeMap<usize, StepOutcome>,
    /// Until nothing of it is left, users are not where the switch wants them.
    pub traffic: RemainingTraffic,
    pub times: BTreeMap<usize, Times>,
    /// The end of what tasks printed, by step.
    pub outputs: BTreeMap<usize, String>,
    /// The run before this one was on another machine.
    pub interrupted_elsewhere: bool,
    /// Tasks that were taken back at the end, and how that ended.
    pub lifted: Vec<(Address, StepOutcome)>,
    /// What serving gates watch while they wait, by step.
    pub open_gates: BTreeMap<usize, Vec<OpenGate>>,
    /// Those of every kind that a step met, compiled once.
    pub rules: RefCell<KindRules<'a>>,
    /// How long calls in flight may take after a signal.
    pub grace: Duration,
}

impl<'a> Executor<'a> {
    pub fn new(
        session: &'a Arc<Session>,
        proposed: &'a Proposed,
        state: State,
        at_once: BTreeMap<String, usize>,
    ) -> Self {
        let plan = &proposed.plan;
        let provider_of = |step: &Step| provider_of(&session.catalog, step);
        let mut last_of = BTreeMap::new();
        for step in &plan.steps {
            // A temporary name is never the last word.
            let makes = !matches!(
                step.call,
                StepCall::Delete { .. }
                    | StepCall::Gone { .. }
                    | StepCall::Forget
                    | StepCall::Rename { to: Some(_), .. }
            );
            if makes && !step.call.is_gate() {
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
            known: known_values(
                &proposed.desired.stack,
                &session.catalog,
                proposed.desired.graph.order(),
                &state,
            ),
            state,
            removed: BTreeMap::new(),
            surveyed,
            created: BTreeSet::new(),
            leaving: plan
                .changes
                .iter()
                .filter(|it| it.action == Action::Delete)
                .map(|it| it.address.clone())
                .collect(),
            beside: plan
                .changes
                .iter()
                .filter(|it| it.action == Action::Replace { create_first: true })
                .map(|it| it.address.clone())
                .collect(),
            schedule: Schedule::new(&plan.steps, provider_of, at_once),
            last_of,
            outcomes: BTreeMap::new(),
            traffic: RemainingTraffic::new(&session.catalog, plan),
            times: BTreeMap::new(),
            outputs: BTreeMap::new(),
            interrupted_elsewhere: is_elsewhere(proposed.state.as_ref(), &session.who),
            lifted: Vec::new(),
            open_gates: BTreeMap::new(),
            rules: RefCell::default(),
            grace: GRACE,
        }
    }

    /// Starts the steps that are free and takes in those that end, until nothing runs and nothing can start. After a signal,
    /// or when the lease is lost, it starts nothing more and gives calls in flight 5 s.
    pub async fn carry_out(
        &mut self,
        hands: &Arc<StepContext>,
        mut stop: watch::Receiver<Option<String>>,
    ) -> Option<String> {
        let mut running = RunningSteps::default();
        loop {
            self.record_phase(hands).await;
            let broken = || "the journal cannot be written".to_owned();
            let stopped = stop.borrow_and_update().clone();
            let stopped = stopped.or_else(|| hands.pen.broken.load(Relaxed).then(broken));
            if stopped.is_some() {
                self.schedule.stop();
                hands.slots.close();
                self.drain(hands, &mut running).await;
                self.record_phase(hands).await;
                return stopped;
            }
            // Only what is journalled may call, and the store may be far away: the next ones are journalled meanwhile.
            let store = hands.pen.latency.recent();
            let started = self.schedule.start(|provider| hands.slots.ahead(provider, store));
            let has_started = !started.is_empty();
            let gathering = hands.gather();
            for step in started {
                let started = Some(self.session.clock.now());
                self.times.insert(step, Times { started, ..Times::default() });
                if let Err(why) = self.begin(step, hands, &mut running) {
                    self.take_in(StepDone::new(step, StepOutcome::failed(why), Vec::new()));
                }
            }
            drop(gathering);
            if running.count() == 0 {
                // Steps that could not even start may have set others free or skipped them.
                if has_started {
                    continue;
                }
                return None;
            }
            // Where nothing but gates runs, nothing can come to them any more.
            if running.count() <= self.open_gates.len() {
                self.expect_nothing_more();
            }
            tokio::select! {
                Some(ended) = running.next() => self.end(hands, ended).await,
                () = hands.slots.acted(), if store >= NEAR => {}
                // Its sender lives as long as the lease.
                Ok(()) = stop.changed() => {}
            }
        }
    }

    /// After a signal, or when the lease or the journal is gone: calls in flight may finish, waits are given up.
    async fn drain(&mut self, hands: &StepContext, running: &mut RunningSteps) {
        let deadline = tokio::time::Instant::now() + self.grace;
        while let Ok(Some(ended)) = tokio::time::timeout_at(deadline, running.next()).await {
            self.end(hands, ended).await;
        }
        for step in running.give_up().await {
            let entries = hands.pen.of_gone(step).await;
            match ended(&entries) {
                Some(outcome) => self.take_in(StepDone::new(step, outcome, entries)),
                // What began is in the journal, and so in the state: the next run looks what became of it.
                None => entries.iter().for_each(|it| fold(&mut self.state, it)),
            }
        }
    }

    /// Takes in what became of a task. One that panicked may have sent its request: it is as after a crash.
    async fn end(&mut self, hands: &StepContext, ended_task: EndedTask) {
        let done = match ended_task {
            EndedTask::Done(done) => {
                hands.pen.durable.take(done.step);
                hands.slots.has_ended(done.step);
                done
            }
            EndedTask::Panicked { step, why } => {
                hands.slots.has_ended(step);
                let entries = hands.pen.of_gone(step).await;
                let why = format!("a bug in lifeboat ended this step: {}", redactor().redact(&why));
                let begins = |it: &JournalEntry| {
                    matches!(it, JournalEntry::Pending(_) | JournalEntry::TaskBegan { .. })
                };
                let has_begun = entries.iter().any(begins);
                let outcome = ended(&entries).unwrap_or_else(|| {
                    if has_begun {
                        StepOutcome::in_doubt(format!("{why}; the next run checks its result"))
                    } else {
                        StepOutcome::failed(why)
                    }
                });
                (hands.tell)(Progress::Ended { step, outcome: outcome.clone() });
                StepDone::new(step, outcome, entries)
            }
        };
        self.take_in(done);
    }

    fn take_in(&mut self, done: StepDone) {
        if done.outcome == StepOutcome::Withdrawn {
            done.entries.iter().for_each(|it| fold(&mut self.state, it));
            self.times.remove(&done.step);
            self.schedule.withdraw(done.step);
            return;
        }
        let times = self.times.entry(done.step).or_default();
        times.started = done.started.or(times.started);
        times.ended = Some(self.session.clock.now());
        times.arrived = done.arrived.map(|it| u64::try_from(it.as_millis()).unwrap_or(u64::MAX));
        for entry in &done.entries {
            if let JournalEntry::Ended { address, outcome: StepOutcome::Removed, .. } = entry
                && let Some(record) = self.state.records.get(address)
            {
                self.removed.insert(address.clone(), record.clone());
            }
            fold(&mut self.state, entry);
        }
        let step = &self.plan.steps[done.step];
        match &done.outcome {
            StepOutcome::Recorded(record) => {
                let mut object = self.object(&step.address, record);
                if record.deposed.is_some() {
                    object.extend(self.desired_name(&step.address));
                }
                self.known.put(step.address.clone(), object);
            }
            StepOutcome::Moved { .. } => {
                if let Some(record) = self.state.records.get(&step.address) {
                    self.known.put(step.address.clone(), self.object(&step.address, record));
                }
            }
            StepOutcome::Removed
            | StepOutcome::Waited
            | StepOutcome::Failed(_)
            | StepOutcome::InDoubt(_)
            | StepOutcome::Withdrawn => {}
        }
        let failed = matches!(done.outcome, StepOutcome::Failed(_) | StepOutcome::InDoubt(_));
        if matches!(step.call, StepCall::Create { .. }) && !failed {
            self.created.insert(step.address.clone());
        }
        if !failed {
            self.traffic.finish(done.step);
        }
        // Who declares that the switch goes on without it is told, and not held back.
        self.schedule.finish(done.step, !failed || self.goes_on_without(step));
        if !done.output.is_empty() {
            self.outputs.insert(done.step, done.output);
        }
        self.outcomes.insert(done.step, done.outcome);
        self.tell_open_gates(done.step);
    }

    /// What expressions see of a record.
    fn object(&self, address: &Address, record: &Record) -> Attributes {
        let Some(instance) = self.stack.instances.get(address) else { return record.object() };
        let catalog = &self.session.catalog;
        with_secrets(self.stack, catalog, instance, record, (&self.state.key, &self.known))
    }

    /// How long the changes that a wait follows may take, where they say more than the kind does.
    fn slow(&self, step: &Step, kind: &Kind) -> Option<Duration> {
        let before = step.waits.iter().filter_map(|it| self.plan.steps.get(*it));
        let own = before.filter(|it| it.address == step.address);
        own.filter_map(|it| match &it.call {
            StepCall::Update { changed, .. } => kind.slowest(changed),
            _ => None,
        })
        .max()
    }

    /// What a replace made beside goes under a name of its own for a while; others see the desired one.
    fn desired_name(&self, address: &Address) -> Option<(String, Value)> {
        let instance = self.stack.instances.get(address)?;
        let kind = self.session.catalog.get(&instance.resource.kind)?;
        let name = kind.identity.by.last()?;
        let resolved = resolve(self.stack, &self.session.catalog, instance, &self.known).ok()?;
        let value = resolved.attributes.get(name)?;
        Some((name.clone(), seal(value, Some(&self.state.key))))
    }

    /// Works out what a step needs, now that everything before it is known.
    pub fn inputs(&self, id: usize) -> Result<StepInputs, String> {
        let step = self.plan.steps[id].clone();
        let session: &'a Session = self.session;
        let kind = session.catalog.get(&step.kind).expect("plans hold known kinds");
        let address = &step.address;
        let instance = self.stack.instances.get(address);
        let record = self.state.records.get(address).or(self.removed.get(address));
        let (attributes, sealed) = self.attributes(&step, kind, instance, record)?;
        let wait = self.wait(&step, kind, instance)?;
        let parent_is_new = self.is_inside_new(kind, instance);
        let tag = || ownership_tag(&self.plan.stack, &self.state.lineage, address);
        // The layers say both; what they dropped keeps what was recorded of it.
        let needs = instance.map(|it| it.needs.iter().map(|(need, _)| need.clone()).collect());
        let protected = instance.and_then(|it| it.resource.lifecycle.prevent_destroy);
        let timeout = instance.and_then(|it| it.resource.timeouts.get(timeout_name(&step.call)));
        Ok(StepInputs {
            mark: kind.mark.is_some().then(tag),
            surveyed: parent_is_new || self.surveyed.contains(address),
            parent_is_new,
            needs: needs.or(record.map(|it| it.needs.clone())).unwrap_or_default(),
            protected: protected.unwrap_or(record.is_some_and(|it| it.protected)),
            beside: self.beside.contains(address),
            is_last: self.last_of.get(address) == Some(&id),
            timeout: timeout.map(|it| Duration::from_secs(*it)),
            slow: self.slow(&step, kind),
            dns_bound: ttl(&step, role_of(&self.session.catalog, &step, &self.plan.steps)),
            record: record.cloned(),
            kind: kind.clone(),
            provider: provider_of(&session.catalog, &step),
            rank: self.schedule.rank(id),
            looked: LookedBehindBegan::default(),
            step,
            attributes,
            sealed,
            wait,
        })
    }

    /// What the wait of a step looks at. A condition of the stack's own stands in place of lifeboat's.
    fn wait(
        &self,
        step: &Step,
        kind: &'a Kind,
        instance: Option<&Instance>,
    ) -> Result<StepWait, String> {
        let own = |gate: &dyn Fn(&Arc<Resource>) -> Option<Gate>| match instance {
            Some(it) => self.gate(it, gate(&it.resource).as_ref()),
            None => Ok(None),
        };
        let condition =
            |gate: Option<ResolvedGate>| gate.map_or(StepWait::Nothing, StepWait::Condition);
        match &step.call {
            StepCall::Gate => own(&|it| it.ready.as_deref().cloned()).map(condition),
            StepCall::Serving { of, probe, .. } if of.is_empty() => {
                own(&|it| it.gates.probes().nth(*probe).cloned()).map(condition)
            }
            StepCall::Serving { of, serves, .. } => {
                let health = instance.and_then(|it| it.resource.gates.health());
                Ok(StepWait::Serving {
                    of: self.serving(step, kind, instance, (of, serves))?,
                    within: health.map(|it| it.within_seconds),
                    times: health.map_or(1, |it| it.times),
                })
            }
            StepCall::Replication { from, .. } => {
                let peer = Box::new(self.watched(from)?);
                let gate = own(&|it| it.gates.replication().cloned())?;
                Ok(gate.map_or(StepWait::Nothing, |gate| StepWait::Replication { gate, peer }))
            }
            StepCall::Drain { until, .. } => {
                let draining = self.state.draining.iter().filter(|it| it.address == step.address);
                Ok(StepWait::Drain { until: until.or(draining.map(|it| it.until).max()) })
            }
            _ => Ok(StepWait::Nothing),
        }
    }

    /// What this run made a moment ago holds nothing that could be taken for ours.
    fn is_inside_new(&self, kind: &Kind, instance: Option<&Instance>) -> bool {
        let containers = instance.map(|it| declared_containers(self.stack, it, kind));
        containers.iter().flatten().any(|it| self.created.contains(it))
    }

    /// Resolved anew; what the plan knew must be unchanged.
    fn attributes(
        &self,
        step: &Step,
        kind: &'a Kind,
        instance: Option<&Instance>,
        record: Option<&Record>,
    ) -> Result<(Attributes, Attributes), String> {
        let planned = match &step.call {
            StepCall::Create { attributes, .. } | StepCall::Update { attributes, .. } => attributes,
            StepCall::Rename { .. } => &Attributes::new(),
            _ => {
                let recorded = record.map(|it| it.attributes.clone()).unwrap_or_default();
                return Ok((recorded.clone(), recorded));
            }
        };
        let instance = instance.ok_or("the layers no longer hold it")?;
        let told = |mistakes: &[Diagnostic]| on_one_line(mistakes, &self.stack.sources);
        let resolved = resolve(self.stack, &self.session.catalog, instance, &self.known)
            .map_err(|mistakes| told(&mistakes))?;
        // What only now is known has to go together as what was known before.
        let mut wrong = Vec::new();
        forms(kind, instance, &resolved, &mut wrong);
        let catalog = &*self.session.catalog;
        let around = Around { stack: self.stack, catalog, scope: &self.known };
        self.rules.borrow_mut().check(kind, instance, &resolved, around, &mut wrong);
        if stops(&wrong) {
            return Err(told(&wrong));
        }
        let place = |name: &str| {
            let span = resolved.value_span(name).unwrap_or(instance.resource.span);
            self.stack.sources.place(span)
        };
        let mut attributes = resolved.attributes.clone();
        if let StepCall::Create { label: Some(label), .. } = &step.call
            && let Some(name) = kind.identity.by.last()
        {
            attributes.insert(name.clone(), Value::Text(label.clone()));
        }
        if let StepCall::Rename { attribute, to: Some(to) } = &step.call {
            attributes.insert(attribute.clone(), Value::text(to));
        }
        if let StepCall::Update { group, changed, .. } = &step.call {
            kind.unset(group, changed, &mut attributes);
        }
        // Whom a member joins was decided when it was planned; the layers do not say it.
        if let Some((name, region)) = kind.join_as().and_then(|it| planned.get_key_value(it)) {
            attributes.insert(name.clone(), region.clone());
        }
        let sealed: Attributes = attributes
            .iter()
            .map(|(name, it)| (name.clone(), seal(it, Some(&self.state.key))))
            .collect();
        if let Some((name, planned, now)) = changed(planned, &sealed) {
            return Err(format!(
                "`{name}` ({}) is {}, which differs from the planned value {}; plan again",
                place(name),
                now.json(),
                planned.json()
            ));
        }
        if let Some((name, _)) = attributes.iter().find(|(_, it)| it.has_open()) {
            return Err(format!(
                "`{name}` ({}) is still unknown although everything that it depends on exists",
                place(name)
            ));
        }
        Ok((attributes, sealed))
    }

    fn gate(
        &self,
        instance: &Instance,
        gate: Option<&Gate>,
    ) -> Result<Option<ResolvedGate>, String> {
        let Some(gate) = gate else { return Ok(None) };
        resolve_gate(self.stack, &self.session.catalog, instance, gate, &self.known)
            .map(Some)
            .map_err(|mistakes| on_one_line(&mistakes, &self.stack.sources))
    }
}

fn timeout_name(call: &StepCall) -> &'static str {
    match call {
        StepCall::Delete { .. } | StepCall::Gone { .. } => "delete",
        StepCall::Update { .. } | StepCall::Rename { .. } => "update",
        _ => "create",
    }
}

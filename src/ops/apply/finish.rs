//! How a run ends: what is done and what is not, and the entries that say so.

use std::collections::BTreeMap;

use crate::engine::address::Address;
use crate::engine::lang::merge::variables::remembered;
use crate::engine::lang::model::Stack;
use crate::engine::lang::resolve::resolve_output;
use crate::engine::plan::diff::attributes::{is_missing_secret, seal};
use crate::engine::plan::draft::refresh::promised;
use crate::engine::plan::model::change::{Action, DeferReason, Plan, SkippedGate};
use crate::engine::plan::planner::Intent;
use crate::engine::recovery::completion::{Completion, Unfinished, ending, open};
use crate::engine::recovery::report::step_timing::StepTiming;
use crate::engine::recovery::users_moved::UsersAre;
use crate::engine::retry::Pacing;
use crate::engine::schedule::StepState;
use crate::engine::state::journal::{JournalEntry, StepFailure, StepOutcome, fold};
use crate::engine::state::record::{Phase, Record, RunRecord, State, SwitchRecord};
use crate::engine::state::task_record::TaskRecord;
use crate::engine::value::{Attributes, Value};
use crate::ops::apply::executor::Executor;
use crate::ops::load::session::Session;
use crate::store::error::LeaseEnd;

/// What was asked for, for the journal.
#[derive(Debug, Clone)]
pub struct RunRequest {
    pub pace: Pacing,
    pub command: String,
    pub intent: Intent,
    pub instance: Option<String>,
    pub plan_digest: String,
}

/// How a run went.
#[derive(Debug, Clone, Default)]
pub struct RunResult {
    pub done: Vec<(Address, &'static str)>,
    /// Tasks that failed and that the rest does not wait for.
    pub passed_over: Vec<(Address, &'static str, StepFailure)>,
    /// Tasks that were undone at the end: the switch failed before it moved users.
    pub lifted: Vec<Address>,
    /// With the reason.
    pub failed: Vec<(Address, &'static str, StepFailure)>,
    pub in_doubt: Vec<(Address, &'static str, StepFailure)>,
    pub not_done: Vec<(Address, &'static str)>,
    pub outputs: BTreeMap<String, Value>,
    /// What keeps it from being over, whatever became of its steps.
    pub open: Vec<Unfinished>,
    /// A signal or a broken store stopped it.
    pub stopped: Option<String>,
    /// The lease ended before its time, and that is why.
    pub lease_over: Option<LeaseEnd>,
    /// Every step of the plan with its times.
    pub steps: Vec<StepTiming>,
    /// Gates that it did not wait for.
    pub skipped_gates: Vec<SkippedGate>,
    /// Tasks of a switch whose users have not moved that something takes back, and nothing has yet.
    pub in_force: Vec<String>,
    /// How far the switch is that it was part of.
    pub phase: Phase,
    /// The command that goes on with what is left; `None`: nothing is.
    pub resume: Option<String>,
    /// Where the users of that switch are; `None`: it was part of none.
    pub users: Option<UsersAre>,
    /// In milliseconds since the Unix epoch, on the clock of the world.
    pub began: i64,
    pub ended: i64,
}

impl RunResult {
    /// How far it came.
    pub fn ending(&self) -> Completion {
        let is_made = self.failed.is_empty()
            && self.in_doubt.is_empty()
            && self.not_done.is_empty()
            && self.stopped.is_none();
        ending(&self.open, is_made)
    }

    /// What a person has to do before the same command can do better, by the gravest of what clouds answered.
    pub fn remedy(&self) -> Option<&'static str> {
        let classes = self.failed.iter().filter_map(|(_, _, why)| why.class);
        classes.filter(|it| it.remedy().is_some()).min()?.remedy()
    }

    /// Whether everything was done that this run was to do.
    pub fn is_over(&self) -> bool {
        self.ending() == Completion::Over
    }
}

impl Executor<'_> {
    /// The result, with the reason why it stopped early, if it did.
    pub fn report(&self, stopped: Option<String>) -> RunResult {
        let ended = self.session.clock.now();
        let began = self.state.last_run.as_ref().map_or(ended, |it| it.at);
        let mut report =
            RunResult { stopped, steps: self.timed(), began, ended, ..RunResult::default() };
        report.open = open(self.plan);
        report.skipped_gates.clone_from(&self.plan.skipped_gates);
        for (address, outcome) in &self.lifted {
            match outcome {
                StepOutcome::Failed(it) | StepOutcome::InDoubt(it) => {
                    report.failed.push((address.clone(), "undo task", it.clone()));
                }
                _ => report.lifted.push(address.clone()),
            }
        }
        for step in &self.plan.steps {
            let what = (step.address.clone(), step.call.phrase());
            match (self.schedule.standing(step.id), self.outcomes.get(&step.id)) {
                (StepState::Done, Some(StepOutcome::Failed(it) | StepOutcome::InDoubt(it))) => {
                    report.passed_over.push((what.0, what.1, it.clone()));
                }
                (StepState::Done, _) => report.done.push(what),
                (_, Some(StepOutcome::InDoubt(it))) => {
                    report.in_doubt.push((what.0, what.1, it.clone()));
                }
                (StepState::Failed, Some(StepOutcome::Failed(it))) => {
                    report.failed.push((what.0, what.1, it.clone()));
                }
                (StepState::Running, _) if step.call.acts() => {
                    let why = "it was interrupted; the next run checks its result".into();
                    report.in_doubt.push((what.0, what.1, why));
                }
                _ => report.not_done.push(what),
            }
        }
        report
    }

    /// The entries that end the run, folded into the state already.
    pub fn close(
        &mut self,
        session: &Session,
        order: &RunRequest,
        report: &mut RunResult,
    ) -> Vec<JournalEntry> {
        let at = session.clock.now();
        let mut entries = Vec::new();
        if order.intent == Intent::Apply {
            entries.extend(record_metadata_updates(self.stack, self.plan, &self.state, at));
        }
        let outputs = self.outputs(order);
        report.outputs.clone_from(&outputs);
        entries.push(JournalEntry::RunEnded {
            at,
            complete: report.is_over(),
            overlays: match order.intent {
                Intent::Apply => self.stack.overlays.clone(),
                // Nothing is left to be under an overlay: the next apply starts at home.
                Intent::Destroy if self.state.records.is_empty() => self.state.home.clone(),
                Intent::Destroy => self.state.active.clone(),
            },
            variables: match order.intent {
                Intent::Apply => remembered(&self.stack.variables),
                // A new life begins with what it is given.
                Intent::Destroy if self.state.records.is_empty() => BTreeMap::new(),
                Intent::Destroy => self.state.variables.clone(),
            },
            outputs,
        });
        // The end of a switch forgets what it did.
        let shifted = self.state.unfinished_switch().map(SwitchRecord::has_shifted);
        for entry in &entries {
            fold(&mut self.state, entry);
        }
        report.phase = self.state.phase;
        let is_left = self.state.last_run.as_ref().is_some_and(RunRecord::is_unfinished);
        report.resume = is_left.then(|| self.state.resume());
        report.users = shifted.map(|it| UsersAre::by(self.state.phase, it));
        let here = self.state.switching().map(SwitchRecord::identity);
        let owed = |it: &TaskRecord| {
            it.is_in_force() && it.takes_back.is_some() && here == Some(it.run.switch)
        };
        let tasks = self.state.tasks.iter().filter(|(_, it)| owed(it));
        report.in_force = tasks.map(|(name, _)| name.clone()).collect();
        entries
    }

    fn outputs(&self, order: &RunRequest) -> BTreeMap<String, Value> {
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
            match value.ok().filter(|it| !it.has_open() && !is_missing_secret(it)) {
                Some(value) => outputs.insert(name.clone(), seal(&value, Some(&self.state.key))),
                // Not known after a failure, or made of a secret that nobody gave: what was recorded stays.
                None => self
                    .state
                    .outputs
                    .get(name)
                    .and_then(|it| outputs.insert(name.clone(), it.clone())),
            };
        }
        outputs
    }
}

/// Protection and dependencies follow the layers even where nothing is called; what is held, or was to be changed, stays
/// as its own steps left it.
pub fn record_metadata_updates(
    stack: &Stack,
    plan: &Plan,
    state: &State,
    at: i64,
) -> Vec<JournalEntry> {
    let mut entries = Vec::new();
    let held: BTreeMap<&Address, Option<DeferReason>> = plan
        .changes
        .iter()
        .filter(|it| {
            let calls = !matches!(it.action, Action::NoOp | Action::Await | Action::Move);
            calls || it.deferred.is_some() || it.frozen.is_some() || it.unknown.is_some()
        })
        .map(|it| (&it.address, it.deferred.as_ref().map(|it| it.wait)))
        .collect();
    let mut keep = |address: &Address, record: &Record, kept: Record| {
        if kept != *record {
            let outcome = StepOutcome::Recorded(Box::new(kept));
            // No step of the plan: those that count steps pass it over.
            let step = plan.steps.len();
            entries.push(JournalEntry::Ended { address: address.clone(), step, outcome, at });
        }
    };
    for (address, instance) in &stack.instances {
        let Some(record) = state.records.get(address) else { continue };
        let mut kept = record.clone();
        kept.retained = false;
        kept.leaving &= held.contains_key(address);
        if !held.contains_key(address) {
            kept.needs = instance.needs.iter().map(|(need, _)| need.clone()).collect();
            kept.protected =
                instance.resource.lifecycle.prevent_destroy.unwrap_or(record.protected);
        }
        keep(address, record, kept);
    }
    for (address, _) in held.iter().filter(|(_, it)| **it == Some(DeferReason::Retained)) {
        if let Some(record) = state.records.get(*address) {
            keep(address, record, Record { retained: true, ..record.clone() });
        }
    }
    entries
}

//! The journal: what began, what ended and what was decided; state is the fold of its entries.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::engine::address::Address;
use crate::engine::allowance::{Exemption, UsedAllowance, end_of};
use crate::engine::retry::ErrorClass;
pub use crate::engine::state::record::PendingOperation;
use crate::engine::state::record::{
    Allowances, Draining, Keep, LostDomain, Phase, Record, RecordedFailure, RunRecord, ShiftRecord,
    State, SwitchRecord,
};
use crate::engine::state::task_record::{RecordedUndo, TaskAttempt, TaskEnd, TaskRecord};
use crate::engine::value::{LineageKey, Value};

/// One line of the journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JournalEntry {
    /// The first line of a state's life.
    Founded {
        stack: String,
        instance: Option<String>,
        target: String,
        lineage: String,
        key: LineageKey,
        overlays: Vec<String>,
    },
    /// The right to write, with its epoch.
    Leased {
        epoch: u64,
        owner: String,
        /// What the holder does with it. Unknown to journals of before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        command: Option<String>,
        at: i64,
        /// From whom it was taken, and how.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        preempted: Option<String>,
    },
    /// Which account of a cloud this state belongs to.
    Bound {
        cloud: String,
        account: String,
    },
    RunBegan {
        who: String,
        command: String,
        at: i64,
        plan: String,
        /// How many steps the plan has.
        #[serde(default, skip_serializing_if = "is_none")]
        steps: usize,
        /// Everything is to go.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        destroys: bool,
        /// Non-sensitive ones: who finishes it, where it is cut off, goes on with them. Those of a switch stand in its own entry.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        variables: Option<BTreeMap<String, Value>>,
        /// Those of them that hold at home as well, though another side is active.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        home_variables: BTreeMap<String, Value>,
    },
    /// Durable before the first mutating call of a switch.
    Switched {
        from: Vec<String>,
        to: Vec<String>,
        lost: Vec<LostDomain>,
        /// Non-sensitive ones: who finishes it does not have to know what was said when it began.
        #[serde(default)]
        variables: BTreeMap<String, Value>,
        #[serde(default)]
        keep: Keep,
        #[serde(default, skip_serializing_if = "Allowances::is_nothing")]
        allowed: Allowances,
        /// When the site was last seen good, where somebody watched it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        last_good: Option<i64>,
        at: i64,
        who: String,
    },
    /// A fault domain answers again, and may be acted on.
    #[serde(rename = "found")]
    Recovered {
        fault_domain: String,
        at: i64,
        who: String,
    },
    /// Users were directed elsewhere, together with the end of the step that did it.
    Directed {
        address: Address,
        /// What it named before.
        was: Vec<Address>,
        /// How long what was before has to stay; `None`: nobody has to be waited for.
        until: Option<i64>,
        directed: ShiftRecord,
    },
    /// The users of a switch are where it wants them; what follows is capacity and repairs. Since format 2.
    UsersMoved {
        at: i64,
    },
    /// They had moved, and are not there any more: somebody led them away, or took their name away. Since format 2.
    UsersAway {
        at: i64,
    },
    /// Durable before the request leaves.
    #[serde(rename = "began")]
    Pending(PendingOperation),
    /// A gate is waited at: no request that changes anything.
    Waiting {
        address: Address,
        step: usize,
        gate: String,
        at: i64,
    },
    /// Somebody sent users on without the gate of this resource. Since format 2.
    GateSkipped {
        address: Address,
        because: String,
        at: i64,
    },
    /// What layers let through the guards of the run that begins: from now on that, and nothing else. Since format 2.
    AllowancesUsed {
        allowances: Vec<UsedAllowance>,
        at: i64,
    },
    Ended {
        address: Address,
        step: usize,
        outcome: StepOutcome,
        at: i64,
    },
    /// Durable before a task starts, or what takes it back.
    TaskBegan {
        task: String,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        undo: bool,
        step: usize,
        /// The digest of the plan that it is a step of.
        plan: String,
        at: i64,
        /// What takes it back, where something does.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        takes_back: Option<Box<RecordedUndo>>,
        /// What it asks a person, redacted.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        asks: Option<String>,
    },
    TaskEnded {
        task: String,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        undo: bool,
        step: usize,
        end: TaskEnd,
    },
    /// The run is over: what is remembered from now on.
    RunEnded {
        at: i64,
        complete: bool,
        overlays: Vec<String>,
        variables: BTreeMap<String, Value>,
        outputs: BTreeMap<String, Value>,
    },
}

/// Unknown to journals of before, and nothing to tell.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands it so")]
fn is_none(steps: &usize) -> bool {
    *steps == 0
}

impl JournalEntry {
    /// Users were directed away from there at this time; so many seconds some still come that way, and so many resolvers may
    /// answer the old value, waited for or not.
    pub fn directed(
        address: &Address,
        was: Vec<Address>,
        seconds: u64,
        dns_bound: u64,
        at: i64,
    ) -> Self {
        let drain = i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1_000);
        Self::Directed {
            address: address.clone(),
            was,
            until: (drain > 0).then(|| at.saturating_add(drain)),
            directed: ShiftRecord { at, dns_bound },
        }
    }
}

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepOutcome {
    /// The object is so now.
    Recorded(Box<Record>),
    /// The object is no more, or no longer ours.
    Removed,
    /// The object goes under another address.
    Moved { from: Address },
    /// The call did nothing for certain.
    Failed(StepFailure),
    /// The call may have happened; the step stays begun until it is settled.
    InDoubt(StepFailure),
    /// A wait without a mutation ended well.
    Waited,
    /// It began, and its call did not leave, since the run was to stop: nothing was done. Since format 2.
    Withdrawn,
}

/// Why a step did not end well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepFailure {
    pub why: String,
    /// What a cloud's answer counts as; `None`: no cloud said it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<ErrorClass>,
}

impl From<String> for StepFailure {
    fn from(why: String) -> Self {
        Self { why, class: None }
    }
}

impl From<&str> for StepFailure {
    fn from(why: &str) -> Self {
        why.to_owned().into()
    }
}

impl StepOutcome {
    pub fn failed(why: impl Into<StepFailure>) -> Self {
        Self::Failed(why.into())
    }

    pub fn in_doubt(why: impl Into<StepFailure>) -> Self {
        Self::InDoubt(why.into())
    }
}

/// Folds one entry into the state. `None` before the state was founded.
pub fn replay(state: Option<State>, sequence: u64, entry: &JournalEntry) -> Option<State> {
    if let JournalEntry::Founded { stack, instance, target, lineage, key, overlays } = entry {
        let mut state = State::new(stack, instance.as_deref(), target, lineage, key.clone());
        state.home.clone_from(overlays);
        state.active.clone_from(overlays);
        state.sequence = sequence;
        return Some(state);
    }
    let mut state = state?;
    fold(&mut state, entry);
    if !matches!(entry, JournalEntry::Leased { .. }) {
        state.touched = sequence;
    }
    state.sequence = sequence;
    Some(state)
}

/// Folds one entry into a founded state.
pub fn fold(state: &mut State, entry: &JournalEntry) {
    match entry {
        JournalEntry::Founded { .. } | JournalEntry::GateSkipped { .. } => {}
        JournalEntry::Waiting { address, .. } => tries(state, address),
        JournalEntry::Leased { epoch, .. } => state.epoch = *epoch,
        JournalEntry::Bound { cloud, account } => {
            state.bound.insert(cloud.clone(), account.clone());
        }
        JournalEntry::RunBegan {
            who, command, at, destroys, variables, home_variables, ..
        } => {
            let began = RunRecord::began(who, command, *at);
            state.last_run = Some(RunRecord { destroys: *destroys, ..began });
            state.variables = variables.clone().unwrap_or(std::mem::take(&mut state.variables));
            if let Some(home) = &mut state.home_variables {
                home.extend(home_variables.clone());
            }
        }
        JournalEntry::Switched { .. } => switch(state, entry),
        JournalEntry::AllowancesUsed { allowances, at } => {
            use_allowances(&mut state.used_allowances, allowances, *at);
        }
        JournalEntry::Recovered { fault_domain, .. } => {
            state.lost.retain(|it| it.fault_domain != *fault_domain);
        }
        JournalEntry::Directed { .. } => direct(state, entry),
        JournalEntry::UsersMoved { at } => {
            let is_switching = state.phase == Phase::Switching;
            if let Some(switch) = state.switch.as_mut().filter(|_| is_switching) {
                state.phase = Phase::Degraded;
                switch.moved.get_or_insert(*at);
                // A gate is skipped until those whom it held back have moved.
                switch.allowed.skip_gates.clear();
            }
        }
        JournalEntry::UsersAway { .. } => {
            if state.phase == Phase::Degraded {
                state.phase = Phase::Switching;
            }
        }
        JournalEntry::Pending(begun) => {
            tries(state, &begun.address);
            state.pending.insert(begun.address.clone(), begun.clone());
        }
        JournalEntry::Ended { address, outcome, at, .. } => {
            tell_failure(state, address, outcome, *at);
            end(state, address, outcome);
        }
        JournalEntry::TaskBegan { .. } | JournalEntry::TaskEnded { .. } => task(state, entry),
        JournalEntry::RunEnded { at, complete, overlays, variables, outputs } => {
            if let Some(run) = &mut state.last_run {
                run.finished = Some(*at);
                run.incomplete = !*complete;
            }
            state.variables.clone_from(variables);
            state.outputs.clone_from(outputs);
            state.active.clone_from(overlays);
            if *complete {
                state.phase = Phase::Settled;
                state.switch = None;
                state.is_restored = false;
                // What was given for another side ends with it.
                state.home_variables.take_if(|_| state.active == state.home);
            }
            state.draining.retain(|it| it.until > *at);
            state.cached.retain(|it| it.until > *at);
            if state.records.is_empty() {
                state.destroyed.clear();
            }
            state.serial += 1;
        }
    }
}

/// What an allowance was first used for stays what it is for; one that has ended lets nothing through, used or not.
fn use_allowances(used: &mut Vec<UsedAllowance>, more: &[UsedAllowance], at: i64) {
    used.retain(|it| end_of(&it.allowance.until).is_some_and(|ends| ends > at));
    for it in more {
        if used.iter().all(|known| known.allowance != it.allowance) {
            used.push(it.clone());
        }
    }
}

/// What was left, by a name that others remember, is known until they have forgotten it.
fn direct(state: &mut State, entry: &JournalEntry) {
    let JournalEntry::Directed { address, was, until, directed } = entry else { return };
    let (address, was, bound) = (address.clone(), was.clone(), directed.until());
    match *until {
        Some(until) => remembers(&mut state.draining, Draining { address, was, until }),
        None if directed.dns_bound > 0 => {
            remembers(&mut state.cached, Draining { address, was, until: bound });
        }
        None => {}
    }
    state.switch.iter_mut().for_each(|it| it.directed.push(*directed));
}

fn switch(state: &mut State, entry: &JournalEntry) {
    let JournalEntry::Switched { from, to, lost, variables, keep, allowed, last_good, at, who } =
        entry
    else {
        return;
    };
    state.leave_home(to);
    let unfinished = state.unfinished_switch().cloned();
    let is_lost = |name: &String| lost.iter().any(|it| it.fault_domain == *name);
    let known = state.lost.iter().map(|it| it.fault_domain.clone());
    let before = unfinished.iter().flat_map(|it| it.recovered.iter().cloned());
    let so_far: BTreeSet<String> = known.chain(before).filter(|it| !is_lost(it)).collect();
    // A further loss on the way is no other switch; to go elsewhere, or back, is one that starts in the middle of another.
    let goes_on = unfinished.as_ref().is_some_and(|it| it.from == *from && state.active == *to);
    let same = unfinished.as_ref().filter(|_| goes_on);
    let seen = same.and_then(|it| it.last_good);
    let began = same.map(SwitchRecord::identity);
    let moved = same.and_then(|it| it.moved);
    let failures = same.map(|it| it.failures.clone()).unwrap_or_default();
    let under_loss = !lost.is_empty() || same.is_some_and(|it| it.under_loss);
    let (variables_before, turned, directed) = match unfinished {
        Some(it) if goes_on => (it.variables, it.turned, it.directed),
        Some(it) => (state.variables.clone(), it.left(), Vec::new()),
        None => (state.variables.clone(), Vec::new(), Vec::new()),
    };
    state.switch = Some(SwitchRecord {
        from: from.clone(),
        since: *at,
        began,
        by: who.clone(),
        recovered: so_far.into_iter().collect(),
        keep: *keep,
        allowed: allowed.clone(),
        variables: variables_before,
        last_good: seen.or(*last_good),
        turned,
        under_loss,
        moved,
        directed,
        failures,
    });
    state.active.clone_from(to);
    state.lost.clone_from(lost);
    state.variables.clone_from(variables);
    state.phase = Phase::Switching;
    state.switched = state.serial + 1;
}

/// The last run of each task is remembered, and what became of it on the way home.
fn task(state: &mut State, entry: &JournalEntry) {
    match entry {
        JournalEntry::TaskBegan { task, undo, plan, at, takes_back, asks, .. } => {
            let switch = state.switch.as_ref().map_or(0, SwitchRecord::identity);
            let (plan, asks) = (plan.clone(), asks.clone());
            let attempt = TaskAttempt { switch, plan, began: *at, asks, end: None };
            match state.tasks.get_mut(task) {
                Some(record) if *undo => record.undo = Some(attempt),
                _ => {
                    let takes_back = takes_back.as_deref().cloned();
                    let record = TaskRecord { run: attempt, undo: None, takes_back };
                    state.tasks.insert(task.clone(), record);
                }
            }
        }
        JournalEntry::TaskEnded { task, undo, end, .. } => {
            let Some(record) = state.tasks.get_mut(task) else { return };
            match (undo, end) {
                (true, TaskEnd::NotDone { .. }) => record.undo = None,
                (false, TaskEnd::NotDone { .. }) => {
                    state.tasks.remove(task);
                }
                (true, _) => {
                    record.undo.iter_mut().for_each(|it| it.end = Some(end.clone()));
                }
                (false, _) => record.run.end = Some(end.clone()),
            }
        }
        _ => {}
    }
}

/// Who was directed away before, from elsewhere, may still come that way: a switch that turns does this.
fn remembers(all: &mut Vec<Draining>, new: Draining) {
    all.retain(|it| (&it.address, &it.was) != (&new.address, &new.was));
    all.push(new);
}

/// What is tried again has not failed.
fn tries(state: &mut State, address: &Address) {
    if let Some(failures) = failures(state) {
        failures.remove(address);
    }
}

/// Why a step failed is kept: the journal goes with the next snapshot.
fn tell_failure(state: &mut State, address: &Address, outcome: &StepOutcome, at: i64) {
    let call = state.pending.get(address).map(|it| it.call);
    let Some(failures) = failures(state) else { return };
    match outcome {
        StepOutcome::Failed(it) | StepOutcome::InDoubt(it) => {
            let (why, class) = (it.why.clone(), it.class);
            let failure = RecordedFailure { call, why, class, at };
            failures.insert(address.clone(), failure);
        }
        _ => {
            failures.remove(address);
        }
    }
}

/// Where failed steps are told: with the switch that is under way, else with the run.
fn failures(state: &mut State) -> Option<&mut BTreeMap<Address, RecordedFailure>> {
    match &mut state.switch {
        Some(switch) => Some(&mut switch.failures),
        None => state.last_run.as_mut().map(|it| &mut it.failures),
    }
}

fn end(state: &mut State, address: &Address, outcome: &StepOutcome) {
    match outcome {
        StepOutcome::Recorded(record) => {
            state.destroyed.remove(address);
            // Drift that was taken back is no longer there to be taken back: the same again is another one.
            for it in &mut state.used_allowances {
                if it.allowance.exempts == Exemption::RevertDrift(address.clone()) {
                    it.lets_go.clear();
                }
            }
            state.records.insert(address.clone(), (**record).clone());
        }
        StepOutcome::Removed => {
            state.records.remove(address);
            if state.last_run.as_ref().is_some_and(|it| it.destroys) {
                state.destroyed.insert(address.clone());
            }
        }
        StepOutcome::Moved { from } => {
            if let Some(record) = state.records.remove(from) {
                state.records.insert(address.clone(), record);
            }
            for record in state.records.values_mut() {
                for need in record.needs.iter_mut().filter(|it| *it == from) {
                    *need = address.clone();
                }
            }
        }
        StepOutcome::Failed(_) => tried(state, address),
        StepOutcome::Waited | StepOutcome::Withdrawn => {}
        StepOutcome::InDoubt(_) => return,
    }
    state.pending.remove(address);
}

/// A change that ended badly may have been made all the same: what it would have set is remembered.
fn tried(state: &mut State, address: &Address) {
    let begun = state.pending.get(address).filter(|it| it.call.changes());
    let (Some(begun), Some(record)) = (begun, state.records.get_mut(address)) else { return };
    let differs = |(name, value): &(&String, &Value)| record.attributes.get(*name) != Some(*value);
    let tried = begun.attributes.iter().filter(differs);
    record.tried = tried.map(|(name, value)| (name.clone(), value.clone())).collect();
}

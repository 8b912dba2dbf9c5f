//! What the journal knows of runs whose process ended before their end: their steps, with the times that were written.

use std::collections::BTreeMap;

use crate::engine::address::Address;
use crate::engine::plan::model::change::StepCall;
use crate::engine::plan::model::step_phase::StepPhase;
use crate::engine::recovery::report::step_timing::{StepResult, StepTiming};
use crate::engine::state::journal::{JournalEntry, StepOutcome};
use crate::engine::state::task_record::TaskEnd;
use crate::engine::task::TASK;

/// One run, as far as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournaledSwitch {
    pub who: String,
    pub command: String,
    pub began: i64,
    /// How many steps its plan has; 0: the journal does not say.
    pub planned: usize,
    /// When the last thing of it was written.
    pub last: i64,
    /// It came to its end, whether that was a good one or not.
    pub is_ended: bool,
    /// When it recorded a switch, and what that assumes lost.
    pub switched: Option<(i64, Vec<String>)>,
    /// Those that began, in the order of their plan.
    pub steps: Vec<StepTiming>,
}

impl JournaledSwitch {
    /// How many of its steps have ended, well or not.
    pub fn ended(&self) -> usize {
        self.steps.len() - self.open().count()
    }

    /// Those that began and have not ended: of a run that goes on, what it is at.
    pub fn open(&self) -> impl Iterator<Item = &StepTiming> {
        let open =
            |it: &&StepTiming| matches!(it.became, StepResult::NotDone | StepResult::InDoubt);
        self.steps.iter().filter(open)
    }

    /// It did nothing but delete.
    pub fn is_cleanup(&self) -> bool {
        let of_cleanup = |it: &StepTiming| matches!(it.call.as_str(), DELETE | GONE | FORGET);
        self.switched.is_none() && !self.steps.is_empty() && self.steps.iter().all(of_cleanup)
    }
}

const DELETE: &str = "delete";
const GONE: &str = "gone";
const FORGET: &str = "forget";

/// The runs in these entries, the oldest first.
pub fn runs<'a>(entries: impl IntoIterator<Item = &'a JournalEntry>) -> Vec<JournaledSwitch> {
    let mut runs: Vec<JournalReading> = Vec::new();
    // What is settled between two runs is told by the second of them, and belongs to none.
    let mut is_between = true;
    for entry in entries {
        match entry {
            JournalEntry::RunBegan { who, command, at, steps, .. } => {
                runs.push(JournalReading::new((who, command), *at, *steps));
                is_between = false;
            }
            JournalEntry::Leased { .. } => is_between = true,
            entry if !is_between => {
                if let Some(run) = runs.last_mut() {
                    run.read(entry);
                }
            }
            _ => {}
        }
    }
    runs.into_iter().map(JournalReading::close).collect()
}

/// A run while its entries are read, its steps by the ids that they had in the plan.
struct JournalReading {
    run: JournaledSwitch,
    steps: BTreeMap<usize, StepTiming>,
}

impl JournalReading {
    fn new((who, command): (&str, &str), at: i64, planned: usize) -> Self {
        let run = JournaledSwitch {
            who: who.into(),
            command: command.into(),
            began: at,
            planned,
            last: at,
            is_ended: false,
            switched: None,
            steps: Vec::new(),
        };
        Self { run, steps: BTreeMap::new() }
    }

    fn read(&mut self, entry: &JournalEntry) {
        match entry {
            JournalEntry::Switched { lost, at, .. } => {
                let lost = lost.iter().map(|it| it.fault_domain.clone()).collect();
                self.run.switched = Some((*at, lost));
                self.at(*at);
            }
            JournalEntry::Pending(it) => {
                let step = begun(&it.address, &it.kind, it.call.word(), StepPhase::Work, it.at);
                self.steps.insert(it.step, StepTiming { became: StepResult::InDoubt, ..step });
                self.at(it.at);
            }
            JournalEntry::Waiting { address, step, gate, at } => {
                let role = match gate.as_str() {
                    "serving gate" => StepPhase::Gate,
                    "replication gate" => StepPhase::Replication,
                    _ => StepPhase::Drain,
                };
                self.steps.insert(*step, begun(address, "", gate, role, *at));
                self.at(*at);
            }
            JournalEntry::Ended { address, step, outcome, at } => {
                self.end(address, *step, outcome, *at);
                self.at(*at);
            }
            JournalEntry::TaskBegan { task, undo, step, at, .. } => {
                let call = StepCall::Task { undo: *undo }.word();
                let began = begun(&Address::one(task.clone()), TASK, call, StepPhase::Work, *at);
                self.steps.insert(*step, StepTiming { became: StepResult::InDoubt, ..began });
                self.at(*at);
            }
            JournalEntry::TaskEnded { task, step, end, .. } => self.end_task(task, *step, end),
            JournalEntry::Directed { address, directed, .. } => {
                let done = |it: &&mut StepTiming| it.address == *address && it.ended.is_some();
                // Written together with the end of the step that did it.
                let step = self.steps.values_mut().filter(done).max_by_key(|it| it.ended);
                if let Some(step) = step {
                    (step.role, step.ttl) = (StepPhase::Traffic, Some(directed.dns_bound));
                }
            }
            JournalEntry::RunEnded { at, .. } => {
                self.run.is_ended = true;
                self.at(*at);
            }
            _ => {}
        }
    }

    fn at(&mut self, at: i64) {
        self.run.last = self.run.last.max(at);
    }

    fn end_task(&mut self, task: &str, id: usize, end: &TaskEnd) {
        let (became, at) = match end {
            TaskEnd::Done { at } => (StepResult::Done, *at),
            TaskEnd::Failed { at, .. } => (StepResult::Failed, *at),
            TaskEnd::Indeterminate { at, .. } => (StepResult::InDoubt, *at),
            TaskEnd::NotDone { at } => (StepResult::NotDone, *at),
        };
        let step = self.steps.get_mut(&id).filter(|it| it.address == Address::one(task));
        if let Some(step) = step {
            (step.ended, step.became) = (Some(at), became);
        }
        self.at(at);
    }

    fn end(&mut self, address: &Address, id: usize, outcome: &StepOutcome, at: i64) {
        let became = match outcome {
            StepOutcome::Failed(_) => StepResult::Failed,
            StepOutcome::InDoubt(_) => StepResult::InDoubt,
            StepOutcome::Withdrawn => {
                // Planned, and never under way.
                self.steps.remove(&id);
                return;
            }
            _ => StepResult::Done,
        };
        if let Some(step) = self.steps.get_mut(&id).filter(|it| it.address == *address) {
            (step.ended, step.became) = (Some(at), became);
            return;
        }
        // A wait for what the step before it did: no word of its begin, which was the end of that one.
        let before = id.checked_sub(1).and_then(|it| self.steps.get(&it));
        let Some(before) = before.filter(|it| it.address == *address) else { return };
        let Some(began) = before.ended else { return };
        let call = match (before.call.as_str(), outcome) {
            (DELETE, _) => GONE,
            ("ready", _) => "gate",
            _ => "ready",
        };
        let kind = before.kind.clone();
        let step = StepTiming {
            ended: Some(at),
            became,
            ..begun(address, &kind, call, StepPhase::Work, began)
        };
        self.steps.insert(id, step);
    }

    /// Numbers the steps anew. The journal does not say what waited for what: a step began when another ended.
    fn close(self) -> JournaledSwitch {
        let Self { mut run, steps } = self;
        run.steps = steps.into_values().collect();
        let mut ends: Vec<(i64, usize)> =
            run.steps.iter().enumerate().filter_map(|(at, it)| Some((it.ended?, at))).collect();
        ends.sort_unstable();
        for (at, step) in run.steps.iter_mut().enumerate() {
            let began = step.started.unwrap_or(run.began);
            let before = &ends[..ends.partition_point(|(end, _)| *end <= began)];
            let last = before.iter().rev().map(|(_, id)| *id).find(|id| *id != at);
            step.id = at;
            step.waits = last.into_iter().collect();
            // It was at work at least until then.
            step.ended = step.ended.or((!run.is_ended).then_some(run.last));
        }
        let gated: Vec<Address> = run
            .steps
            .iter()
            .filter(|it| it.role == StepPhase::Gate)
            .map(|it| it.address.clone())
            .collect();
        for step in run.steps.iter_mut().filter(|it| it.role == StepPhase::Traffic) {
            step.unchecked = (!gated.contains(&step.address)).then(String::new);
        }
        run
    }
}

fn begun(address: &Address, kind: &str, call: &str, role: StepPhase, at: i64) -> StepTiming {
    StepTiming {
        id: 0,
        address: address.clone(),
        kind: kind.into(),
        call: call.into(),
        role,
        waits: Vec::new(),
        started: Some(at),
        ended: None,
        became: StepResult::NotDone,
        ttl: None,
        arrived: None,
        unchecked: None,
        output: String::new(),
    }
}

/// The steps of a run that was cut off, and those of the one that went on with it, one after the other.
#[must_use]
pub fn gone_on(mut cut_off: Vec<StepTiming>, rest: Vec<StepTiming>) -> Vec<StepTiming> {
    let offset = cut_off.len();
    let ended = cut_off.iter().filter_map(|it| Some((it.ended?, it.id))).max();
    cut_off.extend(rest.into_iter().map(|it| {
        let mut waits: Vec<usize> = it.waits.iter().map(|wait| wait + offset).collect();
        if waits.is_empty() {
            waits.extend(ended.map(|(_, id)| id));
        }
        StepTiming { id: it.id + offset, waits, ..it }
    }));
    cut_off
}

#[cfg(test)]
mod tests {
    use super::{gone_on, runs};
    use crate::engine::address::Address;
    use crate::engine::recovery::report::phases::{Gap, measure};
    use crate::engine::recovery::report::sample::{BEGAN, report};
    use crate::engine::recovery::report::step_timing::StepTiming;
    use crate::engine::state::journal::{JournalEntry, PendingOperation, StepOutcome};
    use crate::engine::state::record::{Allowances, Keep, MutatingCall, ShiftRecord};
    use crate::engine::value::Attributes;

    fn at(seconds: i64) -> i64 {
        BEGAN + seconds * 1_000
    }

    fn ran(seconds: i64) -> JournalEntry {
        JournalEntry::RunBegan {
            who: "ann".into(),
            command: "drill".into(),
            at: at(seconds),
            plan: String::new(),
            steps: 10,
            destroys: false,
            variables: None,
            home_variables: Attributes::new(),
        }
    }

    fn began(step: usize, name: &str, call: MutatingCall, seconds: i64) -> JournalEntry {
        JournalEntry::Pending(PendingOperation {
            step,
            address: Address::one(name),
            kind: "some.kind".into(),
            call,
            attributes: Attributes::new(),
            needs: Vec::new(),
            alike: Vec::new(),
            mark: None,
            at: at(seconds),
        })
    }

    fn ended(step: usize, name: &str, outcome: StepOutcome, seconds: i64) -> JournalEntry {
        JournalEntry::Ended { address: Address::one(name), step, outcome, at: at(seconds) }
    }

    fn waiting(step: usize, name: &str, gate: &str, seconds: i64) -> JournalEntry {
        JournalEntry::Waiting {
            address: Address::one(name),
            step,
            gate: gate.into(),
            at: at(seconds),
        }
    }

    /// Makes a machine, waits for it, opens the gate, directs users, and dies while they drain.
    fn killed() -> Vec<JournalEntry> {
        vec![
            ended(7, "old", StepOutcome::failed("settled"), 0),
            ran(0),
            JournalEntry::Switched {
                from: Vec::new(),
                to: vec!["eu".into()],
                lost: Vec::new(),
                variables: Attributes::new(),
                keep: Keep::Nothing,
                allowed: Allowances::default(),
                last_good: None,
                at: at(0),
                who: "ann".into(),
            },
            ended(0, "seen", StepOutcome::Waited, 0),
            began(3, "web", MutatingCall::Create, 0),
            ended(3, "web", StepOutcome::Waited, 10),
            ended(4, "web", StepOutcome::Waited, 40),
            waiting(5, "shop", "serving gate", 40),
            ended(5, "shop", StepOutcome::Waited, 70),
            began(6, "shop", MutatingCall::Update, 71),
            ended(6, "shop", StepOutcome::Removed, 73),
            JournalEntry::Directed {
                address: Address::one("shop"),
                was: Vec::new(),
                until: Some(at(673)),
                directed: ShiftRecord { at: at(73), dns_bound: 300 },
            },
            waiting(8, "shop", "drain gate", 73),
            began(9, "key", MutatingCall::Delete, 80),
        ]
    }

    fn told(steps: &[StepTiming]) -> String {
        let line = |it: &StepTiming| {
            let seconds =
                |it: Option<i64>| it.map_or("-".into(), |it| ((it - BEGAN) / 1_000).to_string());
            let (from, to) = (seconds(it.started), seconds(it.ended));
            let (role, became) = (it.role.word(), it.became.word());
            format!(
                "{} {} {} {role} {from}..{to} {became} {:?}",
                it.id, it.call, it.address, it.waits
            )
        };
        steps.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn runs_reads_a_cut_off_run_as_far_as_it_was_written() {
        let mut entries = killed();
        // Who comes after it settles what it left, and begins a run of its own.
        entries.push(JournalEntry::Leased {
            epoch: 2,
            owner: "bob".into(),
            command: None,
            at: at(700),
            preempted: None,
        });
        entries.push(ended(9, "key", StepOutcome::failed("settled"), 700));
        entries.push(ran(700));
        let runs = runs(&entries);
        assert_eq!((runs.len(), runs[0].is_ended, runs[0].is_cleanup()), (2, false, false));
        assert_eq!((runs[0].began, runs[0].last, runs[1].began), (at(0), at(80), at(700)));
        assert_eq!(runs[0].switched, Some((at(0), Vec::new())));
        assert_eq!((runs[0].planned, runs[0].ended()), (10, 4));
        let open: Vec<String> = runs[0].open().map(|it| it.call.clone()).collect();
        assert_eq!(open, ["drain gate", "delete"]);
        insta::assert_snapshot!(told(&runs[0].steps), @r"
        0 create web work 0..10 done []
        1 ready web work 10..40 done [0]
        2 serving gate shop gate 40..70 done [1]
        3 update shop traffic 71..73 done [2]
        4 drain gate shop drain 73..80 not done [3]
        5 delete key work 80..80 indeterminate [3]
        ");
    }

    #[test]
    fn gone_on_measures_from_the_first_begin_and_counts_idle_apart() {
        let run = runs(&killed()).remove(0);
        let drain = StepTiming { id: 0, waits: Vec::new(), ..run.steps[4].clone() };
        let drain = StepTiming { started: Some(at(700)), ended: Some(at(701)), ..drain };
        let steps = gone_on(run.steps, vec![drain]);
        let report = report(steps, 702);
        let idle = Some(Gap { from: run.last, to: at(700) });
        let measured = measure(report.span, &report.steps, None, idle);
        let phases: Vec<String> = measured
            .phases
            .named()
            .iter()
            .filter(|(_, it)| *it > 0)
            .map(|(name, it)| format!("{name} {}", it / 1_000))
            .collect();
        let phases = phases.join(", ");
        insta::assert_snapshot!(phases, @"idle 620, prepare 40, gate 30, traffic 3, drain 8, cleanup 1");
        assert_eq!(measured.directed, Some(ShiftRecord { at: at(73), dns_bound: 300 }));
    }

    #[test]
    fn is_cleanup_is_true_of_a_run_that_only_deletes() {
        let entries = [
            ran(0),
            began(0, "key", MutatingCall::Delete, 1),
            ended(0, "key", StepOutcome::Removed, 2),
            ended(1, "key", StepOutcome::Waited, 9),
        ];
        let run = runs(&entries).remove(0);
        assert!(run.is_cleanup());
        insta::assert_snapshot!(told(&run.steps), @r"
        0 delete key work 1..2 done []
        1 gone key work 2..9 done [0]
        ");
    }
}

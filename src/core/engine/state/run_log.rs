//! Who changed a state, when, why and with what result: the entries of its journals, put together run by run.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::state::journal::{JournalEntry, StepOutcome};
use crate::engine::state::record::{Phase, RunRecord};
use crate::engine::state::task_record::TaskEnd;

/// The entries that led to one snapshot, or those that stand behind the last one.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LogPart {
    /// The serial of the snapshot that holds them; `None`: no snapshot does yet.
    pub serial: Option<u64>,
    pub entries: Vec<(u64, JournalEntry)>,
    /// What the snapshot says of its last run, where it has no entries.
    pub told: Option<(u64, RunRecord)>,
}

/// One run, or one change by hand: what was written under a lease until something was saved.
#[derive(Debug, Clone, PartialEq)]
pub struct LoggedRun {
    /// Of the state that it saved; `None`: it saved none.
    pub serial: Option<u64>,
    /// `None`: it is told by entries that are no longer kept.
    pub epoch: Option<u64>,
    /// In milliseconds since the Unix epoch, like all times here; `None`: nothing tells.
    pub at: Option<i64>,
    /// When the run ended, well or not.
    pub finished: Option<i64>,
    pub who: Option<String>,
    pub command: Option<String>,
    /// What was given with `--because`, each text once.
    pub because: Vec<String>,
    /// The digest of its plan; `None`: it had none.
    pub plan: Option<String>,
    pub steps: StepTally,
    pub switch: Option<LoggedSwitch>,
    /// How far the switch was that was under way when it ended.
    pub phase: Option<Phase>,
    pub ending: LoggedEnding,
    pub entries: Vec<(u64, JournalEntry)>,
}

/// What became of the steps of a plan.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StepTally {
    /// How many the plan has; 0: the journal does not say.
    pub planned: usize,
    pub done: usize,
    pub failed: usize,
    /// Nobody knows whether they took effect.
    pub indeterminate: usize,
}

/// A switch that a run recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedSwitch {
    pub from: Vec<String>,
    pub to: Vec<String>,
    pub lost: Vec<String>,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoggedEnding {
    /// Everything that was planned is done.
    Complete,
    /// It came to its end, and something is left.
    Incomplete,
    /// A change by hand, which has no plan.
    Saved,
    /// It has not ended: it is under way, or was cut off.
    Open,
}

impl LoggedEnding {
    pub fn word(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Incomplete => "incomplete",
            Self::Saved => "saved",
            Self::Open => "open",
        }
    }
}

/// The runs of these parts, which stand in the order in which they were written; the oldest first.
pub fn logged_runs(parts: impl IntoIterator<Item = LogPart>) -> Vec<LoggedRun> {
    let mut runs = Vec::new();
    let mut known = HolderSoFar::default();
    for part in parts {
        let LogPart { serial, entries, told } = part;
        if let (true, Some((epoch, run))) = (entries.is_empty(), told) {
            known = HolderSoFar { epoch: Some(epoch), owner: Some(run.who.clone()), ..known };
            runs.push(told_run(serial, epoch, run));
            continue;
        }
        let mut groups = grouped(entries);
        let last = groups.len().saturating_sub(1);
        for (at, group) in groups.drain(..).enumerate() {
            // What was written before the last one saved is of runs that were cut off.
            let serial = serial.filter(|_| at == last);
            let is_only_leased =
                group.iter().all(|(_, it)| matches!(it, JournalEntry::Leased { .. }));
            let run = read(serial, group, &mut known);
            if serial.is_some() || !is_only_leased {
                runs.push(run);
            }
        }
    }
    runs
}

/// What the entries before say of who writes, and of the switch that is under way.
#[derive(Debug, Default)]
struct HolderSoFar {
    epoch: Option<u64>,
    owner: Option<String>,
    command: Option<String>,
    phase: Option<Phase>,
}

/// The entries of each lease, and of each run under it.
fn grouped(entries: Vec<(u64, JournalEntry)>) -> Vec<Vec<(u64, JournalEntry)>> {
    let mut groups: Vec<Vec<(u64, JournalEntry)>> = Vec::new();
    let (mut has_run, mut is_founding) = (false, false);
    for (number, entry) in entries {
        let begins = match &entry {
            // A state is founded before the lease under which that is done is told.
            JournalEntry::Leased { .. } => !is_founding,
            JournalEntry::RunBegan { .. } => has_run,
            _ => false,
        };
        if begins || groups.is_empty() {
            groups.push(Vec::new());
            has_run = false;
        }
        has_run |= matches!(entry, JournalEntry::RunBegan { .. });
        is_founding = matches!(entry, JournalEntry::Founded { .. });
        groups.iter_mut().last().into_iter().for_each(|it| it.push((number, entry.clone())));
    }
    groups
}

fn told_run(serial: Option<u64>, epoch: u64, run: RunRecord) -> LoggedRun {
    LoggedRun {
        epoch: Some(epoch),
        at: Some(run.at),
        finished: run.finished,
        who: Some(run.who),
        command: Some(run.command),
        ..empty(serial)
    }
}

fn empty(serial: Option<u64>) -> LoggedRun {
    LoggedRun {
        serial,
        epoch: None,
        at: None,
        finished: None,
        who: None,
        command: None,
        because: Vec::new(),
        plan: None,
        steps: StepTally::default(),
        switch: None,
        phase: None,
        ending: if serial.is_some() { LoggedEnding::Saved } else { LoggedEnding::Open },
        entries: Vec::new(),
    }
}

fn read(
    serial: Option<u64>,
    entries: Vec<(u64, JournalEntry)>,
    known: &mut HolderSoFar,
) -> LoggedRun {
    let mut run = empty(serial);
    let mut steps: BTreeMap<usize, StepEnd> = BTreeMap::new();
    for (_, entry) in &entries {
        holder(&mut run, entry, known);
        progress(&mut run, entry, known);
        if run.plan.is_some()
            && let Some((step, end)) = step_end(entry)
        {
            steps.insert(step, end);
        }
    }
    run.epoch = known.epoch;
    run.who = run.who.or_else(|| known.owner.clone());
    run.command = run.command.or_else(|| known.command.clone());
    run.phase = known.phase.filter(|_| run.plan.is_some());
    if run.plan.is_some() && run.finished.is_none() {
        run.ending = LoggedEnding::Open;
    }
    // `recovered` is done with its entry, and makes no snapshot.
    let recovers = |(_, it): &(u64, JournalEntry)| matches!(it, JournalEntry::Recovered { .. });
    if run.plan.is_none() && entries.iter().any(recovers) {
        run.ending = LoggedEnding::Saved;
    }
    // What was only seen, and what took back a task, has numbers behind those of the plan.
    let planned = run.steps.planned;
    steps.retain(|step, _| planned == 0 || *step < planned);
    let number = |end: StepEnd| steps.values().filter(|it| **it == end).count();
    run.steps.done = number(StepEnd::Done);
    run.steps.failed = number(StepEnd::Failed);
    run.steps.indeterminate = number(StepEnd::Indeterminate);
    run.entries = entries;
    run
}

fn holder(run: &mut LoggedRun, entry: &JournalEntry, known: &mut HolderSoFar) {
    match entry {
        JournalEntry::Leased { epoch, owner, command, at, .. } => {
            known.epoch = Some(*epoch);
            known.owner = Some(owner.clone());
            known.command.clone_from(command);
            run.at.get_or_insert(*at);
        }
        JournalEntry::RunBegan { who, command, at, plan, steps, .. } => {
            run.who = Some(who.clone());
            run.command = Some(command.clone());
            run.at = Some(*at);
            run.plan = Some(plan.clone());
            run.steps.planned = *steps;
        }
        JournalEntry::Ended { at, .. } => {
            run.at.get_or_insert(*at);
        }
        _ => {}
    }
}

fn progress(run: &mut LoggedRun, entry: &JournalEntry, known: &mut HolderSoFar) {
    match entry {
        JournalEntry::Founded { .. } => known.phase = Some(Phase::Settled),
        JournalEntry::Switched { from, to, lost, allowed, .. } => {
            let lost = lost.iter().map(|it| it.fault_domain.clone()).collect();
            run.switch = Some(LoggedSwitch { from: from.clone(), to: to.clone(), lost });
            allowed.skip_gates.values().for_each(|it| because(run, it));
            known.phase = Some(Phase::Switching);
        }
        JournalEntry::UsersMoved { .. } => known.phase = Some(Phase::Degraded),
        JournalEntry::UsersAway { .. } => known.phase = Some(Phase::Switching),
        JournalEntry::GateSkipped { because: why, .. } => because(run, why),
        JournalEntry::AllowancesUsed { allowances, .. } => {
            for it in allowances {
                because(run, &it.allowance.because);
            }
        }
        JournalEntry::RunEnded { at, complete, .. } => {
            run.finished = Some(*at);
            run.ending = if *complete { LoggedEnding::Complete } else { LoggedEnding::Incomplete };
            if *complete {
                known.phase = Some(Phase::Settled);
            }
        }
        _ => {}
    }
}

fn because(run: &mut LoggedRun, why: &str) {
    let known: BTreeSet<&str> = run.because.iter().map(String::as_str).collect();
    if !known.contains(why) {
        run.because.push(why.to_owned());
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum StepEnd {
    Done,
    Failed,
    Indeterminate,
    /// As if it had never begun.
    Withdrawn,
}

/// What became of a step; one that began and has no end is indeterminate until it has.
fn step_end(entry: &JournalEntry) -> Option<(usize, StepEnd)> {
    match entry {
        JournalEntry::Pending(it) => Some((it.step, StepEnd::Indeterminate)),
        JournalEntry::TaskBegan { step, .. } => Some((*step, StepEnd::Indeterminate)),
        JournalEntry::Ended { step, outcome, .. } => {
            let end = match outcome {
                StepOutcome::Recorded(_)
                | StepOutcome::Removed
                | StepOutcome::Moved { .. }
                | StepOutcome::Waited => StepEnd::Done,
                StepOutcome::Failed(_) => StepEnd::Failed,
                StepOutcome::InDoubt(_) => StepEnd::Indeterminate,
                StepOutcome::Withdrawn => StepEnd::Withdrawn,
            };
            Some((*step, end))
        }
        JournalEntry::TaskEnded { step, end, .. } => {
            let end = match end {
                TaskEnd::Done { .. } => StepEnd::Done,
                TaskEnd::Failed { .. } | TaskEnd::NotDone { .. } => StepEnd::Failed,
                TaskEnd::Indeterminate { .. } => StepEnd::Indeterminate,
            };
            Some((*step, end))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{LogPart, LoggedEnding, LoggedRun, logged_runs};
    use crate::engine::state::journal::{JournalEntry, StepOutcome};
    use crate::engine::state::record::{Allowances, Keep, LostDomain, RunRecord};
    use crate::engine::value::LineageKey;

    fn leased(epoch: u64, command: Option<&str>) -> JournalEntry {
        JournalEntry::Leased {
            epoch,
            owner: format!("holder {epoch}"),
            command: command.map(Into::into),
            at: 10 * i64::try_from(epoch).unwrap(),
            preempted: None,
        }
    }

    fn founded() -> JournalEntry {
        JournalEntry::Founded {
            stack: "shop".into(),
            instance: None,
            target: "sandbox".into(),
            lineage: "l".into(),
            key: LineageKey(vec![1]),
            overlays: Vec::new(),
        }
    }

    fn began(command: &str) -> JournalEntry {
        JournalEntry::RunBegan {
            who: "ann".into(),
            command: command.into(),
            at: 11,
            plan: format!("plan of {command}"),
            steps: 3,
            destroys: false,
            variables: None,
            home_variables: BTreeMap::new(),
        }
    }

    fn ended(step: usize, outcome: StepOutcome) -> JournalEntry {
        JournalEntry::Ended { address: "lb".parse().unwrap(), step, outcome, at: 12 }
    }

    fn run_ended(complete: bool) -> JournalEntry {
        let (variables, outputs) = (BTreeMap::new(), BTreeMap::new());
        JournalEntry::RunEnded { at: 19, complete, overlays: Vec::new(), variables, outputs }
    }

    fn part(serial: Option<u64>, entries: Vec<JournalEntry>) -> LogPart {
        LogPart { serial, entries: (1..).zip(entries).collect(), told: None }
    }

    fn told(runs: &[LoggedRun]) -> String {
        let line = |it: &LoggedRun| {
            let tally = it.steps;
            format!(
                "{:?} epoch {:?} at {:?}..{:?} {:?} {:?} {:?} {}/{}/{}/{} {:?} {:?} {:?}",
                it.serial,
                it.epoch,
                it.at,
                it.finished,
                it.who.as_deref().unwrap_or("-"),
                it.command.as_deref().unwrap_or("-"),
                it.because,
                tally.planned,
                tally.done,
                tally.failed,
                tally.indeterminate,
                it.switch.as_ref().map(|it| (&it.from, &it.to, &it.lost)),
                it.phase,
                it.ending,
            )
        };
        runs.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn logged_runs_tells_applies_switches_and_changes_by_hand() {
        let lost = LostDomain { fault_domain: "linode:us-east".into(), since: 1, by: "ann".into() };
        let allowed = Allowances {
            skip_gates: BTreeMap::from([("lb".parse().unwrap(), "it is a drill".to_owned())]),
            ..Allowances::default()
        };
        let switched = JournalEntry::Switched {
            from: Vec::new(),
            to: vec!["eu".into()],
            lost: vec![lost],
            variables: BTreeMap::new(),
            keep: Keep::Nothing,
            allowed,
            last_good: None,
            at: 11,
            who: "ann".into(),
        };
        let skipped = JournalEntry::GateSkipped {
            address: "lb".parse().unwrap(),
            because: "it is a drill".into(),
            at: 11,
        };
        let runs = logged_runs([
            part(
                Some(1),
                vec![
                    founded(),
                    leased(1, None),
                    began("apply shop"),
                    ended(1, StepOutcome::Waited),
                    ended(2, StepOutcome::Removed),
                    // What was seen beside the three steps is none of them.
                    ended(3, StepOutcome::Removed),
                    run_ended(true),
                ],
            ),
            part(
                Some(2),
                vec![
                    leased(2, None),
                    switched,
                    began("failover shop"),
                    skipped,
                    ended(0, StepOutcome::failed("no")),
                    JournalEntry::UsersMoved { at: 13 },
                    ended(1, StepOutcome::in_doubt("late")),
                    run_ended(false),
                ],
            ),
            part(
                Some(3),
                vec![leased(3, Some("state mv shop lb front")), ended(0, StepOutcome::Removed)],
            ),
            part(Some(4), vec![leased(4, Some("state restore shop --serial 1"))]),
        ]);
        insta::assert_snapshot!(told(&runs), @r#"
        Some(1) epoch Some(1) at Some(11)..Some(19) "ann" "apply shop" [] 3/2/0/0 None Some(Settled) Complete
        Some(2) epoch Some(2) at Some(11)..Some(19) "ann" "failover shop" ["it is a drill"] 3/0/1/1 Some(([], ["eu"], ["linode:us-east"])) Some(Degraded) Incomplete
        Some(3) epoch Some(3) at Some(30)..None "holder 3" "state mv shop lb front" [] 0/0/0/0 None None Saved
        Some(4) epoch Some(4) at Some(40)..None "holder 4" "state restore shop --serial 1" [] 0/0/0/0 None None Saved
        "#);
        assert_eq!(runs[1].entries.len(), 8);
    }

    fn recovered() -> JournalEntry {
        JournalEntry::Recovered { fault_domain: "aws:x".into(), at: 60, who: "ann".into() }
    }

    /// A run that is killed leaves its entries to the one that comes after it; a lease alone is no run.
    #[test]
    fn logged_runs_tells_cut_off_runs_from_those_that_saved() {
        let runs = logged_runs([
            part(
                Some(7),
                vec![
                    leased(1, None),
                    began("apply shop"),
                    leased(2, None),
                    leased(3, None),
                    began("apply shop"),
                    began("apply shop again"),
                    run_ended(true),
                ],
            ),
            part(None, vec![leased(4, None)]),
            part(None, vec![leased(5, None), began("destroy shop")]),
            part(None, vec![leased(6, Some("recovered shop aws:x")), recovered()]),
        ]);
        let ends: Vec<_> = runs.iter().map(|it| (it.epoch, it.serial, it.ending)).collect();
        let expected = [
            (Some(1), None, LoggedEnding::Open),
            (Some(3), None, LoggedEnding::Open),
            (Some(3), Some(7), LoggedEnding::Complete),
            (Some(5), None, LoggedEnding::Open),
            (Some(6), None, LoggedEnding::Saved),
        ];
        assert_eq!(ends, expected);
    }

    #[test]
    fn logged_runs_believes_the_snapshot_where_no_entries_are_kept() {
        let run =
            RunRecord { finished: Some(6), ..RunRecord::began("bob", "state restore shop", 5) };
        let restored = LogPart { serial: Some(8), entries: Vec::new(), told: Some((3, run)) };
        let [only] = logged_runs([restored]).try_into().unwrap();
        assert_eq!((only.who.as_deref(), only.at, only.epoch), (Some("bob"), Some(5), Some(3)));
        assert_eq!((only.serial, only.ending), (Some(8), LoggedEnding::Saved));
    }
}

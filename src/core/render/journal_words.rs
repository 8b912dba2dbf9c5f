//! Entries of a journal in plain words, one line each.

use crate::engine::allowance::{ReviewedAllowance, UsedAllowance};
use crate::engine::retry::ErrorClass;
use crate::engine::state::journal::{JournalEntry, StepFailure, StepOutcome};
use crate::engine::state::record::LostDomain;
use crate::engine::state::task_record::TaskEnd;
use crate::engine::text::names::{OverlayNames, StackName};
use crate::render::words::{count, escape_control, moment};

/// What an entry says.
pub fn entry_words(entry: &JournalEntry) -> String {
    let said = match entry {
        JournalEntry::Founded { .. }
        | JournalEntry::Leased { .. }
        | JournalEntry::Bound { .. }
        | JournalEntry::RunBegan { .. }
        | JournalEntry::RunEnded { .. } => run_words(entry),
        JournalEntry::Switched { .. }
        | JournalEntry::Recovered { .. }
        | JournalEntry::Directed { .. }
        | JournalEntry::UsersMoved { .. }
        | JournalEntry::UsersAway { .. }
        | JournalEntry::AllowancesUsed { .. }
        | JournalEntry::GateSkipped { .. } => switch_words(entry),
        JournalEntry::Pending(_)
        | JournalEntry::Waiting { .. }
        | JournalEntry::Ended { .. }
        | JournalEntry::TaskBegan { .. }
        | JournalEntry::TaskEnded { .. } => step_words(entry),
    };
    escape_control(&said)
}

/// When it was written, in milliseconds since the Unix epoch, as far as it says so.
pub fn entry_time(entry: &JournalEntry) -> Option<i64> {
    match entry {
        JournalEntry::Founded { .. } | JournalEntry::Bound { .. } => None,
        JournalEntry::Leased { at, .. }
        | JournalEntry::RunBegan { at, .. }
        | JournalEntry::Switched { at, .. }
        | JournalEntry::Recovered { at, .. }
        | JournalEntry::UsersMoved { at }
        | JournalEntry::UsersAway { at }
        | JournalEntry::Waiting { at, .. }
        | JournalEntry::AllowancesUsed { at, .. }
        | JournalEntry::GateSkipped { at, .. }
        | JournalEntry::Ended { at, .. }
        | JournalEntry::TaskBegan { at, .. }
        | JournalEntry::RunEnded { at, .. } => Some(*at),
        JournalEntry::Directed { directed, .. } => Some(directed.at),
        JournalEntry::Pending(it) => Some(it.at),
        JournalEntry::TaskEnded { end, .. } => match end {
            TaskEnd::Done { at }
            | TaskEnd::Failed { at, .. }
            | TaskEnd::Indeterminate { at, .. }
            | TaskEnd::NotDone { at } => Some(*at),
        },
    }
}

fn run_words(entry: &JournalEntry) -> String {
    match entry {
        JournalEntry::Founded { stack, instance, target, lineage, .. } => {
            let name = StackName { stack, workspace: instance.as_deref() };
            format!("the state of {name} began, target {target}, lineage {lineage}")
        }
        JournalEntry::Leased { epoch, owner, command, preempted, .. } => {
            let command = command.as_ref().map_or_else(String::new, |it| format!(" for `{it}`"));
            let from =
                preempted.as_ref().map_or_else(String::new, |it| format!(", preempting {it}"));
            format!("{owner} took the lease with epoch {epoch}{command}{from}")
        }
        JournalEntry::Bound { cloud, account } => {
            format!("bound to the account {account} of {cloud}")
        }
        JournalEntry::RunBegan { command, plan, steps, destroys, .. } => {
            let what = if *destroys { "began to destroy everything" } else { "began" };
            format!("`{command}` {what}: {}, plan {plan}", count(*steps, "step"))
        }
        JournalEntry::RunEnded { complete, overlays, .. } => {
            let how = if *complete { "everything is done" } else { "something is left" };
            format!("the run ended: {how}, active overlays {}", OverlayNames(overlays))
        }
        _ => String::new(),
    }
}

fn switch_words(entry: &JournalEntry) -> String {
    match entry {
        JournalEntry::Switched { from, to, lost, .. } => {
            let domains: Vec<&str> =
                lost.iter().map(|LostDomain { fault_domain, .. }| fault_domain.as_str()).collect();
            let lost = match domains.as_slice() {
                [] => "nothing declared lost".to_owned(),
                domains => format!("declared lost: {}", domains.join(", ")),
            };
            format!("switch from {} to {}, {lost}", OverlayNames(from), OverlayNames(to))
        }
        JournalEntry::Recovered { fault_domain, .. } => format!("{fault_domain} has recovered"),
        JournalEntry::Directed { address, was, until, .. } => {
            let was: Vec<String> = was.iter().map(|it| format!("`{it}`")).collect();
            let was = if was.is_empty() {
                String::new()
            } else {
                format!(" away from {}", was.join(", "))
            };
            let until =
                until.map_or_else(String::new, |it| format!(", draining until {}", moment(it)));
            format!("traffic shift of `{address}`{was}{until}")
        }
        JournalEntry::UsersMoved { .. } => "all users are where the switch wants them".into(),
        JournalEntry::UsersAway { .. } => "users are no longer where the switch wants them".into(),
        JournalEntry::AllowancesUsed { allowances, .. } => {
            let one = |it: &UsedAllowance| {
                let ReviewedAllowance { exempts, because, .. } = &it.allowance;
                format!("`{exempts}` ({because})")
            };
            let all: Vec<String> = allowances.iter().map(one).collect();
            format!("the layers allow {}", all.join(", "))
        }
        JournalEntry::GateSkipped { address, because, .. } => {
            format!("the gate of `{address}` was skipped because: {because}")
        }
        _ => String::new(),
    }
}

fn step_words(entry: &JournalEntry) -> String {
    match entry {
        JournalEntry::Pending(it) => {
            format!("{} of `{}` ({}) begins", it.call.word(), it.address, it.kind)
        }
        JournalEntry::Waiting { address, gate, .. } => {
            format!("`{address}` waits for {gate}")
        }
        JournalEntry::Ended { address, outcome, .. } => {
            format!("`{address}`: {}", outcome_words(outcome))
        }
        JournalEntry::TaskBegan { task, undo, .. } => {
            format!("{} begins", task_name(task, *undo))
        }
        JournalEntry::TaskEnded { task, undo, end, .. } => {
            let end = match end {
                TaskEnd::Done { .. } => "done".to_owned(),
                TaskEnd::Failed { why, .. } => format!("failed: {why}"),
                TaskEnd::Indeterminate { why, .. } => format!("indeterminate: {why}"),
                TaskEnd::NotDone { .. } => "had no effect".into(),
            };
            format!("{}: {end}", task_name(task, *undo))
        }
        _ => String::new(),
    }
}

fn task_name(task: &str, undo: bool) -> String {
    if undo { format!("undo of the task {task}") } else { format!("task {task}") }
}

fn outcome_words(outcome: &StepOutcome) -> String {
    let failure = |word: &str, StepFailure { why, class }: &StepFailure| {
        let denied = class.is_some_and(|it| it == ErrorClass::Denied);
        format!("{word}{}: {why}", if denied { " (denied)" } else { "" })
    };
    match outcome {
        StepOutcome::Recorded(it) if it.id.is_empty() => format!("recorded as {}", it.kind),
        StepOutcome::Recorded(it) => format!("recorded as {} with the ID {}", it.kind, it.id),
        StepOutcome::Removed => "removed from the state".into(),
        StepOutcome::Moved { from } => format!("moved from `{from}`"),
        StepOutcome::Failed(why) => failure("failed", why),
        StepOutcome::InDoubt(why) => failure("indeterminate", why),
        StepOutcome::Waited => "the wait is over".into(),
        StepOutcome::Withdrawn => "withdrawn before its request was sent".into(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{entry_time, entry_words};
    use crate::engine::state::journal::{JournalEntry, StepOutcome};
    use crate::engine::state::record::{
        Allowances, Keep, LostDomain, MutatingCall, PendingOperation, ShiftRecord,
    };
    use crate::engine::state::task_record::TaskEnd;
    use crate::engine::value::{Attributes, LineageKey};

    fn of_runs_and_switches() -> Vec<JournalEntry> {
        vec![
            JournalEntry::Founded {
                stack: "shop".into(),
                instance: Some("drill".into()),
                target: "sandbox".into(),
                lineage: "l".into(),
                key: LineageKey(vec![1]),
                overlays: Vec::new(),
            },
            JournalEntry::Leased {
                epoch: 3,
                owner: "ann".into(),
                command: Some("apply shop".into()),
                at: 0,
                preempted: Some("bob, which released it".into()),
            },
            JournalEntry::Bound { cloud: "c".into(), account: "a\u{1b}[2J".into() },
            JournalEntry::RunBegan {
                who: "ann".into(),
                command: "apply shop".into(),
                at: 0,
                plan: "sha256:1".into(),
                steps: 2,
                destroys: false,
                variables: None,
                home_variables: BTreeMap::new(),
            },
            JournalEntry::Switched {
                from: Vec::new(),
                to: vec!["eu".into()],
                lost: vec![LostDomain { fault_domain: "aws:x".into(), since: 1, by: "a".into() }],
                variables: BTreeMap::new(),
                keep: Keep::Nothing,
                allowed: Allowances::default(),
                last_good: None,
                at: 0,
                who: "ann".into(),
            },
            JournalEntry::Recovered { fault_domain: "aws:x".into(), at: 0, who: "ann".into() },
            JournalEntry::Directed {
                address: "lb".parse().unwrap(),
                was: vec!["web".parse().unwrap()],
                until: Some(61_000),
                directed: ShiftRecord { at: 1_000, dns_bound: 60 },
            },
            JournalEntry::UsersMoved { at: 0 },
            JournalEntry::UsersAway { at: 0 },
        ]
    }

    fn of_steps() -> Vec<JournalEntry> {
        let lb = || "lb".parse().unwrap();
        let ended = |step, outcome| JournalEntry::Ended { address: lb(), step, outcome, at: 1_000 };
        let task =
            |end| JournalEntry::TaskEnded { task: "purge".into(), undo: false, step: 4, end };
        vec![
            JournalEntry::Pending(PendingOperation {
                step: 1,
                address: lb(),
                kind: "linode.nodebalancer".into(),
                call: MutatingCall::Create,
                attributes: Attributes::new(),
                needs: Vec::new(),
                alike: Vec::new(),
                mark: None,
                at: 0,
            }),
            JournalEntry::Waiting { address: lb(), step: 2, gate: "its nodes".into(), at: 0 },
            JournalEntry::GateSkipped { address: lb(), because: "known".into(), at: 0 },
            ended(1, StepOutcome::Removed),
            ended(0, StepOutcome::Moved { from: "web".parse().unwrap() }),
            ended(1, StepOutcome::failed("no quota")),
            ended(1, StepOutcome::in_doubt("no reply")),
            ended(2, StepOutcome::Waited),
            JournalEntry::TaskBegan {
                task: "purge".into(),
                undo: true,
                step: 4,
                plan: "p".into(),
                at: 0,
                takes_back: None,
                asks: None,
            },
            task(TaskEnd::Done { at: 0 }),
            task(TaskEnd::Failed { at: 0, why: "exit 1".into() }),
            task(TaskEnd::Indeterminate { at: 0, why: "killed".into() }),
            task(TaskEnd::NotDone { at: 0 }),
            JournalEntry::RunEnded {
                at: 0,
                complete: true,
                overlays: Vec::new(),
                variables: BTreeMap::new(),
                outputs: BTreeMap::new(),
            },
        ]
    }

    fn entries() -> Vec<JournalEntry> {
        [of_runs_and_switches(), of_steps()].concat()
    }

    #[test]
    fn entry_words_says_every_entry_plainly() {
        let said: Vec<String> = entries().iter().map(entry_words).collect();
        insta::assert_snapshot!(said.join("\n"), @r#"
        the state of shop@drill began, target sandbox, lineage l
        ann took the lease with epoch 3 for `apply shop`, preempting bob, which released it
        bound to the account a\u{1b}[2J of c
        `apply shop` began: 2 steps, plan sha256:1
        switch from base to eu, declared lost: aws:x
        aws:x has recovered
        traffic shift of `lb` away from `web`, draining until 1970-01-01T00:01:01Z
        all users are where the switch wants them
        users are no longer where the switch wants them
        create of `lb` (linode.nodebalancer) begins
        `lb` waits for its nodes
        the gate of `lb` was skipped because: known
        `lb`: removed from the state
        `lb`: moved from `web`
        `lb`: failed: no quota
        `lb`: indeterminate: no reply
        `lb`: the wait is over
        undo of the task purge begins
        task purge: done
        task purge: failed: exit 1
        task purge: indeterminate: killed
        task purge: had no effect
        the run ended: everything is done, active overlays base
        "#);
        let untimed = entries().iter().filter(|it| entry_time(it).is_none()).count();
        assert_eq!(untimed, 2);
    }
}

//! What people say of tasks: `approve` lets one that waits go on, `state resolve` says whether one took effect.

use std::sync::Arc;

use crate::cli::args::StateArgs;
use crate::cli::args::state::{ApproveArgs, TaskOutcome};
use crate::cli::context::CommandContext;
use crate::cli::exit::Exit;
use crate::cli::{open, out};
use crate::engine::state::journal::{JournalEntry, fold};
use crate::engine::state::record::{State, SwitchRecord};
use crate::engine::state::task_record::{TaskAttempt, TaskEnd};
use crate::engine::text::advice::AdvisedCommand;
use crate::engine::text::diagnostic::nearest;
use crate::ops::error::OpsError;
use crate::ops::tasks::approval::{Approval, Approvals};
use crate::store::state_store::StateStore;

/// Approves a task that waits, in the switch and the plan that it waits in.
pub fn approve(store: &StateStore, it: ApproveArgs, at: i64) -> Result<Exit, OpsError> {
    let ApproveArgs { task, plan, because } = it;
    let state = store.load()?.ok_or_else(|| nothing_waits(&task, "the stack has no state"))?;
    let (undo, attempt) = waiting(&state, &task)?;
    // Who took over and has not asked yet will ask of a plan of its own.
    let held = store.lease_status()?.is_some_and(|it| it.is_alive && it.epoch == state.epoch);
    let has_asked = state.last_run.as_ref().is_none_or(|it| it.at <= attempt.began);
    if !held || !has_asked {
        return Err(nothing_waits(&task, "the run that asked has ended"));
    }
    if let Some(named) = plan.filter(|it| !is_digest(&attempt.plan, it)) {
        return Err(OpsError::refused(
            format!("`{task}` waits in another plan, {}; {named} was not approved", attempt.plan),
            "look at the plan that the run shows, and approve that one",
        ));
    }
    let approval = Approval {
        task: task.clone(),
        undo,
        switch: attempt.switch,
        plan: attempt.plan.clone(),
        who: open::who(),
        because,
        at,
    };
    Approvals::new(Arc::clone(store.backend())).write(&approval)?;
    out::talk(&format!("approved `{task}` of plan {}", attempt.plan));
    Ok(Exit::Done)
}

/// Whether somebody means this digest; its beginning is enough.
fn is_digest(whole: &str, named: &str) -> bool {
    let bare = |it: &str| it.strip_prefix("sha256:").unwrap_or(it).to_owned();
    bare(named).len() >= 8 && bare(whole).starts_with(&bare(named))
}

fn nothing_waits(task: &str, why: &str) -> OpsError {
    OpsError::refused(
        format!("the task `{task}` does not wait for an approval: {why}"),
        "an approval is of one task in one run of a switch; approve it while the run waits",
    )
}

/// The attempt that began in the switch which goes on and has no end.
fn waiting<'a>(state: &'a State, task: &str) -> Result<(bool, &'a TaskAttempt), OpsError> {
    let here = state.unfinished_switch().map(SwitchRecord::identity);
    let here = here.ok_or_else(|| nothing_waits(task, "no switch is under way"))?;
    let record = state.tasks.get(task).ok_or_else(|| unknown(state, task))?;
    let attempts = [(true, record.undo.as_ref()), (false, Some(&record.run))];
    let attempt = attempts.into_iter().find_map(|(undo, it)| Some((undo, it?)));
    let (undo, attempt) = attempt.ok_or_else(|| unknown(state, task))?;
    if attempt.switch != here {
        return Err(nothing_waits(task, "it was part of another switch"));
    }
    if attempt.end.is_some() {
        return Err(nothing_waits(task, "it has ended in this switch"));
    }
    Ok((undo, attempt))
}

fn unknown(state: &State, task: &str) -> OpsError {
    let names: Vec<&str> = state.tasks.keys().map(String::as_str).collect();
    let help = match (nearest(task, names.iter().copied()), names.as_slice()) {
        (Some(near), _) => format!("did you mean `{near}`?"),
        (None, []) => "no task has begun".into(),
        (None, names) => format!("tasks that have begun: {}", names.join(", ")),
    };
    OpsError::input(format!("the task `{task}` has not begun"), help)
}

/// Journals what a person knows of a task that nobody else knows the end of.
pub fn resolve(
    context: &CommandContext,
    args: &StateArgs,
    store: &StateStore,
    (task, outcome, at): (&str, TaskOutcome, i64),
) -> Result<Exit, OpsError> {
    let (mut lease, state) = store.lease(&open::who(), &context.command, at)?;
    let mut state = state.ok_or_else(|| {
        let apply = AdvisedCommand::Apply { stack: &args.stack };
        OpsError::input("the stack has no state", format!("create it: {apply}"))
    })?;
    let record = state.tasks.get(task).ok_or_else(|| unknown(&state, task))?;
    let open = |it: &TaskAttempt| it.doubt().is_some();
    let undo = record.undo.as_ref().is_some_and(open);
    if !undo && !open(&record.run) {
        return Err(OpsError::input(
            format!("the task `{task}` is done: its end is known"),
            "only a task that failed, or whose end nobody knows, can be resolved",
        ));
    }
    // A taking back in the switch that ran the task leaves the task itself in doubt: whether it is in effect is what is said.
    let is_half_undone =
        undo && record.undo.as_ref().is_some_and(|it| it.switch == record.run.switch);
    let (undo, end) = match (outcome, is_half_undone) {
        (TaskOutcome::Done, true) => (true, TaskEnd::NotDone { at }),
        (TaskOutcome::NotDone, true) => (false, TaskEnd::NotDone { at }),
        (TaskOutcome::Done, false) => (undo, TaskEnd::Done { at }),
        (TaskOutcome::NotDone, false) => (undo, TaskEnd::NotDone { at }),
    };
    let entry = JournalEntry::TaskEnded { task: task.to_owned(), undo, step: 0, end };
    fold(&mut state, &entry);
    lease.append(&[entry])?;
    state.serial += 1;
    lease.save(&state)?;
    let what = match outcome {
        TaskOutcome::Done => "counts as done",
        TaskOutcome::NotDone => "counts as not begun: the switch runs it again",
    };
    out::talk(&format!("the task `{task}` {what}"));
    Ok(Exit::Done)
}

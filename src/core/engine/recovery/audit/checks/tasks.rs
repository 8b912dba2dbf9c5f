//! Whether the tasks of a switch have ever run before it counts, and whether their programs are there.

use crate::engine::lang::model::{InDrill, Task};
use crate::engine::recovery::audit::facts::AuditFacts;
use crate::engine::recovery::audit::finding::{AuditRule, AuditSection, Finding, Level};
use crate::engine::recovery::audit::side::Side;
use crate::engine::task::TaskOccasion;

pub static TASK_NEVER_DRILLED: AuditRule = AuditRule {
    id: "task-never-drilled",
    level: Level::Warning,
    title: "A task has never run in a drill",
    remedy: "run `drill`",
};
pub static TASK_PROGRAM_MISSING: AuditRule = AuditRule {
    id: "task-program-missing",
    level: Level::Error,
    title: "The program of a task cannot be started",
    remedy: "put it where the task names it, and make it executable",
};

/// Every task that a side declares.
pub fn check(side: &Side<'_>, facts: &AuditFacts, out: &mut AuditSection) {
    for task in side.stack.tasks.values() {
        if let Some(why) = facts.missing_programs.get(&task.name) {
            let place = side.place(task.span);
            let finding = Finding::new(&TASK_PROGRAM_MISSING, Some(place), why.clone());
            out.findings.push(finding.about(&task.name));
        }
        out.findings.extend(undrilled(side, task, facts));
    }
}

fn undrilled(side: &Side<'_>, task: &Task, facts: &AuditFacts) -> Option<Finding> {
    // A drill rehearses a failover; the way home is in no drill.
    let is_rehearsed = task.on.iter().any(|it| *it != TaskOccasion::Failback);
    let has_run = facts.drills.iter().any(|it| it.tasks.contains(&task.name));
    if !is_rehearsed || has_run {
        return None;
    }
    let place = side.place(task.span);
    let finding =
        |why: String| Finding::new(&TASK_NEVER_DRILLED, Some(place), why).about(&task.name);
    if matches!(task.in_drill, InDrill::Skip) {
        let why = format!("`{}` has `in_drill: skip`: its first run is the real one", task.name);
        let remedy = "write `in_drill: { … }` with a target that a drill may act on";
        return Some(finding(why).at_level(Level::Note).remedy(remedy));
    }
    Some(finding(format!("no report of a drill says that `{}` was done", task.name)))
}

//! The tasks of a plan in words: what becomes of each, when, and what it does.

use crate::engine::address::Address;
use crate::engine::plan::model::change::Plan;
use crate::engine::plan::model::planned_task::{PlannedTask, TaskFate};
use crate::engine::task::{IfLost, OnFailure, Rerun, TaskAction, TaskOccasion, TaskWork};
use crate::engine::value::Value;
use crate::render::lines::{LineLimits, RenderedLine, Sign};
use crate::render::plan::entry::RenderedEntry;
use crate::render::words::{cut, duration, escape_control, inline, moment};

/// Every task that the switch names, those that it does not run as well.
pub fn tasks(plan: &Plan, limits: LineLimits) -> Vec<RenderedEntry> {
    plan.tasks.iter().map(|it| entry(it, limits)).collect()
}

/// How many of them run.
pub fn count_running(plan: &Plan) -> usize {
    plan.tasks.iter().filter(|it| it.fate.has_step()).count()
}

fn entry(task: &PlannedTask, limits: LineLimits) -> RenderedEntry {
    let (symbol, fate) = match &task.fate {
        TaskFate::Run => (">", None),
        TaskFate::Resume { why } => (">", Some(format!("resumed: {}", escape_control(why)))),
        TaskFate::Undo if task.occasion == TaskOccasion::Drill => {
            ("<", Some("undone before everything is deleted".to_owned()))
        }
        TaskFate::Undo => ("<", Some("undone on the way home".to_owned())),
        TaskFate::Done { at } => ("=", Some(format!("done at {}", moment(*at)))),
        TaskFate::Skip { why } => ("=", Some(format!("skipped: {}", escape_control(why)))),
        TaskFate::Wait { why } => ("?", Some(format!("waits: {}", escape_control(why)))),
    };
    let when = task.fate.has_step().then(|| when(task)).flatten();
    RenderedEntry {
        symbol,
        address: escape_control(&task.name.to_string()),
        kind: task.work().map_or("task", |it| it.action.word()).into(),
        reason: fate.into_iter().chain(when).collect::<Vec<_>>().join("; "),
        concerns: Vec::new(),
        shifts: false,
        also: Vec::new(),
        attributes: Vec::new(),
        place: Some(escape_control(&task.place)),
        lines: if task.fate.has_step() { lines(task, limits) } else { Vec::new() },
    }
}

/// `after lb and web[0], before shop`.
fn when(task: &PlannedTask) -> Option<String> {
    let all = |word: &str, of: &[Address]| {
        let named: Vec<String> = of.iter().map(|it| escape_control(&it.to_string())).collect();
        (!named.is_empty()).then(|| format!("{word} {}", named.join(" and ")))
    };
    let parts: Vec<String> =
        [all("after", &task.after), all("before", &task.before)].into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn lines(task: &PlannedTask, limits: LineLimits) -> Vec<RenderedLine> {
    let line = |text: String| RenderedLine {
        sign: Sign::Same,
        depth: 0,
        text: cut(&text, limits.value),
        comment: None,
    };
    let mut lines: Vec<RenderedLine> = task.work().map(|it| line(does(it))).into_iter().collect();
    let verify = task.spec.verify.as_ref().filter(|_| !task.is_undo());
    lines.extend(verify.map(|it| line(format!("verify: {}", does(it)))));
    let undo = task.spec.undo.as_ref().filter(|_| !task.is_undo());
    lines.extend(undo.map(|it| line(format!("undo: {}", does(it)))));
    let mut rest = Vec::new();
    rest.extend((task.spec.rerun == Rerun::Safe).then_some("rerun: safe"));
    rest.extend((task.spec.on_failure == OnFailure::Continue).then_some("on_failure: continue"));
    rest.extend((task.spec.if_lost == IfLost::Skip).then_some("if_lost: skip"));
    lines.extend((!rest.is_empty()).then(|| line(rest.join(", "))));
    lines
}

/// `exec: ["./purge.sh", "shop"], within 5 min`.
pub fn does(work: &TaskWork<Value>) -> String {
    let what = match &work.action {
        TaskAction::Exec { command, env } => {
            let env =
                if env.is_empty() { String::new() } else { format!(", env {}", env.join(" ")) };
            format!("exec: {}{env}", inline(&Value::List(command.clone())))
        }
        TaskAction::Http(it) => {
            let expect: Vec<String> = it.expect.iter().map(ToString::to_string).collect();
            let expect = if expect.is_empty() { "2xx".to_owned() } else { expect.join(" or ") };
            format!("http: {} {}, expects {expect}", it.method, inline(&it.url))
        }
        TaskAction::Confirm { text } => format!("confirm: {}", inline(text)),
    };
    format!("{}, within {}", escape_control(&what), duration(work.within))
}

#[cfg(test)]
mod tests {
    use crate::engine::plan::model::change::{Plan, Step, StepCall};
    use crate::engine::plan::model::planned_task::{PlannedTask, TaskFate};
    use crate::engine::plan::tests::sample::{plan, task};
    use crate::engine::task::{TASK, TaskAction, TaskRequest, TaskWork};
    use crate::engine::value::Value;
    use crate::render::plan::html::html;
    use crate::render::plan::markdown::markdown;
    use crate::render::plan::text::{TextOptions, text};

    fn with_tasks() -> Plan {
        let mut plan = plan();
        let with = |name: &str, fate: TaskFate| PlannedTask { fate, ..task(name) };
        let why = "it was interrupted; it runs again".to_owned();
        let mut call = with("call", TaskFate::Resume { why });
        let request = TaskRequest {
            method: "POST".into(),
            url: Value::Open,
            headers: Vec::new(),
            body: None,
            expect: vec![200, 204],
        };
        call.spec.work.action = TaskAction::Http(request);
        let mut stop = with("stop_writers", TaskFate::Undo);
        let action = TaskAction::Confirm { text: Value::text("Lift the \u{1b}[31mstop?") };
        stop.spec.undo = Some(TaskWork { action, within: 1_800 });
        let skipped = with("fence", TaskFate::Skip { why: "`in_drill: skip`".into() });
        let done = with("announce", TaskFate::Done { at: 1_790_000_000_000 });
        plan.tasks = vec![task("purge"), call, stop, done, skipped];
        for (id, (name, undo)) in
            [("purge", false), ("call", false), ("stop_writers", true)].into_iter().enumerate()
        {
            plan.steps.push(Step {
                id,
                address: name.parse().unwrap(),
                kind: TASK.into(),
                waits: (0..id).collect(),
                quorums: Vec::new(),
                lane: None,
                segment: id,
                weight: 1,
                shift: None,
                call: StepCall::Task { undo },
            });
        }
        plan
    }

    #[test]
    fn text_shows_what_becomes_of_each_task_and_what_it_does() {
        let options = TextOptions { color: false, width: 100, verbose: true };
        insta::assert_snapshot!(text(&with_tasks(), &options));
    }

    #[test]
    fn markdown_and_html_show_tasks_as_text_does() {
        let plan = with_tasks();
        insta::assert_snapshot!(markdown(&plan, None));
        let page = html(&plan);
        for part in ["<h2>Tasks</h2>", "stop_writers", "./purge.sh", "\\u{1b}", "in_drill: skip"] {
            assert!(page.contains(part), "{part}: {page}");
        }
    }
}

//! What is wrong with the tasks of a plan before anything of it is begun.
//!
//! Programs may be missing, and a drill may be about to act on what the plain stack acts on.

use std::collections::BTreeMap;
use std::path::Path;

use crate::engine::lang::merge::variables::{GivenVariable, RememberedVariables};
use crate::engine::lang::model::{InstanceShape, Stack, Term};
use crate::engine::lang::task_values::resolve_task;
use crate::engine::plan::diff::attributes::seal;
use crate::engine::plan::draft::refresh::KnownValues;
use crate::engine::plan::model::change::Plan;
use crate::engine::plan::model::planned_task::PlannedTask;
use crate::engine::state::record::State;
use crate::engine::task::{TaskAction, TaskOccasion, TaskSpec, TaskWork};
use crate::engine::text::codes::DiagnosticCode;
use crate::engine::text::diagnostic::{Diagnostic, Span};
use crate::engine::value::Value;
use crate::ops::error::OpsError;
use crate::ops::load::layers;
use crate::ops::load::session::Session;
use crate::ops::load::stack_ref::StackRef;
use crate::ops::tasks::program::{ProgramTrouble, find_program};

/// The parts of a task that may run sooner or later, as they are planned and as they are declared.
fn works<'a, 'b>(
    planned: &'a TaskSpec<Value>,
    declared: &'b TaskSpec<Term>,
) -> Vec<(&'a TaskWork<Value>, &'b TaskWork<Term>)> {
    let pairs = [
        (Some(&planned.work), Some(&declared.work)),
        (planned.verify.as_ref(), declared.verify.as_ref()),
        (planned.undo.as_ref(), declared.undo.as_ref()),
    ];
    pairs.into_iter().filter_map(|(one, other)| one.zip(other)).collect()
}

fn running<'a>(plan: &'a Plan, stack: &'a Stack) -> Vec<(&'a PlannedTask, &'a TaskSpec<Term>)> {
    let tasks = plan.tasks.iter().filter(|it| it.fate.has_step());
    let declared = |it: &'a PlannedTask| {
        let spec = stack.tasks.get(&it.name.name)?.spec(stack.instance.is_some())?;
        Some((it, spec))
    };
    tasks.filter_map(declared).collect()
}

/// Programs of these tasks that cannot be started here. Which one only applying will tell is looked for when it starts.
pub fn missing_programs(plan: &Plan, stack: &Stack, folder: &Path) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for task in plan.tasks.iter().filter(|it| it.fate.has_step()) {
        let declared = stack.tasks.get(&task.name.name);
        let spec = declared.and_then(|it| it.spec(stack.instance.is_some()));
        // What is taken back may be declared no longer: it is run as it was recorded.
        let undo = (task.spec.undo.as_ref(), spec.and_then(|it| it.undo.as_ref()));
        let work = (Some(&task.spec.work), spec.map(|it| &it.work));
        let verify = (task.spec.verify.as_ref(), spec.and_then(|it| it.verify.as_ref()));
        let parts = if task.is_undo() { vec![undo] } else { vec![work, verify, undo] };
        for (work, terms) in parts {
            let Some(why) = work.and_then(|it| missing_program(it, folder)) else { continue };
            let span = terms.and_then(program_of).map(|it| it.span);
            found.push(told(&task.name.name, span.or(declared.map(|it| it.span)), &why));
        }
    }
    found
}

fn program_of<T>(work: &TaskWork<T>) -> Option<&T> {
    match &work.action {
        TaskAction::Exec { command, .. } => command.first(),
        TaskAction::Http(_) | TaskAction::Confirm { .. } => None,
    }
}

/// Why the program of this work cannot be started, where it is one.
fn missing_program(work: &TaskWork<Value>, folder: &Path) -> Option<ProgramTrouble> {
    let name = program_of(work)?.as_text()?;
    find_program(name, folder, std::env::var_os("PATH").as_deref()).err()
}

/// Programs of any task that a stack declares which cannot be started here, by task; those that are written out.
pub fn declared_programs_missing(stack: &Stack, folder: &Path) -> BTreeMap<String, String> {
    let path = std::env::var_os("PATH");
    let mut missing = BTreeMap::new();
    for task in stack.tasks.values() {
        let specs = [task.spec(false), task.spec(true)].into_iter().flatten();
        let works = specs.flat_map(|it| [Some(&it.work), it.verify.as_ref(), it.undo.as_ref()]);
        for work in works.flatten() {
            let TaskAction::Exec { command, .. } = &work.action else { continue };
            let Some(InstanceShape::Literal(name)) = command.first().map(|it| &it.shape) else {
                continue;
            };
            let found = name.as_text().map(|it| find_program(it, folder, path.as_deref()));
            if let Some(Err(why)) = found {
                missing.entry(task.name.clone()).or_insert_with(|| why.to_string());
            }
        }
    }
    missing
}

fn told(task: &str, span: Option<Span>, why: &ProgramTrouble) -> Diagnostic {
    let help = match why {
        ProgramTrouble::Missing(_) => {
            "a name with `/` is a path, and one that does not begin with `/` starts in the folder of stack.yaml"
        }
        ProgramTrouble::NotOnPath(_) => {
            "install it on this machine, or write `./NAME` for one in the folder of stack.yaml"
        }
        ProgramTrouble::NotExecutable(_) => "give its file the executable bit (chmod +x)",
        ProgramTrouble::NoInterpreter { .. } => {
            "install that program on this machine, or correct the first line (`#!`) of the file"
        }
    };
    let text = format!("The program of the task `{task}` cannot be started");
    let told = |text| Diagnostic::error(DiagnosticCode::ProgramMissing, text).help(help);
    match span {
        Some(span) => told(text).at(span, why.to_string()),
        None => told(format!("{text}: {why}")),
    }
}

/// Tasks of a workspace that would do to the same what they do for the plain stack.
pub fn acting_on_plain(
    session: &Session,
    place: &StackRef,
    given: &[GivenVariable],
    (plan, stack, state): (&Plan, &Stack, Option<&State>),
) -> Result<Vec<Diagnostic>, OpsError> {
    let mut running = running(plan, stack);
    // What is taken back was looked at when it ran.
    running.retain(|(task, _)| !task.is_undo());
    if stack.instance.is_none() || running.is_empty() {
        return Ok(Vec::new());
    }
    let plain = StackRef { instance: None, ..place.clone() };
    let mut overlays = Vec::new();
    for it in &stack.overlays {
        if layers::instance_of(place, it)?.instance.is_none() {
            overlays.push(it.clone());
        }
    }
    let recorded = session.store(&plain).load()?;
    let remembered = recorded.as_ref().map_or_else(RememberedVariables::none, |it| {
        RememberedVariables { values: &it.variables, overlays: &it.active }
    });
    let theirs = layers::desired(&plain, &overlays, given, remembered, &session.catalog)?.stack;
    let known = recorded.as_ref().map(KnownValues::recorded).unwrap_or_default();
    let key = state.map(|it| &it.key);
    let mut found = Vec::new();
    for (task, declared) in running {
        // What runs in drills only is nothing that the plain stack ever does.
        let plain = theirs.tasks.get(&task.name.name);
        let plain = plain.filter(|it| it.on.iter().any(|it| *it != TaskOccasion::Drill));
        let spec = plain.and_then(|it| it.spec(false));
        let spec = spec.and_then(|it| resolve_task(&theirs, &session.catalog, it, &known).ok());
        let Some(spec) = spec.map(|it| it.map(|value| seal(value, key))) else { continue };
        let own = works(&task.spec, declared);
        let same =
            own.into_iter().zip([Some(&spec.work), spec.verify.as_ref(), spec.undo.as_ref()]);
        let touched =
            same.filter_map(|((mine, terms), plain)| Some((same_target(mine, plain?)?, terms)));
        found.extend(touched.map(|(what, terms)| refusal(&task.name.name, &what, terms)));
    }
    Ok(found)
}

/// What two works act on alike: a host, or arguments.
fn same_target(mine: &TaskWork<Value>, plain: &TaskWork<Value>) -> Option<String> {
    match (&mine.action, &plain.action) {
        (TaskAction::Http(mine), TaskAction::Http(plain)) => {
            let host = |it: &Value| host_of(it.as_text()?);
            let own = host(&mine.url)?;
            (Some(&own) == host(&plain.url).as_ref()).then(|| format!("the host {own}"))
        }
        (TaskAction::Exec { command: mine, .. }, TaskAction::Exec { command: plain, .. }) => {
            let is_same = match (mine.get(1..), plain.get(1..)) {
                (Some(own @ [_, ..]), Some(theirs)) => own == theirs,
                _ => mine == plain,
            };
            let is_known = !mine.iter().any(Value::has_open);
            (is_same && is_known).then(|| "the same arguments".to_owned())
        }
        _ => None,
    }
}

/// `shop.example.com:8080` of a URL, in the one spelling of a host and its port.
fn host_of(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let host = rest.split(['/', '?', '#']).next()?;
    let host = host.rsplit_once('@').map_or(host, |it| it.1).to_lowercase();
    let usual = if scheme.eq_ignore_ascii_case("https") { ":443" } else { ":80" };
    let host = host.strip_suffix(usual).unwrap_or(&host);
    Some(host.strip_suffix('.').unwrap_or(host).to_owned())
}

fn refusal(task: &str, what: &str, terms: &TaskWork<Term>) -> Diagnostic {
    let text = format!(
        "in this drill the task `{task}` would act on what it acts on for the plain stack: {what}"
    );
    let refusal = Diagnostic::refusal(DiagnosticCode::DrillActsOnPlain, text).help(
        "give the drill a target of its own with `in_drill: { … }`, or write `in_drill: skip`",
    );
    match terms.action.parts().first() {
        Some(term) => refusal.at(term.span, "the plain stack does the same"),
        None => refusal,
    }
}

#[cfg(test)]
mod tests {
    use super::{host_of, same_target};
    use crate::engine::task::{TaskAction, TaskRequest, TaskWork};
    use crate::engine::value::Value;

    fn exec(command: &[&str]) -> TaskWork<Value> {
        let command = command.iter().map(|it| Value::text(*it)).collect();
        TaskWork { action: TaskAction::Exec { command, env: Vec::new() }, within: 1 }
    }

    fn http(url: Value) -> TaskWork<Value> {
        let request = TaskRequest {
            method: "POST".into(),
            url,
            headers: Vec::new(),
            body: None,
            expect: Vec::new(),
        };
        TaskWork { action: TaskAction::Http(request), within: 1 }
    }

    #[test]
    fn same_target_compares_arguments_and_hosts() {
        let same = |one, other| same_target(&one, &other).is_some();
        assert!(same(exec(&["./a", "db"]), exec(&["./a", "db"])));
        assert!(
            same(exec(&["./b", "db"]), exec(&["./a", "db"])),
            "another program, the same database"
        );
        assert!(!same(exec(&["./a", "drill-db"]), exec(&["./a", "db"])));
        assert!(same(exec(&["./a"]), exec(&["./a"])));
        assert!(
            !same(exec(&["./b"]), exec(&["./a"])),
            "nothing but the program says on what it acts"
        );
        let url = |it: &str| http(Value::text(it));
        assert!(same(url("https://cdn/a"), url("https://cdn/b")));
        assert!(!same(url("https://drill.cdn/a"), url("https://cdn/a")));
        assert!(!same(http(Value::Open), http(Value::Open)), "what nobody knows is not the same");
        assert_eq!(host_of("https://me:secret@cdn:8080/a?b"), Some("cdn:8080".into()));
        for same in ["HTTP://CDN.example.com./x", "http://cdn.example.com:80/y?z"] {
            assert_eq!(host_of(same), host_of("http://cdn.example.com/"), "{same}");
        }
    }
}

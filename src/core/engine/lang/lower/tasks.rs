//! Lowers `tasks`: what switches do that is no resource, each with the addresses that it comes after and before.

use crate::engine::address::{Address, Key, is_name};
use crate::engine::fast_map::FastMap;
use crate::engine::lang::cel::path::is_taken;
use crate::engine::lang::check::task_work::{ACTIONS, WorkOf, block, tell_unknown, work};
use crate::engine::lang::lower::resources::section;
use crate::engine::lang::merge::overlay::texts;
use crate::engine::lang::model::{InDrill, Reference, Task, Term};
use crate::engine::lang::term::Terms;
use crate::engine::lang::yaml::node::{Data, Map, MapEntry, Node};
use crate::engine::lang::yaml::reader::MISTAKES_MAX;
use crate::engine::task::{IfLost, OnFailure, Rerun, TaskOccasion, TaskSpec};
use crate::engine::text::codes::DiagnosticCode;
use crate::engine::text::diagnostic::{Diagnostic, Sources, Span};

/// The keys of a task.
pub const TASK_KEYS: [&str; 15] = [
    "on",
    "after",
    "before",
    "exec",
    "http",
    "confirm",
    "env",
    "within",
    "verify",
    "undo",
    "rerun",
    "on_failure",
    "if_lost",
    "in_drill",
    "description",
];
/// What a drill may have another of.
pub const DRILL_KEYS: [&str; 10] = [
    "exec",
    "http",
    "confirm",
    "env",
    "within",
    "verify",
    "undo",
    "rerun",
    "on_failure",
    "if_lost",
];
const VERIFY_KEYS: [&str; 4] = ["exec", "http", "env", "within"];
const UNDO_KEYS: [&str; 5] = ["exec", "http", "confirm", "env", "within"];

/// Lowers `tasks`.
pub fn tasks(
    node: Option<&Node>,
    sources: &Sources,
    out: &mut Vec<Diagnostic>,
) -> FastMap<String, Task> {
    let mut found = FastMap::default();
    let Some(map) = section(node, "tasks", out) else { return found };
    for (name, it) in map {
        if out.len() > MISTAKES_MAX {
            break;
        }
        check_name(name, it.key, out);
        let lowered = LowerTask { name, entry: it, terms: Terms { sources, out } }.task();
        found.extend(lowered.map(|it| (it.name.clone(), it)));
    }
    found
}

fn check_name(name: &str, span: Span, out: &mut Vec<Diagnostic>) {
    if !is_name(name) || is_taken(name) {
        out.push(
            Diagnostic::error(DiagnosticCode::BadName, "Invalid name")
                .at(span, "a task is named like a resource")
                .help("write lowercase letters, digits and `_`, and no word of the language"),
        );
    }
}

/// One task in the making.
struct LowerTask<'a> {
    name: &'a str,
    entry: &'a MapEntry,
    terms: Terms<'a>,
}

impl LowerTask<'_> {
    fn task(&mut self) -> Option<Task> {
        let Some(map) = self.entry.node.as_map() else {
            self.terms.out.push(
                Diagnostic::error(DiagnosticCode::WrongType, "A task must be a map")
                    .at(self.entry.node.span, format!("this is {}", self.entry.node.word()))
                    .help("write `{ on: [failover], exec: [./program], in_drill: skip }`"),
            );
            return None;
        };
        tell_unknown(map, &TASK_KEYS, "a task", self.terms.out);
        let on = self.on(map);
        let after = self.addresses(map, "after");
        let before = self.addresses(map, "before");
        let spec = self.spec(map);
        let in_drill = self.in_drill(map);
        let (on, spec, in_drill) = (on?, spec?, in_drill?);
        if matches!(in_drill, InDrill::Skip) && on == [TaskOccasion::Drill] {
            let wrong = Diagnostic::error(DiagnosticCode::BadTask, "This task would never run");
            let wrong = wrong.at(self.entry.key, "it runs in drills only, and drills skip it");
            self.terms
                .out
                .push(wrong.help("write `in_drill: run`, or name other switches in `on`"));
        }
        if spec.undo.is_some() && on.contains(&TaskOccasion::Failback) {
            let wrong = Diagnostic::error(
                DiagnosticCode::BadTask,
                "A task is run or undone on the way home",
            );
            let span = map.get("undo").map_or(self.entry.key, |it| it.key);
            let wrong =
                wrong.at(span, "`undo` is what runs on a failback, and `on` names `failback`");
            self.terms.out.push(wrong.help("remove `failback` from `on`, or make two tasks of it"));
        }
        Some(Task {
            name: self.name.to_owned(),
            span: self.entry.key,
            on,
            after,
            before,
            spec,
            in_drill,
            needs: Vec::new(),
        })
    }

    fn missing(&mut self, key: &str, help: &str) {
        self.terms.out.push(
            Diagnostic::error(DiagnosticCode::MissingKey, format!("A task requires `{key}`"))
                .at(self.entry.key, format!("`{}` has none", self.name))
                .help(help),
        );
    }

    fn on(&mut self, map: &Map) -> Option<Vec<TaskOccasion>> {
        let Some(it) = map.get("on") else {
            self.missing(
                "on",
                "say on which switches it runs: `on: [failover, planned, failback]`",
            );
            return None;
        };
        let words: Vec<&str> = TaskOccasion::ALL.iter().map(|it| it.word()).collect();
        let mut on = Vec::new();
        for (text, span) in texts(&it.node, "on", self.terms.out) {
            match TaskOccasion::ALL.into_iter().find(|it| it.word() == text) {
                Some(one) if !on.contains(&one) => on.push(one),
                Some(_) => {}
                None => {
                    let wrong = not_one_of(span, &text, &words).nearest(&text, words.clone());
                    self.terms.out.push(wrong);
                }
            }
        }
        if matches!(&it.node.data, Data::List(items) if items.is_empty()) {
            let wrong = Diagnostic::error(DiagnosticCode::BadTask, "This task would never run");
            self.terms.out.push(wrong.at(it.node.span, "`on` names no switch"));
        }
        (!on.is_empty()).then_some(on)
    }

    /// Resources or tasks: `lb`, `web[0]`, `'${lb}'`.
    fn addresses(&mut self, map: &Map, key: &str) -> Vec<Reference> {
        let Some(it) = map.get(key) else { return Vec::new() };
        let mut found = Vec::new();
        for (text, span) in texts(&it.node, key, self.terms.out) {
            let bare = text.strip_prefix("${").and_then(|it| it.strip_suffix('}')).unwrap_or(&text);
            match bare.trim().parse::<Address>() {
                Ok(address) => {
                    let name = address.name.clone();
                    let one = (address.key != Key::One).then_some(address);
                    found.push(Reference { name, address: one, span });
                }
                Err(wrong) => self.terms.out.push(
                    Diagnostic::error(DiagnosticCode::BadAddress, "Not an address")
                        .at(span, wrong.to_string()),
                ),
            }
        }
        found
    }

    fn spec(&mut self, map: &Map) -> Option<TaskSpec<Term>> {
        let own = work(map, self.entry.key, WorkOf::Task, &mut self.terms);
        let verify = match map.get("verify") {
            Some(it) => Some(block(it, WorkOf::Verify, &VERIFY_KEYS, &mut self.terms)?),
            None => None,
        };
        let undo = match map.get("undo") {
            Some(it) => Some(block(it, WorkOf::Undo, &UNDO_KEYS, &mut self.terms)?),
            None => None,
        };
        let rerun = [("safe", Rerun::Safe), ("never", Rerun::Never)];
        let on_failure = [("stop", OnFailure::Stop), ("continue", OnFailure::Continue)];
        let if_lost = [("try", IfLost::Try), ("skip", IfLost::Skip)];
        let (rerun, on_failure, if_lost) = (
            self.choice(map, "rerun", rerun),
            self.choice(map, "on_failure", on_failure),
            self.choice(map, "if_lost", if_lost),
        );
        let own = own?;
        // A question may be asked again.
        let rerun = if own.action.word() == "confirm" { Rerun::Safe } else { rerun };
        Some(TaskSpec { work: own, verify, undo, rerun, on_failure, if_lost })
    }

    fn choice<T: Copy + Default>(&mut self, map: &Map, key: &str, all: [(&str, T); 2]) -> T {
        let Some(it) = map.get(key) else { return T::default() };
        let text = it.node.as_text().unwrap_or_default();
        let found = all.iter().find(|(word, _)| *word == text);
        if found.is_none() {
            let words = all.map(|(word, _)| word);
            let label = if text.is_empty() { it.node.word() } else { text };
            self.terms.out.push(not_one_of(it.node.span, label, &words).nearest(text, words));
        }
        found.map(|it| it.1).unwrap_or_default()
    }

    /// There is no default: whoever writes a task says what a drill does with it.
    fn in_drill(&mut self, map: &Map) -> Option<InDrill> {
        let Some(it) = map.get("in_drill") else {
            let help = "there is no default: write `in_drill: run`, `in_drill: skip`, or what a drill does instead: `in_drill: { exec: [./program, --rehearse] }`";
            self.missing("in_drill", help);
            return None;
        };
        match (&it.node.data, it.node.as_text()) {
            (_, Some("run")) => Some(InDrill::Run),
            (_, Some("skip")) => Some(InDrill::Skip),
            (Data::Map(instead), _) => {
                tell_unknown(instead, &DRILL_KEYS, "`in_drill`", self.terms.out);
                let merged = over(map, instead);
                Some(InDrill::Instead(Box::new(self.spec(&merged)?)))
            }
            (_, text) => {
                let label = text.unwrap_or(it.node.word());
                let words = ["run", "skip"];
                let wrong = not_one_of(it.node.span, label, &words);
                let help = "write `run`, `skip`, or a map of what a drill does instead";
                self.terms.out.push(wrong.help(help).nearest(label, words));
                None
            }
        }
    }
}

/// What a drill does: the task with other keys. Another action takes the place of the task's own.
fn over(map: &Map, instead: &Map) -> Map {
    let mut merged = map.clone();
    if ACTIONS.iter().any(|it| instead.contains_key(*it)) {
        for it in ACTIONS {
            merged.shift_remove(it);
        }
        if !instead.contains_key("exec") {
            merged.shift_remove("env");
        }
    }
    for (name, it) in instead {
        merged.insert(name.clone(), it.clone());
    }
    merged
}

fn not_one_of(span: Span, label: &str, words: &[&str]) -> Diagnostic {
    Diagnostic::error(DiagnosticCode::NotOneOf, "Not one of the allowed values")
        .at(span, format!("`{label}` is none of them"))
        .help(format!("it is one of {}", words.join(", ")))
}

//! What a task does, as a layer says it: `exec`, `http` or `confirm`, with `within` and what belongs to each.

use crate::engine::lang::check::gate::duration;
use crate::engine::lang::check::probe_address::no_page;
use crate::engine::lang::merge::overlay::texts;
use crate::engine::lang::model::Term;
use crate::engine::lang::term::Terms;
use crate::engine::lang::yaml::node::{Data, Map, MapEntry, Node};
use crate::engine::task::{TaskAction, TaskRequest, TaskWork};
use crate::engine::text::codes::DiagnosticCode;
use crate::engine::text::diagnostic::{Diagnostic, Span};
use crate::engine::value::Value;

/// The keys that say what is done: one of them stands in each task.
pub const ACTIONS: [&str; 3] = ["exec", "http", "confirm"];
const REQUEST_KEYS: [&str; 5] = ["method", "url", "headers", "body", "expect"];
const METHODS: [&str; 6] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"];

/// How long a program or a request may take unless `within` says otherwise: as long as a gate waits. A guess.
const WITHIN_SECONDS: u64 = 300;
/// How long a person is waited for. A guess: long enough to wake somebody, short enough that a forgotten switch ends.
const CONFIRM_SECONDS: u64 = 1_800;
/// How long a question takes that only looks whether a task took effect. A guess.
const VERIFY_SECONDS: u64 = 30;

/// Which block it is: that decides what it may do.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum WorkOf {
    Task,
    Verify,
    Undo,
}

impl WorkOf {
    fn word(self) -> &'static str {
        match self {
            Self::Task => "a task",
            Self::Verify => "`verify`",
            Self::Undo => "`undo`",
        }
    }
}

/// Reads what one block does; `at`: what is blamed where it says nothing of it.
pub fn work(map: &Map, at: Span, of: WorkOf, terms: &mut Terms<'_>) -> Option<TaskWork<Term>> {
    let given: Vec<(&str, &MapEntry)> =
        ACTIONS.iter().filter_map(|it| Some((*it, map.get(*it)?))).collect();
    let wrong = |span: Span, label: String| {
        Diagnostic::error(DiagnosticCode::BadTask, "A task does exactly one thing").at(span, label)
    };
    let (name, entry) = match given.as_slice() {
        [one] => *one,
        [] => {
            let wrong = wrong(at, format!("{} has none of {}", of.word(), ACTIONS.join(", ")));
            terms.out.push(wrong.help(
                "write `exec: [./program, argument]`, `http: { url: … }` or `confirm: \"…\"`",
            ));
            return None;
        }
        [first, second, ..] => {
            let label = format!("`{}` stands beside `{}`", second.0, first.0);
            let help = "keep one of them, and make the other a task of its own";
            terms.out.push(wrong(second.1.key, label).help(help));
            return None;
        }
    };
    if of == WorkOf::Verify && name == "confirm" {
        let label = "`verify` takes `exec` or `http`: lifeboat asks it by itself".to_owned();
        terms.out.push(wrong(entry.key, label));
        return None;
    }
    let usual = match (of, name) {
        (WorkOf::Verify, _) => VERIFY_SECONDS,
        (_, "confirm") => CONFIRM_SECONDS,
        _ => WITHIN_SECONDS,
    };
    let within = match map.get("within") {
        Some(it) => duration(&it.node, "within", terms.out),
        None => Some(usual),
    };
    let env = env(map, name, terms.out);
    let action = match name {
        "exec" => exec(&entry.node, env, terms),
        "http" => request(&entry.node, of, terms).map(TaskAction::Http),
        _ => confirm(&entry.node, terms),
    };
    Some(TaskWork { action: action?, within: within? })
}

/// Reads `verify` or `undo`.
pub fn block(
    entry: &MapEntry,
    of: WorkOf,
    keys: &[&str],
    terms: &mut Terms<'_>,
) -> Option<TaskWork<Term>> {
    let Some(map) = entry.node.as_map() else {
        let what = of.word();
        terms.out.push(
            Diagnostic::error(DiagnosticCode::WrongType, format!("{what} must be a map"))
                .at(entry.node.span, format!("this is {}", entry.node.word()))
                .help("write `{ exec: [./program, argument] }` or `{ http: { url: … } }`"),
        );
        return None;
    };
    tell_unknown(map, keys, of.word(), terms.out);
    work(map, entry.key, of, terms)
}

/// Tells every key that is not among the known ones.
pub fn tell_unknown(map: &Map, known: &[&str], what: &str, out: &mut Vec<Diagnostic>) {
    for (name, it) in map.iter().filter(|(name, _)| !known.contains(&name.as_ref())) {
        let wrong = Diagnostic::error(DiagnosticCode::UnknownKey, "Unknown key")
            .at(it.key, format!("{what} has no `{name}`"))
            .help(format!("it has {}", known.join(", ")));
        out.push(wrong.nearest(name, known.iter().copied()));
    }
}

fn env(map: &Map, name: &str, out: &mut Vec<Diagnostic>) -> Vec<String> {
    let Some(it) = map.get("env") else { return Vec::new() };
    if name != "exec" {
        let wrong = Diagnostic::error(DiagnosticCode::UnknownKey, "Unknown key");
        out.push(wrong.at(it.key, "`env` requires `exec`"));
        return Vec::new();
    }
    let mut named = texts(&it.node, "env", out);
    named.retain(|(name, span)| {
        let is_name = |it: char| it.is_ascii_alphanumeric() || it == '_';
        let is_one = !name.is_empty() && name.chars().all(is_name);
        if !is_one {
            out.push(
                Diagnostic::error(DiagnosticCode::BadName, "Invalid name")
                    .at(*span, "this takes the name of an environment variable")
                    .help("write `env: [CACHE_TOKEN]`; its value is taken from lifeboat's own"),
            );
        }
        is_one
    });
    named.into_iter().map(|(name, _)| name).collect()
}

fn exec(node: &Node, env: Vec<String>, terms: &mut Terms<'_>) -> Option<TaskAction<Term>> {
    let items = match &node.data {
        Data::List(items) if !items.is_empty() => items,
        _ => {
            terms.out.push(
                Diagnostic::error(DiagnosticCode::WrongType, "`exec` must be a list")
                    .at(node.span, format!("this is {}", node.word()))
                    .help("write the program and each argument by itself: `exec: [./purge.sh, shop]`; no shell reads them"),
            );
            return None;
        }
    };
    let command = items.iter().map(|it| scalar(it, "exec", terms)).collect::<Option<Vec<_>>>()?;
    Some(TaskAction::Exec { command, env })
}

/// A term that yields one text.
fn scalar(node: &Node, what: &str, terms: &mut Terms<'_>) -> Option<Term> {
    if matches!(node.data, Data::Null | Data::List(_) | Data::Map(_)) {
        terms.out.push(
            Diagnostic::error(DiagnosticCode::WrongType, "Wrong type")
                .at(node.span, format!("`{what}` takes text, but this is {}", node.word())),
        );
        return None;
    }
    Some(terms.term(node))
}

fn confirm(node: &Node, terms: &mut Terms<'_>) -> Option<TaskAction<Term>> {
    Some(TaskAction::Confirm { text: scalar(node, "confirm", terms)? })
}

fn request(node: &Node, of: WorkOf, terms: &mut Terms<'_>) -> Option<TaskRequest<Term>> {
    let Some(map) = node.as_map() else {
        terms.out.push(
            Diagnostic::error(DiagnosticCode::WrongType, "`http` of a task must be a map")
                .at(node.span, format!("this is {}", node.word()))
                .help("write `http: { method: POST, url: 'https://…' }`"),
        );
        return None;
    };
    tell_unknown(map, &REQUEST_KEYS, "`http` of a task", terms.out);
    let Some(url) = map.get("url") else {
        let wrong = Diagnostic::error(DiagnosticCode::MissingKey, "Missing `url` key");
        terms.out.push(wrong.at(node.span, "`http` requires a `url`"));
        return None;
    };
    if let Some(why) = url.node.as_text().and_then(no_page) {
        let wrong = Diagnostic::error(DiagnosticCode::WrongForm, "Not a valid URL");
        terms.out.push(wrong.at(url.node.span, why.to_owned()));
    }
    let usual = if of == WorkOf::Verify { "GET" } else { "POST" };
    let method = method(map, terms.out).unwrap_or_else(|| usual.to_owned());
    let headers = headers(map, terms)?;
    let body = match map.get("body") {
        Some(it) => Some(scalar(&it.node, "body", terms)?),
        None => None,
    };
    let expect = map.get("expect").map(|it| expected(&it.node, terms.out)).unwrap_or_default();
    Some(TaskRequest { method, url: scalar(&url.node, "url", terms)?, headers, body, expect })
}

fn method(map: &Map, out: &mut Vec<Diagnostic>) -> Option<String> {
    let it = map.get("method")?;
    let found = it.node.as_text().filter(|it| METHODS.contains(it));
    if found.is_none() {
        out.push(
            Diagnostic::error(DiagnosticCode::NotOneOf, "Not one of the allowed values")
                .at(it.node.span, "this is no HTTP method that a task sends")
                .help(format!("it is one of {}", METHODS.join(", "))),
        );
    }
    found.map(str::to_owned)
}

fn headers(map: &Map, terms: &mut Terms<'_>) -> Option<Vec<(String, Term)>> {
    let Some(it) = map.get("headers") else { return Some(Vec::new()) };
    let Some(map) = it.node.as_map() else {
        let wrong = Diagnostic::error(DiagnosticCode::WrongType, "`headers` must be a map");
        terms.out.push(wrong.at(it.node.span, format!("this is {}", it.node.word())));
        return None;
    };
    let mut found = Vec::new();
    for (name, it) in map {
        let is_token = |it: char| it.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(it);
        if name.is_empty() || !name.chars().all(is_token) {
            let wrong = Diagnostic::error(DiagnosticCode::BadName, "Invalid name");
            terms.out.push(wrong.at(it.key, "this is no name of an HTTP header"));
            return None;
        }
        found.push((String::from(&**name), scalar(&it.node, "headers", terms)?));
    }
    Some(found)
}

/// `expect: 200` or `expect: [200, 204]`.
fn expected(node: &Node, out: &mut Vec<Diagnostic>) -> Vec<u16> {
    let one = |node: &Node, out: &mut Vec<Diagnostic>| {
        if let Value::Int(status @ 100..=599) = node.value() {
            return u16::try_from(status).ok();
        }
        out.push(
            Diagnostic::error(DiagnosticCode::OutOfRange, "Out of range")
                .at(node.span, "`expect` is an integer from 100 to 599, or a list of them"),
        );
        None
    };
    match &node.data {
        Data::List(items) => items.iter().filter_map(|it| one(it, out)).collect(),
        _ => one(node, out).into_iter().collect(),
    }
}

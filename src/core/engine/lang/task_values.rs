//! Resolves what a task does against what is known: every part of it one text.

use std::sync::Arc;

use crate::engine::lang::cel::evaluate::evaluate;
use crate::engine::lang::cel::expression::Expression;
use crate::engine::lang::cel::lookup::word;
use crate::engine::lang::cel::path::Segment;
use crate::engine::lang::cel::template::show;
use crate::engine::lang::model::{InstanceShape, Scope, Stack, Term, TextPart};
use crate::engine::lang::resolve::term;
use crate::engine::lang::term::{Terms, expressions};
use crate::engine::lang::view::ScopeView;
use crate::engine::lang::yaml::node::{Data, Node, Style};
use crate::engine::schema::Catalog;
use crate::engine::task::{TaskSpec, TaskWork, WrittenPart};
use crate::engine::text::codes::DiagnosticCode;
use crate::engine::text::diagnostic::{Diagnostic, Sources, Span, stops};
use crate::engine::value::{Secret, Value};

/// What a task does, as far as it is known: text, [`Value::Open`], or a secret of either.
pub fn resolve_task(
    stack: &Stack,
    catalog: &Catalog,
    spec: &TaskSpec<Term>,
    scope: &dyn Scope,
) -> Result<TaskSpec<Value>, Vec<Diagnostic>> {
    let view =
        ScopeView { stack, catalog, scope: Some(scope), instance: None, own: None, texts: stack };
    let mut out = Vec::new();
    let resolved = spec.map(|it| {
        let value = term(it, &view, &mut out);
        as_text(value).unwrap_or_else(|other| {
            let label = format!("a task takes text, but this is {}", word(&other));
            out.push(Diagnostic::error(DiagnosticCode::WrongType, "Wrong type").at(it.span, label));
            Value::Open
        })
    });
    if stops(&out) { Err(out) } else { Ok(resolved) }
}

/// Numbers and truth values as they are written; lists, maps and nothing are no text.
fn as_text(value: Value) -> Result<Value, Value> {
    match value {
        Value::Text(_) | Value::Open => Ok(value),
        withheld if withheld.has_withheld() => Ok(withheld),
        Value::Secret(secret) => {
            let inner = as_text(secret.expose().clone())?;
            Ok(Value::Secret(Secret::new(inner)))
        }
        Value::List(_) | Value::Map(_) | Value::Null => Err(value),
        other => show(&other).map(Value::Text).ok_or(other),
    }
}

/// Why what takes a task back cannot be told as it was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MissingUndo {
    /// Sensitive variables that nobody gave to this run.
    NotGiven(Vec<String>),
    /// Variables that these layers do not declare.
    NotDeclared(Vec<String>),
    /// Anything else, in words.
    Other(String),
}

/// Of each part of a work that is a secret, or not known yet, what the layers write there. Whatever in it is known and no secret
/// is filled in, since it may be another one later.
pub fn as_written(
    stack: &Stack,
    catalog: &Catalog,
    work: &TaskWork<Term>,
    scope: &dyn Scope,
) -> Vec<WrittenPart> {
    let view =
        ScopeView { stack, catalog, scope: Some(scope), instance: None, own: None, texts: stack };
    let parts = work.action.parts().into_iter().enumerate();
    let withheld = parts.filter(|(_, it)| {
        let value = term(it, &view, &mut Vec::new());
        value.has_secret() || value.has_open()
    });
    withheld.map(|(part, it)| WrittenPart { part, text: written(it, &view) }).collect()
}

fn written(term: &Term, view: &ScopeView<'_>) -> String {
    let mut text = String::new();
    match &term.shape {
        InstanceShape::Expression(it) => push_code(&mut text, it),
        InstanceShape::Text(parts) => {
            for part in parts {
                match part {
                    TextPart::Text(plain) => text.push_str(&literal(plain)),
                    TextPart::Expression(it) => match in_clear(it, view) {
                        Some(shown) => text.push_str(&literal(&shown)),
                        None => push_code(&mut text, it),
                    },
                }
            }
        }
        InstanceShape::Literal(_) | InstanceShape::List(_) | InstanceShape::Map(_) => {}
    }
    text
}

fn in_clear(it: &Expression, view: &ScopeView<'_>) -> Option<String> {
    let value = evaluate(&it.code, &it.text, view).ok()?;
    let is_withheld = value.has_secret() || value.has_open();
    if is_withheld { None } else { show(&value) }
}

fn literal(text: &str) -> String {
    text.replace("${", "$${")
}

fn push_code(text: &mut String, it: &Expression) {
    // Behind a `$` it would be read as a literal.
    if text.ends_with('$') {
        text.pop();
        text.push_str("${'$'}");
    }
    text.push_str("${");
    text.push_str(&it.text);
    text.push('}');
}

/// What takes a task back as it was recorded: what is recorded in clear, and of the rest what the layers wrote, resolved against
/// what these layers know. A part may still be open.
pub fn recorded_work(
    stack: &Stack,
    catalog: &Catalog,
    (work, written): (&TaskWork<Value>, &[WrittenPart]),
    scope: &dyn Scope,
) -> Result<TaskWork<Value>, MissingUndo> {
    let view =
        ScopeView { stack, catalog, scope: Some(scope), instance: None, own: None, texts: stack };
    let mut resolved = work.clone();
    for (part, value) in resolved.action.parts_mut().into_iter().enumerate() {
        if matches!(value, Value::Text(_)) {
            continue;
        }
        let Some(text) = written.iter().find(|it| it.part == part) else {
            return Err(MissingUndo::Other("it holds a value that is not recorded".into()));
        };
        *value = again(&text.text, &view)?;
    }
    Ok(resolved)
}

fn again(text: &str, view: &ScopeView<'_>) -> Result<Value, MissingUndo> {
    let mut out = Vec::new();
    // Nobody is told of its place: no file holds it.
    let node = Node { data: Data::Text(text.into()), span: Span::default(), style: Style::Single };
    let term_ = Terms { sources: &Sources::default(), out: &mut out }.term(&node);
    let mut all = Vec::new();
    expressions(&term_, &mut all);
    let read = variables_of(&all);
    let declared = &view.stack.variables;
    let unknown: Vec<String> =
        read.iter().filter(|it| !declared.contains_key(*it)).cloned().collect();
    if !unknown.is_empty() {
        return Err(MissingUndo::NotDeclared(unknown));
    }
    let value = term(&term_, view, &mut out);
    let value =
        as_text(value).map_err(|other| MissingUndo::Other(format!("it reads {}", word(&other))));
    if let Some(wrong) = out.first() {
        let label = wrong.labels.first().map_or(&wrong.summary, |it| &it.text);
        return Err(MissingUndo::Other(label.clone()));
    }
    let value = value?;
    if !value.has_withheld() {
        return Ok(value);
    }
    let is_missing = |it: &String| declared.get(it).is_some_and(|it| it.value.has_withheld());
    Err(MissingUndo::NotGiven(read.into_iter().filter(is_missing).collect()))
}

/// The names of the variables that expressions read.
pub fn variables_of(all: &[&Arc<Expression>]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for path in all.iter().flat_map(|it| it.paths()) {
        if let ("vars", Some(Segment::Name(name))) = (&*path.root, path.steps.first())
            && !names.iter().any(|it| **it == **name)
        {
            names.push(name.to_string());
        }
    }
    names
}

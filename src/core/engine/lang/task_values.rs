//! Resolves what a task does against what is known: every part of it one text.

use crate::engine::lang::cel::lookup::word;
use crate::engine::lang::cel::template::show;
use crate::engine::lang::model::{Scope, Stack, Term};
use crate::engine::lang::resolve::term;
use crate::engine::lang::view::ScopeView;
use crate::engine::schema::Catalog;
use crate::engine::task::TaskSpec;
use crate::engine::text::codes::DiagnosticCode;
use crate::engine::text::diagnostic::{Diagnostic, stops};
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

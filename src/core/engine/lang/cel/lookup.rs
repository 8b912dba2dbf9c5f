//! What expressions can look at: the trait of it, why a look leads nowhere, and steps followed into plain values.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use crate::engine::lang::cel::budget::{Cost, OverBudget};
use crate::engine::lang::cel::code::{ExpressionError, Slice};
use crate::engine::text::codes::DiagnosticCode;
use crate::engine::text::diagnostic::nearest;
use crate::engine::text::plain::counted;
use crate::engine::value::{Attributes, Secret, Value};

/// A step of a path, computed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathStep<'a> {
    Name(Cow<'a, str>),
    Index(u32),
}

/// What expressions can look at.
pub trait NameLookup {
    /// The value at a path, or as much of it as the slice shows.
    fn look(&self, root: &str, steps: &[PathStep<'_>], slice: &Slice)
    -> Result<Value, LookupError>;

    /// The text of `file(path)`.
    fn file(&self, path: &str) -> Result<Arc<str>, LookupError>;

    /// The text of `template(path, map)`.
    fn template(&self, path: &str, map: &Attributes) -> Result<String, LookupError>;

    /// Whether what an expression may cost is worked out before it runs. Only what people wrote can be a bomb.
    fn is_bounded(&self) -> bool {
        true
    }

    /// Counts what is about to be evaluated; an error: all of it together is too much.
    fn spend(&self, _: Cost) -> Result<(), OverBudget> {
        Ok(())
    }
}

/// Why a path or a file leads nowhere; its place is the path's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookupError {
    pub code: DiagnosticCode,
    pub message: String,
    pub help: Option<String>,
}

impl LookupError {
    pub fn new(code: DiagnosticCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), help: None }
    }

    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub fn at(self, range: (u32, u32)) -> ExpressionError {
        ExpressionError {
            code: self.code,
            start: range.0,
            end: range.1,
            message: self.message,
            help: self.help,
        }
    }
}

/// Follows steps into a plain value.
pub fn follow(value: &Value, steps: &[PathStep<'_>]) -> Result<Value, LookupError> {
    let mut at = value;
    for (position, step) in steps.iter().enumerate() {
        at = match (at, step) {
            (Value::Map(map), PathStep::Name(name)) => map.get(name.as_ref()).ok_or_else(|| {
                let lost = LookupError::new(
                    DiagnosticCode::FailedExpression,
                    format!("`{name}` does not exist"),
                );
                match nearest(name, map.keys().map(String::as_str)) {
                    Some(near) => lost.help(format!("did you mean `{near}`?")),
                    None => lost,
                }
            })?,
            (Value::List(items), PathStep::Index(index)) => {
                items.get(*index as usize).ok_or_else(|| beyond(*index, items.len()))?
            }
            (Value::Open, _) => return Ok(Value::Open),
            (Value::Secret(secret), _) => {
                let inside = follow(secret.expose(), &steps[position..]);
                let hidden = |_| {
                    LookupError::new(
                        DiagnosticCode::FailedExpression,
                        "the sensitive value has no such element",
                    )
                };
                return Ok(Value::Secret(Secret::new(inside.map_err(hidden)?)));
            }
            (Value::Fingerprint(_), _) => return Ok(at.clone()),
            (other, PathStep::Name(name)) => {
                return Err(LookupError::new(
                    DiagnosticCode::FailedExpression,
                    format!("{} has no `{name}`", word(other)),
                ));
            }
            (other, PathStep::Index(index)) => {
                return Err(LookupError::new(
                    DiagnosticCode::FailedExpression,
                    format!("{} has no `[{index}]`", word(other)),
                ));
            }
        };
    }
    Ok(at.clone())
}

/// The mistake of an index beyond the end.
pub fn beyond(index: u32, length: usize) -> LookupError {
    LookupError::new(
        DiagnosticCode::FailedExpression,
        format!("`[{index}]` does not exist; the list has {}", counted(length, "element")),
    )
}

/// The word for a value in messages.
pub fn word(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Int(_) => "an integer",
        Value::Float(_) => "a number",
        Value::Text(_) => "text",
        Value::List(_) => "a list",
        Value::Map(_) => "a map",
        Value::Open => "a value known only after apply",
        Value::Secret(_) | Value::Fingerprint(_) => "a sensitive value",
    }
}

/// Leaves out what an expression cannot see.
pub fn cut(value: Value, slice: &Slice) -> Value {
    let kept = |value: Value, names: &BTreeSet<String>| match value {
        Value::Map(map) => {
            Value::Map(map.into_iter().filter(|(name, _)| names.contains(name)).collect())
        }
        other => other,
    };
    match (slice, value) {
        (Slice::Shape, Value::List(items)) => Value::List(vec![Value::Null; items.len()]),
        (Slice::Shape, Value::Map(map)) => {
            Value::Map(map.into_keys().map(|it| (it, Value::Null)).collect())
        }
        (Slice::Members(names), value) => kept(value, names),
        (Slice::Elements(names), Value::List(items)) => {
            Value::List(items.into_iter().map(|it| kept(it, names)).collect())
        }
        (Slice::Elements(names), Value::Map(map)) => {
            Value::Map(map.into_iter().map(|(name, it)| (name, kept(it, names))).collect())
        }
        (_, value) => value,
    }
}

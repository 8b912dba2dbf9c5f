//! Resolves an instance's attributes against what is known.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::diagnostic::{Diagnostic, Span};
use crate::engine::schema::Catalog;
use crate::engine::stack::model::{Instance, Scope, Stack};
use crate::engine::value::Attributes;

/// The attributes of an instance, as far as they are known.
#[derive(Debug, Clone, Default)]
pub struct Resolved {
    pub attributes: Attributes,
    /// Set by the stack rather than defaulted.
    pub given: BTreeSet<String>,
    pub spans: BTreeMap<String, Span>,
}

pub fn resolve(
    _stack: &Stack,
    _catalog: &Catalog,
    _instance: &Instance,
    _scope: &dyn Scope,
) -> Result<Resolved, Vec<Diagnostic>> {
    Ok(Resolved::default())
}

pub fn resolve_output(
    _stack: &Stack,
    _catalog: &Catalog,
    _output: &crate::engine::stack::model::Output,
    _scope: &dyn Scope,
) -> Result<crate::engine::value::Value, Vec<Diagnostic>> {
    Ok(crate::engine::value::Value::Null)
}

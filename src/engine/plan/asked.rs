//! What a plan is asked to do, and what its guards may let through.

use crate::engine::address::Address;
use crate::engine::plan::change::Bindings;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Intent {
    #[default]
    Apply,
    /// An empty stack is desired.
    Destroy,
}

/// What the operator allowed on the command line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Allowed {
    /// `--allow-delete ADDRESS`.
    pub delete: Vec<Address>,
    /// `--allow-destroys N`.
    pub destroys: Option<usize>,
    /// `--allow-absent N`.
    pub absent: Option<usize>,
    /// `--allow-outage`.
    pub outage: bool,
}

#[derive(Debug, Clone, Default)]
pub struct Options {
    pub intent: Intent,
    /// In milliseconds since the Unix epoch; only ages are taken from it.
    pub now: i64,
    pub bindings: Bindings,
    pub allowed: Allowed,
}

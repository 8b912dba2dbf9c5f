//! Expressions inside `${…}`.

/// One compiled CEL expression.
#[derive(Debug, Clone)]
pub struct Expression {
    pub text: String,
}

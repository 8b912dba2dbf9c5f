//! Expressions: their syntax, what they may look at, what they cost, and what they yield.

pub mod path;
pub mod code;
pub mod functions;
pub mod syntax;
pub mod walk;
pub mod compile;
pub mod budget;
pub mod lookup;
pub mod failure;
pub mod evaluate;
pub mod template;
pub mod expression;

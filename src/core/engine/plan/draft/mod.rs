//! The plan in the making: what is read for it, what it covers, and what has been decided so far.

pub mod topology;
pub mod destination;
pub mod refresh;
pub mod switch_scope;
pub mod plan_builder;

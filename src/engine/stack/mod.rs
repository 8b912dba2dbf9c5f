//! The language of stacks: from YAML layers to a checked, expanded desired world.

pub mod expression;
pub mod model;
pub mod resolve;

//! The language of stacks: from YAML layers to a checked, expanded desired world.

pub mod scalar;
pub mod node;
pub mod place;
pub mod path;
pub mod code;
pub mod functions;
pub mod compile;
pub mod evaluate;
pub mod expression;
pub mod model;
pub mod resolve;

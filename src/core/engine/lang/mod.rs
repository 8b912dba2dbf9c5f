//! The language of stacks: from YAML layers to a checked, expanded desired world.

pub mod yaml;
pub mod cel;
pub mod json_schema;
pub mod model;
pub mod merge;
pub mod term;
pub mod check;
pub mod view;
pub mod resolve;
pub mod task_values;
pub mod webhook;
pub mod validate;
pub mod lower;
pub mod load;
pub mod origin;
#[cfg(test)]
pub mod tests;

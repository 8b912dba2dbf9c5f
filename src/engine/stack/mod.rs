//! The language of stacks: from YAML layers to a checked, expanded desired world.

pub mod scalar;
pub mod node;
pub mod yaml;
pub mod place;
pub mod path;
pub mod code;
pub mod functions;
pub mod syntax;
pub mod walk;
pub mod compile;
pub mod budget;
pub mod world;
pub mod failure;
pub mod evaluate;
pub mod template;
pub mod expression;
pub mod model;
pub mod overlay;
pub mod variables;
pub mod term;
pub mod form;
pub mod check;
pub mod knock;
pub mod gate;
pub mod view;
pub mod resolve;
pub mod looks;
pub mod likely;
pub mod shut_ports;
pub mod expand;
pub mod uses;
pub mod needs;
pub mod lower;
pub mod recovery;
pub mod rules;
pub mod agree;
pub mod offered;
pub mod same;
pub mod rehearse;
pub mod load;
pub mod origin;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod advice_tests;
#[cfg(test)]
mod refused_tests;
#[cfg(test)]
mod across_tests;

//! Audits: whether a recovery would work, said before anybody needs it; rules over layers, state and facts from outside.

pub mod finding;
pub mod facts;
pub mod side;
pub mod case;
pub mod reads;
pub mod checks;
pub mod rules;
pub mod compared;
pub mod examine;
#[cfg(test)]
pub mod tests;

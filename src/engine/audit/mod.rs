//! Audits: whether a recovery would work, said before anybody needs it; rules over layers, state and facts from outside.

pub mod finding;
pub mod facts;
pub mod side;
pub mod case;
pub mod reads;
pub mod independence;
pub mod copies;
pub mod backends;
pub mod health_page;
pub mod traffic;
pub mod standby;
pub mod recorded;
pub mod data;
pub mod offers;
pub mod certificate;
pub mod practice;
pub mod rules;
pub mod examine;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod sibling_tests;

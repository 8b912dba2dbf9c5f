//! The recorded world: state, the journal it is a fold of, and their JSON.

pub mod task_record;
pub mod record;
mod next_command;
mod remembered;
pub mod journal;
pub mod codec;
pub mod chain;
pub mod stores_record;
pub mod copies_error;
pub mod copies;
pub mod run_log;
pub mod document;
pub mod bundle;
pub mod replaced;

#[cfg(test)]
mod tests;

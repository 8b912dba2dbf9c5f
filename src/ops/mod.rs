//! Joins: each operation as a recipe over engine, clouds, store and sandbox.

pub mod error;
pub mod contained;
pub mod tasks;
pub mod load;
pub mod notify;
pub mod plan;
pub mod heartbeats;
pub mod audit;
pub mod recovered;
pub mod outage;
pub mod online;
pub mod apply;
pub mod recovery_reports;
pub mod status;
pub mod change_mirror;
pub mod migrate;
pub mod rekey;
pub mod surgery;
pub mod drill;
pub mod watch;
#[cfg(test)]
mod tests;

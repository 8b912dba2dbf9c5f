//! The plan: from desired, recorded and observed to changes, steps and refusals.

pub mod model;
pub mod diff;
pub mod availability;
pub mod draft;
pub mod guard;
pub mod build;
pub mod checks;
pub mod traffic;
pub mod steps;
pub mod planner;
pub mod users_wait;
pub mod ranking;
pub mod simulate;
pub mod cost;
pub mod policy;
pub mod policy_test;
pub mod format;
#[cfg(test)]
pub mod tests;

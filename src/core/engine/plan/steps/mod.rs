//! From changes to steps: which calls each is, what every call waits for, and whether the whole keeps the laws.

pub mod lower;
pub mod cycle;
pub mod step_builder;
pub mod taken_names;
pub mod rolling;
pub mod neighbors;
pub mod quorum;
pub mod after_users;
pub mod tasks;
pub mod order;
pub mod replacements;
pub mod retain_dependencies;
pub mod history;
pub mod verify;

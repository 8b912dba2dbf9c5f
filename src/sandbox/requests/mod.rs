//! Requests that clients sent: routed, logged, and what became of each.

pub mod verdicts;
pub mod received;
pub mod log;
pub mod gateway;

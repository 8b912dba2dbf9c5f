//! The RTO ledger: what a switch took, phase by phase, against what it may take.

pub mod step_timing;
pub mod phases;
pub mod journaled;
pub mod summary;
pub mod codec;
#[cfg(test)]
pub mod sample;
#[cfg(test)]
mod tests;

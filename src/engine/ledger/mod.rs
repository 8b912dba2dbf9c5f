//! The RTO ledger: what a switch took, phase by phase, against what it may take.

pub mod timed;
pub mod phases;
pub mod journalled;
pub mod report;
pub mod codec;

#[cfg(test)]
pub mod sample;

#[cfg(test)]
mod tests;

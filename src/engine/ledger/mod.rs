//! The RTO ledger: what a switch took, phase by phase, against what it may take.

pub mod timed;
pub mod phases;
pub mod journalled;
pub mod report;
pub mod codec;
pub mod forecast;

#[cfg(test)]
pub mod sample;

#[cfg(test)]
mod tests;

//! Remembers: keeps state and journal where one writer at a time may change them and a reader never sees half.

pub mod error;
pub mod claim;
pub mod pulse;
pub mod lease;
pub mod file;
pub mod turn;
pub mod reports;
pub mod watch;
#[cfg(test)]
mod tests;

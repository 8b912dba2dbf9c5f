//! Remembers: keeps state and journal where one writer at a time may change them and a reader never sees half.

pub mod private;
pub mod error;
pub mod claim;
pub mod pulse;
pub mod lease;
pub mod tracked;
pub mod reports;
pub mod known;
pub mod file;
pub mod restore;
pub mod turn;
pub mod watch;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod outdated_tests;

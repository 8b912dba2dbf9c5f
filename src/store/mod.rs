//! Remembers: keeps state and journal where one writer at a time may change them and a reader never sees half.

pub mod private;
pub mod seal_error;
pub mod error;
pub mod key;
pub mod backend;
pub mod files;
pub mod tracked;
pub mod folder;
pub mod remote;
pub mod sealed;
pub mod lease_clock;
pub mod lock_record;
pub mod keep_alive;
pub mod log;
pub mod new_epoch;
pub mod file_log;
pub mod object_writer;
pub mod object_log;
pub mod lease;
pub mod reports;
pub mod known_serials;
pub mod moved;
pub mod mirror;
pub mod open;
pub mod state_store;
pub mod copies;
pub mod restore;
pub mod rebuild;
pub mod history;
pub mod replace;
pub mod receive;
pub mod clear;
pub mod preempt;
pub mod watch;
#[cfg(test)]
pub mod tests;

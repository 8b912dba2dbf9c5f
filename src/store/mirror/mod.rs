//! A state in two stores of different fault domains: read from the one that is believed, written to both.

pub mod record;
pub mod contents;
pub mod catch_up;
pub mod look;
pub mod transition;
pub mod pair;
#[cfg(test)]
mod tests;

//! Whose account this is, and what a restricted user of it may do.

pub mod profile;
pub mod access;

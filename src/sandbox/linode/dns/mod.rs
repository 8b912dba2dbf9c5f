//! Zones and records, what a name resolves to, and where users end who follow it.

pub mod names;
pub mod targets;
pub mod domains;
pub mod records;

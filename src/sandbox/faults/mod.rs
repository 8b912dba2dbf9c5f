//! Faults that a test asks for, and which parts of the clouds they concern.

pub mod spec;
pub mod state;

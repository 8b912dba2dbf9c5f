//! A drill: a disaster rehearsed in an instance of its own, measured, and taken away again whatever happens.

pub mod spec;
pub mod replication;
pub mod preview;
pub mod cleanup;
pub mod rehearsal;
pub mod crashed;

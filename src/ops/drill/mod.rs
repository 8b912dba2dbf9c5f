//! A drill: a disaster rehearsed in an instance of its own, measured, and taken away again whatever happens.

pub mod script;
pub mod replication;
pub mod foresight;
pub mod cleanup;
pub mod rehearsal;
pub mod aftermath;

//! What can be acted on now: fault domains that are lost or unreachable, and the members of a group that live.

pub mod frozen;
pub mod unreachable;
pub mod replica_group;

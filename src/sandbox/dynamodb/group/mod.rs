//! Members that join a group, change and leave it.

pub mod replica_delete;
pub mod action;
pub mod replicas;

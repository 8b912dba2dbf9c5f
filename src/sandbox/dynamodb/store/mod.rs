//! The rows of tables and groups, their items, and what time makes of them.

pub mod table;
pub mod register;
pub mod shape;
pub mod items;
pub mod effects;
pub mod replication;
pub mod replica_create;
pub mod due;
pub mod describe;

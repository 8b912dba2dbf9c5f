//! A table's creation and its settings, each family of changes by itself.

pub mod encryption;
pub mod tags;
pub mod create;
pub mod limits;
pub mod capacity;
pub mod frozen;
pub mod indexes;
pub mod settings;
pub mod backups;

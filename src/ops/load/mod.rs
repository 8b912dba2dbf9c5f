//! What a command works on: the stack's folder, its layers, its state, and where a switch goes.

pub mod stack_ref;
pub mod base_files;
pub mod stores;
pub mod sealed_files;
pub mod session;
pub mod layers;
pub mod stack_files;
pub mod switch_target;
pub mod workspace;
pub mod sides;

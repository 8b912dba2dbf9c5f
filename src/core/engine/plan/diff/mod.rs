//! Which attributes differ, who changed them, and which action that asks for.

pub mod attributes;
pub mod drift;
pub mod action;

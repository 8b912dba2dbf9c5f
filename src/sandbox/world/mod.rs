//! The world as a whole: its folder, its clock's advance, and what it shows of itself.

pub mod folder;
pub mod core;
pub mod overview;

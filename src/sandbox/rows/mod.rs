//! Rows of a world: stored, changed, and written out as changes.

pub mod change;
pub mod keyed;

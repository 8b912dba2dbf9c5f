//! A plan as JSON: the names and the order of its fields, and whether two plans say the same.

pub mod same_as_planned;
pub mod reviewed;
pub mod codec;

//! One desired world out of several layers and the variables that others set.

pub mod overlay;
pub mod variables;

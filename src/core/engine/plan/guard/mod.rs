//! What no plan does without being told to, and what of a plan must not be overlooked.

pub mod brakes;
pub mod allow;
pub mod rules;
pub mod danger;

//! What is done to the world from outside the two APIs: losses and restricted tokens.

pub mod losses;
pub mod restrict;

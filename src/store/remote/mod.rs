//! Stores behind a network: where they are, how they are reached, and whether they may be believed.

mod names;
pub mod location;
#[cfg(test)]
mod tests;

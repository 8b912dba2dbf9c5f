//! The pure core of lifeboat: rules, kinds and renderings, which know no files, clocks, network or async.
//!
//! `src/lib.rs` of the crate `lifeboat` is the map of the whole house.

pub mod engine;
pub mod kinds;
pub mod render;

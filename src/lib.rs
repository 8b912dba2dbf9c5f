//! The map of the house: layers from the top, the way of the data, and the laws.

pub mod engine;
pub mod kinds;
pub mod render;
pub mod cloud;
pub mod store;
pub mod sandbox;
pub mod ops;
pub mod cli;

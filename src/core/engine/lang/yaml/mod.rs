//! YAML as a tree of nodes in which every key and value keeps its span.

pub mod scalar;
pub mod node;
pub mod reader;
pub mod place;
pub mod block;

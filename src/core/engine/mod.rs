//! Decides: pure rules from text and values to plans; knows no files, clocks, network or async.

pub mod value;
pub mod text;
pub mod address;
pub mod task;
pub mod allowance;
pub mod fast_map;
pub mod topological;
pub mod schema;
pub mod packets;
pub mod observed;
pub mod retry;
pub mod ownership_tag;
pub mod normalize;
pub mod lang;
pub mod graph;
pub mod state;
pub mod containment;
pub mod fault_domain;
pub mod plan;
pub mod schedule;
pub mod recovery;

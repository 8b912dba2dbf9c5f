//! Decides: pure rules from text and values to plans; knows no files, clocks, network or async.

pub mod address;
pub mod quick;
pub mod value;
pub mod diagnostic;
pub mod schema;
pub mod retry;
pub mod observed;
pub mod mark;
pub mod stack;
pub mod graph;
pub mod json_schema;
pub mod state;
pub mod fault_domain;
pub mod ledger;
pub mod plan;
pub mod audit;
pub mod schedule;
pub mod predict;
pub mod watch;

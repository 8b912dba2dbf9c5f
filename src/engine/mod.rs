//! Decides: pure rules from text and values to plans; knows no files, clocks, network or async.

pub mod plain;
pub mod address;
pub mod quick;
pub mod advice;
pub mod value;
pub mod decoded;
pub mod redact;
pub mod diagnostic;
pub mod schema;
pub mod packets;
pub mod observed;
pub mod retry;
pub mod mark;
pub mod normalise;
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

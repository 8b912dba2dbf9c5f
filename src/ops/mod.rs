//! Joins: each operation as a recipe over engine, clouds, store and sandbox.

pub mod error;
pub mod place;
pub mod session;
pub mod load;
pub mod look;
pub mod settle;
pub mod course;
pub mod instance;
pub mod bindings;
pub mod plan;
pub mod audit;
pub mod thaw;
pub mod status;
pub mod job;
pub mod call;
pub mod wait;
pub mod gates;
pub mod perform;
pub mod run;
pub mod timing;
pub mod closing;
pub mod apply;
pub mod ledger;
pub mod drill;
pub mod watch;

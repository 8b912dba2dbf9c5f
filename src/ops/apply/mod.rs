//! Carries a plan out: step after step, under the lease, journaled.

pub mod watched_resources;
pub mod shared_look;
pub mod call_slots;
pub mod step_inputs;
pub mod mutations;
pub mod waits;
pub mod gates;
pub mod execute_step;
pub mod running_steps;
pub mod task_steps;
pub mod known_values;
pub mod executor;
pub mod task_values;
pub mod open_gates;
pub mod begin_step;
pub mod timing;
pub mod finish;
pub mod phases;
pub mod append_entries;
pub mod run;

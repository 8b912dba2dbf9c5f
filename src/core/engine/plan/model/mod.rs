//! What a plan is made of, and what it is asked to do.

mod shapes;
pub mod step;
pub mod planned_task;
pub mod replacement;
pub mod planned_allowance;
pub mod change;
pub mod allowance;
pub mod asked_options;
pub mod step_phase;
pub mod forecast;
pub mod plan_cost;
pub mod options;
pub mod planned_change;

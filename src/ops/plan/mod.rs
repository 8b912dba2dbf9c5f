//! Makes a plan: reads the clouds, recovers what is pending, and binds the plan to what it was made from.

pub mod refresh;
pub mod recover;
pub mod bindings;
pub mod between;
pub mod switch_rest;
pub mod traffic_first;
pub mod missing;
pub mod unknown_objects;
pub mod checks;
pub mod tasks_ahead;
pub mod prices;
pub mod policies;
pub mod make;
pub mod rebuild;

//! How well a recovery goes: whether it is complete, how long it takes, what would stop it, and who watches for the need of one.

pub mod completion;
pub mod users_moved;
pub mod user_routes;
pub mod old_targets;
pub mod ways_out;
pub mod report;
pub mod audit;
pub mod predict;
pub mod watch;

//! One change for each address: declared, orphaned, deferred, and the outputs.

pub mod deferred;
pub mod defer_unreachable;
pub mod secrets;
pub mod declared;
pub mod orphaned;
pub mod outputs;
pub mod undos;
pub mod tasks;

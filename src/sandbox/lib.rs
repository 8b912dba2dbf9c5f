//! Pretends: a local cloud that speaks the real protocols and knows nothing of `kinds`.

pub mod http;
pub mod rows;
pub mod clock;
pub mod rng;
pub mod faults;
pub mod dynamodb;
pub mod linode;
pub mod fault_domains;
pub mod requests;
pub mod world;
pub mod probe;
pub mod shared;
pub mod actions;
pub mod wire;
pub mod server;
#[cfg(test)]
mod tests;

pub use crate::actions::losses::{Destroyed, LossResult};
pub use crate::actions::restrict::Restriction;
pub use crate::requests::log::Requests;
pub use server::ServingSandbox;
pub use shared::{Sandbox, SandboxError, SandboxOptions};

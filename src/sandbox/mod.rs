//! Pretends: a local cloud that speaks the real protocols and knows nothing of `kinds`.

pub mod http;
pub mod rows;
pub mod table;
pub mod clock;
pub mod fault_spec;
pub mod faults;
pub mod dynamodb;
pub mod linode;
pub mod gateway;
pub mod folder;
pub mod world;
pub mod probe;
pub mod shared;
pub mod wire;
pub mod server;

pub use server::Serving;
pub use shared::{Options, Sandbox, SandboxError};

#[cfg(test)]
mod tests;

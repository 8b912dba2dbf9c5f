//! Pretends: a local cloud that speaks the real protocols and knows nothing of `kinds`.

pub mod http;
pub mod rows;
pub mod table;
pub mod clock;
pub mod draw;
pub mod fault_spec;
pub mod faults;
pub mod dynamodb;
pub mod linode;
pub mod fault_domains;
pub mod watch;
pub mod received;
pub mod request_log;
pub mod gateway;
pub mod folder;
pub mod world;
pub mod overview;
pub mod probe;
pub mod shared;
mod losses;
mod restrict;
pub mod wire;
pub mod server;

pub use losses::{Destroyed, LossResult};
pub use request_log::Requests;
pub use restrict::Restriction;
pub use server::ServingSandbox;
pub use shared::{Sandbox, SandboxError, SandboxOptions};

#[cfg(test)]
mod tests;

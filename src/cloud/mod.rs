//! Acts: reads and changes real or pretended clouds; decides nothing.

pub mod clock;
pub mod error;
pub mod retry;
pub mod settings;
mod breaker;
pub mod read;
pub mod driver;
pub mod http;
pub(crate) mod wire;
pub(crate) mod rest;
mod linode;
mod dynamodb;
pub mod provider;
#[cfg(test)]
pub(crate) mod loopback;
#[cfg(test)]
mod tests;

//! Acts: reads and changes real or pretended clouds; decides nothing.

pub mod clock;
pub mod error;
pub mod patience;
pub mod settings;
mod contact;
mod bounded;
mod credentials;
pub mod connection;
mod identity;
mod encode;
mod decode;
mod routes;
mod transport;
mod linode;
mod look;
mod awaited;
mod events;
mod grants;
mod rest;
mod listing;
mod dynamodb;
mod certificate;
pub mod prober;
pub mod provider;

#[cfg(test)]
mod loopback;
#[cfg(test)]
mod tests;

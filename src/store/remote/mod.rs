//! Stores behind a network: where they are, how they are reached, and whether they may be believed.
//!
//! What can go wrong on the way is the same for all: a reply is lost, a server is not well, or it says no. `attempts` decides what
//! is tried again; what became of a put whose reply was lost is found out by reading, never by putting again under a weaker
//! condition. Nothing is connected to before the first request.

pub mod names;
pub mod location;
mod declared_stores;
pub mod schema;
mod attempts;
mod credentials;
mod runtime;
pub mod s3;
pub mod dynamodb;
pub mod probe;
#[cfg(test)]
mod tests;

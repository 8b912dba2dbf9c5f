//! States that are encrypted: the key, the form of what it seals, and a store that seals everything but who holds the lease.

pub mod declared;
pub mod secret_key;
pub mod seal;
pub mod backend;
pub mod rekey;

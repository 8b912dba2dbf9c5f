//! Linode's API v4 as far as stacks need it: machines, volumes, balancers, zones, firewalls, keys, and what surrounds them.

pub mod data;
pub mod request;
pub mod firewall;
pub mod volume;
pub mod users;
pub mod machine;
pub mod balancer;
pub mod dns;
pub mod account;
pub mod destroy_data;
pub mod routes;
pub mod auth;
pub mod dependence;
pub mod show;
#[cfg(test)]
mod tests;

pub use crate::linode::data::limits::RateLimits;
pub use crate::linode::data::store::LinodeWorld;

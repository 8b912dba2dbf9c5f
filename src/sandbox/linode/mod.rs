//! Linode's API v4 as far as stacks need it: machines, balancers, zones, firewalls, keys, and what surrounds them.

pub mod catalogue;
pub mod timeline;
pub mod model;
pub mod limits;
pub mod apps;
pub mod restricted;
pub mod store;
pub mod call;
pub mod form;
pub mod listing;
pub mod addresses;
pub mod events;
pub mod tags;
pub mod devices;
pub mod instance_view;
pub mod users;
pub mod instance_create;
pub mod power;
pub mod instances;
pub mod installed;
pub mod reach;
pub mod health;
pub mod names;
pub mod leads;
pub mod certificate;
pub mod nodes;
pub mod configs;
pub mod balancers;
pub mod domains;
pub mod records;
pub mod rules;
pub mod firewalls;
pub mod account;
pub mod access;
pub mod ruin;
pub mod routes;
pub mod door;
pub mod dependence;
pub mod show;

pub use limits::RateLimits;
pub use store::LinodeWorld;

#[cfg(test)]
mod tests;

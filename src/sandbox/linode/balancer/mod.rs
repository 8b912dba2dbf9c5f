//! NodeBalancers: their ports, certificates, backends, and who is healthy.

pub mod health;
pub mod certificate;
pub mod nodes;
pub mod configs;
pub mod balancers;

//! Machines: ordered, booted, shown, changed and deleted.

pub mod addresses;
pub mod view;
pub mod create;
pub mod power;
pub mod instances;
pub mod installed;

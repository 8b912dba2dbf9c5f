//! The driver of every kind that a `kind.yaml` describes with routes.

pub(crate) mod read;
pub(crate) mod pending_attributes;
pub(crate) mod driver;
pub(crate) mod listing;

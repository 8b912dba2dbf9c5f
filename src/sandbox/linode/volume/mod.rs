//! Block storage: volumes, and the machines that they are attached to.

pub mod view;
pub mod attachment;
pub mod volumes;

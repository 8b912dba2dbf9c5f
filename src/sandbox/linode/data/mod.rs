//! The rows of the Linode half, and the jobs and limits that time acts on.

pub mod catalog;
pub mod timeline;
pub mod model;
pub mod limits;
pub mod apps;
pub mod restricted;
pub mod store;

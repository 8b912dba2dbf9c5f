//! One file for each thing that an audit looks at.

pub mod independence;
pub mod copies;
pub mod cost;
pub mod backends;
pub mod health_page;
pub mod traffic;
pub mod standby;
pub mod recorded;
pub mod data;
pub mod offers;
pub mod certificate;
pub mod practice;
pub mod tasks;

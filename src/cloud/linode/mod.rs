//! The dialect of Linode's API: pages, errors, events and grants.

pub(crate) mod client;
pub(crate) mod events;
pub(crate) mod grants;

//! The dialect of Linode's API: pages, errors, events and grants.

/// What kinds call the driver of this API in `provider`, and the cloud in `cloud`.
pub(crate) const LINODE: &str = "linode";

/// Steps of its kinds at once.
pub(crate) const AT_ONCE: usize = 10;

pub(crate) mod client;
pub(crate) mod events;
pub(crate) mod grants;

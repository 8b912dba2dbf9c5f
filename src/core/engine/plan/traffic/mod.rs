//! Where users are sent: what has to serve before they move, and who must not be cut off meanwhile.

pub mod serving;
pub mod shrunk_sets;
pub mod stray;
pub mod filters;
pub mod shut_backends;
pub mod shifts;
pub mod unchecked_targets;
pub mod balancer_firewalls;

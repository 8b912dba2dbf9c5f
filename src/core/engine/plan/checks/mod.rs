//! What is held against a finished plan: what could not be read, what the clouds would refuse, and signs of an outdated state.

pub mod foreign;
pub mod unknown;
pub mod silent_site;
pub mod lost_needs;
pub mod offers;
pub mod grants;
pub mod unrecorded;
pub mod outdated_state;
pub mod outdated_switch;
pub mod collateral;

//! UpdateTable and UpdateTimeToLive: one logical change per call.

pub mod changes;
pub mod update_table;
pub mod ttl;

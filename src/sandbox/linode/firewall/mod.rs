//! Firewalls: their rules, what they stand before, and whom they let in.

pub mod devices;
pub mod reach;
pub mod rules;
pub mod firewalls;

//! What every handler works with: the call, its fields, lists, events and tags.

pub mod call;
pub mod body;
pub mod listing;
pub mod events;
pub mod tags;

//! Remote stores without a network: places, and stores whose answers cannot be believed.

mod location;
mod planted;

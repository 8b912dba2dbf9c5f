//! The plan: from desired, recorded and observed to changes, steps and refusals.

pub mod change;
pub mod role;
pub mod asked;
pub mod normalise;
pub mod planned;
pub mod diff;
pub mod closure;
pub mod frozen;
mod silent;
pub mod survey;
pub mod group;
pub mod guard;
pub mod decide;
pub mod carried;
mod proposal;
mod holding;
mod reach;
mod instance;
mod leftover;
mod outputs;
pub mod traffic;
mod lowering;
mod cycle;
pub mod order;
mod stay;
pub mod propose;
pub mod foreseen;
pub mod calls;
pub mod document;
pub mod wire;
#[cfg(test)]
pub mod sample;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod switch_tests;
#[cfg(test)]
mod unseen_tests;

//! The plan: from desired, recorded and observed to changes, steps and refusals.

pub mod change;
pub mod role;
pub mod forecast;
pub mod asked;
pub mod planned;
pub mod diff;
pub mod closure;
pub mod frozen;
mod silent;
pub mod survey;
pub mod group;
mod drifted;
pub mod guard;
pub mod decide;
pub mod carried;
mod proposal;
mod holding;
mod reach;
mod instance;
mod leftover;
mod outputs;
pub mod foreign;
pub mod danger;
pub mod serving;
pub mod stray;
pub mod walls;
mod shut;
pub mod traffic;
mod blind;
pub mod door;
mod lowering;
mod cycle;
mod builder;
mod names;
mod rolling;
mod beside;
pub mod order;
mod stay;
mod history;
pub mod verify;
mod unseen;
pub mod propose;
pub mod scale_up;
pub mod offered;
pub mod granted;
pub mod adopted;
pub mod older;
pub mod resumed;
pub mod uninvited;
pub mod foreseen;
pub mod accord;
pub mod calls;
pub mod document;
pub mod wire;
#[cfg(test)]
pub mod sample;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod danger_tests;
#[cfg(test)]
mod switch_tests;
#[cfg(test)]
mod unseen_tests;
#[cfg(test)]
mod order_tests;
#[cfg(test)]
mod replay_tests;

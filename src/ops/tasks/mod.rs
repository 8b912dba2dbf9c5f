//! What tasks of a switch do outside of lifeboat: programs, requests, and a person's word.

pub mod program;
pub mod kept_output;
pub mod supervise;
pub mod exec;
pub mod runner;
pub mod approval;

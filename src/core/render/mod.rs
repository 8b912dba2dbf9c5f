//! Shows: plans as text, Markdown, JSON and HTML, with the same words in the same order; and a watcher's events.

#![expect(
    clippy::format_push_string,
    reason = "reads better than `write!` with a result to drop, and plans are small"
)]

pub mod words;
pub mod lines;
pub mod escape;
pub mod copies;
pub mod plan;
pub mod audit;
pub mod sarif;
pub mod ways_out;
mod status_facts;
mod status_phase;
pub mod status;
pub mod status_json;
pub mod report;
pub mod run;
pub mod ci;
pub mod journal_words;
pub mod state_log;
pub mod validation;
pub mod policy_tests;
pub mod watch;
#[cfg(test)]
mod tests;

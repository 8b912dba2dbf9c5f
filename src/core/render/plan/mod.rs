//! A plan for people: on a terminal, in a pull request, in a browser.

pub mod entry;
pub mod concerns;
pub mod fold;
pub mod steps;
pub mod tasks;
pub mod variables;
pub mod summary;
pub mod cost;
pub mod outline;
pub mod text;
pub mod markdown;
pub mod json;
pub mod html;
pub mod drill_preview;
#[cfg(test)]
pub mod parsed_markdown;

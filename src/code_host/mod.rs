//! Talks to code hosts: which one a job runs on, its comments and issues, and the one comment of a stack in a pull request.

pub mod environment;
pub mod host;
mod client;
mod github;
mod gitlab;
pub mod open;
pub mod author;
pub mod comment;
pub mod issue;
#[cfg(test)]
mod tests;

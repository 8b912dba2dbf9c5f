//! Shows: plans as text, Markdown, JSON and HTML, with the same words in the same order.

pub mod words;
pub mod lines;
pub mod outline;
pub mod text;
pub mod markdown;
pub mod json;
pub mod html;

#[cfg(test)]
mod tests;

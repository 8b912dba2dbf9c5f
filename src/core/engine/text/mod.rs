//! Text as people read it: plain, redacted, with its place in a file; and the commands that messages tell to type.

pub mod plain;
pub mod names;
pub mod advice;
pub mod decoded;
pub mod redact;
pub mod codes;
pub mod explanations;
pub mod diagnostic;

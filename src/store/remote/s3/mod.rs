//! States in a bucket of S3, or of what speaks its protocol.

mod fault;
mod client;
mod backend;

pub use backend::S3Backend;

//! States in a table of DynamoDB.

mod fault;
mod table;
mod chunks;
mod put;
mod backend;

pub use backend::DynamoBackend;

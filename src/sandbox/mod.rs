//! Pretends: a local cloud that speaks the real protocols and knows nothing of `kinds`.

pub mod http;
pub mod rows;
pub mod dynamodb;

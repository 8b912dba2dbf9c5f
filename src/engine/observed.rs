//! What looking at the clouds can yield: exists, absent, unseen.

use crate::engine::value::Attributes;

/// What was seen of one recorded object.
#[derive(Debug, Clone, PartialEq)]
pub enum Observation {
    /// Its attributes as the cloud tells them, in the words of its kind; attributes that the cloud does not tell are not in it.
    Exists { attributes: Attributes, ready: bool },
    /// A healthy endpoint of the right account does not list it, and asked by id says not found.
    Absent,
    /// It could not be looked at; why, in a sentence that names the endpoint.
    Unseen(String),
}

/// An object that could be taken for another: same identity, whoever made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alike {
    pub id: String,
    /// When it was made, as far as the cloud tells, in milliseconds since the Unix epoch.
    pub created: Option<i64>,
    /// The owner mark that it carries.
    pub mark: Option<String>,
}

//! What is asked about an object, and what looking at one, or making one, yields.

use crate::engine::address::Address;
use crate::engine::schema::Kind;
use crate::engine::value::Attributes;

/// A question about one object; the answer is an `Observation`.
#[derive(Debug, Clone, Copy)]
pub struct ReadQuery<'a> {
    pub address: &'a Address,
    pub kind: &'a Kind,
    /// Without one, the identity has to find it.
    pub id: Option<&'a str>,
    /// Recorded or resolved: references as ids, carried ones as `attribute.name`.
    pub attributes: &'a Attributes,
}

/// One member of a group whose members hold the same data.
#[derive(Debug, Clone, Copy)]
pub struct MemberRead<'a> {
    pub kind: &'a Kind,
    pub attributes: &'a Attributes,
}

/// What is written into one member of a group again and again, for the others to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupHeartbeat {
    /// When it was written, in milliseconds since the Unix epoch, by the clock of its writer.
    pub at: i64,
    /// Where.
    pub region: String,
    /// After how many seconds the next one was to come.
    pub every: u64,
}

/// What was made.
#[derive(Debug, Clone, PartialEq)]
pub struct Created {
    pub id: String,
    /// What the answer tells of it.
    pub attributes: Attributes,
}

/// What one look at one object saw.
#[derive(Debug, Clone, PartialEq)]
pub enum ReadResult {
    Exists {
        attributes: Attributes,
        ready: bool,
        /// Why it is not ready: "its status is `booting`, not yet `running`".
        why_not: Option<String>,
    },
    Absent,
}

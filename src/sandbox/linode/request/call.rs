//! One call as the handlers see it, and the two ways it can end: a body or a refusal.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::faults::state::Faults;
use crate::http::{Millis, SandboxAnswer, SandboxRequest};
use crate::linode::data::restricted::RestrictedToken;

/// A request that has passed the door.
#[derive(Debug)]
pub struct LinodeCall<'a> {
    pub now: Millis,
    pub request: &'a SandboxRequest,
    pub body: Map<String, Value>,
    pub faults: &'a Faults,
    /// Who asks, where it is a restricted user.
    pub user: Option<RestrictedToken>,
    /// The ids that this list shows to its user; `None`: all.
    pub sees: Option<BTreeSet<u64>>,
    /// The ids that lists do not show yet.
    pub unlisted: BTreeSet<u64>,
}

impl LinodeCall<'_> {
    /// The name of a restricted user; empty for the one who sees everything.
    pub fn who(&self) -> &str {
        self.user.as_ref().map_or("", |it| it.name.as_str())
    }
}

/// Why a call is refused: a status and every error that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinodeError {
    pub status: u16,
    pub errors: Vec<ErrorField>,
}

/// One error: its field, if any, and its reason.
pub type ErrorField = (Option<String>, String);

/// What a handler gives back.
pub type CallResult = Result<Value, LinodeError>;

impl LinodeError {
    pub fn not_found() -> Self {
        Self { status: 404, errors: vec![(None, "Not found".into())] }
    }

    pub fn field(field: &str, reason: &str) -> Self {
        Self { status: 400, errors: vec![(Some(field.into()), reason.into())] }
    }

    pub fn plain(reason: &str) -> Self {
        Self { status: 400, errors: vec![(None, reason.into())] }
    }

    pub fn busy() -> Self {
        Self::plain("Linode busy.")
    }

    pub fn with_status(status: u16, reason: &str) -> Self {
        Self { status, errors: vec![(None, reason.into())] }
    }

    pub fn answer(&self) -> SandboxAnswer {
        let errors: Vec<Value> = self
            .errors
            .iter()
            .map(|(field, reason)| match field {
                Some(field) => json!({ "reason": reason, "field": field }),
                None => json!({ "reason": reason }),
            })
            .collect();
        SandboxAnswer::json(self.status, "application/json", &json!({ "errors": errors }))
    }
}

/// The body of every action and delete that went well.
pub fn done() -> CallResult {
    Ok(json!({}))
}

/// UTC without zone or fraction, the only form of time this API knows.
pub fn stamp(time: Millis) -> String {
    jiff::Timestamp::from_millisecond(time)
        .map(|it| it.strftime("%Y-%m-%dT%H:%M:%S").to_string())
        .unwrap_or_default()
}

//! A request and an answer as the sandbox sees them, whatever carries them.

use serde_json::Value;

/// World time in milliseconds since the Unix epoch.
pub type Millis = i64;

/// One request; header names are lower case.
#[derive(Debug, Clone, Default)]
pub struct SandboxRequest {
    pub method: String,
    pub path: String,
    pub query: Vec<(String, String)>,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl SandboxRequest {
    /// The first header of this (lower-case) name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(it, _)| it == name).map(|(_, value)| value.as_str())
    }

    /// The first query parameter of this name.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(it, _)| it == name).map(|(_, value)| value.as_str())
    }
}

/// What goes back: a status, headers and bytes.
#[derive(Debug, Clone)]
pub struct SandboxAnswer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl SandboxAnswer {
    /// An answer with a JSON body of the given content type.
    pub fn json(status: u16, content_type: &str, body: &Value) -> Self {
        Self {
            status,
            headers: vec![("content-type".into(), content_type.into())],
            body: body.to_string().into_bytes(),
        }
    }

    /// An answer that says nothing more.
    pub fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new() }
    }

    /// The same answer with one more header.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "numbers and texts are passed as they are")]
    pub fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.headers.push((name.into(), value.to_string()));
        self
    }
}

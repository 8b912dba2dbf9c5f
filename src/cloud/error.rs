//! What a cloud said when it did not do what was asked.

use std::fmt;
use std::time::Duration;

use crate::engine::observed::{UnknownReason, Unreadable};
use crate::engine::retry::ErrorClass;
use crate::engine::state::journal::StepFailure;
use crate::engine::text::plain::escape_control;
use crate::engine::text::redact::redactor;

/// One failed call: its class, who said what, and what a person can do about it.
#[derive(Debug, thiserror::Error)]
pub struct ProviderError {
    pub fault: ErrorClass,
    /// Method and address without its query: `POST https://api.linode.com/v4/linode/instances`.
    pub endpoint: String,
    pub status: Option<u16>,
    /// The cloud's own words: `label: Label must be unique among your linodes`.
    pub words: String,
    /// The remedy.
    pub advice: Option<String>,
    /// How long the cloud asks to be left alone, or how long its limits are known to last.
    pub retry_after: Option<Duration>,
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl ProviderError {
    pub(crate) fn new(
        fault: ErrorClass,
        endpoint: impl Into<String>,
        words: impl Into<String>,
    ) -> Self {
        // Clouds quote what they were sent, and addresses may hold a password.
        let told = |text: String| escape_control(&redactor().redact(&text));
        Self {
            fault,
            endpoint: told(endpoint.into()),
            status: None,
            words: short(told(words.into())),
            advice: None,
            retry_after: None,
            source: None,
        }
    }

    /// Nobody answered a look: not even with a no.
    pub fn is_silence(&self) -> bool {
        matches!(self.fault, ErrorClass::Transient | ErrorClass::Unreachable)
            && self.status.is_none()
    }

    /// What it says of the world: the one place that tells silence from a no.
    pub fn reason(&self) -> UnknownReason {
        match self.status {
            // Whoever says that it is not well says nothing about what was asked.
            Some(500..) if self.fault != ErrorClass::Garbled => UnknownReason::Unreachable,
            _ => self.fault.reason(),
        }
    }

    /// It, as what could not be seen because of it.
    pub(crate) fn unseen(&self) -> Unreadable {
        Unreadable::new(self.reason(), self.to_string())
    }

    #[must_use]
    pub(crate) fn status(mut self, status: u16) -> Self {
        self.status = Some(status);
        self
    }

    #[must_use]
    pub(crate) fn advice(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    #[must_use]
    pub(crate) fn after(mut self, pause: Option<Duration>) -> Self {
        self.retry_after = pause;
        self
    }

    #[must_use]
    pub(crate) fn caused_by(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.source = Some(source.into());
        self
    }
}

/// A longer pause that a cloud asks for is told to the user: up to a minute, people wait without asking what happens.
const PATIENT: Duration = Duration::from_secs(60);

/// The most characters of a cloud's own message, which is repeated on every line that it concerns: a gateway may send a whole
/// HTML page. A guess: room for any sentence of an API.
const WORDS_MAX: usize = 600;

fn short(mut words: String) -> String {
    if let Some((at, _)) = words.char_indices().nth(WORDS_MAX) {
        let all = words.len();
        words.truncate(at);
        words.push_str(&format!("… ({all} bytes)"));
    }
    words
}

impl From<ProviderError> for StepFailure {
    fn from(why: ProviderError) -> Self {
        Self { why: why.to_string(), class: Some(why.fault) }
    }
}

impl fmt::Display for ProviderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = self.words.trim_end_matches('.');
        match (self.fault, self.status) {
            (_, Some(status)) => write!(f, "{} answered {status}: {words}", self.endpoint)?,
            (ErrorClass::Unreachable, None) => {
                write!(f, "{} could not be reached: {words}", self.endpoint)?;
            }
            (ErrorClass::Rejected | ErrorClass::Unauthenticated, None) => {
                write!(f, "{} was not called: {words}", self.endpoint)?;
            }
            (_, None) => write!(f, "{}: {words}", self.endpoint)?,
        }
        match &self.advice {
            Some(advice) => write!(f, "; {advice}"),
            None => match self.retry_after.filter(|it| *it > PATIENT) {
                Some(pause) => write!(f, "; it asks to retry after {} s", pause.as_secs()),
                None => Ok(()),
            },
        }
    }
}

/// The innermost reason of an error, which is the part that tells: "Connection refused (os error 111)".
pub(crate) fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut inner = error;
    while let Some(next) = inner.source() {
        inner = next;
    }
    inner.to_string()
}

#[cfg(test)]
mod tests {
    use super::ProviderError;
    use crate::engine::retry::ErrorClass;

    #[test]
    fn provider_error_reads_as_a_sentence_with_a_remedy() {
        let error = ProviderError::new(
            ErrorClass::Unauthenticated,
            "GET https://x/v4/account",
            "Invalid Token",
        )
        .status(401)
        .advice("set LINODE_TOKEN");
        insta::assert_snapshot!(error, @"GET https://x/v4/account answered 401: Invalid Token; set LINODE_TOKEN");
        let error =
            ProviderError::new(ErrorClass::Unreachable, "GET https://x/v4/account", "no such host");
        insta::assert_snapshot!(error, @"GET https://x/v4/account could not be reached: no such host");
    }
}

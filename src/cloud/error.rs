//! What a cloud said when it did not do what was asked.

use std::fmt;
use std::time::Duration;

use crate::engine::retry::Fault;

/// One failed call: its class, who said what, and what a person can do about it.
#[derive(Debug, thiserror::Error)]
pub struct ProviderError {
    pub fault: Fault,
    /// Method and address without its query: `POST https://api.linode.com/v4/linode/instances`.
    pub endpoint: String,
    pub status: Option<u16>,
    /// The cloud's own words: `label: Label must be unique among your linodes`.
    pub words: String,
    /// The remedy.
    pub advice: Option<String>,
    pub retry_after: Option<Duration>,
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl ProviderError {
    pub(crate) fn new(fault: Fault, endpoint: impl Into<String>, words: impl Into<String>) -> Self {
        Self {
            fault,
            endpoint: endpoint.into(),
            status: None,
            words: words.into(),
            advice: None,
            retry_after: None,
            source: None,
        }
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

impl fmt::Display for ProviderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = self.words.trim_end_matches('.');
        match (self.fault, self.status) {
            (_, Some(status)) => write!(f, "{} answered {status}: {words}", self.endpoint)?,
            (Fault::Unreachable, None) => {
                write!(f, "{} could not be reached: {words}", self.endpoint)?;
            }
            (Fault::Rejected | Fault::Unauthenticated, None) => {
                write!(f, "{} was not asked: {words}", self.endpoint)?;
            }
            (_, None) => write!(f, "{}: {words}", self.endpoint)?,
        }
        match &self.advice {
            Some(advice) => write!(f, "; {advice}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ProviderError;
    use crate::engine::retry::Fault;

    #[test]
    fn it_reads_as_a_sentence_with_a_remedy() {
        let error =
            ProviderError::new(Fault::Unauthenticated, "GET https://x/v4/account", "Invalid Token")
                .status(401)
                .advice("set LINODE_TOKEN");
        insta::assert_snapshot!(error, @"GET https://x/v4/account answered 401: Invalid Token; set LINODE_TOKEN");
        let error =
            ProviderError::new(Fault::Unreachable, "GET https://x/v4/account", "no such host");
        insta::assert_snapshot!(error, @"GET https://x/v4/account could not be reached: no such host");
    }
}

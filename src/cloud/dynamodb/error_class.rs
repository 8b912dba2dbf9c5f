//! What the SDK's and DynamoDB's errors mean.

use std::error::Error;
use std::time::Duration;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_dynamodb::config::Builder;
use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};

use crate::cloud::error::ProviderError;
use crate::cloud::http::connection::Connections;
use crate::cloud::http::transport::innermost;
use crate::engine::retry::ErrorClass;

/// How long one read may take at most. AWS documents no limit for its control plane; a guess: a longer one would hold up a
/// plan while a region is silent, a shorter one would give up a region that is only slow.
const READ: Duration = Duration::from_secs(5);

/// What a lost answer means: a read can be repeated, a change may have happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LostReply {
    Read,
    Change,
}

impl LostReply {
    /// Reads are short: a region that does not answer soon is better known as unseen.
    pub(crate) fn timed(self, config: Builder, connections: &Connections) -> Builder {
        match self {
            Self::Read => config.timeout_config(connections.timeouts(READ)),
            Self::Change => config,
        }
    }

    fn fault(self) -> ErrorClass {
        match self {
            Self::Read => ErrorClass::Transient,
            Self::Change => ErrorClass::UnknownOutcome,
        }
    }

    fn garbled(self) -> ErrorClass {
        match self {
            Self::Read => ErrorClass::Garbled,
            Self::Change => ErrorClass::UnknownOutcome,
        }
    }
}

/// The class, the words and the remedy of a failed call.
pub(crate) fn failed<E>(
    endpoint: String,
    lost: LostReply,
    error: SdkError<E, HttpResponse>,
) -> ProviderError
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    let made = match &error {
        SdkError::ServiceError(said) => {
            let status = said.raw().status().as_u16();
            let meta = said.err().meta();
            let message = meta.message().unwrap_or_default();
            let meaning = meaning(status, meta.code(), message, lost);
            let words = match (meta.code(), message) {
                (Some(code), "") => code.to_owned(),
                (Some(code), message) => format!("{code}: {message}"),
                (None, _) => "the response gives no reason".to_owned(),
            };
            let made = ProviderError::new(meaning.fault, endpoint, words)
                .status(status)
                .after(meaning.pause);
            match meaning.advice {
                Some(advice) => made.advice(advice),
                None => made,
            }
        }
        SdkError::ResponseError(said) => {
            let status = said.raw().status().as_u16();
            ProviderError::new(lost.garbled(), endpoint, "the response cannot be parsed")
                .status(status)
        }
        SdkError::TimeoutError(_) => {
            ProviderError::new(lost.fault(), endpoint, "no answer in time")
        }
        other if has::<CredentialsError>(other) => ProviderError::new(
            ErrorClass::Unauthenticated,
            endpoint,
            "there are no AWS credentials",
        )
        .advice(
            "set AWS_PROFILE or AWS_ACCESS_KEY_ID, or add --sandbox to try it without an account",
        ),
        SdkError::DispatchFailure(said) => {
            let connecting = said.is_timeout() || never_connected(&error);
            let fault = if connecting { ErrorClass::Unreachable } else { lost.fault() };
            ProviderError::new(fault, endpoint, innermost(&error))
        }
        _ => ProviderError::new(ErrorClass::Rejected, endpoint, innermost(&error)),
    };
    made.caused_by(error)
}

struct Meaning {
    fault: ErrorClass,
    pause: Option<Duration>,
    advice: Option<&'static str>,
}

fn meaning(status: u16, code: Option<&str>, message: &str, lost: LostReply) -> Meaning {
    let says = |part: &str| message.contains(part);
    let seconds = |number| Some(Duration::from_secs(number));
    let plain = |fault| Meaning { fault, pause: None, advice: None };
    let advised = |fault, advice| Meaning { fault, pause: None, advice: Some(advice) };
    let paused = |fault, pause| Meaning { fault, pause, advice: None };
    match code.unwrap_or_default() {
        "ResourceInUseException" if says("already exists") => plain(ErrorClass::Conflict),
        "ResourceInUseException"
        | "ContinuousBackupsUnavailableException"
        | "TableInUseException" => plain(ErrorClass::Busy),
        // A write of tags holds a lock of 1.6 to 1.8 s (public lab ack-api-quirks, October 2026).
        "LimitExceededException" if says("being updated") || says("simultaneous") => {
            paused(ErrorClass::Busy, seconds(2))
        }
        "LimitExceededException" => advised(
            ErrorClass::Rejected,
            "a quota is exhausted: wait until the time given, or request a higher one from AWS",
        ),
        // Deletion protection can be toggled again after 15 s (the same lab).
        "ThrottlingException" if says("try again after") => {
            paused(ErrorClass::Throttled, seconds(15))
        }
        "ThrottlingException"
        | "Throttling"
        | "TooManyRequestsException"
        | "RequestLimitExceeded"
        | "ProvisionedThroughputExceededException" => plain(ErrorClass::Throttled),
        "ResourceNotFoundException" | "TableNotFoundException" => plain(ErrorClass::Missing),
        "AccessDeniedException" | "AccessDenied" => {
            advised(ErrorClass::Denied, "allow the action in the IAM policy of these credentials")
        }
        "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "ExpiredTokenException"
        | "ExpiredToken"
        | "InvalidSignatureException"
        | "SignatureDoesNotMatch"
        | "IncompleteSignatureException"
        | "MissingAuthenticationTokenException"
        | "MissingAuthenticationToken" => advised(
            ErrorClass::Unauthenticated,
            "renew the AWS credentials (AWS_PROFILE, AWS_ACCESS_KEY_ID)",
        ),
        "ValidationException" => refusal(message),
        "InternalServerError" | "InternalFailure" => plain(lost.fault()),
        "ServiceUnavailable" => plain(ErrorClass::Transient),
        _ => plain(match status {
            429 => ErrorClass::Throttled,
            503 => ErrorClass::Transient,
            500.. => lost.fault(),
            // No code at all: something in front of DynamoDB spoke.
            _ if code.is_none() => lost.fault(),
            _ => ErrorClass::Rejected,
        }),
    }
}

/// Validation errors are for good, except for those that say that something is still going on.
fn refusal(message: &str) -> Meaning {
    let says = |part: &str| message.contains(part);
    let advised =
        |advice| Meaning { fault: ErrorClass::Rejected, pause: None, advice: Some(advice) };
    // AWS documents an hour between two changes of TTL, and half an hour was measured (the same lab): every five minutes is
    // often enough to notice which it is.
    if says("modified multiple times within a fixed interval") {
        return Meaning {
            fault: ErrorClass::Throttled,
            pause: Some(Duration::from_mins(5)),
            advice: Some("TTL can be changed once per hour: run apply again later"),
        };
    }
    if says("Cannot describe time to live while table is in") || says("replica is being added") {
        return Meaning { fault: ErrorClass::Busy, pause: None, advice: None };
    }
    if says("already existed as tables") {
        return Meaning {
            fault: ErrorClass::Conflict,
            pause: None,
            advice: Some("a table with this name already exists in the replica's region"),
        };
    }
    if says("acted as a source region") {
        return advised("first remove the replica that was created through it, or wait 24 hours");
    }
    if says("deletion protection") || says("protected against deletion") {
        return advised("apply `deletion_protection: false` first");
    }
    if says("Pay-Per-Request or AutoScaled") {
        return advised("use `billing_mode: PAY_PER_REQUEST`");
    }
    Meaning { fault: ErrorClass::Rejected, pause: None, advice: None }
}

/// Whether an error of type `T` is among the causes.
fn has<T: Error + 'static>(error: &(dyn Error + 'static)) -> bool {
    causes(error).any(<dyn Error>::is::<T>)
}

/// Whether no connection came about, so that nothing can have been sent.
fn never_connected(error: &(dyn Error + 'static)) -> bool {
    use std::io::ErrorKind::{ConnectionRefused, HostUnreachable, NetworkUnreachable};
    causes(error).any(|it| {
        let refused = it.downcast_ref::<std::io::Error>().is_some_and(|it| {
            matches!(it.kind(), ConnectionRefused | HostUnreachable | NetworkUnreachable)
        });
        // The HTTP client keeps its kinds to itself and shows them only in its words.
        refused || it.to_string().contains("(Connect)") || it.to_string().contains("dns error")
    })
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |it: &&'a (dyn Error + 'static)| (*it).source())
}

#[cfg(test)]
mod tests {
    use super::{LostReply, meaning};
    use crate::engine::retry::ErrorClass;

    #[test]
    fn meaning_classifies_codes_and_messages() {
        let table = [
            (400, Some("ResourceInUseException"), "Table already exists: x", ErrorClass::Conflict),
            (400, Some("ResourceInUseException"), "Table is being created: x", ErrorClass::Busy),
            (400, Some("LimitExceededException"), "Table tags are being updated", ErrorClass::Busy),
            (
                400,
                Some("LimitExceededException"),
                "Subscriber limit exceeded",
                ErrorClass::Rejected,
            ),
            (400, Some("ThrottlingException"), "Rate exceeded", ErrorClass::Throttled),
            (400, Some("ResourceNotFoundException"), "", ErrorClass::Missing),
            (400, Some("TableNotFoundException"), "", ErrorClass::Missing),
            (400, Some("ContinuousBackupsUnavailableException"), "", ErrorClass::Busy),
            (400, Some("AccessDeniedException"), "", ErrorClass::Denied),
            (400, Some("UnrecognizedClientException"), "", ErrorClass::Unauthenticated),
            (400, Some("ValidationException"), "no such thing", ErrorClass::Rejected),
            (
                400,
                Some("ValidationException"),
                "Time to live has been modified multiple times within a fixed interval",
                ErrorClass::Throttled,
            ),
            (
                400,
                Some("ValidationException"),
                "Failed to create a the new replica … because one or more replicas already existed as tables.",
                ErrorClass::Conflict,
            ),
            (500, Some("InternalServerError"), "", ErrorClass::UnknownOutcome),
            (503, None, "", ErrorClass::Transient),
            (502, None, "", ErrorClass::UnknownOutcome),
            (429, None, "", ErrorClass::Throttled),
            (400, None, "", ErrorClass::UnknownOutcome),
            (400, Some("UnknownOperationException"), "", ErrorClass::Rejected),
        ];
        for (status, code, message, fault) in table {
            let found = meaning(status, code, message, LostReply::Change).fault;
            assert_eq!(found, fault, "{status} {code:?} {message}");
        }
        assert_eq!(meaning(500, None, "", LostReply::Read).fault, ErrorClass::Transient);
    }
}

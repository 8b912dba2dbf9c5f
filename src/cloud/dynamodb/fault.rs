//! What the SDK's and DynamoDB's errors mean.

use std::error::Error;
use std::time::Duration;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_dynamodb::config::Builder;
use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};

use crate::cloud::connection::Connections;
use crate::cloud::error::ProviderError;
use crate::cloud::transport::innermost;
use crate::engine::retry::Fault;

/// How long one read may take at most.
const READ: Duration = Duration::from_secs(5);

/// What a lost answer means: a read can be repeated, a change may have happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lost {
    Read,
    Change,
}

impl Lost {
    /// Reads are short: a region that does not answer soon is better known as unseen.
    pub(crate) fn timed(self, config: Builder, connections: &Connections) -> Builder {
        match self {
            Self::Read => config.timeout_config(connections.timeouts(READ)),
            Self::Change => config,
        }
    }

    fn fault(self) -> Fault {
        match self {
            Self::Read => Fault::Transient,
            Self::Change => Fault::UnknownOutcome,
        }
    }

    fn garbled(self) -> Fault {
        match self {
            Self::Read => Fault::Garbled,
            Self::Change => Fault::UnknownOutcome,
        }
    }
}

/// The class, the words and the remedy of a failed call.
pub(crate) fn failed<E>(
    endpoint: String,
    lost: Lost,
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
                (None, _) => "no reason that DynamoDB would give".to_owned(),
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
            ProviderError::new(lost.garbled(), endpoint, "the answer cannot be read").status(status)
        }
        SdkError::TimeoutError(_) => {
            ProviderError::new(lost.fault(), endpoint, "no answer in time")
        }
        other if has::<CredentialsError>(other) => ProviderError::new(
            Fault::Unauthenticated,
            endpoint,
            "there are no AWS credentials",
        )
        .advice(
            "set AWS_PROFILE or AWS_ACCESS_KEY_ID, or add --sandbox to try it without an account",
        ),
        SdkError::DispatchFailure(said) => {
            let connecting = said.is_timeout() || never_connected(&error);
            let fault = if connecting { Fault::Unreachable } else { lost.fault() };
            ProviderError::new(fault, endpoint, innermost(&error))
        }
        _ => ProviderError::new(Fault::Rejected, endpoint, innermost(&error)),
    };
    made.caused_by(error)
}

struct Meaning {
    fault: Fault,
    pause: Option<Duration>,
    advice: Option<&'static str>,
}

fn meaning(status: u16, code: Option<&str>, message: &str, lost: Lost) -> Meaning {
    let says = |part: &str| message.contains(part);
    let seconds = |number| Some(Duration::from_secs(number));
    let plain = |fault| Meaning { fault, pause: None, advice: None };
    let advised = |fault, advice| Meaning { fault, pause: None, advice: Some(advice) };
    let paused = |fault, pause| Meaning { fault, pause, advice: None };
    match code.unwrap_or_default() {
        "ResourceInUseException" if says("already exists") => plain(Fault::Conflict),
        "ResourceInUseException"
        | "ContinuousBackupsUnavailableException"
        | "TableInUseException" => plain(Fault::Busy),
        "LimitExceededException" if says("being updated") || says("simultaneous") => {
            paused(Fault::Busy, seconds(2))
        }
        "LimitExceededException" => advised(
            Fault::Rejected,
            "a quota is used up: wait until the time that it names, or ask AWS for a higher one",
        ),
        "ThrottlingException" if says("try again after") => paused(Fault::Throttled, seconds(15)),
        "ThrottlingException"
        | "Throttling"
        | "TooManyRequestsException"
        | "RequestLimitExceeded"
        | "ProvisionedThroughputExceededException" => plain(Fault::Throttled),
        "ResourceNotFoundException" | "TableNotFoundException" => plain(Fault::Missing),
        "AccessDeniedException" | "AccessDenied" => {
            advised(Fault::Denied, "allow the action in the IAM policy of these credentials")
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
            Fault::Unauthenticated,
            "renew the AWS credentials (AWS_PROFILE, AWS_ACCESS_KEY_ID)",
        ),
        "ValidationException" => refusal(message),
        "InternalServerError" | "InternalFailure" => plain(lost.fault()),
        "ServiceUnavailable" => plain(Fault::Transient),
        _ => plain(match status {
            429 => Fault::Throttled,
            503 => Fault::Transient,
            500.. => lost.fault(),
            // No code at all: something in front of DynamoDB spoke.
            _ if code.is_none() => lost.fault(),
            _ => Fault::Rejected,
        }),
    }
}

/// Validation errors are for good, except for those that say that something is still going on.
fn refusal(message: &str) -> Meaning {
    let says = |part: &str| message.contains(part);
    let advised = |advice| Meaning { fault: Fault::Rejected, pause: None, advice: Some(advice) };
    if says("modified multiple times within a fixed interval") {
        return Meaning {
            fault: Fault::Throttled,
            pause: Some(Duration::from_mins(5)),
            advice: Some("TTL can be changed once per hour: run apply again later"),
        };
    }
    if says("Cannot describe time to live while table is in") || says("replica is being added") {
        return Meaning { fault: Fault::Busy, pause: None, advice: None };
    }
    if says("already existed as tables") {
        return Meaning {
            fault: Fault::Conflict,
            pause: None,
            advice: Some("a table of this name is in the replica's region already"),
        };
    }
    if says("acted as a source region") {
        return advised("remove the replica that was made through it first, or wait 24 hours");
    }
    if says("deletion protection") || says("protected against deletion") {
        return advised("apply `deletion_protection: false` first");
    }
    if says("Pay-Per-Request or AutoScaled") {
        return advised("use `billing_mode: PAY_PER_REQUEST`");
    }
    Meaning { fault: Fault::Rejected, pause: None, advice: None }
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
    use super::{Lost, meaning};
    use crate::engine::retry::Fault;

    #[test]
    fn codes_and_messages() {
        let table = [
            (400, Some("ResourceInUseException"), "Table already exists: x", Fault::Conflict),
            (400, Some("ResourceInUseException"), "Table is being created: x", Fault::Busy),
            (400, Some("LimitExceededException"), "Table tags are being updated", Fault::Busy),
            (400, Some("LimitExceededException"), "Subscriber limit exceeded", Fault::Rejected),
            (400, Some("ThrottlingException"), "Rate exceeded", Fault::Throttled),
            (400, Some("ResourceNotFoundException"), "", Fault::Missing),
            (400, Some("TableNotFoundException"), "", Fault::Missing),
            (400, Some("ContinuousBackupsUnavailableException"), "", Fault::Busy),
            (400, Some("AccessDeniedException"), "", Fault::Denied),
            (400, Some("UnrecognizedClientException"), "", Fault::Unauthenticated),
            (400, Some("ValidationException"), "no such thing", Fault::Rejected),
            (
                400,
                Some("ValidationException"),
                "Time to live has been modified multiple times within a fixed interval",
                Fault::Throttled,
            ),
            (
                400,
                Some("ValidationException"),
                "Failed to create a the new replica … because one or more replicas already existed as tables.",
                Fault::Conflict,
            ),
            (500, Some("InternalServerError"), "", Fault::UnknownOutcome),
            (503, None, "", Fault::Transient),
            (502, None, "", Fault::UnknownOutcome),
            (429, None, "", Fault::Throttled),
            (400, None, "", Fault::UnknownOutcome),
            (400, Some("UnknownOperationException"), "", Fault::Rejected),
        ];
        for (status, code, message, fault) in table {
            let found = meaning(status, code, message, Lost::Change).fault;
            assert_eq!(found, fault, "{status} {code:?} {message}");
        }
        assert_eq!(meaning(500, None, "", Lost::Read).fault, Fault::Transient);
    }
}

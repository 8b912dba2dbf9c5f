//! What the errors of DynamoDB and of its SDK mean for a store.

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};

use crate::cloud::error::innermost;
use crate::store::error::RemoteFault;
use crate::store::remote::attempts::{FailedRequest, RequestEffect, causes, is_tls};
use crate::store::remote::credentials::no_credentials;

/// The keys of the table, for people.
pub(super) const KEYS_IN_WORDS: &str =
    "the partition key `state` (String) and the sort key `key` (String)";

/// The class and the words of a failed request to a table.
pub(super) fn failed<E>(table: &str, error: SdkError<E, HttpResponse>) -> FailedRequest
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    match &error {
        SdkError::ServiceError(said) => {
            let meta = said.err().meta();
            let status = said.raw().status().as_u16();
            refusal(table, status, meta.code(), meta.message().unwrap_or_default())
        }
        SdkError::ResponseError(said) => {
            let status = said.raw().status().as_u16();
            let words = format!("its answer ({status}) cannot be read: {}", innermost(&error));
            // An answer that breaks off is the network's fault, and one of something else is not.
            let fault = match status {
                200 | 500.. => RemoteFault::Unreachable,
                _ => RemoteFault::Malformed,
            };
            FailedRequest::new(fault, RequestEffect::Unknown, words)
        }
        SdkError::TimeoutError(_) => FailedRequest::new(
            RemoteFault::Unreachable,
            RequestEffect::Unknown,
            "no answer in time",
        ),
        other => {
            if let Some(why) = causes(other).find_map(|it| it.downcast_ref::<CredentialsError>()) {
                return no_credentials(why);
            }
            unanswered(other)
        }
    }
}

fn unanswered<E: Error + 'static>(error: &SdkError<E, HttpResponse>) -> FailedRequest {
    let words = innermost(error);
    if is_tls(error) {
        return FailedRequest::new(RemoteFault::Malformed, RequestEffect::None, format!("TLS: {words}"))
            .advice("check that `endpoint` speaks HTTPS and that its certificate is good; plain http:// leads to this machine only");
    }
    let SdkError::DispatchFailure(said) = error else {
        return FailedRequest::new(RemoteFault::Rejected, RequestEffect::None, words);
    };
    // The HTTP client keeps its kinds to itself and shows them only in its words.
    let is_unsent = causes(error).any(|it| {
        let refused = it
            .downcast_ref::<std::io::Error>()
            .is_some_and(|it| it.kind() == std::io::ErrorKind::ConnectionRefused);
        refused || ["(Connect)", "dns error"].iter().any(|part| it.to_string().contains(part))
    });
    if said.is_timeout() || is_unsent {
        return FailedRequest::new(RemoteFault::Unreachable, RequestEffect::None, words);
    }
    let words = format!("the connection broke off: {words}");
    FailedRequest::new(RemoteFault::Unreachable, RequestEffect::Unknown, words)
}

fn refusal(table: &str, status: u16, code: Option<&str>, message: &str) -> FailedRequest {
    let words = match (code, message) {
        (None, _) => format!("it answered {status}, without a reason in the words of DynamoDB"),
        (Some(code), "") => code.to_owned(),
        (Some(code), message) => format!("{code}: {message}"),
    };
    let failed = |fault, effect| FailedRequest::new(fault, effect, words.clone());
    let no = |fault| failed(fault, RequestEffect::None);
    match code.unwrap_or_default() {
        "ResourceNotFoundException" => no(RemoteFault::Missing).advice(missing_advice(table)),
        "ProvisionedThroughputExceededException"
        | "ThrottlingException"
        | "Throttling"
        | "RequestLimitExceeded"
        | "TooManyRequestsException"
        | "TransactionConflictException" => no(RemoteFault::Throttled),
        "ReplicatedWriteConflictException" => failed(RemoteFault::Throttled, RequestEffect::Unknown),
        "AccessDeniedException" | "AccessDenied" => no(RemoteFault::Denied).advice(format!(
            "allow dynamodb:GetItem, PutItem, DeleteItem, Query and DescribeTable for the table `{table}`"
        )),
        "ExpiredTokenException" | "ExpiredToken" => {
            no(RemoteFault::Denied).advice("renew the credentials of this store")
        }
        "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "InvalidSignatureException"
        | "SignatureDoesNotMatch"
        | "IncompleteSignatureException"
        | "MissingAuthenticationTokenException"
        | "MissingAuthenticationToken" => {
            no(RemoteFault::Denied).advice("correct the credentials of this store")
        }
        "ValidationException" if is_about_keys(message) => {
            no(RemoteFault::Rejected).advice(format!(
                "use a table with {KEYS_IN_WORDS}"
            ))
        }
        "" if status < 500 => no(RemoteFault::Malformed),
        _ if status >= 500 => failed(RemoteFault::Unreachable, RequestEffect::Unknown),
        _ => no(RemoteFault::Rejected),
    }
}

/// How DynamoDB says that a table has other keys than an item or a query.
fn is_about_keys(message: &str) -> bool {
    [
        "key element",
        "Missing the key",
        "key schema",
        "Query condition missed",
        "Type mismatch for key",
    ]
    .iter()
    .any(|part| message.contains(part))
}

/// A whole description: nothing of it has to be looked up.
pub(super) fn missing_advice(table: &str) -> String {
    format!(
        "create the table `{table}` with {KEYS_IN_WORDS}, billed on demand, or correct its name or region"
    )
}

#[cfg(test)]
mod tests {
    use super::refusal;
    use crate::store::error::RemoteFault::{
        self, Denied, Malformed, Missing, Rejected, Throttled, Unreachable,
    };
    use crate::store::remote::attempts::RequestEffect;

    #[test]
    fn refusal_tells_a_no_from_silence() {
        let table: [(u16, Option<&str>, RemoteFault, RequestEffect); 12] = [
            (400, Some("ResourceNotFoundException"), Missing, RequestEffect::None),
            (400, Some("ProvisionedThroughputExceededException"), Throttled, RequestEffect::None),
            (400, Some("ThrottlingException"), Throttled, RequestEffect::None),
            (400, Some("ReplicatedWriteConflictException"), Throttled, RequestEffect::Unknown),
            (400, Some("AccessDeniedException"), Denied, RequestEffect::None),
            (400, Some("UnrecognizedClientException"), Denied, RequestEffect::None),
            (400, Some("ExpiredTokenException"), Denied, RequestEffect::None),
            (400, Some("ValidationException"), Rejected, RequestEffect::None),
            (500, Some("InternalServerError"), Unreachable, RequestEffect::Unknown),
            (503, None, Unreachable, RequestEffect::Unknown),
            (404, None, Malformed, RequestEffect::None),
            (400, Some("UnknownOperationException"), Rejected, RequestEffect::None),
        ];
        for (status, code, fault, effect) in table {
            let failed = refusal("shop-state", status, code, "m");
            assert_eq!((failed.fault, failed.effect), (fault, effect), "{status} {code:?}");
        }
        let missing = refusal("shop-state", 400, Some("ResourceNotFoundException"), "");
        assert_eq!(
            missing.advice.unwrap(),
            "create the table `shop-state` with the partition key `state` (String) and the sort key `key` (String), billed on demand, or correct its name or region"
        );
    }
}

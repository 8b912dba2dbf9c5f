//! What S3's answers mean when they are no success, and what it means when there is none.

use std::time::Duration;

use object_store::client::{HttpError, HttpErrorKind};

use crate::cloud::error::innermost;
use crate::store::error::RemoteFault;
use crate::store::remote::attempts::{FailedRequest, RequestEffect, is_tls};

/// An answer that is no success.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct S3Refusal {
    pub status: u16,
    pub retry_after: Option<Duration>,
    /// The region in which the bucket is, if it says so.
    pub region: Option<String>,
    pub body: String,
}

impl S3Refusal {
    /// `NoSuchBucket`; empty where it gives no reason in S3's words.
    pub(super) fn code(&self) -> &str {
        self.element("Code")
    }

    /// What stands between two tags, as it stands there: errors are short, flat and written by servers only.
    fn element(&self, name: &str) -> &str {
        let (open, close) = (format!("<{name}>"), format!("</{name}>"));
        let found = self.body.split_once(&open).and_then(|(_, rest)| rest.split_once(&close));
        found.map_or("", |(text, _)| text.trim())
    }

    /// `NoSuchBucket: The specified bucket does not exist`
    fn words(&self) -> String {
        let (status, code, message) = (self.status, self.code(), self.element("Message"));
        match (code, message) {
            ("", "") => format!("it answered {status}, without a reason in the words of S3"),
            (code, "") => format!("{status} {code}"),
            (code, message) => format!("{status} {code}: {}", unescaped(message)),
        }
    }

    /// That nothing is under a key: said by S3, not by something in front of it.
    pub(super) fn is_no_such_key(&self) -> bool {
        self.status == 404 && matches!(self.code(), "NoSuchKey" | "NoSuchVersion")
    }

    /// That others have put something, or are about to.
    pub(super) fn is_condition(&self) -> bool {
        matches!(self.status, 409 | 412) || self.is_no_such_key()
    }

    pub(super) fn failed(&self, bucket: &str) -> FailedRequest {
        let failed = |fault, effect| FailedRequest::new(fault, effect, self.words());
        let no = |fault| failed(fault, RequestEffect::None);
        match (self.status, self.code()) {
            (409, "OperationAborted" | "ConditionalRequestConflict") => no(RemoteFault::Throttled),
            (
                _,
                "PermanentRedirect"
                | "TemporaryRedirect"
                | "Redirect"
                | "AuthorizationHeaderMalformed"
                | "IllegalLocationConstraintException",
            )
            | (301 | 307 | 308, _) => self.elsewhere(bucket),
            (404, "NoSuchBucket") => no(RemoteFault::Missing)
                .advice(format!("create the bucket `{bucket}`, or correct its name")),
            (_, "SlowDown" | "RequestLimitExceeded" | "TooManyRequests") | (429, _) => {
                failed(RemoteFault::Throttled, RequestEffect::Unknown).after(self.retry_after)
            }
            (501, _) | (_, "NotImplemented") => no(RemoteFault::Rejected).advice(
                "use a store that has conditional puts (`If-None-Match` and `If-Match`)",
            ),
            (500.., _) => failed(RemoteFault::Unreachable, RequestEffect::Unknown).after(self.retry_after),
            // The last one is versitygw's.
            (
                _,
                "InvalidAccessKeyId"
                | "InvalidToken"
                | "SignatureDoesNotMatch"
                | "XAdminUserNotFound",
            ) => no(RemoteFault::Denied).advice("correct the credentials of this store"),
            (_, "ExpiredToken" | "TokenRefreshRequired") => {
                no(RemoteFault::Denied).advice("renew the credentials of this store")
            }
            (_, "RequestTimeTooSkewed") => {
                no(RemoteFault::Denied).advice("set the clock of this machine")
            }
            (401 | 403, _) => no(RemoteFault::Denied).advice(format!(
                "allow s3:GetObject, s3:PutObject, s3:DeleteObject and s3:ListBucket for the bucket `{bucket}`"
            )),
            (_, "") => no(RemoteFault::Malformed),
            _ => no(RemoteFault::Rejected),
        }
    }

    fn elsewhere(&self, bucket: &str) -> FailedRequest {
        let said = [self.region.as_deref().unwrap_or_default(), self.element("Region")];
        let region = said.into_iter().find(|it| !it.is_empty());
        let (words, advice) = match region {
            Some(region) => (
                format!("the bucket `{bucket}` is in {region} ({})", self.words()),
                format!("write `region: {region}`"),
            ),
            None => (
                format!("the bucket `{bucket}` is in another region ({})", self.words()),
                "correct the `region` of the bucket".into(),
            ),
        };
        FailedRequest::new(RemoteFault::WrongRegion, RequestEffect::None, words).advice(advice)
    }
}

/// Text of XML as it was meant.
fn unescaped(text: &str) -> String {
    let pairs = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#34;", "\""),
        ("&apos;", "'"),
        ("&#39;", "'"),
    ];
    let plain = pairs.iter().fold(text.to_owned(), |it, (from, to)| it.replace(from, to));
    plain.replace("&amp;", "&")
}

/// A request without a whole answer.
pub(super) fn broken(error: &HttpError) -> FailedRequest {
    let words = innermost(error);
    if is_tls(error) {
        return FailedRequest::new(RemoteFault::Malformed, RequestEffect::None, format!("TLS: {words}"))
            .advice("check that `endpoint` speaks HTTPS and that its certificate is good; plain http:// leads to this machine only");
    }
    match error.kind() {
        HttpErrorKind::Connect => {
            FailedRequest::new(RemoteFault::Unreachable, RequestEffect::None, words)
        }
        HttpErrorKind::Timeout => FailedRequest::new(
            RemoteFault::Unreachable,
            RequestEffect::Unknown,
            "no answer in time",
        ),
        _ => {
            let words = format!("the connection broke off: {words}");
            FailedRequest::new(RemoteFault::Unreachable, RequestEffect::Unknown, words)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::S3Refusal;
    use crate::store::error::RemoteFault::{
        self, Denied, Malformed, Missing, Rejected, Throttled, Unreachable, WrongRegion,
    };
    use crate::store::remote::attempts::RequestEffect;

    fn refusal(status: u16, code: &str) -> S3Refusal {
        let body = match code {
            "" => "<html>Bad Gateway</html>".into(),
            code => format!(
                "<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>m</Message></Error>"
            ),
        };
        S3Refusal { status, body, ..S3Refusal::default() }
    }

    #[test]
    fn failed_tells_a_no_from_silence() {
        let table: [(u16, &str, RemoteFault, RequestEffect); 21] = [
            (404, "NoSuchBucket", Missing, RequestEffect::None),
            (404, "", Malformed, RequestEffect::None),
            (403, "AccessDenied", Denied, RequestEffect::None),
            (403, "", Denied, RequestEffect::None),
            (403, "InvalidAccessKeyId", Denied, RequestEffect::None),
            (403, "SignatureDoesNotMatch", Denied, RequestEffect::None),
            (404, "XAdminUserNotFound", Denied, RequestEffect::None),
            (400, "ExpiredToken", Denied, RequestEffect::None),
            (403, "RequestTimeTooSkewed", Denied, RequestEffect::None),
            (301, "PermanentRedirect", WrongRegion, RequestEffect::None),
            (301, "", WrongRegion, RequestEffect::None),
            (400, "AuthorizationHeaderMalformed", WrongRegion, RequestEffect::None),
            (409, "ConditionalRequestConflict", Throttled, RequestEffect::None),
            (503, "SlowDown", Throttled, RequestEffect::Unknown),
            (429, "", Throttled, RequestEffect::Unknown),
            (503, "ServiceUnavailable", Unreachable, RequestEffect::Unknown),
            (500, "InternalError", Unreachable, RequestEffect::Unknown),
            (502, "", Unreachable, RequestEffect::Unknown),
            (501, "NotImplemented", Rejected, RequestEffect::None),
            (400, "InvalidBucketName", Rejected, RequestEffect::None),
            (400, "", Malformed, RequestEffect::None),
        ];
        for (status, code, fault, effect) in table {
            let failed = refusal(status, code).failed("shop-state");
            assert_eq!((failed.fault, failed.effect), (fault, effect), "{status} {code}");
        }
    }

    #[test]
    fn failed_names_the_region_of_the_bucket() {
        let mut moved = refusal(301, "PermanentRedirect");
        moved.region = Some("eu-west-1".into());
        let failed = moved.failed("shop-state");
        assert_eq!(
            failed.words,
            "the bucket `shop-state` is in eu-west-1 (301 PermanentRedirect: m)"
        );
        assert_eq!(failed.advice.unwrap(), "write `region: eu-west-1`");
        let body =
            "<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-north-1</Region></Error>";
        let wrong = S3Refusal { status: 400, body: body.into(), ..S3Refusal::default() };
        assert_eq!(wrong.failed("b").advice.unwrap(), "write `region: eu-north-1`");
    }

    #[test]
    fn is_no_such_key_needs_the_words_of_s3() {
        assert!(refusal(404, "NoSuchKey").is_no_such_key());
        assert!(
            !refusal(404, "NoSuchBucket").is_no_such_key() && !refusal(404, "").is_no_such_key()
        );
        assert!(refusal(412, "PreconditionFailed").is_condition());
        assert!(refusal(409, "").is_condition() && !refusal(403, "").is_condition());
    }
}

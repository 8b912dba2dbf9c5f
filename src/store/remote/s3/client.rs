//! The S3 client of one store, and what was seen of each of its requests: its own errors leave out most of it.

use std::cell::RefCell;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Limited};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse,
    HttpResponseBody, HttpService,
};
use object_store::{ClientOptions, RetryConfig};

use crate::cloud::error::innermost;
use crate::store::error::RemoteFault;
use crate::store::remote::attempts::{CONNECT_MAX, FailedRequest, RequestEffect, causes, in_time};
use crate::store::remote::credentials::{StoreCredentials, no_credentials};
use crate::store::remote::location::StoreLocation;
use crate::store::remote::s3::fault::{S3Refusal, broken};

/// The longest object that is read, and the longest page of a list: a snapshot of 100,000 resources has some thirty megabytes.
pub(super) const BODY_BYTES_MAX: u64 = 512 * 1024 * 1024;

/// The longest error that is read; S3's have some hundred bytes.
const REFUSAL_BYTES_MAX: usize = 64 * 1024;

/// The longest pause that an answer may ask for. No verb waits so long; a larger number only risks an overflow.
const PAUSE_SECONDS_MAX: u64 = 3600;

tokio::task_local! {
    /// How the last request of this task ended, if not well.
    static SEEN: RefCell<Option<SeenEnd>>;
}

/// How a request ended, if not well.
#[derive(Debug)]
pub(super) enum SeenEnd {
    Refused(S3Refusal),
    Broken(FailedRequest),
}

/// Sends requests with a client of our own, and keeps what came back.
#[derive(Debug)]
struct SeeingClient(reqwest::Client);

#[async_trait::async_trait]
impl HttpService for SeeingClient {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let answer = self.0.call(request).await;
        let response = answer.inspect_err(|why| note(SeenEnd::Broken(broken(why))))?;
        let (head, body) = response.into_parts();
        if head.status.is_success() {
            let longest = usize::try_from(BODY_BYTES_MAX).unwrap_or(usize::MAX);
            let body = Limited::new(body, longest).map_err(unread);
            return Ok(HttpResponse::from_parts(head, HttpResponseBody::new(body)));
        }
        let body = Limited::new(body, REFUSAL_BYTES_MAX).collect().await;
        let body = body.map(|it| String::from_utf8_lossy(&it.to_bytes()).into_owned());
        // Whatever it was going to say: it said no.
        let body = body.unwrap_or_default();
        let header = |name: &str| head.headers.get(name).and_then(|it| it.to_str().ok());
        let seconds = header("retry-after").and_then(|it| it.trim().parse::<u64>().ok());
        note(SeenEnd::Refused(S3Refusal {
            status: head.status.as_u16(),
            retry_after: seconds.map(|it| Duration::from_secs(it.min(PAUSE_SECONDS_MAX))),
            region: header("x-amz-bucket-region").map(Into::into),
            body: body.clone(),
        }));
        Ok(HttpResponse::from_parts(head, body.into()))
    }
}

fn unread(why: Box<dyn std::error::Error + Send + Sync>) -> HttpError {
    HttpError::new(HttpErrorKind::Interrupted, std::io::Error::other(why))
}

fn note(seen: SeenEnd) {
    // Nobody looks where the client asks for something of its own.
    SEEN.try_with(|it| it.replace(Some(seen))).ok();
}

#[derive(Debug)]
struct SeeingConnector(reqwest::Client);

impl HttpConnector for SeeingConnector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(SeeingClient(self.0.clone())))
    }
}

/// The client of one store. It tries nothing again by itself: what may be repeated is decided where its meaning is known, since
/// a repeated put under a condition loses against itself.
pub(super) async fn connect(location: &StoreLocation) -> Result<S3Client, FailedRequest> {
    let http = reqwest::Client::builder()
        .user_agent(concat!("lifeboat/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_MAX);
    let http = if location.is_plain() { http.no_proxy().tls_certs_only([]) } else { http };
    let http = http.build().map_err(|why| {
        let words = format!("cannot create an HTTPS client: {}", innermost(&why));
        FailedRequest::new(RemoteFault::Rejected, RequestEffect::None, words).advice("install the certificate authorities (on Debian: ca-certificates), or set SSL_CERT_FILE to their file")
    })?;
    let credentials = StoreCredentials::of(location).await?;
    let retries = RetryConfig { max_retries: 0, ..RetryConfig::default() };
    let builder = AmazonS3Builder::new()
        .with_bucket_name(&location.container)
        .with_region(&location.region)
        .with_endpoint(location.address())
        .with_allow_http(location.is_plain())
        .with_credentials(Arc::new(credentials.clone()))
        .with_http_connector(SeeingConnector(http))
        .with_retry(retries);
    let bucket = builder.build().map_err(|why| {
        FailedRequest::new(RemoteFault::Rejected, RequestEffect::None, innermost(&why))
    })?;
    Ok(S3Client { bucket, credentials })
}

/// A bucket, and what its requests are signed with.
#[derive(Debug)]
pub(super) struct S3Client {
    pub bucket: AmazonS3,
    pub credentials: StoreCredentials,
}

/// How one request ended: with what it asked for, with a refusal of S3's, or in any other way.
pub(super) enum S3End<T> {
    Done(T),
    Refused(S3Refusal),
    Failed(FailedRequest),
}

/// One request, with so many bytes, within its time.
pub(super) async fn once<T>(
    bytes: u64,
    request: impl Future<Output = object_store::Result<T>>,
) -> S3End<T> {
    let seen = SEEN.scope(RefCell::new(None), async {
        let ended = in_time(bytes, async { Ok(request.await) }).await;
        (ended, SEEN.with(RefCell::take))
    });
    match seen.await {
        (Err(late), _) => S3End::Failed(late),
        (Ok(Ok(done)), _) => S3End::Done(done),
        (Ok(Err(_)), Some(SeenEnd::Refused(refusal))) => S3End::Refused(refusal),
        (Ok(Err(_)), Some(SeenEnd::Broken(failed))) => S3End::Failed(failed),
        (Ok(Err(error)), None) => S3End::Failed(unseen(&error)),
    }
}

/// An error without a bad answer: nothing was sent, or the answer is not what S3 says.
fn unseen(error: &object_store::Error) -> FailedRequest {
    use aws_credential_types::provider::error::CredentialsError;
    if let Some(why) = causes(error).find_map(|it| it.downcast_ref::<CredentialsError>()) {
        return no_credentials(why);
    }
    if let Some(why) = causes(error).find_map(|it| it.downcast_ref::<HttpError>()) {
        return broken(why);
    }
    let words = format!("the answer is not that of S3: {}", innermost(error));
    FailedRequest::new(RemoteFault::Malformed, RequestEffect::Unknown, words)
}

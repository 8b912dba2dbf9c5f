//! How the clouds are reached: clients and credentials, made once per run and only when used.

use std::fmt;
use std::sync::OnceLock;
use std::time::Duration;

use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::Credentials;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{SharedCredentialsProvider, StalledStreamProtectionConfig};
use tokio::sync::OnceCell;

use crate::cloud::breaker::Breakers;
use crate::cloud::error::{ProviderError, innermost};
use crate::cloud::http::bounded::Bounded;
use crate::cloud::http::credentials::Learning;
use crate::engine::retry::ErrorClass;

pub use crate::cloud::settings::{LINODE_URL, Settings, Token, is_loopback};

/// Clients and credentials of one run, each made when first used.
pub struct Connections {
    pub settings: Settings,
    http: OnceLock<Result<reqwest::Client, String>>,
    probing: OnceLock<Result<reqwest::Client, String>>,
    authorities: OnceLock<Result<(), String>>,
    aws: OnceCell<SdkConfig>,
    dynamodb: OnceCell<aws_sdk_dynamodb::Client>,
    pub(crate) contacts: Breakers,
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Connections {
    /// Connects to nothing yet.
    pub fn new(settings: Settings) -> Self {
        Self {
            contacts: Breakers::new(settings.first_contact),
            settings,
            http: OnceLock::new(),
            probing: OnceLock::new(),
            authorities: OnceLock::new(),
            aws: OnceCell::new(),
            dynamodb: OnceCell::new(),
        }
    }

    /// The HTTP client of the Linode API and of probes through the sandbox. It follows no redirects, so that the token
    /// cannot be led elsewhere, and goes through no proxy to loopback. `Err`: why there is none.
    pub(crate) fn http(&self) -> Result<&reqwest::Client, &str> {
        let made = self.http.get_or_init(|| {
            let timeout = self.settings.request_timeout;
            let builder = self.client().connect_timeout(connect_timeout(timeout)).timeout(timeout);
            let url = &self.settings.linode_url;
            // What speaks plain HTTP on this machine needs nobody's certificates: slim images have none.
            let builder = if is_loopback(url) && url.starts_with("http://") {
                builder.tls_certs_only([])
            } else {
                builder
            };
            builder.build().map_err(|why| innermost(&why))
        });
        made.as_ref().map_err(String::as_str)
    }

    /// The HTTP client of probes. Each looks for itself: it resolves the name, connects and checks the certificate anew.
    pub(crate) fn probing(&self) -> Result<&reqwest::Client, &str> {
        let made = self.probing.get_or_init(|| {
            let builder = || self.client().pool_max_idle_per_host(0);
            // Without any authority plain pages can still be seen; every certificate is then unknown.
            let plain = |_| builder().tls_certs_only([]).build();
            builder().build().or_else(plain).map_err(|why| innermost(&why))
        });
        made.as_ref().map_err(String::as_str)
    }

    fn client(&self) -> reqwest::ClientBuilder {
        let builder = reqwest::Client::builder()
            .user_agent(concat!("lifeboat/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .tls_info(true);
        if is_loopback(&self.settings.linode_url) { builder.no_proxy() } else { builder }
    }

    /// Whether an HTTPS client can be made at all; the AWS SDK ends the whole program where it cannot.
    pub(crate) fn check_authorities(&self, endpoint: &str) -> Result<(), ProviderError> {
        let is_plain = |it: &String| it.starts_with("http://");
        if self.settings.dynamodb_endpoint.as_ref().is_some_and(is_plain) {
            return Ok(());
        }
        let made = self.authorities.get_or_init(|| {
            reqwest::Client::builder().build().map(|_| ()).map_err(|why| innermost(&why))
        });
        made.as_ref().map_err(|why| no_client(endpoint, why)).copied()
    }

    /// The token, unless there is none or it would travel in the clear.
    pub(crate) fn linode_token(&self, endpoint: &str) -> Result<&Token, ProviderError> {
        let url = &self.settings.linode_url;
        let refuse = |words: &str| ProviderError::new(ErrorClass::Unauthenticated, endpoint, words);
        if !url.starts_with("https://") && !is_loopback(url) {
            return Err(refuse("tokens are never sent over plain HTTP except to loopback")
                .advice("use an https:// address in LINODE_URL"));
        }
        self.settings.linode_token.as_ref().ok_or_else(|| {
            refuse("there is no Linode token")
                .advice("set LINODE_TOKEN, or add --sandbox to try it without an account")
        })
    }

    /// What the AWS chain says, read once. The region comes from environment and profile only: a machine outside AWS
    /// would wait seconds for a metadata service that is not there, and calls name their region anyway.
    pub(crate) async fn aws(&self) -> &SdkConfig {
        self.aws
            .get_or_init(async || {
                if self.settings.sandbox {
                    let keys = Credentials::from_keys("LIFEBOATSANDBOX", "sandbox", None);
                    return SdkConfig::builder()
                        .behavior_version(BehaviorVersion::v2026_01_12())
                        .credentials_provider(SharedCredentialsProvider::new(keys))
                        .http_client(plain_http())
                        .retry_config(RetryConfig::disabled())
                        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
                        .timeout_config(self.timeouts(Duration::MAX))
                        .build();
                }
                let region =
                    RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
                        .or_else(ProfileFileRegionProvider::new());
                let defaults = aws_config::defaults(BehaviorVersion::v2026_01_12());
                // Where no HTTPS client can be made no call is, and the SDK must not try to make one either.
                let has_authorities = self.check_authorities("AWS").is_ok();
                let defaults =
                    if has_authorities { defaults } else { defaults.http_client(plain_http()) };
                let found = defaults
                    .region(region)
                    .retry_config(RetryConfig::disabled())
                    .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
                    .timeout_config(self.timeouts(Duration::MAX))
                    .load()
                    .await;
                let Some(chain) = found.credentials_provider() else { return found };
                let learning = SharedCredentialsProvider::new(Learning(chain));
                found.into_builder().credentials_provider(learning).build()
            })
            .await
    }

    /// Those of one attempt, at most this long.
    pub(crate) fn timeouts(&self, longest: Duration) -> TimeoutConfig {
        let timeout = self.settings.request_timeout.min(longest);
        TimeoutConfig::builder()
            .connect_timeout(connect_timeout(timeout))
            .operation_attempt_timeout(timeout)
            .build()
    }

    /// The one client of all regions; calls choose theirs.
    pub(crate) async fn dynamodb(&self) -> &aws_sdk_dynamodb::Client {
        self.dynamodb
            .get_or_init(async || {
                let builder = aws_sdk_dynamodb::config::Builder::from(self.aws().await);
                let builder = builder.interceptor(Bounded);
                let builder = match &self.settings.dynamodb_endpoint {
                    Some(endpoint) if endpoint.starts_with("http://") => {
                        builder.endpoint_url(endpoint).http_client(plain_http())
                    }
                    Some(endpoint) => builder.endpoint_url(endpoint),
                    None => builder,
                };
                aws_sdk_dynamodb::Client::from_conf(builder.build())
            })
            .await
    }
}

/// No certificates are looked for where none are needed.
fn plain_http() -> aws_sdk_dynamodb::config::SharedHttpClient {
    aws_smithy_http_client::Builder::new().build_http()
}

/// There is nothing that could ask.
pub(crate) fn no_client(endpoint: &str, why: &str) -> ProviderError {
    ProviderError::new(ErrorClass::Rejected, endpoint, format!("cannot create an HTTPS client: {why}"))
        .advice("install the certificate authorities (on Debian: ca-certificates), or set SSL_CERT_FILE to their file")
}

/// Shorter than the whole attempt, so that a dead host is told apart from a lost reply. 3.1 s is the default of the AWS SDK
/// for Rust (behavior version of January 2026): a lost SYN is sent again after 1 s and after another 2 s (RFC 6298).
fn connect_timeout(whole: Duration) -> Duration {
    (whole / 2).min(Duration::from_millis(3100))
}

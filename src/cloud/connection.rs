//! How the clouds are reached: addresses, credentials and clients, made once per run and only when used.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{SharedCredentialsProvider, StalledStreamProtectionConfig};
use tokio::sync::OnceCell;

use crate::cloud::clock::Clock;
use crate::cloud::error::ProviderError;
use crate::cloud::patience::{Told, silently};
use crate::engine::retry::Fault;

/// Where the Linode API is when nobody says otherwise.
pub const LINODE_URL: &str = "https://api.linode.com/v4";

/// A bearer token; its Debug says nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    pub fn new(token: impl Into<String>) -> Self {
        Self(token.into())
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// Everything that decides which clouds are talked to, and how.
#[derive(Clone)]
pub struct Settings {
    pub linode_url: String,
    pub linode_token: Option<Token>,
    /// All regions are asked here instead of at AWS.
    pub dynamodb_endpoint: Option<String>,
    /// Fixed credentials for AWS, and no account to check.
    pub sandbox: bool,
    pub clock: Arc<dyn Clock>,
    /// The sandbox that answers probes of its addresses.
    pub prober_url: Option<String>,
    /// Of one attempt, on the wall's clock.
    pub request_timeout: Duration,
    /// AWS regions that are declared lost: no connection is ever made to them.
    pub lost_regions: BTreeSet<String>,
    /// Told about each pause before a read is repeated.
    pub told: Arc<Told>,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("linode_url", &self.linode_url)
            .field("linode_token", &self.linode_token)
            .field("dynamodb_endpoint", &self.dynamodb_endpoint)
            .field("sandbox", &self.sandbox)
            .finish_non_exhaustive()
    }
}

impl Settings {
    /// The settings that the environment asks for; `read` is how it is asked.
    pub fn from_env(clock: Arc<dyn Clock>, read: impl Fn(&str) -> Option<String>) -> Self {
        let said =
            |name: &str| read(name).map(|it| it.trim().to_owned()).filter(|it| !it.is_empty());
        Self {
            linode_url: said("LINODE_URL")
                .map_or_else(|| LINODE_URL.to_owned(), |it| versioned(&it)),
            linode_token: said("LINODE_TOKEN").map(Token),
            dynamodb_endpoint: said("AWS_ENDPOINT_URL_DYNAMODB"),
            sandbox: false,
            clock,
            prober_url: None,
            request_timeout: Duration::from_secs(15),
            lost_regions: BTreeSet::new(),
            told: Arc::new(silently),
        }
    }

    /// The settings for a sandbox that listens at `base` (`http://127.0.0.1:4000`).
    pub fn for_sandbox(clock: Arc<dyn Clock>, base: &str) -> Self {
        let base = base.trim_end_matches('/');
        Self {
            linode_url: format!("{base}/v4"),
            linode_token: Some(Token::new("sandbox")),
            dynamodb_endpoint: Some(base.to_owned()),
            sandbox: true,
            prober_url: Some(base.to_owned()),
            request_timeout: Duration::from_secs(5),
            ..Self::from_env(clock, |_| None)
        }
    }
}

/// Other clients want `LINODE_URL` without a version; both are understood.
fn versioned(url: &str) -> String {
    let url = url.trim_end_matches('/');
    let path = url.split_once("://").map_or(url, |(_, rest)| rest);
    if path.contains('/') { url.to_owned() } else { format!("{url}/v4") }
}

/// Whether a URL names this machine: 127.0.0.0/8, ::1 or localhost.
pub fn is_loopback(url: &str) -> bool {
    let Ok(url) = reqwest::Url::parse(url) else { return false };
    let Some(host) = url.host_str() else { return false };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|it| it.is_loopback())
}

/// Host and port of a URL, without what may stand before them.
pub(crate) fn host(url: &str) -> String {
    let Ok(url) = reqwest::Url::parse(url) else { return url.to_owned() };
    let host = url.host_str().unwrap_or_default();
    match url.port_or_known_default() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// Clients and credentials of one run, each made when first used.
pub struct Connections {
    pub settings: Settings,
    http: OnceLock<reqwest::Client>,
    aws: OnceCell<SdkConfig>,
    dynamodb: OnceCell<aws_sdk_dynamodb::Client>,
    /// Regions that questions or changes named, for finding a living member of a group.
    used: Mutex<BTreeSet<String>>,
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Connections {
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            http: OnceLock::new(),
            aws: OnceCell::new(),
            dynamodb: OnceCell::new(),
            used: Mutex::default(),
        }
    }

    /// The HTTP client of the Linode API and of probes through the sandbox. It follows no redirects, so that the token
    /// cannot be led elsewhere, and goes through no proxy to loopback.
    pub(crate) fn http(&self) -> &reqwest::Client {
        self.http.get_or_init(|| {
            let timeout = self.settings.request_timeout;
            let builder = reqwest::Client::builder()
                .user_agent(concat!("lifeboat/", env!("CARGO_PKG_VERSION")))
                .redirect(reqwest::redirect::Policy::none())
                .connect_timeout(connect_timeout(timeout))
                .timeout(timeout);
            let builder =
                if is_loopback(&self.settings.linode_url) { builder.no_proxy() } else { builder };
            builder.build().expect("an HTTP client needs nothing but TLS, which is built in")
        })
    }

    /// The token, unless there is none or it would travel in the clear.
    pub(crate) fn linode_token(&self, endpoint: &str) -> Result<&Token, ProviderError> {
        let url = &self.settings.linode_url;
        let refuse = |words: &str| ProviderError::new(Fault::Unauthenticated, endpoint, words);
        if !url.starts_with("https://") && !is_loopback(url) {
            return Err(refuse("a token never travels over plain HTTP except to loopback")
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
                        .retry_config(RetryConfig::disabled())
                        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
                        .timeout_config(self.timeouts())
                        .build();
                }
                let region =
                    RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
                        .or_else(ProfileFileRegionProvider::new());
                aws_config::defaults(BehaviorVersion::v2026_01_12())
                    .region(region)
                    .retry_config(RetryConfig::disabled())
                    .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
                    .timeout_config(self.timeouts())
                    .load()
                    .await
            })
            .await
    }

    fn timeouts(&self) -> TimeoutConfig {
        let timeout = self.settings.request_timeout;
        TimeoutConfig::builder()
            .connect_timeout(connect_timeout(timeout))
            .operation_attempt_timeout(timeout)
            .build()
    }

    /// The one client of all regions; calls choose theirs with [`Connections::in_region`].
    pub(crate) async fn dynamodb(&self) -> &aws_sdk_dynamodb::Client {
        self.dynamodb
            .get_or_init(async || {
                let builder = aws_sdk_dynamodb::config::Builder::from(self.aws().await);
                let builder = match &self.settings.dynamodb_endpoint {
                    Some(endpoint) => builder.endpoint_url(endpoint),
                    None => builder,
                };
                aws_sdk_dynamodb::Client::from_conf(builder.build())
            })
            .await
    }

    /// The region of one call; a lost one is never connected to.
    pub(crate) fn in_region(
        &self,
        region: &str,
        endpoint: &str,
    ) -> Result<aws_sdk_dynamodb::config::Builder, ProviderError> {
        if self.settings.lost_regions.contains(region) {
            let words = format!("aws:{region} is declared lost, so nothing connects to it");
            return Err(ProviderError::new(Fault::Unreachable, endpoint, words));
        }
        if let Ok(mut used) = self.used.lock() {
            used.insert(region.to_owned());
        }
        Ok(aws_sdk_dynamodb::config::Builder::new().region(Region::new(region.to_owned())))
    }

    /// The regions that this run has had business in.
    pub(crate) fn used_regions(&self) -> Vec<String> {
        self.used.lock().map(|used| used.iter().cloned().collect()).unwrap_or_default()
    }

    /// What people call the endpoint of a region.
    pub(crate) fn dynamodb_endpoint(&self, region: &str) -> String {
        match &self.settings.dynamodb_endpoint {
            Some(endpoint) => format!("{} ({region})", endpoint.trim_end_matches('/')),
            None => format!("https://dynamodb.{region}.amazonaws.com"),
        }
    }
}

/// Shorter than the whole attempt, so that a dead host is told apart from a lost reply.
fn connect_timeout(whole: Duration) -> Duration {
    (whole / 2).min(Duration::from_millis(3100))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Connections, Settings, Token, is_loopback};
    use crate::cloud::clock::Wall;

    fn settings(url: &str) -> Settings {
        Settings::from_env(Arc::new(Wall), |name| match name {
            "LINODE_URL" => Some(url.to_owned()),
            "LINODE_TOKEN" => Some("hush".to_owned()),
            _ => None,
        })
    }

    #[test]
    fn a_token_goes_over_plain_http_to_loopback_only() {
        for (url, allowed) in [
            ("https://api.linode.com/v4", true),
            ("http://127.0.0.1:4000/v4", true),
            ("http://127.9.9.9/v4", true),
            ("http://[::1]:4000/v4", true),
            ("http://localhost:4000", true),
            ("http://localhost.example.com/v4", false),
            ("http://127.0.0.1.example.com/v4", false),
            ("http://127.0.0.1@example.com/v4", false),
            ("http://api.linode.com/v4", false),
            ("HTTPS//x", false),
        ] {
            let connections = Connections::new(settings(url));
            assert_eq!(connections.linode_token("GET x").is_ok(), allowed, "{url}");
        }
    }

    #[test]
    fn the_version_is_added_where_other_clients_leave_it_out() {
        assert_eq!(settings("https://api.example.com/").linode_url, "https://api.example.com/v4");
        assert_eq!(settings("http://[::1]:1/v4beta").linode_url, "http://[::1]:1/v4beta");
        assert!(is_loopback("http://[::1]:1/v4beta"));
    }

    #[test]
    fn the_token_is_in_no_debug_output() {
        let shown = format!("{:?} {:?}", settings("https://x"), Token::new("hush"));
        assert!(!shown.contains("hush"), "{shown}");
    }
}

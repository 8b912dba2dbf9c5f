//! Which clouds a run talks to, with which credentials, and how patiently.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::cloud::clock::Clock;
use crate::cloud::retry::{OnRetry, silently};
use crate::engine::text::redact::redactor;

/// Where the Linode API is when nobody says otherwise.
pub const LINODE_URL: &str = "https://api.linode.com/v4";

/// The variables of the environment that hold or lead to credentials: child processes do not get them, and no output shows
/// them.
pub const CREDENTIALS: [&str; 11] = [
    "LINODE_TOKEN",
    "LINODE_CLI_TOKEN",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
];

/// The shortest credential that is hidden, in bytes: shorter ones are made up for tests, of ordinary words that would then
/// vanish from every message. An AWS access key id, the shortest real one, has 16 characters (IAM's API reference).
const CREDENTIAL_MIN: usize = 8;

/// A bearer token; its Debug says nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// Keeps the token as it is; the redactor does not learn it here.
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
    /// How long one attempt may take, on the wall's clock.
    pub request_timeout: Duration,
    /// How long an endpoint, or the objects of a region behind one, may say nothing when many objects are looked at, on the
    /// wall's clock. Long enough for a name look-up, a TLS handshake and an answer around the world; slower networks
    /// stretch it by themselves.
    pub first_contact: Duration,
    /// Told about each pause before a read is repeated.
    pub told: Arc<OnRetry>,
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
        for name in CREDENTIALS {
            // Shorter ones are made up for tests, of ordinary words.
            if let Some(real) = said(name).filter(|it| it.len() >= CREDENTIAL_MIN) {
                redactor().learn_text(&real);
            }
        }
        for url in ["LINODE_URL", "AWS_ENDPOINT_URL_DYNAMODB"] {
            let url = said(url).and_then(|it| reqwest::Url::parse(&it).ok());
            if let Some(password) = url.as_ref().and_then(reqwest::Url::password) {
                redactor().learn_text(password);
            }
        }
        Self {
            linode_url: said("LINODE_URL")
                .map_or_else(|| LINODE_URL.to_owned(), |it| versioned(&it)),
            linode_token: said("LINODE_TOKEN").map(Token),
            dynamodb_endpoint: said("AWS_ENDPOINT_URL_DYNAMODB"),
            sandbox: false,
            clock,
            prober_url: None,
            // A guess: Linode answers creates within 2 s (linodego's recordings) and buckets within 9 s; a call that is cut
            // off has to be looked for afterwards, so it is given more than it ever took.
            request_timeout: Duration::from_secs(15),
            // A guess: five round trips around the world, at 0.3 s each.
            first_contact: Duration::from_millis(1_500),
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
            // The sandbox answers within milliseconds; a fault that holds a request would otherwise hold up every test.
            request_timeout: Duration::from_secs(5),
            // On loopback, silence shows sooner.
            first_contact: Duration::from_secs(1),
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Settings, Token, is_loopback};
    use crate::cloud::clock::WallClock;
    use crate::cloud::http::connection::Connections;

    fn settings(url: &str) -> Settings {
        Settings::from_env(Arc::new(WallClock), |name| match name {
            "LINODE_URL" => Some(url.to_owned()),
            "LINODE_TOKEN" => Some("hush".to_owned()),
            _ => None,
        })
    }

    #[test]
    fn linode_token_goes_over_plain_http_to_loopback_only() {
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
    fn versioned_adds_the_version_where_it_is_left_out() {
        assert_eq!(settings("https://api.example.com/").linode_url, "https://api.example.com/v4");
        assert_eq!(settings("http://[::1]:1/v4beta").linode_url, "http://[::1]:1/v4beta");
        assert!(is_loopback("http://[::1]:1/v4beta"));
    }

    #[test]
    fn token_is_in_no_debug_output() {
        let shown = format!("{:?} {:?}", settings("https://x"), Token::new("hush"));
        assert!(!shown.contains("hush"), "{shown}");
    }
}

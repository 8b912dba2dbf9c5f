//! One HTTP request and what came back, or how it broke.

use std::fmt::Write;
use std::time::Duration;

use reqwest::header::HeaderMap;
use serde_json::Value as Json;

pub(crate) use crate::cloud::error::innermost;
use crate::cloud::http::bounded::BODY_BYTES_MAX;
use crate::cloud::http::connection::Token;

/// The longest pause that an answer can ask for: a day. Every retry policy gives up earlier, so a larger number only risks an
/// overflow.
const PAUSE_SECONDS_MAX: u64 = 24 * 3600;

/// One request; the address is whole, without its query.
#[derive(Debug, Clone)]
pub(crate) struct HttpRequest<'a> {
    pub method: &'static str,
    pub url: String,
    pub query: Vec<(&'static str, String)>,
    pub filter: Option<Json>,
    pub body: Option<&'a Json>,
}

impl HttpRequest<'_> {
    /// How people name it: method and address.
    pub(crate) fn endpoint(&self) -> String {
        format!("{} {}", self.method, self.url)
    }

    /// Whether it may change something.
    pub(crate) fn changes(&self) -> bool {
        self.method != "GET"
    }
}

/// What the other side answered, as far as anyone here cares.
#[derive(Debug, Clone, Default)]
pub(crate) struct HttpReply {
    pub status: u16,
    pub html: bool,
    pub nginx: bool,
    pub maintenance: bool,
    pub retry_after: Option<Duration>,
    /// The same as a moment, in seconds since the Unix epoch: `Retry-After` may be a date.
    pub retry_at: Option<i64>,
    /// When the window of calls ends, in seconds since the Unix epoch.
    pub reset: Option<i64>,
    pub body: Vec<u8>,
}

/// How a request broke without a whole answer.
#[derive(Debug)]
pub(crate) enum BrokenReply {
    /// No connection: nothing was sent.
    Unreachable(reqwest::Error),
    /// Sent, perhaps; no whole answer came back.
    Cut(reqwest::Error),
    /// Sent; the answer is longer than anything that is asked for.
    Endless,
}

impl BrokenReply {
    /// In words, without the address: its query may hold what is secret.
    fn words(&self) -> String {
        match self {
            Self::Unreachable(error) | Self::Cut(error) => innermost(error),
            Self::Endless => "its response is too long".to_owned(),
        }
    }
}

/// Sends once, and logs what became of it: never the query or the body, which may hold what is secret.
pub(crate) async fn exchange(
    http: &reqwest::Client,
    request: &HttpRequest<'_>,
    token: &Token,
) -> Result<HttpReply, BrokenReply> {
    let began = tokio::time::Instant::now();
    let reply = send(http, request, token).await;
    let milliseconds = began.elapsed().as_millis();
    let (method, url) = (request.method, &request.url);
    match &reply {
        Ok(HttpReply { status, body, .. }) => {
            tracing::debug!(method, url, status, milliseconds, bytes = body.len(), "request");
        }
        Err(broken) => {
            let why = broken.words();
            tracing::debug!(method, url, milliseconds, why, "request without an answer");
        }
    }
    reply
}

async fn send(
    http: &reqwest::Client,
    request: &HttpRequest<'_>,
    token: &Token,
) -> Result<HttpReply, BrokenReply> {
    let method = reqwest::Method::from_bytes(request.method.as_bytes())
        .expect("methods are written in this program");
    let mut builder = http.request(method, &request.url).bearer_auth(token.expose());
    if !request.query.is_empty() {
        builder = builder.query(&request.query);
    }
    if let Some(filter) = &request.filter {
        builder = builder.header("X-Filter", ascii(&filter.to_string()));
    }
    if let Some(body) = request.body {
        builder = builder.json(body);
    }
    let mut response = builder.send().await.map_err(broken)?;
    let mut reply = heads(response.status().as_u16(), response.headers());
    while let Some(chunk) = response.chunk().await.map_err(BrokenReply::Cut)? {
        if reply.body.len() + chunk.len() > BODY_BYTES_MAX {
            return Err(BrokenReply::Endless);
        }
        reply.body.extend_from_slice(&chunk);
    }
    Ok(reply)
}

fn broken(error: reqwest::Error) -> BrokenReply {
    if error.is_connect() || error.is_builder() {
        BrokenReply::Unreachable(error)
    } else {
        BrokenReply::Cut(error)
    }
}

/// What the head of an answer says.
pub(crate) fn heads(status: u16, headers: &HeaderMap) -> HttpReply {
    let text = |name: &str| headers.get(name).and_then(|it| it.to_str().ok()).unwrap_or_default();
    HttpReply {
        status,
        html: text("content-type").contains("text/html"),
        nginx: text("server").contains("nginx"),
        maintenance: headers.contains_key("x-maintenance-mode"),
        retry_after: seconds(text("retry-after")),
        retry_at: date(text("retry-after")),
        reset: text("x-ratelimit-reset").trim().parse().ok(),
        body: Vec::new(),
    }
}

/// `Retry-After: 120`.
fn seconds(text: &str) -> Option<Duration> {
    let text = text.trim();
    let is_number = !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit());
    // More than fits into a number is long as well.
    is_number.then(|| {
        Duration::from_secs(text.parse().unwrap_or(PAUSE_SECONDS_MAX).min(PAUSE_SECONDS_MAX))
    })
}

/// `Retry-After: Wed, 21 Oct 2026 07:28:00 GMT`, in seconds since the Unix epoch.
fn date(text: &str) -> Option<i64> {
    let parsed = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text.trim());
    parsed.ok().map(jiff::Timestamp::as_second)
}

impl HttpReply {
    /// How long it asks to be left alone; `now` is in milliseconds.
    pub(crate) fn pause(&self, now: i64) -> Option<Duration> {
        self.retry_after.or_else(|| {
            let left = self.retry_at?.saturating_sub(now / 1000).max(0).unsigned_abs();
            Some(Duration::from_secs(left.min(PAUSE_SECONDS_MAX)))
        })
    }
}

/// JSON text with everything beyond ASCII escaped, since headers carry no more.
fn ascii(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for unit in json.encode_utf16() {
        match u8::try_from(unit) {
            Ok(byte) if byte.is_ascii() => out.push(char::from(byte)),
            _ => {
                let _ = write!(out, "\\u{unit:04x}");
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{HttpReply, ascii, date, seconds};

    #[test]
    fn pause_is_a_number_or_a_date_and_has_an_end() {
        assert_eq!(seconds(" 7 "), Some(Duration::from_secs(7)));
        for huge in ["18446744073709551615", "99999999999999999999999"] {
            assert_eq!(seconds(huge), Some(Duration::from_secs(86_400)), "{huge}");
        }
        for none in ["", "-1", "1.5", "soon"] {
            assert_eq!((seconds(none), date(none)), (None, None), "{none}");
        }
        let at = date("Wed, 21 Oct 2026 07:28:00 GMT");
        assert_eq!(at, Some(1_792_567_680));
        let reply = HttpReply { retry_at: at, ..HttpReply::default() };
        assert_eq!(reply.pause(1_792_567_600_000), Some(Duration::from_secs(80)));
        assert_eq!(reply.pause(1_792_567_700_000), Some(Duration::ZERO));
        assert_eq!(reply.pause(0), Some(Duration::from_secs(86_400)));
    }

    #[test]
    fn ascii_escapes_filters() {
        let json = serde_json::json!({ "label": "é𝄞\n" }).to_string();
        assert_eq!(ascii(&json), r#"{"label":"\u00e9\ud834\udd1e\n"}"#);
        let back: serde_json::Value = serde_json::from_str(&ascii(&json)).unwrap();
        assert_eq!(back["label"], "é𝄞\n");
    }
}

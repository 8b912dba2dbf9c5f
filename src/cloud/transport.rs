//! One HTTP request and what came back, or how it broke.

use std::fmt::Write;
use std::time::Duration;

use reqwest::header::HeaderMap;
use serde_json::Value as Json;

use crate::cloud::connection::Token;

/// One request; the address is whole, without its query.
#[derive(Debug, Clone)]
pub(crate) struct Request<'a> {
    pub method: &'static str,
    pub url: String,
    pub query: Vec<(&'static str, String)>,
    pub filter: Option<Json>,
    pub body: Option<&'a Json>,
}

impl Request<'_> {
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
pub(crate) struct Reply {
    pub status: u16,
    pub html: bool,
    pub nginx: bool,
    pub maintenance: bool,
    pub retry_after: Option<Duration>,
    /// When the window of calls ends, in seconds since the Unix epoch.
    pub reset: Option<i64>,
    pub body: Vec<u8>,
}

/// How a request broke without a whole answer.
#[derive(Debug)]
pub(crate) enum Broken {
    /// No connection: nothing was sent.
    Unreachable(reqwest::Error),
    /// Sent, perhaps; no whole answer came back.
    Cut(reqwest::Error),
}

/// Sends once.
pub(crate) async fn exchange(
    http: &reqwest::Client,
    request: &Request<'_>,
    token: &Token,
) -> Result<Reply, Broken> {
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
    let response = builder.send().await.map_err(broken)?;
    let mut reply = heads(response.status().as_u16(), response.headers());
    reply.body = response.bytes().await.map_err(Broken::Cut)?.to_vec();
    Ok(reply)
}

fn broken(error: reqwest::Error) -> Broken {
    if error.is_connect() || error.is_builder() {
        Broken::Unreachable(error)
    } else {
        Broken::Cut(error)
    }
}

fn heads(status: u16, headers: &HeaderMap) -> Reply {
    let text = |name: &str| headers.get(name).and_then(|it| it.to_str().ok()).unwrap_or_default();
    Reply {
        status,
        html: text("content-type").contains("text/html"),
        nginx: text("server").contains("nginx"),
        maintenance: headers.contains_key("x-maintenance-mode"),
        retry_after: text("retry-after").trim().parse().ok().map(Duration::from_secs),
        reset: text("x-ratelimit-reset").trim().parse().ok(),
        body: Vec::new(),
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

/// The innermost reason of an error, which is the part that tells: "Connection refused (os error 111)".
pub(crate) fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut inner = error;
    while let Some(next) = inner.source() {
        inner = next;
    }
    inner.to_string()
}

#[cfg(test)]
mod tests {
    use super::ascii;

    #[test]
    fn filters_are_ascii() {
        let json = serde_json::json!({ "label": "é𝄞\n" }).to_string();
        assert_eq!(ascii(&json), r#"{"label":"\u00e9\ud834\udd1e\n"}"#);
        let back: serde_json::Value = serde_json::from_str(&ascii(&json)).unwrap();
        assert_eq!(back["label"], "é𝄞\n");
    }
}

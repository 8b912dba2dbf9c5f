//! The request of a task: sent once, over a connection of its own, its answer bounded.

use std::time::Duration;

use crate::cloud::error::innermost;
use crate::cloud::http::connection::Connections;
use crate::cloud::http::prober::pretended;
use crate::engine::text::redact::redactor;

/// How much of an answer is kept, in bytes: what it says is read by people, who read its beginning. A guess.
const KEPT_BYTES: usize = 64 * 1024;

/// What is sent.
pub struct TaskCall<'a> {
    pub method: &'a str,
    pub url: &'a str,
    pub headers: &'a [(String, String)],
    pub body: Option<&'a str>,
    pub within: Duration,
}

/// What came back.
pub struct TaskReply {
    pub status: u16,
    /// The beginning of it, redacted.
    pub body: String,
}

/// Why nothing came back.
pub struct TaskSilence {
    pub words: String,
    /// It left, perhaps: it may have taken effect.
    pub is_sent: bool,
}

/// Sends one request. Redirects are answers, and proxies are those of the environment.
pub async fn send(connections: &Connections, call: TaskCall<'_>) -> Result<TaskReply, TaskSilence> {
    let unsent = |words: String| TaskSilence { words, is_sent: false };
    let url = reqwest::Url::parse(call.url).map_err(|why| unsent(format!("not a URL: {why}")))?;
    if pretended(url.host_str().unwrap_or_default()) {
        return Err(unsent(
            "its address is one of the sandbox, where nothing takes requests".into(),
        ));
    }
    let http = connections.probing().map_err(|why| unsent(why.to_owned()))?;
    let method = reqwest::Method::from_bytes(call.method.as_bytes())
        .map_err(|why| unsent(why.to_string()))?;
    let mut builder = http.request(method, url).timeout(call.within);
    for (name, value) in call.headers {
        builder = builder.header(name, value);
    }
    if let Some(body) = call.body {
        builder = builder.body(body.to_owned());
    }
    let broken = |error: &reqwest::Error| TaskSilence {
        words: if error.is_timeout() && !error.is_connect() {
            "no answer came in time".into()
        } else {
            redactor().redact(&innermost(error)).into_owned()
        },
        is_sent: !(error.is_connect() || error.is_builder()),
    };
    let mut reply = builder.send().await.map_err(|it| broken(&it))?;
    let status = reply.status().as_u16();
    let mut body = Vec::new();
    // As much more is read as one secret may have: what is cut in the middle of one cannot be redacted any more.
    let read = KEPT_BYTES + redactor().reach();
    while body.len() < read {
        match reply.chunk().await {
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            // The status says what counts.
            Ok(None) | Err(_) => break,
        }
    }
    body.truncate(read);
    let body = redactor().head(&String::from_utf8_lossy(&body), KEPT_BYTES);
    Ok(TaskReply { status, body })
}

//! Requests to the API of a code host: bounded, repeated where that is harmless, and with the token only where it belongs.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::HeaderMap;
use serde_json::Value as Json;

use crate::cloud::clock::Clock;
use crate::cloud::error::ProviderError;
use crate::cloud::http::transport::{HttpReply, heads, innermost};
use crate::cloud::retry::{Backoff, with_retry};
use crate::cloud::settings::{Token, is_loopback};
use crate::code_host::environment::HostKind;
use crate::engine::retry::{ErrorClass, RetryPolicy};

/// How long one attempt may take. A guess: code hosts answer within a second or two, and a list of long comments takes longer.
const PATIENCE: Duration = Duration::from_secs(15);
/// The longest answer that is read: a page of 100 comments of 65,536 characters each, of four bytes at most, has 25 MiB.
const REPLY_BYTES_MAX: usize = 32 << 20;
/// Four attempts, and limits of calls are outlasted for two minutes: GitHub asks to wait for one minute after its secondary limit
/// (<https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api>).
const ASKING: RetryPolicy = RetryPolicy {
    attempts: 4,
    within: Duration::from_secs(120),
    first_pause: Duration::from_millis(500),
    longest_pause: Duration::from_secs(8),
};

/// One repository's API.
pub(super) struct ApiClient {
    http: reqwest::Client,
    host: HostKind,
    /// Without a slash at its end.
    base: String,
    token: Token,
    clock: Arc<dyn Clock>,
    policy: RetryPolicy,
}

/// What is asked, below the base.
#[derive(Debug, Clone)]
pub(super) struct ApiCall {
    method: &'static str,
    path: String,
    query: Vec<(&'static str, String)>,
    body: Option<Json>,
}

/// A good answer.
#[derive(Debug)]
pub(super) struct ApiAnswer {
    pub(super) json: Json,
    /// The page that follows.
    pub(super) next: Option<u32>,
}

impl ApiCall {
    pub(super) fn new(method: &'static str, path: String) -> Self {
        Self { method, path, query: Vec::new(), body: None }
    }

    pub(super) fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.query.push((name, value.to_string()));
        self
    }

    pub(super) fn body(mut self, body: Json) -> Self {
        self.body = Some(body);
        self
    }

    /// What makes something new makes it twice when it is repeated.
    fn is_harmless_twice(&self) -> bool {
        self.method != "POST"
    }
}

/// The elements of an answer that is a list; of any other none.
pub(super) fn items(json: &Json) -> impl Iterator<Item = &Json> {
    json.as_array().into_iter().flatten()
}

/// What an answer lacks is not guessed.
pub(super) fn lacks(endpoint: &str, what: &str) -> ProviderError {
    let words = format!("an answer of the code host lacks {what}");
    ProviderError::new(ErrorClass::Garbled, endpoint, words)
}

impl ApiClient {
    /// `Err`: the token would travel in the clear, or there is no HTTPS.
    pub(super) fn new(
        host: HostKind,
        base: &str,
        token: Token,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ProviderError> {
        let refuse = |words: String| ProviderError::new(ErrorClass::Rejected, base, words);
        let is_here = is_loopback(base);
        if !base.starts_with("https://") && !is_here {
            return Err(ProviderError::new(
                ErrorClass::Unauthenticated,
                base,
                "tokens are never sent over plain HTTP except to loopback",
            ));
        }
        let builder = reqwest::Client::builder()
            .user_agent(concat!("lifeboat/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .timeout(PATIENCE);
        let builder = if is_here { builder.no_proxy() } else { builder };
        let is_plain = base.starts_with("http://");
        let builder = if is_plain { builder.tls_certs_only([]) } else { builder };
        let http = builder.build().map_err(|why| refuse(innermost(&why)))?;
        Ok(Self { http, host, base: base.to_owned(), token, clock, policy: ASKING })
    }

    /// Asks, again and again where that is harmless.
    pub(super) async fn ask(&self, call: &ApiCall) -> Result<ApiAnswer, ProviderError> {
        let told = |it: &Backoff<'_>| {
            let milliseconds = it.pause.as_millis();
            tracing::info!(attempt = it.attempt, milliseconds, error = %it.error, "asks the code host again");
        };
        with_retry(&*self.clock, self.policy, &told, |_| self.once(call)).await
    }

    async fn once(&self, call: &ApiCall) -> Result<ApiAnswer, ProviderError> {
        let endpoint = format!("{} {}{}", call.method, self.base, call.path);
        let broken = |error: &reqwest::Error| {
            let class = match (error.is_connect() || error.is_builder(), call.is_harmless_twice()) {
                (true, _) => ErrorClass::Unreachable,
                (false, true) => ErrorClass::Transient,
                (false, false) => ErrorClass::UnknownOutcome,
            };
            let words = if error.is_timeout() && !error.is_connect() {
                format!("no answer within {} s", PATIENCE.as_secs())
            } else {
                innermost(error)
            };
            ProviderError::new(class, &*endpoint, words)
        };
        let mut response = self.request(call).send().await.map_err(|it| broken(&it))?;
        let mut reply = heads(response.status().as_u16(), response.headers());
        let next = next_page(response.headers());
        let is_spent = is_spent(response.headers());
        tracing::debug!(method = call.method, path = call.path, status = reply.status, "code host");
        while let Some(chunk) = response.chunk().await.map_err(|it| broken(&it))? {
            if reply.body.len() + chunk.len() > REPLY_BYTES_MAX {
                return Err(ProviderError::new(
                    ErrorClass::Garbled,
                    endpoint,
                    format!("its answer has more than {} MiB", REPLY_BYTES_MAX >> 20),
                ));
            }
            reply.body.extend_from_slice(&chunk);
        }
        self.read(call, endpoint, reply, next, is_spent)
    }

    fn request(&self, call: &ApiCall) -> reqwest::RequestBuilder {
        let method = reqwest::Method::from_bytes(call.method.as_bytes())
            .expect("methods are written in this program");
        let builder = self.http.request(method, format!("{}{}", self.base, call.path));
        let builder = match self.host {
            HostKind::GitHub => builder
                .bearer_auth(self.token.expose())
                .header("accept", "application/vnd.github+json")
                .header("x-github-api-version", "2022-11-28"),
            HostKind::GitLab => builder.bearer_auth(self.token.expose()),
            HostKind::Gitea => {
                builder.header("authorization", format!("token {}", self.token.expose()))
            }
        };
        let builder = if call.query.is_empty() { builder } else { builder.query(&call.query) };
        match &call.body {
            Some(body) => builder.json(body),
            None => builder,
        }
    }

    /// Reads an answer, or says why it is none.
    fn read(
        &self,
        call: &ApiCall,
        endpoint: String,
        reply: HttpReply,
        next: Option<u32>,
        is_spent: bool,
    ) -> Result<ApiAnswer, ProviderError> {
        let status = reply.status;
        if (200..300).contains(&status) {
            if status == 204 {
                return Ok(ApiAnswer { json: Json::Null, next: None });
            }
            let json = serde_json::from_slice(&reply.body);
            return json.map(|json| ApiAnswer { json, next }).map_err(|why| {
                // It was made, whatever was answered.
                let class = if call.is_harmless_twice() {
                    ErrorClass::Garbled
                } else {
                    ErrorClass::UnknownOutcome
                };
                ProviderError::new(class, endpoint, format!("its answer is not JSON: {why}"))
                    .status(status)
            });
        }
        let is_limit =
            status == 429 || (status == 403 && (is_spent || reply.retry_after.is_some()));
        let class = match status {
            _ if is_limit => ErrorClass::Throttled,
            401 => ErrorClass::Unauthenticated,
            403 => ErrorClass::Denied,
            404 | 410 => ErrorClass::Missing,
            409 => ErrorClass::Conflict,
            503 => ErrorClass::Transient,
            408 | 500..=599 if call.is_harmless_twice() => ErrorClass::Transient,
            408 | 500..=599 => ErrorClass::UnknownOutcome,
            _ => ErrorClass::Rejected,
        };
        let now = self.clock.now();
        let until = reply.reset.filter(|_| is_limit).map(|it| it.saturating_sub(now / 1000));
        let until = until.map(|it| Duration::from_secs(u64::try_from(it).unwrap_or_default()));
        let error = ProviderError::new(class, endpoint, words(&reply)).status(status);
        let error = error.after(reply.pause(now).or(until));
        // A host hides what a token may not see.
        Err(match class {
            ErrorClass::Denied | ErrorClass::Unauthenticated => {
                error.advice(self.host.permission())
            }
            ErrorClass::Missing if call.method == "POST" => {
                error.advice(format!("check that it is there; {}", self.host.permission()))
            }
            _ => error,
        })
    }
}

/// What a host says that it is about: `message` with the reasons that GitHub lists, or `error` of GitLab.
fn words(reply: &HttpReply) -> String {
    let Ok(json) = serde_json::from_slice::<Json>(&reply.body) else {
        return match reply.status {
            300..=399 => "it leads elsewhere, and a token is not carried along".to_owned(),
            _ if reply.html => "a page of HTML".to_owned(),
            _ => String::from_utf8_lossy(&reply.body).into_owned(),
        };
    };
    let text = |it: &Json| match it {
        Json::Null => None,
        Json::String(it) => Some(it.clone()),
        other => Some(other.to_string()),
    };
    let names = ["message", "error", "error_description", "errors"];
    let said: Vec<String> = names.iter().filter_map(|it| text(&json[*it])).collect();
    if said.is_empty() { json.to_string() } else { said.join(": ") }
}

/// The page that follows: GitLab numbers it, the others link to it.
fn next_page(headers: &HeaderMap) -> Option<u32> {
    let text = |name: &str| headers.get(name).and_then(|it| it.to_str().ok());
    if let Some(numbered) = text("x-next-page") {
        return numbered.trim().parse().ok();
    }
    let link = text("link")?.split(',').find(|it| it.contains("rel=\"next\""))?;
    let url = link.split_once('<')?.1.split_once('>')?.0;
    let url = reqwest::Url::parse(url).ok()?;
    url.query_pairs().find(|(name, _)| name == "page")?.1.parse().ok()
}

/// Whether the limit of calls is spent, which GitHub answers with 403.
fn is_spent(headers: &HeaderMap) -> bool {
    headers.get("x-ratelimit-remaining").is_some_and(|it| it.as_bytes() == b"0")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use serde_json::json;

    use super::{ApiCall, ApiClient, next_page};
    use crate::cloud::clock::{Clock, Scaled};
    use crate::cloud::loopback::{Script, ScriptedReply};
    use crate::cloud::settings::Token;
    use crate::code_host::environment::HostKind;
    use crate::engine::retry::ErrorClass;

    fn clock() -> Arc<dyn Clock> {
        Arc::new(Scaled { anchor: 1_000_000, since: 0, speed: 200.0 })
    }

    fn client(host: HostKind, url: &str) -> ApiClient {
        ApiClient::new(host, url, Token::new("hush-hush"), clock()).ok().unwrap()
    }

    fn says(status: u16, headers: &[(&'static str, &str)], body: &str) -> ScriptedReply {
        let headers = headers.iter().map(|it| (it.0, it.1.to_owned())).collect();
        ScriptedReply::Say(status, headers, body.to_owned())
    }

    /// Answers one after the other.
    async fn scripted(replies: Vec<ScriptedReply>) -> Script {
        Script::of(replies.into_iter().map(|it| ("/", it)).collect()).await
    }

    fn get() -> ApiCall {
        ApiCall::new("GET", "/user".into())
    }

    fn post() -> ApiCall {
        ApiCall::new("POST", "/comments".into()).body(json!({ "body": "x" }))
    }

    #[test]
    fn new_sends_no_token_over_plain_http() {
        let new = |url: &str| ApiClient::new(HostKind::Gitea, url, Token::new("x"), clock());
        assert!(new("http://git.example.com/api/v1").is_err());
        assert!(new("http://127.0.0.1:1").is_ok() && new("https://git.example.com").is_ok());
    }

    #[tokio::test]
    async fn ask_outlasts_a_bad_gateway_and_a_limit_of_calls() {
        let spent = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1002")];
        let script = scripted(vec![
            says(502, &[], "<html>"),
            says(403, &spent, "{}"),
            says(429, &[("retry-after", "1")], "{}"),
            says(200, &[], r#"{"login":"bot"}"#),
        ])
        .await;
        let answer = client(HostKind::GitHub, &script.url).ask(&get()).await.unwrap();
        assert_eq!(answer.json["login"], "bot");
    }

    /// A comment that may have been made is looked up, and never made again blindly.
    #[tokio::test]
    async fn ask_makes_nothing_twice() {
        for lost in [says(502, &[], ""), ScriptedReply::Cut, says(201, &[], "<html>")] {
            let script = scripted(vec![lost, says(201, &[], "{}")]).await;
            let why = client(HostKind::GitLab, &script.url).ask(&post()).await.unwrap_err();
            assert_eq!(why.fault, ErrorClass::UnknownOutcome, "{why}");
        }
    }

    #[tokio::test]
    async fn ask_says_what_a_token_needs_that_may_not_comment() {
        let no = says(403, &[], r#"{"message":"Resource not accessible by integration"}"#);
        let script = scripted(vec![no]).await;
        let why = client(HostKind::GitHub, &script.url).ask(&post()).await.unwrap_err();
        let why = why.to_string().replace(&script.url, "URL");
        insta::assert_snapshot!(why, @"POST URL/comments answered 403: Resource not accessible by integration; the job needs `permissions: { pull-requests: write }`, and `issues: write` for the issue of drift");
    }

    #[tokio::test]
    async fn ask_follows_no_redirect_and_keeps_a_token_out_of_words() {
        let moved = says(301, &[("location", "http://127.0.0.1:9/x")], "");
        let quoted = says(400, &[], r#"{"message":{"base":["bad hush-hush"]}}"#);
        let script = scripted(vec![moved, quoted]).await;
        crate::engine::text::redact::redactor().learn_text("hush-hush");
        let client = client(HostKind::GitLab, &script.url);
        let why = client.ask(&get()).await.unwrap_err().to_string();
        assert!(why.contains("answered 301") && why.contains("leads elsewhere"), "{why}");
        let why = client.ask(&get()).await.unwrap_err().to_string();
        assert!(why.contains("answered 400") && !why.contains("hush-hush"), "{why}");
    }

    #[tokio::test]
    async fn ask_gives_up_what_stays_broken_and_what_asks_for_too_much() {
        let all: Vec<_> = (0..9).map(|_| says(502, &[], "")).collect();
        let script = scripted(all).await;
        let why = client(HostKind::GitHub, &script.url).ask(&get()).await.unwrap_err();
        assert_eq!((why.fault, why.status), (ErrorClass::Transient, Some(502)));
        let long = says(429, &[("retry-after", "3600")], "{}");
        let script = scripted(vec![long]).await;
        let why = client(HostKind::GitHub, &script.url).ask(&get()).await.unwrap_err();
        assert_eq!(why.retry_after, Some(Duration::from_secs(3600)));
    }

    #[test]
    fn next_page_reads_links_and_numbers() {
        let of = |name: &'static str, value: &str| {
            let mut headers = reqwest::header::HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            next_page(&headers)
        };
        let link = "<https://x/a?per_page=100&page=1>; rel=\"prev\", <https://x/a?per_page=100&page=3>; rel=\"next\"";
        assert_eq!(of("link", link), Some(3));
        assert_eq!(of("link", "<https://x/a?page=1>; rel=\"first\""), None);
        assert_eq!((of("x-next-page", "2"), of("x-next-page", "")), (Some(2), None));
        assert_eq!(of("link", "<https://x/a?page=99999999999>; rel=\"next\""), None);
    }
}

//! The dialect of the Linode API: its addresses, pages and faults.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value as Json;

use crate::cloud::breaker::Endpoint;
use crate::cloud::error::ProviderError;
use crate::cloud::http::connection::{Connections, Token, no_client};
use crate::cloud::http::transport::{BrokenReply, HttpReply, HttpRequest, exchange, innermost};
use crate::cloud::retry::with_retry;
use crate::cloud::wire::decode::id;
use crate::cloud::wire::routes::RestCall;
use crate::engine::retry::{ErrorClass, READING};
use crate::engine::text::redact::redactor;

/// The largest page that the API gives: `page_size` is 25 to 500 in Linode's API reference.
const PAGE: usize = 500;
/// A list of more pages than this is refused: at 200 list calls a minute
/// (<https://techdocs.akamai.com/linode-api/reference/rate-limits>) it would take two minutes. A server may give smaller pages
/// than were asked for, hence more pages than `ROWS_MAX` needs.
const PAGES_MAX: u64 = 400;
/// A list of more rows than this is refused: no account is known to have as many objects of one kind. A guess.
const ROWS_MAX: usize = 100_000;
/// How many reasons of one answer are shown: the API collects every mistake of a body, and the first ones tell enough.
const REASONS_MAX: usize = 5;

const TOO_LONG: &str = "the response is longer than any response of this API";

/// The API as one run reaches it.
#[derive(Clone)]
pub(crate) struct LinodeApi {
    pub connections: Arc<Connections>,
    /// Where the objects are that it is asked about, as far as that is known.
    pub place: Option<Endpoint>,
}

impl LinodeApi {
    /// One GET, patiently.
    pub(crate) async fn get(
        &self,
        path: &str,
        query: &[(&'static str, String)],
        filter: Option<&Json>,
    ) -> Result<Json, ProviderError> {
        let settings = &self.connections.settings;
        with_retry(&*settings.clock, READING, &*settings.told, |_| {
            self.send(HttpRequest {
                method: "GET",
                url: self.url(path),
                query: query.to_vec(),
                filter: filter.cloned(),
                body: None,
            })
        })
        .await
    }

    /// One object. Whatever else is answered under its path is not it.
    pub(crate) async fn object(&self, path: &str, own: &str) -> Result<Json, ProviderError> {
        let row = self.get(path, &[], None).await?;
        match id(&row) {
            Some(it) if it == own => Ok(row),
            Some(it) => {
                Err(self.garbled(path, &format!("the response describes another resource, {it}")))
            }
            None => Err(self.garbled(path, "the response is not the resource: it has no ID")),
        }
    }

    /// One call that changes something: one attempt.
    pub(crate) async fn change(&self, call: &RestCall) -> Result<Json, ProviderError> {
        self.send(HttpRequest {
            method: call.method,
            url: self.url(&call.path),
            query: Vec::new(),
            filter: None,
            body: call.body.as_ref(),
        })
        .await
    }

    /// Every row of a collection, page after page; rows that move between pages while others come and go appear once.
    pub(crate) async fn list(
        &self,
        path: &str,
        filter: Option<&Json>,
    ) -> Result<Vec<Json>, ProviderError> {
        let mut rows: Vec<Json> = Vec::new();
        let mut seen = std::collections::BTreeSet::new();
        let mut page = 1;
        loop {
            let query = [("page", page.to_string()), ("page_size", PAGE.to_string())];
            let mut answer = self.get(path, &query, filter).await?;
            let pages = answer.get("pages").and_then(Json::as_u64);
            let data = answer.get_mut("data").map(Json::take);
            let (Some(pages), Some(Json::Array(data))) = (pages, data) else {
                let words = "the response is not a paginated list";
                let endpoint = format!("GET {}", self.url(path));
                return Err(ProviderError::new(ErrorClass::Garbled, endpoint, words));
            };
            let before = rows.len();
            rows.extend(data.into_iter().filter(|row| id(row).is_none_or(|it| seen.insert(it))));
            if page >= pages {
                return Ok(rows);
            }
            if rows.len() == before {
                let words = format!("page {page} of {pages} brings nothing new");
                return Err(self.garbled(path, &words));
            }
            if pages > PAGES_MAX || rows.len() > ROWS_MAX {
                let words = format!("the list has too many pages: {pages}");
                return Err(self.garbled(path, &words));
            }
            page += 1;
        }
    }

    /// The customer's id, or the user's name where the token may not see the account. A name and an id cannot be
    /// compared: what is bound to the one is known by the one.
    pub(crate) async fn account(&self, bound: Option<&str>) -> Result<String, ProviderError> {
        let denied = match self.get("/account", &[], None).await {
            Ok(account) => {
                let Some(euuid) = account.get("euuid").and_then(Json::as_str) else {
                    return Err(self.garbled("/account", "the response contains no `euuid`"));
                };
                if bound.is_none_or(|it| it == euuid) {
                    return Ok(euuid.to_owned());
                }
                // Perhaps bound by a token that saw no more than its user.
                let user = self.user().await;
                return Ok(user.ok().filter(|it| bound == Some(it)).unwrap_or(euuid.to_owned()));
            }
            Err(error) if matches!(error.fault, ErrorClass::Denied | ErrorClass::Missing) => error,
            Err(error) => return Err(error),
        };
        let user = self.user().await?;
        match bound {
            Some(bound) if bound != user => Err(ProviderError {
                words: format!(
                    "{}; this stack belongs to account {bound}, but this token may not read which account it belongs to",
                    denied.words.trim_end_matches('.')
                ),
                ..denied
            }
            .advice("give the token the scope account:read_only")),
            _ => Ok(user),
        }
    }

    async fn user(&self) -> Result<String, ProviderError> {
        let profile = self.get("/profile", &[], None).await?;
        let user = profile.get("username").and_then(Json::as_str).map(str::to_owned);
        user.ok_or_else(|| self.garbled("/profile", "the response contains no `username`"))
    }

    pub(crate) fn garbled(&self, path: &str, words: &str) -> ProviderError {
        ProviderError::new(ErrorClass::Garbled, format!("GET {}", self.url(path)), words)
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.connections.settings.linode_url.trim_end_matches('/'))
    }

    async fn send(&self, request: HttpRequest<'_>) -> Result<Json, ProviderError> {
        let endpoint = request.endpoint();
        let token = self.connections.linode_token(&endpoint)?;
        let began = tokio::time::Instant::now();
        let answer = self.answered(&request, endpoint, token).await;
        let place = self.place.as_ref().map(|it| it.name.as_str());
        self.connections.contacts.note(place, &answer, began.elapsed());
        answer
    }

    async fn answered(
        &self,
        request: &HttpRequest<'_>,
        endpoint: String,
        token: &Token,
    ) -> Result<Json, ProviderError> {
        let http = self.connections.http().map_err(|why| no_client(&endpoint, why))?;
        match exchange(http, request, token).await {
            Ok(reply) => judged(request, &reply, self.connections.settings.clock.now()),
            Err(BrokenReply::Unreachable(error)) => {
                let words = innermost(&error);
                Err(ProviderError::new(ErrorClass::Unreachable, endpoint, words)
                    .advice("check the network and LINODE_URL")
                    .caused_by(error))
            }
            Err(BrokenReply::Cut(error)) => {
                let fault = lost(request);
                let words = if error.is_timeout() {
                    "no answer in time".to_owned()
                } else {
                    format!("the connection broke: {}", innermost(&error))
                };
                Err(ProviderError::new(fault, endpoint, words).caused_by(error))
            }
            Err(BrokenReply::Endless) => {
                let fault = if request.changes() {
                    ErrorClass::UnknownOutcome
                } else {
                    ErrorClass::Garbled
                };
                Err(ProviderError::new(fault, endpoint, TOO_LONG))
            }
        }
    }
}

/// What it means that no trustworthy answer came: a change may have happened, a read can be repeated.
fn lost(request: &HttpRequest<'_>) -> ErrorClass {
    if request.changes() { ErrorClass::UnknownOutcome } else { ErrorClass::Transient }
}

/// The JSON of a good answer, or what its fault means. `now` is in milliseconds.
fn judged(request: &HttpRequest<'_>, reply: &HttpReply, now: i64) -> Result<Json, ProviderError> {
    if (200..300).contains(&reply.status) {
        return body_of(request, reply);
    }
    let words = words(reply);
    let fault = fault(request, reply, &words);
    // Windows last a minute at most (Linode's page on rate limits); more than two of them is a clock that is wrong.
    let pause = reply.pause(now).or_else(|| {
        let left = reply.reset?.checked_sub(now / 1000)?;
        (fault == ErrorClass::Throttled)
            .then(|| Duration::from_secs(left.clamp(1, 120).unsigned_abs()))
    });
    let error =
        ProviderError::new(fault, request.endpoint(), words).status(reply.status).after(pause);
    Err(match advice(fault, reply) {
        Some(advice) => error.advice(advice),
        None => error,
    })
}

fn body_of(request: &HttpRequest<'_>, reply: &HttpReply) -> Result<Json, ProviderError> {
    let wrong = |words: &str| {
        let fault =
            if request.changes() { ErrorClass::UnknownOutcome } else { ErrorClass::Garbled };
        Err(ProviderError::new(fault, request.endpoint(), words).status(reply.status))
    };
    if reply.body.is_empty() {
        // A deleted object has nothing more to say.
        return if request.method == "DELETE" {
            Ok(Json::Null)
        } else {
            wrong("an empty response")
        };
    }
    match serde_json::from_slice(&reply.body) {
        Ok(json @ Json::Object(_)) => Ok(json),
        Ok(_) => wrong("the response is not a JSON object"),
        Err(_) if request.method == "DELETE" => Ok(Json::Null),
        Err(_) => wrong("the response is not JSON"),
    }
}

fn fault(request: &HttpRequest<'_>, reply: &HttpReply, words: &str) -> ErrorClass {
    let lower = words.to_lowercase();
    match reply.status {
        400 if words == "Linode busy." => ErrorClass::Busy,
        400 if reply.html && reply.nginx => ErrorClass::Transient,
        400 if ["must be unique", "already exists", "already in use"]
            .iter()
            .any(|it| lower.contains(it)) =>
        {
            ErrorClass::Conflict
        }
        401 => ErrorClass::Unauthenticated,
        403 => ErrorClass::Denied,
        // A 404 in other words than the API's comes from something else at this address.
        404 if envelope(reply).is_none() => ErrorClass::Garbled,
        404 => ErrorClass::Missing,
        408 | 500 | 502 | 504 => lost(request),
        429 => ErrorClass::Throttled,
        503 if reply.maintenance => ErrorClass::Rejected,
        503 => ErrorClass::Transient,
        _ => ErrorClass::Rejected,
    }
}

fn advice(fault: ErrorClass, reply: &HttpReply) -> Option<&'static str> {
    match fault {
        ErrorClass::Unauthenticated => Some("set LINODE_TOKEN to a valid personal access token"),
        ErrorClass::Denied => {
            Some("give the token the required scope and its user the required grant")
        }
        ErrorClass::Garbled => Some("check that LINODE_URL names the Linode API, ending in /v4"),
        ErrorClass::Rejected if reply.maintenance => {
            Some("Linode is under maintenance: see https://status.linode.com and try again later")
        }
        _ => None,
    }
}

fn envelope(reply: &HttpReply) -> Option<Vec<Json>> {
    match serde_json::from_slice::<Json>(&reply.body).ok()?.get_mut("errors")?.take() {
        Json::Array(errors) => Some(errors),
        _ => None,
    }
}

/// `field: reason` of each error; of anything else only what it is, since it may hold anything.
fn words(reply: &HttpReply) -> String {
    let Some(errors) = envelope(reply) else {
        return title(&reply.body).unwrap_or_else(|| "no JSON and no reason".to_owned());
    };
    let said: Vec<String> = errors
        .iter()
        .take(REASONS_MAX)
        .map(|error| {
            let reason = error.get("reason").and_then(Json::as_str).unwrap_or("no reason");
            match error.get("field").and_then(Json::as_str) {
                Some(field) => format!("{field}: {reason}"),
                None => reason.to_owned(),
            }
        })
        .collect();
    said.join("; ")
}

/// The title of an HTML page.
fn title(body: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(body);
    let lower = text.to_ascii_lowercase();
    let start = lower.find("<title>")? + "<title>".len();
    let end = start + lower[start..].find("</title>")?;
    let title = redactor().redact(text[start..end].trim()).into_owned();
    let title: String = title.chars().take(120).collect();
    Some(format!("an HTML page, \"{title}\""))
}

#[cfg(test)]
mod tests;

//! The door: who may come in and how often, and the headers of every answer.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::faults::state::Faults;
use crate::http::{Millis, SandboxAnswer, SandboxRequest};
use crate::linode::account::access;
use crate::linode::account::profile;
use crate::linode::data::limits::RateStanding;
use crate::linode::data::store::LinodeWorld;
use crate::linode::request::call::{LinodeCall, LinodeError};
use crate::linode::routes::route;

/// Newer than this and linode-cli calls its package registry before it prints.
const SPEC_VERSION: &str = "4.229.1";

/// The parts of a path below `/v4` or `/v4beta`; `None` for any other path.
pub fn segments(path: &str) -> Option<Vec<&str>> {
    let rest = path.strip_prefix("/v4beta/").or_else(|| path.strip_prefix("/v4/"))?;
    Some(rest.split('/').filter(|part| !part.is_empty()).collect())
}

/// The operation of a path: `/linode/instances/{}/boot`.
pub fn template(segments: &[&str]) -> String {
    let mut template = String::new();
    for part in segments {
        let fixed = part.chars().all(|c| c.is_ascii_lowercase() || c == '-' || c == '_');
        template.push('/');
        template.push_str(if fixed { part } else { "{}" });
    }
    template
}

/// Answers one call; what was made after `listed` is missing from lists.
pub fn handle(
    cloud: &mut LinodeWorld,
    faults: &Faults,
    (now, listed): (Millis, Millis),
    request: &SandboxRequest,
) -> SandboxAnswer {
    let Some(path) = segments(&request.path) else { return LinodeError::not_found().answer() };
    let token = match enter(request, &path) {
        Ok(token) => token,
        Err(refusal) => return dressed(refusal.answer(), &path, request, None),
    };
    let operation = format!("{} {}", request.method, template(&path));
    let limits = cloud.limits();
    let standing = cloud.windows.enter(now, &limits, &token, &operation);
    if standing.retry_after.is_some() {
        let refusal = LinodeError::with_status(429, "Too many requests");
        return dressed(refusal.answer(), &path, request, Some(&standing));
    }
    let user = cloud.restricted.get(&token).cloned();
    let outcome = body(request).and_then(|body| {
        access::check(cloud, user.as_ref(), &request.method, &path)?;
        let sees = user.as_ref().and_then(|it| access::seen(it, &path));
        let unlisted = if listed < now { cloud.made_after(listed) } else { BTreeSet::new() };
        let call = LinodeCall { now, request, body, faults, user, sees, unlisted };
        let made = route(cloud, &call, &path)?;
        access::made(cloud, &token, &call, &path, &made);
        Ok(made)
    });
    let answer = match outcome {
        // Who sees everything has no grants to tell.
        Ok(Value::Null) => SandboxAnswer::empty(204),
        Ok(body) => SandboxAnswer::json(200, "application/json", &body),
        Err(refusal) => refusal.answer(),
    };
    dressed(answer, &path, request, Some(&standing))
}

/// The token, or an empty one where none is needed.
fn enter(request: &SandboxRequest, path: &[&str]) -> Result<String, LinodeError> {
    let public = request.method == "GET"
        && matches!(path, ["regions" | "images", ..] | ["linode", "types" | "kernels", ..]);
    let refused = || LinodeError::with_status(401, "Invalid Token");
    let Some(header) = request.header("authorization") else {
        return if public { Ok(String::new()) } else { Err(refused()) };
    };
    match header.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => match token.trim() {
            "" | "invalid" => Err(refused()),
            token => Ok(token.to_owned()),
        },
        _ => Err(refused()),
    }
}

fn body(request: &SandboxRequest) -> Result<Map<String, Value>, LinodeError> {
    if !matches!(request.method.as_str(), "POST" | "PUT")
        || request.body.iter().all(u8::is_ascii_whitespace)
    {
        return Ok(Map::new());
    }
    match serde_json::from_slice(&request.body) {
        Ok(Value::Object(body)) => Ok(body),
        Ok(Value::Null) => Ok(Map::new()),
        _ => Err(LinodeError::plain("Invalid JSON")),
    }
}

fn dressed(
    answer: SandboxAnswer,
    path: &[&str],
    request: &SandboxRequest,
    standing: Option<&RateStanding>,
) -> SandboxAnswer {
    let area = match path.first().copied().unwrap_or_default() {
        "linode" => "linodes",
        "networking" if path.get(1) == Some(&"firewalls") => "firewall",
        "networking" => "ips",
        "nodebalancers" => "nodebalancers",
        "domains" => "domains",
        "images" => "images",
        "account" if path.get(1) == Some(&"events") => "events",
        _ => "account",
    };
    let right = if request.method == "GET" { "read_only" } else { "read_write" };
    let mut answer = answer
        .with("x-spec-version", SPEC_VERSION)
        .with("x-oauth-scopes", "*")
        .with("x-accepted-oauth-scopes", format!("{area}:{right}"))
        .with("x-customer-uuid", profile::EUUID)
        .with("vary", "Authorization, X-Filter")
        .with("cache-control", "max-age=0, no-cache, no-store");
    if let Some(standing) = standing {
        answer = answer
            .with("x-ratelimit-limit", standing.limit)
            .with("x-ratelimit-remaining", standing.remaining)
            .with("x-ratelimit-reset", standing.reset);
        if let Some(seconds) = standing.retry_after {
            answer = answer.with("retry-after", seconds);
        }
    }
    answer
}

//! Every answer of the API and the class of fault it is.

use std::time::Duration;

use super::judged;
use crate::cloud::http::transport::{HttpReply, HttpRequest};
use crate::engine::retry::ErrorClass;

fn request(method: &'static str) -> HttpRequest<'static> {
    let url = "https://api.linode.com/v4/linode/instances".to_owned();
    HttpRequest { method, url, query: Vec::new(), filter: None, body: None }
}

fn said(status: u16, reason: &str) -> HttpReply {
    let body = format!(r#"{{"errors":[{{"reason":"{reason}","field":"label"}}]}}"#);
    HttpReply { status, body: body.into_bytes(), ..HttpReply::default() }
}

fn html(status: u16) -> HttpReply {
    let body = b"<html><head><title>Oh no</title></head></html>".to_vec();
    HttpReply { status, html: true, nginx: true, body, ..HttpReply::default() }
}

fn fault(method: &'static str, reply: &HttpReply) -> ErrorClass {
    judged(&request(method), reply, 0).unwrap_err().fault
}

#[test]
fn judged_classifies_faults_of_reads_and_changes() {
    let busy = br#"{"errors":[{"reason":"Linode busy."}]}"#.to_vec();
    let maintenance = HttpReply { maintenance: true, ..said(503, "later") };
    let table: Vec<(HttpReply, ErrorClass, ErrorClass)> = vec![
        (
            HttpReply { status: 400, body: busy, ..HttpReply::default() },
            ErrorClass::Busy,
            ErrorClass::Busy,
        ),
        (html(400), ErrorClass::Transient, ErrorClass::Transient),
        (
            said(400, "Label must be unique among your linodes"),
            ErrorClass::Conflict,
            ErrorClass::Conflict,
        ),
        (said(400, "region is not valid"), ErrorClass::Rejected, ErrorClass::Rejected),
        (said(401, "Invalid Token"), ErrorClass::Unauthenticated, ErrorClass::Unauthenticated),
        (said(403, "Unauthorized"), ErrorClass::Denied, ErrorClass::Denied),
        (said(404, "Not found"), ErrorClass::Missing, ErrorClass::Missing),
        (html(404), ErrorClass::Garbled, ErrorClass::Garbled),
        (said(408, "slow"), ErrorClass::Transient, ErrorClass::UnknownOutcome),
        (said(429, "Too many requests"), ErrorClass::Throttled, ErrorClass::Throttled),
        (said(500, "oh"), ErrorClass::Transient, ErrorClass::UnknownOutcome),
        (html(502), ErrorClass::Transient, ErrorClass::UnknownOutcome),
        (said(503, "no"), ErrorClass::Transient, ErrorClass::Transient),
        (maintenance, ErrorClass::Rejected, ErrorClass::Rejected),
        (html(504), ErrorClass::Transient, ErrorClass::UnknownOutcome),
        (
            HttpReply { status: 200, ..HttpReply::default() },
            ErrorClass::Garbled,
            ErrorClass::UnknownOutcome,
        ),
        (
            HttpReply { status: 200, body: br#"{"id": 1, "la"#.to_vec(), ..HttpReply::default() },
            ErrorClass::Garbled,
            ErrorClass::UnknownOutcome,
        ),
        (html(200), ErrorClass::Garbled, ErrorClass::UnknownOutcome),
    ];
    for (reply, reading, changing) in table {
        let shown = format!("{} {}", reply.status, String::from_utf8_lossy(&reply.body));
        assert_eq!(fault("GET", &reply), reading, "GET {shown}");
        assert_eq!(fault("POST", &reply), changing, "POST {shown}");
    }
}

#[test]
fn judged_accepts_an_empty_answer_to_a_delete() {
    assert!(
        judged(&request("DELETE"), &HttpReply { status: 200, ..HttpReply::default() }, 0).is_ok()
    );
}

#[test]
fn judged_names_field_and_reason() {
    let error = judged(&request("POST"), &said(400, "Must be 3 long"), 0).unwrap_err();
    insta::assert_snapshot!(error, @"POST https://api.linode.com/v4/linode/instances answered 400: label: Must be 3 long");
    let error = judged(&request("GET"), &html(502), 0).unwrap_err();
    insta::assert_snapshot!(error, @r#"GET https://api.linode.com/v4/linode/instances answered 502: an HTML page, "Oh no""#);
}

#[test]
fn judged_says_how_long_a_throttled_call_waits() {
    let told = HttpReply { retry_after: Some(Duration::from_secs(7)), ..said(429, "x") };
    assert_eq!(
        judged(&request("GET"), &told, 0).unwrap_err().retry_after,
        Some(Duration::from_secs(7))
    );
    let window = HttpReply { reset: Some(1030), ..said(429, "x") };
    let error = judged(&request("GET"), &window, 1_000_000).unwrap_err();
    assert_eq!(error.retry_after, Some(Duration::from_secs(30)));
}

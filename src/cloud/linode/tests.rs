//! Every answer of the API and the class of fault it is.

use std::time::Duration;

use super::judged;
use crate::cloud::transport::{Reply, Request};
use crate::engine::retry::Fault;

fn request(method: &'static str) -> Request<'static> {
    let url = "https://api.linode.com/v4/linode/instances".to_owned();
    Request { method, url, query: Vec::new(), filter: None, body: None }
}

fn said(status: u16, reason: &str) -> Reply {
    let body = format!(r#"{{"errors":[{{"reason":"{reason}","field":"label"}}]}}"#);
    Reply { status, body: body.into_bytes(), ..Reply::default() }
}

fn html(status: u16) -> Reply {
    let body = b"<html><head><title>Oh no</title></head></html>".to_vec();
    Reply { status, html: true, nginx: true, body, ..Reply::default() }
}

fn fault(method: &'static str, reply: &Reply) -> Fault {
    judged(&request(method), reply, 0).unwrap_err().fault
}

#[test]
fn faults_of_reads_and_changes() {
    let busy = br#"{"errors":[{"reason":"Linode busy."}]}"#.to_vec();
    let maintenance = Reply { maintenance: true, ..said(503, "later") };
    let table: Vec<(Reply, Fault, Fault)> = vec![
        (Reply { status: 400, body: busy, ..Reply::default() }, Fault::Busy, Fault::Busy),
        (html(400), Fault::Transient, Fault::Transient),
        (said(400, "Label must be unique among your linodes"), Fault::Conflict, Fault::Conflict),
        (said(400, "region is not valid"), Fault::Rejected, Fault::Rejected),
        (said(401, "Invalid Token"), Fault::Unauthenticated, Fault::Unauthenticated),
        (said(403, "Unauthorized"), Fault::Denied, Fault::Denied),
        (said(404, "Not found"), Fault::Missing, Fault::Missing),
        (html(404), Fault::Garbled, Fault::Garbled),
        (said(408, "slow"), Fault::Transient, Fault::UnknownOutcome),
        (said(429, "Too many requests"), Fault::Throttled, Fault::Throttled),
        (said(500, "oh"), Fault::Transient, Fault::UnknownOutcome),
        (html(502), Fault::Transient, Fault::UnknownOutcome),
        (said(503, "no"), Fault::Transient, Fault::Transient),
        (maintenance, Fault::Rejected, Fault::Rejected),
        (html(504), Fault::Transient, Fault::UnknownOutcome),
        (Reply { status: 200, ..Reply::default() }, Fault::Garbled, Fault::UnknownOutcome),
        (
            Reply { status: 200, body: br#"{"id": 1, "la"#.to_vec(), ..Reply::default() },
            Fault::Garbled,
            Fault::UnknownOutcome,
        ),
        (html(200), Fault::Garbled, Fault::UnknownOutcome),
    ];
    for (reply, reading, changing) in table {
        let shown = format!("{} {}", reply.status, String::from_utf8_lossy(&reply.body));
        assert_eq!(fault("GET", &reply), reading, "GET {shown}");
        assert_eq!(fault("POST", &reply), changing, "POST {shown}");
    }
}

#[test]
fn a_deleted_object_may_say_nothing() {
    assert!(judged(&request("DELETE"), &Reply { status: 200, ..Reply::default() }, 0).is_ok());
}

#[test]
fn words_name_field_and_reason() {
    let error = judged(&request("POST"), &said(400, "Must be 3 long"), 0).unwrap_err();
    insta::assert_snapshot!(error, @"POST https://api.linode.com/v4/linode/instances answered 400: label: Must be 3 long");
    let error = judged(&request("GET"), &html(502), 0).unwrap_err();
    insta::assert_snapshot!(error, @r#"GET https://api.linode.com/v4/linode/instances answered 502: an HTML page, "Oh no""#);
}

#[test]
fn throttled_calls_say_how_long() {
    let told = Reply { retry_after: Some(Duration::from_secs(7)), ..said(429, "x") };
    assert_eq!(
        judged(&request("GET"), &told, 0).unwrap_err().retry_after,
        Some(Duration::from_secs(7))
    );
    let window = Reply { reset: Some(1030), ..said(429, "x") };
    let error = judged(&request("GET"), &window, 1_000_000).unwrap_err();
    assert_eq!(error.retry_after, Some(Duration::from_secs(30)));
}

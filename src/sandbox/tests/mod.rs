//! The sandbox as a whole: shared folders, the server, and looks from outside.

mod losses;
mod persistence;
mod probes;
mod serving;

use serde_json::{Value, json};

use crate::http::SandboxRequest;
use crate::{Sandbox, SandboxOptions};

pub(super) fn manual() -> SandboxOptions {
    SandboxOptions { manual: true, ..SandboxOptions::default() }
}

pub(super) fn request(method: &str, path: &str, body: &Value) -> SandboxRequest {
    SandboxRequest {
        method: method.into(),
        path: format!("/v4{path}"),
        headers: vec![("authorization".into(), "Bearer token".into())],
        body: if body.is_null() { Vec::new() } else { body.to_string().into_bytes() },
        ..SandboxRequest::default()
    }
}

/// The body of a call that must go well.
pub(super) fn ok(sandbox: &Sandbox, method: &str, path: &str, body: &Value) -> Value {
    let reply = sandbox.handle(&request(method, path, body));
    let answer = reply.answer().expect("answered");
    let body = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(answer.status, 200, "{method} {path}: {body}");
    body
}

pub(super) fn machine(sandbox: &Sandbox, label: &str) -> Value {
    let body = json!({
        "region": "us-east", "type": "g6-nanode-1", "label": label, "image": "linode/debian12",
        "root_pass": "correct horse battery", "private_ip": true,
    });
    ok(sandbox, "POST", "/linode/instances", &body)
}

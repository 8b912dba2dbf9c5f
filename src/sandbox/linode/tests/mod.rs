//! Drives the Linode half without a network: requests as data, answers as text.

mod account;
mod balancers;
mod dependence;
mod door;
mod firewalls;
mod instances;
mod lists;
mod shapes;
mod unmodelled;
mod volumes;
mod zones;

use serde_json::{Value, json};

use crate::http::{Millis, SandboxRequest};
use crate::world::core::{SandboxReply, SandboxWorld};

/// A world under a clock that the test turns.
pub(super) struct Bench {
    pub(super) world: SandboxWorld,
    pub(super) now: Millis,
}

impl Bench {
    pub(super) fn new() -> Self {
        Self { world: SandboxWorld::new(None), now: 1_767_225_600_000 }
    }

    pub(super) fn later(&mut self, seconds: Millis) {
        self.now += seconds * 1_000;
    }

    pub(super) fn reply(
        &mut self,
        call: &str,
        body: &Value,
        headers: &[(&str, &str)],
    ) -> SandboxReply {
        let (method, rest) = call.split_once(' ').unwrap();
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let mut request = SandboxRequest {
            method: method.into(),
            path: format!("/v4{path}"),
            query: query
                .split('&')
                .filter_map(|pair| pair.split_once('='))
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
            headers: vec![("authorization".into(), "Bearer token".into())],
            body: if body.is_null() { Vec::new() } else { body.to_string().into_bytes() },
        };
        for (name, value) in headers {
            request.headers.retain(|(it, _)| it != name);
            request.headers.push(((*name).into(), (*value).into()));
        }
        self.world.handle(self.now, &request)
    }

    /// Status and body.
    pub(super) fn call(&mut self, call: &str, body: &Value) -> (u16, Value) {
        let reply = self.reply(call, body, &[]);
        let answer = reply.answer().expect("answered");
        (answer.status, serde_json::from_slice(&answer.body).unwrap())
    }

    /// The body of a call that must go well.
    pub(super) fn ok(&mut self, call: &str, body: &Value) -> Value {
        let (status, answer) = self.call(call, body);
        assert_eq!(status, 200, "{call} {body}: {answer}");
        answer
    }

    pub(super) fn get(&mut self, path: &str) -> Value {
        self.ok(&format!("GET {path}"), &Value::Null)
    }

    /// What the answer says: `200`, or the status and every error as `field: reason`.
    pub(super) fn said(&mut self, call: &str, body: &Value) -> String {
        let (status, answer) = self.call(call, body);
        let errors: Vec<String> = answer["errors"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|error| match error["field"].as_str() {
                Some(field) => format!("{field}: {}", error["reason"].as_str().unwrap()),
                None => error["reason"].as_str().unwrap().to_owned(),
            })
            .collect();
        format!("{status} {}", errors.join(" | ")).trim_end().to_owned()
    }

    /// Each call must be answered with exactly these words.
    pub(super) fn check(&mut self, cases: &[(&str, Value, &str)]) {
        for (call, body, expected) in cases {
            assert_eq!(self.said(call, body), *expected, "{call} {body}");
        }
    }

    /// A machine with an image, a private address and this label, not yet up.
    pub(super) fn machine(&mut self, region: &str, label: &str) -> Value {
        self.ok(
            "POST /linode/instances",
            &json!({
                "region": region, "type": "g6-nanode-1", "label": label, "image": "linode/debian12",
                "root_pass": "correct horse battery", "private_ip": true,
            }),
        )
    }
}

/// Chosen fields of a body as one line.
pub(super) fn told(body: &Value, fields: &[&str]) -> String {
    fields.iter().map(|field| body[*field].to_string()).collect::<Vec<_>>().join(" ")
}

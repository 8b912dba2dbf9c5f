//! What the drivers make of a world that answers badly, late or not at all.

mod changes;
mod reads;
mod hostile;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value as Json, json};

use crate::cloud::clock::Scaled;
use crate::cloud::http::connection::{Connections, Settings, Token};
use crate::cloud::loopback::{ScriptedReply, ok};
use crate::cloud::provider::Provider;
use crate::engine::schema::Kind;
use crate::engine::value::{Attributes, Value};

/// Pauses between attempts take a hundredth of their time.
const FAST: Scaled = Scaled { anchor: 0, since: 0, speed: 100.0 };

pub(crate) fn settings(url: &str) -> Settings {
    let clock = Arc::new(FAST);
    Settings {
        linode_url: format!("{url}/v4"),
        linode_token: Some(Token::new("hush")),
        dynamodb_endpoint: Some(url.to_owned()),
        sandbox: true,
        request_timeout: Duration::from_millis(300),
        ..Settings::from_env(clock, |_| None)
    }
}

pub(crate) fn provider(url: &str) -> Provider {
    let settings = settings(url);
    Provider::new(Arc::new(Connections::new(settings)))
}

/// One that waits for nobody who says nothing for a tenth of a second.
pub(crate) fn hasty(url: &str) -> Provider {
    let settings = Settings { first_contact: Duration::from_millis(100), ..settings(url) };
    Provider::new(Arc::new(Connections::new(settings)))
}

pub(crate) fn kind(name: &str) -> Kind {
    crate::kinds::builtin().kinds[name].clone()
}

pub(crate) fn attributes(json: &Json) -> Attributes {
    Value::from_json(json).as_map().unwrap().clone()
}

pub(crate) fn rows(ids: std::ops::Range<u32>, page: u32, pages: u32) -> ScriptedReply {
    let data: Vec<Json> =
        ids.map(|id| json!({ "id": id, "label": format!("l{id}"), "region": "us-east" })).collect();
    ok(&json!({ "data": data, "page": page, "pages": pages, "results": 0 }))
}

pub(crate) const NB: &str = "linode.nodebalancer";
pub(crate) const CONFIG: &str = "linode.nodebalancer_config";

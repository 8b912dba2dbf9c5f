//! The dialect of Linode's API: pages, errors, events and grants.

mod client;
mod events;
mod grants;

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value as Json;

use crate::cloud::breaker::Endpoint;
use crate::cloud::driver::{Reply, Tried};
use crate::cloud::http::connection::Connections;
use crate::cloud::linode::client::LinodeApi;
use crate::cloud::linode::events::Events;
use crate::cloud::linode::grants::UserGrants;
use crate::cloud::rest::dialect::Dialect;
use crate::cloud::settings::is_loopback;
use crate::cloud::wire::routes::RestCall;
use crate::engine::plan::checks::grants::Restricted;
use crate::engine::schema::Kind;
use crate::engine::value::Attributes;

/// What kinds call this API in `provider`, and the cloud in `cloud`.
const LINODE: &str = "linode";

/// How many steps run at once. Creating instances is limited to 20 calls in 15 s
/// (<https://techdocs.akamai.com/linode-api/reference/rate-limits>), and linodego's recordings show that one takes one to two
/// seconds: ten at once reach the limit when there is much to create, and more would only wait longer.
const AT_ONCE: usize = 10;

/// The API with what one run has read of its user and of what goes on.
#[derive(Clone)]
pub(crate) struct LinodeDialect {
    api: LinodeApi,
    events: Events,
    grants: UserGrants,
}

impl LinodeDialect {
    pub(crate) fn new(connections: Arc<Connections>) -> Self {
        let api = LinodeApi { connections, place: None };
        Self { api, events: Events::default(), grants: UserGrants::default() }
    }
}

impl Dialect for LinodeDialect {
    fn provider(&self) -> &str {
        LINODE
    }

    fn cloud(&self) -> &str {
        LINODE
    }

    fn at_once(&self) -> usize {
        AT_ONCE
    }

    fn is_local(&self) -> bool {
        is_loopback(&self.api.connections.settings.linode_url)
    }

    fn connections(&self) -> &Arc<Connections> {
        &self.api.connections
    }

    fn url(&self, path: &str) -> String {
        self.api.url(path)
    }

    fn at(&self, place: Option<Endpoint>) -> Arc<dyn Dialect> {
        let api = LinodeApi { place, ..self.api.clone() };
        Arc::new(Self { api, ..self.clone() })
    }

    fn account<'a>(&'a self, bound: Option<&'a str>) -> Tried<'a, String> {
        Box::pin(self.api.account(bound))
    }

    fn get<'a>(&'a self, path: &'a str) -> Tried<'a, Json> {
        Box::pin(self.api.get(path, &[], None))
    }

    fn object<'a>(&'a self, path: &'a str, id: &'a str) -> Tried<'a, Json> {
        Box::pin(self.api.object(path, id))
    }

    fn list<'a>(&'a self, path: &'a str, filter: Option<&'a Json>) -> Tried<'a, Vec<Json>> {
        Box::pin(self.api.list(path, filter))
    }

    fn change<'a>(&'a self, call: &'a RestCall) -> Tried<'a, Json> {
        Box::pin(self.api.change(call))
    }

    fn forget_grants(&self) -> Reply<'_, ()> {
        Box::pin(self.grants.forget())
    }

    fn restricted(&self) -> Tried<'_, Option<Restricted>> {
        Box::pin(self.grants.read(&self.api))
    }

    fn hides<'a>(
        &'a self,
        kind: &'a Kind,
        id: &'a str,
        attributes: &'a Attributes,
    ) -> Reply<'a, Option<String>> {
        Box::pin(self.grants.hides(kind, id, attributes))
    }

    fn made<'a>(&'a self, kind: &'a Kind, id: &'a str) -> Reply<'a, ()> {
        Box::pin(self.grants.made(kind, id))
    }

    fn under_way<'a>(
        &'a self,
        entity: &'a str,
        id: &'a str,
        age: Duration,
    ) -> Tried<'a, Option<String>> {
        Box::pin(self.events.under_way(&self.api, entity, id, age))
    }
}

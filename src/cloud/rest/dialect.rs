//! What a REST API has of its own, so that one driver speaks to several: its addresses, pages and faults, whose account it is,
//! what its user may see, and what it says of work that goes on.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value as Json;

use crate::cloud::breaker::Endpoint;
use crate::cloud::driver::{Reply, Tried};
use crate::cloud::http::connection::Connections;
use crate::cloud::wire::routes::RestCall;
use crate::engine::plan::checks::grants::Restricted;
use crate::engine::schema::Kind;
use crate::engine::value::Attributes;

/// One API as one run reaches it. Reads are repeated as the engine decides; a change is one attempt.
pub(crate) trait Dialect: Send + Sync {
    /// What kinds call it in `provider`.
    fn provider(&self) -> &str;

    /// What kinds call its cloud in `cloud`.
    fn cloud(&self) -> &str;

    /// Steps of its kinds that a run carries out at one time, where nobody says otherwise.
    fn at_once(&self) -> usize;

    /// Whether it is on this machine.
    fn is_local(&self) -> bool;

    fn connections(&self) -> &Arc<Connections>;

    fn url(&self, path: &str) -> String;

    /// The same API for reads of objects that are lost together with this place.
    fn at(&self, place: Option<Endpoint>) -> Arc<dyn Dialect>;

    /// Whose credentials these are; `bound` is what state is bound to so far.
    fn account<'a>(&'a self, bound: Option<&'a str>) -> Tried<'a, String>;

    /// Whatever is at a path.
    fn get<'a>(&'a self, path: &'a str) -> Tried<'a, Json>;

    /// One object. Whatever else is answered under its path is not it.
    fn object<'a>(&'a self, path: &'a str, id: &'a str) -> Tried<'a, Json>;

    /// Every row of a collection, or of the part of it that a filter leaves.
    fn list<'a>(&'a self, path: &'a str, filter: Option<&'a Json>) -> Tried<'a, Vec<Json>>;

    fn change<'a>(&'a self, call: &'a RestCall) -> Tried<'a, Json>;

    /// The next look at the world begins: what the user may see is read anew.
    fn forget_grants(&self) -> Reply<'_, ()>;

    /// The user of the credentials, where it does not see everything; read at most once between two looks at the world.
    fn restricted(&self) -> Tried<'_, Option<Restricted>>;

    /// Why what is answered for as "not found" may be there all the same, by what was read of the user before.
    fn hides<'a>(
        &'a self,
        kind: &'a Kind,
        id: &'a str,
        attributes: &'a Attributes,
    ) -> Reply<'a, Option<String>>;

    /// Who makes something may see it.
    fn made<'a>(&'a self, kind: &'a Kind, id: &'a str) -> Reply<'a, ()>;

    /// What of an object is scheduled or started, in words, in a list that is at most `age` old.
    fn under_way<'a>(
        &'a self,
        entity: &'a str,
        id: &'a str,
        age: Duration,
    ) -> Tried<'a, Option<String>>;
}

//! What happened: events are written by actions and read back with the status that the time gives them.

use serde_json::{Value, json};

use crate::http::Millis;
use crate::linode::data::model::LinodeEvent;
use crate::linode::data::store::LinodeWorld;
use crate::linode::request::call::{CallResult, LinodeCall, LinodeError, done, stamp};
use crate::linode::request::listing::{Filterable, page};

/// How many events are kept; the oldest go first. The real API keeps them for 90 days; a world needs those of its latest jobs.
const MOST: usize = 2_000;

const FILTERABLE: Filterable = &[
    "action",
    "created",
    "entity.id",
    "entity.type",
    "id",
    "details.*",
    "read",
    "seen",
    "status",
    "username",
];

/// What an event is about: its type, number, label and path after `/v4`.
pub fn entity(kind: &str, id: u64, label: &str, path: &str) -> Value {
    json!({ "label": label, "id": id, "type": kind, "url": format!("/v4{path}") })
}

pub fn linode(id: u64, label: &str) -> Value {
    entity("linode", id, label, &format!("/linode/instances/{id}"))
}

pub fn nodebalancer(id: u64, label: &str) -> Value {
    entity("nodebalancer", id, label, &format!("/nodebalancers/{id}"))
}

pub fn domain(id: u64, label: &str) -> Value {
    entity("domain", id, label, &format!("/domains/{id}"))
}

pub fn firewall(id: u64, label: &str) -> Value {
    entity("firewall", id, label, &format!("/networking/firewalls/{id}"))
}

pub fn volume(id: u64, label: &str) -> Value {
    entity("volume", id, label, &format!("/volumes/{id}"))
}

/// Writes that something is a fact from now on.
pub fn note(cloud: &mut LinodeWorld, now: Millis, action: &str, entity: Value) {
    write(cloud, now, action, None, entity, Value::Null);
}

/// Writes that a job runs.
pub fn write(
    cloud: &mut LinodeWorld,
    now: Millis,
    action: &str,
    job: Option<(Millis, Millis)>,
    entity: Value,
    secondary_entity: Value,
) {
    let id = cloud.next_id("event");
    let action = action.to_owned();
    cloud.events.put(
        id,
        LinodeEvent { id, action, created: now, job, entity, secondary_entity, seen: false },
    );
    while cloud.events.len() > MOST {
        let Some(oldest) = cloud.events.iter().next().map(|(id, _)| id) else { break };
        cloud.events.remove(oldest);
    }
}

#[expect(clippy::cast_precision_loss, reason = "seconds of a job")]
fn view(event: &LinodeEvent, now: Millis) -> Value {
    let (status, percent, duration) = match event.job {
        None => ("notification", None, None),
        Some((starts, _)) if now < starts => ("scheduled", Some(0), None),
        Some((starts, ends)) if now < ends => (
            "started",
            Some((now - starts) * 100 / (ends - starts).max(1)),
            Some((now - starts) as f64 / 1_000.0),
        ),
        Some((starts, ends)) => ("finished", Some(100), Some(((ends - starts) / 1_000) as f64)),
    };
    json!({
        "id": event.id, "created": stamp(event.created), "seen": event.seen, "read": event.seen,
        "percent_complete": percent, "time_remaining": null, "rate": null, "duration": duration,
        "action": event.action, "username": "sandbox", "entity": event.entity, "status": status,
        "secondary_entity": event.secondary_entity, "message": "", "details": {},
    })
}

/// Newest first, as people read them.
pub fn list(cloud: &LinodeWorld, call: &LinodeCall<'_>) -> CallResult {
    let mut rows: Vec<Value> =
        cloud.events.iter().map(|(_, event)| view(event, call.now)).collect();
    rows.reverse();
    page(call, rows, FILTERABLE)
}

pub fn get(cloud: &LinodeWorld, call: &LinodeCall<'_>, id: u64) -> CallResult {
    cloud.events.get(id).map(|event| view(event, call.now)).ok_or_else(LinodeError::not_found)
}

pub fn see(cloud: &mut LinodeWorld, id: u64) -> CallResult {
    cloud.events.edit(id, |event| event.seen = true).ok_or_else(LinodeError::not_found)?;
    done()
}

//! Firewalls: rules that come back as they were sent, devices, and the short way over the entity's own path.

use data_encoding::HEXLOWER;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::linode::data::model::{Device, Firewall};
use crate::linode::data::store::LinodeWorld;
use crate::linode::firewall::devices;
use crate::linode::firewall::rules;
use crate::linode::request::body::{RequestBody, is_label};
use crate::linode::request::call::{CallResult, LinodeCall, LinodeError, done, stamp};
use crate::linode::request::events;
use crate::linode::request::listing::{Filterable, page};
use crate::linode::request::tags;

pub const FILTERABLE: Filterable = &["created", "id", "label", "tags", "updated"];

/// The rules with their version and fingerprint; the fingerprint is a pure function of the rules.
fn rules_view(it: &Firewall) -> Value {
    let digest = Sha256::digest(rules::canonical(&it.rules));
    let mut view = it.rules.clone();
    view["version"] = json!(it.version);
    view["fingerprint"] = json!(HEXLOWER.encode(&digest[..4]));
    view
}

pub fn view(cloud: &LinodeWorld, it: &Firewall) -> Value {
    let entities: Vec<Value> = cloud
        .devices
        .find(&format!("firewall:{}", it.id))
        .map(|(_, device)| devices::entity(cloud, device))
        .collect();
    json!({
        "id": it.id, "label": it.label, "created": stamp(it.created), "updated": stamp(it.updated),
        "status": it.status, "rules": rules_view(it), "tags": it.tags, "entities": entities,
    })
}

fn known(cloud: &LinodeWorld, id: u64) -> Result<&Firewall, LinodeError> {
    cloud.firewalls.get(id).ok_or_else(LinodeError::not_found)
}

pub fn list(cloud: &LinodeWorld, call: &LinodeCall<'_>) -> CallResult {
    page(call, cloud.firewalls.iter().map(|(_, it)| view(cloud, it)).collect(), FILTERABLE)
}

pub fn get(cloud: &LinodeWorld, id: u64) -> CallResult {
    Ok(view(cloud, known(cloud, id)?))
}

fn label(form: &mut RequestBody<'_>, cloud: &LinodeWorld, own: Option<u64>) -> Option<String> {
    let label = form.sized("label", 3, 32)?;
    if !is_label(&label) {
        form.error("label", "Must only use ASCII letters, numbers, underscores, dashes, and periods, begin with a letter and end with a letter or number");
    }
    let taken = cloud.firewalls.first(&format!("label:{}", label.to_lowercase()));
    if taken.is_some_and(|(id, _)| Some(id) != own) {
        form.error("label", "Label must be unique among your Cloud Firewalls");
    }
    Some(label)
}

pub fn create(cloud: &mut LinodeWorld, call: &LinodeCall<'_>) -> CallResult {
    let mut form = RequestBody::new(&call.body);
    form.require("label");
    let label = label(&mut form, cloud, None);
    form.require("rules");
    let rules = form.object("rules").map(|body| {
        let mut inner = RequestBody::within(body, "rules.");
        let rules = rules::read(&mut inner, body, None);
        form.absorb(inner);
        rules
    });
    let tag_list = form.tags().unwrap_or_default();
    let wanted = wanted_devices(&mut form, cloud);
    form.finish()?;

    let id = cloud.next_id("firewall");
    let row = Firewall {
        id,
        label: label.unwrap_or_default(),
        status: "enabled".into(),
        rules: rules.unwrap_or_default(),
        version: 1,
        tags: tag_list,
        created: call.now,
        updated: call.now,
    };
    tags::learn(cloud, &row.tags);
    events::note(cloud, call.now, "firewall_create", events::firewall(id, &row.label));
    cloud.firewalls.put(id, row);
    for (kind, entity) in wanted {
        devices::attach(cloud, call.now, id, kind, entity);
    }
    get(cloud, id)
}

fn wanted_devices(form: &mut RequestBody<'_>, cloud: &LinodeWorld) -> Vec<(&'static str, u64)> {
    let mut wanted = Vec::new();
    let empty = Map::new();
    let mut inner = RequestBody::within(form.object("devices").unwrap_or(&empty), "devices.");
    for (field, kind) in [("linodes", "linode"), ("nodebalancers", "nodebalancer")] {
        for item in inner.list(field).into_iter().flatten() {
            match item
                .as_u64()
                .ok_or_else(|| "Must be a list of ids".to_owned())
                .and_then(|id| free(cloud, kind, id))
            {
                Ok(id) => wanted.push((kind, id)),
                Err(reason) => inner.error(field, reason),
            }
        }
    }
    inner.unmodelled(&["linode_interfaces"]);
    form.absorb(inner);
    wanted
}

/// The entity, if it exists and no firewall stands before it yet.
fn free(cloud: &LinodeWorld, kind: &str, id: u64) -> Result<u64, String> {
    let (exists, name) = match kind {
        "nodebalancer" => (cloud.nodebalancers.get(id).is_some(), "NodeBalancer"),
        _ => (cloud.instances.get(id).is_some(), "Linode"),
    };
    if !exists {
        return Err(format!("Invalid {name} ID {id}"));
    }
    if !devices::firewalls_of(cloud, kind, id).is_empty() {
        return Err(format!("{name} {id} is already assigned to a Cloud Firewall"));
    }
    Ok(id)
}

pub fn put(cloud: &mut LinodeWorld, call: &LinodeCall<'_>, id: u64) -> CallResult {
    known(cloud, id)?;
    let mut form = RequestBody::new(&call.body);
    let label = label(&mut form, cloud, Some(id));
    let status = form.one_of("status", &["enabled", "disabled"]);
    let tag_list = form.tags();
    form.finish()?;
    let new_tags = tag_list.clone().unwrap_or_default();
    tags::learn(cloud, &new_tags);
    let changed = cloud.firewalls.edit(id, |it| {
        let before = it.status.clone();
        it.status = status.unwrap_or_else(|| before.clone());
        it.label = label.unwrap_or_else(|| it.label.clone());
        it.tags = tag_list.unwrap_or_else(|| it.tags.clone());
        it.updated = call.now;
        let action = match (before == it.status, it.status.as_str()) {
            (true, _) => "firewall_update",
            (false, "enabled") => "firewall_enable",
            (false, _) => "firewall_disable",
        };
        (action, it.label.clone())
    });
    if let Some((action, label)) = changed {
        events::note(cloud, call.now, action, events::firewall(id, &label));
    }
    get(cloud, id)
}

pub fn delete(cloud: &mut LinodeWorld, call: &LinodeCall<'_>, id: u64) -> CallResult {
    let row = cloud.firewalls.remove(id).ok_or_else(LinodeError::not_found)?;
    for device in cloud.devices.ids(&format!("firewall:{id}")) {
        cloud.devices.remove(device);
    }
    events::note(cloud, call.now, "firewall_delete", events::firewall(id, &row.label));
    done()
}

pub fn get_rules(cloud: &LinodeWorld, id: u64) -> CallResult {
    Ok(rules_view(known(cloud, id)?))
}

/// Replaces all rules and both policies; the version steps only when they differ.
pub fn put_rules(cloud: &mut LinodeWorld, call: &LinodeCall<'_>, id: u64) -> CallResult {
    let before = known(cloud, id)?.rules.clone();
    let mut form = RequestBody::new(&call.body);
    let wanted = rules::read(&mut form, &call.body, Some(&before));
    form.finish()?;
    cloud.firewalls.edit(id, |it| {
        if rules::canonical(&it.rules) != rules::canonical(&wanted) {
            it.version += 1;
            it.updated = call.now;
        }
        it.rules = wanted;
    });
    let label = known(cloud, id)?.label.clone();
    events::note(cloud, call.now, "firewall_rules_update", events::firewall(id, &label));
    get_rules(cloud, id)
}

pub fn list_devices(cloud: &LinodeWorld, call: &LinodeCall<'_>, id: u64) -> CallResult {
    known(cloud, id)?;
    let rows =
        cloud.devices.find(&format!("firewall:{id}")).map(|(_, it)| devices::view(cloud, it));
    page(call, rows.collect(), &["created", "id", "updated"])
}

fn device(cloud: &LinodeWorld, id: u64, device: u64) -> Result<&Device, LinodeError> {
    cloud.devices.get(device).filter(|it| it.firewall == id).ok_or_else(LinodeError::not_found)
}

pub fn get_device(cloud: &LinodeWorld, id: u64, device_id: u64) -> CallResult {
    device(cloud, id, device_id).map(|it| devices::view(cloud, it))
}

pub fn add_device(cloud: &mut LinodeWorld, call: &LinodeCall<'_>, id: u64) -> CallResult {
    known(cloud, id)?;
    let mut form = RequestBody::new(&call.body);
    form.require("id");
    form.require("type");
    let kind = form.one_of("type", &["linode", "nodebalancer", "linode_interface"]);
    let entity = form.number("id");
    if let (Some(kind), Some(entity)) = (&kind, entity)
        && let Err(reason) = free(cloud, kind, entity)
    {
        form.error("id", reason);
    }
    form.finish()?;
    let device =
        devices::attach(cloud, call.now, id, &kind.unwrap_or_default(), entity.unwrap_or_default());
    Ok(devices::view(cloud, &device))
}

pub fn remove_device(
    cloud: &mut LinodeWorld,
    call: &LinodeCall<'_>,
    id: u64,
    device_id: u64,
) -> CallResult {
    device(cloud, id, device_id)?;
    cloud.devices.remove(device_id);
    let label = known(cloud, id)?.label.clone();
    events::note(cloud, call.now, "firewall_device_remove", events::firewall(id, &label));
    done()
}

/// `GET …/firewalls` of a machine or a balancer.
pub fn of_entity(
    cloud: &LinodeWorld,
    call: &LinodeCall<'_>,
    kind: &str,
    entity: u64,
) -> CallResult {
    let found = devices::firewalls_of(cloud, kind, entity);
    let rows =
        found.iter().filter_map(|id| cloud.firewalls.get(*id)).map(|it| view(cloud, it)).collect();
    page(call, rows, FILTERABLE)
}

/// `PUT …/firewalls` with the complete list of ids.
pub fn set_of_entity(
    cloud: &mut LinodeWorld,
    call: &LinodeCall<'_>,
    kind: &str,
    entity: u64,
) -> CallResult {
    let mut form = RequestBody::new(&call.body);
    form.require("firewall_ids");
    let ids: Vec<u64> =
        form.list("firewall_ids").into_iter().flatten().filter_map(Value::as_u64).collect();
    if ids.iter().any(|id| cloud.firewalls.get(*id).is_none()) {
        form.error("firewall_ids", "firewall_ids is not valid");
    }
    if ids.len() > 1 {
        form.error("firewall_ids", "Only one firewall can be assigned");
    }
    form.finish()?;
    if devices::firewalls_of(cloud, kind, entity) != ids {
        devices::detach_all(cloud, kind, entity);
        for id in ids {
            devices::attach(cloud, call.now, id, kind, entity);
        }
    }
    of_entity(cloud, call, kind, entity)
}

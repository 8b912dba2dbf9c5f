//! Which firewall stands before what: the devices of firewalls, seen from both sides.

use serde_json::{Value, json};

use crate::http::Millis;
use crate::linode::data::model::Device;
use crate::linode::data::store::LinodeWorld;
use crate::linode::request::call::stamp;
use crate::linode::request::events;

/// The label and path of an entity that a firewall can protect.
fn described(cloud: &LinodeWorld, kind: &str, id: u64) -> (Value, String) {
    let (label, path) = match kind {
        "nodebalancer" => (cloud.nodebalancers.get(id).map(|it| &it.label), "nodebalancers"),
        _ => (cloud.instances.get(id).map(|it| &it.label), "linode/instances"),
    };
    (json!(label), format!("/v4/{path}/{id}"))
}

pub fn entity(cloud: &LinodeWorld, device: &Device) -> Value {
    let (label, url) = described(cloud, &device.entity_type, device.entity_id);
    json!({
        "id": device.entity_id, "type": device.entity_type, "label": label, "url": url, "parent_entity": null,
    })
}

pub fn view(cloud: &LinodeWorld, device: &Device) -> Value {
    json!({
        "id": device.id, "created": stamp(device.created), "updated": stamp(device.created),
        "entity": entity(cloud, device),
    })
}

/// Puts a firewall before an entity and returns the device.
pub fn attach(
    cloud: &mut LinodeWorld,
    now: Millis,
    firewall: u64,
    kind: &str,
    entity_id: u64,
) -> Device {
    let id = cloud.next_id("device");
    let device = Device { id, firewall, entity_type: kind.into(), entity_id, created: now };
    cloud.devices.put(id, device.clone());
    if let Some(label) = cloud.firewalls.get(firewall).map(|it| it.label.clone()) {
        events::note(cloud, now, "firewall_device_add", events::firewall(firewall, &label));
    }
    device
}

/// The firewalls before an entity.
pub fn firewalls_of(cloud: &LinodeWorld, kind: &str, entity_id: u64) -> Vec<u64> {
    cloud
        .devices
        .find(&format!("entity:{kind}/{entity_id}"))
        .map(|(_, device)| device.firewall)
        .collect()
}

/// Takes every firewall away from an entity, for instance because it is deleted.
pub fn detach_all(cloud: &mut LinodeWorld, kind: &str, entity_id: u64) {
    for id in cloud.devices.ids(&format!("entity:{kind}/{entity_id}")) {
        cloud.devices.remove(id);
    }
}

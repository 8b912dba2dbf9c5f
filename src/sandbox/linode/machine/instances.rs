//! Machines that exist: listed, read, changed, deleted, and their addresses and firewalls.

use serde_json::{Value, json};

use crate::linode::data::model::LinodeInstance;
use crate::linode::data::store::LinodeWorld;
use crate::linode::firewall::devices;
use crate::linode::machine::addresses;
use crate::linode::machine::create;
use crate::linode::machine::view;
use crate::linode::request::body::RequestBody;
use crate::linode::request::call::{CallResult, LinodeCall, LinodeError, done};
use crate::linode::request::events;
use crate::linode::request::listing::{Filterable, page};
use crate::linode::request::tags;
use crate::linode::volume::attachment;

const FILTERABLE: Filterable = &[
    "group",
    "id",
    "image",
    "interface_generation",
    "ipv4",
    "label",
    "placement_group.label",
    "placement_group.placement_group_type",
    "region",
    "tags",
];

const DAYS: [&str; 8] =
    ["Scheduling", "Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

const WINDOWS: [&str; 13] =
    ["Scheduling", "W0", "W2", "W4", "W6", "W8", "W10", "W12", "W14", "W16", "W18", "W20", "W22"];

fn known(cloud: &LinodeWorld, id: u64) -> Result<&LinodeInstance, LinodeError> {
    cloud.instances.get(id).ok_or_else(LinodeError::not_found)
}

pub fn list(cloud: &LinodeWorld, call: &LinodeCall<'_>) -> CallResult {
    let rows = cloud.instances.iter().map(|(_, it)| view::instance(it, call.now)).collect();
    page(call, rows, FILTERABLE)
}

pub fn get(cloud: &LinodeWorld, call: &LinodeCall<'_>, id: u64) -> CallResult {
    Ok(view::instance(known(cloud, id)?, call.now))
}

pub fn put(cloud: &mut LinodeWorld, call: &LinodeCall<'_>, id: u64) -> CallResult {
    known(cloud, id)?;
    let mut form = RequestBody::new(&call.body);
    let label = create::label(&mut form, cloud, Some(id));
    let tag_list = form.tags();
    let group = form.text("group");
    let watchdog = form.flag("watchdog_enabled");
    let policy = create::maintenance_policy(&mut form);
    let alerts = form.object("alerts");
    let schedule =
        form.object("backups").and_then(|it| it.get("schedule")).and_then(Value::as_object);
    let (mut day, mut window) = (None, None);
    if let Some(schedule) = schedule {
        let mut nested = RequestBody::within(schedule, "backups.schedule.");
        day = nested.one_of("day", &DAYS);
        window = nested.one_of("window", &WINDOWS);
        form.absorb(nested);
    }
    form.finish()?;

    let new_tags = tag_list.clone().unwrap_or_default();
    tags::learn(cloud, &new_tags);
    cloud.instances.edit(id, |it| {
        it.label = label.unwrap_or_else(|| it.label.clone());
        it.tags = tag_list.unwrap_or_else(|| it.tags.clone());
        it.group = group.unwrap_or_else(|| it.group.clone());
        it.watchdog_enabled = watchdog.unwrap_or(it.watchdog_enabled);
        it.maintenance_policy = policy.unwrap_or_else(|| it.maintenance_policy.clone());
        for (name, value) in alerts.into_iter().flatten() {
            if it.alerts.get(name).is_some() {
                it.alerts[name] = value.clone();
            }
        }
        it.backup_day = day.or(it.backup_day.take());
        it.backup_window = window.or(it.backup_window.take());
        it.updated = call.now;
    });
    let view = get(cloud, call, id)?;
    let label = view["label"].as_str().unwrap_or_default();
    events::note(cloud, call.now, "linode_update", events::linode(id, label));
    Ok(view)
}

/// Always accepted, whatever job runs: addresses, disks and the place behind firewalls are free at once, volumes soon.
pub fn delete(cloud: &mut LinodeWorld, call: &LinodeCall<'_>, id: u64) -> CallResult {
    let instance = cloud.instances.remove(id).ok_or_else(LinodeError::not_found)?;
    devices::detach_all(cloud, "linode", id);
    attachment::leave(cloud, call.now, id);
    let job = Some((call.now, call.now + 2_000));
    let who = events::linode(id, &instance.label);
    events::write(cloud, call.now, "linode_delete", job, who, Value::Null);
    done()
}

pub fn addresses(cloud: &LinodeWorld, id: u64) -> CallResult {
    Ok(view::addresses(known(cloud, id)?))
}

pub fn add_address(cloud: &mut LinodeWorld, call: &LinodeCall<'_>, id: u64) -> CallResult {
    let instance = known(cloud, id)?;
    let mut form = RequestBody::new(&call.body);
    form.require("type");
    form.require("public");
    form.unmodelled(&["address"]);
    if form.text("type").is_some_and(|kind| kind != "ipv4") {
        form.objection("Only addresses of type ipv4 are currently supported.");
    }
    let public = form.flag("public").unwrap_or(false);
    if !public && form.is_clean() && instance.private.is_some() {
        form.objection("Linode already has a private IP address.");
    }
    form.finish()?;
    let region = instance.region.clone();
    let address = if public {
        addresses::public_ipv4(cloud)
    } else {
        addresses::private_ipv4(cloud, &region)
    };
    cloud.instances.edit(id, |it| {
        if public {
            it.public.push(address.clone());
        } else {
            it.private = Some(address.clone());
        }
        it.updated = call.now;
    });
    let view = view::address(known(cloud, id)?, &address, public);
    let label = known(cloud, id)?.label.clone();
    events::note(cloud, call.now, "linode_addip", events::linode(id, &label));
    Ok(view)
}

/// One address of a machine.
pub fn address(cloud: &LinodeWorld, id: u64, address: &str) -> CallResult {
    let instance = known(cloud, id)?;
    let public = instance.public.iter().any(|it| it == address);
    if !public && instance.private.as_deref() != Some(address) {
        return Err(LinodeError::not_found());
    }
    Ok(view::address(instance, address, public))
}

pub fn remove_address(
    cloud: &mut LinodeWorld,
    call: &LinodeCall<'_>,
    id: u64,
    address: &str,
) -> CallResult {
    let instance = known(cloud, id)?;
    let public = instance.public.iter().any(|it| it == address);
    if !public && instance.private.as_deref() != Some(address) {
        return Err(LinodeError::not_found());
    }
    if public && instance.public.len() == 1 {
        return Err(LinodeError::plain("Linode must have at least one public IPv4 address."));
    }
    let label = instance.label.clone();
    cloud.instances.edit(id, |it| {
        it.public.retain(|ip| ip != address);
        it.private.take_if(|ip| ip == address);
    });
    events::note(cloud, call.now, "linode_deleteip", events::linode(id, &label));
    done()
}

pub fn disks(cloud: &LinodeWorld, call: &LinodeCall<'_>, id: u64) -> CallResult {
    page(call, view::disks(known(cloud, id)?, call.now), &["label", "size"])
}

pub fn configs(cloud: &LinodeWorld, call: &LinodeCall<'_>, id: u64) -> CallResult {
    page(call, view::configs(known(cloud, id)?), &["label", "interfaces.label", "interfaces"])
}

/// The balancers with a node that points at this machine's private address.
pub fn nodebalancers(cloud: &LinodeWorld, id: u64) -> Result<Vec<u64>, LinodeError> {
    let instance = known(cloud, id)?;
    let Some(private) = &instance.private else { return Ok(Vec::new()) };
    let mut found: Vec<u64> = cloud
        .nodes
        .find(&format!("host:{private}"))
        .filter(|(_, node)| {
            cloud
                .nodebalancers
                .get(node.nodebalancer)
                .is_some_and(|it| it.region == instance.region)
        })
        .map(|(_, node)| node.nodebalancer)
        .collect();
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// `GET /networking/ips`: every address that a machine or a balancer has.
pub fn all_addresses(cloud: &LinodeWorld, call: &LinodeCall<'_>) -> CallResult {
    let mut rows = Vec::new();
    for (_, it) in cloud.instances.iter() {
        rows.extend(it.public.iter().map(|ip| view::address(it, ip, true)));
        rows.extend(it.private.iter().map(|ip| view::address(it, ip, false)));
        rows.push(view::slaac(it));
    }
    for (id, it) in cloud.nodebalancers.iter() {
        rows.push(json!({
            "address": it.ipv4, "gateway": null, "subnet_mask": "255.255.255.0", "prefix": 24, "type": "ipv4",
            "public": true, "rdns": null, "linode_id": null, "interface_id": null, "region": it.region,
            "vpc_nat_1_1": null, "reserved": false, "tags": [],
            "assigned_entity": {
                "id": id, "type": "nodebalancer", "label": it.label, "url": format!("/v4/nodebalancers/{id}"),
            },
        }));
    }
    page(call, rows, &["linode_id", "reserved", "region"])
}

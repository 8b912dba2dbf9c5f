//! Everything that exists at Linode, told in short; write-only inputs are shown here and nowhere else.

use serde_json::{Map, Value, json};

use crate::faults::state::Faults;
use crate::http::Millis;
use crate::linode::balancer::health;
use crate::linode::data::model::{Config, Domain, Firewall, LinodeInstance, NodeBalancer, Volume};
use crate::linode::data::store::LinodeWorld;
use crate::linode::firewall::devices;

/// Collections by name; empty ones are left out.
pub fn show(cloud: &LinodeWorld, faults: &Faults, now: Millis) -> Value {
    let mut all = Map::new();
    let mut add = |name: &str, rows: Vec<Value>| {
        if !rows.is_empty() {
            all.insert(name.into(), Value::Array(rows));
        }
    };
    add("instances", cloud.instances.iter().map(|(_, it)| instance(it, faults, now)).collect());
    let balancers = cloud.nodebalancers.iter();
    add("nodebalancers", balancers.map(|(_, it)| balancer(cloud, faults, now, it)).collect());
    add("domains", cloud.domains.iter().map(|(_, it)| domain(cloud, it)).collect());
    add("firewalls", cloud.firewalls.iter().map(|(_, it)| firewall(cloud, it)).collect());
    let volumes = cloud.volumes.iter();
    add("volumes", volumes.map(|(_, it)| volume(it, now)).collect());
    add(
        "sshkeys",
        cloud.sshkeys.iter().map(|(id, it)| json!({ "id": id, "label": it.label })).collect(),
    );
    Value::Object(all)
}

fn instance(it: &LinodeInstance, faults: &Faults, now: Millis) -> Value {
    let user_data = it.user_data.as_ref().map(|text| {
        let bytes = data_encoding::BASE64.decode(text.as_bytes()).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    });
    json!({
        "id": it.id, "label": it.label, "region": it.region, "type": it.plan_at(now), "image": it.image,
        "status": it.timeline.status(now), "healthy": !faults.is_unhealthy(&it.label),
        "ipv4": it.addresses(), "ipv6": it.ipv6, "tags": it.tags, "user_data": user_data,
    })
}

fn balancer(cloud: &LinodeWorld, faults: &Faults, now: Millis, it: &NodeBalancer) -> Value {
    let configs = cloud.configs.find(&format!("nodebalancer:{}", it.id));
    let configs: Vec<Value> = configs.map(|(_, config)| port(cloud, faults, now, config)).collect();
    json!({
        "id": it.id, "label": it.label, "region": it.region, "ipv4": it.ipv4, "tags": it.tags, "configs": configs,
    })
}

fn port(cloud: &LinodeWorld, faults: &Faults, now: Millis, config: &Config) -> Value {
    let nodes: Vec<Value> = cloud
        .nodes
        .find(&format!("config:{}", config.id))
        .map(|(id, node)| {
            json!({
                "id": id, "label": node.label, "address": node.address, "mode": node.mode, "weight": node.weight,
                "status": health::status(cloud, faults, now, config, node),
            })
        })
        .collect();
    json!({
        "id": config.id, "port": config.port, "protocol": config.protocol, "check": config.check, "nodes": nodes,
    })
}

fn domain(cloud: &LinodeWorld, it: &Domain) -> Value {
    let records: Vec<Value> = cloud
        .records
        .find(&format!("domain:{}", it.id))
        .map(|(id, record)| {
            json!({
                "id": id, "type": record.kind, "name": record.name, "target": record.target,
                "ttl_sec": record.ttl_sec,
            })
        })
        .collect();
    json!({ "id": it.id, "domain": it.domain, "type": it.kind, "tags": it.tags, "records": records })
}

fn volume(it: &Volume, now: Millis) -> Value {
    json!({
        "id": it.id, "label": it.label, "region": it.region, "size": it.size, "status": it.status(now),
        "linode": it.linode_at(now), "tags": it.tags,
    })
}

fn firewall(cloud: &LinodeWorld, it: &Firewall) -> Value {
    let entities: Vec<Value> = cloud
        .devices
        .find(&format!("firewall:{}", it.id))
        .map(|(_, device)| devices::entity(cloud, device))
        .collect();
    json!({
        "id": it.id, "label": it.label, "status": it.status, "version": it.version, "tags": it.tags,
        "entities": entities,
    })
}

//! The backends of a config: an address on the private network, a weight and a mode; their status is looked up live.

use serde_json::{Map, Value, json};

use crate::http::Millis;
use crate::linode::balancer::health;
use crate::linode::data::model::{BalancerNode, Config};
use crate::linode::data::store::LinodeWorld;
use crate::linode::request::body::{RequestBody, is_ipv4, is_ipv6};
use crate::linode::request::call::{CallResult, LinodeCall, LinodeError, done};
use crate::linode::request::events;
use crate::linode::request::listing::page;

fn view(cloud: &LinodeWorld, call: &LinodeCall<'_>, config: &Config, it: &BalancerNode) -> Value {
    json!({
        "id": it.id, "address": it.address, "label": it.label,
        "status": health::status(cloud, call.faults, call.now, config, it), "weight": it.weight,
        "mode": it.mode, "config_id": it.config, "nodebalancer_id": it.nodebalancer, "vpc_config_id": null,
    })
}

fn config(cloud: &LinodeWorld, nodebalancer: u64, id: u64) -> Result<&Config, LinodeError> {
    cloud
        .configs
        .get(id)
        .filter(|it| it.nodebalancer == nodebalancer)
        .ok_or_else(LinodeError::not_found)
}

fn known(cloud: &LinodeWorld, config: u64, id: u64) -> Result<&BalancerNode, LinodeError> {
    cloud.nodes.get(id).filter(|it| it.config == config).ok_or_else(LinodeError::not_found)
}

/// `ip:port` with a private IPv4, or `[ip]:port` with an IPv6.
fn check_address(form: &mut RequestBody<'_>, address: &str) {
    let parts =
        address.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok_and(|it| it > 0));
    let Some((host, _)) = parts else {
        return form.error("address", "Must be in address:port format;");
    };
    let six = host.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    if six.is_some_and(is_ipv6) {
        return;
    }
    if !is_ipv4(host) {
        form.error("address", "Must be in address:port format;");
    } else if !host.starts_with("192.168.") {
        form.error("address", "Must begin with 192.168");
    }
}

/// Lays a body over a node; `prefix` names nested ones.
fn read(form: &mut RequestBody<'_>, base: Option<BalancerNode>, protocol: &str) -> BalancerNode {
    if base.is_none() {
        form.require("label");
        form.require("address");
    }
    form.unmodelled(&["subnet_id"]);
    let udp = protocol == "udp";
    let mut it = base.unwrap_or_else(|| BalancerNode {
        id: 0,
        config: 0,
        nodebalancer: 0,
        label: String::new(),
        address: String::new(),
        weight: 50,
        mode: if udp { "none" } else { "accept" }.into(),
        since: 0,
        created: 0,
    });
    if let Some(label) = form.sized("label", 3, 32) {
        if !label.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)) {
            form.error(
                "label",
                "Must only use ASCII letters, numbers, underscores, dashes, and periods",
            );
        }
        it.label = label;
    }
    if let Some(address) = form.text("address") {
        check_address(form, &address);
        it.address = address;
    }
    it.weight = form.ranged("weight", 1, 255).unwrap_or(it.weight);
    let mode = form.one_of("mode", &["accept", "reject", "drain", "backup", "none"]);
    if !udp {
        it.mode = mode.filter(|mode| mode != "none").unwrap_or(it.mode);
    }
    it
}

/// The `nodes` of a config body; those with an `id` keep it.
pub fn nested(
    form: &mut RequestBody<'_>,
    body: &Map<String, Value>,
    prefix: &str,
    protocol: &str,
) -> Vec<BalancerNode> {
    let mut nodes = Vec::new();
    let Some(items) = body.get("nodes").and_then(Value::as_array) else { return nodes };
    for (index, item) in items.iter().enumerate() {
        let Some(body) = item.as_object() else {
            form.error("nodes", "nodes must be an array of objects");
            continue;
        };
        let mut inner = RequestBody::within(body, &format!("{prefix}nodes[{index}]."));
        let mut node = read(&mut inner, None, protocol);
        node.id = inner.number("id").unwrap_or(0);
        form.absorb(inner);
        nodes.push(node);
    }
    nodes
}

/// Stores a node, under a new number if it has none; checks start over when its address is new.
pub fn store(
    cloud: &mut LinodeWorld,
    now: Millis,
    nodebalancer: u64,
    config: u64,
    node: BalancerNode,
) -> u64 {
    let id = if node.id == 0 { cloud.next_id("node") } else { node.id };
    let old = cloud.nodes.get(id);
    let created = old.map_or(now, |old| old.created);
    let since = old.filter(|old| old.address == node.address).map_or(now, |old| old.since);
    cloud.nodes.put(id, BalancerNode { id, config, nodebalancer, since, created, ..node });
    id
}

fn note(cloud: &mut LinodeWorld, call: &LinodeCall<'_>, nodebalancer: u64, action: &str) {
    if let Some(label) = cloud.nodebalancers.get(nodebalancer).map(|it| it.label.clone()) {
        events::note(cloud, call.now, action, events::nodebalancer(nodebalancer, &label));
    }
}

pub fn list(
    cloud: &LinodeWorld,
    call: &LinodeCall<'_>,
    nodebalancer: u64,
    config_id: u64,
) -> CallResult {
    let config = config(cloud, nodebalancer, config_id)?;
    let key = format!("config:{config_id}");
    page(call, cloud.nodes.find(&key).map(|(_, it)| view(cloud, call, config, it)).collect(), &[])
}

pub fn get(
    cloud: &LinodeWorld,
    call: &LinodeCall<'_>,
    nodebalancer: u64,
    config_id: u64,
    id: u64,
) -> CallResult {
    let config = config(cloud, nodebalancer, config_id)?;
    Ok(view(cloud, call, config, known(cloud, config_id, id)?))
}

pub fn create(
    cloud: &mut LinodeWorld,
    call: &LinodeCall<'_>,
    nodebalancer: u64,
    config_id: u64,
) -> CallResult {
    let protocol = config(cloud, nodebalancer, config_id)?.protocol.clone();
    let mut form = RequestBody::new(&call.body);
    let node = read(&mut form, None, &protocol);
    form.finish()?;
    let id = store(cloud, call.now, nodebalancer, config_id, node);
    note(cloud, call, nodebalancer, "nodebalancer_node_create");
    get(cloud, call, nodebalancer, config_id, id)
}

pub fn put(
    cloud: &mut LinodeWorld,
    call: &LinodeCall<'_>,
    nodebalancer: u64,
    config_id: u64,
    id: u64,
) -> CallResult {
    let protocol = config(cloud, nodebalancer, config_id)?.protocol.clone();
    let base = known(cloud, config_id, id)?.clone();
    let mut form = RequestBody::new(&call.body);
    let node = read(&mut form, Some(base), &protocol);
    form.finish()?;
    store(cloud, call.now, nodebalancer, config_id, node);
    note(cloud, call, nodebalancer, "nodebalancer_node_update");
    get(cloud, call, nodebalancer, config_id, id)
}

pub fn delete(
    cloud: &mut LinodeWorld,
    call: &LinodeCall<'_>,
    nodebalancer: u64,
    config_id: u64,
    id: u64,
) -> CallResult {
    config(cloud, nodebalancer, config_id)?;
    known(cloud, config_id, id)?;
    cloud.nodes.remove(id);
    note(cloud, call, nodebalancer, "nodebalancer_node_delete");
    done()
}

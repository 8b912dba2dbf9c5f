//! The ports of NodeBalancers: defaults, checks, certificates, and the rebuild that replaces all nodes at once.

use serde_json::{Value, json};

use crate::linode::balancer::certificate;
use crate::linode::balancer::health;
use crate::linode::balancer::nodes;
use crate::linode::data::model::{BalancerNode, Config};
use crate::linode::data::store::LinodeWorld;
use crate::linode::request::body::RequestBody;
use crate::linode::request::call::{CallResult, LinodeCall, LinodeError, done};
use crate::linode::request::events;
use crate::linode::request::listing::page;

/// What a config is before anyone said anything, by protocol.
fn blank(protocol: &str) -> Config {
    let udp = protocol == "udp";
    Config {
        id: 0,
        created: 0,
        nodebalancer: 0,
        port: 80,
        protocol: protocol.into(),
        algorithm: "roundrobin".into(),
        stickiness: if udp { "session" } else { "none" }.into(),
        check: "none".into(),
        check_interval: 31,
        check_timeout: 30,
        check_attempts: 3,
        check_path: String::new(),
        check_body: String::new(),
        check_passive: !udp,
        proxy_protocol: "none".into(),
        cipher_suite: if udp { "none" } else { "recommended" }.into(),
        udp_check_port: 80,
        ssl_cert: None,
        ssl_key: None,
    }
}

pub fn view(cloud: &LinodeWorld, call: &LinodeCall<'_>, it: &Config) -> Value {
    let (up, down) = health::count(cloud, call.faults, call.now, it);
    let cert = it.ssl_cert.as_deref();
    json!({
        "id": it.id, "port": it.port, "protocol": it.protocol, "algorithm": it.algorithm,
        "stickiness": it.stickiness, "check": it.check, "check_interval": it.check_interval,
        "check_timeout": it.check_timeout, "check_attempts": it.check_attempts, "check_path": it.check_path,
        "check_body": it.check_body, "check_passive": it.check_passive, "proxy_protocol": it.proxy_protocol,
        "cipher_suite": it.cipher_suite, "nodebalancer_id": it.nodebalancer,
        "ssl_commonname": cert.map(certificate::common_name).unwrap_or_default(),
        "ssl_fingerprint": cert.map(certificate::fingerprint).unwrap_or_default(),
        "ssl_cert": cert.map(|_| "<REDACTED>"), "ssl_key": it.ssl_key.as_ref().map(|_| "<REDACTED>"),
        "nodes_status": { "up": up, "down": down }, "udp_check_port": it.udp_check_port,
        "udp_session_timeout": 16,
    })
}

/// Lays the body over a config and checks the whole; `taken` are the ports that others of the family use.
fn read(form: &mut RequestBody<'_>, base: Option<Config>, taken: &[u64]) -> Config {
    let protocol = form.one_of("protocol", &["http", "https", "tcp", "udp"]);
    let mut it = base.unwrap_or_else(|| blank(protocol.as_deref().unwrap_or("http")));
    let protocol = protocol.unwrap_or_else(|| it.protocol.clone());
    let udp = protocol == "udp";
    if udp != (it.protocol == "udp") {
        // The families share neither words nor defaults.
        let fresh = blank(&protocol);
        it.algorithm = fresh.algorithm;
        it.stickiness = fresh.stickiness;
        it.check_passive = fresh.check_passive;
        it.cipher_suite = fresh.cipher_suite;
        it.proxy_protocol = fresh.proxy_protocol;
    }
    it.protocol = protocol;
    let algorithms: &[&str] = if udp {
        &["roundrobin", "leastconn", "ring_hash"]
    } else {
        &["roundrobin", "leastconn", "source"]
    };
    let stickiness: &[&str] =
        if udp { &["none", "session", "source_ip"] } else { &["none", "table", "http_cookie"] };
    it.port = form.ranged("port", 1, 65_535).unwrap_or(it.port);
    it.algorithm = form.one_of("algorithm", algorithms).unwrap_or(it.algorithm);
    it.stickiness = form.one_of("stickiness", stickiness).unwrap_or(it.stickiness);
    it.check =
        form.one_of("check", &["none", "connection", "http", "http_body"]).unwrap_or(it.check);
    it.check_interval = form.ranged("check_interval", 2, 3_600).unwrap_or(it.check_interval);
    it.check_timeout = form.ranged("check_timeout", 1, 30).unwrap_or(it.check_timeout);
    it.check_attempts = form.ranged("check_attempts", 1, 30).unwrap_or(it.check_attempts);
    it.check_path = form.text("check_path").unwrap_or(it.check_path);
    it.check_body = form.text("check_body").unwrap_or(it.check_body);
    if !udp {
        it.check_passive = form.flag("check_passive").unwrap_or(it.check_passive);
        let suites = ["recommended", "legacy"];
        it.cipher_suite = form.one_of("cipher_suite", &suites).unwrap_or(it.cipher_suite);
    }
    it.proxy_protocol =
        form.one_of("proxy_protocol", &["none", "v1", "v2"]).unwrap_or(it.proxy_protocol);
    it.udp_check_port = form.ranged("udp_check_port", 1, 65_535).unwrap_or(it.udp_check_port);
    certificates(form, &mut it);
    agree(form, &it, taken);
    it
}

fn certificates(form: &mut RequestBody<'_>, it: &mut Config) {
    for (field, place, marker) in [
        ("ssl_cert", &mut it.ssl_cert, "CERTIFICATE-----"),
        ("ssl_key", &mut it.ssl_key, "PRIVATE KEY-----"),
    ] {
        if let Some(text) = form.text(field) {
            if it.protocol != "https" {
                form.error(field, format!("{field} is only allowed when protocol is https"));
            } else if !certificate::is_pem(&text, marker) {
                form.error(field, "must be PEM");
            }
            *place = Some(text);
        } else if it.protocol == "https" && place.is_none() {
            form.error(field, format!("{field} is required"));
        }
        if it.protocol != "https" {
            *place = None;
        }
    }
}

/// What no single field can be checked for.
fn agree(form: &mut RequestBody<'_>, it: &Config, taken: &[u64]) {
    if it.check_timeout >= it.check_interval {
        let field = if form.has("check_timeout") { "check_timeout" } else { "check_interval" };
        form.error(field, "check_timeout must be less than check_interval");
    }
    let path_char = |c: char| c.is_ascii_alphanumeric() || "/-%?&=._".contains(c);
    if !it.check_path.chars().all(path_char) {
        form.error("check_path", "check_path contains invalid characters");
    }
    if matches!(it.check.as_str(), "http" | "http_body") && it.check_path.is_empty() {
        form.error("check_path", "check_path is required");
    }
    if it.check == "http_body" && it.check_body.is_empty() {
        form.error("check_body", "check_body is required");
    }
    if it.proxy_protocol != "none" && it.protocol != "tcp" {
        form.error("proxy_protocol", "proxy_protocol is only supported for protocol tcp");
    }
    if taken.contains(&it.port) {
        form.error("port", "Port must be unique among the configurations of a NodeBalancer");
    }
}

/// Ports in use by the balancer's other configs of the same family (TCP and UDP may share a number).
fn taken(cloud: &LinodeWorld, nodebalancer: u64, protocol: &str, own: Option<u64>) -> Vec<u64> {
    cloud
        .configs
        .find(&format!("nodebalancer:{nodebalancer}"))
        .filter(|(id, it)| Some(*id) != own && (it.protocol == "udp") == (protocol == "udp"))
        .map(|(_, it)| it.port)
        .collect()
}

fn known(cloud: &LinodeWorld, nodebalancer: u64, id: u64) -> Result<&Config, LinodeError> {
    cloud
        .configs
        .get(id)
        .filter(|it| it.nodebalancer == nodebalancer)
        .ok_or_else(LinodeError::not_found)
}

fn wanted_protocol(call: &LinodeCall<'_>, or: &str) -> String {
    call.body.get("protocol").and_then(Value::as_str).unwrap_or(or).to_owned()
}

/// The nested configs of a balancer that is being made.
pub fn nested(form: &mut RequestBody<'_>) -> Vec<(Config, Vec<BalancerNode>)> {
    let mut configs: Vec<(Config, Vec<BalancerNode>)> = Vec::new();
    for (index, item) in form.list("configs").into_iter().flatten().enumerate() {
        let prefix = format!("configs[{index}].");
        let Some(body) = item.as_object() else {
            form.error("configs", "configs must be an array of objects");
            continue;
        };
        let mut inner = RequestBody::within(body, &prefix);
        let udp = body.get("protocol").is_some_and(|it| it == "udp");
        let ports: Vec<u64> = configs
            .iter()
            .filter(|(it, _)| (it.protocol == "udp") == udp)
            .map(|(it, _)| it.port)
            .collect();
        let config = read(&mut inner, None, &ports);
        let nodes = nodes::nested(&mut inner, body, &prefix, &config.protocol);
        form.absorb(inner);
        configs.push((config, nodes));
    }
    configs
}

/// Stores a config under a new number, with its nodes.
pub fn store(
    cloud: &mut LinodeWorld,
    call: &LinodeCall<'_>,
    nodebalancer: u64,
    config: Config,
    nodes: Vec<BalancerNode>,
) -> u64 {
    let id = cloud.next_id("config");
    cloud.configs.put(id, Config { id, nodebalancer, created: call.now, ..config });
    for node in nodes {
        nodes::store(cloud, call.now, nodebalancer, id, node);
    }
    note(cloud, call, nodebalancer, "nodebalancer_config_create");
    id
}

fn note(cloud: &mut LinodeWorld, call: &LinodeCall<'_>, nodebalancer: u64, action: &str) {
    if let Some(label) = cloud.nodebalancers.get(nodebalancer).map(|it| it.label.clone()) {
        events::note(cloud, call.now, action, events::nodebalancer(nodebalancer, &label));
    }
}

pub fn list(cloud: &LinodeWorld, call: &LinodeCall<'_>, nodebalancer: u64) -> CallResult {
    cloud.nodebalancers.get(nodebalancer).ok_or_else(LinodeError::not_found)?;
    let key = format!("nodebalancer:{nodebalancer}");
    page(call, cloud.configs.find(&key).map(|(_, it)| view(cloud, call, it)).collect(), &[])
}

pub fn get(cloud: &LinodeWorld, call: &LinodeCall<'_>, nodebalancer: u64, id: u64) -> CallResult {
    Ok(view(cloud, call, known(cloud, nodebalancer, id)?))
}

pub fn create(cloud: &mut LinodeWorld, call: &LinodeCall<'_>, nodebalancer: u64) -> CallResult {
    cloud.nodebalancers.get(nodebalancer).ok_or_else(LinodeError::not_found)?;
    let ports = taken(cloud, nodebalancer, &wanted_protocol(call, "http"), None);
    let mut form = RequestBody::new(&call.body);
    let config = read(&mut form, None, &ports);
    let nodes = nodes::nested(&mut form, &call.body, "", &config.protocol);
    form.finish()?;
    let id = store(cloud, call, nodebalancer, config, nodes);
    get(cloud, call, nodebalancer, id)
}

pub fn put(
    cloud: &mut LinodeWorld,
    call: &LinodeCall<'_>,
    nodebalancer: u64,
    id: u64,
) -> CallResult {
    let base = known(cloud, nodebalancer, id)?.clone();
    let ports = taken(cloud, nodebalancer, &wanted_protocol(call, &base.protocol), Some(id));
    let mut form = RequestBody::new(&call.body);
    let config = read(&mut form, Some(base), &ports);
    form.finish()?;
    cloud.configs.put(id, config);
    note(cloud, call, nodebalancer, "nodebalancer_config_update");
    get(cloud, call, nodebalancer, id)
}

/// One call for a config and all its nodes: with an id updated, without one made, left out deleted.
pub fn rebuild(
    cloud: &mut LinodeWorld,
    call: &LinodeCall<'_>,
    nodebalancer: u64,
    id: u64,
) -> CallResult {
    let base = known(cloud, nodebalancer, id)?.clone();
    let ports = taken(cloud, nodebalancer, &wanted_protocol(call, &base.protocol), Some(id));
    let mut form = RequestBody::new(&call.body);
    if !form.has("nodes") {
        form.error("nodes", "nodes is required");
    }
    let config = read(&mut form, Some(base), &ports);
    let wanted = nodes::nested(&mut form, &call.body, "", &config.protocol);
    for (index, node) in wanted.iter().enumerate() {
        if node.id != 0 && cloud.nodes.get(node.id).is_none_or(|it| it.config != id) {
            form.error(&format!("nodes[{index}].id"), "id is not valid");
        }
    }
    form.finish()?;
    cloud.configs.put(id, config);
    for old in cloud.nodes.ids(&format!("config:{id}")) {
        if !wanted.iter().any(|node| node.id == old) {
            cloud.nodes.remove(old);
        }
    }
    for node in wanted {
        nodes::store(cloud, call.now, nodebalancer, id, node);
    }
    note(cloud, call, nodebalancer, "nodebalancer_config_update");
    get(cloud, call, nodebalancer, id)
}

/// Removes a config and its nodes.
pub fn remove(cloud: &mut LinodeWorld, id: u64) {
    for node in cloud.nodes.ids(&format!("config:{id}")) {
        cloud.nodes.remove(node);
    }
    cloud.configs.remove(id);
}

pub fn delete(
    cloud: &mut LinodeWorld,
    call: &LinodeCall<'_>,
    nodebalancer: u64,
    id: u64,
) -> CallResult {
    known(cloud, nodebalancer, id)?;
    remove(cloud, id);
    note(cloud, call, nodebalancer, "nodebalancer_config_delete");
    done()
}

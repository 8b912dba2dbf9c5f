//! Which fault domains a call depends on: those of every object that it names, by path or in its body.

use std::cell::LazyCell;
use std::collections::BTreeSet;

use serde_json::Value;

use crate::http::SandboxRequest;
use crate::linode::auth::segments;
use crate::linode::data::catalog;
use crate::linode::data::store::LinodeWorld;

const GLOBAL: &str = "global";

/// `linode:us-east` and the like, in their order; a list of everything depends on none.
pub fn fault_domains(cloud: &LinodeWorld, request: &SandboxRequest) -> Vec<String> {
    let Some(path) = segments(&request.path) else { return Vec::new() };
    let mut regions = BTreeSet::new();
    in_path(cloud, &request.method, &path, &mut regions);
    if matches!(request.method.as_str(), "POST" | "PUT") {
        let body = LazyCell::new(|| serde_json::from_slice(&request.body).unwrap_or(Value::Null));
        in_body(cloud, &path, &body, &mut regions);
    }
    regions.into_iter().map(|region| format!("linode:{region}")).collect()
}

/// The fault domain of the entity by which a list is narrowed: such a list answers all the same, but it names the object.
pub fn looked_for(cloud: &LinodeWorld, request: &SandboxRequest) -> Option<String> {
    let filter: Value = serde_json::from_str(request.header("x-filter")?).ok()?;
    let id = filter["entity.id"].as_u64()?;
    let region = match filter["entity.type"].as_str()? {
        "linode" => machine(cloud, id),
        "nodebalancer" => balancer(cloud, id),
        "volume" => volume(cloud, id),
        "domain" | "firewall" => Some(GLOBAL.to_owned()),
        _ => None,
    };
    region.map(|region| format!("linode:{region}"))
}

fn machine(cloud: &LinodeWorld, id: u64) -> Option<String> {
    cloud.instances.get(id).map(|it| it.region.clone())
}

fn balancer(cloud: &LinodeWorld, id: u64) -> Option<String> {
    cloud.nodebalancers.get(id).map(|it| it.region.clone())
}

fn volume(cloud: &LinodeWorld, id: u64) -> Option<String> {
    cloud.volumes.get(id).map(|it| it.region.clone())
}

fn entity(cloud: &LinodeWorld, kind: &str, id: u64) -> Option<String> {
    if kind == "nodebalancer" { balancer(cloud, id) } else { machine(cloud, id) }
}

fn in_path(cloud: &LinodeWorld, method: &str, path: &[&str], regions: &mut BTreeSet<String>) {
    let number = |text: &&str| text.parse::<u64>().ok();
    let global = match path {
        ["linode", "instances", id, ..] => {
            regions.extend(number(id).and_then(|id| machine(cloud, id)));
            false
        }
        ["nodebalancers", id, ..] => {
            regions.extend(number(id).and_then(|id| balancer(cloud, id)));
            false
        }
        ["volumes", id, ..] => {
            regions.extend(number(id).and_then(|id| volume(cloud, id)));
            false
        }
        ["networking", "firewalls", _, "devices", device, ..] => {
            let device = number(device).and_then(|id| cloud.devices.get(id));
            regions.extend(device.and_then(|it| entity(cloud, &it.entity_type, it.entity_id)));
            true
        }
        ["networking", "firewalls", "settings"] => false,
        ["networking", "firewalls"] | ["domains"] | ["profile", "sshkeys"] => method != "GET",
        ["networking", "firewalls", ..] | ["domains", ..] | ["profile", "sshkeys", ..] => true,
        _ => false,
    };
    if global {
        regions.insert(GLOBAL.to_owned());
    }
}

fn in_body(cloud: &LinodeWorld, path: &[&str], body: &Value, regions: &mut BTreeSet<String>) {
    let numbers = |list: &Value| -> Vec<u64> {
        list.as_array().into_iter().flatten().filter_map(Value::as_u64).collect()
    };
    match path {
        ["volumes", _, "attach"] => {
            regions.extend(body["linode_id"].as_u64().and_then(|id| machine(cloud, id)));
        }
        ["linode", "instances"] | ["nodebalancers" | "volumes"] => {
            regions.extend(body["linode_id"].as_u64().and_then(|id| machine(cloud, id)));
            let region = body["region"].as_str().filter(|it| catalog::region(it).is_some());
            regions.extend(region.map(str::to_owned));
            if body["firewall_id"].as_u64().is_some() {
                regions.insert(GLOBAL.to_owned());
            }
            for config in body["configs"].as_array().into_iter().flatten() {
                addresses(cloud, &config["nodes"], regions);
            }
        }
        ["networking", "firewalls"] => {
            let devices = &body["devices"];
            regions
                .extend(numbers(&devices["linodes"]).iter().filter_map(|id| machine(cloud, *id)));
            let balancers = numbers(&devices["nodebalancers"]);
            regions.extend(balancers.iter().filter_map(|id| balancer(cloud, *id)));
        }
        ["networking", "firewalls", _, "devices"] => {
            let kind = body["type"].as_str().unwrap_or_default();
            regions.extend(body["id"].as_u64().and_then(|id| entity(cloud, kind, id)));
        }
        [.., "firewalls"] if !numbers(&body["firewall_ids"]).is_empty() => {
            regions.insert(GLOBAL.to_owned());
        }
        ["nodebalancers", _, "configs", ..] => {
            regions.extend(behind(cloud, &body["address"]));
            addresses(cloud, &body["nodes"], regions);
        }
        _ => {}
    }
}

fn addresses(cloud: &LinodeWorld, nodes: &Value, regions: &mut BTreeSet<String>) {
    let nodes = nodes.as_array().into_iter().flatten();
    regions.extend(nodes.filter_map(|node| behind(cloud, &node["address"])));
}

/// The region of the machine behind a node's public address; private ones are the balancer's own region.
fn behind(cloud: &LinodeWorld, address: &Value) -> Option<String> {
    let (host, _) = address.as_str()?.rsplit_once(':')?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    cloud.instances.first(&format!("address:{host}")).map(|(_, it)| it.region.clone())
}

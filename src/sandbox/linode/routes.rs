//! The map of paths: which handler answers which method and path.

use serde_json::{Value, json};

use crate::linode::account::access;
use crate::linode::account::profile;
use crate::linode::balancer::balancers;
use crate::linode::balancer::configs;
use crate::linode::balancer::nodes;
use crate::linode::data::catalog;
use crate::linode::data::store::LinodeWorld;
use crate::linode::dns::domains;
use crate::linode::dns::records;
use crate::linode::firewall::firewalls;
use crate::linode::machine::create;
use crate::linode::machine::instances;
use crate::linode::machine::power;
use crate::linode::request::call::{CallResult, LinodeCall, LinodeError};
use crate::linode::request::events;
use crate::linode::request::listing::page;
use crate::linode::users;
use crate::linode::volume::attachment;
use crate::linode::volume::view;
use crate::linode::volume::volumes;

fn id(text: &str) -> Result<u64, LinodeError> {
    text.parse().map_err(|_| LinodeError::not_found())
}

/// Answers a call that has come through the door.
pub fn route(cloud: &mut LinodeWorld, call: &LinodeCall<'_>, path: &[&str]) -> CallResult {
    match path {
        ["linode", "instances", rest @ ..] => instance(cloud, call, rest),
        ["nodebalancers", rest @ ..] => balancer(cloud, call, rest),
        ["domains", rest @ ..] => domain(cloud, call, rest),
        ["networking", "firewalls", rest @ ..] => firewall(cloud, call, rest),
        ["volumes", rest @ ..] => volume(cloud, call, rest),
        _ => rest(cloud, call, path),
    }
}

fn method<'a>(call: &'a LinodeCall<'_>) -> &'a str {
    &call.request.method
}

fn unknown(path_exists: bool) -> CallResult {
    if path_exists {
        Err(LinodeError::with_status(405, "Method Not Allowed"))
    } else {
        Err(LinodeError::not_found())
    }
}

fn instance(cloud: &mut LinodeWorld, call: &LinodeCall<'_>, rest: &[&str]) -> CallResult {
    match (method(call), rest) {
        ("GET", []) => instances::list(cloud, call),
        ("POST", []) => create::create(cloud, call),
        ("GET", [it]) => instances::get(cloud, call, id(it)?),
        ("PUT", [it]) => instances::put(cloud, call, id(it)?),
        ("DELETE", [it]) => instances::delete(cloud, call, id(it)?),
        ("POST", [it, "boot"]) => power::boot(cloud, call, id(it)?),
        ("POST", [it, "shutdown"]) => power::shutdown(cloud, call, id(it)?),
        ("POST", [it, "reboot"]) => power::reboot(cloud, call, id(it)?),
        ("POST", [it, "resize"]) => power::resize(cloud, call, id(it)?),
        ("POST", [it, "rebuild"]) => power::rebuild(cloud, call, id(it)?),
        ("POST", [it, "backups", "enable"]) => power::backups(cloud, call, id(it)?, true),
        ("POST", [it, "backups", "cancel"]) => power::backups(cloud, call, id(it)?, false),
        ("GET", [it, "ips"]) => instances::addresses(cloud, id(it)?),
        ("POST", [it, "ips"]) => instances::add_address(cloud, call, id(it)?),
        ("GET", [it, "ips", address]) => instances::address(cloud, id(it)?, address),
        ("DELETE", [it, "ips", address]) => {
            instances::remove_address(cloud, call, id(it)?, address)
        }
        ("GET", [it, "disks"]) => instances::disks(cloud, call, id(it)?),
        ("GET", [it, "configs"]) => instances::configs(cloud, call, id(it)?),
        ("GET", [it, "volumes"]) => {
            instances::get(cloud, call, id(it)?)?;
            volumes::list_of(cloud, call, id(it)?)
        }
        (verb @ ("GET" | "PUT"), [it, "firewalls"]) => {
            instances::get(cloud, call, id(it)?)?;
            entity_firewalls(cloud, call, verb, "linode", id(it)?)
        }
        ("GET", [it, "nodebalancers"]) => {
            let found = instances::nodebalancers(cloud, id(it)?)?;
            let rows =
                found.iter().filter_map(|id| cloud.nodebalancers.get(*id)).map(balancers::view);
            page(call, rows.collect(), balancers::FILTERABLE)
        }
        (_, path) => unknown(path.len() < 2),
    }
}

fn entity_firewalls(
    cloud: &mut LinodeWorld,
    call: &LinodeCall<'_>,
    verb: &str,
    kind: &str,
    entity: u64,
) -> CallResult {
    match verb {
        "PUT" => firewalls::set_of_entity(cloud, call, kind, entity),
        _ => firewalls::of_entity(cloud, call, kind, entity),
    }
}

fn balancer(cloud: &mut LinodeWorld, call: &LinodeCall<'_>, rest: &[&str]) -> CallResult {
    match (method(call), rest) {
        ("GET", []) => balancers::list(cloud, call),
        ("POST", []) => balancers::create(cloud, call),
        ("GET", ["types"]) => page(call, vec![balancer_price()], &[]),
        ("GET", [it]) => balancers::get(cloud, id(it)?),
        ("PUT", [it]) => balancers::put(cloud, call, id(it)?),
        ("DELETE", [it]) => balancers::delete(cloud, call, id(it)?),
        ("GET", [it, "stats"]) => {
            balancers::get(cloud, id(it)?)?;
            Err(LinodeError::plain("Stats are unavailable at this time."))
        }
        ("GET", [it, "vpcs"]) => {
            balancers::get(cloud, id(it)?)?;
            page(call, Vec::new(), &[])
        }
        (verb @ ("GET" | "PUT"), [it, "firewalls"]) => {
            balancers::get(cloud, id(it)?)?;
            entity_firewalls(cloud, call, verb, "nodebalancer", id(it)?)
        }
        ("GET", [it, "configs"]) => configs::list(cloud, call, id(it)?),
        ("POST", [it, "configs"]) => configs::create(cloud, call, id(it)?),
        ("GET", [it, "configs", config]) => configs::get(cloud, call, id(it)?, id(config)?),
        ("PUT", [it, "configs", config]) => configs::put(cloud, call, id(it)?, id(config)?),
        ("DELETE", [it, "configs", config]) => configs::delete(cloud, call, id(it)?, id(config)?),
        ("POST", [it, "configs", config, "rebuild"]) => {
            configs::rebuild(cloud, call, id(it)?, id(config)?)
        }
        ("GET", [it, "configs", config, "nodes"]) => nodes::list(cloud, call, id(it)?, id(config)?),
        ("POST", [it, "configs", config, "nodes"]) => {
            nodes::create(cloud, call, id(it)?, id(config)?)
        }
        ("GET", [it, "configs", config, "nodes", node]) => {
            nodes::get(cloud, call, id(it)?, id(config)?, id(node)?)
        }
        ("PUT", [it, "configs", config, "nodes", node]) => {
            nodes::put(cloud, call, id(it)?, id(config)?, id(node)?)
        }
        ("DELETE", [it, "configs", config, "nodes", node]) => {
            nodes::delete(cloud, call, id(it)?, id(config)?, id(node)?)
        }
        (_, path) => unknown(path.len() < 2),
    }
}

fn balancer_price() -> Value {
    json!({
        "id": "nodebalancer", "label": "NodeBalancer", "price": { "hourly": 0.015, "monthly": 10.0 },
        "region_prices": [
            { "id": "id-cgk", "hourly": 0.018, "monthly": 12.0 }, { "id": "br-gru", "hourly": 0.021, "monthly": 14.0 },
        ],
        "transfer": 0,
    })
}

fn domain(cloud: &mut LinodeWorld, call: &LinodeCall<'_>, rest: &[&str]) -> CallResult {
    match (method(call), rest) {
        ("GET", []) => domains::list(cloud, call),
        ("POST", []) => domains::create(cloud, call),
        ("GET", [it]) => domains::get(cloud, id(it)?),
        ("PUT", [it]) => domains::put(cloud, call, id(it)?),
        ("DELETE", [it]) => domains::delete(cloud, call, id(it)?),
        ("GET", [it, "zone-file"]) => domains::zone_file(cloud, id(it)?),
        ("GET", [it, "records"]) => records::list(cloud, call, id(it)?),
        ("POST", [it, "records"]) => records::create(cloud, call, id(it)?),
        ("GET", [it, "records", record]) => records::get(cloud, id(it)?, id(record)?),
        ("PUT", [it, "records", record]) => records::put(cloud, call, id(it)?, id(record)?),
        ("DELETE", [it, "records", record]) => records::delete(cloud, call, id(it)?, id(record)?),
        (_, path) => unknown(path.len() < 2),
    }
}

fn firewall(cloud: &mut LinodeWorld, call: &LinodeCall<'_>, rest: &[&str]) -> CallResult {
    match (method(call), rest) {
        ("GET", []) => firewalls::list(cloud, call),
        ("POST", []) => firewalls::create(cloud, call),
        ("GET", ["settings"]) => Ok(json!({ "default_firewall_ids": {
            "linode": null, "nodebalancer": null, "public_interface": null, "vpc_interface": null,
        }})),
        ("GET", [it]) => firewalls::get(cloud, id(it)?),
        ("PUT", [it]) => firewalls::put(cloud, call, id(it)?),
        ("DELETE", [it]) => firewalls::delete(cloud, call, id(it)?),
        ("GET", [it, "rules"]) => firewalls::get_rules(cloud, id(it)?),
        ("PUT", [it, "rules"]) => firewalls::put_rules(cloud, call, id(it)?),
        ("GET", [it, "devices"]) => firewalls::list_devices(cloud, call, id(it)?),
        ("POST", [it, "devices"]) => firewalls::add_device(cloud, call, id(it)?),
        ("GET", [it, "devices", device]) => firewalls::get_device(cloud, id(it)?, id(device)?),
        ("DELETE", [it, "devices", device]) => {
            firewalls::remove_device(cloud, call, id(it)?, id(device)?)
        }
        (_, path) => unknown(path.len() < 2),
    }
}

fn volume(cloud: &mut LinodeWorld, call: &LinodeCall<'_>, rest: &[&str]) -> CallResult {
    match (method(call), rest) {
        ("GET", []) => volumes::list(cloud, call),
        ("POST", []) => volumes::create(cloud, call),
        ("GET", ["types"]) => volumes::types(call),
        ("GET", [it]) => view::get(cloud, call, id(it)?),
        ("PUT", [it]) => volumes::put(cloud, call, id(it)?),
        ("DELETE", [it]) => volumes::delete(cloud, call, id(it)?),
        ("POST", [it, "attach"]) => attachment::attach(cloud, call, id(it)?),
        ("POST", [it, "detach"]) => attachment::detach(cloud, call, id(it)?),
        ("POST", [it, "resize"]) => volumes::resize(cloud, call, id(it)?),
        (_, path) => unknown(path.len() < 2),
    }
}

/// Catalogues, account, profile and tags.
fn rest(cloud: &mut LinodeWorld, call: &LinodeCall<'_>, path: &[&str]) -> CallResult {
    let one = |row: Option<&Value>| row.cloned().ok_or_else(LinodeError::not_found);
    match (method(call), path) {
        ("GET", ["regions"]) => page(call, catalog::regions().to_vec(), &["country", "site_type"]),
        ("GET", ["regions", "availability"]) => {
            page(call, catalog::availability(None), &["available", "plan", "region"])
        }
        ("GET", ["regions", it, "availability"]) => {
            one(catalog::region(it))?;
            Ok(json!(catalog::availability(Some(it))))
        }
        ("GET", ["regions", it]) => one(catalog::region(it)),
        ("GET", ["linode", "types"]) => page(call, catalog::types().to_vec(), TYPE_FIELDS),
        ("GET", ["linode", "types", it]) => one(catalog::plan(it)),
        ("GET", ["images"]) => page(call, catalog::images().to_vec(), IMAGE_FIELDS),
        ("GET", ["images", it]) => one(catalog::image(it)),
        ("GET", ["images", vendor, it]) => one(catalog::image(&format!("{vendor}/{it}"))),
        ("GET", ["profile"]) => profile::profile(call),
        ("GET", ["profile", "grants"]) => access::grants(cloud, call),
        ("GET", ["profile", "sshkeys"]) => profile::list_keys(cloud, call),
        ("POST", ["profile", "sshkeys"]) => profile::create_key(cloud, call),
        ("GET", ["profile", "sshkeys", it]) => profile::get_key(cloud, id(it)?),
        ("PUT", ["profile", "sshkeys", it]) => profile::put_key(cloud, call, id(it)?),
        ("DELETE", ["profile", "sshkeys", it]) => profile::delete_key(cloud, call, id(it)?),
        ("GET", ["account"]) => profile::account(),
        ("GET", ["account", "settings"]) => profile::settings(),
        ("GET", ["account", "users"]) => users::list(cloud, call),
        ("POST", ["account", "users"]) => users::create(cloud, call),
        ("GET", ["account", "users", it]) => users::get(cloud, it),
        ("GET", ["account", "events"]) => events::list(cloud, call),
        ("GET", ["account", "events", it]) => events::get(cloud, call, id(it)?),
        ("POST", ["account", "events", it, "seen"]) => events::see(cloud, id(it)?),
        ("GET", ["networking", "ips"]) => instances::all_addresses(cloud, call),
        ("GET", ["tags"]) => profile::list_tags(cloud, call),
        ("POST", ["tags"]) => profile::create_tag(cloud, call),
        ("GET", ["tags", tag]) => profile::tagged(cloud, call, tag),
        ("DELETE", ["tags", tag]) => profile::delete_tag(cloud, tag),
        (_, ["regions" | "images" | "tags" | "account" | "profile"]) => unknown(true),
        _ => unknown(false),
    }
}

const TYPE_FIELDS: &[&str] = &[
    "class",
    "disk",
    "gpus",
    "label",
    "memory",
    "network_out",
    "transfer",
    "vcpus",
    "accelerated_devices",
];

const IMAGE_FIELDS: &[&str] =
    &["deprecated", "is_public", "is_shared", "label", "size", "status", "tags", "type", "vendor"];

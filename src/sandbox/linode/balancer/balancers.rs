//! NodeBalancers: made at once, usable at once, and taking their configs and nodes with them when they go.

use serde_json::{Value, json};

use crate::linode::balancer::configs;
use crate::linode::data::model::NodeBalancer;
use crate::linode::data::store::LinodeWorld;
use crate::linode::firewall::devices;
use crate::linode::machine::addresses;
use crate::linode::machine::create::{firewall, region};
use crate::linode::request::body::RequestBody;
use crate::linode::request::call::{CallResult, LinodeCall, LinodeError, done, stamp};
use crate::linode::request::events;
use crate::linode::request::listing::{Filterable, page};
use crate::linode::request::tags;

pub const FILTERABLE: Filterable = &["ipv4", "label", "locks", "region", "tags"];

pub fn view(it: &NodeBalancer) -> Value {
    json!({
        "id": it.id, "label": it.label, "region": it.region, "type": it.tier, "hostname": it.hostname(),
        "ipv4": it.ipv4, "ipv6": it.ipv6, "created": stamp(it.created), "updated": stamp(it.updated),
        "client_conn_throttle": it.client_conn_throttle,
        "client_udp_sess_throttle": it.client_udp_sess_throttle, "lke_cluster": null, "tags": it.tags,
        "transfer": { "in": null, "out": null, "total": null }, "frontend_address_type": "public",
        "frontend_vpc_subnet_id": null, "locks": [],
    })
}

pub fn list(cloud: &LinodeWorld, call: &LinodeCall<'_>) -> CallResult {
    page(call, cloud.nodebalancers.iter().map(|(_, it)| view(it)).collect(), FILTERABLE)
}

pub fn get(cloud: &LinodeWorld, id: u64) -> CallResult {
    cloud.nodebalancers.get(id).map(view).ok_or_else(LinodeError::not_found)
}

fn label(form: &mut RequestBody<'_>, cloud: &LinodeWorld, own: Option<u64>) -> Option<String> {
    let label = form.sized("label", 3, 32)?;
    if !label.chars().all(|it| it.is_ascii_alphanumeric() || matches!(it, '-' | '_')) {
        form.error("label", "Must only use ASCII letters, numbers, underscores, and dashes");
    }
    let taken = cloud.nodebalancers.first(&format!("label:{}", label.to_lowercase()));
    if taken.is_some_and(|(id, _)| Some(id) != own) {
        form.error("label", "Label must be unique among your NodeBalancers");
    }
    Some(label)
}

pub fn create(cloud: &mut LinodeWorld, call: &LinodeCall<'_>) -> CallResult {
    let mut form = RequestBody::new(&call.body);
    let region = region(&mut form, "NodeBalancers");
    let label = label(&mut form, cloud, None);
    let throttle = form.ranged("client_conn_throttle", 0, 20);
    let udp_throttle = form.ranged("client_udp_sess_throttle", 0, 20);
    let tier = form.one_of("type", &["common", "premium", "premium_40gb"]);
    let tag_list = form.tags().unwrap_or_default();
    let firewall = firewall(&mut form, cloud);
    form.unmodelled(&["ipv4", "vpcs", "backend_vpcs", "frontend_vpcs"]);
    let nested = configs::nested(&mut form);
    form.finish()?;

    let id = cloud.next_id("nodebalancer");
    let ipv4 = addresses::public_ipv4(cloud);
    let row = NodeBalancer {
        id,
        label: label.unwrap_or_else(|| format!("balancer{id}")),
        ipv6: addresses::balancer_ipv6(&ipv4, &region),
        ipv4,
        region,
        tier: tier.unwrap_or_else(|| "common".into()),
        client_conn_throttle: throttle.unwrap_or(0),
        client_udp_sess_throttle: udp_throttle.unwrap_or(0),
        tags: tag_list,
        created: call.now,
        updated: call.now,
    };
    tags::learn(cloud, &row.tags);
    let shown = view(&row);
    events::note(cloud, call.now, "nodebalancer_create", events::nodebalancer(id, &row.label));
    cloud.nodebalancers.put(id, row);
    if let Some(firewall) = firewall {
        devices::attach(cloud, call.now, firewall, "nodebalancer", id);
    }
    for (config, nodes) in nested {
        configs::store(cloud, call, id, config, nodes);
    }
    Ok(shown)
}

pub fn put(cloud: &mut LinodeWorld, call: &LinodeCall<'_>, id: u64) -> CallResult {
    get(cloud, id)?;
    let mut form = RequestBody::new(&call.body);
    let label = label(&mut form, cloud, Some(id));
    let throttle = form.ranged("client_conn_throttle", 0, 20);
    let udp_throttle = form.ranged("client_udp_sess_throttle", 0, 20);
    let tag_list = form.tags();
    form.finish()?;
    let new_tags = tag_list.clone().unwrap_or_default();
    tags::learn(cloud, &new_tags);
    let name = cloud.nodebalancers.edit(id, |it| {
        it.label = label.unwrap_or_else(|| it.label.clone());
        it.client_conn_throttle = throttle.unwrap_or(it.client_conn_throttle);
        it.client_udp_sess_throttle = udp_throttle.unwrap_or(it.client_udp_sess_throttle);
        it.tags = tag_list.unwrap_or_else(|| it.tags.clone());
        it.updated = call.now;
        it.label.clone()
    });
    let who = events::nodebalancer(id, &name.unwrap_or_default());
    events::note(cloud, call.now, "nodebalancer_update", who);
    get(cloud, id)
}

pub fn delete(cloud: &mut LinodeWorld, call: &LinodeCall<'_>, id: u64) -> CallResult {
    let row = cloud.nodebalancers.remove(id).ok_or_else(LinodeError::not_found)?;
    for config in cloud.configs.ids(&format!("nodebalancer:{id}")) {
        configs::remove(cloud, config);
    }
    devices::detach_all(cloud, "nodebalancer", id);
    events::note(cloud, call.now, "nodebalancer_delete", events::nodebalancer(id, &row.label));
    done()
}

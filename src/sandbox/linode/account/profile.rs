//! Whose account this is: profile, customer, settings, SSH keys, and tags seen as a list.

use serde_json::{Value, json};

use crate::linode::balancer::balancers;
use crate::linode::data::model::SshKey;
use crate::linode::data::store::LinodeWorld;
use crate::linode::dns::domains;
use crate::linode::machine::create::is_ssh_key;
use crate::linode::machine::view;
use crate::linode::request::body::RequestBody;
use crate::linode::request::call::{CallResult, LinodeCall, LinodeError, done, stamp};
use crate::linode::request::events;
use crate::linode::request::listing::page;
use crate::linode::request::tags;
use crate::linode::volume::view::volume as view_of_volume;

/// The sandbox's customer. It can never be a real one: the digits spell it out.
pub const EUUID: &str = "5A4DB0C5-0000-4000-8000-000000000000";

pub fn profile(call: &LinodeCall<'_>) -> CallResult {
    let (restricted, name) = (call.user.is_some(), call.who());
    let name = if restricted { name } else { "sandbox" };
    Ok(json!({
        "uid": 1, "username": name, "email": "sandbox@example.com", "timezone": "GMT",
        "email_notifications": false, "referrals": {
            "code": "", "url": "", "total": 0, "completed": 0, "pending": 0, "credit": 0.0,
        },
        "ip_whitelist_enabled": false, "lish_auth_method": "password_keys", "authorized_keys": null,
        "two_factor_auth": false, "restricted": restricted, "authentication_type": "password",
        "verified_phone_number": null, "user_type": "default",
    }))
}

pub fn account() -> CallResult {
    Ok(json!({
        "company": "Sandbox", "first_name": "Sand", "last_name": "Box", "email": "sandbox@example.com",
        "address_1": "", "address_2": "", "city": "", "state": "", "zip": "", "country": "US", "phone": "",
        "tax_id": "", "balance": 0.0, "balance_uninvoiced": 0.0, "active_since": "2018-01-02T03:04:05",
        "billing_source": "linode", "euuid": EUUID, "credit_card": { "last_four": null, "expiry": null },
        "active_promotions": [],
        "capabilities": ["Linodes", "NodeBalancers", "Cloud Firewall", "Block Storage", "Machine Images"],
    }))
}

pub fn settings() -> CallResult {
    Ok(json!({
        "managed": false, "network_helper": true, "longview_subscription": null, "backups_enabled": false,
        "object_storage": "active", "interfaces_for_new_linodes": "legacy_config_default_but_linode_allowed",
        "maintenance_policy": "linode/migrate",
    }))
}

fn key_view(it: &SshKey) -> Value {
    json!({ "id": it.id, "label": it.label, "ssh_key": it.ssh_key, "created": stamp(it.created) })
}

fn key_event(cloud: &mut LinodeWorld, call: &LinodeCall<'_>, id: u64, label: &str, action: &str) {
    let who = events::entity("user_ssh_key", id, label, &format!("/profile/sshkeys/{id}"));
    events::note(cloud, call.now, action, who);
}

pub fn list_keys(cloud: &LinodeWorld, call: &LinodeCall<'_>) -> CallResult {
    let own = cloud.sshkeys.iter().filter(|(_, it)| it.user == call.who());
    page(call, own.map(|(_, it)| key_view(it)).collect(), &["label"])
}

pub fn get_key(cloud: &LinodeWorld, id: u64) -> CallResult {
    cloud.sshkeys.get(id).map(key_view).ok_or_else(LinodeError::not_found)
}

pub fn create_key(cloud: &mut LinodeWorld, call: &LinodeCall<'_>) -> CallResult {
    let mut form = RequestBody::new(&call.body);
    form.require("label");
    form.require("ssh_key");
    let label = form.sized("label", 0, 64).unwrap_or_default();
    let ssh_key = form.text("ssh_key").unwrap_or_default();
    if form.has("ssh_key") && !is_ssh_key(&ssh_key) {
        form.error("ssh_key", "SSH Key contains invalid data.");
    }
    form.finish()?;
    let id = cloud.next_id("sshkey");
    key_event(cloud, call, id, &label, "user_ssh_key_add");
    cloud
        .sshkeys
        .put(id, SshKey { id, label, ssh_key, created: call.now, user: call.who().to_owned() });
    get_key(cloud, id)
}

pub fn put_key(cloud: &mut LinodeWorld, call: &LinodeCall<'_>, id: u64) -> CallResult {
    get_key(cloud, id)?;
    let mut form = RequestBody::new(&call.body);
    let label = form.sized("label", 0, 64);
    form.finish()?;
    let label = cloud.sshkeys.edit(id, |it| {
        it.label = label.unwrap_or_else(|| it.label.clone());
        it.label.clone()
    });
    key_event(cloud, call, id, &label.unwrap_or_default(), "user_ssh_key_update");
    get_key(cloud, id)
}

pub fn delete_key(cloud: &mut LinodeWorld, call: &LinodeCall<'_>, id: u64) -> CallResult {
    let row = cloud.sshkeys.remove(id).ok_or_else(LinodeError::not_found)?;
    key_event(cloud, call, id, &row.label, "user_ssh_key_delete");
    done()
}

pub fn list_tags(cloud: &LinodeWorld, call: &LinodeCall<'_>) -> CallResult {
    page(call, cloud.tags.iter().map(|(_, label)| json!({ "label": label })).collect(), &[])
}

/// Everything that wears a tag, as whole objects.
pub fn tagged(cloud: &LinodeWorld, call: &LinodeCall<'_>, tag: &str) -> CallResult {
    let key = tag.to_lowercase();
    cloud.tags.get(&key).ok_or_else(LinodeError::not_found)?;
    let index = format!("tag:{key}");
    let wrap = |kind: &str, data: Value| json!({ "type": kind, "data": data });
    let mut rows = Vec::new();
    let instances = cloud.instances.find(&index);
    rows.extend(instances.map(|(_, it)| wrap("linode", view::instance(it, call.now))));
    rows.extend(cloud.domains.find(&index).map(|(_, it)| wrap("domain", domains::view(it))));
    rows.extend(
        cloud.nodebalancers.find(&index).map(|(_, it)| wrap("nodebalancer", balancers::view(it))),
    );
    let worn = cloud.volumes.find(&index);
    rows.extend(worn.map(|(_, it)| wrap("volume", view_of_volume(cloud, it, call.now))));
    page(call, rows, &[])
}

pub fn create_tag(cloud: &mut LinodeWorld, call: &LinodeCall<'_>) -> CallResult {
    let mut form = RequestBody::new(&call.body);
    form.require("label");
    let label = form.sized("label", 3, 50).unwrap_or_default();
    form.unmodelled(&["reserved_ipv4_addresses"]);
    let wearers = wearers(&mut form, cloud);
    if cloud.tags.get(&label.to_lowercase()).is_some() {
        form.error("label", "Tag already exists");
    }
    form.finish()?;
    tags::learn(cloud, std::slice::from_ref(&label));
    for (kind, id) in wearers {
        tags::put_on(cloud, kind, id, &label);
    }
    Ok(json!({ "label": label }))
}

/// The objects that are to wear a new tag, if all of them exist.
fn wearers(form: &mut RequestBody<'_>, cloud: &LinodeWorld) -> Vec<(&'static str, u64)> {
    let mut wearers = Vec::new();
    for kind in ["linodes", "domains", "nodebalancers", "firewalls", "volumes"] {
        for item in form.list(kind).into_iter().flatten() {
            match item.as_u64().filter(|id| tags::exists(cloud, kind, *id)) {
                Some(id) => wearers.push((kind, id)),
                None => form.error(kind, format!("{item} is not valid")),
            }
        }
    }
    wearers
}

pub fn delete_tag(cloud: &mut LinodeWorld, tag: &str) -> CallResult {
    if tags::delete(cloud, tag) { done() } else { Err(LinodeError::not_found()) }
}

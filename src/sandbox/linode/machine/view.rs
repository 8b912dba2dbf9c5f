//! How a machine and its parts are shown: the machine, its addresses, disks and configs.

use data_encoding::HEXLOWER;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::http::Millis;
use crate::linode::data::catalog::{self, plan_number};
use crate::linode::data::model::LinodeInstance;
use crate::linode::machine::addresses::reverse_name;
use crate::linode::request::call::stamp;

/// The machine as every call that returns one shows it. What was write-only stays out.
pub fn instance(it: &LinodeInstance, now: Millis) -> Value {
    let plan = it.plan_at(now);
    let number = |name: &str| plan_number(plan, name);
    let region = catalog::region(&it.region);
    let site_type = region.map_or(json!("core"), |row| row["site_type"].clone());
    let mut capabilities = Vec::new();
    for (shown, needed) in [
        ("Block Storage Encryption", "Block Storage Encryption"),
        ("Maintenance Policy", "Maintenance Policy"),
    ] {
        if region.is_some_and(|row| catalog::has_capability(row, needed)) {
            capabilities.push(shown);
        }
    }
    json!({
        "id": it.id, "label": it.label, "group": it.group, "status": it.timeline.status(now),
        "created": stamp(it.created), "updated": stamp(it.updated), "type": plan,
        "ipv4": it.addresses(), "ipv6": format!("{}/128", it.ipv6), "image": it.image, "region": it.region,
        "site_type": site_type,
        "specs": {
            "disk": number("disk"), "memory": number("memory"), "vcpus": number("vcpus"), "gpus": number("gpus"),
            "transfer": number("transfer"), "accelerated_devices": 0,
        },
        "alerts": it.alerts,
        "backups": {
            "enabled": it.backups_enabled, "available": false,
            "schedule": { "day": it.backup_day, "window": it.backup_window }, "last_successful": null,
        },
        "hypervisor": "kvm", "watchdog_enabled": it.watchdog_enabled, "tags": it.tags,
        "host_uuid": host(&it.region, it.id), "has_user_data": it.user_data.is_some(),
        "placement_group": null, "disk_encryption": it.disk_encryption, "lke_cluster_id": null,
        "capabilities": capabilities, "interface_generation": it.interface_generation,
        "maintenance_policy": it.maintenance_policy, "locks": [],
    })
}

/// Forty hex digits that name the host; four machines share one.
fn host(region: &str, id: u64) -> String {
    let digest = Sha256::digest(format!("{region}/{}", id / 4));
    HEXLOWER.encode(&digest[..20])
}

/// One of the machine's IPv4 addresses.
pub fn address(it: &LinodeInstance, address: &str, public: bool) -> Value {
    let gateway = address.rsplit_once('.').map(|(network, _)| format!("{network}.1"));
    json!({
        "address": address,
        "gateway": if public { json!(gateway) } else { Value::Null },
        "subnet_mask": if public { "255.255.255.0" } else { "255.255.128.0" },
        "prefix": if public { 24 } else { 17 },
        "type": "ipv4", "public": public,
        "rdns": if public { json!(reverse_name(address)) } else { Value::Null },
        "linode_id": it.id, "interface_id": null, "region": it.region, "vpc_nat_1_1": null, "reserved": false,
        "assigned_entity": {
            "id": it.id, "type": "linode", "label": it.label, "url": format!("/v4/linode/instances/{}", it.id),
        },
        "tags": [],
    })
}

/// `GET …/ips`.
pub fn addresses(it: &LinodeInstance) -> Value {
    let public: Vec<Value> = it.public.iter().map(|ip| address(it, ip, true)).collect();
    let private: Vec<Value> = it.private.iter().map(|ip| address(it, ip, false)).collect();
    // The host half of the address is the same on the link.
    let link_local =
        it.ipv6.find("f03c").map_or_else(String::new, |at| format!("fe80::{}", &it.ipv6[at..]));
    json!({
        "ipv4": { "public": public, "private": private, "shared": [], "reserved": [], "vpc": [] },
        "ipv6": { "slaac": slaac(it), "link_local": six(it, &link_local, false), "global": [], "vpc": [] },
    })
}

/// The address that a machine gives itself.
pub fn slaac(it: &LinodeInstance) -> Value {
    six(it, &it.ipv6, true)
}

fn six(it: &LinodeInstance, address: &str, public: bool) -> Value {
    json!({
        "address": address, "gateway": "fe80::1", "subnet_mask": "ffff:ffff:ffff:ffff::", "prefix": 64,
        "type": "ipv6", "rdns": null, "linode_id": it.id, "region": it.region, "public": public,
    })
}

pub fn disks(it: &LinodeInstance, now: Millis) -> Vec<Value> {
    let status = if it.timeline.status(now) == "provisioning" { "not ready" } else { "ready" };
    it.disks
        .iter()
        .map(|disk| {
            json!({
                "id": disk.id, "status": status, "label": disk.label, "created": stamp(disk.created),
                "updated": stamp(disk.created), "filesystem": disk.filesystem, "size": disk.size,
                "disk_encryption": it.disk_encryption,
            })
        })
        .collect()
}

pub fn configs(it: &LinodeInstance) -> Vec<Value> {
    let Some(id) = it.config_id else { return Vec::new() };
    let device = |slot: usize| {
        it.disks
            .get(slot)
            .map_or(Value::Null, |disk| json!({ "disk_id": disk.id, "volume_id": null }))
    };
    let image = it
        .image
        .as_deref()
        .and_then(catalog::image)
        .map_or("Linux", |row| row["label"].as_str().unwrap_or("Linux"));
    vec![json!({
        "id": id, "label": format!("My {image} Disk Profile"),
        "helpers": {
            "updatedb_disabled": true, "distro": true, "modules_dep": true, "network": true,
            "devtmpfs_automount": true,
        },
        "kernel": "linode/grub2", "comments": "", "memory_limit": 0, "created": stamp(it.created),
        "updated": stamp(it.created), "root_device": "/dev/sda",
        "devices": {
            "sda": device(0), "sdb": device(1), "sdc": null, "sdd": null, "sde": null, "sdf": null, "sdg": null,
            "sdh": null,
        },
        "initrd": null, "run_level": "default", "virt_mode": "paravirt", "interfaces": [],
    })]
}

//! How a volume is shown, by every call that returns one.

use serde_json::{Value, json};

use crate::http::Millis;
use crate::linode::data::model::Volume;
use crate::linode::data::store::LinodeWorld;
use crate::linode::request::call::{CallResult, LinodeCall, LinodeError, stamp};

pub fn volume(cloud: &LinodeWorld, it: &Volume, now: Millis) -> Value {
    let linode = it.linode_at(now);
    let label = linode.and_then(|id| cloud.instances.get(id)).map(|it| &it.label);
    json!({
        "id": it.id, "status": it.status(now), "label": it.label, "created": stamp(it.created),
        "updated": stamp(it.updated), "filesystem_path": format!("/dev/disk/by-id/scsi-0Linode_Volume_{}", it.label),
        "size": it.size, "linode_id": linode, "linode_label": label,
        "io_ready": linode.is_some() && it.leaves_at.is_none() && now >= it.readable_at,
        "region": it.region, "tags": it.tags, "hardware_type": "nvme", "encryption": it.encryption, "locks": [],
    })
}

pub fn get(cloud: &LinodeWorld, call: &LinodeCall<'_>, id: u64) -> CallResult {
    let found = cloud.volumes.get(id).map(|it| volume(cloud, it, call.now));
    found.ok_or_else(LinodeError::not_found)
}

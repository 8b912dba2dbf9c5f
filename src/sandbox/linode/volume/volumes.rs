//! Volumes: made in seconds, grown but never shrunk, and kept when their machine goes.

use serde_json::{Value, json};

use crate::http::Millis;
use crate::linode::data::catalog;
use crate::linode::data::model::Volume;
use crate::linode::data::store::LinodeWorld;
use crate::linode::request::body::RequestBody;
use crate::linode::request::call::{CallResult, LinodeCall, LinodeError, done};
use crate::linode::request::events;
use crate::linode::request::listing::{Filterable, page};
use crate::linode::request::tags;
use crate::linode::volume::attachment;
use crate::linode::volume::view;

/// As the reduced list of 4.229 says.
pub const FILTERABLE: Filterable = &["label", "tags"];

/// A guess: in linodego's recordings all jobs of a volume were done at the first poll, 15 s later.
const CREATE: Millis = 6_000;
/// The same.
const RESIZE: Millis = 10_000;

/// In GB ("Must be 10-16384" in the tests of linode-cli); accounts with a limit of 1,024 are not modeled.
const LEAST: u64 = 10;
const MOST: u64 = 16_384;

const ENCRYPTION: &str = "Block Storage Encryption";

pub fn list(cloud: &LinodeWorld, call: &LinodeCall<'_>) -> CallResult {
    let rows = cloud.volumes.iter().map(|(_, it)| view::volume(cloud, it, call.now));
    page(call, rows.collect(), FILTERABLE)
}

/// `GET /linode/instances/{}/volumes`.
pub fn list_of(cloud: &LinodeWorld, call: &LinodeCall<'_>, machine: u64) -> CallResult {
    let rows = attachment::of_machine(cloud, call.now, machine);
    page(call, rows.map(|it| view::volume(cloud, it, call.now)).collect(), FILTERABLE)
}

/// `GET /volumes/types`.
pub fn types(call: &LinodeCall<'_>) -> CallResult {
    let price = json!({
        "id": "volume", "label": "Storage Volume", "price": { "hourly": 0.00015, "monthly": 0.1 },
        "region_prices": [
            { "id": "id-cgk", "hourly": 0.00018, "monthly": 0.12 },
            { "id": "br-gru", "hourly": 0.00021, "monthly": 0.14 },
        ],
        "transfer": 0,
    });
    page(call, vec![price], &["label"])
}

/// Labels need not be unique: nothing documents that, and nothing recorded shows it.
fn label(form: &mut RequestBody<'_>) -> Option<String> {
    let label = form.sized("label", 1, 32)?;
    if !label.starts_with(|first: char| first.is_ascii_alphabetic()) {
        form.error("label", "Must begin with a letter");
    } else if !label.chars().all(|it| it.is_ascii_alphanumeric() || matches!(it, '-' | '_'))
        || ["--", "__"].iter().any(|pair| label.contains(pair))
    {
        form.error("label", "Must only use ASCII letters, numbers, underscores, and dashes");
    }
    Some(label)
}

/// Where it is to be: what the body says, or where its machine is.
fn region(form: &mut RequestBody<'_>, machine: Option<&str>) -> String {
    if !form.has("region") && !form.has("linode_id") {
        form.objection("Must provide a region or a Linode ID");
    }
    let region = form.text("region");
    if let Some(id) = &region
        && !catalog::region(id).is_some_and(|row| catalog::has_capability(row, "Block Storage"))
    {
        form.error("region", "region is not valid");
    }
    region.or_else(|| machine.map(str::to_owned)).unwrap_or_default()
}

/// Encrypted unless the body says otherwise, where the region can (recorded in 2026).
fn encryption(form: &mut RequestBody<'_>, region: &str) -> String {
    let row = catalog::region(region);
    let can = row.is_some_and(|row| catalog::has_capability(row, ENCRYPTION));
    let wanted = form.one_of("encryption", &["enabled", "disabled"]);
    if wanted.as_deref() == Some("enabled") && !can {
        // The words are not documented.
        form.error("encryption", "encryption is not supported in this region");
    }
    wanted.unwrap_or_else(|| if can { "enabled" } else { "disabled" }.to_owned())
}

pub fn create(cloud: &mut LinodeWorld, call: &LinodeCall<'_>) -> CallResult {
    let mut form = RequestBody::new(&call.body);
    form.require("label");
    let label = label(&mut form);
    let given = form.text("region");
    let machine = attachment::machine(&mut form, cloud, given.as_deref());
    let region = region(&mut form, machine.map(|it| it.region.as_str()));
    let machine = machine.map(|it| it.id);
    let size = form.ranged("size", LEAST, MOST).unwrap_or(20);
    let encryption = encryption(&mut form, &region);
    let tag_list = form.tags().unwrap_or_default();
    form.finish()?;

    let (id, now) = (cloud.next_id("volume"), call.now);
    tags::learn(cloud, &tag_list);
    let row = Volume {
        id,
        label: label.unwrap_or_default(),
        region,
        size,
        encryption,
        tags: tag_list,
        linode: None,
        busy: "creating".into(),
        busy_until: now + CREATE,
        readable_at: now,
        leaves_at: None,
        created: now,
        updated: now,
    };
    let (who, job) = (events::volume(id, &row.label), Some((now, row.busy_until)));
    events::write(cloud, now, "volume_create", job, who, Value::Null);
    cloud.volumes.put(id, row);
    if let Some(machine) = machine {
        attachment::put_on(cloud, now, id, machine);
    }
    view::get(cloud, call, id)
}

pub fn put(cloud: &mut LinodeWorld, call: &LinodeCall<'_>, id: u64) -> CallResult {
    view::get(cloud, call, id)?;
    let mut form = RequestBody::new(&call.body);
    let label = label(&mut form);
    let tag_list = form.tags();
    form.finish()?;
    let new_tags = tag_list.clone().unwrap_or_default();
    tags::learn(cloud, &new_tags);
    let name = cloud.volumes.edit(id, |it| {
        it.label = label.unwrap_or_else(|| it.label.clone());
        it.tags = tag_list.unwrap_or_else(|| it.tags.clone());
        it.updated = call.now;
        it.label.clone()
    });
    let who = events::volume(id, &name.unwrap_or_default());
    events::note(cloud, call.now, "volume_update", who);
    view::get(cloud, call, id)
}

/// `POST …/resize`: the answer has the new size at once, and the status says that it is not so yet.
pub fn resize(cloud: &mut LinodeWorld, call: &LinodeCall<'_>, id: u64) -> CallResult {
    let volume = cloud.volumes.get(id).ok_or_else(LinodeError::not_found)?;
    let mut form = RequestBody::new(&call.body);
    form.require("size");
    let size = form.number("size").unwrap_or_default();
    form.finish()?;
    if volume.status(call.now) != "active" {
        // The rule is documented, its words are not.
        return Err(LinodeError::plain("Only Volumes with a status of active can be resized"));
    }
    if size <= volume.size {
        return Err(LinodeError::plain("Storage volumes can only be resized up"));
    }
    if size > MOST {
        let most = format!("Storage volumes cannot be resized larger than {MOST} gigabytes");
        return Err(LinodeError::plain(&most));
    }
    let ends = call.now + RESIZE;
    let label = cloud.volumes.edit(id, |it| {
        it.size = size;
        it.busy = "resizing".into();
        it.busy_until = ends;
        it.updated = call.now;
        it.label.clone()
    });
    let who = events::volume(id, &label.unwrap_or_default());
    events::write(cloud, call.now, "volume_resize", Some((call.now, ends)), who, Value::Null);
    view::get(cloud, call, id)
}

/// Also while it is attached: 200 was recorded for that, and only migrations and key rotations are documented to forbid it.
pub fn delete(cloud: &mut LinodeWorld, call: &LinodeCall<'_>, id: u64) -> CallResult {
    let row = cloud.volumes.remove(id).ok_or_else(LinodeError::not_found)?;
    events::note(cloud, call.now, "volume_delete", events::volume(id, &row.label));
    done()
}

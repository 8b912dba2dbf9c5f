//! Where a volume is attached: at once when it is told to be, gone some seconds after it is told to go.

use serde_json::Value;

use crate::http::Millis;
use crate::linode::data::model::{LinodeInstance, Volume};
use crate::linode::data::store::LinodeWorld;
use crate::linode::request::body::RequestBody;
use crate::linode::request::call::{CallResult, LinodeCall, LinodeError, done};
use crate::linode::request::events;
use crate::linode::volume::view;

/// A guess: in linodego's recordings all jobs of a volume were done at the first poll, 15 s later.
const ATTACH: Millis = 8_000;
/// The same.
const DETACH: Millis = 10_000;

/// The machine that a body names, if there is one in this region.
pub fn machine<'a>(
    form: &mut RequestBody<'_>,
    cloud: &'a LinodeWorld,
    region: Option<&str>,
) -> Option<&'a LinodeInstance> {
    let id = form.number("linode_id")?;
    let Some(found) = cloud.instances.get(id) else {
        form.error("linode_id", "linode_id is not valid");
        return None;
    };
    // The API documents the rule but not its words.
    if region.is_some_and(|it| it != found.region) {
        form.error("linode_id", "The Volume and the Linode must be located in the same Region");
    }
    // A machine has one configuration profile here.
    if form.number("config_id").is_some_and(|it| Some(it) != found.config_id) {
        form.error("config_id", "config_id is not valid");
    }
    Some(found)
}

/// A volume that survives no reboot would need configuration profiles.
fn persists(form: &mut RequestBody<'_>) {
    if form.flag("persist_across_boots") == Some(false) {
        form.error("persist_across_boots", "the sandbox does not support persist_across_boots");
    }
}

/// `POST …/attach`: also while the volume is still made, and to a machine that is off.
pub fn attach(cloud: &mut LinodeWorld, call: &LinodeCall<'_>, id: u64) -> CallResult {
    let volume = cloud.volumes.get(id).ok_or_else(LinodeError::not_found)?;
    let mut form = RequestBody::new(&call.body);
    form.require("linode_id");
    persists(&mut form);
    let machine = machine(&mut form, cloud, Some(&volume.region)).map(|it| it.id);
    form.finish()?;
    // The words are not documented.
    if volume.linode_at(call.now).is_some() {
        return Err(LinodeError::plain("Volume is already attached to a Linode."));
    }
    if let Some(machine) = machine {
        put_on(cloud, call.now, id, machine);
    }
    view::get(cloud, call, id)
}

/// A volume belongs to a machine from now on, and can be read from in some seconds.
pub fn put_on(cloud: &mut LinodeWorld, now: Millis, id: u64, machine: u64) {
    let label = cloud.volumes.edit(id, |it| {
        it.linode = Some(machine);
        it.readable_at = it.busy_until.max(now) + ATTACH;
        it.leaves_at = None;
        it.updated = now;
        (it.label.clone(), it.readable_at)
    });
    let Some((label, ends)) = label else { return };
    let on = cloud.instances.get(machine).map(|it| events::linode(machine, &it.label));
    let who = events::volume(id, &label);
    events::write(cloud, now, "volume_attach", Some((now, ends)), who, on.unwrap_or(Value::Null));
}

/// `POST …/detach`: it stays where it is until the job is over.
pub fn detach(cloud: &mut LinodeWorld, call: &LinodeCall<'_>, id: u64) -> CallResult {
    let volume = cloud.volumes.get(id).ok_or_else(LinodeError::not_found)?;
    if volume.linode_at(call.now).is_none() {
        // The words are not documented.
        return Err(LinodeError::plain("Volume is not attached to a Linode."));
    }
    if volume.leaves_at.is_none() {
        take_off(cloud, call.now, id);
    }
    done()
}

fn take_off(cloud: &mut LinodeWorld, now: Millis, id: u64) {
    let ends = now + DETACH;
    let label = cloud.volumes.edit(id, |it| {
        it.leaves_at = Some(ends);
        it.updated = now;
        it.label.clone()
    });
    let who = events::volume(id, &label.unwrap_or_default());
    events::write(cloud, now, "volume_detach", Some((now, ends)), who, Value::Null);
}

/// The volumes of a machine.
pub fn of_machine(cloud: &LinodeWorld, now: Millis, machine: u64) -> impl Iterator<Item = &Volume> {
    let found = cloud.volumes.find(&format!("linode:{machine}")).map(|(_, it)| it);
    found.filter(move |it| it.linode_at(now) == Some(machine))
}

/// A machine goes and leaves its volumes behind, some seconds later.
pub fn leave(cloud: &mut LinodeWorld, now: Millis, machine: u64) {
    let stay = of_machine(cloud, now, machine).filter(|it| it.leaves_at.is_none());
    for id in stay.map(|it| it.id).collect::<Vec<_>>() {
        take_off(cloud, now, id);
    }
}

/// A machine is gone without a word, and its volumes are on nothing.
pub fn lose(cloud: &mut LinodeWorld, machine: u64) {
    for id in cloud.volumes.ids(&format!("linode:{machine}")) {
        cloud.volumes.edit(id, |it| it.linode = None);
    }
}

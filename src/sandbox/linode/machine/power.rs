//! What can be done to a machine as a whole: boot, shutdown, reboot, resize, rebuild. One job at a time.

use serde_json::Value;

use crate::http::Millis;
use crate::linode::data::catalog::{self, plan_number};
use crate::linode::data::model::LinodeInstance;
use crate::linode::data::store::LinodeWorld;
use crate::linode::data::timeline::{BOOT, REBUILD, RESIZE, SHUTDOWN};
use crate::linode::machine::create::{booted_config, deploy, deployment, plan};
use crate::linode::machine::view;
use crate::linode::request::body::RequestBody;
use crate::linode::request::call::{CallResult, LinodeCall, LinodeError, done};
use crate::linode::request::events;

/// The machine, unless it does not exist or has a job.
fn idle(cloud: &LinodeWorld, now: Millis, id: u64) -> Result<&LinodeInstance, LinodeError> {
    let instance = cloud.instances.get(id).ok_or_else(LinodeError::not_found)?;
    if instance.timeline.is_busy(now) { Err(LinodeError::busy()) } else { Ok(instance) }
}

fn run(
    cloud: &mut LinodeWorld,
    now: Millis,
    id: u64,
    action: &str,
    takes: Millis,
    during: &str,
    then: &str,
) {
    let job = cloud
        .instances
        .edit(id, |it| (it.timeline.add(now, takes, during, then), it.label.clone()));
    if let Some((job, label)) = job {
        let boots = action == "linode_boot" || action == "linode_reboot";
        let config = cloud.instances.get(id).filter(|_| boots).map_or(Value::Null, booted_config);
        events::write(cloud, now, action, Some(job), events::linode(id, &label), config);
    }
}

/// A machine has one configuration profile here; another one cannot be booted.
fn profile(call: &LinodeCall<'_>, instance: &LinodeInstance) -> Result<(), LinodeError> {
    let mut form = RequestBody::new(&call.body);
    if form.number("config_id").is_some_and(|it| Some(it) != instance.config_id) {
        form.error("config_id", "config_id is not valid");
    }
    form.finish()
}

/// `POST …/backups/enable` and `…/cancel`.
pub fn backups(
    cloud: &mut LinodeWorld,
    call: &LinodeCall<'_>,
    id: u64,
    enabled: bool,
) -> CallResult {
    let instance = cloud.instances.get(id).ok_or_else(LinodeError::not_found)?;
    if !enabled && !instance.backups_enabled {
        return Err(LinodeError::plain("Backups are not enabled for this Linode."));
    }
    let changed = cloud.instances.edit(id, |it| {
        let changed = it.backups_enabled != enabled;
        it.backups_enabled = enabled;
        // A schedule belongs to the service and goes with it.
        it.backup_day.take_if(|_| !enabled);
        it.backup_window.take_if(|_| !enabled);
        it.updated = call.now;
        (changed, it.label.clone())
    });
    if let Some((true, label)) = changed {
        let action = if enabled { "backups_enable" } else { "backups_cancel" };
        events::note(cloud, call.now, action, events::linode(id, &label));
    }
    done()
}

pub fn boot(cloud: &mut LinodeWorld, call: &LinodeCall<'_>, id: u64) -> CallResult {
    let instance = idle(cloud, call.now, id)?;
    profile(call, instance)?;
    if instance.config_id.is_none() {
        return Err(LinodeError::plain("The Linode has no configuration profiles to boot."));
    }
    // Booting what runs is no error and no job.
    if instance.timeline.status(call.now) != "running" {
        run(cloud, call.now, id, "linode_boot", BOOT, "booting", "running");
    }
    done()
}

pub fn shutdown(cloud: &mut LinodeWorld, call: &LinodeCall<'_>, id: u64) -> CallResult {
    if idle(cloud, call.now, id)?.timeline.status(call.now) != "offline" {
        run(cloud, call.now, id, "linode_shutdown", SHUTDOWN, "shutting_down", "offline");
    }
    done()
}

pub fn reboot(cloud: &mut LinodeWorld, call: &LinodeCall<'_>, id: u64) -> CallResult {
    let instance = idle(cloud, call.now, id)?;
    profile(call, instance)?;
    if instance.config_id.is_none() {
        return Err(LinodeError::plain("The Linode has no configuration profiles to boot."));
    }
    run(cloud, call.now, id, "linode_reboot", SHUTDOWN + BOOT, "rebooting", "running");
    done()
}

pub fn resize(cloud: &mut LinodeWorld, call: &LinodeCall<'_>, id: u64) -> CallResult {
    let now = call.now;
    let instance = cloud.instances.get(id).ok_or_else(LinodeError::not_found)?;
    let mut form = RequestBody::new(&call.body);
    let wanted = plan(&mut form);
    if !catalog::is_available(&wanted, &instance.region) {
        form.error("type", "This plan is not available in this region");
    }
    form.one_of("migration_type", &["warm", "cold"]);
    let grow = form.flag("allow_auto_disk_resize").unwrap_or(true);
    form.finish()?;
    if instance.timeline.is_busy(now) {
        return Err(LinodeError::busy());
    }
    if instance.plan_at(now) == wanted {
        return Err(LinodeError::plain("Linode is already running this service plan."));
    }
    let room = plan_number(&wanted, "disk");
    if instance.disks.iter().map(|disk| disk.size).sum::<u64>() > room {
        return Err(LinodeError::plain(
            "Linode has allocated more disk than the new service plan allows. Delete or resize disks smaller.",
        ));
    }
    let then = instance.timeline.status(now).to_owned();
    run(cloud, now, id, "linode_resize", RESIZE, "resizing", &then);
    cloud.instances.edit(id, |it| {
        it.plan = it.plan_at(now).to_owned();
        it.resize = it.timeline.over_at().map(|at| (at.min(now + RESIZE), wanted));
        // Only one ext disk beside a swap is ever resized along.
        let swap: u64 =
            it.disks.iter().filter(|disk| disk.filesystem == "swap").map(|disk| disk.size).sum();
        let mut others = it.disks.iter_mut().filter(|disk| disk.filesystem != "swap");
        if let (true, Some(only), None) = (grow, others.next(), others.next()) {
            only.size = room.saturating_sub(swap);
        }
        it.updated = now;
    });
    done()
}

pub fn rebuild(cloud: &mut LinodeWorld, call: &LinodeCall<'_>, id: u64) -> CallResult {
    let now = call.now;
    let region = cloud.instances.get(id).ok_or_else(LinodeError::not_found)?.region.clone();
    let mut form = RequestBody::new(&call.body);
    if !form.has("image") {
        form.objection("You must specify an image");
    }
    let wanted = deployment(&mut form, cloud, &region);
    let encryption = form.one_of("disk_encryption", &["enabled", "disabled"]);
    // Older clients rebuild and resize in one call.
    form.unmodelled(&["type"]);
    form.finish()?;
    let mut instance = idle(cloud, now, id)?.clone();
    instance.disk_encryption = encryption.unwrap_or(instance.disk_encryption);
    instance.disks.clear();
    instance.updated = now;
    deploy(cloud, now, &mut instance, wanted, ("linode_rebuild", "rebuilding", REBUILD));
    let view = view::instance(&instance, now);
    cloud.instances.put(id, instance);
    Ok(view)
}

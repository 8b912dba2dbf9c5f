//! A catastrophe: objects are gone without anyone having deleted them, and no event tells of it.

use crate::faults::state::Doom;
use crate::linode::balancer::configs;
use crate::linode::data::store::LinodeWorld;
use crate::linode::firewall::devices;
use crate::linode::volume::attachment;

/// The labels and names of what is in a region, or in `global`.
pub fn names(cloud: &LinodeWorld, region: &str) -> Vec<String> {
    let machines = cloud.instances.iter().filter(|(_, it)| it.region == region);
    let balancers = cloud.nodebalancers.iter().filter(|(_, it)| it.region == region);
    let mut names: Vec<String> = machines.map(|(_, it)| it.label.clone()).collect();
    names.extend(balancers.map(|(_, it)| it.label.clone()));
    let volumes = cloud.volumes.iter().filter(|(_, it)| it.region == region);
    names.extend(volumes.map(|(_, it)| it.label.clone()));
    if region == "global" {
        names.extend(cloud.domains.iter().map(|(_, it)| it.domain.clone()));
        names.extend(cloud.firewalls.iter().map(|(_, it)| it.label.clone()));
        names.extend(cloud.sshkeys.iter().map(|(_, it)| it.label.clone()));
    }
    names
}

/// Takes what is doomed out of the world, with all that is inside of it, and says what went.
pub fn destroy(cloud: &mut LinodeWorld, region: &str, doom: &Doom) -> Vec<String> {
    let mut gone = Vec::new();
    let machines = cloud.instances.iter().filter(|(_, it)| it.region == region);
    let machines = machines.filter(|(_, it)| doom.includes(&it.label));
    for id in machines.map(|(id, _)| id).collect::<Vec<_>>() {
        devices::detach_all(cloud, "linode", id);
        attachment::lose(cloud, id);
        gone.extend(cloud.instances.remove(id).map(|it| it.label));
    }
    let balancers = cloud.nodebalancers.iter().filter(|(_, it)| it.region == region);
    let balancers = balancers.filter(|(_, it)| doom.includes(&it.label));
    for id in balancers.map(|(id, _)| id).collect::<Vec<_>>() {
        for config in cloud.configs.ids(&format!("nodebalancer:{id}")) {
            configs::remove(cloud, config);
        }
        devices::detach_all(cloud, "nodebalancer", id);
        gone.extend(cloud.nodebalancers.remove(id).map(|it| it.label));
    }
    let volumes = cloud.volumes.iter().filter(|(_, it)| it.region == region);
    let volumes = volumes.filter(|(_, it)| doom.includes(&it.label));
    for id in volumes.map(|(id, _)| id).collect::<Vec<_>>() {
        gone.extend(cloud.volumes.remove(id).map(|it| it.label));
    }
    if region == "global" {
        gone.extend(destroy_global(cloud, doom));
    }
    gone
}

fn destroy_global(cloud: &mut LinodeWorld, doom: &Doom) -> Vec<String> {
    let mut gone = Vec::new();
    let zones = cloud.domains.iter().filter(|(_, it)| doom.includes(&it.domain));
    for id in zones.map(|(id, _)| id).collect::<Vec<_>>() {
        for record in cloud.records.ids(&format!("domain:{id}")) {
            cloud.records.remove(record);
        }
        gone.extend(cloud.domains.remove(id).map(|it| it.domain));
    }
    let firewalls = cloud.firewalls.iter().filter(|(_, it)| doom.includes(&it.label));
    for id in firewalls.map(|(id, _)| id).collect::<Vec<_>>() {
        for device in cloud.devices.ids(&format!("firewall:{id}")) {
            cloud.devices.remove(device);
        }
        gone.extend(cloud.firewalls.remove(id).map(|it| it.label));
    }
    let keys = cloud.sshkeys.iter().filter(|(_, it)| doom.includes(&it.label));
    for id in keys.map(|(id, _)| id).collect::<Vec<_>>() {
        gone.extend(cloud.sshkeys.remove(id).map(|it| it.label));
    }
    gone
}

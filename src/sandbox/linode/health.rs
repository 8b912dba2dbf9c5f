//! Who is alive: a machine by its status and its faults, a node by the machine behind its address. Derived, never stored.

use crate::sandbox::faults::Faults;
use crate::sandbox::http::Millis;
use crate::sandbox::linode::model::{Config, Instance, Node};
use crate::sandbox::linode::store::Linode;

/// Runs, in a region that is not lost.
pub fn is_up(faults: &Faults, now: Millis, it: &Instance) -> bool {
    it.timeline.status(now) == "running" && !is_lost(faults, &it.region)
}

pub fn is_lost(faults: &Faults, region: &str) -> bool {
    faults.lost(&format!("linode:{region}")).is_some()
}

/// The machine behind a node's `address:port`: private addresses mean the balancer's own region.
pub fn machine<'a>(cloud: &'a Linode, node: &Node) -> Option<&'a Instance> {
    let (address, _) = node.address.rsplit_once(':')?;
    let address = address.trim_start_matches('[').trim_end_matches(']');
    let region = &cloud.nodebalancers.get(node.nodebalancer)?.region;
    cloud
        .instances
        .first(&format!("private:{region}/{address}"))
        .or_else(|| cloud.instances.first(&format!("address:{address}")))
        .map(|(_, instance)| instance)
}

/// `UP`, `DOWN`, or `Unknown` before the first check has passed.
pub fn status(
    cloud: &Linode,
    faults: &Faults,
    now: Millis,
    config: &Config,
    node: &Node,
) -> &'static str {
    let machine = machine(cloud, node);
    let runs = machine.is_some_and(|it| is_up(faults, now, it));
    let healthy = runs && machine.is_some_and(|it| !faults.is_unhealthy(&it.label));
    if config.check == "none" {
        // Nothing looks, so nothing is ever said to be down.
        return if runs { "UP" } else { "Unknown" };
    }
    if now < node.since + first_check(config) {
        return "Unknown";
    }
    if healthy { "UP" } else { "DOWN" }
}

/// The first check comes soon; only later ones keep the interval.
fn first_check(config: &Config) -> Millis {
    Millis::try_from(config.check_interval.min(5)).unwrap_or(0) * 1_000
}

/// How many nodes of a config are up, and how many are not (unknown ones count as down).
pub fn count(cloud: &Linode, faults: &Faults, now: Millis, config: &Config) -> (usize, usize) {
    let mut counts = (0, 0);
    for (_, node) in cloud.nodes.find(&format!("config:{}", config.id)) {
        if status(cloud, faults, now, config, node) == "UP" {
            counts.0 += 1;
        } else {
            counts.1 += 1;
        }
    }
    counts
}

/// The nodes that a balancer would send traffic to: those that accept, or else the backups.
pub fn serving<'a>(
    cloud: &'a Linode,
    faults: &Faults,
    now: Millis,
    config: &Config,
) -> Vec<&'a Node> {
    let up = |mode: &str| -> Vec<&'a Node> {
        cloud
            .nodes
            .find(&format!("config:{}", config.id))
            .map(|(_, node)| node)
            .filter(|node| node.mode == mode && status(cloud, faults, now, config, node) == "UP")
            .collect()
    };
    let mut accepting = up("accept");
    accepting.extend(up("none"));
    if accepting.is_empty() { up("backup") } else { accepting }
}

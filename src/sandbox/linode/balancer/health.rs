//! Who is alive, derived and never stored: a machine, a node behind its balancer's checks, and whom users of a balancer meet.

use crate::faults::state::Faults;
use crate::http::Millis;
use crate::linode::data::apps::AppAnswer;
use crate::linode::data::model::{BalancerNode, Config, LinodeInstance};
use crate::linode::data::store::LinodeWorld;
use crate::linode::firewall::reach::{PacketSource, lets_in};
use crate::linode::machine::installed;

/// Runs, in a region that is not lost.
pub fn is_up(faults: &Faults, now: Millis, it: &LinodeInstance) -> bool {
    it.timeline.status(now) == "running" && !is_lost(faults, &it.region)
}

pub fn is_lost(faults: &Faults, region: &str) -> bool {
    faults.lost(&format!("linode:{region}")).is_some()
}

/// The machine behind a node's `address:port`: private addresses mean the balancer's own region.
pub fn machine<'a>(cloud: &'a LinodeWorld, node: &BalancerNode) -> Option<&'a LinodeInstance> {
    let (address, _) = node.address.rsplit_once(':')?;
    let address = address.trim_start_matches('[').trim_end_matches(']');
    let region = &cloud.nodebalancers.get(node.nodebalancer)?.region;
    cloud
        .instances
        .first(&format!("private:{region}/{address}"))
        .or_else(|| cloud.instances.first(&format!("address:{address}")))
        .map(|(_, instance)| instance)
}

/// The port that a node addresses.
pub fn port(node: &BalancerNode) -> u16 {
    node.address.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).unwrap_or(0)
}

/// What a connection to a port of a machine meets.
pub fn answer(
    cloud: &LinodeWorld,
    faults: &Faults,
    now: Millis,
    machine: &LinodeInstance,
    port: u16,
) -> AppAnswer {
    match machine.timeline.running_since(now) {
        Some(since) if is_up(faults, now, machine) => {
            let unhealthy = faults.is_unhealthy(&machine.label);
            installed::of(cloud, machine).answers(port, now - since, unhealthy)
        }
        _ => AppAnswer::Silent,
    }
}

/// As whom a balancer comes to a node: from the private network, or over the Internet to a public address.
fn balancer_source(node: &BalancerNode) -> PacketSource {
    if node.address.starts_with('[') {
        PacketSource::Users { six: true }
    } else {
        PacketSource::Balancers
    }
}

/// `UP`, `DOWN`, or `Unknown` before the first check has passed.
pub fn status(
    cloud: &LinodeWorld,
    faults: &Faults,
    now: Millis,
    config: &Config,
    node: &BalancerNode,
) -> &'static str {
    let machine = machine(cloud, node);
    if config.check == "none" {
        // Nothing looks, so nothing is ever said to be down.
        return if machine.is_some_and(|it| is_up(faults, now, it)) { "UP" } else { "Unknown" };
    }
    if now < node.since + first_check(config) {
        return "Unknown";
    }
    let passes = machine.is_some_and(|it| passes(cloud, faults, now, config, node, it));
    if passes { "UP" } else { "DOWN" }
}

/// Whether the last check of a node found it well.
fn passes(
    cloud: &LinodeWorld,
    faults: &Faults,
    now: Millis,
    config: &Config,
    node: &BalancerNode,
    machine: &LinodeInstance,
) -> bool {
    // Datagrams cannot be asked; a port of its own stands for them.
    let port = if config.protocol == "udp" {
        u16::try_from(config.udp_check_port).unwrap_or(0)
    } else {
        port(node)
    };
    // A check comes after what it finds: nobody is seen at the moment in which it begins to listen.
    let begun = machine.timeline.running_since(now).unwrap_or(now);
    let begun = begun + installed::of(cloud, machine).delay();
    let is_new = now < begun + first_check(config);
    let well = match answer(cloud, faults, now, machine, port) {
        AppAnswer::Well => true,
        AppAnswer::Errors => config.check == "connection",
        AppAnswer::Closed | AppAnswer::Silent => false,
    };
    // Who is made unhealthy fails whatever check there is.
    well && !is_new
        && !faults.is_unhealthy(&machine.label)
        && lets_in(cloud, ("linode", machine.id), balancer_source(node), "TCP", port)
}

/// The first check comes soon; only later ones keep the interval.
fn first_check(config: &Config) -> Millis {
    Millis::try_from(config.check_interval.min(5)).unwrap_or(0) * 1_000
}

/// How many nodes of a config are up, and how many are not (unknown ones count as down).
pub fn count(cloud: &LinodeWorld, faults: &Faults, now: Millis, config: &Config) -> (usize, usize) {
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

/// The nodes that a balancer sends traffic to: those that accept, or else the backups.
pub fn in_rotation<'a>(
    cloud: &'a LinodeWorld,
    faults: &Faults,
    now: Millis,
    config: &Config,
) -> Vec<&'a BalancerNode> {
    let up = |mode: &str| -> Vec<&'a BalancerNode> {
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

/// What a user meets whom a balancer sends to this node, which its checks may be wrong about.
pub fn behind(
    cloud: &LinodeWorld,
    faults: &Faults,
    now: Millis,
    config: &Config,
    node: &BalancerNode,
) -> AppAnswer {
    let Some(machine) = machine(cloud, node) else { return AppAnswer::Silent };
    let protocol = if config.protocol == "udp" { "UDP" } else { "TCP" };
    if !lets_in(cloud, ("linode", machine.id), balancer_source(node), protocol, port(node)) {
        return AppAnswer::Silent;
    }
    answer(cloud, faults, now, machine, port(node))
}

/// Whether users who come to this port of a balancer are served.
pub fn serves(cloud: &LinodeWorld, faults: &Faults, now: Millis, config: &Config) -> bool {
    let protocol = if config.protocol == "udp" { "UDP" } else { "TCP" };
    let port = u16::try_from(config.port).unwrap_or(0);
    let balancer = ("nodebalancer", config.nodebalancer);
    lets_in(cloud, balancer, PacketSource::Users { six: false }, protocol, port)
        && in_rotation(cloud, faults, now, config)
            .iter()
            .any(|node| behind(cloud, faults, now, config, node) == AppAnswer::Well)
}

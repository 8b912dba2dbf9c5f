//! What a connection to one of the sandbox's own addresses would meet; nothing is ever dialled.

use std::net::{Ipv4Addr, Ipv6Addr};

use serde_json::{Value, json};

use crate::http::{Millis, SandboxRequest};
use crate::linode::LinodeWorld;
use crate::linode::balancer::health;
use crate::linode::data::apps::AppAnswer;
use crate::linode::data::model::Config;
use crate::linode::dns::names;
use crate::linode::firewall::reach::{PacketSource, lets_in};
use crate::requests::received::{Received, ReceivedOutcome};
use crate::world::core::SandboxWorld;

/// A look from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SandboxProbe {
    Tcp { host: String, port: u16 },
    Http { url: String },
}

/// What it finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SandboxProbeAnswer {
    Open,
    Refused,
    Timeout,
    /// No zone here knows the name.
    Unresolved,
    Http {
        status: u16,
        body: String,
    },
}

impl SandboxProbeAnswer {
    pub fn to_json(&self) -> Value {
        match self {
            Self::Open => json!({ "outcome": "open" }),
            Self::Refused => json!({ "outcome": "refused" }),
            Self::Timeout => json!({ "outcome": "timeout" }),
            Self::Unresolved => json!({ "outcome": "unresolved" }),
            Self::Http { status, body } => {
                json!({ "outcome": "http", "status": status, "body": body })
            }
        }
    }
}

/// True for addresses that only the sandbox hands out.
pub fn is_ours(address: &str) -> bool {
    let four = |it: Ipv4Addr| it.octets()[0] == 198 && it.octets()[1] & 0xfe == 18;
    let six = |it: Ipv6Addr| it.segments()[..2] == [0x2001, 0xdb8];
    address.parse().is_ok_and(four) || address.parse().is_ok_and(six)
}

/// A look as the log of requests has it.
pub fn received(
    world: &SandboxWorld,
    now: Millis,
    probe: &SandboxProbe,
    answer: &SandboxProbeAnswer,
) -> Received {
    let (path, host) = match probe {
        SandboxProbe::Tcp { host, port } => (format!("{host}:{port}"), Some(host.clone())),
        SandboxProbe::Http { url } => (url.clone(), place(url).map(|(host, _)| host)),
    };
    let word = match answer {
        SandboxProbeAnswer::Http { status, .. } => ReceivedOutcome::Answered(*status),
        other => {
            ReceivedOutcome::Met(other.to_json()["outcome"].as_str().unwrap_or_default().to_owned())
        }
    };
    let mut fault_domains: Vec<String> = host
        .map(|host| addresses_of(world, host))
        .unwrap_or_default()
        .iter()
        .filter_map(|address| fault_domain(world, address))
        .collect();
    fault_domains.dedup();
    let request = SandboxRequest { method: "PROBE".into(), path, ..SandboxRequest::default() };
    Received::new(now, &request, fault_domains, word)
}

fn fault_domain(world: &SandboxWorld, address: &str) -> Option<String> {
    let key = format!("address:{address}");
    let machine = world.linode.instances.first(&key).map(|(_, it)| &it.region);
    let region =
        machine.or_else(|| world.linode.nodebalancers.first(&key).map(|(_, it)| &it.region));
    region.map(|region| format!("linode:{region}"))
}

fn addresses_of(world: &SandboxWorld, host: String) -> Vec<String> {
    let is_address = host.parse::<Ipv4Addr>().is_ok() || host.parse::<Ipv6Addr>().is_ok();
    if is_address { vec![host] } else { names::resolve(&world.linode, &host) }
}

/// Looks.
pub fn probe(world: &SandboxWorld, now: Millis, probe: &SandboxProbe) -> SandboxProbeAnswer {
    let (host, port, http) = match probe {
        SandboxProbe::Tcp { host, port } => (host.clone(), *port, false),
        SandboxProbe::Http { url } => match place(url) {
            Some((host, port)) => (host, port, true),
            None => return SandboxProbeAnswer::Unresolved,
        },
    };
    let addresses = addresses_of(world, host);
    // As a browser would: the next address only when one does not answer at all.
    let mut last = SandboxProbeAnswer::Unresolved;
    for address in addresses {
        last = at(world, now, &address, port, http);
        if !matches!(last, SandboxProbeAnswer::Timeout | SandboxProbeAnswer::Refused) {
            break;
        }
    }
    last
}

fn at(
    world: &SandboxWorld,
    now: Millis,
    address: &str,
    port: u16,
    http: bool,
) -> SandboxProbeAnswer {
    let key = format!("address:{address}");
    let source = PacketSource::Users { six: address.contains(':') };
    if let Some((id, machine)) = world.linode.instances.first(&key) {
        if !lets_in(&world.linode, ("linode", id), source, "TCP", port) {
            return SandboxProbeAnswer::Timeout;
        }
        let answer = health::answer(&world.linode, &world.faults, now, machine, port);
        return met(answer, http);
    }
    let Some((id, balancer)) = world.linode.nodebalancers.first(&key) else {
        return SandboxProbeAnswer::Timeout;
    };
    if health::is_lost(&world.faults, &balancer.region)
        || !lets_in(&world.linode, ("nodebalancer", id), source, "TCP", port)
    {
        return SandboxProbeAnswer::Timeout;
    }
    let configs = world.linode.configs.find(&format!("nodebalancer:{id}"));
    let mut on_port = configs.filter(|(_, it)| it.port == u64::from(port) && it.protocol != "udp");
    match on_port.next() {
        None => SandboxProbeAnswer::Refused,
        Some((_, config)) => balancer_answers(world, now, config, http),
    }
}

fn met(answer: AppAnswer, http: bool) -> SandboxProbeAnswer {
    match (answer, http) {
        // What is off, lost or behind a firewall answers nobody.
        (AppAnswer::Silent, _) => SandboxProbeAnswer::Timeout,
        (AppAnswer::Closed, _) => SandboxProbeAnswer::Refused,
        (AppAnswer::Well | AppAnswer::Errors, false) => SandboxProbeAnswer::Open,
        (AppAnswer::Well, true) => SandboxProbeAnswer::Http { status: 200, body: "ok".into() },
        (AppAnswer::Errors, true) => {
            SandboxProbeAnswer::Http { status: 503, body: "unhealthy".into() }
        }
    }
}

fn balancer_answers(
    world: &SandboxWorld,
    now: Millis,
    config: &Config,
    http: bool,
) -> SandboxProbeAnswer {
    let cloud: &LinodeWorld = &world.linode;
    let serving = health::in_rotation(cloud, &world.faults, now, config);
    let layer_seven = config.protocol != "tcp";
    let nobody = || SandboxProbeAnswer::Http {
        status: 503,
        body: "No server is available to handle this request.".into(),
    };
    match (http, serving.first()) {
        (false, None) if !layer_seven => SandboxProbeAnswer::Refused,
        (false, _) => SandboxProbeAnswer::Open,
        (true, None) if layer_seven => nobody(),
        (true, None) => SandboxProbeAnswer::Refused,
        (true, Some(node)) => match health::behind(cloud, &world.faults, now, config, node) {
            AppAnswer::Closed | AppAnswer::Silent if layer_seven => nobody(),
            answer => met(answer, true),
        },
    }
}

/// Host and port of a URL.
fn place(url: &str) -> Option<(String, u16)> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let authority = authority.rsplit('@').next()?;
    let default = if scheme == "https" { 443 } else { 80 };
    split(authority, default)
}

/// Host and port of `host:port`, `[host]:port`, or a host alone.
pub fn split(authority: &str, default: u16) -> Option<(String, u16)> {
    if let Some(rest) = authority.strip_prefix('[') {
        let (host, port) = rest.split_once(']')?;
        let port = port.strip_prefix(':').map_or(Some(default), |it| it.parse().ok())?;
        return Some((host.into(), port));
    }
    match authority.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') => Some((host.into(), port.parse().ok()?)),
        _ => Some((authority.into(), default)),
    }
}

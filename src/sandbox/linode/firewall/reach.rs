//! Whom firewalls let in: the first inbound rule that is about a packet decides, and the policy where none is.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde_json::Value;

use crate::linode::data::store::LinodeWorld;
use crate::linode::firewall::devices;

/// Who knocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PacketSource {
    /// Somebody on the Internet; one address stands for all (RFC 5737, RFC 9637).
    Users { six: bool },
    /// NodeBalancers, checks and traffic alike: from anywhere in 192.168.255.0/24 (Linode's documentation of NodeBalancers).
    Balancers,
}

/// A network as its first bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct SourceNetwork {
    address: IpAddr,
    bits: u32,
}

impl PacketSource {
    fn network(self) -> SourceNetwork {
        let (address, bits) = match self {
            Self::Users { six: false } => (Ipv4Addr::new(203, 0, 113, 7).into(), 32),
            Self::Users { six: true } => (Ipv6Addr::new(0x3fff, 0xb, 0, 0, 0, 0, 0, 7).into(), 128),
            Self::Balancers => (Ipv4Addr::new(192, 168, 255, 0).into(), 24),
        };
        SourceNetwork { address, bits }
    }
}

impl SourceNetwork {
    fn read(text: &str) -> Option<Self> {
        let (address, bits) = text.split_once('/')?;
        Some(Self { address: address.parse().ok()?, bits: bits.parse().ok()? })
    }

    /// Whether all of the other is in it.
    fn covers(self, other: Self) -> bool {
        self.bits <= other.bits && self.agrees(other, self.bits)
    }

    fn overlaps(self, other: Self) -> bool {
        self.agrees(other, self.bits.min(other.bits))
    }

    fn agrees(self, other: Self, bits: u32) -> bool {
        match (self.address, other.address) {
            (IpAddr::V4(a), IpAddr::V4(b)) => {
                let shift = 32_u32.saturating_sub(bits);
                a.to_bits().checked_shr(shift) == b.to_bits().checked_shr(shift)
            }
            (IpAddr::V6(a), IpAddr::V6(b)) => {
                let shift = 128_u32.saturating_sub(bits);
                a.to_bits().checked_shr(shift) == b.to_bits().checked_shr(shift)
            }
            _ => false,
        }
    }
}

/// Whether every firewall before an entity lets a connection in; `protocol` is `TCP` or `UDP`.
pub fn lets_in(
    cloud: &LinodeWorld,
    (kind, entity): (&str, u64),
    source: PacketSource,
    protocol: &str,
    port: u16,
) -> bool {
    let before = devices::firewalls_of(cloud, kind, entity);
    let enabled = before.iter().filter_map(|id| cloud.firewalls.get(*id));
    enabled
        .filter(|it| it.status == "enabled")
        .all(|it| is_accepted(&it.rules, source.network(), protocol, port))
}

fn is_accepted(rules: &Value, source: SourceNetwork, protocol: &str, port: u16) -> bool {
    let accepts = |action: &Value| action == "ACCEPT";
    for rule in rules["inbound"].as_array().into_iter().flatten() {
        let accept = accepts(&rule["action"]);
        if is_of(&rule["protocol"], protocol)
            && has_port(&rule["ports"], port)
            && is_from(&rule["addresses"], source, accept)
        {
            return accept;
        }
    }
    accepts(&rules["inbound_policy"])
}

/// Protocols have names and numbers (IANA: TCP is 6, UDP is 17).
fn is_of(rule: &Value, protocol: &str) -> bool {
    let number = if protocol == "UDP" { "17" } else { "6" };
    rule.as_str().is_some_and(|it| {
        it.eq_ignore_ascii_case(protocol) || it.eq_ignore_ascii_case("ALL") || it == number
    })
}

/// `22, 80-90`; no ports are all ports.
fn has_port(rule: &Value, port: u16) -> bool {
    let text = rule.as_str().unwrap_or_default().trim();
    let holds = |part: &str| {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        let number = |it: &str| it.trim().parse::<u16>().ok();
        matches!((number(from), number(to)), (Some(from), Some(to)) if (from..=to).contains(&port))
    };
    text.is_empty() || text.split(',').any(holds)
}

/// Some of the senders shut out is as bad as all of them; some of them let in is not enough.
fn is_from(addresses: &Value, source: SourceNetwork, accept: bool) -> bool {
    let family = if source.address.is_ipv4() { "ipv4" } else { "ipv6" };
    let mut networks = addresses[family]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|it| SourceNetwork::read(it.as_str()?));
    networks.any(|it| if accept { it.covers(source) } else { it.overlaps(source) })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{PacketSource, is_accepted};

    fn lets_in(rules: &Value, source: PacketSource, port: u16) -> bool {
        is_accepted(rules, source.network(), "TCP", port)
    }

    const USERS: PacketSource = PacketSource::Users { six: false };

    fn rule(action: &str, protocol: &str, ports: &str, network: &str) -> Value {
        json!({ "action": action, "protocol": protocol, "ports": ports, "addresses": { "ipv4": [network] } })
    }

    #[test]
    fn lets_in_follows_the_first_matching_rule_then_the_policy() {
        let closed = json!({ "inbound_policy": "DROP", "inbound": [
            rule("DROP", "TCP", "81", "0.0.0.0/0"),
            rule("ACCEPT", "TCP", "80-90, 443", "192.168.255.0/24"),
            rule("ACCEPT", "6", "22", "0.0.0.0/0"),
        ]});
        let seen = |source| [80, 81, 443, 22, 8080].map(|port| lets_in(&closed, source, port));
        assert_eq!(seen(PacketSource::Balancers), [true, false, true, true, false]);
        assert_eq!(seen(USERS), [false, false, false, true, false]);
        assert!(!lets_in(&closed, PacketSource::Users { six: true }, 22), "no rule is about IPv6");
        let open = json!({ "inbound_policy": "ACCEPT", "inbound": [] });
        assert!(lets_in(&open, USERS, 80));
    }

    #[test]
    fn lets_in_requires_all_balancers_admitted_and_none_blocked() {
        let only = |action: &str, policy: &str, network: &str| json!({ "inbound_policy": policy, "inbound": [rule(action, "ALL", "", network)] });
        let seen = |rules: &Value| lets_in(rules, PacketSource::Balancers, 80);
        assert!(seen(&only("ACCEPT", "DROP", "192.168.0.0/16")));
        assert!(!seen(&only("ACCEPT", "DROP", "192.168.255.4/32")));
        assert!(!seen(&only("ACCEPT", "DROP", "192.168.254.0/24")));
        assert!(!seen(&only("DROP", "ACCEPT", "192.168.255.4/32")));
        assert!(seen(&only("DROP", "ACCEPT", "10.0.0.0/8")));
        assert!(seen(&only("ACCEPT", "DROP", "0.0.0.0/0")));
    }
}

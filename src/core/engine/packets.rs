//! What a filter of packets lets in: its rules read in order, the first that fits decides, the policy decides the rest.

use std::net::IpAddr;

use crate::engine::schema::{Kind, Packets};
use crate::engine::value::Value;

/// The rules of one object.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    rules: Vec<FilterRule>,
    /// What becomes of what no rule is about.
    accepts_rest: bool,
    is_off: bool,
    /// A rule or an address is known only after apply, or is none.
    pub is_partly_unknown: bool,
}

#[derive(Debug, Clone)]
struct FilterRule {
    accepts: bool,
    protocol: String,
    /// It is about every protocol.
    is_all: bool,
    /// Both ends belong to it; `None`: the protocol has no ports.
    ports: Option<Vec<(u16, u16)>>,
    sources: Vec<Network>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

/// Addresses under which users come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    Four,
    Six,
}

/// Which of the users, who come over the Internet, are let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Admits {
    Nobody,
    Some,
    Everybody,
}

/// Where those stand who come to a port.
#[derive(Clone, Copy)]
enum ClientOrigin {
    Internet,
    /// Also in a network of somebody's own.
    Anywhere,
}

/// A protocol and ports that anybody reaches.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Opening {
    pub protocol: String,
    /// `None`: it has none.
    pub ports: Option<(u16, u16)>,
}

/// Every port of TCP and UDP; port 0 is reserved (IANA's registry of port numbers).
const ALL_PORTS: (u16, u16) = (1, 65535);
/// A network with a shorter prefix is no organization's own: private networks have at most 2^24 addresses (RFC 1918).
const EVERYBODY_IPV4: u8 = 8;
/// The same for IPv6: registries hand out no network larger than a /16.
const EVERYBODY_IPV6: u8 = 16;
/// Nobody comes over the Internet from these (RFC 1918, 6598, 3927, 1122, 4193, 4291).
const PRIVATE: [&str; 9] = [
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "100.64.0.0/10",
    "169.254.0.0/16",
    "127.0.0.0/8",
    "fc00::/7",
    "fe80::/10",
    "::1/128",
];

impl Network {
    /// `192.0.2.0/24`, or one address; what is written behind the prefix does not count.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = text.split_once('/').map_or((text, None), |(a, b)| (a, Some(b)));
        let address: IpAddr = address.trim().parse().ok()?;
        let whole = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            Some(it) => it.trim().parse().ok().filter(|it| *it <= whole)?,
            None => whole,
        };
        Some(Self { address, prefix })
    }

    /// Whether it holds all of another one.
    pub fn holds(&self, other: &Self) -> bool {
        let same = |a: u128, b: u128, width: u8| {
            let shift = u32::from(width - self.prefix);
            a.checked_shr(shift).unwrap_or(0) == b.checked_shr(shift).unwrap_or(0)
        };
        self.prefix <= other.prefix
            && match (self.address, other.address) {
                (IpAddr::V4(a), IpAddr::V4(b)) => same(a.to_bits().into(), b.to_bits().into(), 32),
                (IpAddr::V6(a), IpAddr::V6(b)) => same(a.to_bits(), b.to_bits(), 128),
                _ => false,
            }
    }

    fn is_private(&self) -> bool {
        PRIVATE.iter().any(|it| Self::parse(it).is_some_and(|it| it.holds(self)))
    }

    fn is_of(&self, family: Family) -> bool {
        self.address.is_ipv4() == (family == Family::Four)
    }

    fn is_everybody(&self) -> bool {
        self.prefix < if self.address.is_ipv4() { EVERYBODY_IPV4 } else { EVERYBODY_IPV6 }
    }
}

impl ClientOrigin {
    fn holds(self, network: &Network) -> bool {
        matches!(self, Self::Anywhere) || !network.is_private()
    }
}

impl FilterRule {
    /// `None` where it cannot be read.
    fn read(packets: &Packets, value: &Value) -> Option<Self> {
        let map = value.as_map()?;
        let text = |name: &str| map.get(name).and_then(Value::as_text);
        let protocol = text("protocol")?;
        let protocol = packets.named.get(protocol).map_or(protocol, String::as_str).to_owned();
        let is_all = protocol == packets.every;
        let has_ports = packets.ports_of.contains(&protocol);
        let ports = match map.get("ports") {
            _ if !has_ports => None,
            None | Some(Value::Null) => Some(vec![ALL_PORTS]),
            Some(value) => Some(ports(value.as_text()?)?),
        };
        let mut sources = Vec::new();
        for list in map.get("addresses").and_then(Value::as_map)?.values() {
            let Value::List(items) = list else { continue };
            for it in items {
                sources.push(Network::parse(it.as_text()?)?);
            }
        }
        let accepts = text("action")? == packets.accepts;
        Some(Self { accepts, protocol, is_all, ports, sources })
    }

    fn covers(&self, opening: &Opening) -> bool {
        let is_within = match (&self.ports, opening.ports) {
            (Some(ranges), Some((low, high))) => {
                ranges.iter().any(|it| it.0 <= low && high <= it.1)
            }
            (None, None) => true,
            _ => false,
        };
        self.is_all || (self.protocol == opening.protocol && is_within)
    }

    fn openings(&self) -> Vec<Opening> {
        let of = |ports| Opening { protocol: self.protocol.clone(), ports };
        match &self.ports {
            None => vec![of(None)],
            Some(ranges) => ranges.iter().map(|it| of(Some(*it))).collect(),
        }
    }
}

/// `22`, `80, 443`, `8000-8080`.
fn ports(text: &str) -> Option<Vec<(u16, u16)>> {
    let range = |it: &str| {
        let (low, high) = it.split_once('-').unwrap_or((it, it));
        Some((low.trim().parse().ok()?, high.trim().parse().ok()?))
    };
    text.split(',').map(|it| range(it.trim())).collect()
}

impl Filter {
    /// The filter that an object of such a kind is; `None`: it is no filter.
    pub fn of<'a>(kind: &Kind, value: impl Fn(&str) -> Option<&'a Value>) -> Option<Self> {
        let packets = kind.packets.as_ref()?;
        let is = |name: &str, word: &str| value(name).and_then(Value::as_text) == Some(word);
        let mut filter = Self {
            accepts_rest: is(&packets.policy, &packets.accepts),
            is_off: is(&packets.off.0, &packets.off.1),
            ..Self::default()
        };
        match value(&packets.rules) {
            Some(Value::List(items)) => {
                let read = items.iter().map(|it| FilterRule::read(packets, it));
                filter.rules = read.flatten().collect();
                filter.is_partly_unknown = filter.rules.len() < items.len();
            }
            None | Some(Value::Null) => {}
            Some(_) => filter.is_partly_unknown = true,
        }
        Some(filter)
    }

    /// What anybody reaches, as the rules say it; a switched-off filter and an open policy are not listed.
    pub fn openings(&self) -> Vec<Opening> {
        let mut found = Vec::new();
        for (at, rule) in self.rules.iter().enumerate().filter(|(_, it)| it.accepts) {
            for network in rule.sources.iter().filter(|it| it.is_everybody()) {
                let is_shut = |opening: &Opening| {
                    self.rules[..at].iter().any(|it| {
                        !it.accepts
                            && it.covers(opening)
                            && it.sources.iter().any(|it| it.holds(network))
                    })
                };
                found.extend(rule.openings().into_iter().filter(|it| !is_shut(it)));
            }
        }
        found.sort();
        found.dedup();
        found
    }

    /// Whether anybody reaches everything: it is off, or lets in what no rule is about.
    pub fn is_open(&self) -> bool {
        self.is_off || self.accepts_rest
    }

    /// Whether anybody reaches a port.
    pub fn opens(&self, protocol: &str, port: u16) -> bool {
        let everybody = ["0.0.0.0/0", "::/0"].map(|it| Network::parse(it).expect("a network"));
        let probe = Opening { protocol: protocol.into(), ports: Some((port, port)) };
        let of_rules = self.rules.iter().enumerate().any(|(at, rule)| {
            let is_shut = |network: &Network| {
                let fits = |it: &FilterRule| {
                    it.covers(&probe) && it.sources.iter().any(|it| it.holds(network))
                };
                self.rules[..at].iter().any(|it| !it.accepts && fits(it))
            };
            let mut open = rule.sources.iter().filter(|it| it.is_everybody());
            rule.accepts && rule.covers(&probe) && open.any(|it| !is_shut(it))
        });
        let is_shut = everybody.iter().all(|network| {
            let fits = |it: &&FilterRule| {
                it.covers(&probe) && it.sources.iter().any(|it| it.holds(network))
            };
            self.rules.iter().find(fits).is_some_and(|it| !it.accepts)
        });
        self.is_off || of_rules || (self.accepts_rest && !is_shut)
    }

    /// Which users reach a port, or any port at all; of one family or of both. What is not known yet may let everybody in.
    pub fn admits(&self, protocol: &str, port: Option<u16>, family: Option<Family>) -> Admits {
        self.admits_from(ClientOrigin::Internet, protocol, port, family)
    }

    /// Whether nobody reaches a port of an address, so far as the rules can be read. Who knocks at a public address has one,
    /// too: a rule for private networks lets nobody in there.
    pub fn keeps_all_out(&self, protocol: &str, port: u16, host: IpAddr) -> bool {
        let (family, bits) = if host.is_ipv4() { (Family::Four, 32) } else { (Family::Six, 128) };
        let is_private = Network { address: host, prefix: bits }.is_private();
        let origin = if is_private { ClientOrigin::Anywhere } else { ClientOrigin::Internet };
        self.admits_from(origin, protocol, Some(port), Some(family)) == Admits::Nobody
    }

    fn admits_from(
        &self,
        origin: ClientOrigin,
        protocol: &str,
        port: Option<u16>,
        family: Option<Family>,
    ) -> Admits {
        if self.is_off || self.is_partly_unknown {
            return Admits::Everybody;
        }
        let of = |ports| Opening { protocol: protocol.into(), ports: Some(ports) };
        let (one, all) = (port.map(|it| of((it, it))), of(ALL_PORTS));
        let is_about = |it: &&FilterRule| match &one {
            Some(port) => it.covers(port),
            // One port that is let in is one that is reached; shut are only those that a rule shuts all of.
            None => it.covers(&all) || (it.accepts && it.protocol == protocol),
        };
        let about: Vec<&FilterRule> = self.rules.iter().filter(is_about).collect();
        let families = family.map_or(vec![Family::Four, Family::Six], |it| vec![it]);
        let admitted = families.into_iter().map(|it| self.admits_of(&about, origin, it));
        admitted.max().unwrap_or(Admits::Nobody)
    }

    /// `about`: the rules that are about the port.
    fn admits_of(&self, about: &[&FilterRule], origin: ClientOrigin, family: Family) -> Admits {
        let all = if family == Family::Four { "0.0.0.0/0" } else { "::/0" };
        let all = Network::parse(all).expect("a network");
        let mut admitted = Admits::Nobody;
        for (at, rule) in about.iter().enumerate().filter(|(_, it)| it.accepts) {
            let is_shut = |network: &Network| {
                let mut before = about[..at].iter().filter(|it| !it.accepts);
                before.any(|it| it.sources.iter().any(|it| it.holds(network)))
            };
            let comes = |it: &&Network| it.is_of(family) && origin.holds(it) && !is_shut(it);
            for network in rule.sources.iter().filter(comes) {
                let who = if network.is_everybody() { Admits::Everybody } else { Admits::Some };
                admitted = admitted.max(who);
            }
        }
        let whole = about.iter().find(|it| it.sources.iter().any(|it| it.holds(&all)));
        let is_rest_shut = whole.is_some_and(|it| !it.accepts);
        if self.accepts_rest && !is_rest_shut { Admits::Everybody } else { admitted }
    }

    /// Whether all of a network reaches a port.
    pub fn lets_in(&self, protocol: &str, port: u16, network: &Network) -> bool {
        if self.is_off {
            return true;
        }
        let probe = Opening { protocol: protocol.into(), ports: Some((port, port)) };
        // A rule about a part of the network decides for that part only: one that shuts it out does not let in all.
        let touching = self.rules.iter().filter(|it| {
            it.covers(&probe) && it.sources.iter().any(|it| it.holds(network) || network.holds(it))
        });
        for rule in touching {
            let is_whole = rule.sources.iter().any(|it| it.holds(network));
            match (rule.accepts, is_whole) {
                (true, true) => return true,
                (true, false) => {}
                (false, _) => return false,
            }
        }
        self.accepts_rest
    }
}

/// `TCP 22`, `UDP 8000-8080`, `TCP, every port`, `ICMP`.
impl std::fmt::Display for Opening {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.ports {
            None => f.write_str(&self.protocol),
            Some(ALL_PORTS) => write!(f, "{}, every port", self.protocol),
            Some((low, high)) if low == high => write!(f, "{} {low}", self.protocol),
            Some((low, high)) => write!(f, "{} {low}-{high}", self.protocol),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Filter, Network};
    use crate::engine::value::{Attributes, Value};

    fn rule(action: &str, ports: Option<&str>, source: &str) -> Value {
        let family = if source.contains(':') { "ipv6" } else { "ipv4" };
        let addresses = Attributes::from([(family.into(), Value::List(vec![source.into()]))]);
        let mut map = Attributes::from([
            ("action".into(), action.into()),
            ("protocol".into(), "TCP".into()),
            ("addresses".into(), Value::Map(addresses)),
        ]);
        map.extend(ports.map(|it| ("ports".into(), it.into())));
        Value::Map(map)
    }

    fn filter(policy: &str, rules: Vec<Value>) -> Filter {
        let catalog = crate::kinds::builtin();
        let kind = catalog.kinds.values().find(|it| it.packets.is_some()).unwrap();
        let attributes = Attributes::from([
            ("inbound".into(), Value::List(rules)),
            ("inbound_policy".into(), policy.into()),
        ]);
        Filter::of(kind, |name| attributes.get(name)).unwrap()
    }

    fn openings(rules: Vec<Value>) -> Vec<String> {
        filter("DROP", rules).openings().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn openings_lists_ports_open_to_everyone_however_written() {
        assert_eq!(openings(vec![rule("ACCEPT", Some("22"), "0.0.0.0/0")]), ["TCP 22"]);
        assert_eq!(openings(vec![rule("ACCEPT", Some("22"), "::/0")]), ["TCP 22"]);
        assert_eq!(openings(vec![rule("ACCEPT", Some("22"), "128.0.0.0/1")]), ["TCP 22"]);
        assert_eq!(openings(vec![rule("ACCEPT", None, "0.0.0.0/0")]), ["TCP, every port"]);
        let several = rule("ACCEPT", Some("80, 8000-8080"), "0.0.0.0/0");
        assert_eq!(openings(vec![several]), ["TCP 80", "TCP 8000-8080"]);
        assert!(openings(vec![rule("ACCEPT", Some("22"), "10.0.0.0/8")]).is_empty());
        assert!(openings(vec![rule("DROP", Some("22"), "0.0.0.0/0")]).is_empty());
        let shut = [rule("DROP", Some("20-30"), "0.0.0.0/0"), rule("ACCEPT", None, "0.0.0.0/0")];
        assert_eq!(openings(shut.to_vec()), ["TCP, every port"]);
        let shut = [rule("DROP", None, "0.0.0.0/0"), rule("ACCEPT", Some("22"), "0.0.0.0/0")];
        assert!(openings(shut.to_vec()).is_empty());
    }

    #[test]
    fn admits_considers_the_internet_by_either_family() {
        use super::{Admits, Family};
        let admits = |policy, rules: Vec<Value>, family| {
            let filter = filter(policy, rules);
            filter.admits("TCP", Some(80), family)
        };
        let accept = |source| vec![rule("ACCEPT", Some("80"), source)];
        let both = |rules| admits("DROP", rules, None);
        assert_eq!(both(accept("0.0.0.0/0")), Admits::Everybody);
        assert_eq!(both(accept("203.0.113.0/24")), Admits::Some);
        // Only balancers, machines and tunnels come from there.
        for private in ["192.168.255.0/24", "10.1.2.3", "fd00::/8", "100.64.0.0/10"] {
            assert_eq!(both(accept(private)), Admits::Nobody, "{private}");
        }
        assert_eq!(both(vec![rule("ACCEPT", Some("22"), "0.0.0.0/0")]), Admits::Nobody);
        assert_eq!(both(vec![]), Admits::Nobody);
        assert_eq!(admits("ACCEPT", vec![], None), Admits::Everybody);
        let shut = vec![rule("DROP", None, "0.0.0.0/0"), rule("DROP", None, "::/0")];
        assert_eq!(admits("ACCEPT", shut.clone(), None), Admits::Nobody);
        let late = [shut, accept("203.0.113.0/24")].concat();
        assert_eq!(admits("ACCEPT", late, None), Admits::Nobody);
        assert_eq!(admits("DROP", accept("::/0"), Some(Family::Four)), Admits::Nobody);
        assert_eq!(admits("DROP", accept("::/0"), Some(Family::Six)), Admits::Everybody);
        assert_eq!(admits("DROP", vec![Value::Open], None), Admits::Everybody);
        let any = |rules| filter("DROP", rules).admits("TCP", None, None);
        assert_eq!(any(vec![rule("ACCEPT", Some("22"), "0.0.0.0/0")]), Admits::Everybody);
        assert_eq!(any(vec![rule("ACCEPT", Some("80"), "192.168.255.0/24")]), Admits::Nobody);
        let shut = vec![rule("DROP", None, "0.0.0.0/0"), rule("ACCEPT", Some("22"), "0.0.0.0/0")];
        assert_eq!(any(shut), Admits::Nobody);
    }

    #[test]
    fn keeps_all_out_only_where_nobody_is_admitted() {
        let out = |policy, rules: &[Value], host: &str| {
            filter(policy, rules.to_vec()).keeps_all_out("TCP", 22, host.parse().unwrap())
        };
        let (public, six, private) = ("192.0.2.1", "2001:db8::1", "192.168.128.1");
        assert!(out("DROP", &[], public) && !out("ACCEPT", &[], public));
        let ours = [rule("ACCEPT", Some("20-30"), "203.0.113.0/24")];
        assert!(!out("DROP", &ours, public) && out("DROP", &ours, six));
        assert!(out("DROP", &[rule("ACCEPT", Some("80"), "0.0.0.0/0")], public));
        let inside = [rule("ACCEPT", None, "192.168.255.0/24")];
        assert!(out("DROP", &inside, public) && !out("DROP", &inside, private));
        assert!(out("ACCEPT", &[rule("DROP", None, "0.0.0.0/0")], public));
        assert!(!out("ACCEPT", &[rule("DROP", None, "10.0.0.0/8")], public));
        let before = [rule("DROP", Some("22"), "203.0.0.0/16"), ours[0].clone()];
        assert!(out("DROP", &before, public));
        assert!(!out("DROP", &[Value::Open], public), "what is not known may let in");
        let by = |protocol: &str| {
            let Value::Map(mut all) = rule("ACCEPT", None, "0.0.0.0/0") else { unreachable!() };
            all.insert("protocol".into(), protocol.into());
            [Value::Map(all)]
        };
        assert!(!out("DROP", &by("ALL"), public) && !out("DROP", &by("6"), public));
        assert!(out("DROP", &by("50"), public) && out("DROP", &by("17"), public));
    }

    #[test]
    fn lets_in_follows_the_first_matching_rule_then_the_policy() {
        let range = Network::parse("192.168.255.0/24").unwrap();
        let lets_in =
            |policy, rules: &[Value]| filter(policy, rules.to_vec()).lets_in("TCP", 80, &range);
        let all = rule("ACCEPT", Some("80"), "192.168.0.0/16");
        assert!(lets_in("DROP", std::slice::from_ref(&all)));
        assert!(!lets_in("DROP", &[rule("ACCEPT", Some("443"), "192.168.0.0/16")]));
        assert!(!lets_in("DROP", &[rule("ACCEPT", Some("80"), "192.168.255.0/25")]));
        assert!(!lets_in("ACCEPT", &[rule("DROP", Some("80"), "192.168.255.7/32"), all]));
        assert!(lets_in("ACCEPT", &[]));
        assert!(!lets_in("DROP", &[]));
        assert!(filter("ACCEPT", vec![]).opens("TCP", 22));
        assert!(!filter("DROP", vec![rule("ACCEPT", Some("80"), "0.0.0.0/0")]).opens("TCP", 22));
        assert!(filter("DROP", vec![Value::Open]).is_partly_unknown);
    }
}

//! Where names lead, what whoever follows one meets there, and where else they could lead.
//!
//! What a test of a switch watches at every request; the engine has no part in it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::faults::state::Faults;
use crate::http::Millis;
use crate::linode::balancer::health;
use crate::linode::data::apps::AppAnswer;
use crate::linode::data::model::{LinodeInstance, NodeBalancer};
use crate::linode::data::store::LinodeWorld;
use crate::linode::dns::names;
use crate::linode::firewall::reach::{PacketSource, lets_in};
use crate::linode::machine::installed;

/// What whoever follows a name meets; the best of its addresses counts for the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MetBy {
    /// Nothing of this world has the address.
    Nobody,
    /// Its region is lost.
    Lost,
    /// Something is there and nothing behind it is healthy.
    Failing,
    /// Something healthy.
    Served,
}

impl fmt::Display for MetBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nobody => "nobody",
            Self::Lost => "lost",
            Self::Failing => "failing",
            Self::Served => "served",
        })
    }
}

/// What was found out about one name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServedVerdict {
    pub met: MetBy,
    /// By address; empty when the name leads nowhere.
    pub targets: BTreeMap<String, MetBy>,
    /// Something serves that it could point at: a balancer, and where it points at a machine or there is no balancer, a machine.
    pub way: bool,
}

/// Where users are at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Users {
    /// By name, with its zone.
    pub names: BTreeMap<String, ServedVerdict>,
    /// The labels of all balancers that serve.
    pub balancers: BTreeSet<String>,
    /// The labels of all machines that serve under an address of their own.
    pub machines: BTreeSet<String>,
}

/// Looks after every name of every zone.
pub fn users(cloud: &LinodeWorld, faults: &Faults, now: Millis) -> Users {
    let balancers: BTreeSet<String> = cloud
        .nodebalancers
        .iter()
        .filter(|(_, it)| of_balancer(cloud, faults, now, it) == MetBy::Served)
        .map(|(_, it)| it.label.clone())
        .collect();
    let machines: BTreeSet<String> = cloud
        .instances
        .iter()
        .filter(|(_, it)| of_machine(cloud, faults, now, it, false) == MetBy::Served)
        .map(|(_, it)| it.label.clone())
        .collect();
    let mut names = BTreeMap::new();
    for (_, record) in cloud.records.iter() {
        if !matches!(record.kind.as_str(), "A" | "AAAA" | "CNAME") {
            continue;
        }
        let zone = cloud.domains.get(record.domain).map_or("", |it| &it.domain);
        let name =
            if record.name.is_empty() { zone.into() } else { format!("{}.{zone}", record.name) };
        let name = name.to_lowercase();
        if names.contains_key(&name) {
            continue;
        }
        let addresses = names::resolve(cloud, &name);
        let targets: BTreeMap<String, MetBy> =
            addresses.into_iter().map(|it| (it.clone(), met(cloud, faults, now, &it))).collect();
        let met = targets.values().max().copied().unwrap_or(MetBy::Nobody);
        let of_a_machine = |it: &String| cloud.instances.first(&format!("address:{it}")).is_some();
        let or_a_machine = cloud.nodebalancers.is_empty() || targets.keys().any(of_a_machine);
        let way = !balancers.is_empty() || or_a_machine && !machines.is_empty();
        names.insert(name, ServedVerdict { met, targets, way });
    }
    Users { names, balancers, machines }
}

/// What is met under an address.
fn met(cloud: &LinodeWorld, faults: &Faults, now: Millis, address: &str) -> MetBy {
    let key = format!("address:{address}");
    if let Some((_, machine)) = cloud.instances.first(&key) {
        return of_machine(cloud, faults, now, machine, address.contains(':'));
    }
    cloud
        .nodebalancers
        .first(&key)
        .map_or(MetBy::Nobody, |(_, it)| of_balancer(cloud, faults, now, it))
}

/// A balancer serves while one of its ports does.
fn of_balancer(cloud: &LinodeWorld, faults: &Faults, now: Millis, it: &NodeBalancer) -> MetBy {
    if health::is_lost(faults, &it.region) {
        return MetBy::Lost;
    }
    let mut configs = cloud.configs.find(&format!("nodebalancer:{}", it.id));
    serves(configs.any(|(_, config)| health::serves(cloud, faults, now, config)))
}

/// A machine serves while its application is well on a port that users may come to.
fn of_machine(
    cloud: &LinodeWorld,
    faults: &Faults,
    now: Millis,
    it: &LinodeInstance,
    six: bool,
) -> MetBy {
    if health::is_lost(faults, &it.region) {
        return MetBy::Lost;
    }
    let well = |port: u16| {
        health::answer(cloud, faults, now, it, port) == AppAnswer::Well
            && lets_in(cloud, ("linode", it.id), PacketSource::Users { six }, "TCP", port)
    };
    serves(installed::of(cloud, it).front().into_iter().any(well))
}

fn serves(it: bool) -> MetBy {
    if it { MetBy::Served } else { MetBy::Failing }
}

//! Where names lead, and what whoever follows one meets there: what a test of a switch watches at every request.

use serde::{Deserialize, Serialize};

use crate::sandbox::faults::Faults;
use crate::sandbox::http::Millis;
use crate::sandbox::linode::health;
use crate::sandbox::linode::store::Linode;

/// What whoever follows a name meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Met {
    /// Something healthy.
    Served,
    /// Something is there and nothing behind it is healthy.
    Failing,
    /// Its region is lost.
    Lost,
    /// Nothing of this world has the address.
    Nobody,
}

/// One address record, and what it led to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lead {
    pub name: String,
    pub target: String,
    pub met: Met,
}

/// Every address record of every zone.
pub fn leads(cloud: &Linode, faults: &Faults, now: Millis) -> Vec<Lead> {
    let records = cloud.records.iter().map(|(_, it)| it);
    records
        .filter(|it| it.kind == "A" || it.kind == "AAAA")
        .map(|it| {
            let zone = cloud.domains.get(it.domain).map_or("", |it| &it.domain);
            let name = if it.name.is_empty() { zone.into() } else { format!("{}.{zone}", it.name) };
            Lead { name, target: it.target.clone(), met: met(cloud, faults, now, &it.target) }
        })
        .collect()
}

/// A balancer serves while one of its ports has a healthy node; a machine while it runs and is well.
fn met(cloud: &Linode, faults: &Faults, now: Millis, address: &str) -> Met {
    let key = format!("address:{address}");
    let serves = |it: bool| if it { Met::Served } else { Met::Failing };
    if let Some((_, machine)) = cloud.instances.first(&key) {
        if health::is_lost(faults, &machine.region) {
            return Met::Lost;
        }
        let is_well = !faults.is_unhealthy(&machine.label);
        return serves(is_well && health::is_up(faults, now, machine));
    }
    let Some((id, balancer)) = cloud.nodebalancers.first(&key) else { return Met::Nobody };
    if health::is_lost(faults, &balancer.region) {
        return Met::Lost;
    }
    let mut configs = cloud.configs.find(&format!("nodebalancer:{id}"));
    serves(configs.any(|(_, it)| !health::serving(cloud, faults, now, it).is_empty()))
}

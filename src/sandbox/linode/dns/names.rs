//! What a name resolves to: the sandbox's own zones are its only name servers.

use crate::linode::data::model::DomainRecord;
use crate::linode::data::store::LinodeWorld;

/// How many CNAMEs are followed before giving up. A guess: resolvers have limits of this order, and a loop must end.
const MOST_HOPS: usize = 8;

/// Every address of a name, A before AAAA; empty when nobody knows it.
pub fn resolve(cloud: &LinodeWorld, name: &str) -> Vec<String> {
    let mut name = name.trim_end_matches('.').to_lowercase();
    for _ in 0..MOST_HOPS {
        if let Some(address) = machine_name(&name) {
            return vec![address];
        }
        let records = records(cloud, &name);
        let of = |kind: &str| {
            records.iter().filter(|it| it.kind == kind).map(|it| it.target.clone()).collect()
        };
        let mut addresses: Vec<String> = of("A");
        addresses.extend::<Vec<String>>(of("AAAA"));
        if !addresses.is_empty() {
            return addresses;
        }
        match records.iter().find(|it| it.kind == "CNAME") {
            Some(alias) => name = alias.target.trim_end_matches('.').to_lowercase(),
            None => return Vec::new(),
        }
    }
    Vec::new()
}

/// `198-18-0-10.ip.linodeusercontent.com`.
fn machine_name(name: &str) -> Option<String> {
    let digits = name.strip_suffix(".ip.linodeusercontent.com")?;
    Some(digits.replace('-', "."))
}

/// The records of a name in the most specific active zone that holds it; a wildcard when there are none.
fn records<'a>(cloud: &'a LinodeWorld, name: &str) -> Vec<&'a DomainRecord> {
    let mut zone = name;
    loop {
        if let Some((id, _)) =
            cloud.domains.first(&format!("domain:{zone}")).filter(|(_, it)| it.status == "active")
        {
            let relative = name.strip_suffix(zone).unwrap_or_default().trim_end_matches('.');
            let of = |relative: &str| -> Vec<&'a DomainRecord> {
                cloud.records.find(&format!("name:{id}/{relative}")).map(|(_, it)| it).collect()
            };
            let found = of(relative);
            if !found.is_empty() || relative.is_empty() {
                return found;
            }
            let parent =
                relative.split_once('.').map_or(String::new(), |(_, rest)| format!(".{rest}"));
            return of(&format!("*{parent}"));
        }
        match zone.split_once('.') {
            Some((_, parent)) => zone = parent,
            None => return Vec::new(),
        }
    }
}

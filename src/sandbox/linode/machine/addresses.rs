//! Hands out addresses: only from ranges that belong to nobody (198.18.0.0/15, 2001:db8::/32), private ones per region.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::linode::data::catalog;
use crate::linode::data::store::LinodeWorld;

/// Host numbers that look like a network's own or its broadcast are skipped; so are the first, which resolvers use.
fn is_host(address: u32) -> bool {
    !matches!(address & 0xff, 0 | 1 | 255)
}

/// A free public IPv4 address from 198.18.0.0/15.
pub fn public_ipv4(cloud: &mut LinodeWorld) -> String {
    let base = u32::from(Ipv4Addr::new(198, 18, 0, 0));
    loop {
        let step = cloud.count("public_ipv4", 10);
        let offset = u32::try_from(step % (1 << 17)).expect("less than 2^17");
        let address = Ipv4Addr::from(base + offset).to_string();
        let key = format!("address:{address}");
        let taken =
            cloud.instances.first(&key).is_some() || cloud.nodebalancers.first(&key).is_some();
        if is_host(base + offset) && !taken {
            return address;
        }
    }
}

/// A free private address of the region from 192.168.128.0/17.
pub fn private_ipv4(cloud: &mut LinodeWorld, region: &str) -> String {
    let base = u32::from(Ipv4Addr::new(192, 168, 128, 0));
    loop {
        let step = cloud.count(&format!("private_ipv4/{region}"), 10);
        let offset = u32::try_from(step % (1 << 15)).expect("less than 2^15");
        let address = Ipv4Addr::from(base + offset).to_string();
        // 192.168.255.0/24 is where NodeBalancers come from.
        let is_balancers = (base + offset) >> 8 == base >> 8 | 0x7f;
        let taken = cloud.instances.first(&format!("private:{region}/{address}")).is_some();
        if is_host(base + offset) && !is_balancers && !taken {
            return address;
        }
    }
}

/// The SLAAC address of a machine, without its prefix.
pub fn slaac(cloud: &mut LinodeWorld, region: &str) -> String {
    let step = cloud.count("ipv6", 1);
    let (high, low) = (halves(step).0, halves(step).1);
    let region = halves(catalog::region_number(region)).1;
    Ipv6Addr::new(0x2001, 0xdb8, region, 0, 0xf03c, 0x95ff, 0xfe00 | (high & 0xff), low).to_string()
}

/// A NodeBalancer's IPv6 ends with the digits of its IPv4.
pub fn balancer_ipv6(ipv4: &str, region: &str) -> String {
    let bits = ipv4.parse::<Ipv4Addr>().map_or(0, u32::from);
    let (high, low) = halves(u64::from(bits));
    let region = halves(catalog::region_number(region)).1;
    Ipv6Addr::new(0x2001, 0xdb8, region, 1, 0, 0, high, low).to_string()
}

fn halves(bits: u64) -> (u16, u16) {
    let part = |it: u64| u16::try_from(it & 0xffff).expect("masked to 16 bits");
    (part(bits >> 16), part(bits))
}

/// The name that an address has when nobody gave it another.
pub fn reverse_name(ipv4: &str) -> String {
    format!("{}.ip.linodeusercontent.com", ipv4.replace('.', "-"))
}

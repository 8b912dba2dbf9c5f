//! Zones: unique over the whole platform, with seconds that are rounded up to what the service keeps.

use serde_json::{Value, json};

use crate::linode::data::model::{Domain, DomainRecord};
use crate::linode::data::store::LinodeWorld;
use crate::linode::request::body::{RequestBody, is_ipv4, is_ipv6};
use crate::linode::request::call::{CallResult, LinodeCall, LinodeError, done, stamp};
use crate::linode::request::events;
use crate::linode::request::listing::{Filterable, page};
use crate::linode::request::tags;

pub const FILTERABLE: Filterable = &["domain", "group", "tags"];

const SECONDS: [u64; 15] = [
    0, 30, 120, 300, 3_600, 7_200, 14_400, 28_800, 57_600, 86_400, 172_800, 345_600, 604_800,
    1_209_600, 2_419_200,
];

/// The next time the service keeps; silently, as the real one does.
pub fn rounded(seconds: u64) -> u64 {
    SECONDS.into_iter().find(|it| *it >= seconds).unwrap_or(2_419_200)
}

pub fn view(it: &Domain) -> Value {
    json!({
        "id": it.id, "type": it.kind, "domain": it.domain, "tags": it.tags, "group": it.group,
        "status": it.status, "errors": "", "description": it.description, "soa_email": it.soa_email,
        "retry_sec": it.retry_sec, "master_ips": it.master_ips, "axfr_ips": it.axfr_ips,
        "expire_sec": it.expire_sec, "refresh_sec": it.refresh_sec, "ttl_sec": it.ttl_sec,
        "created": stamp(it.created), "updated": stamp(it.updated),
    })
}

pub fn list(cloud: &LinodeWorld, call: &LinodeCall<'_>) -> CallResult {
    page(call, cloud.domains.iter().map(|(_, it)| view(it)).collect(), FILTERABLE)
}

pub fn get(cloud: &LinodeWorld, id: u64) -> CallResult {
    cloud.domains.get(id).map(view).ok_or_else(LinodeError::not_found)
}

/// Letters, digits, `-` and `_` in labels of at most 63, with a top level that is a name.
pub fn is_domain(text: &str) -> bool {
    let text = text.strip_prefix("*.").unwrap_or(text);
    let labels: Vec<&str> = text.split('.').collect();
    let good = |label: &&str| {
        (1..=63).contains(&label.len())
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
    };
    let top = labels.last().copied().unwrap_or_default();
    let named =
        top.len() >= 2 && top.chars().all(|c| c.is_ascii_alphabetic()) || top.starts_with("xn--");
    labels.len() >= 2 && text.len() <= 253 && labels.iter().all(good) && named
}

fn addresses(form: &mut RequestBody<'_>, field: &str) -> Option<Vec<String>> {
    let list = form.texts(field)?;
    if list.iter().any(|it| !is_ipv4(it) && !is_ipv6(it)) {
        form.error(field, "Must be a valid IP address");
    }
    if list.iter().map(String::len).sum::<usize>() > 1_000 {
        form.error(field, "Length must be 0-1000 characters");
    }
    Some(list)
}

/// Lays the body over a zone and checks the whole.
fn read(form: &mut RequestBody<'_>, cloud: &LinodeWorld, base: Option<Domain>) -> Domain {
    let own = base.as_ref().map(|it| it.id);
    if base.is_none() {
        form.require("domain");
        form.require("type");
    }
    let mut it = base.unwrap_or_else(blank);
    if let Some(domain) = form.sized("domain", 1, 253) {
        if !is_domain(&domain) {
            form.error("domain", "Domain is not valid.");
        }
        let taken = cloud.domains.first(&format!("domain:{}", domain.to_lowercase()));
        if taken.is_some_and(|(id, _)| Some(id) != own) {
            form.error("domain", "DNS zone already exists.");
        }
        it.domain = domain;
    }
    it.kind = form.one_of("type", &["master", "slave"]).unwrap_or(it.kind);
    it.status = form.one_of("status", &["active", "disabled"]).unwrap_or(it.status);
    it.description = form.sized("description", 0, 253).unwrap_or(it.description);
    it.group = form.text("group").unwrap_or(it.group);
    if let Some(email) = form.text("soa_email") {
        if !email.is_empty() && !email.contains('@') {
            form.error("soa_email", "soa_email is not valid");
        }
        it.soa_email = email;
    }
    it.master_ips = addresses(form, "master_ips").unwrap_or(it.master_ips);
    it.axfr_ips = addresses(form, "axfr_ips").unwrap_or(it.axfr_ips);
    it.tags = form.tags().unwrap_or(it.tags);
    for (field, place) in [
        ("ttl_sec", &mut it.ttl_sec),
        ("retry_sec", &mut it.retry_sec),
        ("refresh_sec", &mut it.refresh_sec),
        ("expire_sec", &mut it.expire_sec),
    ] {
        *place = form.number(field).map_or(*place, rounded);
    }
    if it.kind == "master" && it.soa_email.is_empty() {
        form.error("soa_email", "soa_email required when type=master");
    }
    if it.kind == "slave" && it.master_ips.is_empty() {
        form.error(
            "master_ips",
            "You need at least one master DNS server IP address for this zone.",
        );
    }
    it
}

fn blank() -> Domain {
    Domain {
        id: 0,
        domain: String::new(),
        kind: String::new(),
        status: "active".into(),
        description: String::new(),
        soa_email: String::new(),
        group: String::new(),
        master_ips: Vec::new(),
        axfr_ips: Vec::new(),
        ttl_sec: 0,
        retry_sec: 0,
        refresh_sec: 0,
        expire_sec: 0,
        tags: Vec::new(),
        created: 0,
        updated: 0,
    }
}

pub fn create(cloud: &mut LinodeWorld, call: &LinodeCall<'_>) -> CallResult {
    let mut form = RequestBody::new(&call.body);
    let row = read(&mut form, cloud, None);
    form.finish()?;
    let id = cloud.next_id("domain");
    let row = Domain { id, created: call.now, updated: call.now, ..row };
    tags::learn(cloud, &row.tags);
    events::note(cloud, call.now, "domain_create", events::domain(id, &row.domain));
    cloud.domains.put(id, row);
    get(cloud, id)
}

pub fn put(cloud: &mut LinodeWorld, call: &LinodeCall<'_>, id: u64) -> CallResult {
    let base = cloud.domains.get(id).ok_or_else(LinodeError::not_found)?.clone();
    let mut form = RequestBody::new(&call.body);
    let row = Domain { updated: call.now, ..read(&mut form, cloud, Some(base)) };
    form.finish()?;
    tags::learn(cloud, &row.tags);
    events::note(cloud, call.now, "dns_zone_update", events::domain(id, &row.domain));
    cloud.domains.put(id, row);
    get(cloud, id)
}

pub fn delete(cloud: &mut LinodeWorld, call: &LinodeCall<'_>, id: u64) -> CallResult {
    let row = cloud.domains.remove(id).ok_or_else(LinodeError::not_found)?;
    for record in cloud.records.ids(&format!("domain:{id}")) {
        cloud.records.remove(record);
    }
    events::note(cloud, call.now, "dns_zone_delete", events::domain(id, &row.domain));
    done()
}

/// The zone as lines of a zone file.
pub fn zone_file(cloud: &LinodeWorld, id: u64) -> CallResult {
    let zone = cloud.domains.get(id).ok_or_else(LinodeError::not_found)?;
    let ttl = if zone.ttl_sec == 0 { 86_400 } else { zone.ttl_sec };
    let mut lines = vec![format!("; {} [{id}]", zone.domain), format!("$TTL {ttl}")];
    lines.extend((1..=5).map(|number| format!("@\tIN\tNS\tns{number}.linode.com.")));
    lines.extend(cloud.records.find(&format!("domain:{id}")).map(|(_, it)| line(it)));
    Ok(json!({ "zone_file": lines }))
}

fn line(it: &DomainRecord) -> String {
    let name = if it.name.is_empty() { "@" } else { &it.name };
    let ttl = if it.ttl_sec == 0 { String::new() } else { format!("{}\t", it.ttl_sec) };
    let target = match it.kind.as_str() {
        "MX" => format!("{} {}.", it.priority, it.target),
        "SRV" => format!("{} {} {} {}.", it.priority, it.weight, it.port, it.target),
        "CNAME" | "NS" | "PTR" => format!("{}.", it.target),
        "TXT" => format!("{:?}", it.target),
        "CAA" => format!("0 {} {:?}", it.tag.as_deref().unwrap_or_default(), it.target),
        _ => it.target.clone(),
    };
    format!("{name}\t{ttl}IN\t{}\t{target}", it.kind)
}

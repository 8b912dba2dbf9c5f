//! Records of a zone: trimmed, qualified and rounded the way the server does it, and CNAMEs that stand alone.

use serde_json::{Value, json};

use crate::linode::data::model::{Domain, DomainRecord};
use crate::linode::data::store::LinodeWorld;
use crate::linode::dns::domains::rounded;
use crate::linode::request::body::{RequestBody, is_ipv4, is_ipv6};
use crate::linode::request::call::{CallResult, LinodeCall, LinodeError, done, stamp};
use crate::linode::request::events;
use crate::linode::request::listing::page;

const TYPES: [&str; 9] = ["A", "AAAA", "NS", "MX", "CNAME", "TXT", "SRV", "PTR", "CAA"];
/// How many records one zone can hold (Linode's API reference, domain records).
const MOST: usize = 12_000;

pub fn view(it: &DomainRecord) -> Value {
    json!({
        "id": it.id, "type": it.kind, "name": it.name, "target": it.target, "priority": it.priority,
        "weight": it.weight, "port": it.port, "service": it.service, "protocol": it.protocol,
        "ttl_sec": it.ttl_sec, "tag": it.tag, "created": stamp(it.created), "updated": stamp(it.updated),
    })
}

fn zone(cloud: &LinodeWorld, id: u64) -> Result<&Domain, LinodeError> {
    cloud.domains.get(id).ok_or_else(LinodeError::not_found)
}

fn known(cloud: &LinodeWorld, domain: u64, id: u64) -> Result<&DomainRecord, LinodeError> {
    cloud.records.get(id).filter(|it| it.domain == domain).ok_or_else(LinodeError::not_found)
}

/// The name relative to the zone: a fully qualified one loses the zone, the zone itself becomes empty.
fn relative(name: &str, zone: &str) -> String {
    let name = name.strip_suffix('.').unwrap_or(name);
    let (lower, zone) = (name.to_lowercase(), zone.to_lowercase());
    if lower == zone {
        return String::new();
    }
    match lower.strip_suffix(&format!(".{zone}")) {
        Some(rest) => name[..rest.len()].to_owned(),
        None => name.to_owned(),
    }
}

fn check_name(form: &mut RequestBody<'_>, name: &str) {
    let good = |c: char| c.is_ascii_alphanumeric() || "-_.*".contains(c);
    if name == "@" || !name.chars().all(good) {
        form.error("name", "Name contains invalid characters");
        form.error("name", "Invalid hostname");
    }
    if name.len() > 100 {
        form.error("name", "Length must be 0-100 characters");
    }
}

/// Lays the body over a record and checks the whole.
fn read(form: &mut RequestBody<'_>, zone: &Domain, base: Option<DomainRecord>) -> DomainRecord {
    let new = base.is_none();
    let mut it = base.unwrap_or_else(|| blank(zone.id));
    if new {
        form.require("type");
        it.kind = form.one_of("type", &TYPES).unwrap_or_default();
    }
    if let Some(name) = form.text("name") {
        it.name = relative(&name, &zone.domain);
        if it.kind != "SRV" {
            check_name(form, &it.name);
        }
    }
    it.priority = form.ranged("priority", 0, 255).unwrap_or(it.priority);
    it.weight = form.ranged("weight", 0, 65_535).unwrap_or(it.weight);
    it.port = form.ranged("port", 0, 65_535).unwrap_or(it.port);
    it.ttl_sec = form.number("ttl_sec").map_or(it.ttl_sec, rounded);
    let bare = |text: String| text.trim_start_matches('_').to_owned();
    it.service = form.text("service").map(bare).or(it.service);
    it.protocol = form.text("protocol").map(bare).or(it.protocol);
    it.tag = form.one_of("tag", &["issue", "issuewild", "iodef"]).or(it.tag);
    if let Some(target) = form.sized("target", 0, 65_535) {
        it.target = stored_target(&it.kind, &target, &zone.domain);
    }
    by_type(form, &mut it);
    it
}

/// The target as it reads back: without a trailing dot; an SRV's host gets the zone when it has no dot.
fn stored_target(kind: &str, target: &str, zone: &str) -> String {
    match kind {
        "A" if target == "[remote_addr]" => "127.0.0.1".into(),
        "A" | "AAAA" | "CAA" => target.into(),
        "SRV" if !target.contains('.') => format!("{target}.{zone}"),
        _ => target.strip_suffix('.').unwrap_or(target).into(),
    }
}

fn by_type(form: &mut RequestBody<'_>, it: &mut DomainRecord) {
    let null_mx = it.kind == "MX" && it.name.is_empty() && it.priority == 0;
    if it.target.is_empty() && !null_mx && !it.kind.is_empty() {
        form.error("target", "target is required");
        return;
    }
    match it.kind.as_str() {
        "A" if !is_ipv4(&it.target) => form.error("target", "Must be a valid IPv4 address"),
        "AAAA" if !is_ipv6(&it.target) => form.error("target", "Must be a valid IPv6 address"),
        "CNAME" if it.name.is_empty() => form.error("name", "name is required"),
        "NS" if it.name.contains('*') => form.error("name", "Invalid hostname"),
        "CAA" if it.tag.is_none() => form.error("tag", "tag is required"),
        "SRV" => {
            for field in ["priority", "weight", "port"] {
                if it.id == 0 {
                    form.require(field);
                }
            }
            // Without a protocol the real one takes the commonest.
            let protocol = it.protocol.get_or_insert_with(|| "tcp".into());
            match &it.service {
                Some(service) => it.name = format!("_{service}._{protocol}"),
                None => form.error("service", "service is required"),
            }
        }
        _ => {}
    }
}

/// A CNAME and anything else cannot share a name, in either direction.
fn check_alone(form: &mut RequestBody<'_>, cloud: &LinodeWorld, it: &DomainRecord) {
    let key = format!("name:{}/{}", it.domain, it.name.to_lowercase());
    let mut others = cloud.records.find(&key).filter(|(id, _)| *id != it.id);
    if others.any(|(_, other)| other.kind == "CNAME" || it.kind == "CNAME") {
        form.error("name", "Record conflict - CNAMES must be unique");
    }
}

fn blank(domain: u64) -> DomainRecord {
    DomainRecord {
        id: 0,
        domain,
        kind: String::new(),
        name: String::new(),
        target: String::new(),
        priority: 0,
        weight: 0,
        port: 0,
        service: None,
        protocol: None,
        ttl_sec: 0,
        tag: None,
        created: 0,
        updated: 0,
    }
}

pub fn list(cloud: &LinodeWorld, call: &LinodeCall<'_>, domain: u64) -> CallResult {
    zone(cloud, domain)?;
    let rows = cloud.records.find(&format!("domain:{domain}")).map(|(_, it)| view(it)).collect();
    page(call, rows, &["name", "tag", "target", "type"])
}

pub fn get(cloud: &LinodeWorld, domain: u64, id: u64) -> CallResult {
    known(cloud, domain, id).map(view)
}

fn note(cloud: &mut LinodeWorld, call: &LinodeCall<'_>, domain: u64, action: &str) {
    if let Some(name) = cloud.domains.get(domain).map(|it| it.domain.clone()) {
        events::note(cloud, call.now, action, events::domain(domain, &name));
    }
}

pub fn create(cloud: &mut LinodeWorld, call: &LinodeCall<'_>, domain: u64) -> CallResult {
    let mut form = RequestBody::new(&call.body);
    let row = read(&mut form, zone(cloud, domain)?, None);
    check_alone(&mut form, cloud, &row);
    if cloud.records.ids(&format!("domain:{domain}")).len() >= MOST {
        form.objection("A domain can have at most 12000 records.");
    }
    form.finish()?;
    let id = cloud.next_id("record");
    cloud.records.put(id, DomainRecord { id, created: call.now, updated: call.now, ..row });
    note(cloud, call, domain, "dns_record_create");
    get(cloud, domain, id)
}

pub fn put(cloud: &mut LinodeWorld, call: &LinodeCall<'_>, domain: u64, id: u64) -> CallResult {
    let base = known(cloud, domain, id)?.clone();
    let mut form = RequestBody::new(&call.body);
    let row = read(&mut form, zone(cloud, domain)?, Some(base));
    check_alone(&mut form, cloud, &row);
    form.finish()?;
    cloud.records.put(id, DomainRecord { updated: call.now, ..row });
    note(cloud, call, domain, "dns_record_update");
    get(cloud, domain, id)
}

pub fn delete(cloud: &mut LinodeWorld, call: &LinodeCall<'_>, domain: u64, id: u64) -> CallResult {
    known(cloud, domain, id)?;
    cloud.records.remove(id);
    note(cloud, call, domain, "dns_record_delete");
    done()
}

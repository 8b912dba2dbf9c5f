//! Whether the overlay says all that it leaves, and whether its copies of data are ever proved and its switch rehearsed.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};

use crate::engine::address::Address;
use crate::engine::recovery::audit::case::AuditCase;
use crate::engine::recovery::audit::checks::independence::{group_name, has_word, would_miss};
use crate::engine::recovery::audit::finding::{AuditRule, AuditSection, Finding, Level};
use crate::engine::recovery::audit::reads::{reads, texts};
use crate::engine::recovery::audit::side::{Side, SideItem};
use crate::engine::value::Value;

pub static ASSUMES_PART: AuditRule = AuditRule {
    id: "assumes-part",
    level: Level::Warning,
    title: "The overlay abandons more than it assumes lost",
    remedy: "add it to `assumes_lost`, so that the audit finds what still depends on it; or use it in the overlay, too",
};
pub static REPLICATION_UNPROVED: AuditRule = AuditRule {
    id: "replication-unproved",
    level: Level::Warning,
    title: "Nothing verifies that data is replicated to where the recovery reads it",
    remedy: "write `gate: { replication: true, within: 60s }`: a planned switch and each drill then wait until a written item has been replicated",
};
pub static NAMES_LOST_ADDRESS: AuditRule = AuditRule {
    id: "names-lost-address",
    level: Level::Error,
    title: "A resource that serves after the switch has a hard-coded address of a lost resource",
    remedy: "refer to its healthy counterpart, as in '${standby_lb.ipv4}'",
};
pub static REHEARSAL_MISSING: AuditRule = AuditRule {
    id: "rehearsal-missing",
    level: Level::Warning,
    title: "No overlay rehearses the switch",
    remedy: "write an overlay with `workspace: drill` and `rehearses`, and run `drill`",
};

/// The shortest text that is looked for, in characters; a shorter one is part of too many others by chance. The shortest IPv4
/// address, such as 1.2.3.4, has seven.
const ADDRESS_MIN: usize = 7;

pub fn check(case: &AuditCase<'_>, out: &mut AuditSection) {
    if !case.lost.is_empty() {
        left(case, out);
        written_out(case, out);
    }
    proved(case, out);
}

/// Members of a group that something of a closure uses: by the group's name, the fault domain of each member.
fn used(side: &Side<'_>, closure: &BTreeSet<Address>) -> BTreeMap<String, BTreeSet<String>> {
    let mut used: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for item in closure.iter().filter_map(|it| side.item(it)).filter(|it| it.kind.group.is_none()) {
        for read in reads(side, item) {
            let Some(of) = side.item(&read.of).filter(|it| it.kind.holds_data) else { continue };
            let Some(name) = group_name(of).filter(|_| would_miss(item, of, &read).is_some())
            else {
                continue;
            };
            if let Some(domain) = side.domains.of_desired(of.address) {
                used.entry(name.json().to_string()).or_default().insert(domain.to_owned());
            }
        }
        for (name, domain) in named(side, item) {
            used.entry(name).or_default().insert(domain);
        }
    }
    used
}

/// Members that an object's texts name by group and region, without a reference: the group's name, and the fault domain.
fn named(side: &Side<'_>, item: SideItem<'_>) -> Vec<(String, String)> {
    let names = item.kind.settable().map(|(name, _)| name);
    let texts: Vec<String> = names.flat_map(|name| texts(side, item, name)).collect();
    let members = side.items().filter(|it| it.kind.holds_data);
    let found = members.filter_map(|of| {
        let region = of.text(&of.kind.group.as_ref()?.region)?;
        let name = group_name(of)?;
        let of_it = name.as_text()?;
        texts.iter().find(|it| has_word(it, region) && has_word(it, of_it))?;
        Some((name.json().to_string(), side.domains.of_desired(of.address)?.to_owned()))
    });
    found.collect()
}

/// Fault domains whose copy of the data home uses, and the recovery another's: it survives their loss, and does not say so.
fn left(case: &AuditCase<'_>, out: &mut AuditSection) {
    let home = used(case.home, &case.home_closure);
    let recovery = used(case.recovery, &case.closure);
    let mut told = BTreeSet::new();
    for (name, domains) in &home {
        // One that is lost itself is told as such.
        let is_other = |it: &&BTreeSet<String>| it.iter().any(|it| !case.lost.contains(it));
        let Some(now) = recovery.get(name).filter(is_other) else { continue };
        for domain in domains.iter().filter(|it| !now.contains(*it) && !case.lost.contains(*it)) {
            if told.insert(domain.clone()) {
                let why = format!(
                    "home uses the copy of {name} in {domain} and the recovery another one, but {domain} is not assumed lost"
                );
                let said = case.recovery.stack.assumes_lost.first();
                let place = said.map(|(_, span)| case.recovery.place(*span));
                out.findings.push(Finding::new(&ASSUMES_PART, place, why));
            }
        }
    }
}

/// Whether some member of each group that the recovery reads waits for a written item.
fn proved(case: &AuditCase<'_>, out: &mut AuditSection) {
    let mut members: BTreeMap<String, Vec<SideItem<'_>>> = BTreeMap::new();
    for item in case.recovery.items().filter(|it| it.kind.holds_data) {
        if let Some(name) = group_name(item) {
            members.entry(name.json().to_string()).or_default().push(item);
        }
    }
    for of in members.values().filter(|it| it.len() > 1) {
        let has_gate = |it: &SideItem<'_>| it.instance.resource.gates.replication().is_some();
        if of.iter().any(has_gate) {
            continue;
        }
        let living = of.iter().rev().find(|it| !case.recovery.is_in(it.address, &case.lost));
        if let Some(item) = living.filter(|_| !case.lost.is_empty()) {
            let why = format!("`{}` has no `gate` that waits for a written item", item.address);
            let place = case.recovery.place(item.instance.resource.span);
            let finding = Finding::new(&REPLICATION_UNPROVED, Some(place), why);
            out.findings.push(finding.about(item.address));
        }
    }
}

/// Addresses that the cloud gave to what is lost, in the texts of what serves afterwards.
fn written_out(case: &AuditCase<'_>, out: &mut AuditSection) {
    let mut addresses: BTreeMap<String, &Address> = BTreeMap::new();
    for (address, record) in case.state.into_iter().flat_map(|it| &it.records) {
        if !case.home.is_in(address, &case.lost) {
            continue;
        }
        let texts = record.outputs.values().flat_map(strings);
        let is_address = |it: &&str| {
            it.len() >= ADDRESS_MIN && it.contains(['.', ':']) && !it.contains(char::is_whitespace)
        };
        addresses.extend(texts.filter(is_address).map(|it| (bare(it).to_owned(), address)));
    }
    let mut told = BTreeSet::new();
    for item in case.living().chain(case.moved()) {
        for (name, _) in item.kind.settable() {
            // What is said is an address that state has in clear, never what stands around it.
            let texts = texts(case.recovery, item, name);
            let is_in = |address: &str| texts.iter().any(|it| has_address(it, address));
            let hit = addresses.iter().find(|(it, _)| is_in(it));
            if let Some((found, of)) = hit
                && told.insert((item.address.name.clone(), name.clone()))
            {
                let why = format!(
                    "`{name}` of `{}` contains {found}, which is an address of `{of}`",
                    item.address
                );
                let place = case.recovery.place_of(item, name);
                let finding = Finding::new(&NAMES_LOST_ADDRESS, Some(place), why);
                out.findings.push(finding.about(item.address));
            }
        }
    }
}

/// A text, or those of a list.
fn strings(value: &Value) -> Vec<&str> {
    match value {
        Value::List(all) => all.iter().filter_map(Value::as_text).collect(),
        one => one.as_text().into_iter().collect(),
    }
}

/// An address without the length of its network: clouds tell `2001:db8::1/128`, and nobody writes a record so.
fn bare(text: &str) -> &str {
    match text.split_once('/') {
        Some((address, _)) if address.parse::<IpAddr>().is_ok() => address,
        _ => text,
    }
}

/// Whether a text has the address, not as a part of a longer one.
fn has_address(text: &str, address: &str) -> bool {
    if let Ok(address) = address.parse::<Ipv6Addr>() {
        // It has more than one spelling.
        let words = text.split(|it: char| !it.is_ascii_hexdigit() && !matches!(it, ':' | '.'));
        let trimmed = words.map(|it| it.trim_end_matches('.'));
        return trimmed.filter_map(|it| it.parse::<Ipv6Addr>().ok()).any(|it| it == address);
    }
    let is_part = |it: Option<char>| it.is_some_and(|it| it.is_ascii_alphanumeric() || it == '-');
    text.match_indices(address).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let mut after = text[at + address.len()..].chars();
        let next = after.next();
        // `198.18.0.1` is not in `198.18.0.1.5`, and is in a sentence that ends with it.
        let goes_on = next == Some('.') && is_part(after.next());
        !is_part(before) && before != Some('.') && !is_part(next) && !goes_on
    })
}

#[cfg(test)]
mod tests {
    use super::{bare, has_address};

    #[test]
    fn has_address_finds_whole_addresses_only() {
        assert!(has_address("host=198.18.0.1:3306", "198.18.0.1"));
        assert!(has_address("It is 198.18.0.1.", "198.18.0.1"));
        assert!(!has_address("198.18.0.12", "198.18.0.1"));
        assert!(!has_address("198.18.0.1.nip.io", "198.18.0.1"));
        assert!(has_address("http://[2001:DB8:0::1]:80/.", "2001:db8::1"));
        assert!(!has_address("2001:db8::1:2", "2001:db8::1"));
        assert_eq!(bare("2001:db8::1/128"), "2001:db8::1");
        assert_eq!(bare("a.example.com/1"), "a.example.com/1");
    }
}

//! Whether anything that the recovery needs is inside what is assumed lost.

use std::collections::BTreeSet;

use regex::Regex;

use crate::engine::recovery::audit::case::{AuditCase, targets};
use crate::engine::recovery::audit::facts::{AuditFacts, Store};
use crate::engine::recovery::audit::finding::{AuditRule, AuditSection, Finding, Level};
use crate::engine::recovery::audit::reads::{AttributeRead, reads, texts};
use crate::engine::recovery::audit::side::{Side, SideItem};
use crate::engine::schema::FaultDomain;
use crate::engine::value::Value;

pub static TARGET_LOST: AuditRule = AuditRule {
    id: "target-lost",
    level: Level::Error,
    title: "After the switch, users are still sent to a lost fault domain",
    remedy: "let the overlay point it to the standby, or remove it",
};
pub static TARGET_UNFOLLOWED: AuditRule = AuditRule {
    id: "target-unfollowed",
    level: Level::Warning,
    title: "The switch sends users to a target that no resource declares",
    remedy: "refer to the resource, as in '${standby_lb.ipv4}', so that its backends are checked and audited",
};
pub static NEEDS_LOST: AuditRule = AuditRule {
    id: "needs-lost",
    level: Level::Error,
    title: "A resource that serves after the switch depends on a lost resource",
    remedy: "use its counterpart outside the lost fault domains",
};
pub static NAMES_LOST_REGION: AuditRule = AuditRule {
    id: "names-lost-region",
    level: Level::Warning,
    title: "A resource that serves after the switch names a lost region",
    remedy: "refer to the region of its healthy counterpart, as in products_eu.region",
};
pub static DATA_LOST: AuditRule = AuditRule {
    id: "data-lost",
    level: Level::Error,
    title: "Data has no copy outside the lost fault domains",
    remedy: "declare a member of its group in another region, in the stack itself: it cannot be created after the loss",
};
pub static IMAGE_REGIONAL: AuditRule = AuditRule {
    id: "image-regional",
    level: Level::Warning,
    title: "A resource that serves after the switch is created from an image that exists only in some regions",
    remedy: "use a public image, or keep a copy in the region of the recovery and check that it exists",
};
pub static STATE_LOST: AuditRule = AuditRule {
    id: "state-lost",
    level: Level::Error,
    title: "The state is stored in a lost fault domain",
    remedy: "store it elsewhere: without it, no switch is possible",
};
pub static MIRROR_LOST: AuditRule = AuditRule {
    id: "mirror-lost",
    level: Level::Warning,
    title: "The mirror of the state is stored in a lost fault domain",
    remedy: "store it elsewhere, or add a witness: without one, no switch is possible until somebody types `state mirror suspend`",
};
pub static SETTING_LOST: AuditRule = AuditRule {
    id: "setting-lost",
    level: Level::Warning,
    title: "The credentials depend on a lost fault domain",
    remedy: "set it to a region outside; a profile or single sign-on there must work, too",
};

pub fn check(case: &AuditCase<'_>, out: &mut AuditSection) {
    for item in case.moved() {
        targets_live(case, item, out);
    }
    for item in case.living() {
        let told = needs(case, item, out);
        mentions(case, item, &told, out);
        image(case, item, out);
    }
    for item in case.home.items() {
        copies(case, item, out);
    }
    outside(case, out);
}

fn targets_live(case: &AuditCase<'_>, item: SideItem<'_>, out: &mut AuditSection) {
    let place = item.kind.traffic.first().map(|it| case.recovery.place_of(item, it));
    let all = targets(case.recovery, item.address);
    if all.is_empty() {
        let known = item.kind.traffic.iter().find_map(|it| item.text(it));
        if let Some(text) = known.filter(|_| item.kind.drain.is_some()) {
            let why = format!("`{}` points to {text}, whose backends are unknown", item.address);
            out.findings.push(Finding::new(&TARGET_UNFOLLOWED, place, why).about(item.address));
        }
    } else if all.iter().all(|it| case.recovery.is_in(it, &case.lost)) {
        let target = &all[0];
        let domain = case.recovery.domains.of_desired(target).unwrap_or_default();
        let why = format!("`{}` still points to `{target}`, which is in {domain}", item.address);
        out.findings.push(Finding::new(&TARGET_LOST, place, why).about(item.address));
    }
}

/// What a living object uses of lost ones and would not get; the attributes it was told of.
fn needs(case: &AuditCase<'_>, item: SideItem<'_>, out: &mut AuditSection) -> BTreeSet<String> {
    let mut told = BTreeSet::new();
    for read in reads(case.recovery, item) {
        let Some(of) = case.recovery.item(&read.of) else { continue };
        if !case.recovery.is_in(of.address, &case.lost) || item.kind.directs(&read.by) {
            continue;
        }
        if let Some(what) = would_miss(item, of, &read)
            && told.insert(read.by.clone())
        {
            let domain = case.recovery.domains.of_desired(of.address).unwrap_or_default();
            let why = format!(
                "`{}` of `{}` uses {what} of `{}`, which is in {domain}",
                read.by, item.address, of.address
            );
            let place = case.recovery.place(read.span);
            out.findings.push(Finding::new(&NEEDS_LOST, Some(place), why).about(item.address));
        }
    }
    told
}

/// What is used of a lost object that only works while that lives; plain settings of it do no harm.
pub fn would_miss(item: SideItem<'_>, of: SideItem<'_>, read: &AttributeRead) -> Option<String> {
    let Some(name) = &read.attribute else {
        // Members of a group do not need each other to live.
        let is_group = item.kind.group.is_some() && of.kind.group.is_some();
        let is_reference = item.kind.references().any(|(name, _)| *name == read.by);
        return (is_reference && !is_group).then(|| "the resource itself".to_owned());
    };
    let shared = of.kind.group.as_ref().and_then(|it| it.name.rsplit('.').next());
    if shared == Some(name.as_str()) {
        return None;
    }
    let is_region = matches!(&of.kind.fault_domain, FaultDomain::Region(it) if it == name);
    let is_made = name == "id" || of.kind.attribute(name).is_some_and(|it| it.computed);
    (is_region || is_made).then(|| format!("`{name}`"))
}

/// Regions that are written out where no reference shows them.
fn mentions(
    case: &AuditCase<'_>,
    item: SideItem<'_>,
    told: &BTreeSet<String>,
    out: &mut AuditSection,
) {
    for (name, _) in item.kind.settable() {
        let is_own = matches!(&item.kind.fault_domain, FaultDomain::Region(it) if it == name);
        let is_name = item.kind.identity.by.contains(name);
        if is_own || is_name || told.contains(name) {
            continue;
        }
        // Of a secret nothing is told but that it names a region.
        let texts = texts(case.recovery, item, name);
        for domain in &case.lost {
            let region = domain.split_once(':').map_or(domain.as_str(), |it| it.1);
            if texts.iter().any(|it| has_word(it, region)) {
                let why = format!("`{name}` of `{}` contains {region}", item.address);
                let place = case.recovery.place_of(item, name);
                let finding = Finding::new(&NAMES_LOST_REGION, Some(place), why);
                out.findings.push(finding.about(item.address));
            }
        }
    }
}

/// Whether a text has the word, not as a part of a longer one.
pub fn has_word(text: &str, word: &str) -> bool {
    let is_part = |it: Option<char>| it.is_some_and(|it| it.is_ascii_alphanumeric() || it == '-');
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        !is_part(before) && !is_part(after)
    })
}

fn image(case: &AuditCase<'_>, item: SideItem<'_>, out: &mut AuditSection) {
    for (name, attribute) in item.kind.settable() {
        let pattern = attribute.regional.as_ref().and_then(|it| Regex::new(it).ok());
        if let (Some(pattern), Some(text)) = (pattern, item.text(name))
            && pattern.is_match(text)
        {
            let why = format!("`{name}` of `{}` is {text}", item.address);
            let place = case.recovery.place_of(item, name);
            out.findings.push(Finding::new(&IMAGE_REGIONAL, Some(place), why).about(item.address));
        }
    }
}

/// Whether lost data lives elsewhere already.
fn copies(case: &AuditCase<'_>, item: SideItem<'_>, out: &mut AuditSection) {
    if !item.kind.holds_data || !case.home.is_in(item.address, &case.lost) {
        return;
    }
    if !has_living_member(case.home, item, &case.lost) {
        let domain = case.home.domains.of_desired(item.address).unwrap_or_default();
        let why =
            format!("`{}` is in {domain}, and no copy of its data exists outside", item.address);
        let place = case.home.place(item.instance.resource.span);
        out.findings.push(Finding::new(&DATA_LOST, Some(place), why).about(item.address));
    }
}

fn has_living_member(side: &Side<'_>, item: SideItem<'_>, lost: &BTreeSet<String>) -> bool {
    let Some(name) = group_name(item) else { return false };
    side.items().any(|other| {
        other.kind.provider == item.kind.provider
            && group_name(other) == Some(name)
            && !side.is_in(other.address, lost)
    })
}

/// The name that members of a group share.
pub fn group_name(item: SideItem<'_>) -> Option<&Value> {
    let group = item.kind.group.as_ref()?;
    item.object.attributes.get(&group.name).filter(|it| !it.has_open())
}

fn outside(case: &AuditCase<'_>, out: &mut AuditSection) {
    if case.facts.store.fault_domain.is_none() && !case.lost.is_empty() && !case.facts.in_sandbox {
        let text = "the location of this machine and its state is unknown: pass `--here FAULT_DOMAIN` to compare it with the lost fault domains";
        out.fact("here", text.to_owned());
    }
    stores(case, out);
    for (name, domain) in case.facts.settings.iter().filter(|(_, it)| case.lost.contains(it)) {
        let region = domain.split_once(':').map_or(domain.as_str(), |it| it.1);
        let why = format!("{name} is {region} here, but {domain} is assumed lost");
        out.findings.push(Finding::new(&SETTING_LOST, place_of_loss(case, domain), why));
    }
}

/// Which stores of the state are lost: without both no switch is possible, and one alone goes on by somebody's word, or by two of three.
fn stores(case: &AuditCase<'_>, out: &mut AuditSection) {
    let AuditFacts { store, mirror, has_witness, .. } = case.facts;
    let lost = |it: &Store| it.fault_domain.clone().filter(|it| case.lost.contains(it));
    let of_mirror = mirror.as_ref().map(|it| (it, lost(it)));
    match (lost(store), of_mirror) {
        (Some(domain), None) => {
            let why = format!("{} is in {domain}", store.shown);
            out.findings.push(Finding::new(&STATE_LOST, place_of_loss(case, &domain), why));
        }
        (Some(domain), Some((mirror, Some(other)))) => {
            let why = format!("{} is in {domain}, and {} in {other}", store.shown, mirror.shown);
            out.findings.push(Finding::new(&STATE_LOST, place_of_loss(case, &domain), why));
        }
        (Some(domain), Some((mirror, None))) => {
            let how =
                if *has_witness { "" } else { " by a person's `failover`, and not by `watch`" };
            let text = format!(
                "the primary store is in {domain}; the state goes on in its mirror, {}{how}",
                mirror.shown
            );
            out.fact("stores", text);
        }
        (None, Some((mirror, Some(domain)))) if !*has_witness => {
            let why = format!("{} is in {domain}", mirror.shown);
            out.findings.push(Finding::new(&MIRROR_LOST, place_of_loss(case, &domain), why));
        }
        (None, _) => {}
    }
}

/// Where the overlay says that it is lost.
fn place_of_loss(
    case: &AuditCase<'_>,
    domain: &str,
) -> Option<crate::engine::recovery::audit::finding::FindingPlace> {
    let said = case.recovery.stack.assumes_lost.iter().find(|(name, _)| name == domain);
    said.map(|(_, span)| case.recovery.place(*span))
}

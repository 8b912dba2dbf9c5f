//! Whether the clouds offer what is yet to be made, at home and by the switch, where they were asked.

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde_json::Value as Json;

use crate::engine::plan::checks::offers::{
    OfferRequest, OfferSource, ReadOffers, SentValues, refused_of, sources_of,
};
use crate::engine::recovery::audit::facts::AuditFacts;
use crate::engine::recovery::audit::finding::{AuditRule, AuditSection, Finding, Level};
use crate::engine::recovery::audit::side::{Side, SideItem};
use crate::engine::schema::{OnChange, Quota};
use crate::engine::state::record::State;

pub static NOT_OFFERED: AuditRule = AuditRule {
    id: "not-offered",
    level: Level::Error,
    title: "A resource that does not exist yet is not available",
    remedy: "use what is available there, or create it now and keep it: after a loss, everybody needs the same capacity",
};
pub static OFFERS_UNREAD: AuditRule = AuditRule {
    id: "offers-unread",
    level: Level::Warning,
    title: "The availability of resources that do not exist yet could not be checked",
    remedy: "find out why, and audit again: the lists are free and need a token that may read the account",
};

pub static QUOTA_EXCEEDED: AuditRule = AuditRule {
    id: "quota-exceeded",
    level: Level::Error,
    title: "The account's quota is too small for the resources that do not exist yet",
    remedy: "request a larger quota now: after a loss, that takes longest",
};

/// What has to be read of the clouds to judge these.
pub fn sources<'a>(
    sides: impl Iterator<Item = &'a Side<'a>>,
    state: Option<&'a State>,
) -> BTreeSet<OfferRequest> {
    let nothing = BTreeSet::new();
    let of = |side: &'a Side<'a>| {
        let quotas = counted(side, &nothing).into_iter().filter(|it| it.is_new(state));
        let quotas = quotas.map(|it| it.request()).collect::<Vec<_>>();
        sources_of(wanted(side, state, &nothing)).into_iter().chain(quotas).collect::<Vec<_>>()
    };
    sides.flat_map(of).collect()
}

/// A number of an object that counts against a quota of the account.
struct Counted<'a> {
    item: SideItem<'a>,
    name: &'a str,
    quota: &'a Quota,
    domain: &'a str,
    number: u64,
}

impl Counted<'_> {
    /// What the account may have of it.
    fn request(&self) -> OfferRequest {
        OfferRequest::new(self.item.kind, OfferSource::Quotas, self.domain)
    }

    /// Whether it is not what is recorded, so that it is yet to be asked for.
    fn is_new(&self, state: Option<&State>) -> bool {
        let record = state.and_then(|it| it.records.get(self.item.address));
        record.is_none_or(|it| it.attributes.get(self.name) != self.item.value(self.name))
    }
}

fn counted<'a>(side: &'a Side<'_>, lost: &BTreeSet<String>) -> Vec<Counted<'a>> {
    let mut found = Vec::new();
    for item in side.items().filter(|it| !side.is_in(it.address, lost)) {
        let Some(domain) = side.domains.of_desired(item.address) else { continue };
        for (name, attribute) in item.kind.settable() {
            if let (Some(quota), Some(number)) = (&attribute.quota, item.int(name)) {
                found.push(Counted { item, name, quota, domain, number });
            }
        }
    }
    found
}

/// Numbers that are above what one object, or all in a region together, may have.
fn quotas(
    side: &Side<'_>,
    state: Option<&State>,
    lost: &BTreeSet<String>,
    read: &ReadOffers,
    out: &mut AuditSection,
) {
    let all = counted(side, lost);
    for it in all.iter().filter(|it| it.is_new(state)) {
        let Some(told) = read.get(&it.request()).and_then(|it| it.as_ref().ok()?.first()) else {
            continue;
        };
        let most = |field: &str| told.get(field).and_then(Json::as_u64).unwrap_or(u64::MAX);
        let same = all.iter().filter(|other| (other.domain, other.name) == (it.domain, it.name));
        let together: u64 = same.map(|it| it.number).sum();
        let (each, whole) = (most(&it.quota.each), most(&it.quota.all));
        let why = if it.number > each {
            format!(
                "`{}` of `{}` is {}, but the maximum is {each}",
                it.name, it.item.address, it.number
            )
        } else if together > whole {
            format!(
                "the total `{}` in {} is {together}, but the account's maximum is {whole}",
                it.name, it.domain
            )
        } else {
            continue;
        };
        let place = side.place_of(it.item, it.name);
        out.findings.push(Finding::new(&QUOTA_EXCEEDED, Some(place), why).about(it.item.address));
    }
}

/// What is made or changed once these layers are applied, of what a cloud may not have; what is lost is left as it is.
fn wanted<'a>(
    side: &'a Side<'_>,
    state: Option<&'a State>,
    lost: &'a BTreeSet<String>,
) -> impl Iterator<Item = SentValues<'a>> {
    let living = side.items().filter(|it| !side.is_in(it.address, lost));
    living.filter_map(move |item| {
        let changed = changed(item, state);
        let is_same = changed.as_ref().is_some_and(|it| it.is_empty());
        let (address, kind, attributes) = (item.address, item.kind, &item.object.attributes);
        (!is_same).then_some(SentValues { address, kind, attributes, changed })
    })
}

/// The attributes that differ from what is recorded, of those that a cloud offers; `None`: it is made, whole.
fn changed<'a>(item: SideItem<'a>, state: Option<&State>) -> Option<Cow<'a, [String]>> {
    let twin = || item.address.zeroth_alias();
    let records = state.map(|it| &it.records)?;
    let record = records.get(item.address).or_else(|| records.get(&twin()?))?;
    let chosen = item.kind.settable().filter(|(_, it)| it.chosen.is_some());
    let changed: Vec<_> = chosen
        .filter(|(name, _)| item.value(name).is_some_and(|it| !it.has_open()))
        .filter(|(name, _)| item.value(name) != record.attributes.get(*name))
        .collect();
    let is_made_anew = changed.iter().any(|(_, it)| it.on_change == OnChange::Replace);
    (!is_made_anew).then(|| changed.into_iter().map(|(name, _)| name.clone()).collect())
}

pub fn check(
    side: &Side<'_>,
    state: Option<&State>,
    lost: &BTreeSet<String>,
    facts: &AuditFacts,
    out: &mut AuditSection,
) {
    let Some(read) = &facts.offers else { return };
    let all = refused_of(wanted(side, state, lost), side.stack, side.catalog, read);
    for it in all {
        let place = it.labels.first().map(|label| side.place(label.span));
        let asked = it.labels.first().map(|it| it.text.as_str()).unwrap_or_default();
        let why = format!("{}: {asked}", it.summary);
        let finding = Finding::new(&NOT_OFFERED, place, why);
        out.findings.push(match it.help {
            Some(help) => finding.remedy(format!("{help}; {}", NOT_OFFERED.remedy)),
            None => finding,
        });
    }
    quotas(side, state, lost, read, out);
    let unread: Vec<String> = read
        .iter()
        .filter_map(|(it, read)| Some(format!("{}: {}", it.path, read.as_ref().err()?)))
        .collect();
    if !unread.is_empty() {
        out.findings.push(Finding::new(&OFFERS_UNREAD, Some(side.top()), unread.join("; ")));
    }
}

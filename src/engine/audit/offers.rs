//! Whether the clouds offer what is yet to be made, at home and by the switch, where they were asked.

use std::borrow::Cow;
use std::collections::BTreeSet;

use crate::engine::audit::facts::Facts;
use crate::engine::audit::finding::{Finding, Level, Rule, Section};
use crate::engine::audit::side::{Item, Side};
use crate::engine::plan::offered::{Sent, Source, refused_of, sources_of};
use crate::engine::schema::OnChange;
use crate::engine::state::record::State;

pub static NOT_OFFERED: Rule = Rule {
    id: "not-offered",
    level: Level::Error,
    title: "What is yet to be made cannot be had",
    remedy: "use what can be had there, or make it now and keep it: after a loss everybody asks for the same",
};
pub static OFFERS_UNREAD: Rule = Rule {
    id: "offers-unread",
    level: Level::Warning,
    title: "Whether the clouds offer what is yet to be made could not be looked up",
    remedy: "find out why, and audit again: the lists are free, and need a token that may read the account",
};

/// What has to be read of the clouds to judge these.
pub fn sources<'a>(
    sides: impl Iterator<Item = &'a Side<'a>>,
    state: Option<&'a State>,
) -> BTreeSet<(Source, String)> {
    sides.flat_map(|side| sources_of(wanted(side, state, &BTreeSet::new()))).collect()
}

/// What is made or changed once these layers are applied, of what a cloud may not have; what is lost is left as it is.
fn wanted<'a>(
    side: &'a Side<'_>,
    state: Option<&'a State>,
    lost: &'a BTreeSet<String>,
) -> impl Iterator<Item = Sent<'a>> {
    let living = side.items().filter(|it| !side.is_in(it.address, lost));
    living.filter_map(move |item| {
        let changed = changed(item, state);
        let is_same = changed.as_ref().is_some_and(|it| it.is_empty());
        let (address, kind, attributes) = (item.address, item.kind, &item.object.attributes);
        (!is_same).then_some(Sent { address, kind, attributes, changed })
    })
}

/// The attributes that differ from what is recorded, of those that a cloud offers; `None`: it is made, whole.
fn changed<'a>(item: Item<'a>, state: Option<&State>) -> Option<Cow<'a, [String]>> {
    let twin = || item.address.twin();
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
    facts: &Facts,
    out: &mut Section,
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
    let unread: Vec<String> = read
        .iter()
        .filter_map(|(path, it)| Some(format!("{path}: {}", it.as_ref().err()?)))
        .collect();
    if !unread.is_empty() {
        out.findings.push(Finding::new(&OFFERS_UNREAD, Some(side.top()), unread.join("; ")));
    }
}

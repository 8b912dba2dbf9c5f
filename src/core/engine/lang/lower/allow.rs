//! Lowers `allow`: what a layer lets through the guards, with the day on which that ends and the reason.

use crate::engine::address::Address;
use crate::engine::allowance::{Exemption, ReviewedAllowance, end_of};
use crate::engine::lang::lower::resources::{section, unknown_keys};
use crate::engine::lang::merge::overlay::texts;
use crate::engine::lang::model::LayerAllowance;
use crate::engine::lang::yaml::node::{Data, Map, MapEntry, Node};
use crate::engine::text::codes::DiagnosticCode;
use crate::engine::text::diagnostic::{Diagnostic, Span};

/// The key of a layer.
pub const ALLOW: &str = "allow";
pub const ALLOW_KEYS: [&str; 7] =
    ["delete", "replace", "revert_drift", "destroys", "absent", "until", "because"];
/// A key, and what one of its values becomes.
type AllowKey<T> = (&'static str, fn(T) -> Exemption);
/// The keys that take a list of addresses.
const LISTS: [AllowKey<Address>; 3] = [
    ("delete", Exemption::Delete),
    ("replace", Exemption::Replace),
    ("revert_drift", Exemption::RevertDrift),
];
/// The keys that take a number.
const COUNTS: [AllowKey<usize>; 2] =
    [("destroys", Exemption::Destroys), ("absent", Exemption::Absent)];

/// What the layers allow, each for itself: a later one takes nothing back. What was reviewed for the plain stack is not reviewed for
/// a workspace, whose addresses are other objects: there only the layers count that make it.
pub fn allowances(layers: &[Node], out: &mut Vec<Diagnostic>) -> Vec<LayerAllowance> {
    let maps = || layers.iter().filter_map(Node::as_map);
    let is_workspace = maps().any(|it| it.contains_key("workspace"));
    let mut found = Vec::new();
    for map in maps() {
        let Some(it) = map.get(ALLOW) else { continue };
        let allowed = of_layer(it, out);
        if !is_workspace || map.contains_key("workspace") {
            found.extend(allowed);
        }
    }
    found
}

fn of_layer(entry: &MapEntry, out: &mut Vec<Diagnostic>) -> Vec<LayerAllowance> {
    let Some(map) = section(Some(&entry.node), ALLOW, out) else { return Vec::new() };
    let before = out.len();
    unknown_keys(map, &ALLOW_KEYS, "`allow`", out);
    let because = because(map, entry.key, out);
    let until = until(map, entry.key, out);
    let exempts = exempts(map, out);
    if exempts.is_empty() && out.len() == before {
        out.push(
            Diagnostic::warning(DiagnosticCode::NothingAllowed, "`allow` allows nothing")
                .at(entry.key, "it names nothing that may be let through")
                .help(format!("add {}, or remove it", ALLOW_KEYS[..5].join(", "))),
        );
    }
    let (Some(because), Some(until)) = (because, until) else { return Vec::new() };
    let (until, ends) = until;
    let one = |(exempts, span): (Exemption, Span)| {
        let allowance =
            ReviewedAllowance { exempts, until: until.clone(), because: because.clone() };
        LayerAllowance { allowance, span, ends }
    };
    exempts.into_iter().map(one).collect()
}

/// What is allowed, each with its place.
fn exempts(map: &Map, out: &mut Vec<Diagnostic>) -> Vec<(Exemption, Span)> {
    let mut found = Vec::new();
    for (key, exemption) in LISTS {
        let Some(it) = map.get(key) else { continue };
        for (text, span) in texts(&it.node, key, out) {
            match text.parse::<Address>() {
                Ok(address) => found.push((exemption(address), span)),
                Err(_) => out.push(
                    Diagnostic::error(DiagnosticCode::BadAddress, "Not an address")
                        .at(span, format!("`{key}` takes the addresses of resources"))
                        .help("write `name`, `name[0]` or `name[\"key\"]`, as the plan prints it"),
                ),
            }
        }
    }
    for (key, exemption) in COUNTS {
        let Some(it) = map.get(key) else { continue };
        match it.node.data {
            Data::Int(count) if let Ok(count) = usize::try_from(count) => {
                found.push((exemption(count), it.node.span));
            }
            _ => out.push(
                Diagnostic::error(DiagnosticCode::WrongType, "Wrong type")
                    .at(it.node.span, format!("`{key}` takes a whole number of resources")),
            ),
        }
    }
    found
}

/// Why; whoever reviews the plan months later reads it.
fn because(map: &Map, key: Span, out: &mut Vec<Diagnostic>) -> Option<String> {
    let Some(it) = map.get("because") else {
        out.push(missing("because", key, "say why, for whoever reviews the plan"));
        return None;
    };
    let text = it.node.as_text().map(str::trim).filter(|it| !it.is_empty());
    if text.is_none() {
        out.push(
            Diagnostic::error(DiagnosticCode::WrongType, "Wrong type")
                .at(it.node.span, "`because` takes text"),
        );
    }
    text.map(str::to_owned)
}

/// As it is written, and when that is.
fn until(map: &Map, key: Span, out: &mut Vec<Diagnostic>) -> Option<(String, i64)> {
    let Some(it) = map.get("until") else {
        let help =
            "write the last day on which it counts, at most 30 days from now: `until: 2026-12-24`";
        out.push(missing("until", key, help));
        return None;
    };
    let found = it.node.as_text().and_then(|text| Some((text.to_owned(), end_of(text)?)));
    if found.is_none() {
        out.push(
            Diagnostic::error(DiagnosticCode::WrongForm, "Not a day")
                .at(it.node.span, "`until` takes a day or a time")
                .help("write `2026-12-24`, which counts until its end in UTC, or `2026-12-24T18:00:00Z`"),
        );
    }
    found
}

fn missing(name: &str, key: Span, help: &str) -> Diagnostic {
    Diagnostic::error(DiagnosticCode::MissingKey, format!("Missing `{name}` key"))
        .at(key, format!("`allow` requires `{name}`"))
        .help(help)
}

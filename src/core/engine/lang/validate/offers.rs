//! Whether the clouds offer a value, as far as the lists tell that lifeboat was built with.

use crate::engine::lang::model::Instance;
use crate::engine::lang::resolve::Resolved;
use crate::engine::schema::{Catalog, Chosen, Kind, Shipped};
use crate::engine::text::codes::DiagnosticCode;
use crate::engine::text::diagnostic::{Diagnostic, nearest};
use crate::engine::value::{Attributes, Value};

/// The regions, plans and images of one instance: what is certainly wrong is an error, what is only not known a warning,
/// since clouds grow; a plan asks the cloud itself.
pub fn offered(
    kind: &Kind,
    instance: &Instance,
    resolved: &Resolved,
    catalog: &Catalog,
    out: &mut Vec<Diagnostic>,
) {
    for (name, attribute) in &kind.attributes {
        let Some(chosen) = &attribute.chosen else { continue };
        let Some(value) = resolved.attributes.get(name).and_then(Value::as_text) else { continue };
        let Some(found) = judged(chosen, value, &resolved.attributes, catalog) else { continue };
        let at = resolved.value_span(name).unwrap_or(instance.resource.span);
        out.push(found.at(at, format!("`{name}` of a `{}`", kind.kind)));
    }
}

/// What the shipped lists say against a value.
fn judged(chosen: &Chosen, value: &str, all: &Attributes, catalog: &Catalog) -> Option<Diagnostic> {
    let shipped = catalog.shipped.get(&chosen.from)?;
    if chosen.own.iter().any(|it| value.starts_with(it.as_str())) {
        return None;
    }
    let what = &shipped.what;
    if let Some(part) = shipped.part_of(value) {
        let beside =
            chosen.same_part_as.as_ref().and_then(|it| all.get(it)).and_then(Value::as_text);
        let theirs = beside.and_then(|it| shipped.part_of(it)).filter(|it| *it != part)?;
        let text = format!(
            "`{value}` is in the partition `{part}`, but `{}` is in `{theirs}`",
            beside.unwrap_or_default()
        );
        return Some(
            Diagnostic::error(DiagnosticCode::OtherPartition, text)
                .help("replication between partitions is not possible"),
        );
    }
    if let Some(meant) = meant(shipped, value) {
        let text = format!("there is no {what} `{value}`");
        return Some(
            Diagnostic::error(DiagnosticCode::NotOffered, text)
                .help(format!("did you mean `{meant}`?")),
        );
    }
    if let Some(other) = catalog.shipped.values().find(|it| it.part_of(value).is_some()) {
        let text = format!("`{value}` is {}, but this takes {}", one(&other.what), one(what));
        let near = nearest(value, shipped.values());
        let help = near.map_or_else(|| some_of(shipped), |it| format!("did you mean `{it}`?"));
        return Some(Diagnostic::error(DiagnosticCode::NotOffered, text).help(help));
    }
    let near = nearest(value, shipped.values());
    let help = near.map_or_else(|| some_of(shipped), |it| format!("did you mean `{it}`?"));
    let text = format!("this version of lifeboat does not know the {what} `{value}`");
    let told = match chosen.list {
        Some(_) => Diagnostic::warning(DiagnosticCode::NotKnownHere, text),
        None => Diagnostic::error(DiagnosticCode::NotOffered, text),
    };
    Some(told.help(help))
}

/// The same in other letters, or without what stands before its name.
fn meant<'a>(shipped: &'a Shipped, value: &str) -> Option<&'a str> {
    let lower = value.trim().to_lowercase();
    let is_it =
        |it: &&str| *it == lower || it.rsplit_once('/').is_some_and(|(_, name)| name == lower);
    shipped.values().find(is_it)
}

/// With its article.
fn one(what: &str) -> String {
    let vowel = what.starts_with(['A', 'E', 'I', 'O', 'U', 'a', 'e', 'i', 'o', 'u']);
    format!("{} {what}", if vowel { "an" } else { "a" })
}

/// How many offers are named where none is similar to what was written: about a line.
const NAMED_MAX: usize = 8;

fn some_of(shipped: &Shipped) -> String {
    let mut named: Vec<&str> = shipped.values().take(NAMED_MAX + 1).collect();
    let is_all = named.len() <= NAMED_MAX;
    named.truncate(NAMED_MAX);
    format!("one of {}{}", named.join(", "), if is_all { "" } else { " and others" })
}

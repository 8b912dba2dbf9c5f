//! Whether data is safe from a slip of the hand, whatever is lost.

use crate::engine::audit::finding::{Finding, Level, Rule, Section};
use crate::engine::audit::side::{Item, Side};
use crate::engine::schema::Attribute;
use crate::engine::stack::model::Shape;

pub static UNPROTECTED: Rule = Rule {
    id: "data-unprotected",
    level: Level::Warning,
    title: "The cloud lets data be deleted in one call",
    remedy: "switch the cloud's own deletion protection on; it holds against other programs, too",
};
pub static NOT_RESTORABLE: Rule = Rule {
    id: "data-not-restorable",
    level: Level::Warning,
    title: "What is overwritten or deleted cannot be brought back",
    remedy: "switch it on: a replica copies mistakes as fast as everything else",
};

pub fn check(side: &Side<'_>, out: &mut Section) {
    for item in side.items().filter(|it| it.kind.holds_data) {
        missing(side, item, &UNPROTECTED, |it| it.protects, out);
        missing(side, item, &NOT_RESTORABLE, |it| it.restores, out);
    }
}

/// The switches of a kind that should be on and are not.
fn missing(
    side: &Side<'_>,
    item: Item<'_>,
    rule: &'static Rule,
    is_meant: impl Fn(&Attribute) -> bool,
    out: &mut Section,
) {
    for (name, _) in item.kind.settable().filter(|(_, it)| is_meant(it)) {
        if item.is_on(name) {
            continue;
        }
        let given = item.instance.resource.attributes.get(name);
        if given.is_some_and(|it| matches!(it.term.shape, Shape::Expression(_))) {
            // A switch that somebody built is a decision, and worth a look rather than a word of blame.
            out.fact(
                "switch",
                format!("`{}` is off for `{}` by an expression", name, item.address),
            );
        } else {
            let why = format!("`{}` holds data, and `{name}` is off", item.address);
            let place = side.place_of(item, name);
            out.findings.push(
                Finding::new(rule, Some(place), why)
                    .about(item.address)
                    .remedy(format!("write `{name}: true`; {}", rule.remedy)),
            );
        }
    }
}

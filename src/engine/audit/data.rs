//! Whether data is safe from a slip of the hand, whatever is lost.

use crate::engine::audit::facts::Facts;
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

pub fn check(side: &Side<'_>, facts: &Facts, out: &mut Section) {
    for item in side.items().filter(|it| it.kind.holds_data) {
        missing(side, item, &UNPROTECTED, |it| it.protects, facts, out);
        missing(side, item, &NOT_RESTORABLE, |it| it.restores, facts, out);
    }
}

/// The switches of a kind that should be on and are not.
fn missing(
    side: &Side<'_>,
    item: Item<'_>,
    rule: &'static Rule,
    is_meant: impl Fn(&Attribute) -> bool,
    facts: &Facts,
    out: &mut Section,
) {
    for (name, _) in item.kind.settable().filter(|(_, it)| is_meant(it)) {
        if item.is_on(name) {
            continue;
        }
        let given = item.instance.resource.attributes.get(name);
        let is_switch = given.is_some_and(|it| matches!(it.term.shape, Shape::Expression(_)));
        if is_switch && facts.in_sandbox {
            // A switch that somebody built is there to be off where nobody's data is.
            out.fact(
                "switch",
                format!("`{}` is off for `{}` by an expression", name, item.address),
            );
        } else {
            let by = if is_switch { " by an expression" } else { "" };
            let why = format!("`{}` holds data, and `{name}` is off{by}", item.address);
            let place = side.place_of(item, name);
            out.findings.push(Finding::new(rule, Some(place), why).about(item.address).remedy(
                if is_switch {
                    format!("give the expression another value; {}", rule.remedy)
                } else {
                    format!("write `{name}: true`; {}", rule.remedy)
                },
            ));
        }
    }
}

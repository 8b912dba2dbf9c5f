//! Whether data is safe from a slip of the hand, whatever is lost.

use crate::engine::lang::model::InstanceShape;
use crate::engine::recovery::audit::facts::AuditFacts;
use crate::engine::recovery::audit::finding::{AuditRule, AuditSection, Finding, Level};
use crate::engine::recovery::audit::reads::inputs;
use crate::engine::recovery::audit::side::{Side, SideItem};
use crate::engine::schema::Attribute;
use crate::engine::value::Value;

pub static UNPROTECTED: AuditRule = AuditRule {
    id: "data-unprotected",
    level: Level::Warning,
    title: "The cloud lets data be deleted in one call",
    remedy: "enable the cloud's own deletion protection; it also protects against other programs",
};
pub static NOT_RESTORABLE: AuditRule = AuditRule {
    id: "data-not-restorable",
    level: Level::Warning,
    title: "Overwritten or deleted items cannot be restored",
    remedy: "enable it: a replica copies mistakes as fast as everything else",
};

pub fn check(side: &Side<'_>, facts: &AuditFacts, out: &mut AuditSection) {
    for item in side.items().filter(|it| it.kind.holds_data) {
        missing(side, item, &UNPROTECTED, |it| it.protects, facts, out);
        missing(side, item, &NOT_RESTORABLE, |it| it.restores, facts, out);
    }
}

/// The switches of a kind that should be on and are not.
fn missing(
    side: &Side<'_>,
    item: SideItem<'_>,
    rule: &'static AuditRule,
    is_meant: impl Fn(&Attribute) -> bool,
    facts: &AuditFacts,
    out: &mut AuditSection,
) {
    for (name, _) in item.kind.settable().filter(|(_, it)| is_meant(it)) {
        let value = item.value(name).map(Value::exposed);
        if value.as_ref().is_some_and(|it| it.has_open() || *it == Value::Bool(true)) {
            continue;
        }
        let off = Off::of(side, item, name);
        if facts.in_sandbox && off.is_left_to_whoever_applies() {
            // A switch that somebody built is there to be off where nobody's data is.
            let text = format!("`{name}` is off for `{}`{}", item.address, off.by());
            out.fact("switch", text);
            continue;
        }
        let why = format!("`{}` holds data, and `{name}` is off{}", item.address, off.by());
        let place = side.place_of(item, name);
        let finding = Finding::new(rule, Some(place), why).about(item.address);
        out.findings.push(finding.remedy(off.remedy(name, rule.remedy)));
    }
}

/// What switches it off.
enum Off {
    /// The layers: written out, left out, or by an expression in which nothing can be given.
    Written { is_expression: bool },
    /// Variables that an expression reads: the name of each, and who gave its value.
    Variables(Vec<(String, String)>),
}

impl Off {
    fn of(side: &Side<'_>, item: SideItem<'_>, name: &str) -> Self {
        let given = item.instance.resource.attributes.get(name);
        let is_expression =
            given.is_some_and(|it| !matches!(it.term.shape, InstanceShape::Literal(_)));
        let read = inputs(side, item, name).variables.into_keys();
        let read: Vec<(String, String)> = read
            .filter_map(|name| {
                let from = side.stack.variables.get(&name)?.from.clone();
                Some((name, from))
            })
            .collect();
        if read.is_empty() { Self::Written { is_expression } } else { Self::Variables(read) }
    }

    /// Whether another value can be given with a run: what an overlay sets is set wherever it is laid.
    fn is_left_to_whoever_applies(&self) -> bool {
        match self {
            Self::Written { .. } => false,
            Self::Variables(all) => all.iter().any(|(_, from)| !is_layer(from)),
        }
    }

    fn by(&self) -> String {
        match self {
            Self::Written { is_expression: false } => String::new(),
            Self::Written { is_expression: true } => " by an expression".into(),
            Self::Variables(all) => {
                let said = |(name, from): &(String, String)| match from.as_str() {
                    "default" => format!("variable `{name}`, which has its default"),
                    other => format!("variable `{name}`, set by {other}"),
                };
                format!(" ({})", all.iter().map(said).collect::<Vec<_>>().join(" and "))
            }
        }
    }

    fn remedy(&self, attribute: &str, why: &str) -> String {
        match self {
            Self::Written { is_expression: false } => format!("write `{attribute}: true`; {why}"),
            Self::Written { is_expression: true } => {
                format!("make the expression true; {why}")
            }
            Self::Variables(all) => {
                let names: Vec<String> = all.iter().map(|(name, _)| format!("`{name}`")).collect();
                format!("give {} another value; {why}", names.join(" or "))
            }
        }
    }
}

/// Whether a variable's value is an overlay's.
fn is_layer(from: &str) -> bool {
    from.contains(".yaml:")
}

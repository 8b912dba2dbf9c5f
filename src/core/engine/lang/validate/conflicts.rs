//! Resources that would be one object, members that would be one group, and objects beside which nothing may stand.

use std::borrow::Cow;

use crate::engine::address::Address;
use crate::engine::fast_map::{FastMap, FoldHash};
use crate::engine::lang::cel::path::Segment;
use crate::engine::lang::model::{Instance, InstanceShape};
use crate::engine::lang::resolve::Resolved;
use crate::engine::normalize::identifying;
use crate::engine::schema::{Excludes, Kind, Type};
use crate::engine::text::advice::AdvisedCommand;
use crate::engine::text::codes::DiagnosticCode;
use crate::engine::text::diagnostic::{Diagnostic, Span};
use crate::engine::value::Value;

/// Room for most identities in bytes, so that few texts have to grow.
const IDENTITY_MOSTLY: usize = 64;

type Identities<'a> = FastMap<(&'a str, String), (&'a Address, Span)>;

type IdentityGroups<'a> = FastMap<(&'a str, String), Vec<Declared<'a>>>;

/// What was seen so far.
pub struct Same<'a> {
    stack: &'a str,
    identities: Identities<'a>,
    places: FastMap<(&'a str, String), Standing<'a>>,
    groups: IdentityGroups<'a>,
}

/// What these attributes say, in one text; `None` while one of them is not known, or is secret: all secrets look alike.
fn key(kind: &Kind, names: &[String], instance: &Instance, resolved: &Resolved) -> Option<String> {
    let mut key = String::with_capacity(IDENTITY_MOSTLY);
    for name in names {
        let attribute = kind.attribute(name);
        let is_reference = attribute.is_some_and(|it| it.kind == Type::Reference);
        if !(is_reference && target(instance, name, &mut key)) {
            let value =
                resolved.attributes.get(name).filter(|it| !it.has_open() && !it.has_secret())?;
            let is_rewritten =
                kind.identity.caseless || attribute.is_some_and(|it| !it.normalise.is_empty());
            let value = if is_rewritten {
                Cow::Owned(identifying(kind, name, value, &resolved.attributes))
            } else {
                Cow::Borrowed(value)
            };
            key.push_str(&serde_json::to_string(&*value).expect("plain data serialises"));
        }
        // Stands neither in JSON nor in a path.
        key.push('\u{1f}');
    }
    Some(key)
}

impl<'a> Same<'a> {
    /// For a stack of this name, with so many instances.
    pub fn of(stack: &'a str, count: usize) -> Self {
        let identities = Identities::with_capacity_and_hasher(count, FoldHash::default());
        let (places, groups) = (FastMap::default(), FastMap::default());
        Self { stack, identities, places, groups }
    }

    pub fn check(
        &mut self,
        kind: &'a Kind,
        instance: &'a Instance,
        resolved: &Resolved,
        out: &mut Vec<Diagnostic>,
    ) {
        let before = out.len();
        identity(kind, instance, resolved, &mut self.identities, out);
        alone(kind, instance, resolved, &mut self.places, out);
        if out.len() == before {
            grouped(kind, instance, resolved, self, out);
        }
    }
}

/// Two resources with one identity would be one object.
fn identity<'a>(
    kind: &'a Kind,
    instance: &'a Instance,
    resolved: &Resolved,
    seen: &mut Identities<'a>,
    out: &mut Vec<Diagnostic>,
) {
    let Some(key) = key(kind, &kind.identity.by, instance, resolved) else { return };
    let span =
        kind.identity.by.first().and_then(|it| resolved.span(it)).unwrap_or(instance.resource.span);
    if let Some((other, first)) = seen.insert((&kind.kind, key), (&instance.address, span)) {
        let what = kind.identity.by.join(", ");
        out.push(one_object(&what, (&instance.address, span), (other, first)));
    }
}

fn one_object(what: &str, one: (&Address, Span), other: (&Address, Span)) -> Diagnostic {
    let ((one, span), (other, first)) = (one, other);
    let wrong =
        Diagnostic::error(DiagnosticCode::SameIdentity, "Two resources have the same identity")
            .at(span, format!("`{one}` has the same {what} as `{other}`"));
    let wrong = if first == span { wrong } else { wrong.at(first, format!("`{other}` is here")) };
    if other.name == one.name {
        wrong.help(format!("make the {what} depend on `each`"))
    } else {
        wrong.help(format!("give one of them another {what}"))
    }
}

/// A member of a group as the stack declares it.
struct Declared<'a> {
    address: &'a Address,
    region: String,
    span: Span,
    founds: bool,
}

/// A group has one object in each region, of whatever kind, and one that founds it: a second one would join it or stand
/// beside it, whichever comes first.
fn grouped<'a>(
    kind: &'a Kind,
    instance: &'a Instance,
    resolved: &Resolved,
    seen: &mut Same<'a>,
    out: &mut Vec<Diagnostic>,
) {
    let Some(group) = &kind.group else { return };
    let text = |name: &str| resolved.attributes.get(name).and_then(Value::as_text);
    let Some((name, region)) = text(&group.name).zip(text(&group.region)) else { return };
    let span = resolved.span(&group.region).unwrap_or(instance.resource.span);
    let region = region.to_owned();
    let founds = group.join_as.is_some();
    let here = Declared { address: &instance.address, region, span, founds };
    let members = seen.groups.entry((&kind.provider, name.to_owned())).or_default();
    if let Some(other) = members.iter().find(|it| it.region == here.region) {
        let (one, other) = ((here.address, here.span), (other.address, other.span));
        out.push(one_object(&format!("{}, {}", group.name, group.region), one, other));
    } else if let Some(other) = members.iter().find(|it| founds && it.founds) {
        let both = format!("`{}` and `{}` are both called `{name}`", here.address, other.address);
        let wrong = Diagnostic::error(DiagnosticCode::TwoFounders, "One group is created twice")
            .at(here.span, format!("{both}: two existing tables are never merged"))
            .at(other.span, format!("`{}` is here", other.address));
        let address = here.address.to_string();
        let forget = AdvisedCommand::StateForget { stack: seen.stack, address: &address };
        let instead = group.twice.iter().map(|it| format!("{it}; "));
        out.push(wrong.help(format!(
            "{}if both already exist, {forget} removes one from this stack without changing it",
            instead.collect::<String>()
        )));
    }
    members.push(here);
}

/// Who stands at a place where one may have to be alone.
struct Standing<'a> {
    address: &'a Address,
    span: Span,
    alone: bool,
}

/// An object that the cloud lets stand alone only, and another beside it.
fn alone<'a>(
    kind: &'a Kind,
    instance: &'a Instance,
    resolved: &Resolved,
    seen: &mut FastMap<(&'a str, String), Standing<'a>>,
    out: &mut Vec<Diagnostic>,
) {
    let Some(excludes) = &kind.excludes else { return };
    let Some(key) = key(kind, &excludes.by, instance, resolved) else { return };
    let decides = resolved.attributes.get(&excludes.attribute).and_then(Value::as_text);
    let alone = decides == Some(excludes.value.as_str());
    let span = resolved.span(&excludes.attribute).unwrap_or(instance.resource.span);
    let here = Standing { address: &instance.address, span, alone };
    let Some(other) = seen.get(&(kind.kind.as_str(), key.clone())) else {
        seen.insert((&kind.kind, key), here);
        return;
    };
    if !(alone || other.alone) {
        return;
    }
    let Excludes { by, attribute, value } = excludes;
    let by = by.last().map_or("name", String::as_str);
    out.push(
        Diagnostic::error(DiagnosticCode::StandsAlone, "The cloud does not allow another one beside it")
            .at(span, format!("`{}` has the same `{by}` as `{}`", instance.address, other.address))
            .at(other.span, format!("`{}` is here", other.address))
            .help(format!("a resource with `{attribute}: {value}` must be the only one of its `{by}`; give one of them another `{by}`")),
    );
}

/// Adds the address that a reference attribute names, as text; whether there is one.
fn target(instance: &Instance, name: &str, key: &mut String) -> bool {
    let Some(given) = instance.resource.attributes.get(name) else { return false };
    let InstanceShape::Expression(expression) = &given.term.shape else { return false };
    let Some(path) = expression.as_path() else { return false };
    key.push_str(expression.text.trim());
    let is_computed = |it: &Segment<_>| matches!(it, Segment::Computed(_));
    if &*path.root == "each" || path.steps.iter().any(is_computed) {
        key.push_str(&format!(" for {}", instance.address));
    }
    true
}

//! What an attribute has to be because of another one, and text that was meant for a reference.

use crate::engine::lang::cel::path::is_taken;
use crate::engine::lang::check::text_form::wrong;
use crate::engine::lang::model::{Instance, InstanceShape, Stack, Term};
use crate::engine::lang::resolve::Resolved;
use crate::engine::schema::{Catalog, Kind};
use crate::engine::text::codes::DiagnosticCode;
use crate::engine::text::diagnostic::Diagnostic;
use crate::engine::value::Value;

/// Tells every text whose form does not go with the attribute that decides it.
pub fn forms(kind: &Kind, instance: &Instance, resolved: &Resolved, out: &mut Vec<Diagnostic>) {
    for (name, attribute) in &kind.attributes {
        let Some(by) = &attribute.form_by else { continue };
        let decides = resolved.attributes.get(&by.attribute).and_then(Value::as_text);
        let Some(form) = decides.and_then(|it| by.of.get(it)) else { continue };
        let (text, is_hidden) = match resolved.attributes.get(name) {
            Some(Value::Text(text)) => (text.as_str(), false),
            Some(Value::Secret(secret)) => match secret.expose() {
                Value::Text(text) => (text.as_str(), true),
                _ => continue,
            },
            _ => continue,
        };
        let Some(says) = wrong(*form, text) else { continue };
        let shown = if is_hidden { "this" } else { text };
        let at = resolved.value_span(name).unwrap_or(instance.resource.span);
        let decides = decides.unwrap_or_default();
        out.push(
            Diagnostic::error(DiagnosticCode::WrongForm, "Not a value of this attribute")
                .at(at, format!("`{name}` cannot be `{shown}` with `{}: {decides}`", by.attribute))
                .help(says),
        );
    }
}

/// Tells every literal text that is the path of a value, or holds one in double braces: what it means is in `${…}`.
pub fn unquoted(stack: &Stack, catalog: &Catalog, out: &mut Vec<Diagnostic>) {
    for resource in stack.resources.values() {
        for given in resource.attributes.values() {
            texts(&given.term, &mut |text, span| {
                let Some(meant) = meant(text, stack, catalog) else { return };
                // What else is wrong with it is wrong because of this.
                out.retain(|it| it.labels.first().is_none_or(|it| it.span != span));
                out.push(
                    Diagnostic::error(DiagnosticCode::UnquotedReference, "Text instead of a value")
                        .at(span, "this text is used literally")
                        .help(meant),
                );
            });
        }
    }
}

fn texts(term: &Term, tell: &mut impl FnMut(&str, crate::engine::text::diagnostic::Span)) {
    match &term.shape {
        InstanceShape::Literal(value) => within(value, &mut |text| tell(text, term.span)),
        InstanceShape::List(items) => items.iter().for_each(|it| texts(it, tell)),
        InstanceShape::Map(map) => map.values().for_each(|it| texts(&it.term, tell)),
        InstanceShape::Expression(_) | InstanceShape::Text(_) => {}
    }
}

fn within(value: &Value, tell: &mut impl FnMut(&str)) {
    match value {
        Value::Text(text) => tell(text),
        Value::List(items) => items.iter().for_each(|it| within(it, tell)),
        Value::Map(map) => map.values().for_each(|it| within(it, tell)),
        _ => {}
    }
}

/// What to do about a text that is a path, or holds one in double braces.
fn meant(text: &str, stack: &Stack, catalog: &Catalog) -> Option<String> {
    if is_path(text, stack, catalog) {
        return Some(format!("write '${{{text}}}'"));
    }
    let inside = text.split("{{").skip(1).filter_map(|it| Some(it.split_once("}}")?.0.trim()));
    let inside = inside.into_iter().find(|it| is_path(it, stack, catalog))?;
    Some(format!(
        "write ${{{inside}}} instead, in single quotes; only `template()` evaluates double braces"
    ))
}

/// Whether a text is `vars.NAME`, or a resource that is declared with an attribute that its kind has.
fn is_path(text: &str, stack: &Stack, catalog: &Catalog) -> bool {
    let Some((root, attribute)) = text.rsplit_once('.') else { return false };
    if root == "vars" {
        return stack.variables.contains_key(attribute);
    }
    let name = root
        .split_once('[')
        .map_or(root, |(name, rest)| if rest.ends_with(']') { name } else { root });
    if is_taken(name) {
        return name == "each" && matches!(attribute, "index" | "key" | "value");
    }
    let kind = stack.resources.get(name).and_then(|it| catalog.get(&it.kind));
    kind.is_some_and(|it| it.attribute(attribute).is_some())
}

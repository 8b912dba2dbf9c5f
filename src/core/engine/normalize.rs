//! What the cloud makes of a value, so that desired and observed are compared in one form.

use crate::engine::schema::{Attribute, Kind, Normalize, Type};
use crate::engine::value::{Attributes, Secret, Value};

/// The value of an attribute in the form in which it is compared.
pub fn normalise(kind: &Kind, name: &str, value: &Value, all: &Attributes) -> Value {
    match kind.attribute(name) {
        Some(attribute) => normal(attribute, value, all),
        None => value.clone(),
    }
}

/// A part of an object's identity in the form in which the cloud tells objects apart.
pub fn identifying(kind: &Kind, name: &str, value: &Value, all: &Attributes) -> Value {
    match normalise(kind, name, value, all) {
        Value::Text(text) if kind.identity.caseless => Value::Text(text.to_lowercase()),
        value => value,
    }
}

fn normal(attribute: &Attribute, value: &Value, all: &Attributes) -> Value {
    match value {
        Value::Text(text) => Value::Text(normal_text(attribute, text, all)),
        Value::Int(number) if attribute.kind == Type::Float =>
        {
            #[expect(clippy::cast_precision_loss, reason = "attributes of type float are small")]
            Value::Float(*number as f64)
        }
        Value::Int(number) => Value::Int(stored(attribute, *number)),
        Value::List(items) => normal_list(attribute, items, all),
        Value::Map(map) => Value::Map(normal_map(attribute, map, all)),
        Value::Null | Value::Bool(_) | Value::Float(_) | Value::Open | Value::Fingerprint(_) => {
            value.clone()
        }
        Value::Secret(secret) => {
            Value::Secret(Secret::new(normal(attribute, secret.expose(), all)))
        }
    }
}

/// What the cloud stores for a number: the next value that it knows.
pub fn stored(attribute: &Attribute, number: i64) -> i64 {
    attribute.rounds_up_to.iter().copied().find(|it| *it >= number).unwrap_or(number)
}

fn normal_text(attribute: &Attribute, text: &str, all: &Attributes) -> String {
    rewritten(&attribute.normalise, text, all)
}

fn rewritten(rules: &[Normalize], text: &str, all: &Attributes) -> String {
    let mut text = text.to_owned();
    let of = |name: &str| all.get(name).and_then(Value::as_text);
    for rule in rules {
        text = match rule {
            Normalize::LowerCase => text.to_lowercase(),
            Normalize::TrimSpace => text.trim().to_owned(),
            Normalize::TrimTrailingDot => text.strip_suffix('.').map_or(text.clone(), Into::into),
            Normalize::TrimPrefix(prefix) => text.trim_start_matches(prefix.as_str()).to_owned(),
            Normalize::TrimSuffixOf(name) => match of(name) {
                Some(suffix) => without_suffix(&text, &suffix.to_lowercase()),
                None => text,
            },
            Normalize::Qualify(name) => match of(name) {
                Some(zone) if !text.contains('.') && !text.is_empty() => format!("{text}.{zone}"),
                _ => text,
            },
            Normalize::Address => address(&text).unwrap_or(text),
            Normalize::Made(template) => made(template, all).unwrap_or(text),
            Normalize::When(when) => match of(&when.attribute) {
                Some(it) if when.is.iter().any(|is| is == it) => rewritten(&when.then, &text, all),
                _ => text,
            },
            Normalize::Named(words) => words.get(&text).cloned().unwrap_or(text),
            Normalize::EmptyIsNull => text,
        };
    }
    text
}

/// An address or a network in one spelling.
fn address(text: &str) -> Option<String> {
    let (address, mask) = text.split_once('/').map_or((text, None), |(it, mask)| (it, Some(mask)));
    let address: std::net::IpAddr = address.parse().ok()?;
    Some(mask.map_or_else(|| address.to_string(), |mask| format!("{address}/{mask}")))
}

/// Fills in `{name}` with what the cloud keeps of that attribute; nothing while one of them is not known.
fn made(template: &str, all: &Attributes) -> Option<String> {
    let mut rest = template;
    let mut text = String::new();
    while let Some((before, behind)) = rest.split_once('{') {
        let (name, after) = behind.split_once('}')?;
        text.push_str(before);
        // The underscores that belong there are part of the template.
        text.push_str(all.get(name)?.as_text()?.trim_start_matches('_'));
        rest = after;
    }
    text.push_str(rest);
    Some(text)
}

fn without_suffix(text: &str, suffix: &str) -> String {
    if text == suffix {
        return String::new();
    }
    let cut = text.strip_suffix(suffix).and_then(|it| it.strip_suffix('.'));
    cut.map_or_else(|| text.to_owned(), Into::into)
}

fn normal_list(attribute: &Attribute, items: &[Value], all: &Attributes) -> Value {
    let of = attribute.of.as_deref();
    let mut items: Vec<Value> = items
        .iter()
        .map(|item| {
            let item = of.map_or_else(|| item.clone(), |of| normal(of, item, all));
            // The rules of a set of text are written once, on the set.
            match &item {
                Value::Text(text) => Value::Text(normal_text(attribute, text, all)),
                Value::Secret(secret) => match secret.expose() {
                    Value::Text(text) => {
                        let text = Value::Text(normal_text(attribute, text, all));
                        Value::Secret(Secret::new(text))
                    }
                    _ => item,
                },
                _ => item,
            }
        })
        .collect();
    if attribute.kind == Type::Set {
        items.sort_by_cached_key(|it| it.json().to_string());
        items.dedup();
    }
    Value::List(items)
}

/// Unset members of a map with fixed keys are no members; others are the user's own.
fn normal_map(attribute: &Attribute, map: &Attributes, all: &Attributes) -> Attributes {
    map.iter()
        .filter(|(_, value)| attribute.members.is_none() || !value.is_null())
        .map(|(name, value)| {
            let of = attribute.member(name);
            (name.clone(), of.map_or_else(|| value.clone(), |of| normal(of, value, all)))
        })
        .collect()
}

//! What the cloud answers, in the words of a kind.

use serde_json::Value as Json;

use crate::cloud::wire::encode::path;
use crate::engine::ownership_tag::is_ownership_tag;
use crate::engine::schema::{Attribute, Kind, Lookup, Pick, Type};
use crate::engine::value::{Attributes, Value};

/// The attributes that an answer tells; others are not in the result. Looked-up ones come from [`looked_up`].
pub(crate) fn decoded(kind: &Kind, row: &Json) -> Attributes {
    let mut attributes = Attributes::new();
    for (name, attribute) in &kind.attributes {
        if attribute.write_only || in_path(kind, name) {
            continue;
        }
        let read = attribute.read.as_ref();
        if read.is_some_and(|it| it.lookup.is_some()) {
            continue;
        }
        let field = read.and_then(|it| it.field.as_deref()).unwrap_or(path(name, attribute));
        let Some(found) = at(row, field) else { continue };
        let value = match read.and_then(|it| it.pick.as_ref()) {
            Some(pick) => picked(pick, found),
            None => value(attribute, found),
        };
        let value = if kind.mark.as_deref() == Some(name) { unmarked(value) } else { value };
        attributes.insert(name.clone(), value);
    }
    attributes
}

/// The object's own id, as text.
pub(crate) fn id(row: &Json) -> Option<String> {
    match row.get("id")? {
        Json::String(id) => Some(id.clone()),
        Json::Number(id) => Some(id.to_string()),
        _ => None,
    }
}

/// The owner mark among a row's tags.
pub(crate) fn mark(kind: &Kind, row: &Json) -> Option<String> {
    let name = kind.mark.as_deref()?;
    let tags = at(row, path(name, kind.attribute(name)?))?.as_array()?;
    tags.iter().filter_map(Json::as_str).find(|it| is_ownership_tag(it)).map(str::to_owned)
}

/// Whether an attribute is the parent that stands in the collection's path: what is read says nothing about it.
fn in_path(kind: &Kind, name: &str) -> bool {
    kind.rest.as_ref().is_some_and(|it| it.collection.contains(&format!("{{{name}}}")))
}

/// What is at a dotted path.
pub(crate) fn at<'a>(row: &'a Json, path: &str) -> Option<&'a Json> {
    path.split('.').try_fold(row, |here, step| here.get(step))
}

/// A value in an attribute's type; what does not fit stays as it came, so that a diff shows it.
fn value(attribute: &Attribute, found: &Json) -> Value {
    match (attribute.kind, found) {
        // A list that is not there and an empty one are the same to everybody but the API.
        (Type::List | Type::Set | Type::Map, Json::Null) => {
            attribute.default_value().unwrap_or_default()
        }
        (_, Json::Null) => Value::Null,
        (Type::Text | Type::Reference, Json::Number(number)) => Value::Text(number.to_string()),
        (Type::Text, Json::Bool(it)) => Value::Text(it.to_string()),
        (Type::Int, Json::String(text)) => {
            text.parse().map_or_else(|_| Value::text(text), Value::Int)
        }
        (Type::Float, Json::Number(number)) => Value::Float(number.as_f64().unwrap_or_default()),
        (Type::Bool, Json::Number(number)) => Value::Bool(number.as_i64() != Some(0)),
        (_, Json::Array(items)) => match attribute.of.as_deref() {
            Some(of) => Value::List(items.iter().map(|it| value(of, it)).collect()),
            None => Value::from_json(found),
        },
        (Type::Map, Json::Object(map)) => Value::Map(
            map.iter()
                .filter(|(_, it)| !it.is_null())
                .filter_map(|(name, it)| Some((name.clone(), member(attribute, name, it)?)))
                .collect(),
        ),
        _ => Value::from_json(found),
    }
}

/// A member of a map; of a map with fixed members, others than those are the cloud's own business.
fn member(attribute: &Attribute, name: &str, found: &Json) -> Option<Value> {
    match &attribute.members {
        Some(members) => members.get(name).map(|of| value(of, found)),
        None => Some(match attribute.of.as_deref() {
            Some(of) => value(of, found),
            None => Value::from_json(found),
        }),
    }
}

fn picked(pick: &Pick, found: &Json) -> Value {
    let texts = || found.as_array().into_iter().flatten().filter_map(Json::as_str);
    let private = |it: &&str| it.starts_with("192.168.");
    match pick {
        Pick::Public => texts().find(|it| !private(it)).map_or(Value::Null, Value::text),
        Pick::Private => texts().find(private).map_or(Value::Null, Value::text),
        Pick::HasPrivate => Value::Bool(texts().any(|it| private(&it))),
        Pick::WithoutPrefix => found.as_str().map_or(Value::Null, |it| {
            Value::text(it.split_once('/').map_or(it, |(address, _)| address))
        }),
        Pick::OneOf(words) => {
            Value::Bool(found.as_str().is_some_and(|it| words.iter().any(|word| word == it)))
        }
    }
}

fn unmarked(value: Value) -> Value {
    match value {
        Value::List(items) => Value::List(
            items.into_iter().filter(|it| !it.as_text().is_some_and(is_ownership_tag)).collect(),
        ),
        other => other,
    }
}

/// The attributes of a kind that stand in other lists.
pub(crate) fn lookups(kind: &Kind) -> impl Iterator<Item = (&String, &Lookup)> {
    kind.attributes.iter().filter_map(|(name, it)| Some((name, it.read.as_ref()?.lookup.as_ref()?)))
}

/// What another list's rows say about the object `id`; null when none names it.
pub(crate) fn looked_up<'a>(
    lookup: &Lookup,
    rows: impl IntoIterator<Item = &'a Json>,
    own: &str,
) -> Value {
    for row in rows {
        let named =
            row.get(&lookup.within).and_then(Json::as_array).into_iter().flatten().any(|it| {
                it.get("type").and_then(Json::as_str) == Some(&lookup.entity)
                    && id(it).as_deref() == Some(own)
            });
        if named {
            return match row.get(&lookup.take) {
                Some(Json::Number(number)) => Value::Text(number.to_string()),
                Some(other) => Value::from_json(other),
                None => Value::Null,
            };
        }
    }
    Value::Null
}

#[cfg(test)]
mod tests;

//! Attributes as the wire wants them.

use serde_json::{Map, Value as Json};

use crate::engine::schema::{Attribute, Encode, Type};
use crate::engine::value::Value;

/// One attribute's value as JSON; what is open or only a fingerprint cannot be sent.
pub(crate) fn encoded(name: &str, attribute: &Attribute, value: &Value) -> Result<Json, String> {
    let plain = value.exposed();
    if plain.has_open() {
        return Err(format!("the value of `{name}` is not known yet"));
    }
    if plain.has_secret() {
        return Err(format!("the value of `{name}` is not known in this run; give it again"));
    }
    Ok(json(attribute, &plain))
}

fn json(attribute: &Attribute, value: &Value) -> Json {
    match (attribute.kind, value) {
        (Type::Reference, Value::Text(id)) => {
            id.parse::<u64>().map_or_else(|_| Json::from(id.as_str()), Json::from)
        }
        (_, Value::Text(text)) if attribute.encode == Some(Encode::Base64) => {
            Json::from(data_encoding::BASE64.encode(text.as_bytes()))
        }
        (_, Value::List(items)) => match attribute.of.as_deref() {
            Some(of) => items.iter().map(|it| json(of, it)).collect(),
            None => value.json(),
        },
        (_, Value::Map(map)) => map
            .iter()
            .filter(|(_, it)| !it.is_null())
            .map(|(name, it)| (name.clone(), member(attribute, name, it)))
            .collect::<Map<_, _>>()
            .into(),
        _ => value.json(),
    }
}

fn member(attribute: &Attribute, name: &str, value: &Value) -> Json {
    let of = attribute.member(name);
    of.map_or_else(|| value.json(), |of| json(of, value))
}

/// Puts a value at a dotted path, making the objects on the way.
pub(crate) fn put(body: &mut Map<String, Json>, path: &str, value: Json) {
    match path.split_once('.') {
        None => {
            body.insert(path.to_owned(), value);
        }
        Some((first, rest)) => {
            let inner = body.entry(first).or_insert_with(|| Json::Object(Map::new()));
            if let Json::Object(inner) = inner {
                put(inner, rest, value);
            }
        }
    }
}

/// The dotted wire path of an attribute.
pub(crate) fn path<'a>(name: &'a str, attribute: &'a Attribute) -> &'a str {
    attribute.wire.as_deref().unwrap_or(name)
}

//! Whether two objects have one identity, after what the cloud makes of values.

use crate::engine::schema::{Attribute, Kind, Normalise};
use crate::engine::value::{Attributes, Value};

/// The identity of an object as text that can be compared; `None` when a part of it is not known.
pub(crate) fn identity(kind: &Kind, attributes: &Attributes) -> Option<Vec<String>> {
    kind.identity.by.iter().map(|name| part(kind, name, attributes)).collect()
}

/// One part of the identity, normalised.
pub(crate) fn part(kind: &Kind, name: &str, attributes: &Attributes) -> Option<String> {
    let value = attributes.get(name)?;
    let value = match kind.attribute(name) {
        Some(attribute) => normalised(attribute, value, attributes),
        None => value.exposed(),
    };
    match value {
        Value::Text(text) => Some(text),
        Value::Int(number) => Some(number.to_string()),
        Value::Bool(it) => Some(it.to_string()),
        Value::Null => Some(String::new()),
        _ => None,
    }
}

/// What the cloud makes of a value.
fn normalised(attribute: &Attribute, value: &Value, all: &Attributes) -> Value {
    let Value::Text(text) = value.exposed() else { return value.exposed() };
    let mut text = text;
    for rule in &attribute.normalise {
        text = match rule {
            Normalise::LowerCase => text.to_lowercase(),
            Normalise::TrimSpace => text.trim().to_owned(),
            Normalise::TrimTrailingDot => text.trim_end_matches('.').to_owned(),
            Normalise::TrimSuffixOf(other) => match all.get(other).and_then(Value::as_text) {
                Some(suffix) => without_suffix(&text, suffix),
                None => text,
            },
            Normalise::EmptyIsNull => text,
        };
    }
    Value::Text(text)
}

fn without_suffix(text: &str, suffix: &str) -> String {
    if text.eq_ignore_ascii_case(suffix) {
        return String::new();
    }
    let cut = text.len().checked_sub(suffix.len()).filter(|at| text.is_char_boundary(*at));
    match cut.map(|at| text.split_at(at)) {
        Some((head, tail)) if tail.eq_ignore_ascii_case(suffix) && head.ends_with('.') => {
            head.trim_end_matches('.').to_owned()
        }
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{identity, without_suffix};
    use crate::engine::value::Attributes;

    #[test]
    fn names_are_relative_to_their_zone() {
        assert_eq!(without_suffix("shop.example.com", "example.com"), "shop");
        assert_eq!(without_suffix("example.com", "example.com"), "");
        assert_eq!(without_suffix("badexample.com", "example.com"), "badexample.com");
    }

    #[test]
    fn what_the_cloud_rewrites_does_not_make_another_identity() {
        let catalog = crate::kinds::builtin();
        let kind = &catalog.kinds["linode.domain_record"];
        let record = |name: &str, target: &str| -> Attributes {
            [
                ("domain", "7"),
                ("domain.domain", "example.com"),
                ("type", "CNAME"),
                ("name", name),
                ("target", target),
            ]
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.into()))
            .collect()
        };
        assert_eq!(
            identity(kind, &record("Shop.example.com.", "a.example.net.")),
            identity(kind, &record("shop", "a.example.net"))
        );
    }
}

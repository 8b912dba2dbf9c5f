//! Whether two objects have one identity, after what the cloud makes of values.

use crate::engine::normalize::identifying;
use crate::engine::schema::Kind;
use crate::engine::value::{Attributes, Value};

/// The identity of an object as text that can be compared; `None` when a part of it is not known.
pub(crate) fn identity(kind: &Kind, attributes: &Attributes) -> Option<Vec<String>> {
    kind.identity.by.iter().map(|name| part(kind, name, attributes)).collect()
}

/// One part of the identity, in the form in which it is compared.
pub(crate) fn part(kind: &Kind, name: &str, attributes: &Attributes) -> Option<String> {
    let value = attributes.get(name)?;
    match identifying(kind, name, &value.exposed(), attributes) {
        Value::Text(text) => Some(text),
        Value::Int(number) => Some(number.to_string()),
        Value::Bool(it) => Some(it.to_string()),
        Value::Null => Some(String::new()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::identity;
    use crate::engine::value::Attributes;

    #[test]
    fn identity_is_the_same_after_what_the_cloud_rewrites() {
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

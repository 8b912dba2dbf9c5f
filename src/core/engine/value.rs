//! Values of attributes: plain data, open (known only when applying), secret and fingerprint.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::json;
use sha2::Sha256;

const OPEN: &str = "$open";
const SENSITIVE: &str = "$sensitive";

/// The attributes of one resource instance.
pub type Attributes = BTreeMap<String, Value>;

/// One value of the stack language, of state or of a cloud.
#[derive(Clone, PartialEq, Default)]
pub enum Value {
    #[default]
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<Value>),
    Map(Attributes),
    /// Only applying will know it.
    Open,
    /// Known and sensitive; cannot be shown.
    Secret(Secret),
    /// What plans and state keep of a secret.
    Fingerprint(String),
}

/// A sensitive value; its Debug says nothing.
#[derive(Clone, PartialEq)]
pub struct Secret(Arc<Value>);

impl Secret {
    pub fn new(plain: Value) -> Self {
        match plain {
            Value::Secret(inner) => inner,
            plain => Self(Arc::new(plain)),
        }
    }

    /// The plain value. Only for the request that carries it and for expressions, which taint their result.
    pub fn expose(&self) -> &Value {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(sensitive)")
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.json())
    }
}

/// The key under which a lineage fingerprints its secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct LineageKey(pub Vec<u8>);

/// In hexadecimal.
impl Serialize for LineageKey {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&data_encoding::HEXLOWER.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for LineageKey {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let bytes = data_encoding::HEXLOWER.decode(text.as_bytes());
        bytes.map(Self).map_err(serde::de::Error::custom)
    }
}

impl fmt::Debug for LineageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LineageKey(…)")
    }
}

impl LineageKey {
    /// HMAC-SHA-256 of the bytes, its first 16 bytes, in hexadecimal.
    pub fn fingerprint(&self, bytes: &[u8]) -> String {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        mac.update(bytes);
        data_encoding::HEXLOWER.encode(&mac.finalize().into_bytes()[..16])
    }
}

impl Value {
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub fn as_map(&self) -> Option<&Attributes> {
        match self {
            Self::Map(map) => Some(map),
            _ => None,
        }
    }

    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// Whether it is open or contains something open.
    pub fn has_open(&self) -> bool {
        match self {
            Self::Open => true,
            Self::List(items) => items.iter().any(Self::has_open),
            Self::Map(map) => map.values().any(Self::has_open),
            Self::Secret(secret) => secret.expose().has_open(),
            _ => false,
        }
    }

    /// Whether it is secret or contains a secret.
    pub fn has_secret(&self) -> bool {
        match self {
            Self::Secret(_) | Self::Fingerprint(_) => true,
            Self::List(items) => items.iter().any(Self::has_secret),
            Self::Map(map) => map.values().any(Self::has_secret),
            _ => false,
        }
    }

    /// A secret that this run does not know: its variable was not given again, or only its fingerprint is recorded.
    pub fn withheld() -> Self {
        Self::Secret(Secret::new(Self::Fingerprint(String::new())))
    }

    /// Whether it is, or contains, a secret that this run does not know. Nothing can be computed from it, and nothing tells
    /// whether what was made of it is still the same.
    pub fn has_withheld(&self) -> bool {
        match self {
            Self::Fingerprint(_) => true,
            Self::List(items) => items.iter().any(Self::has_withheld),
            Self::Map(map) => map.values().any(Self::has_withheld),
            Self::Secret(secret) => secret.expose().has_withheld(),
            _ => false,
        }
    }

    /// Whether nobody can say yet what it is: it is open, or a secret that this run does not know.
    pub fn has_unknown(&self) -> bool {
        self.has_open() || self.has_withheld()
    }

    /// Every secret replaced by its fingerprint: the only form that plans and state may keep. What only applying will know has
    /// none yet.
    #[must_use]
    pub fn sealed(&self, key: &LineageKey) -> Self {
        match self {
            Self::Secret(secret) if secret.expose().has_withheld() => {
                Self::Fingerprint(String::new())
            }
            Self::Secret(secret) if secret.expose().has_open() => Self::Open,
            Self::Secret(secret) => Self::Fingerprint(
                key.fingerprint(secret.expose().exposed_json().to_string().as_bytes()),
            ),
            Self::List(items) => Self::List(items.iter().map(|it| it.sealed(key)).collect()),
            Self::Map(map) => {
                Self::Map(map.iter().map(|(name, it)| (name.clone(), it.sealed(key))).collect())
            }
            other => other.clone(),
        }
    }

    /// Every secret laid open. Only for request bodies.
    #[must_use]
    pub fn exposed(&self) -> Self {
        match self {
            Self::Secret(secret) => secret.expose().exposed(),
            Self::List(items) => Self::List(items.iter().map(Self::exposed).collect()),
            Self::Map(map) => {
                Self::Map(map.iter().map(|(name, it)| (name.clone(), it.exposed())).collect())
            }
            other => other.clone(),
        }
    }

    fn exposed_json(&self) -> serde_json::Value {
        self.exposed().json()
    }

    /// As JSON: secrets redacted, open values and fingerprints marked.
    pub fn json(&self) -> serde_json::Value {
        match self {
            Self::Null => serde_json::Value::Null,
            Self::Bool(it) => json!(it),
            Self::Int(it) => json!(it),
            Self::Float(it) => json!(it),
            Self::Text(it) => json!(it),
            Self::List(items) => items.iter().map(Self::json).collect(),
            Self::Map(map) => map.iter().map(|(name, it)| (name.clone(), it.json())).collect(),
            Self::Open => json!({ OPEN: true }),
            Self::Secret(secret) if secret.expose().has_open() => json!({ OPEN: true }),
            Self::Secret(_) => json!({ SENSITIVE: true }),
            Self::Fingerprint(it) => json!({ SENSITIVE: it }),
        }
    }

    /// The reverse of [`Value::json`] for sealed values; numbers beyond `i64` become floats.
    pub fn from_json(json: &serde_json::Value) -> Self {
        Deserialize::deserialize(json).expect("every JSON value is a value")
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap as _;
        let marked = |to: S, name: &str, value: &serde_json::Value| {
            let mut map = to.serialize_map(Some(1))?;
            map.serialize_entry(name, value)?;
            map.end()
        };
        match self {
            Self::Null => to.serialize_unit(),
            Self::Bool(it) => to.serialize_bool(*it),
            Self::Int(it) => to.serialize_i64(*it),
            Self::Float(it) => to.serialize_f64(*it),
            Self::Text(it) => to.serialize_str(it),
            Self::List(items) => to.collect_seq(items),
            Self::Map(map) => to.collect_map(map),
            Self::Open => marked(to, OPEN, &json!(true)),
            Self::Secret(_) => marked(to, SENSITIVE, &json!(true)),
            Self::Fingerprint(it) => marked(to, SENSITIVE, &json!(it)),
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(ValueVisitor)
    }
}

/// Reads JSON straight into values, so that large states are not held twice.
struct ValueVisitor;

impl<'de> serde::de::Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, it: bool) -> Result<Value, E> {
        Ok(Value::Bool(it))
    }

    fn visit_i64<E>(self, it: i64) -> Result<Value, E> {
        Ok(Value::Int(it))
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "numbers beyond i64 become floats, as documented"
    )]
    fn visit_u64<E>(self, it: u64) -> Result<Value, E> {
        Ok(i64::try_from(it).map_or(Value::Float(it as f64), Value::Int))
    }

    fn visit_f64<E>(self, it: f64) -> Result<Value, E> {
        Ok(Value::Float(it))
    }

    fn visit_str<E>(self, it: &str) -> Result<Value, E> {
        Ok(Value::Text(it.to_owned()))
    }

    fn visit_string<E>(self, it: String) -> Result<Value, E> {
        Ok(Value::Text(it))
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = from.next_element()? {
            items.push(item);
        }
        Ok(Value::List(items))
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        let mut map = Attributes::new();
        while let Some((name, value)) = from.next_entry::<String, Value>()? {
            map.insert(name, value);
        }
        Ok(match (map.len(), map.first_key_value()) {
            (1, Some((name, _))) if name == OPEN => Value::Open,
            (1, Some((name, Value::Text(it)))) if name == SENSITIVE => {
                Value::Fingerprint(it.clone())
            }
            (1, Some((name, Value::Bool(true)))) if name == SENSITIVE => {
                Value::Fingerprint(String::new())
            }
            _ => Value::Map(map),
        })
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<bool> for Value {
    fn from(it: bool) -> Self {
        Self::Bool(it)
    }
}

#[cfg(test)]
mod tests {
    use super::{LineageKey, Secret, Value};

    #[test]
    fn secret_reaches_neither_debug_nor_json() {
        let value = Value::List(vec![Value::Secret(Secret::new("hunter2".into()))]);
        assert!(!format!("{value:?} {}", value.json()).contains("hunter2"));
        let sealed = value.sealed(&LineageKey(vec![1]));
        assert!(!format!("{sealed:?}").contains("hunter2"));
        assert_eq!(Value::from_json(&sealed.json()), sealed);
    }

    #[test]
    fn sealed_fingerprint_depends_on_value_and_key() {
        let seal = |text: &str, key: u8| {
            Value::Secret(Secret::new(text.into())).sealed(&LineageKey(vec![key]))
        };
        assert_eq!(seal("a", 1), seal("a", 1));
        assert_ne!(seal("a", 1), seal("b", 1));
        assert_ne!(seal("a", 1), seal("a", 2));
    }
}

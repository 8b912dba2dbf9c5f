//! Addresses: the names of resource instances, `web[0]`, `shop`, `node["fra"]`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::engine::text::plain::{escape_control, uncleaned};

/// Which instance of a resource is meant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// The resource has neither `count` nor `for_each`.
    One,
    /// An index made by `count`.
    Index(u32),
    /// A key made by `for_each`.
    Name(String),
}

/// The name of one resource instance; immutable, ordered, the key everywhere.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Address {
    pub name: String,
    pub key: Key,
}

impl Address {
    /// The address of a resource without `count` or `for_each`.
    pub fn one(name: impl Into<String>) -> Self {
        Self { name: name.into(), key: Key::One }
    }

    pub fn index(name: impl Into<String>, index: u32) -> Self {
        Self { name: name.into(), key: Key::Index(index) }
    }

    pub fn named(name: impl Into<String>, key: impl Into<String>) -> Self {
        Self { name: name.into(), key: Key::Name(key.into()) }
    }

    /// The same address as plain label text: `web-0`, `shop`, `node-fra`.
    pub fn label(&self) -> String {
        match &self.key {
            Key::One => self.name.replace('_', "-"),
            Key::Index(index) => format!("{}-{index}", self.name.replace('_', "-")),
            Key::Name(key) => {
                let key: String = key
                    .chars()
                    .map(|it| if it.is_ascii_alphanumeric() { it } else { '-' })
                    .collect();
                format!("{}-{}", self.name.replace('_', "-"), key.trim_matches('-'))
            }
        }
    }

    /// `web` and `web[0]` name the same thing when `count` appears or goes.
    pub fn zeroth_alias(&self) -> Option<Self> {
        match self.key {
            Key::One => Some(Self::index(self.name.clone(), 0)),
            Key::Index(0) => Some(Self::one(self.name.clone())),
            Key::Index(_) | Key::Name(_) => None,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.key {
            Key::One => write!(f, "{}", self.name),
            Key::Index(index) => write!(f, "{}[{index}]", self.name),
            Key::Name(key) => write!(f, "{}[{}]", self.name, quoted(key)),
        }
    }
}

/// What is printed is read back, also where a key holds what no terminal may see.
fn quoted(key: &str) -> String {
    format!("\"{}\"", escape_control(&key.replace('\\', "\\\\").replace('"', "\\\"")))
}

/// Why a text is not an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not an address; write `name`, `name[0]` or `name[\"key\"]`", escape_control(.0))]
pub struct NotAnAddress(pub String);

impl FromStr for Address {
    type Err = NotAnAddress;

    fn from_str(text: &str) -> Result<Self, NotAnAddress> {
        let wrong = || NotAnAddress(text.to_owned());
        let Some((name, rest)) = text.split_once('[') else {
            return if is_name(text) { Ok(Self::one(text)) } else { Err(wrong()) };
        };
        let inside = rest.strip_suffix(']').ok_or_else(wrong)?;
        if !is_name(name) {
            return Err(wrong());
        }
        if let Some(key) = inside.strip_prefix('"').and_then(|it| it.strip_suffix('"')) {
            return uncleaned(key).map(|it| Self::named(name, it)).ok_or_else(wrong);
        }
        inside.parse().map(|index| Self::index(name, index)).map_err(|_| wrong())
    }
}

impl TryFrom<String> for Address {
    type Error = NotAnAddress;

    fn try_from(text: String) -> Result<Self, NotAnAddress> {
        text.parse()
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.to_string()
    }
}

/// A resource's or variable's name: `[a-z][a-z0-9_]*`.
pub fn is_name(text: &str) -> bool {
    text.starts_with(|it: char| it.is_ascii_lowercase())
        && text.chars().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || it == '_')
}

#[cfg(test)]
mod tests {
    use super::Address;
    use crate::engine::text::plain::is_invisible;

    #[test]
    fn from_str_reads_back_what_display_prints() {
        for text in ["shop", "web[0]", "node[\"fra\"]", "node[\"a\\\"b\"]"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        for key in ["a\u{1b}[2Jb", "\\n", "\n\r\t", "\"\\", "\u{202e}x", "\\u{1b}", "a]", "ü"] {
            let address = Address::named("node", key);
            assert!(!address.to_string().contains(is_invisible), "{address}");
            assert_eq!(address.to_string().parse::<Address>().unwrap(), address);
        }
    }

    #[test]
    fn from_str_refuses_malformed_addresses() {
        for text in ["", "Web", "web[", "web[x]", "9a", "a b", "web[-1]"] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }
}

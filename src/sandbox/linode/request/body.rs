//! Reads the fields of a body and collects everything that is wrong with them, the way the API answers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde_json::{Map, Value};

use crate::linode::request::call::{ErrorField, LinodeError};

/// A body under examination. Unknown keys are ignored, as the real one does; `null` reads as absent.
#[derive(Debug)]
pub struct RequestBody<'a> {
    body: &'a Map<String, Value>,
    prefix: String,
    errors: Vec<ErrorField>,
}

impl<'a> RequestBody<'a> {
    pub fn new(body: &'a Map<String, Value>) -> Self {
        Self::within(body, "")
    }

    /// A nested body whose fields are named with a prefix such as `configs[0].`.
    pub fn within(body: &'a Map<String, Value>, prefix: &str) -> Self {
        Self { body, prefix: prefix.into(), errors: Vec::new() }
    }

    pub fn error(&mut self, field: &str, reason: impl Into<String>) {
        self.errors.push((Some(format!("{}{field}", self.prefix)), reason.into()));
    }

    /// An error that no single field is to blame for.
    pub fn objection(&mut self, reason: &str) {
        self.errors.push((None, reason.into()));
    }

    pub fn has(&self, field: &str) -> bool {
        self.value(field).is_some()
    }

    /// The value unless absent or null.
    pub fn value(&self, field: &str) -> Option<&'a Value> {
        self.body.get(field).filter(|value| !value.is_null())
    }

    pub fn require(&mut self, field: &str) {
        if !self.has(field) {
            self.error(field, format!("{field} is required"));
        }
    }

    /// Refuses what the real API takes and this one does not model: better than to answer 200 and forget it.
    pub fn unmodelled(&mut self, fields: &[&str]) {
        for field in fields {
            let value = self.value(field);
            if value.is_some_and(|it| it.as_array().is_none_or(|it| !it.is_empty())) {
                self.error(field, format!("the sandbox does not support {field}"));
            }
        }
    }

    pub fn text(&mut self, field: &str) -> Option<String> {
        let value = self.value(field)?;
        let text = value.as_str().map(str::to_owned);
        if text.is_none() {
            self.error(field, format!("{field} must be a string"));
        }
        text
    }

    /// A text of so many characters.
    pub fn sized(&mut self, field: &str, least: usize, most: usize) -> Option<String> {
        let text = self.text(field)?;
        if !(least..=most).contains(&text.chars().count()) {
            self.error(field, format!("Length must be {least}-{most} characters"));
        }
        Some(text)
    }

    pub fn one_of(&mut self, field: &str, allowed: &[&str]) -> Option<String> {
        let text = self.text(field)?;
        if !allowed.contains(&text.as_str()) {
            self.error(field, format!("Must be one of {}", allowed.join(", ")));
        }
        Some(text)
    }

    pub fn flag(&mut self, field: &str) -> Option<bool> {
        let value = self.value(field)?;
        let flag = value.as_bool();
        if flag.is_none() {
            self.error(field, format!("{field} must be a boolean"));
        }
        flag
    }

    pub fn number(&mut self, field: &str) -> Option<u64> {
        let value = self.value(field)?;
        let number = value.as_u64();
        if number.is_none() {
            self.error(field, format!("{field} must be an integer"));
        }
        number
    }

    pub fn ranged(&mut self, field: &str, least: u64, most: u64) -> Option<u64> {
        let number = self.number(field)?;
        if !(least..=most).contains(&number) {
            self.error(field, format!("Must be {least}-{most}"));
        }
        Some(number)
    }

    pub fn texts(&mut self, field: &str) -> Option<Vec<String>> {
        let value = self.value(field)?;
        let texts: Option<Vec<String>> = value
            .as_array()
            .and_then(|items| items.iter().map(|item| item.as_str().map(str::to_owned)).collect());
        if texts.is_none() {
            self.error(field, format!("{field} must be an array of strings"));
        }
        texts
    }

    pub fn list(&mut self, field: &str) -> Option<&'a Vec<Value>> {
        let value = self.value(field)?;
        let list = value.as_array();
        if list.is_none() {
            self.error(field, format!("{field} must be an array"));
        }
        list
    }

    pub fn object(&mut self, field: &str) -> Option<&'a Map<String, Value>> {
        let value = self.value(field)?;
        let object = value.as_object();
        if object.is_none() {
            self.error(field, format!("{field} must be an object"));
        }
        object
    }

    pub fn tags(&mut self) -> Option<Vec<String>> {
        let tags = self.texts("tags")?;
        if tags.iter().any(|tag| !(3..=50).contains(&tag.chars().count())) {
            self.error("tags", "Length must be 3-50 characters");
        }
        let mut unique: Vec<String> = Vec::new();
        for tag in tags {
            if !unique.iter().any(|it| it.eq_ignore_ascii_case(&tag)) {
                unique.push(tag);
            }
        }
        Some(unique)
    }

    /// Takes over what a nested form found.
    pub fn absorb(&mut self, nested: RequestBody<'_>) {
        self.errors.extend(nested.errors);
    }

    pub fn is_clean(&self) -> bool {
        self.errors.is_empty()
    }

    /// All errors at once, or none.
    pub fn finish(self) -> Result<(), LinodeError> {
        if self.errors.is_empty() {
            return Ok(());
        }
        Err(LinodeError { status: 400, errors: self.errors })
    }
}

/// Labels of machines and firewalls: letter first, letter or digit last, no two separators in a row.
pub fn is_label(text: &str) -> bool {
    let inner = |it: char| it.is_ascii_alphanumeric() || matches!(it, '-' | '_' | '.');
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.ends_with(|last: char| last.is_ascii_alphanumeric())
        && text.chars().all(inner)
        && !["--", "__", ".."].iter().any(|pair| text.contains(pair))
}

pub fn is_ipv4(text: &str) -> bool {
    text.parse::<Ipv4Addr>().is_ok()
}

pub fn is_ipv6(text: &str) -> bool {
    text.parse::<Ipv6Addr>().is_ok()
}

/// `address/mask`, the only form of firewall addresses.
pub fn is_network(text: &str, six: bool) -> bool {
    let Some((address, mask)) = text.split_once('/') else { return false };
    let (Ok(address), Ok(mask)) = (address.parse::<IpAddr>(), mask.parse::<u8>()) else {
        return false;
    };
    match address {
        IpAddr::V4(_) => !six && mask <= 32,
        IpAddr::V6(_) => six && mask <= 128,
    }
}

//! Which call creates, changes or deletes an object of a kind: method, path and body, from its description alone.

use std::fmt::Write;

use serde_json::{Map, Value as Json};

use crate::cloud::wire::encode::{encoded, path, put};
use crate::engine::schema::{Attribute, Kind, RestRoutes, UpdateGroup};
use crate::engine::value::{Attributes, Value};

/// One request below the API's base.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RestCall {
    pub method: &'static str,
    pub path: String,
    pub body: Option<Json>,
}

/// A kind together with its routes.
#[derive(Clone, Copy)]
pub(crate) struct Routes<'a> {
    pub kind: &'a Kind,
    pub rest: &'a RestRoutes,
}

impl<'a> Routes<'a> {
    pub(crate) fn of(kind: &'a Kind) -> Result<Self, String> {
        let rest = kind.rest.as_ref();
        rest.map(|rest| Self { kind, rest }).ok_or_else(|| format!("{} has no routes", kind.kind))
    }

    /// The path of the collection that the object is in, or would be.
    pub(crate) fn collection(&self, attributes: &Attributes) -> Result<String, String> {
        let mut path = String::new();
        let mut rest = self.rest.collection.as_str();
        while let Some((head, tail)) = rest.split_once('{') {
            let (name, tail) = tail.split_once('}').ok_or("a brace is open in its route")?;
            let value = match attributes.get(name).map(Value::exposed) {
                Some(Value::Text(text)) if !text.is_empty() => text,
                Some(Value::Int(number)) => number.to_string(),
                _ => return Err(format!("`{name}` of this {} is unknown", self.kind.kind)),
            };
            path.push_str(head);
            path.push_str(&segment(&value));
            rest = tail;
        }
        path.push_str(rest);
        Ok(path)
    }

    /// Whether its collection is inside another object.
    pub(crate) fn is_nested(&self) -> bool {
        self.rest.collection.contains('{')
    }

    pub(crate) fn object(&self, id: &str, attributes: &Attributes) -> Result<String, String> {
        Ok(format!("{}/{}", self.collection(attributes)?, segment(id)))
    }

    /// The filters that stand before an object, whoever attached them; `None`: it can stand behind none.
    pub(crate) fn filters(
        &self,
        id: &str,
        attributes: &Attributes,
    ) -> Result<Option<String>, String> {
        let Some(below) = &self.rest.filters else { return Ok(None) };
        Ok(Some(format!("{}{below}", self.object(id, attributes)?)))
    }

    pub(crate) fn create(
        &self,
        attributes: &Attributes,
        mark: Option<&str>,
    ) -> Result<RestCall, String> {
        let mut body = Map::new();
        for (name, attribute) in self.kind.settable() {
            if attribute.after_create || self.in_path(name) {
                continue;
            }
            let value = attributes.get(name).unwrap_or(&Value::Null);
            if value.is_null() && !(mark.is_some() && self.is_mark(name)) {
                continue;
            }
            put(&mut body, path(name, attribute), self.sent(name, attribute, value, mark)?);
        }
        let path = self.collection(attributes)?;
        Ok(RestCall { method: "POST", path, body: Some(body.into()) })
    }

    /// The call that carries the changed attributes of one group; `""` is the plain update.
    pub(crate) fn update(
        &self,
        id: &str,
        attributes: &Attributes,
        group: &str,
        changed: &[String],
        mark: Option<&str>,
    ) -> Result<RestCall, String> {
        let object = self.object(id, attributes)?;
        let Some(group) = self.group(group)? else {
            let names = self.with_companions(changed, attributes);
            let mut body = Map::new();
            for (name, attribute) in self.named(&names) {
                if attribute.via.is_empty() {
                    let value = self.set_or_reset(name, attribute, attributes, mark)?;
                    put(&mut body, path(name, attribute), value);
                }
            }
            return Ok(RestCall { method: "PUT", path: object, body: Some(body.into()) });
        };
        let method = if group.method.eq_ignore_ascii_case("put") { "PUT" } else { "POST" };
        let mut names: Vec<String> = group.whole.clone();
        names.extend(changed.iter().filter(|it| !group.whole.contains(it)).cloned());
        let below = match &group.switch {
            Some((on, off)) => {
                if self.is_on(&names, attributes)? {
                    on
                } else {
                    off
                }
            }
            None => &group.path,
        };
        let body = self.group_body(group, &names, attributes, mark)?;
        Ok(RestCall { method, path: format!("{object}{below}"), body: Some(body) })
    }

    pub(crate) fn delete(&self, id: &str, attributes: &Attributes) -> Result<RestCall, String> {
        Ok(RestCall { method: "DELETE", path: self.object(id, attributes)?, body: None })
    }

    /// An answer to a group's call as if it were part of the object; `None` when it tells nothing of it.
    pub(crate) fn whole_answer(&self, group: &str, answer: Json) -> Option<Json> {
        match self.group(group).ok()? {
            None => Some(answer),
            Some(group) => {
                let mut row = Map::new();
                put(&mut row, group.cut.as_deref()?, answer);
                Some(row.into())
            }
        }
    }

    fn group(&self, name: &str) -> Result<Option<&'a UpdateGroup>, String> {
        if name.is_empty() {
            return Ok(None);
        }
        let missing = || format!("{} has no way `{name}` of updating", self.kind.kind);
        self.rest.groups.get(name).map(Some).ok_or_else(missing)
    }

    fn group_body(
        &self,
        group: &UpdateGroup,
        names: &[String],
        attributes: &Attributes,
        mark: Option<&str>,
    ) -> Result<Json, String> {
        let mut body: Map<String, Json> =
            group.with.iter().map(|(name, it)| (name.clone(), it.clone())).collect();
        if group.no_body {
            return Ok(body.into());
        }
        for (name, attribute) in self.named(names) {
            let value = self.set_or_reset(name, attribute, attributes, mark)?;
            if let Some(list) = &group.list_of {
                let items = if value.is_null() { Vec::new() } else { vec![value] };
                body.insert(list.clone(), Json::Array(items));
                continue;
            }
            let full = path(name, attribute);
            let cut =
                group.cut.as_deref().and_then(|cut| full.strip_prefix(cut)?.strip_prefix('.'));
            put(&mut body, cut.unwrap_or(full), value);
        }
        Ok(body.into())
    }

    fn is_on(&self, names: &[String], attributes: &Attributes) -> Result<bool, String> {
        for name in names {
            if let Some(Value::Bool(it)) = attributes.get(name).map(Value::exposed) {
                return Ok(it);
            }
        }
        Err(format!("{} is to be switched, and nothing says on or off", self.kind.kind))
    }

    /// The value, or what unsets it: its default, else null.
    fn set_or_reset(
        &self,
        name: &str,
        attribute: &Attribute,
        attributes: &Attributes,
        mark: Option<&str>,
    ) -> Result<Json, String> {
        let default = attribute.default_value().unwrap_or_default();
        let value = attributes.get(name).filter(|it| !it.is_null()).unwrap_or(&default);
        self.sent(name, attribute, value, mark)
    }

    /// The value as sent, the mark among the tags.
    fn sent(
        &self,
        name: &str,
        attribute: &Attribute,
        value: &Value,
        mark: Option<&str>,
    ) -> Result<Json, String> {
        let mut json = encoded(name, attribute, value)?;
        if let Some(mark) = mark.filter(|_| self.is_mark(name)) {
            match &mut json {
                Json::Array(tags) => tags.push(mark.into()),
                other => *other = Json::Array(vec![mark.into()]),
            }
        }
        Ok(json)
    }

    /// The changed attributes and those that are sent together with them, as far as they are set.
    fn with_companions(&self, changed: &[String], attributes: &Attributes) -> Vec<String> {
        let mut names = changed.to_vec();
        for (_, attribute) in self.named(changed) {
            for other in &attribute.together {
                let set = attributes.get(other).is_some_and(|it| !it.is_null());
                if set && !names.contains(other) {
                    names.push(other.clone());
                }
            }
        }
        names
    }

    fn named(&self, names: &[String]) -> impl Iterator<Item = (&'a String, &'a Attribute)> {
        let kind = self.kind;
        kind.settable().filter(move |(name, _)| names.contains(name))
    }

    fn is_mark(&self, name: &str) -> bool {
        self.kind.mark.as_deref() == Some(name)
    }

    fn in_path(&self, name: &str) -> bool {
        self.rest.collection.contains(&format!("{{{name}}}"))
    }
}

/// A value as one segment of a path.
fn segment(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests;

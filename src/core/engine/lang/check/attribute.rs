//! Checks a value against its attribute: type, range, length, pattern, choice; each mistake at the value's own place.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use regex::Regex;

use crate::engine::lang::cel::lookup::word;
use crate::engine::lang::check::text_form::wrong;
use crate::engine::lang::model::{InstanceShape, Term};
use crate::engine::schema::{Attribute, TextForm, Type};
use crate::engine::text::codes::DiagnosticCode;
use crate::engine::text::diagnostic::{Diagnostic, Span};
use crate::engine::text::plain::counted;
use crate::engine::value::{Attributes, Secret, Value};

/// Where a value is written: the term, while its shape is that of the value.
#[derive(Clone, Copy)]
pub struct CheckSite<'a> {
    pub span: Span,
    pub term: Option<&'a Term>,
}

impl<'a> CheckSite<'a> {
    pub fn of(term: &'a Term) -> Self {
        Self { span: term.span, term: Some(term) }
    }

    fn item(self, index: usize) -> Self {
        match self.term.map(|it| &it.shape) {
            Some(InstanceShape::List(items)) => items.get(index).map_or(self, Self::of),
            _ => Self { term: None, ..self },
        }
    }

    fn member(self, name: &str) -> Self {
        match self.term.map(|it| &it.shape) {
            Some(InstanceShape::Map(map)) => map.get(name).map_or(self, |it| Self::of(&it.term)),
            _ => Self { term: None, ..self },
        }
    }

    /// The key of a member, to point at what should not be there.
    fn key(self, name: &str) -> Span {
        match self.term.map(|it| &it.shape) {
            Some(InstanceShape::Map(map)) => map.get(name).map_or(self.span, |it| it.key),
            _ => self.span,
        }
    }
}

/// Checks and converts a value; what is wrong becomes null, so that one mistake is told once.
pub fn check(
    value: Value,
    attribute: &Attribute,
    name: &str,
    at: CheckSite<'_>,
    out: &mut Vec<Diagnostic>,
) -> Value {
    let (value, is_secret) = opened(value);
    let mut checker = Checker { name: name.to_owned(), is_secret, is_likely: false, out };
    let value = checker.value(value, attribute, at);
    if is_secret || (attribute.sensitive && !value.is_null()) {
        Value::Secret(Secret::new(value))
    } else {
        value
    }
}

/// Checks a value that stands for one that is not known yet.
pub fn check_likely(
    value: Value,
    attribute: &Attribute,
    name: &str,
    at: CheckSite<'_>,
    out: &mut Vec<Diagnostic>,
) {
    let (value, is_secret) = opened(value);
    Checker { name: name.to_owned(), is_secret, is_likely: true, out }.value(value, attribute, at);
}

fn opened(value: Value) -> (Value, bool) {
    match value {
        Value::Secret(secret) => (secret.expose().clone(), true),
        other => (other, false),
    }
}

struct Checker<'a> {
    /// Of an attribute, or of a member in it: `inbound[0].action`.
    name: String,
    is_secret: bool,
    /// What is checked stands for what the cloud will make.
    is_likely: bool,
    out: &'a mut Vec<Diagnostic>,
}

impl Checker<'_> {
    fn value(&mut self, value: Value, attribute: &Attribute, at: CheckSite<'_>) -> Value {
        match (value, attribute.kind) {
            (value @ (Value::Open | Value::Null | Value::Fingerprint(_)), _)
            | (value @ Value::Bool(_), Type::Bool)
            | (value, Type::Any) => value,
            (Value::Secret(secret), _) => {
                let was_secret = std::mem::replace(&mut self.is_secret, true);
                let value = self.value(secret.expose().clone(), attribute, at);
                self.is_secret = was_secret;
                Value::Secret(Secret::new(value))
            }
            (Value::Text(text), Type::Text) => self.text(text, attribute, at),
            (Value::Int(number), Type::Int) => self.int(number, attribute, at),
            (Value::Float(number), Type::Int) => match whole(number) {
                Some(number) => self.int(number, attribute, at),
                None => self.wrong_type(&Value::Float(number), attribute, at),
            },
            #[expect(clippy::cast_precision_loss, reason = "a float was asked for")]
            (Value::Int(number), Type::Float) => Value::Float(number as f64),
            (Value::Float(number), Type::Float) => Value::Float(number),
            (Value::List(items), Type::List | Type::Set) => self.list(items, attribute, at),
            (Value::Map(map), Type::Map) => self.map(map, attribute, at),
            // The object that an expression named; its id stands for it.
            (Value::Map(map), Type::Reference) if map.contains_key("id") => {
                map.get("id").cloned().unwrap_or_default()
            }
            (value, _) => self.wrong_type(&value, attribute, at),
        }
    }

    /// Checks a part under its own name.
    fn within(&mut self, part: &str, check: impl FnOnce(&mut Self) -> Value) -> Value {
        let length = self.name.len();
        self.name.push_str(part);
        let value = check(self);
        self.name.truncate(length);
        value
    }

    fn wrong_type(&mut self, value: &Value, attribute: &Attribute, at: CheckSite<'_>) -> Value {
        let wrong = Diagnostic::error(DiagnosticCode::WrongType, "Wrong type").at(
            at.span,
            format!("`{}` takes {}, but this is {}", self.name, attribute.kind.word(), word(value)),
        );
        let is_literal = at.term.is_none_or(|it| matches!(it.shape, InstanceShape::Literal(_)));
        self.out.push(match (attribute.kind, value) {
            (Type::Text, Value::Int(_) | Value::Float(_) | Value::Bool(_)) if is_literal => {
                wrong.help("quote it: '…'")
            }
            (Type::Text, Value::Int(_) | Value::Float(_) | Value::Bool(_)) => {
                wrong.help("convert it: string(…)")
            }
            (Type::Int, Value::Text(text)) if text.parse::<i64>().is_ok() => {
                wrong.help(if is_literal { "remove the quotes" } else { "convert it: int(…)" })
            }
            (Type::Int, Value::Text(text)) => match seconds(text) {
                Some(seconds) => wrong.help(format!("write a number; {text} is {seconds} seconds")),
                None => wrong.help("write a number"),
            },
            (Type::Bool, Value::Text(text)) => {
                wrong.help(match text.to_ascii_lowercase().as_str() {
                    "yes" | "on" | "true" | "y" => {
                        "write true: YAML 1.2 supports only true and false"
                    }
                    "no" | "off" | "false" | "n" => {
                        "write false: YAML 1.2 supports only true and false"
                    }
                    _ => "write true or false",
                })
            }
            (Type::List | Type::Set, _) => wrong.help("write a list: […]"),
            (Type::Reference, _) => {
                let kind = attribute.to.as_deref().unwrap_or("the right kind");
                wrong.help(format!("name a resource of kind {kind}: '${{name}}'"))
            }
            _ => wrong,
        });
        Value::Null
    }

    fn text(&mut self, text: String, attribute: &Attribute, at: CheckSite<'_>) -> Value {
        let name = &self.name.clone();
        let shown = if self.is_secret || attribute.sensitive { "this" } else { text.as_str() };
        let or = attribute.or_matches.as_deref().and_then(regex);
        let is_other = or.is_some_and(|it| it.is_match(&text));
        if !attribute.one_of.is_empty() && !attribute.one_of.contains(&text) && !is_other {
            let all = attribute.one_of.iter().map(String::as_str);
            let wrong = Diagnostic::error(DiagnosticCode::NotOneOf, "Not one of the choices")
                .at(at.span, format!("`{name}` cannot be `{shown}`"))
                .help(attribute.choices());
            let is_hidden = self.is_secret || attribute.sensitive;
            self.out.push(if is_hidden { wrong } else { wrong.nearest(&text, all) });
            return Value::Text(text);
        }
        if let Some((least, most)) = attribute.length {
            let length = text.chars().count();
            if length < least || length > most {
                self.out.push(
                    Diagnostic::error(DiagnosticCode::WrongLength, "Wrong length")
                        .at(at.span, self.sized(attribute, length, "character"))
                        .help(format!("from {least} to {most} characters")),
                );
                return Value::Text(text);
            }
        }
        if let Some(most) = attribute.max_bytes.filter(|it| text.len() > *it) {
            self.out.push(
                Diagnostic::error(DiagnosticCode::TooLong, "Too long")
                    .at(at.span, self.sized(attribute, text.len(), "byte"))
                    .help(format!("at most {most} bytes")),
            );
        }
        if let Some(pattern) = &attribute.pattern
            && regex(pattern).is_some_and(|it| !it.is_match(&text))
        {
            let says = attribute.pattern_says.as_deref().unwrap_or(pattern);
            self.out.push(
                Diagnostic::error(DiagnosticCode::WrongPattern, "Not a value of this attribute")
                    .at(at.span, self.cannot_be(shown))
                    .help(says.to_owned()),
            );
            return Value::Text(text);
        }
        self.form(&text, shown, attribute, at);
        Value::Text(text)
    }

    fn cannot_be(&self, shown: &str) -> String {
        let verb = if self.is_likely { "would be such as" } else { "cannot be" };
        format!("`{}` {verb} `{shown}`", self.name)
    }

    /// How long a value is; how long a secret is, is a part of it.
    fn sized(&self, attribute: &Attribute, length: usize, unit: &str) -> String {
        if self.is_secret || attribute.sensitive {
            return format!("`{}` has a different number of {unit}s", self.name);
        }
        format!("`{}` has {}", self.name, counted(length, unit))
    }

    fn has_no(&self, key: &str) -> String {
        if self.is_secret {
            return format!("`{}` has no such key as the sensitive value has", self.name);
        }
        format!("`{}` has no `{key}`", self.name)
    }

    /// What a pattern does not tell.
    fn form(&mut self, text: &str, shown: &str, attribute: &Attribute, at: CheckSite<'_>) {
        let says = attribute.form.and_then(|it| wrong(it, text));
        let shown = if attribute.form.is_some_and(TextForm::is_hidden) { "this" } else { shown };
        let held = attribute.forbids.iter().find(|it| text.contains(it.as_str()));
        let begins = attribute.forbids_prefix.iter().find(|it| text.starts_with(it.as_str()));
        let says = says
            .or_else(|| held.map(|it| format!("without `{it}` in it")))
            .or_else(|| begins.map(|it| format!("it may not begin with `{it}`")));
        if let Some(says) = says {
            self.out.push(
                Diagnostic::error(DiagnosticCode::WrongForm, "Not a value of this attribute")
                    .at(at.span, self.cannot_be(shown))
                    .help(says),
            );
        }
    }

    fn int(&mut self, number: i64, attribute: &Attribute, at: CheckSite<'_>) -> Value {
        if let Some((least, most)) = attribute.range
            && !(least..=most).contains(&number)
        {
            let is_hidden = self.is_secret || attribute.sensitive;
            let shown = if is_hidden { "this".to_owned() } else { number.to_string() };
            self.out.push(
                Diagnostic::error(DiagnosticCode::OutOfRange, "Out of range")
                    .at(at.span, format!("`{}` cannot be {shown}", self.name))
                    .help(format!("from {least} to {most}")),
            );
            return Value::Int(number);
        }
        let stored = attribute
            .rounds_up_to
            .iter()
            .find(|it| **it >= number)
            .or(attribute.rounds_up_to.last());
        if let Some(stored) = stored.filter(|it| **it != number) {
            self.out.push(
                Diagnostic::warning(DiagnosticCode::Rounded, "The cloud rounds this value")
                    .at(at.span, format!("stored as {stored}"))
                    .help(format!("write `{}: {stored}`", self.name)),
            );
        }
        Value::Int(number)
    }

    fn list(&mut self, items: Vec<Value>, attribute: &Attribute, at: CheckSite<'_>) -> Value {
        if let Some((least, most)) = attribute.length
            && (items.len() < least || items.len() > most)
        {
            self.out.push(
                Diagnostic::error(DiagnosticCode::WrongLength, "Wrong length")
                    .at(at.span, format!("`{}` has {}", self.name, counted(items.len(), "element")))
                    .help(format!("from {least} to {most} elements")),
            );
        }
        let Some(of) = &attribute.of else { return Value::List(items) };
        let checked = items.into_iter().enumerate().map(|(index, it)| {
            if it.is_null() {
                let place = at.item(index);
                self.out.push(
                    Diagnostic::error(DiagnosticCode::WrongType, "Wrong type")
                        .at(place.span, "an element cannot be empty"),
                );
            }
            // What has members is told apart; plain values are seen where they stand.
            match &of.members {
                Some(_) => self
                    .within(&format!("[{index}]"), |checker| checker.value(it, of, at.item(index))),
                None => self.value(it, of, at.item(index)),
            }
        });
        Value::List(checked.collect())
    }

    /// The names of a map and how many there are, where they are the user's own.
    fn names(&mut self, map: &Attributes, attribute: &Attribute, at: CheckSite<'_>) {
        if let Some((least, most)) = attribute.length
            && (map.len() < least || map.len() > most)
        {
            self.out.push(
                Diagnostic::error(DiagnosticCode::WrongLength, "Wrong length")
                    .at(at.span, format!("`{}` has {}", self.name, counted(map.len(), "member")))
                    .help(format!("from {least} to {most} members")),
            );
        }
        let Some(of) = &attribute.names else { return };
        for name in map.keys() {
            let place = CheckSite { span: at.key(name), term: None };
            self.text(name.clone(), of, place);
        }
    }

    fn map(&mut self, map: Attributes, attribute: &Attribute, at: CheckSite<'_>) -> Value {
        let Some(members) = &attribute.members else {
            self.names(&map, attribute, at);
            let Some(of) = &attribute.of else { return Value::Map(map) };
            let checked = map.into_iter().map(|(name, it)| {
                let place = at.member(&name);
                let value = self.value(it, of, place);
                (name, value)
            });
            return Value::Map(checked.collect());
        };
        let mut checked = Attributes::new();
        for (name, it) in map {
            if let Some(member) = members.get(&name) {
                let place = at.member(&name);
                let value =
                    self.within(&format!(".{name}"), |checker| checker.value(it, member, place));
                checked.insert(name, value);
                continue;
            }
            let known = || members.keys().map(String::as_str);
            let wrong = Diagnostic::error(DiagnosticCode::UnknownKey, "Unknown key")
                .at(at.key(&name), self.has_no(&name))
                .help(format!("one of {}", known().collect::<Vec<_>>().join(", ")));
            self.out.push(if self.is_secret { wrong } else { wrong.nearest(&name, known()) });
        }
        for (name, member) in members {
            if checked.get(name).is_some_and(|it| !it.is_null()) {
                continue;
            }
            match member.default_value() {
                Some(default) => {
                    checked.insert(name.clone(), default);
                }
                None if member.required => self.out.push(
                    Diagnostic::error(
                        DiagnosticCode::MissingAttribute,
                        "A required value is missing",
                    )
                    .at(at.span, format!("`{}` needs `{name}`", self.name)),
                ),
                None => {}
            }
        }
        Value::Map(checked)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the range is tested before")]
#[expect(clippy::cast_precision_loss, reason = "the limit itself need not be exact")]
fn whole(number: f64) -> Option<i64> {
    (number.fract() == 0.0 && number.abs() < (1_i64 << 53) as f64).then_some(number as i64)
}

/// `5m`, `1h`.
fn seconds(text: &str) -> Option<u64> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let each = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(each)
}

type PatternCache = Mutex<BTreeMap<String, Option<Arc<Regex>>>>;

/// PatternCache come from kinds, so there are few; each is compiled once.
fn regex(pattern: &str) -> Option<Arc<Regex>> {
    static KNOWN: LazyLock<PatternCache> = LazyLock::new(PatternCache::default);
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(found) = known.get(pattern) {
        return found.clone();
    }
    let made = Regex::new(pattern).ok().map(Arc::new);
    known.insert(pattern.to_owned(), made.clone());
    made
}

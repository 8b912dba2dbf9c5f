//! Resolves an instance's attributes, gates and outputs against what is known.

use std::sync::Arc;

use crate::engine::lang::cel::code::{CodePath, ExpressionError, Slice};
use crate::engine::lang::cel::evaluate::{evaluate, lost, steps};
use crate::engine::lang::cel::expression::Expression;
use crate::engine::lang::cel::lookup::{NameLookup, PathStep, word};
use crate::engine::lang::cel::template::show;
use crate::engine::lang::check::attribute::{CheckSite, check};
use crate::engine::lang::model::{
    Gate, GateProbe, GivenAttribute, Instance, InstanceShape, Output, Resource, Scope, Stack, Term,
    TextPart,
};
use crate::engine::lang::view::{ScopeView, Texts};
use crate::engine::schema::{Attribute, Catalog, Kind, Type};
use crate::engine::text::codes::DiagnosticCode;
use crate::engine::text::diagnostic::{Diagnostic, Span, stops};
use crate::engine::value::{Attributes, Secret, Value};

/// The longest text that is put together, in bytes. The largest attribute of any kind takes 64 KiB, so this is ample.
const TEXT_BYTES_MAX: usize = 1 << 20;

/// The attributes of an instance, as far as they are known.
#[derive(Debug, Clone)]
pub struct Resolved {
    pub attributes: Attributes,
    resource: Arc<Resource>,
    /// Given, but computed to nothing.
    empty: Vec<String>,
}

impl Resolved {
    fn new(resource: &Arc<Resource>) -> Self {
        let resource = Arc::clone(resource);
        Self { attributes: Attributes::new(), resource, empty: Vec::new() }
    }

    /// Whether it was set by the stack rather than defaulted.
    pub fn is_given(&self, name: &str) -> bool {
        self.resource.attributes.contains_key(name) && !self.empty.iter().any(|it| it == name)
    }

    /// Where its value stands.
    pub fn value_span(&self, name: &str) -> Option<Span> {
        self.resource.attributes.get(name).map(|it| it.term.span)
    }

    /// Where the stack gives it.
    pub fn span(&self, name: &str) -> Option<Span> {
        self.resource.attributes.get(name).map(|it| it.key)
    }
}

/// A gate with its address or URL, as far as it is known.
#[derive(Debug, Clone, PartialEq)]
pub struct ResolvedGate {
    pub probe: ResolvedProbe,
    pub times: u32,
    pub within_seconds: u64,
}

#[derive(Debug, Clone, PartialEq)]
pub enum ResolvedProbe {
    /// What the balancer says of its backends.
    Health,
    Tcp(Value),
    Http {
        url: Value,
        expect: u16,
        body: Option<String>,
    },
    Replication,
}

/// The attributes of an instance: computed, checked, defaulted, with references replaced by ids.
pub fn resolve(
    stack: &Stack,
    catalog: &Catalog,
    instance: &Instance,
    scope: &dyn Scope,
) -> Result<Resolved, Vec<Diagnostic>> {
    let mut out = Vec::new();
    let resolved = resolve_with(stack, catalog, instance, scope, stack, &mut out);
    if stops(&out) { Err(out) } else { Ok(resolved) }
}

/// The same, with warnings and whatever could be resolved in spite of mistakes.
pub fn resolve_with(
    stack: &Stack,
    catalog: &Catalog,
    instance: &Instance,
    scope: &dyn Scope,
    texts: &dyn Texts,
    out: &mut Vec<Diagnostic>,
) -> Resolved {
    let resource = &*instance.resource;
    let mut resolved = Resolved::new(&instance.resource);
    let Some(kind) = catalog.get(&resource.kind) else { return resolved };
    let view = ScopeView {
        stack,
        catalog,
        scope: Some(scope),
        instance: Some((&instance.address, instance.each.as_deref())),
        own: None,
        texts,
    };
    for (name, given) in &resource.attributes {
        let Some(attribute) = kind.attribute(name) else { continue };
        if attribute.kind == Type::Reference {
            refer(name, attribute, &given.term, &view, &mut resolved, out);
            continue;
        }
        let mut value = if attribute.has_references() {
            with_references(name, attribute, &given.term, &view, out)
        } else {
            term(&given.term, &view, out)
        };
        // Literals were checked when the resource was lowered.
        if !matches!(given.term.shape, InstanceShape::Literal(_)) {
            value = check(value, attribute, name, CheckSite::of(&given.term), out);
        }
        if value.is_null() {
            resolved.empty.push(name.clone());
        } else {
            resolved.attributes.insert(name.clone(), value);
        }
    }
    defaults(stack, kind, instance, &mut resolved, out);
    resolved
}

fn defaults(
    stack: &Stack,
    kind: &Kind,
    instance: &Instance,
    resolved: &mut Resolved,
    out: &mut Vec<Diagnostic>,
) {
    let resource = &*instance.resource;
    for (name, attribute) in kind.settable() {
        let has_default = attribute.default_from.is_some() || attribute.default.is_some();
        let may_miss = attribute.required && !resolved.empty.is_empty();
        if !(has_default || may_miss) || resolved.attributes.contains_key(name) {
            continue;
        }
        let place = CheckSite { span: resource.span, term: None };
        if attribute.default_from.is_some() {
            let own = instance.address.label();
            let label = match &stack.instance {
                Some(instance) => format!("{}-{instance}-{own}", stack.name),
                None => format!("{}-{own}", stack.name),
            };
            let before = out.len();
            let value = check(Value::Text(label.clone()), attribute, name, place, out);
            for wrong in &mut out[before..] {
                wrong.help = Some(format!("the default `{label}` is not valid: set a `{name}`"));
            }
            resolved.attributes.insert(name.clone(), value);
        } else if let Some(default) = default(attribute, resolved) {
            let sensitive = attribute.sensitive && !default.is_null();
            let value = if sensitive { Value::Secret(Secret::new(default)) } else { default };
            resolved.attributes.insert(name.clone(), value);
        } else if attribute.required && resource.attributes.contains_key(name) {
            let span = resource.attributes.get(name).map_or(resource.span, |it| it.term.span);
            let is_told = out.iter().any(|it| it.labels.first().is_some_and(|it| it.span == span));
            if !is_told {
                out.push(
                    Diagnostic::error(
                        DiagnosticCode::MissingAttribute,
                        "A required attribute is missing",
                    )
                    .at(span, format!("`{name}` evaluates to an empty value")),
                );
            }
        }
    }
}

/// The default, which may depend on whether another attribute is set.
fn default(attribute: &Attribute, resolved: &Resolved) -> Option<Value> {
    let without = attribute.default_without.as_ref();
    match without.filter(|it| !resolved.attributes.contains_key(&it.attribute)) {
        Some(it) => Some(Value::from_json(&it.then)),
        None => attribute.default_value(),
    }
}

/// A reference attribute: the id of the object, and what else of it travels along.
fn refer(
    name: &str,
    attribute: &Attribute,
    given: &Term,
    view: &ScopeView<'_>,
    resolved: &mut Resolved,
    out: &mut Vec<Diagnostic>,
) {
    // Until it is known, and where it is wrong: wrong is told once.
    resolved.attributes.insert(name.to_owned(), Value::Open);
    for (field, value) in referred(name, attribute, given, view, out).unwrap_or_default() {
        let key = if field == "id" { name.to_owned() } else { [name, ".", field].concat() };
        resolved.attributes.insert(key, value);
    }
}

/// The value of a list or map that holds references: each of these is the object that it names, of which only the id is read, so
/// that nothing else of that object has to be known.
fn with_references(
    name: &str,
    attribute: &Attribute,
    given: &Term,
    view: &ScopeView<'_>,
    out: &mut Vec<Diagnostic>,
) -> Value {
    match &given.shape {
        InstanceShape::Expression(_) if attribute.kind == Type::Reference => {
            let Some(object) = referred(name, attribute, given, view, out) else {
                return Value::Open;
            };
            Value::Map(object.into_iter().map(|(name, it)| (name.to_owned(), it)).collect())
        }
        InstanceShape::List(items) => {
            let of = attribute.of.as_deref();
            let item = |(index, it)| match of {
                Some(of) => with_references(&format!("{name}[{index}]"), of, it, view, out),
                None => term(it, view, out),
            };
            Value::List(items.iter().enumerate().map(item).collect())
        }
        InstanceShape::Map(map) => {
            let member = |(key, it): (&String, &GivenAttribute)| {
                let value = match attribute.member(key) {
                    Some(of) => with_references(&format!("{name}.{key}"), of, &it.term, view, out),
                    None => term(&it.term, view, out),
                };
                (key.clone(), value)
            };
            Value::Map(map.iter().map(member).collect())
        }
        _ => term(given, view, out),
    }
}

/// The id of what a reference names, and each attribute that travels along; `None`: it is wrong, which is told.
fn referred<'a>(
    name: &str,
    attribute: &'a Attribute,
    given: &Term,
    view: &ScopeView<'_>,
    out: &mut Vec<Diagnostic>,
) -> Option<Vec<(&'a str, Value)>> {
    let InstanceShape::Expression(expression) = &given.shape else { return None };
    let wanted = std::iter::once("id").chain(attribute.carries.iter().map(String::as_str));
    let found: Result<Vec<_>, ExpressionError> = match expression.as_path() {
        Some(path) => {
            wanted.map(|field| Ok((field, of_object(path, field, expression, view)?))).collect()
        }
        None => match evaluate(&expression.code, &expression.text, view) {
            Ok(Value::Map(object)) => {
                let value = |field| object.get(field).cloned().unwrap_or(Value::Open);
                Ok(wanted.map(|field| (field, value(field))).collect())
            }
            Ok(Value::Open) => Ok(wanted.map(|field| (field, Value::Open)).collect()),
            Ok(other) => {
                let kind = attribute.to.as_deref().unwrap_or("the right kind");
                let label = format!("`{name}` takes a reference, but this is {}", word(&other));
                out.push(
                    Diagnostic::error(DiagnosticCode::WrongType, "Wrong type")
                        .at(given.span, label)
                        .help(format!("name a resource of kind {kind}: '${{name}}'")),
                );
                return None;
            }
            Err(trouble) => Err(trouble),
        },
    };
    found.map_err(|trouble| out.push(expression.diagnostic(&trouble))).ok()
}

fn of_object(
    path: &CodePath,
    field: &str,
    expression: &Expression,
    view: &ScopeView<'_>,
) -> Result<Value, ExpressionError> {
    let (mut at, is_secret) = match steps(path, &expression.text, view)? {
        Ok(known) => known,
        Err(unknown) => return Ok(unknown),
    };
    at.push(PathStep::Name(field.into()));
    view.look(&path.root, &at, &Slice::Whole).map_err(|it| lost(it, path, is_secret))
}

/// The value of a term. What fails is told and open.
pub fn term(term_: &Term, view: &dyn NameLookup, out: &mut Vec<Diagnostic>) -> Value {
    match &term_.shape {
        InstanceShape::Literal(value) => value.clone(),
        InstanceShape::Expression(it) => computed(it, view, out),
        InstanceShape::Text(parts) => text(term_, parts, view, out),
        InstanceShape::List(items) => {
            Value::List(items.iter().map(|it| term(it, view, out)).collect())
        }
        InstanceShape::Map(map) => Value::Map(
            map.iter().map(|(name, it)| (name.clone(), term(&it.term, view, out))).collect(),
        ),
    }
}

fn computed(it: &Expression, view: &dyn NameLookup, out: &mut Vec<Diagnostic>) -> Value {
    evaluate(&it.code, &it.text, view).unwrap_or_else(|trouble| {
        out.push(it.diagnostic(&trouble));
        Value::Open
    })
}

/// Text with expressions inside: open as soon as one is, secret as soon as one is.
fn text(
    term: &Term,
    parts: &[TextPart],
    view: &dyn NameLookup,
    out: &mut Vec<Diagnostic>,
) -> Value {
    let mut text = String::new();
    let (mut is_open, mut is_secret, mut is_withheld) = (false, false, false);
    for part in parts {
        if text.len() > TEXT_BYTES_MAX {
            // Told once: who uses it does not know it.
            out.push(
                Diagnostic::error(DiagnosticCode::TooLong, "This text is too long")
                    .at(term.span, format!("more than {} KiB", TEXT_BYTES_MAX >> 10))
                    .help("no attribute accepts that much"),
            );
            return Value::Open;
        }
        match part {
            TextPart::Text(plain) => text.push_str(plain),
            TextPart::Expression(it) => {
                let value = computed(it, view, out);
                is_secret |= value.has_secret();
                is_withheld |= value.has_withheld();
                if value.has_withheld() {
                    continue;
                }
                if let Value::Text(shown) = &value {
                    text.push_str(shown);
                } else if value.has_open() && !matches!(value, Value::List(_) | Value::Map(_)) {
                    is_open = true;
                } else if let Some(shown) = show(&value) {
                    text.push_str(&shown);
                } else {
                    is_open = true;
                    out.push(
                        Diagnostic::error(
                            DiagnosticCode::NotText,
                            "This value cannot be used inside text",
                        )
                        .at(it.span(), format!("it is {}", word(&value)))
                        .help("use one of its parts, or join a list: list.join(',')"),
                    );
                }
            }
        }
    }
    if is_withheld {
        return Value::withheld();
    }
    let value = if is_open { Value::Open } else { Value::Text(text) };
    if is_secret { Value::Secret(Secret::new(value)) } else { value }
}

/// What a gate tries, as far as it is known.
pub fn resolve_gate(
    stack: &Stack,
    catalog: &Catalog,
    instance: &Instance,
    gate: &Gate,
    scope: &dyn Scope,
) -> Result<ResolvedGate, Vec<Diagnostic>> {
    let own = scope.object(&instance.address).unwrap_or_default();
    let view = ScopeView {
        stack,
        catalog,
        scope: Some(scope),
        instance: Some((&instance.address, instance.each.as_deref())),
        own: Some(&own),
        texts: stack,
    };
    let mut out = Vec::new();
    let mut target = |it: &Term, what: &str| {
        let value = term(it, &view, &mut out);
        let is_text = matches!(&value, Value::Text(_) | Value::Open | Value::Secret(_));
        if !is_text {
            out.push(
                Diagnostic::error(DiagnosticCode::WrongType, "Wrong type")
                    .at(it.span, format!("`{what}` takes text, but this is {}", word(&value))),
            );
        }
        value
    };
    let probe = match &gate.probe {
        GateProbe::Tcp(it) => ResolvedProbe::Tcp(target(it, "tcp")),
        GateProbe::Http { url, expect, body } => {
            ResolvedProbe::Http { url: target(url, "http"), expect: *expect, body: body.clone() }
        }
        GateProbe::Health | GateProbe::NoHealth => ResolvedProbe::Health,
        GateProbe::Replication => ResolvedProbe::Replication,
    };
    let resolved = ResolvedGate { probe, times: gate.times, within_seconds: gate.within_seconds };
    if stops(&out) { Err(out) } else { Ok(resolved) }
}

/// The value of an output, as far as it is known.
pub fn resolve_output(
    stack: &Stack,
    catalog: &Catalog,
    output: &Output,
    scope: &dyn Scope,
) -> Result<Value, Vec<Diagnostic>> {
    let view =
        ScopeView { stack, catalog, scope: Some(scope), instance: None, own: None, texts: stack };
    let mut out = Vec::new();
    let value = term(&output.term, &view, &mut out);
    let value = if output.sensitive { Value::Secret(Secret::new(value)) } else { value };
    if stops(&out) { Err(out) } else { Ok(value) }
}

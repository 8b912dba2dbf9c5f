//! Lowers the merged nodes to declared resources and outputs: every key known, every literal checked against its kind.

use std::sync::Arc;

use crate::engine::address::{Address, Key, is_name};
use crate::engine::fast_map::{FastMap, FoldHash};
use crate::engine::lang::cel::path::is_taken;
use crate::engine::lang::cel::template::show;
use crate::engine::lang::check::attribute::{CheckSite, check};
use crate::engine::lang::check::gate::{Use, duration, gate, gates};
use crate::engine::lang::lower::instances::Repeat;
use crate::engine::lang::merge::overlay::texts;
use crate::engine::lang::model::{
    Gate, GateProbe, Gates, GivenAttribute, InstanceShape, Lifecycle, Output, Reference, Resource,
    Term,
};
use crate::engine::lang::term::Terms;
use crate::engine::lang::yaml::node::{Data, Map, MapEntry, Node};
use crate::engine::lang::yaml::reader::MISTAKES_MAX;
use crate::engine::schema::{Attribute, Catalog, Kind, Rename, Type};
use crate::engine::text::advice::AdvisedCommand;
use crate::engine::text::codes::DiagnosticCode;
use crate::engine::text::diagnostic::{Diagnostic, Sources, Span};
use crate::engine::value::Value;

/// Keys that are not attributes.
pub const RESERVED_KEYS: [&str; 10] = [
    "kind",
    "count",
    "for_each",
    "depends_on",
    "lifecycle",
    "ready",
    "gate",
    "timeouts",
    "moved_from",
    "description",
];
const OUTPUT_KEYS: [&str; 3] = ["value", "sensitive", "description"];

/// The declared resources, and how those are repeated that are.
#[derive(Default)]
pub struct Lowered {
    pub resources: FastMap<String, Arc<Resource>>,
    pub repeats: FastMap<String, Repeat>,
}

impl Gate {
    /// The term that says what is tried, where one does.
    pub fn target(&self) -> Option<&Term> {
        match &self.probe {
            GateProbe::Tcp(it) | GateProbe::Http { url: it, .. } => Some(it),
            GateProbe::Health | GateProbe::NoHealth | GateProbe::Replication => None,
        }
    }
}

/// Lowers `resources`.
pub fn resources(
    node: Option<&Node>,
    catalog: &Catalog,
    sources: &Sources,
    out: &mut Vec<Diagnostic>,
) -> Lowered {
    let mut found = Lowered::default();
    let Some(map) = section(node, "resources", out) else { return found };
    found.resources.reserve(map.len());
    for (name, it) in map {
        if out.len() > MISTAKES_MAX {
            break;
        }
        let mut lower = Lower { name, span: it.key, catalog, terms: Terms { sources, out } };
        lower.check_name();
        if let Some((resource, repeat)) = lower.resource(&it.node) {
            found.resources.insert(String::from(&**name), Arc::new(resource));
            found.repeats.extend(repeat.map(|it| (String::from(&**name), it)));
        }
    }
    found
}

/// Lowers `outputs`.
pub fn outputs(
    node: Option<&Node>,
    sources: &Sources,
    out: &mut Vec<Diagnostic>,
) -> FastMap<String, Output> {
    let mut found = FastMap::default();
    let Some(map) = section(node, "outputs", out) else { return found };
    for (name, it) in map {
        let mut sensitive = false;
        let mut value = &it.node;
        if let Some(long) = it.node.as_map().filter(|it| it.contains_key("value")) {
            unknown_keys(long, &OUTPUT_KEYS, "an output", out);
            value = long.get("value").map_or(value, |it| &it.node);
            sensitive = bool_of(long.get("sensitive"), "sensitive", out).unwrap_or(false);
        }
        let term = Terms { sources, out }.term(value);
        found.insert(String::from(&**name), Output { span: it.key, term, sensitive });
    }
    found
}

/// A part of a layer that must be a map.
pub fn section<'a>(
    node: Option<&'a Node>,
    what: &str,
    out: &mut Vec<Diagnostic>,
) -> Option<&'a Map> {
    let node = node.filter(|it| !it.is_null())?;
    let map = node.as_map();
    if map.is_none() {
        out.push(
            Diagnostic::error(DiagnosticCode::WrongType, format!("`{what}` must be a map"))
                .at(node.span, format!("this is {}", node.word())),
        );
    }
    map
}

/// Keys that once had another name: whoever writes the old one is told the new one.
const RENAMED: [(&str, &str); 1] = [("instance", "workspace")];

/// Tells every key that is not among the known ones.
pub fn unknown_keys(map: &Map, known: &[&str], what: &str, out: &mut Vec<Diagnostic>) {
    for (name, it) in map {
        if !known.contains(&name.as_ref()) {
            let wrong = Diagnostic::error(DiagnosticCode::UnknownKey, "Unknown key")
                .at(it.key, format!("{what} has no `{name}`"));
            let renamed = RENAMED.iter().find(|(old, new)| *old == &**name && known.contains(new));
            out.push(match renamed {
                Some((_, new)) => wrong.help(format!("it is now called `{new}`")),
                None => wrong
                    .help(format!("it has {}", known.join(", ")))
                    .nearest(name, known.iter().copied()),
            });
        }
    }
}

fn bool_of(it: Option<&MapEntry>, what: &str, out: &mut Vec<Diagnostic>) -> Option<bool> {
    let it = it?;
    if let Data::Bool(value) = it.node.data {
        return Some(value);
    }
    out.push(
        Diagnostic::error(DiagnosticCode::WrongType, "Wrong type").at(
            it.node.span,
            format!("`{what}` takes true or false, but this is {}", it.node.word()),
        ),
    );
    None
}

struct Lower<'a> {
    name: &'a str,
    span: Span,
    catalog: &'a Catalog,
    terms: Terms<'a>,
}

impl<'a> Lower<'a> {
    fn check_name(&mut self) {
        let wrong = Diagnostic::error(DiagnosticCode::BadName, "Invalid name");
        if !is_name(self.name) {
            let better: String = self
                .name
                .to_lowercase()
                .chars()
                .map(|it| if it.is_ascii_lowercase() || it.is_ascii_digit() { it } else { '_' })
                .collect();
            let wrong = wrong.at(
                self.span,
                "a name consists of lowercase letters, digits, and `_`, and starts with a letter",
            );
            self.terms.out.push(if is_name(&better) {
                wrong.help(format!("write `{better}`"))
            } else {
                wrong
            });
        } else if is_taken(self.name) {
            self.terms.out.push(
                wrong
                    .at(self.span, format!("`{}` is a reserved word in expressions", self.name))
                    .help(format!("write `{}_`", self.name)),
            );
        }
    }

    fn resource(&mut self, node: &Node) -> Option<(Resource, Option<Repeat>)> {
        let Some(map) = node.as_map() else {
            self.terms.out.push(
                Diagnostic::error(DiagnosticCode::WrongType, "A resource must be a map")
                    .at(
                        if node.is_null() { self.span } else { node.span },
                        format!("this is {}", node.word()),
                    )
                    .help(format!("write `{}: {{ kind: …, … }}`", self.name)),
            );
            return None;
        };
        let kind = self.kind(map)?;
        let attributes = self.attributes(map, kind);
        let repeat = self.repeat(map);
        let resource = Resource {
            name: self.name.to_owned(),
            span: self.span,
            kind: kind.kind.clone(),
            attributes,
            depends_on: self.depends_on(map),
            lifecycle: self.lifecycle(map, kind),
            ready: map
                .get("ready")
                .and_then(|it| gate(&it.node, Use::Ready, &mut self.terms))
                .map(Box::new),
            gates: self.gates(map, kind),
            timeouts: self.timeouts(map),
            moved_from: self.moved_from(map),
        };
        Some((resource, repeat))
    }

    /// One map, or a list of them.
    fn gates(&mut self, map: &Map, kind: &Kind) -> Gates {
        let Some(it) = map.get("gate") else { return Gates::default() };
        gates(&it.node, Use::Gate { kind, catalog: self.catalog }, &mut self.terms)
    }

    fn kind(&mut self, map: &Map) -> Option<&'a Kind> {
        let Some(given) = map.get("kind") else {
            self.terms.out.push(
                Diagnostic::error(DiagnosticCode::MissingKey, "A resource requires a `kind`")
                    .at(self.span, format!("`{}` has none", self.name))
                    .help(format!("{} lists them", AdvisedCommand::Kinds { kind: None })),
            );
            return None;
        };
        let text = given.node.as_text().unwrap_or_default();
        let found = self.catalog.get(text);
        if found.is_none() {
            let names = self.catalog.kinds.keys().map(String::as_str);
            self.terms.out.push(
                Diagnostic::error(DiagnosticCode::UnknownKind, "Unknown kind")
                    .at(given.node.span, format!("unknown kind `{text}`"))
                    .help(format!("{} lists them", AdvisedCommand::Kinds { kind: None }))
                    .nearest(text, names),
            );
        }
        found
    }

    fn attributes(&mut self, map: &Map, kind: &Kind) -> FastMap<String, GivenAttribute> {
        let mut found = FastMap::with_capacity_and_hasher(map.len(), FoldHash::default());
        for (name, it) in map {
            let Some(attribute) = kind.attributes.get(name.as_ref()) else {
                if !RESERVED_KEYS.contains(&name.as_ref()) {
                    self.unknown_attribute(name, it.key, kind);
                }
                continue;
            };
            if attribute.computed {
                self.terms.out.push(
                    Diagnostic::error(DiagnosticCode::ComputedAttribute, "Read-only attribute")
                        .at(
                            it.key,
                            format!("`{name}` is set by the cloud and cannot be configured"),
                        )
                        .help("remove it"),
                );
                continue;
            }
            if it.node.is_null() {
                continue;
            }
            let mut term = self.terms.term(&it.node);
            self.check(&mut term, attribute, name);
            found.insert(String::from(&**name), GivenAttribute { key: it.key, term });
        }
        for (name, attribute) in kind.settable() {
            let needs_layer = attribute.required && attribute.default_from.is_none();
            if needs_layer && !found.contains_key(name) {
                self.terms.out.push(
                    Diagnostic::error(
                        DiagnosticCode::MissingAttribute,
                        "A required attribute is missing",
                    )
                    .at(self.span, format!("`{}` needs `{name}`", self.name))
                    .help(missing_help(name, attribute)),
                );
            }
        }
        found
    }

    fn unknown_attribute(&mut self, name: &str, key: Span, kind: &Kind) {
        let known = kind.settable().map(|(name, _)| name.as_str()).chain(RESERVED_KEYS);
        self.terms.out.push(
            Diagnostic::error(DiagnosticCode::UnknownAttribute, "Unknown attribute")
                .at(key, format!("`{}` has no attribute `{name}`", kind.kind))
                .help(format!("see {}", AdvisedCommand::Kinds { kind: Some(&kind.kind) }))
                .nearest(name, known),
        );
    }

    /// Checks a literal once for all instances; what it becomes is stored.
    fn check(&mut self, term: &mut Term, attribute: &Attribute, name: &str) {
        if attribute.kind == Type::Reference {
            if !matches!(
                term.shape,
                InstanceShape::Expression(_) | InstanceShape::Literal(Value::Open)
            ) {
                let kind = attribute.to.as_deref().unwrap_or("the right kind");
                self.terms.out.push(
                    Diagnostic::error(DiagnosticCode::WrongType, "Wrong type")
                        .at(term.span, format!("`{name}` takes a reference to a resource"))
                        .help(format!("name a resource of kind {kind}: '${{name}}'")),
                );
            }
            return;
        }
        let literal = match &mut term.shape {
            InstanceShape::Literal(value) => Some(std::mem::take(value)),
            _ => literal(term),
        };
        if let Some(literal) = literal {
            let checked = check(literal, attribute, name, CheckSite::of(term), self.terms.out);
            term.shape = InstanceShape::Literal(checked);
        }
    }

    fn repeat(&mut self, map: &Map) -> Option<Repeat> {
        match (map.get("count"), map.get("for_each")) {
            (None, None) => None,
            (Some(it), None) => Some(Repeat::Count(self.terms.term(&it.node))),
            (None, Some(it)) => Some(Repeat::ForEach(self.terms.term(&it.node))),
            (Some(count), Some(for_each)) => {
                self.terms.out.push(
                    Diagnostic::error(
                        DiagnosticCode::CountAndForEach,
                        "`count` and `for_each` exclude each other",
                    )
                    .at(for_each.key, "set beside `count`")
                    .at(count.key, "set here")
                    .help("keep one of them"),
                );
                None
            }
        }
    }

    fn depends_on(&mut self, map: &Map) -> Vec<Reference> {
        let Some(it) = map.get("depends_on") else { return Vec::new() };
        let mut found = Vec::new();
        for (text, span) in texts(&it.node, "depends_on", self.terms.out) {
            let bare = text.strip_prefix("${").and_then(|it| it.strip_suffix('}')).unwrap_or(&text);
            match bare.trim().parse::<Address>() {
                Ok(address) => {
                    let all = address.key == Key::One;
                    let name = address.name.clone();
                    found.push(Reference { name, address: (!all).then_some(address), span });
                }
                Err(wrong) => self.terms.out.push(
                    Diagnostic::error(DiagnosticCode::BadAddress, "Not an address")
                        .at(span, wrong.to_string()),
                ),
            }
        }
        found
    }

    fn lifecycle(&mut self, map: &Map, kind: &Kind) -> Lifecycle {
        const KEYS: [&str; 3] = ["create_before_destroy", "prevent_destroy", "ignore_changes"];
        let Some(it) = map.get("lifecycle") else { return Lifecycle::default() };
        let Some(map) = it.node.as_map() else {
            self.terms.out.push(
                Diagnostic::error(DiagnosticCode::WrongType, "`lifecycle` must be a map")
                    .at(it.node.span, format!("this is {}", it.node.word())),
            );
            return Lifecycle::default();
        };
        let out = &mut *self.terms.out;
        unknown_keys(map, &KEYS, "`lifecycle`", out);
        let first = map.get("create_before_destroy");
        let create_before_destroy = bool_of(first, "create_before_destroy", out).unwrap_or(false);
        if let Some(first) = first
            && create_before_destroy
            && kind.identity.rename == Rename::Never
            && kind.identity.unique
        {
            out.push(
                Diagnostic::error(
                    DiagnosticCode::CannotRename,
                    "This kind does not support `create_before_destroy`",
                )
                .at(
                    first.key,
                    format!(
                        "the cloud cannot rename a `{}`, so both would have the same name",
                        kind.kind
                    ),
                )
                .help("remove it"),
            );
        }
        let mut ignore_changes = Vec::new();
        if let Some(it) = map.get("ignore_changes") {
            for (name, span) in texts(&it.node, "ignore_changes", out) {
                if !kind.settable().any(|(known, _)| *known == name) {
                    let known = kind.settable().map(|(name, _)| name.as_str());
                    out.push(
                        Diagnostic::error(DiagnosticCode::UnknownAttribute, "Unknown attribute")
                            .at(span, format!("`{}` has no attribute `{name}`", kind.kind))
                            .nearest(&name, known),
                    );
                }
                ignore_changes.push(name);
            }
        }
        let prevent_destroy = bool_of(map.get("prevent_destroy"), "prevent_destroy", out);
        Lifecycle { create_before_destroy, prevent_destroy, ignore_changes, span: Some(it.key) }
    }

    fn timeouts(&mut self, map: &Map) -> std::collections::BTreeMap<String, u64> {
        const KEYS: [&str; 3] = ["create", "update", "delete"];
        let mut found = std::collections::BTreeMap::new();
        let Some(it) = map.get("timeouts") else { return found };
        let Some(map) = it.node.as_map() else {
            self.terms.out.push(
                Diagnostic::error(DiagnosticCode::WrongType, "`timeouts` must be a map")
                    .at(it.node.span, format!("this is {}", it.node.word()))
                    .help("write `timeouts: { create: 10m }`"),
            );
            return found;
        };
        unknown_keys(map, &KEYS, "`timeouts`", self.terms.out);
        for name in KEYS {
            if let Some(it) = map.get(name)
                && let Some(seconds) = duration(&it.node, name, self.terms.out)
            {
                found.insert(name.to_owned(), seconds);
            }
        }
        found
    }

    fn moved_from(&mut self, map: &Map) -> Option<Address> {
        let it = map.get("moved_from")?;
        let found = it.node.as_text().and_then(|it| it.parse().ok());
        if found.is_none() {
            self.terms.out.push(
                Diagnostic::error(DiagnosticCode::BadAddress, "Not an address")
                    .at(it.node.span, "this takes the previous address of the resource")
                    .help("write `name`, `name[0]` or `name[\"key\"]`"),
            );
        }
        found
    }
}

/// Up to the first full stop that a capital letter follows: `e.g.` ends nothing.
fn first_sentence(doc: &str) -> &str {
    let ends = doc.match_indices(". ").map(|(at, _)| at);
    let mut ends = ends.filter(|at| doc[at + 2..].starts_with(char::is_uppercase));
    ends.next().map_or(doc, |at| &doc[..at])
}

fn missing_help(name: &str, attribute: &Attribute) -> String {
    if attribute.kind == Type::Reference {
        return format!(
            "add `{name}: '${{…}}'` with a {}",
            attribute.to.as_deref().unwrap_or("resource")
        );
    }
    let first = first_sentence(&attribute.doc).trim_end_matches('.');
    if first.is_empty() { format!("add `{name}:`") } else { format!("add `{name}:` ({first})") }
}

/// The value of a term without expressions.
fn literal(term: &Term) -> Option<Value> {
    match &term.shape {
        InstanceShape::Literal(value) => Some(value.clone()),
        InstanceShape::Expression(_) => None,
        // `$${` alone makes a text of several parts.
        InstanceShape::Text(parts) => {
            let all = parts.iter().map(|it| match it {
                crate::engine::lang::model::TextPart::Text(text) => {
                    show(&Value::text(text.clone()))
                }
                crate::engine::lang::model::TextPart::Expression(_) => None,
            });
            all.collect::<Option<String>>().map(Value::Text)
        }
        InstanceShape::List(items) => {
            items.iter().map(literal).collect::<Option<_>>().map(Value::List)
        }
        InstanceShape::Map(map) => map
            .iter()
            .map(|(name, it)| Some((name.clone(), literal(&it.term)?)))
            .collect::<Option<_>>()
            .map(Value::Map),
    }
}

//! References: checks that each leads somewhere, and gathers what a resource needs.

use std::sync::Arc;

use crate::engine::address::{Key, is_name};
use crate::engine::lang::cel::code::{Code, CodePath, ExpressionError};
use crate::engine::lang::cel::expression::Expression;
use crate::engine::lang::cel::lookup::{LookupError, beyond};
use crate::engine::lang::cel::path::Segment;
use crate::engine::lang::lower::dependencies::{Need, Select, has, is_own_key};
use crate::engine::lang::lower::instances::{Repeat, over};
use crate::engine::lang::model::{InstanceShape, Reference, Resource, Spread, Stack, Term};
use crate::engine::lang::term::expressions;
use crate::engine::lang::view::{is_list, no_key, unknown, unknown_variable};
use crate::engine::schema::{Attribute, Catalog, Type};
use crate::engine::text::advice::AdvisedCommand;
use crate::engine::text::codes::DiagnosticCode;
use crate::engine::text::diagnostic::{Diagnostic, Span, nearest};

/// Where an expression stands: what it may refer to.
#[derive(Clone, Copy)]
pub struct Site<'a> {
    pub stack: &'a Stack,
    pub catalog: &'a Catalog,
    /// The resource that it belongs to, and how that is repeated.
    pub owner: Option<(&'a str, Option<&'a Repeat>)>,
    pub has_self: bool,
}

/// Whether an attribute takes one resource, or as many as a counted one has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ReferredCount {
    One,
    Many,
}

/// Checks the references of a resource and gathers what it needs: each free variable of its expressions, in attributes, gates,
/// and `depends_on`.
pub fn needs(
    resource: &Resource,
    repeat: Option<&Repeat>,
    stack: &Stack,
    catalog: &Catalog,
    out: &mut Vec<Diagnostic>,
) -> Vec<Need> {
    let site = Site { stack, catalog, owner: Some((&resource.name, repeat)), has_self: false };
    let mut found = Vec::new();
    let attributes = resource.attributes.values().map(|it| &it.term);
    site.terms(attributes, &mut found, out);
    if let Some(kind) = catalog.get(&resource.kind) {
        for (name, given) in &resource.attributes {
            if let Some(attribute) = kind.attribute(name) {
                site.reference_attribute(name, attribute, &given.term, out);
            }
        }
    }
    let gates = resource.ready.as_deref().into_iter().chain(&resource.gates.0);
    Site { has_self: true, ..site }.terms(gates.filter_map(|it| it.target()), &mut found, out);
    for reference in &resource.depends_on {
        match depended_on(resource, reference, stack) {
            Ok(need) => found.push(need),
            Err(wrong) => out.push(*wrong),
        }
    }
    found
}

/// What an entry of `depends_on` names: a resource, or one instance of it.
fn depended_on(
    resource: &Resource,
    reference: &Reference,
    stack: &Stack,
) -> Result<Need, Box<Diagnostic>> {
    let select = match &reference.address {
        Some(address) if address.key != Key::One => Select::One(address.key.clone()),
        _ => Select::All,
    };
    if reference.name == resource.name {
        return Err(Box::new(self_reference(&resource.name, reference.span)));
    }
    let wrong = |label: String| {
        Diagnostic::error(DiagnosticCode::UnknownReference, "Unknown reference")
            .at(reference.span, label)
    };
    let Some(spread) = stack.spread(&reference.name) else {
        let lost = unknown(&reference.name, stack);
        let wrong = wrong(lost.message);
        return Err(Box::new(match lost.help {
            Some(help) => wrong.help(help),
            None => wrong,
        }));
    };
    if let Select::One(key) = &select
        && !has(spread, key)
    {
        return Err(Box::new(wrong(format!("`{}` has no such instance", reference.name))));
    }
    Ok(Need { name: reference.name.clone(), select, span: reference.span })
}

/// What a path in a reference attribute leads to.
enum NamedResource {
    /// The expression is no path: what it yields is checked when it is computed.
    Computed,
    /// What no layer declares: said where needs are gathered.
    Undeclared,
    /// A variable, or another value that is no resource.
    Nothing,
    Of(NamedPath),
}

struct NamedPath {
    root: String,
    /// All instances of a counted resource.
    is_all: bool,
    /// One of its attributes, not itself.
    has_attribute: bool,
}

impl NamedResource {
    fn one(root: &str, has_attribute: bool) -> Self {
        Self::Of(NamedPath { root: root.to_owned(), is_all: false, has_attribute })
    }

    fn all(root: &str) -> Self {
        Self::Of(NamedPath { root: root.to_owned(), is_all: true, has_attribute: false })
    }
}

fn self_reference(name: &str, span: Span) -> Diagnostic {
    Diagnostic::error(DiagnosticCode::SelfReference, "A resource refers to itself")
        .at(span, format!("this is part of `{name}`"))
        .help("`self` is available only in `ready` and `gate`; use `each.index` or a variable")
}

impl Site<'_> {
    /// Checks the references in some terms.
    fn terms<'t>(
        &self,
        terms: impl Iterator<Item = &'t Term>,
        found: &mut Vec<Need>,
        out: &mut Vec<Diagnostic>,
    ) {
        let mut all = Vec::new();
        terms.for_each(|it| expressions(it, &mut all));
        self.expressions(&all, found, out);
    }

    /// Checks what an attribute of a kind of reference names, also inside lists and maps.
    fn reference_attribute(
        &self,
        name: &str,
        attribute: &Attribute,
        given: &Term,
        out: &mut Vec<Diagnostic>,
    ) {
        if !attribute.has_references() {
            return;
        }
        match (&given.shape, &attribute.of) {
            (InstanceShape::Expression(it), _) if attribute.kind == Type::Reference => {
                self.referred(name, attribute, ReferredCount::One, it, out);
            }
            (InstanceShape::Expression(it), Some(of)) if of.kind == Type::Reference => {
                self.referred(name, of, ReferredCount::Many, it, out);
            }
            (InstanceShape::List(items), Some(of)) => {
                for (index, it) in items.iter().enumerate() {
                    self.reference_attribute(&format!("{name}[{index}]"), of, it, out);
                }
            }
            (InstanceShape::Map(map), _) => {
                for (key, it) in map {
                    if let Some(of) = attribute.member(key) {
                        self.reference_attribute(&format!("{name}.{key}"), of, &it.term, out);
                    }
                }
            }
            _ => {}
        }
    }

    /// Checks the references of some expressions.
    pub fn expressions(
        &self,
        all: &[&Arc<Expression>],
        found: &mut Vec<Need>,
        out: &mut Vec<Diagnostic>,
    ) {
        let mut paths = Vec::new();
        for expression in all {
            expression.code.paths(&mut paths);
            for path in paths.drain(..) {
                match self.path(path, expression) {
                    Ok(None) => {}
                    Ok(Some(need)) => found.push(need),
                    Err(Some(lost)) => out.push(expression.diagnostic(&ExpressionError {
                        code: lost.code,
                        start: path.start,
                        end: path.end,
                        message: lost.message,
                        help: lost.help,
                    })),
                    Err(None) => {
                        let span = expression.place(path.start, path.end);
                        out.push(self_reference(&path.root, span));
                    }
                }
            }
        }
    }

    /// The error `None` is a reference to itself.
    fn path(
        &self,
        path: &CodePath,
        expression: &Expression,
    ) -> Result<Option<Need>, Option<LookupError>> {
        match &*path.root {
            "vars" => self.variable(path).map(|()| None).map_err(Some),
            "each" => self.each(path).map(|()| None).map_err(Some),
            "self" if self.has_self => self.own(path).map(|()| None).map_err(Some),
            "self" => Err(Some(LookupError::new(
                DiagnosticCode::UnknownReference,
                "`self` is available only in `ready` and `gate`",
            ))),
            "stack" => match path.steps.as_slice() {
                [Segment::Name(name)] if &**name == "name" => Ok(None),
                _ => Err(Some(
                    LookupError::new(
                        DiagnosticCode::UnknownReference,
                        "`stack` has only the attribute `name`",
                    )
                    .help("write `stack.name`"),
                )),
            },
            root => {
                if self.owner.is_some_and(|(name, _)| name == root) {
                    return Err(None);
                }
                let select = self.resource(root, path).map_err(Some)?;
                let span = expression.place(path.start, path.end);
                Ok(Some(Need { name: root.to_owned(), select, span }))
            }
        }
    }

    fn variable(&self, path: &CodePath) -> Result<(), LookupError> {
        let Some(Segment::Name(name)) = path.steps.first() else { return Ok(()) };
        let variables = &self.stack.variables;
        if variables.contains_key(&**name) {
            return Ok(());
        }
        Err(unknown_variable(name, self.stack))
    }

    fn each(&self, path: &CodePath) -> Result<(), LookupError> {
        let wrong = |message: &str| {
            Err(LookupError::new(DiagnosticCode::UnknownReference, message.to_owned()))
        };
        let field = match path.steps.first() {
            Some(Segment::Name(name)) => &**name,
            _ => "",
        };
        match (self.owner.and_then(|(_, repeat)| repeat), field) {
            (Some(Repeat::ForEach(_)), "value") => {
                let over = self.owner.and_then(|(_, repeat)| over(repeat?, self.stack));
                over.map_or(Ok(()), |root| self.attribute(&root, path.steps.get(1)))
            }
            (Some(Repeat::Count(_)), "index") | (Some(Repeat::ForEach(_)), "key") => Ok(()),
            (Some(Repeat::Count(_)), _) => wrong("with `count`, use `each.index`"),
            (Some(Repeat::ForEach(_)), _) => {
                wrong("with `for_each`, use `each.key` and `each.value`")
            }
            (None, _) => wrong("`each` is available only with `count` and `for_each`"),
        }
    }

    /// A reference attribute names a resource of the right kind, itself and not one of its attributes.
    fn referred(
        &self,
        name: &str,
        attribute: &Attribute,
        takes: ReferredCount,
        expression: &Expression,
        out: &mut Vec<Diagnostic>,
    ) {
        let named = match self.named(expression) {
            NamedResource::Computed | NamedResource::Undeclared => return,
            NamedResource::Nothing => return self.no_reference(name, attribute, expression, out),
            NamedResource::Of(it) => it,
        };
        let root = &named.root;
        let Some(resource) = self.stack.resources.get(root) else { return };
        let wrong = |label: String, help: String| {
            Diagnostic::error(DiagnosticCode::WrongReference, "Wrong kind of resource")
                .at(expression.span(), label)
                .help(help)
        };
        if let Some(wanted) = attribute.to.as_deref().filter(|it| *it != resource.kind) {
            out.push(wrong(
                format!("`{name}` takes a {wanted}, but `{root}` is a {}", resource.kind),
                format!("name a resource of kind {wanted}"),
            ));
        } else if named.is_all && takes == ReferredCount::One {
            let first = match self.stack.spread(root) {
                Some(Spread::Keys(keys)) => {
                    format!("[\"{}\"]", keys.first().map_or("key", |it| it))
                }
                _ => "[0]".to_owned(),
            };
            out.push(wrong(
                format!("`{root}` is several resources"),
                format!("name one of them: '${{{root}{first}}}'"),
            ));
        } else if named.has_attribute {
            out.push(wrong(
                format!("`{name}` takes the resource itself"),
                format!("write '${{{root}}}'"),
            ));
        }
    }

    /// What an expression names, if it is a plain path: `lb`, `web[0]`, `each.value`, each with or without an attribute behind.
    fn named(&self, expression: &Expression) -> NamedResource {
        let Some(path) = expression.as_path() else { return NamedResource::Computed };
        let repeat = self.owner.and_then(|(_, repeat)| repeat);
        let root = &*path.root;
        match (path.steps.split_first(), self.stack.spread(root)) {
            (Some((Segment::Name(value), rest)), _) if root == "each" && &**value == "value" => {
                match repeat.and_then(|it| over(it, self.stack)) {
                    Some(root) => NamedResource::one(&root, !rest.is_empty()),
                    None => NamedResource::Nothing,
                }
            }
            (_, None) if matches!(root, "vars" | "each" | "stack") => NamedResource::Nothing,
            (_, None) => NamedResource::Undeclared,
            (steps, Some(Spread::One)) => NamedResource::one(root, steps.is_some()),
            (Some((_, rest)), Some(_)) => NamedResource::one(root, !rest.is_empty()),
            (None, Some(_)) => NamedResource::all(root),
        }
    }

    fn no_reference(
        &self,
        name: &str,
        attribute: &Attribute,
        expression: &Expression,
        out: &mut Vec<Diagnostic>,
    ) {
        let wanted = attribute.to.as_deref().unwrap_or("the right kind");
        let known = self.stack.resources.values().find(|it| it.kind == wanted && is_name(&it.name));
        let example = known.map_or("name", |it| it.name.as_str());
        out.push(
            Diagnostic::error(DiagnosticCode::WrongReference, "Wrong kind of resource")
                .at(expression.span(), format!("`{name}` takes a resource"))
                .help(format!("name a resource of kind {wanted}: '${{{example}}}'")),
        );
    }

    fn own(&self, path: &CodePath) -> Result<(), LookupError> {
        let Some((name, _)) = self.owner else { return Ok(()) };
        self.attribute(name, path.steps.first())
    }

    fn resource(&self, root: &str, path: &CodePath) -> Result<Select, LookupError> {
        let Some(spread) = self.stack.spread(root) else {
            return Err(unknown(root, self.stack));
        };
        let (select, rest) = match (spread, path.steps.split_first()) {
            (Spread::One, Some((Segment::Index(_), _))) => {
                return Err(LookupError::new(
                    DiagnosticCode::UnknownReference,
                    format!("`{root}` is not a list: it has no `count`"),
                )
                .help(format!("write `{root}`")));
            }
            (Spread::One, _) => (Select::One(Key::One), path.steps.first()),
            (_, None) => return Ok(Select::All),
            (_, Some((Segment::Computed(code), rest))) => {
                (if is_own_key(code) { Select::Each } else { Select::All }, rest.first())
            }
            (Spread::Count(count), Some((Segment::Index(index), rest))) => {
                if index >= count {
                    return Err(beyond(*index, *count as usize));
                }
                (Select::One(Key::Index(*index)), rest.first())
            }
            (Spread::Count(_), Some((Segment::Name(name), _))) => return Err(is_list(root, name)),
            (Spread::Keys(keys), Some((Segment::Name(key), rest))) => {
                // No keys at all: what went wrong there was said there.
                if !keys.is_empty() && !keys.iter().any(|it| **it == **key) {
                    return Err(no_key(root, key, keys));
                }
                (Select::One(Key::Name(key.to_string())), rest.first())
            }
            (Spread::Keys(_), Some((Segment::Index(_), _))) => {
                return Err(LookupError::new(
                    DiagnosticCode::UnknownReference,
                    format!("`{root}` is a map of its keys"),
                )
                .help(format!("write `{root}[\"key\"]`")));
            }
        };
        self.attribute(root, rest)?;
        Ok(select)
    }

    fn attribute(&self, root: &str, step: Option<&Segment<Box<Code>>>) -> Result<(), LookupError> {
        let Some(Segment::Name(name)) = step else { return Ok(()) };
        let kind = self.stack.resources.get(root).and_then(|it| self.catalog.get(&it.kind));
        let Some(kind) = kind else { return Ok(()) };
        if kind.attribute(name).is_some_and(|it| it.live) {
            // Nobody plans with it: what was made of it would be another thing at every look.
            let message = format!("`{name}` of a {} changes without an apply", kind.kind);
            return Err(LookupError::new(DiagnosticCode::LiveValue, message).help(
                "it cannot be used in expressions; to wait until something works, use `ready` or `gate`",
            ));
        }
        if &**name == "id" || kind.attribute(name).is_some() {
            return Ok(());
        }
        let lost = LookupError::new(
            DiagnosticCode::UnknownAttribute,
            format!("`{}` has no attribute `{name}`", kind.kind),
        );
        let names = kind.attributes.keys().map(String::as_str);
        Err(match nearest(name, names) {
            Some(near) => lost.help(format!("did you mean `{near}`?")),
            None => lost.help(format!("see {}", AdvisedCommand::Kinds { kind: Some(&kind.kind) })),
        })
    }
}

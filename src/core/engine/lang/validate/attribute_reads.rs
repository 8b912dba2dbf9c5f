//! Which attributes of which objects a value really looks at: branches that are not taken do not count.

use std::cell::RefCell;
use std::sync::Arc;

use crate::engine::address::Address;
use crate::engine::lang::cel::code::Slice;
use crate::engine::lang::cel::lookup::{LookupError, NameLookup, PathStep};
use crate::engine::lang::model::{Instance, Scope, Stack, Term};
use crate::engine::lang::resolve::term;
use crate::engine::lang::view::ScopeView;
use crate::engine::schema::{Catalog, MadeWith, Type};
use crate::engine::text::codes::DiagnosticCode;
use crate::engine::text::diagnostic::{Diagnostic, Span};
use crate::engine::value::{Attributes, Value};

/// An object, and the attribute of it that is looked at.
pub type Seen = (Address, Option<String>);

/// A view that notes what is looked at.
pub struct Looks<'a> {
    view: &'a ScopeView<'a>,
    seen: RefCell<Vec<Seen>>,
}

impl<'a> Looks<'a> {
    pub fn new(view: &'a ScopeView<'a>) -> Self {
        Self { view, seen: RefCell::default() }
    }

    /// Each once, in order.
    pub fn seen(self) -> Vec<Seen> {
        let mut seen = self.seen.into_inner();
        seen.sort();
        seen.dedup();
        seen
    }
}

impl NameLookup for Looks<'_> {
    fn look(
        &self,
        root: &str,
        steps: &[PathStep<'_>],
        slice: &Slice,
    ) -> Result<Value, LookupError> {
        self.seen.borrow_mut().extend(self.view.seen(root, steps, slice));
        self.view.look(root, steps, slice)
    }

    fn file(&self, path: &str) -> Result<Arc<str>, LookupError> {
        self.view.file(path)
    }

    fn template(&self, path: &str, map: &Attributes) -> Result<String, LookupError> {
        self.view.template(path, map)
    }
}

/// The stack, and its objects as far as they are around.
#[derive(Clone, Copy)]
pub struct Around<'a> {
    pub stack: &'a Stack,
    pub catalog: &'a Catalog,
    pub scope: &'a dyn Scope,
}

impl<'a> Around<'a> {
    pub fn view(&self, instance: &'a Instance) -> ScopeView<'a> {
        ScopeView {
            stack: self.stack,
            catalog: self.catalog,
            scope: Some(self.scope),
            instance: Some((&instance.address, instance.each.as_deref())),
            own: None,
            texts: self.stack,
        }
    }

    fn seen(&self, instance: &Instance, it: &Term) -> Vec<Seen> {
        let view = self.view(instance);
        let looks = Looks::new(&view);
        // Whatever is wrong with it was told when it was resolved.
        term(it, &looks, &mut Vec::new());
        looks.seen()
    }

    /// The one object that an attribute leads to.
    pub fn leads_to(&self, instance: &Instance, attribute: &str) -> Option<&'a Instance> {
        let kind = self.catalog.get(&instance.resource.kind)?;
        let described = kind.attribute(attribute)?;
        let given = instance.resource.attributes.get(attribute)?;
        let leads = |(address, member): &Seen| {
            let to = &self.stack.instances.get(address)?.resource.kind;
            let is_it = match (&described.leads_to, &described.to) {
                (Some(it), _) => {
                    it.kind == *to && member.as_ref().is_some_and(|member| it.by.contains(member))
                }
                (None, Some(it)) => described.kind == Type::Reference && it == to,
                (None, None) => false,
            };
            is_it.then(|| address.clone())
        };
        let mut all: Vec<Address> =
            self.seen(instance, &given.term).iter().filter_map(leads).collect();
        all.dedup();
        match all.as_slice() {
            [one] => self.stack.instances.get(one),
            _ => None,
        }
    }

    /// What a name such as `config.nodebalancer.region` stands for, and whose attribute that is.
    pub fn far(&self, instance: &'a Instance, name: &str) -> Option<(&'a Instance, Value)> {
        let (way, last) = name.rsplit_once('.')?;
        let mut at = instance;
        for step in way.split('.') {
            at = self.leads_to(at, step)?;
        }
        let object = self.scope.object(&at.address)?;
        let attribute = self.catalog.get(&at.resource.kind)?.attribute(last)?;
        let is_open = attribute.computed || attribute.optional_computed;
        let unset = if is_open { Value::Open } else { Value::Null };
        Some((at, object.get(last).cloned().unwrap_or(unset)))
    }

    /// Of what a value looks at, the first that the cloud does not make, and what it would make it with.
    fn never_made(
        &self,
        instance: &Instance,
        it: &Term,
    ) -> Option<(Address, String, &'a MadeWith)> {
        let never = |(address, member): Seen| {
            let member = member?;
            let kind = &self.stack.instances.get(&address)?.resource.kind;
            let with = self.catalog.get(kind)?.attribute(&member)?.made_with.as_ref()?;
            let object = self.scope.object(&address)?;
            (with.holds(|name| object.get(name)) == Some(false)).then_some((address, member, with))
        };
        self.seen(instance, it).into_iter().find_map(never)
    }

    /// What went wrong only because something is never made is told as that.
    pub fn retell_never_made(&self, instance: &Instance, told: &mut [Diagnostic]) {
        let holds = |whole: Span, part: Span| {
            whole.source == part.source && whole.start <= part.start && part.end <= whole.end
        };
        for wrong in told {
            let Some(span) = wrong.labels.first().map(|it| it.span) else { continue };
            let mut given = instance.resource.attributes.values();
            let Some(given) = given.find(|it| holds(it.term.span, span)) else { continue };
            let Some((address, member, with)) = self.never_made(instance, &given.term) else {
                continue;
            };
            let needs = format!("{}: {}", with.attribute, with.is);
            *wrong = Diagnostic::error(DiagnosticCode::NeverMade, "This value will never exist")
                .at(span, format!("`{address}` has no `{member}` without `{needs}`"))
                .help(format!("write `{needs}` for `{}`", address.name));
        }
    }
}

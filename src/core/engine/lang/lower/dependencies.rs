//! What references lead to: the instances that an instance needs, and which of their attributes it uses.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::engine::address::{Address, Key};
use crate::engine::lang::cel::code::{Code, CodePath, Leaf};
use crate::engine::lang::cel::expression::Expression;
use crate::engine::lang::cel::path::Segment;
use crate::engine::lang::cel::syntax::leaf_of;
use crate::engine::lang::model::{Each, EachValue, Instance, Spread, Stack, Term};
use crate::engine::lang::term::expressions;
use crate::engine::text::diagnostic::Span;

/// What a resource needs, for each of its instances.
#[derive(Debug)]
pub struct Need {
    pub name: String,
    pub select: Select,
    pub span: Span,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Select {
    All,
    One(Key),
    /// The same index or key as the instance's own.
    Each,
}

/// Whether a resource has such an instance.
pub fn has(spread: &Spread, key: &Key) -> bool {
    match (spread, key) {
        (Spread::One, Key::One) => true,
        (Spread::Count(count), Key::Index(index)) => index < count,
        (Spread::Keys(keys), Key::Name(name)) => keys.contains(name),
        _ => false,
    }
}

/// The instances that one instance needs, each once, with the first place that says so.
pub fn of_instance(
    needs: &[Need],
    address: &Address,
    each: Option<&Each>,
    each_span: Span,
    stack: &Stack,
) -> Vec<(Address, Span)> {
    /// Up to here a linear search is faster than a set.
    const FEW: usize = 8;
    let mut seen = BTreeSet::new();
    let mut found: Vec<(Address, Span)> = Vec::with_capacity(needs.len());
    // Most need few others: a look through them costs less than a set.
    let mut add = |address: Address, span: Span| {
        if found.len() == FEW && seen.is_empty() {
            seen.extend(found.iter().map(|(it, _)| it.clone()));
        }
        let is_new = if found.len() < FEW {
            found.iter().all(|(it, _)| *it != address)
        } else {
            seen.insert(address.clone())
        };
        if is_new {
            found.push((address, span));
        }
    };
    for need in needs {
        let name = || need.name.clone();
        match (&need.select, stack.spread(&need.name)) {
            (Select::One(key), _) => add(Address { name: name(), key: key.clone() }, need.span),
            (Select::Each, Some(spread)) if has(spread, &address.key) => {
                add(Address { name: name(), key: address.key.clone() }, need.span);
            }
            (_, Some(Spread::One)) => add(Address::one(name()), need.span),
            (_, Some(Spread::Count(count))) => {
                (0..*count).for_each(|it| add(Address::index(name(), it), need.span));
            }
            (_, Some(Spread::Keys(keys))) => {
                keys.iter().for_each(|it| add(Address::named(name(), it.clone()), need.span));
            }
            (_, None) => {}
        }
    }
    if let Some(Each::Entry { value: EachValue::Instance(over), .. }) = each {
        add(over.clone(), each_span);
    }
    found
}

/// The instances that one attribute of an instance names; of a checked stack.
pub fn named_by(stack: &Stack, instance: &Instance, attribute: &str) -> Vec<Address> {
    let Some(given) = instance.resource.attributes.get(attribute) else { return Vec::new() };
    let mut all = Vec::new();
    expressions(&given.term, &mut all);
    let mut named: Vec<Address> =
        uses(stack, Some(instance), &all).into_iter().map(|(address, _)| address).collect();
    named.sort();
    named.dedup();
    named
}

/// The variables that an attribute of an instance uses.
pub fn variables_of(instance: &Instance, attribute: &str) -> BTreeSet<String> {
    let given = instance.resource.attributes.get(attribute);
    variables_in(given.into_iter().map(|it| &it.term))
}

/// The variables that these read.
pub fn variables_in<'a>(terms: impl IntoIterator<Item = &'a Term>) -> BTreeSet<String> {
    let mut all = Vec::new();
    terms.into_iter().for_each(|it| expressions(it, &mut all));
    let paths = all.iter().flat_map(|it| it.paths()).filter(|it| &*it.root == "vars");
    let names = paths.filter_map(|it| match it.steps.first() {
        Some(Segment::Name(name)) => Some(name.to_string()),
        _ => None,
    });
    names.collect()
}

/// Every use of another resource in expressions: which instance, and which of its attributes. Outputs belong to no instance.
pub fn uses(
    stack: &Stack,
    instance: Option<&Instance>,
    all: &[&Arc<Expression>],
) -> Vec<(Address, Option<String>)> {
    let mut found = Vec::new();
    for path in all.iter().flat_map(|it| it.paths()) {
        let is_value = matches!(path.steps.first(), Some(Segment::Name(it)) if &**it == "value");
        if &*path.root == "each" && is_value {
            if let Some(Each::Entry { value: EachValue::Instance(over), .. }) =
                instance.and_then(|it| it.each.as_deref())
            {
                found.push((over.clone(), name_of(path.steps.get(1))));
            }
        } else if let Some(spread) = stack.spread(&path.root) {
            let own = instance.map(|it| &it.address.key);
            let (select, rest) = selected(spread, path);
            let attribute = name_of(rest);
            let of = |key: Key| Address { name: path.root.to_string(), key };
            let keys: Vec<Key> = match (select, spread, own) {
                (Select::One(key), ..) => vec![key],
                (Select::Each, _, Some(own)) if has(spread, own) => vec![own.clone()],
                (_, Spread::One, _) => vec![Key::One],
                (_, Spread::Count(count), _) => (0..*count).map(Key::Index).collect(),
                (_, Spread::Keys(keys), _) => keys.iter().cloned().map(Key::Name).collect(),
            };
            found.extend(keys.into_iter().map(|key| (of(key), attribute.clone())));
        }
    }
    found
}

/// What a path into a resource selects, and the step after that; of a checked stack.
fn selected<'a>(spread: &Spread, path: &'a CodePath) -> (Select, Option<&'a Segment<Box<Code>>>) {
    match (spread, path.steps.first()) {
        (Spread::One, first) => (Select::One(Key::One), first),
        (Spread::Count(_), Some(Segment::Index(at))) => {
            (Select::One(Key::Index(*at)), path.steps.get(1))
        }
        (Spread::Keys(_), Some(Segment::Name(key))) => {
            (Select::One(Key::Name(key.to_string())), path.steps.get(1))
        }
        (_, Some(Segment::Computed(code))) if is_own_key(code) => (Select::Each, path.steps.get(1)),
        (_, Some(Segment::Computed(_))) => (Select::All, path.steps.get(1)),
        _ => (Select::All, None),
    }
}

fn name_of(step: Option<&Segment<Box<Code>>>) -> Option<String> {
    match step {
        Some(Segment::Name(name)) => Some(name.to_string()),
        _ => None,
    }
}

/// Whether an index is the instance's own: `web[each.index]`.
pub fn is_own_key(code: &Code) -> bool {
    let Code::Path(path) = code else {
        // The same, compiled by CEL as part of a larger expression.
        let Code::Cel(cel) = code else { return false };
        return match (leaf_of(&cel.tree), cel.leaves.as_slice()) {
            (Some(0), [Leaf::Path { path, .. }]) => is_key(path),
            _ => false,
        };
    };
    is_key(path)
}

fn is_key(path: &CodePath) -> bool {
    let is_name = |name: &str| matches!(name, "index" | "key");
    &*path.root == "each" && matches!(path.steps.as_slice(), [Segment::Name(name)] if is_name(name))
}

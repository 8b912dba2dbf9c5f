//! Resolves every instance once with nothing created yet, to tell what is wrong before anybody plans.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use indexmap::IndexMap;

use crate::engine::address::Address;
use crate::engine::diagnostic::{Diagnostic, Span};
use crate::engine::schema::{Catalog, Kind, Type};
use crate::engine::stack::code::{Code, Slice};
use crate::engine::stack::compile::compile_rule;
use crate::engine::stack::evaluate::{At, Lost, World, cut, evaluate, follow};
use crate::engine::stack::model::{Instance, Scope, Shape, Stack};
use crate::engine::stack::resolve::{Resolved, resolve_gate, resolve_output, resolve_with};
use crate::engine::value::{Attributes, Value};

/// After so many mistakes the rest is left for the next run.
const MISTAKES_MAX: usize = 200;

/// The desired objects so far; what the cloud makes is open.
#[derive(Default)]
struct Desired(RefCell<IndexMap<Address, Arc<Attributes>>>);

impl Scope for Desired {
    fn object(&self, address: &Address) -> Option<Arc<Attributes>> {
        self.0.borrow().get(address).cloned()
    }
}

/// Resolves all instances, gates and outputs and tells what is wrong.
pub fn rehearse(stack: &Stack, catalog: &Catalog, out: &mut Vec<Diagnostic>) {
    let desired = Desired::default();
    let mut rules = Rules::default();
    let mut identities = BTreeMap::new();
    let needed = readers(stack);
    for instance in in_order(stack) {
        if out.len() > MISTAKES_MAX {
            return;
        }
        let Some(kind) = catalog.get(&instance.resource.kind) else { continue };
        let before = out.len();
        let resolved = resolve_with(stack, catalog, instance, &desired, stack, out);
        if out.len() == before {
            rules.check(kind, instance, &resolved, out);
            identity(kind, instance, &resolved, &mut identities, out);
        }
        for gate in instance.resource.ready.iter().chain(&instance.resource.gate) {
            let wrong = resolve_gate(stack, catalog, instance, gate, &desired).err();
            out.extend(wrong.into_iter().flatten());
        }
        if needed.contains(instance.address.name.as_str()) {
            let object = Arc::new(resolved.attributes);
            desired.0.borrow_mut().insert(instance.address.clone(), object);
        }
    }
    for output in stack.outputs.values() {
        out.extend(resolve_output(stack, catalog, output, &desired).err().into_iter().flatten());
    }
}

/// Every instance as far as it is known before anything is made; [`rehearse`] tells what is wrong.
pub fn objects(stack: &Stack, catalog: &Catalog) -> IndexMap<Address, Resolved> {
    let desired = Desired::default();
    let mut found = IndexMap::new();
    for instance in in_order(stack) {
        let resolved = resolve_with(stack, catalog, instance, &desired, stack, &mut Vec::new());
        let object = Arc::new(resolved.attributes.clone());
        desired.0.borrow_mut().insert(instance.address.clone(), object);
        found.insert(instance.address.clone(), resolved);
    }
    found
}

/// The resources that anything else looks at.
fn readers(stack: &Stack) -> std::collections::BTreeSet<&str> {
    let mut found: std::collections::BTreeSet<&str> = stack
        .instances
        .values()
        .flat_map(|it| it.needs.iter().map(|(address, _)| address.name.as_str()))
        .collect();
    for output in stack.outputs.values() {
        let mut all = Vec::new();
        crate::engine::stack::term::expressions(&output.term, &mut all);
        for it in all {
            let roots = it
                .paths()
                .into_iter()
                .filter_map(|path| stack.resources.get_key_value(&*path.root));
            found.extend(roots.map(|(name, _)| name.as_str()));
        }
    }
    found
}

/// Instances after what they need, otherwise in the order of the stack. Members of cycles come last.
fn in_order(stack: &Stack) -> Vec<&Instance> {
    let count = stack.instances.len();
    let mut waits = vec![0_usize; count];
    let mut dependents: Vec<Vec<u32>> = vec![Vec::new(); count];
    for (index, instance) in stack.instances.values().enumerate() {
        for (need, _) in &instance.needs {
            if let Some(on) = stack.instances.get_index_of(need) {
                waits[index] += 1;
                dependents[on].push(u32::try_from(index).unwrap_or(u32::MAX));
            }
        }
    }
    let mut ready: std::collections::BinaryHeap<std::cmp::Reverse<usize>> =
        (0..count).filter(|it| waits[*it] == 0).map(std::cmp::Reverse).collect();
    let mut order = Vec::with_capacity(count);
    while let Some(std::cmp::Reverse(index)) = ready.pop() {
        order.push(index);
        for dependent in &dependents[index] {
            let dependent = *dependent as usize;
            waits[dependent] -= 1;
            if waits[dependent] == 0 {
                ready.push(std::cmp::Reverse(dependent));
            }
        }
    }
    order.extend((0..count).filter(|it| waits[*it] > 0));
    order.into_iter().map(|it| &stack.instances[it]).collect()
}

/// The rules of kinds, each compiled once and asked once for the same values.
#[derive(Default)]
struct Rules {
    compiled: BTreeMap<String, Option<(Code, Vec<String>)>>,
    answers: BTreeMap<(String, String), bool>,
}

impl Rules {
    fn check(
        &mut self,
        kind: &Kind,
        instance: &Instance,
        resolved: &Resolved,
        out: &mut Vec<Diagnostic>,
    ) {
        for rule in &kind.rules {
            let compiled = self.compiled.entry(rule.check.clone()).or_insert_with(|| {
                let code = compile_rule(&rule.check).ok()?;
                let mut paths = Vec::new();
                code.paths(&mut paths);
                let roots = paths.into_iter().map(|it| it.root.to_string()).collect();
                Some((code, roots))
            });
            let Some((code, roots)) = compiled else { continue };
            let look = Attributes_ { kind, attributes: &resolved.attributes };
            let seen: Vec<String> = roots.iter().map(|it| look.seen(it)).collect();
            let key = (rule.check.clone(), seen.join("\u{1f}"));
            let holds = *self.answers.entry(key).or_insert_with(|| {
                // Only a plain false breaks a rule; what is not known yet may still turn out well.
                let answer = evaluate(code, &rule.check, &look);
                !matches!(answer.map(|it| it.exposed()), Ok(Value::Bool(false)))
            });
            if !holds {
                let at = resolved.spans.get(&rule.at).copied().unwrap_or(instance.resource.span);
                let wrong = Diagnostic::error("broken_rule", "The attributes do not go together")
                    .at(at, rule.message.clone());
                out.push(match &rule.help {
                    Some(help) => wrong.help(help.clone()),
                    None => wrong,
                });
            }
        }
    }
}

/// The attributes of one object, as a rule sees them.
struct Attributes_<'a> {
    kind: &'a Kind,
    attributes: &'a Attributes,
}

impl Attributes_<'_> {
    fn value(&self, name: &str) -> Value {
        if let Some(value) = self.attributes.get(name) {
            return value.clone();
        }
        let attribute = self.kind.attribute(name);
        let is_open =
            attribute.is_some_and(|it| it.computed || it.optional_computed) || name.contains('.');
        if is_open { Value::Open } else { Value::Null }
    }

    /// What a root holds, as the key of an answer.
    fn seen(&self, root: &str) -> String {
        if root == "self" {
            return format!("{:?}", Value::Map(self.attributes.clone()).exposed());
        }
        format!("{:?}", self.value(root).exposed())
    }
}

impl World for Attributes_<'_> {
    fn look(&self, root: &str, steps: &[At<'_>], slice: &Slice) -> Result<Value, Lost> {
        match (root, steps.split_first()) {
            ("self", Some((At::Name(name), rest))) => {
                follow(&self.value(name), rest).map(|it| cut(it, slice))
            }
            ("self", _) => Ok(Value::Map(self.attributes.clone())),
            _ => follow(&self.value(root), steps).map(|it| cut(it, slice)),
        }
    }

    fn file(&self, _: &str) -> Result<Arc<str>, Lost> {
        Err(Lost::new("bad_rule", "a rule reads no files"))
    }

    fn template(&self, _: &str, _: &Attributes) -> Result<String, Lost> {
        Err(Lost::new("bad_rule", "a rule reads no files"))
    }
}

type Identities<'a> = BTreeMap<(&'a str, Vec<String>), (&'a Address, Span)>;

/// Two resources with one identity would be one object.
fn identity<'a>(
    kind: &'a Kind,
    instance: &'a Instance,
    resolved: &Resolved,
    seen: &mut Identities<'a>,
    out: &mut Vec<Diagnostic>,
) {
    let mut key = Vec::new();
    for name in &kind.identity.by {
        let is_reference = kind.attribute(name).is_some_and(|it| it.kind == Type::Reference);
        if is_reference && let Some(target) = target(instance, name) {
            key.push(target);
            continue;
        }
        match resolved.attributes.get(name) {
            Some(value) if !value.has_open() => key.push(value.json().to_string()),
            _ => return,
        }
    }
    let by = kind.identity.by.first();
    let span = by.and_then(|it| resolved.spans.get(it)).copied().unwrap_or(instance.resource.span);
    if let Some((other, first)) = seen.insert((&kind.kind, key), (&instance.address, span)) {
        let what = kind.identity.by.join(", ");
        let wrong = Diagnostic::error("same_identity", "Two resources are one object")
            .at(span, format!("`{}` has the same {what} as `{other}`", instance.address));
        let wrong =
            if first == span { wrong } else { wrong.at(first, format!("`{other}` is here")) };
        let same = other.name == instance.address.name;
        out.push(if same {
            wrong.help(format!("make the {what} depend on `each`"))
        } else {
            wrong.help(format!("give one of them another {what}"))
        });
    }
}

/// The address that a reference attribute names, as text.
fn target(instance: &Instance, name: &str) -> Option<String> {
    let given = instance.resource.attributes.get(name)?;
    let Shape::Expression(expression) = &given.term.shape else { return None };
    let path = expression.as_path()?;
    let is_own = &*path.root == "each"
        || path.steps.iter().any(|it| matches!(it, crate::engine::stack::path::Step::Computed(_)));
    if is_own {
        return Some(format!("{} for {}", expression.text.trim(), instance.address));
    }
    Some(expression.text.trim().to_owned())
}

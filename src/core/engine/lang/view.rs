//! What an instance's expressions can look at: variables, `each`, `self`, the stack, and the objects of other instances.

use std::borrow::Cow;
use std::sync::Arc;

use crate::engine::address::{Address, Key};
use crate::engine::lang::cel::budget::{Cost, OverBudget};
use crate::engine::lang::cel::code::Slice;
use crate::engine::lang::cel::lookup::{LookupError, NameLookup, PathStep, beyond, cut, follow};
use crate::engine::lang::cel::template::FileText;
use crate::engine::lang::model::{Each, EachValue, Scope, Spread, Stack};
use crate::engine::schema::{Catalog, Kind};
use crate::engine::text::codes::DiagnosticCode;
use crate::engine::text::diagnostic::nearest;
use crate::engine::value::{Attributes, Value};

/// Where the texts of files come from.
pub trait Texts {
    fn text(&self, path: &str) -> Result<Arc<FileText>, LookupError>;
}

impl Texts for Stack {
    fn text(&self, path: &str) -> Result<Arc<FileText>, LookupError> {
        if let Some(lost) = self.unread.get(path) {
            return Err(lost.clone());
        }
        let found = self.texts.get(path).map(Arc::clone);
        found.ok_or_else(|| {
            LookupError::new(
                DiagnosticCode::FileProblem,
                "the file's path must be known before the clouds are read",
            )
            .help("build the path from variables and `each`")
        })
    }
}

/// The world of one instance, or of an output.
pub struct ScopeView<'a> {
    pub stack: &'a Stack,
    pub catalog: &'a Catalog,
    /// `None`: before planning, when no object can be looked at.
    pub scope: Option<&'a dyn Scope>,
    pub instance: Option<(&'a Address, Option<&'a Each>)>,
    /// What `self` is.
    pub own: Option<&'a Attributes>,
    pub texts: &'a dyn Texts,
}

impl NameLookup for ScopeView<'_> {
    fn look(
        &self,
        root: &str,
        steps: &[PathStep<'_>],
        slice: &Slice,
    ) -> Result<Value, LookupError> {
        match root {
            "vars" => self.variable(steps, slice),
            "each" => self.each(steps, slice),
            "self" => match self.own {
                Some(own) => {
                    let kind = || self.kind_of(self.instance?.0);
                    member(kind, own, steps).map(|it| cut(it, slice))
                }
                None => Err(LookupError::new(
                    DiagnosticCode::UnknownReference,
                    "`self` is available only in `ready` and `gate`",
                )),
            },
            "stack" => match steps {
                [PathStep::Name(name)] if name == "name" => {
                    Ok(Value::text(self.stack.name.clone()))
                }
                _ => Err(LookupError::new(
                    DiagnosticCode::UnknownReference,
                    "`stack` has only the attribute `name`",
                )),
            },
            _ => self.resource(root, steps, slice),
        }
    }

    fn file(&self, path: &str) -> Result<Arc<str>, LookupError> {
        Ok(Arc::clone(&self.texts.text(path)?.text))
    }

    fn template(&self, path: &str, map: &Attributes) -> Result<String, LookupError> {
        self.texts.text(path)?.fill(map)
    }

    fn spend(&self, cost: Cost) -> Result<(), OverBudget> {
        self.stack.spending.spend(cost)
    }
}

impl ScopeView<'_> {
    fn variable(&self, steps: &[PathStep<'_>], slice: &Slice) -> Result<Value, LookupError> {
        let variables = &self.stack.variables;
        let Some((PathStep::Name(name), rest)) = steps.split_first() else {
            let seen = variables.iter().filter(|(name, _)| match slice {
                Slice::Members(names) => names.contains(*name),
                Slice::Whole | Slice::Shape | Slice::Elements(_) => true,
            });
            return Ok(Value::Map(
                seen.map(|(name, it)| (name.clone(), it.value.clone())).collect(),
            ));
        };
        match variables.get(name.as_ref()) {
            Some(variable) => follow(&variable.value, rest).map(|it| cut(it, slice)),
            None => Err(unknown_variable(name, self.stack)),
        }
    }

    fn each(&self, steps: &[PathStep<'_>], slice: &Slice) -> Result<Value, LookupError> {
        let wrong = |message: &str| {
            Err(LookupError::new(DiagnosticCode::UnknownReference, message.to_owned()))
        };
        let Some((address, Some(each))) = self.instance else {
            return wrong("`each` is available only with `count` and `for_each`");
        };
        let Some((PathStep::Name(name), rest)) = steps.split_first() else {
            return wrong("write `each.index`, `each.key` or `each.value`");
        };
        match (name.as_ref(), each) {
            ("index", Each::Index(index)) => follow(&Value::Int(i64::from(*index)), rest),
            ("key", Each::Entry { key, .. }) => follow(
                &match address.key {
                    Key::Index(index) => Value::Int(i64::from(index)),
                    Key::One | Key::Name(_) => Value::text(key.clone()),
                },
                rest,
            ),
            ("value", Each::Entry { value: EachValue::Value(value), .. }) => {
                follow(value, rest).map(|it| cut(it, slice))
            }
            ("value", Each::Entry { value: EachValue::Instance(address), .. }) => {
                self.object(address, rest, slice)
            }
            (_, Each::Index(_)) => wrong("with `count`, use `each.index`"),
            (_, Each::Entry { .. }) => wrong("with `for_each`, use `each.key` and `each.value`"),
        }
    }

    fn resource(
        &self,
        root: &str,
        steps: &[PathStep<'_>],
        slice: &Slice,
    ) -> Result<Value, LookupError> {
        if self.scope.is_none() && self.stack.resources.contains_key(root) {
            return Err(not_known(root));
        }
        let Some(spread) = self.stack.spread(root) else {
            return Err(unknown(root, self.stack));
        };
        match (spread, steps.split_first()) {
            (Spread::One, _) => self.object(&Address::one(root), steps, slice),
            (Spread::Count(count), Some((PathStep::Index(index), rest))) => {
                if index >= count {
                    return Err(beyond(*index, *count as usize));
                }
                self.object(&Address::index(root, *index), rest, slice)
            }
            (Spread::Count(count), None) => {
                if *slice == Slice::Shape {
                    return Ok(Value::List(vec![Value::Null; *count as usize]));
                }
                let all = (0..*count).map(|it| self.element(&Address::index(root, it), slice));
                Ok(Value::List(all.collect::<Result<_, _>>()?))
            }
            (Spread::Keys(keys), Some((PathStep::Name(key), rest))) => {
                if !keys.iter().any(|it| it == key.as_ref()) {
                    return Err(no_key(root, key, keys));
                }
                self.object(&Address::named(root, key.clone()), rest, slice)
            }
            (Spread::Keys(keys), None) => {
                let one = |key: &String| {
                    if *slice == Slice::Shape {
                        return Ok((key.clone(), Value::Null));
                    }
                    let value = self.element(&Address::named(root, key.clone()), slice)?;
                    Ok((key.clone(), value))
                };
                Ok(Value::Map(keys.iter().map(one).collect::<Result<_, LookupError>>()?))
            }
            (Spread::Count(_), Some((PathStep::Name(name), _))) => Err(is_list(root, name)),
            (Spread::Keys(_), Some((PathStep::Index(_), _))) => Err(LookupError::new(
                DiagnosticCode::UnknownReference,
                format!("`{root}` is a map of its keys"),
            )
            .help(format!("write {root}[\"key\"]"))),
        }
    }

    /// The objects that such a look is at, each with the attribute of it that is looked at.
    pub fn seen(
        &self,
        root: &str,
        steps: &[PathStep<'_>],
        slice: &Slice,
    ) -> Vec<(Address, Option<String>)> {
        let member = |rest: &[PathStep<'_>]| match rest.first() {
            Some(PathStep::Name(name)) => Some(name.to_string()),
            _ => None,
        };
        match (root, steps) {
            ("each", [PathStep::Name(value), rest @ ..]) if value == "value" => {
                match self.instance.and_then(|it| it.1) {
                    Some(Each::Entry { value: EachValue::Instance(over), .. }) => {
                        vec![(over.clone(), member(rest))]
                    }
                    _ => Vec::new(),
                }
            }
            ("self", rest) => {
                self.instance.map(|it| (it.0.clone(), member(rest))).into_iter().collect()
            }
            _ => match (self.stack.spread(root), steps) {
                (Some(Spread::One), rest) => vec![(Address::one(root), member(rest))],
                (Some(Spread::Count(_)), [PathStep::Index(index), rest @ ..]) => {
                    vec![(Address::index(root, *index), member(rest))]
                }
                (Some(Spread::Keys(_)), [PathStep::Name(key), rest @ ..]) => {
                    vec![(Address::named(root, key.clone()), member(rest))]
                }
                (Some(spread), []) => all_of(root, spread, slice),
                _ => Vec::new(),
            },
        }
    }

    /// One of many, with what the slice shows of each.
    fn element(&self, address: &Address, slice: &Slice) -> Result<Value, LookupError> {
        match slice {
            Slice::Elements(names) => {
                let kept = names.iter().map(|name| {
                    let value = self.object(
                        address,
                        &[PathStep::Name(name.as_str().into())],
                        &Slice::Whole,
                    )?;
                    Ok((name.clone(), value))
                });
                Ok(Value::Map(kept.collect::<Result<_, LookupError>>()?))
            }
            Slice::Whole | Slice::Shape | Slice::Members(_) => {
                self.object(address, &[], &Slice::Whole)
            }
        }
    }

    fn object(
        &self,
        address: &Address,
        steps: &[PathStep<'_>],
        slice: &Slice,
    ) -> Result<Value, LookupError> {
        let Some(scope) = self.scope else { return Err(not_known(&address.name)) };
        let kind = || self.kind_of(address);
        if let (Some(parts), Some((PathStep::Name(name), rest))) =
            (scope.parts(address), steps.split_first())
        {
            let own = |name: &str| parts.outputs.get(name).or_else(|| parts.attributes.get(name));
            let value = parts.member(name).unwrap_or_else(|| Cow::Owned(unset(kind, name, own)));
            return follow(&value, rest).map(|it| cut(it, slice));
        }
        let Some(object) = scope.object(address) else { return Ok(Value::Open) };
        member(kind, &object, steps).map(|it| cut(it, slice))
    }

    fn kind_of(&self, address: &Address) -> Option<&Kind> {
        self.catalog.get(&self.stack.resources.get(&address.name)?.kind)
    }
}

/// Every instance of a resource, with what is seen of each.
fn all_of(root: &str, spread: &Spread, slice: &Slice) -> Vec<(Address, Option<String>)> {
    let Slice::Elements(names) = slice else { return Vec::new() };
    let all: Vec<Address> = match spread {
        Spread::One => vec![Address::one(root)],
        Spread::Count(count) => (0..*count).map(|it| Address::index(root, it)).collect(),
        Spread::Keys(keys) => keys.iter().map(|it| Address::named(root, it.clone())).collect(),
    };
    let seen = |it: Address| names.iter().map(move |name| (it.clone(), Some(name.clone())));
    all.into_iter().flat_map(seen).collect()
}

/// A member of an object: what the cloud makes and nobody knows yet is open, what was not set is null.
fn member<'a>(
    kind: impl FnOnce() -> Option<&'a Kind>,
    object: &Attributes,
    steps: &[PathStep<'_>],
) -> Result<Value, LookupError> {
    let Some((PathStep::Name(name), rest)) = steps.split_first() else {
        return Ok(Value::Map(whole(object)));
    };
    match object.get(name.as_ref()) {
        Some(value) => follow(value, rest),
        None => Ok(unset(kind, name, |it| object.get(it))),
    }
}

/// All of an object. One that is not made yet has no id, which only the cloud tells; what else it lacks may never be made.
fn whole(object: &Attributes) -> Attributes {
    let mut whole = object.clone();
    whole.entry("id".to_owned()).or_insert(Value::Open);
    whole
}

fn unset<'a, 'b>(
    kind: impl FnOnce() -> Option<&'a Kind>,
    name: &str,
    own: impl Fn(&str) -> Option<&'b Value>,
) -> Value {
    let attribute = kind().and_then(|it| it.attribute(name));
    let is_open = name == "id" || attribute.is_some_and(|it| it.computed || it.optional_computed);
    let is_made = || attribute.and_then(|it| it.made_with.as_ref()?.holds(own));
    if is_open && is_made() != Some(false) { Value::Open } else { Value::Null }
}

/// The mistake of a variable that nobody declared.
pub fn unknown_variable(name: &str, stack: &Stack) -> LookupError {
    let lost =
        LookupError::new(DiagnosticCode::UnknownVariable, format!("there is no variable `{name}`"));
    match nearest(name, stack.variables.keys().map(String::as_str)) {
        Some(near) => lost.help(format!("did you mean `vars.{near}`?")),
        None => lost.help(format!("declare it: variables: {{ {name}: {{ type: string }} }}")),
    }
}

fn not_known(name: &str) -> LookupError {
    LookupError::new(
        DiagnosticCode::NotKnown,
        format!("`{name}` is known only after the clouds are read"),
    )
    .help("use variables, which are known beforehand")
}

/// The mistake of a root that nobody declared.
pub fn unknown(root: &str, stack: &Stack) -> LookupError {
    let lost = LookupError::new(
        DiagnosticCode::UnknownReference,
        format!("there is no resource `{root}`"),
    );
    if stack.variables.contains_key(root) {
        return lost.help(format!("did you mean `vars.{root}`?"));
    }
    // What the same is called elsewhere.
    let here = match root {
        "var" | "variable" | "variables" | "local" | "locals" => Some("a variable is `vars.NAME`"),
        "count" => Some("the index of an instance is `each.index`"),
        "this" => Some("in `ready` and `gate`, the resource itself is `self`"),
        _ => None,
    };
    if let Some(here) = here {
        return lost.help(here.to_owned());
    }
    let roots = ["vars", "each", "self"];
    match nearest(root, stack.resources.keys().map(String::as_str).chain(roots)) {
        Some(near) => lost.help(format!("did you mean `{near}`?")),
        None => lost,
    }
}

/// The mistake of an attribute of a list.
pub fn is_list(root: &str, name: &str) -> LookupError {
    LookupError::new(
        DiagnosticCode::UnknownReference,
        format!("`{root}` is a list, since it has a `count`"),
    )
    .help(format!("write `{root}[0].{name}`, or `{root}.map(it, it.{name})` for all"))
}

/// The mistake of a key that `for_each` does not make.
pub fn no_key(root: &str, key: &str, keys: &[String]) -> LookupError {
    let lost =
        LookupError::new(DiagnosticCode::UnknownReference, format!("`{root}` has no key `{key}`"));
    match nearest(key, keys.iter().map(String::as_str)) {
        Some(near) => lost.help(format!("did you mean `{root}[\"{near}\"]`?")),
        None => lost.help(format!("its keys are {}", keys.join(", "))),
    }
}

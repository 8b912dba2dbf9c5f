//! What an object's attributes read of other objects, and what else goes into them.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::address::Address;
use crate::engine::lang::cel::code::CodePath;
use crate::engine::lang::cel::evaluate::evaluate;
use crate::engine::lang::cel::expression::Expression;
use crate::engine::lang::cel::path::Segment;
use crate::engine::lang::model::{
    Each, EachValue, GivenAttribute, InstanceShape, Spread, TextPart,
};
use crate::engine::lang::term::expressions;
use crate::engine::lang::view::{ScopeView, Texts as _};
use crate::engine::recovery::audit::side::{Side, SideItem};
use crate::engine::text::diagnostic::Span;
use crate::engine::value::Value;

/// One use of another object.
pub struct AttributeRead {
    /// The attribute that uses it.
    pub by: String,
    pub of: Address,
    /// What is used of it; `None`: the object itself.
    pub attribute: Option<String>,
    pub span: Span,
}

/// Every use of another object by an object's attributes.
pub fn reads(side: &Side<'_>, item: SideItem<'_>) -> Vec<AttributeRead> {
    let mut found = Vec::new();
    for (name, given) in &item.instance.resource.attributes {
        let mut all = Vec::new();
        expressions(&given.term, &mut all);
        for expression in all {
            for path in expression.paths() {
                of_path(side, item, path, name, expression, &mut found);
            }
        }
    }
    found
}

fn of_path(
    side: &Side<'_>,
    item: SideItem<'_>,
    path: &CodePath,
    by: &str,
    expression: &Expression,
    found: &mut Vec<AttributeRead>,
) {
    let name_at = |at: usize| match path.steps.get(at) {
        Some(Segment::Name(name)) => Some(name.to_string()),
        _ => None,
    };
    let mut add = |of: Address, attribute: Option<String>| {
        let span = expression.place(path.start, path.end);
        found.push(AttributeRead { by: by.to_owned(), of, attribute, span });
    };
    if &*path.root == "each" {
        if let Some(Each::Entry { value: EachValue::Instance(of), .. }) =
            item.instance.each.as_deref()
            && name_at(0).as_deref() == Some("value")
        {
            add(of.clone(), name_at(1));
        }
        return;
    }
    let name = || path.root.to_string();
    match (side.stack.spread(&path.root), path.steps.first()) {
        (Some(Spread::One), _) => add(Address::one(name()), name_at(0)),
        (Some(Spread::Count(_)), Some(Segment::Index(at))) => {
            add(Address::index(name(), *at), name_at(1));
        }
        (Some(Spread::Keys(_)), Some(Segment::Name(key))) => {
            add(Address::named(name(), key.to_string()), name_at(1));
        }
        (Some(Spread::Count(count)), _) => {
            (0..*count).for_each(|at| add(Address::index(name(), at), name_at(1)));
        }
        (Some(Spread::Keys(keys)), _) => {
            keys.iter().for_each(|key| add(Address::named(name(), key.clone()), name_at(1)));
        }
        (None, _) => {}
    }
}

/// The end of a text of which the rest is not known before it is made.
pub fn tail(side: &Side<'_>, item: SideItem<'_>, attribute: &str) -> Option<String> {
    let given = item.instance.resource.attributes.get(attribute)?;
    let InstanceShape::Text(parts) = &given.term.shape else { return None };
    let view = view(side, item);
    let mut tail = String::new();
    for part in parts.iter().rev() {
        match part {
            TextPart::Text(text) => tail.insert_str(0, text),
            TextPart::Expression(it) => match evaluate(&it.code, &it.text, &view) {
                Ok(Value::Text(text)) => tail.insert_str(0, &text),
                Ok(Value::Int(number)) => tail.insert_str(0, &number.to_string()),
                _ => break,
            },
        }
    }
    Some(tail)
}

fn view<'a>(side: &'a Side<'_>, item: SideItem<'a>) -> ScopeView<'a> {
    ScopeView {
        stack: side.stack,
        catalog: side.catalog,
        scope: None,
        instance: Some((item.address, item.instance.each.as_deref())),
        own: None,
        texts: side.stack,
    }
}

/// What goes into an attribute beside other objects.
#[derive(Debug, Default, PartialEq)]
pub struct Inputs {
    /// With their values.
    pub variables: BTreeMap<String, Value>,
    pub files: BTreeSet<String>,
}

pub fn inputs(side: &Side<'_>, item: SideItem<'_>, attribute: &str) -> Inputs {
    let mut inputs = Inputs::default();
    let Some(GivenAttribute { term, .. }) = item.instance.resource.attributes.get(attribute) else {
        return inputs;
    };
    let view = view(side, item);
    let mut all = Vec::new();
    expressions(term, &mut all);
    for expression in all {
        for path in expression.paths() {
            if let ("vars", Some(Segment::Name(name))) = (&*path.root, path.steps.first())
                && let Some(variable) = side.stack.variables.get(&**name)
            {
                inputs.variables.insert(name.to_string(), variable.value.clone());
            }
        }
        for code in expression.files() {
            if let Ok(Value::Text(path)) = evaluate(code, &expression.text, &view) {
                inputs.files.insert(path);
            }
        }
    }
    inputs
}

/// The texts of an attribute, secrets in clear; of one that is not known before something is made, those that go into it.
pub fn texts(side: &Side<'_>, item: SideItem<'_>, attribute: &str) -> Vec<String> {
    let owned = |value: &Value| value.exposed().as_text().map(str::to_owned);
    if let Some(value) = item.value(attribute).filter(|it| !it.has_unknown()) {
        return owned(value).into_iter().collect();
    }
    let Some(given) = item.instance.resource.attributes.get(attribute) else { return Vec::new() };
    let inputs = inputs(side, item, attribute);
    let mut found: Vec<String> = inputs.variables.values().filter_map(owned).collect();
    let files = inputs.files.iter().filter_map(|path| side.stack.text(path).ok());
    found.extend(files.map(|it| it.text.to_string()));
    let mut all = Vec::new();
    expressions(&given.term, &mut all);
    found.extend(all.into_iter().map(|it| it.text.clone()));
    if let InstanceShape::Text(parts) = &given.term.shape {
        found.extend(parts.iter().filter_map(|it| match it {
            TextPart::Text(text) => Some(text.clone()),
            TextPart::Expression(_) => None,
        }));
    }
    found
}

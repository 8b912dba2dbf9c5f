//! Where values come from: the merged stack as text, and the story of one attribute, layer by layer.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::engine::address::Address;
use crate::engine::lang::cel::expression::Expression;
use crate::engine::lang::cel::path::Segment;
use crate::engine::lang::load::Loaded;
use crate::engine::lang::lower::tasks::TASK_KEYS;
use crate::engine::lang::model::{Instance, Scope, Stack};
use crate::engine::lang::resolve::resolve;
use crate::engine::lang::task_values::resolve_task;
use crate::engine::lang::term::expressions;
use crate::engine::lang::yaml::node::{Data, Map, MapEntry, Node};
use crate::engine::schema::{Catalog, Kind};
use crate::engine::task::TaskAction;
use crate::engine::text::codes::DiagnosticCode;
use crate::engine::text::diagnostic::Diagnostic;
use crate::engine::value::Value;

const HIDDEN: &str = "(sensitive)";

/// The merged stack as YAML; sensitive values are hidden.
pub fn render(loaded: &Loaded, catalog: &Catalog) -> String {
    let Some(merged) = loaded.merged() else { return String::new() };
    let mut merged = merged.clone();
    let section = |map: &mut Map, name: &str, each: &dyn Fn(&mut Map)| {
        if let Some(Data::Map(all)) = map.get_mut(name).map(|it| &mut it.node.data) {
            for it in all.values_mut() {
                if let Data::Map(one) = &mut it.node.data {
                    each(one);
                }
            }
        }
    };
    if let Data::Map(map) = &mut merged.data {
        section(map, "variables", &|it| {
            if it.get("sensitive").is_some_and(|it| it.node.data == Data::Bool(true)) {
                hide(it, "default");
            }
        });
        section(map, "resources", &|it| {
            let kind =
                it.get("kind").and_then(|it| it.node.as_text()).and_then(|it| catalog.get(it));
            let secret = kind.into_iter().flat_map(Kind::settable).filter(|(_, it)| it.sensitive);
            let names: Vec<String> = secret.map(|(name, _)| name.clone()).collect();
            for name in &names {
                hide(it, name);
            }
        });
        section(map, "outputs", &|it| {
            if it.get("sensitive").is_some_and(|it| it.node.data == Data::Bool(true)) {
                hide(it, "value");
            }
        });
    }
    serde_yaml::to_string(&json(&merged)).unwrap_or_default()
}

/// A literal is hidden; an expression says nothing but where the value comes from.
fn hide(map: &mut Map, name: &str) {
    if let Some(it) = map.get_mut(name)
        && !it.node.as_text().is_some_and(|it| it.starts_with("${"))
    {
        it.node.data = Data::Text(HIDDEN.into());
    }
}

fn json(node: &Node) -> serde_json::Value {
    match &node.data {
        Data::List(items) => items.iter().map(json).collect(),
        Data::Map(map) => map.iter().map(|(name, it)| (name.to_string(), json(&it.node))).collect(),
        _ => node.value().json(),
    }
}

/// The story of one attribute.
#[derive(Debug, Clone)]
pub struct Origin {
    pub subject: String,
    /// The value, if it is known without looking at the world.
    pub value: Value,
    /// `file:line` and the text there, the winner last.
    pub layers: Vec<(String, String)>,
    /// Where no layer says anything.
    pub default: Option<&'static str>,
    /// Variables used: name, value, who gave it.
    pub variables: Vec<(String, Value, String)>,
}

/// Tells where an attribute's value comes from.
pub fn explain(
    loaded: &Loaded,
    catalog: &Catalog,
    address: &Address,
    attribute: &str,
    scope: &dyn Scope,
) -> Result<Origin, Vec<Diagnostic>> {
    let (stack, instance, kind) = find(loaded, catalog, address).map_err(|it| vec![*it])?;
    let Some(known) = kind.attribute(attribute) else {
        let summary = format!("`{}` has no attribute `{attribute}`", kind.kind);
        let wrong = Diagnostic::error(DiagnosticCode::UnknownAttribute, summary);
        return Err(vec![wrong.nearest(attribute, kind.attributes.keys().map(String::as_str))]);
    };
    let resolved = resolve(stack, catalog, instance, scope)?;
    let value = resolved.attributes.get(attribute).cloned();
    let value = value.unwrap_or(if known.computed { Value::Open } else { Value::Null });
    let mut layers = Vec::new();
    for layer in &loaded.layers {
        let given = layer
            .as_map()
            .and_then(|it| {
                it.get("resources")?.node.as_map()?.get(address.name.as_str())?.node.as_map()
            })
            .and_then(|it| it.get(attribute));
        if let Some(it) = given {
            let source = loaded.sources.get(it.node.span).map_or("", |it| &it.text);
            let span = it.node.span;
            let text = source.get(span.start as usize..span.end as usize).unwrap_or_default();
            let is_plain = known.sensitive && !text.contains("${");
            let text = if is_plain { HIDDEN.to_owned() } else { text.trim_end().to_owned() };
            layers.push((loaded.sources.line(it.key), text));
        }
    }
    let default = match () {
        () if resolved.is_given(attribute) => None,
        () if known.computed => Some("set by the cloud"),
        () if known.default_from.is_some() => Some("built from the stack's name and the address"),
        () if known.default.is_some() => Some("the kind's default"),
        () => Some("not set"),
    };
    let variables = used(stack, instance, attribute);
    Ok(Origin { subject: format!("{address}.{attribute}"), value, layers, default, variables })
}

/// Tells where a key of a task comes from; `None`: no task has this name.
pub fn explain_task(
    loaded: &Loaded,
    catalog: &Catalog,
    (name, key): (&str, &str),
    scope: &dyn Scope,
) -> Option<Result<Origin, Vec<Diagnostic>>> {
    let stack = loaded.stack.as_ref()?;
    let task = stack.tasks.get(name)?;
    if !TASK_KEYS.contains(&key) {
        let summary = format!("a task has no key `{key}`");
        let wrong = Diagnostic::error(DiagnosticCode::UnknownKey, summary);
        return Some(Err(vec![wrong.nearest(key, TASK_KEYS)]));
    }
    let resolved = match resolve_task(stack, catalog, &task.spec, scope) {
        Ok(resolved) => resolved,
        Err(mistakes) => return Some(Err(mistakes)),
    };
    let given = loaded.layers.iter().filter_map(|layer| {
        let tasks = layer.as_map()?.get("tasks")?.node.as_map()?;
        tasks.get(name)?.node.as_map()?.get(key)
    });
    let given: Vec<&MapEntry> = given.collect();
    let value = match (&resolved.work.action, given.last()) {
        (TaskAction::Exec { command, .. }, Some(_)) if key == "exec" => {
            Value::List(command.clone())
        }
        (TaskAction::Confirm { text }, Some(_)) if key == "confirm" => text.clone(),
        (_, Some(it)) => it.node.value(),
        (_, None) => Value::Null,
    };
    let text = |it: &MapEntry| {
        let (source, span) = (loaded.sources.get(it.node.span), it.node.span);
        let text = source.and_then(|it| it.text.get(span.start as usize..span.end as usize));
        text.unwrap_or_default().trim_end().to_owned()
    };
    let layers = given.iter().map(|it| (loaded.sources.line(it.key), text(it)));
    let mut all = Vec::new();
    task.terms().into_iter().for_each(|it| expressions(it, &mut all));
    Some(Ok(Origin {
        subject: format!("{name}.{key}"),
        value,
        layers: layers.collect(),
        default: given.is_empty().then_some("not set"),
        variables: variables_of(stack, &all),
    }))
}

/// Tells where a variable's value comes from.
pub fn explain_variable(loaded: &Loaded, name: &str) -> Result<Origin, Box<Diagnostic>> {
    let nothing = || {
        Diagnostic::error(DiagnosticCode::UnknownVariable, format!("there is no variable `{name}`"))
    };
    let stack = loaded.stack.as_ref().ok_or_else(nothing)?;
    let Some(variable) = stack.variables.get(name) else {
        return Err(Box::new(nothing().nearest(name, stack.variables.keys().map(String::as_str))));
    };
    let value = variable.value.clone();
    let mut layers = Vec::new();
    for layer in &loaded.layers {
        let default = layer
            .as_map()
            .and_then(|it| it.get("variables")?.node.as_map()?.get(name))
            // An overlay gives the value itself.
            .and_then(|it| it.node.as_map().map_or(Some(it), |declared| declared.get("default")));
        if let Some(it) = default {
            let text = if variable.sensitive { HIDDEN.into() } else { shown(&it.node.value()) };
            layers.push((loaded.sources.line(it.key), text));
        }
    }
    if variable.is_given() {
        layers.push((variable.from.clone(), shown(&value)));
    }
    let subject = format!("vars.{name}");
    Ok(Origin { subject, value, layers, default: None, variables: Vec::new() })
}

type FoundInstance<'a> = (&'a Stack, &'a Instance, &'a Kind);

fn find<'a>(
    loaded: &'a Loaded,
    catalog: &'a Catalog,
    address: &Address,
) -> Result<FoundInstance<'a>, Box<Diagnostic>> {
    let nothing = || {
        Box::new(Diagnostic::error(
            DiagnosticCode::UnknownAddress,
            format!("`{address}` does not exist"),
        ))
    };
    let stack = loaded.stack.as_ref().ok_or_else(nothing)?;
    let Some(instance) = stack.instances.get(address) else {
        let names: Vec<String> = stack.instances.keys().map(ToString::to_string).collect();
        let near = nothing().nearest(&address.to_string(), names.iter().map(String::as_str));
        let one = stack.instances.keys().find(|it| it.name == address.name);
        return Err(Box::new(match one {
            Some(one) => near.help(format!("write `{one}`")),
            None => near,
        }));
    };
    let kind = catalog.get(&instance.resource.kind).ok_or_else(nothing)?;
    Ok((stack, instance, kind))
}

fn used(stack: &Stack, instance: &Instance, attribute: &str) -> Vec<(String, Value, String)> {
    let mut all = Vec::new();
    if let Some(given) = instance.resource.attributes.get(attribute) {
        expressions(&given.term, &mut all);
    }
    variables_of(stack, &all)
}

/// The variables that expressions use, with who gave each.
fn variables_of(stack: &Stack, all: &[&Arc<Expression>]) -> Vec<(String, Value, String)> {
    let mut found = BTreeMap::new();
    for path in all.iter().flat_map(|it| it.paths()) {
        if let ("vars", Some(Segment::Name(name))) = (&*path.root, path.steps.first())
            && let Some(variable) = stack.variables.get(&**name)
        {
            found.insert(name.to_string(), (variable.value.clone(), variable.from.clone()));
        }
    }
    found.into_iter().map(|(name, (value, from))| (name, value, from)).collect()
}

/// A value for people.
fn shown(value: &Value) -> String {
    match value {
        Value::Open => "(known after apply)".to_owned(),
        Value::Secret(_) | Value::Fingerprint(_) => HIDDEN.to_owned(),
        other => other.json().to_string(),
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} = {}", self.subject, shown(&self.value))?;
        if let Some(default) = self.default {
            writeln!(f, "  {default}")?;
        }
        for (position, (place, text)) in self.layers.iter().rev().enumerate() {
            let word = if position == 0 { "from" } else { "instead of" };
            writeln!(f, "  {word} {place}: {}", text.replace('\n', "\n      "))?;
        }
        for (name, value, from) in &self.variables {
            writeln!(f, "  vars.{name} = {} ({from})", shown(value))?;
        }
        Ok(())
    }
}

//! What tasks name: whether it is there, what their expressions need, and whether an order of all of it exists.

use std::collections::BTreeMap;

use crate::engine::address::Address;
use crate::engine::fast_map::FastMap;
use crate::engine::lang::lower::dependencies::{has, of_instance};
use crate::engine::lang::lower::references::Site;
use crate::engine::lang::model::{Reference, Spread, Stack, Task};
use crate::engine::lang::term::expressions;
use crate::engine::schema::Catalog;
use crate::engine::text::codes::DiagnosticCode;
use crate::engine::text::diagnostic::{Diagnostic, Span};
use crate::engine::topological::topological_order;

/// Checks the tasks of an expanded stack, and gathers what their expressions need.
pub fn link(
    mut tasks: FastMap<String, Task>,
    stack: &mut Stack,
    catalog: &Catalog,
    out: &mut Vec<Diagnostic>,
) {
    let before = out.len();
    for task in tasks.values() {
        if let Some(resource) = stack.resources.get(&task.name) {
            out.push(
                Diagnostic::error(
                    DiagnosticCode::DuplicateKey,
                    "A task has the name of a resource",
                )
                .at(task.span, format!("`{}` is already a resource", task.name))
                .at(resource.span, "the resource is declared here")
                .help("name the task after what it does: `purge_cache`"),
            );
        }
        for reference in task.after.iter().chain(&task.before) {
            out.extend(unknown(reference, task, &tasks, stack));
        }
    }
    let site = Site { stack, catalog, owner: None, has_self: false };
    let nobody = Address::one("");
    for task in tasks.values_mut() {
        let mut all = Vec::new();
        task.terms().into_iter().for_each(|it| expressions(it, &mut all));
        let mut needs = Vec::new();
        site.expressions(&all, &mut needs, out);
        task.needs = of_instance(&needs, &nobody, None, task.span, stack);
    }
    if out.len() == before {
        out.extend(circle(&tasks, stack));
    }
    stack.tasks = tasks;
}

/// An address that neither a resource nor another task has.
fn unknown(
    reference: &Reference,
    task: &Task,
    tasks: &FastMap<String, Task>,
    stack: &Stack,
) -> Option<Diagnostic> {
    let wrong = |label: String| {
        Diagnostic::error(DiagnosticCode::UnknownReference, "Unknown reference")
            .at(reference.span, label)
    };
    if reference.name == task.name {
        return Some(wrong("a task comes neither after nor before itself".into()));
    }
    let spread = match (stack.spread(&reference.name), tasks.contains_key(&reference.name)) {
        (Some(spread), _) => spread,
        (None, true) => &Spread::One,
        (None, false) => {
            let label = format!("there is no resource or task `{}`", reference.name);
            let names = stack.resources.keys().chain(tasks.keys()).map(String::as_str);
            return Some(wrong(label).nearest(&reference.name, names));
        }
    };
    let is_there = reference.address.as_ref().is_none_or(|it| has(spread, &it.key));
    (!is_there).then(|| wrong(format!("`{}` has no such instance", reference.name)))
}

/// Every instance that a reference names, or the address of the task.
pub fn named(reference: &Reference, stack: &Stack) -> Vec<Address> {
    match &reference.address {
        Some(address) => vec![address.clone()],
        None => match stack.spread(&reference.name) {
            Some(Spread::Count(count)) => {
                (0..*count).map(|it| Address::index(reference.name.clone(), it)).collect()
            }
            Some(Spread::Keys(keys)) => {
                keys.iter().map(|it| Address::named(reference.name.clone(), it.clone())).collect()
            }
            Some(Spread::One) | None => vec![Address::one(reference.name.clone())],
        },
    }
}

/// What tasks come after and before, as edges of the graph.
pub fn task_order(stack: &Stack) -> Vec<(Address, Address)> {
    let mut edges = Vec::new();
    for task in stack.tasks.values() {
        let own = Address::one(task.name.clone());
        let all = |references: &[Reference]| -> Vec<Address> {
            references.iter().flat_map(|it| named(it, stack)).collect()
        };
        edges.extend(all(&task.after).into_iter().map(|it| (it, own.clone())));
        edges.extend(all(&task.before).into_iter().map(|it| (own.clone(), it)));
    }
    edges.dedup();
    edges
}

/// Tasks and dependencies that wait for each other, whatever a switch changes. Rules about traffic may close further circles,
/// which the plan of a switch finds.
fn circle(tasks: &FastMap<String, Task>, stack: &Stack) -> Option<Diagnostic> {
    if tasks.is_empty() {
        return None;
    }
    let addresses: Vec<Address> = stack
        .instances
        .keys()
        .cloned()
        .chain(tasks.keys().map(|it| Address::one(it.clone())))
        .collect();
    let index: BTreeMap<&Address, usize> =
        addresses.iter().enumerate().map(|(at, it)| (it, at)).collect();
    // From what comes first to what comes later, with the place that says so.
    let mut edges: Vec<Vec<(usize, Option<Span>)>> = vec![Vec::new(); addresses.len()];
    let mut add = |from: &Address, to: &Address, span: Option<Span>| {
        if let (Some(from), Some(to)) = (index.get(from), index.get(to)) {
            edges[*from].push((*to, span));
        }
    };
    for instance in stack.instances.values() {
        instance.needs.iter().for_each(|(need, _)| add(need, &instance.address, None));
    }
    for task in tasks.values() {
        let own = Address::one(task.name.clone());
        task.needs.iter().for_each(|(need, span)| add(need, &own, Some(*span)));
        for it in &task.after {
            for one in &named(it, stack) {
                add(one, &own, Some(it.span));
            }
        }
        for it in &task.before {
            for one in &named(it, stack) {
                add(&own, one, Some(it.span));
            }
        }
    }
    let reached = topological_order(addresses.len(), |it| edges[it].iter().map(|it| it.0));
    let mut is_left = vec![true; addresses.len()];
    for it in reached {
        is_left[it] = false;
    }
    // Circles of resources alone are told where the graph is made.
    let start = (stack.instances.len()..addresses.len()).find(|it| is_left[*it])?;
    let way = way_back(&edges, start, &is_left)?;
    Some(told(&addresses, &edges, &way))
}

/// A way from a node to itself.
fn way_back(
    edges: &[Vec<(usize, Option<Span>)>],
    start: usize,
    is_left: &[bool],
) -> Option<Vec<usize>> {
    let mut came: BTreeMap<usize, usize> = BTreeMap::new();
    let mut queue = std::collections::VecDeque::from([start]);
    while let Some(at) = queue.pop_front() {
        for (to, _) in edges[at].iter().filter(|it| is_left[it.0]) {
            if *to == start {
                let mut way = vec![at];
                while let Some(before) = came.get(way.last()?) {
                    way.push(*before);
                }
                way.reverse();
                return Some(way);
            }
            if !came.contains_key(to) {
                came.insert(*to, at);
                queue.push_back(*to);
            }
        }
    }
    None
}

fn told(addresses: &[Address], edges: &[Vec<(usize, Option<Span>)>], way: &[usize]) -> Diagnostic {
    let text = "A task waits for itself";
    let mut wrong = Diagnostic::error(DiagnosticCode::Cycle, text);
    for (at, from) in way.iter().enumerate() {
        let to = way[(at + 1) % way.len()];
        let span = edges[*from].iter().find(|it| it.0 == to).and_then(|it| it.1);
        if let Some(span) = span {
            let label = format!("`{}` comes after `{}`", addresses[to], addresses[*from]);
            wrong = wrong.at(span, label);
        }
    }
    let round: Vec<String> =
        way.iter().chain(way.first()).map(|it| format!("`{}`", addresses[*it])).collect();
    wrong.help(format!(
        "{}: remove one of these addresses from `after` or `before`",
        round.join(" → ")
    ))
}

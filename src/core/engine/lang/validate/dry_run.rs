//! Resolves every instance once with nothing created yet, to tell what is wrong before anybody plans.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;

use crate::engine::address::Address;
use crate::engine::fast_map::FastMap;
use crate::engine::lang::model::{Scope, Stack, Task};
use crate::engine::lang::resolve::{Resolved, resolve_gate, resolve_output, resolve_with};
use crate::engine::lang::task_values::resolve_task;
use crate::engine::lang::term::expressions;
use crate::engine::lang::validate::attribute_reads::Around;
use crate::engine::lang::validate::conflicts::Same;
use crate::engine::lang::validate::implied::{forms, unquoted};
use crate::engine::lang::validate::kind_rules::{KindRules, far_kinds};
use crate::engine::lang::validate::offers::offered;
use crate::engine::lang::validate::sample_values::foresee;
use crate::engine::lang::validate::shut_ports::shut_ports;
use crate::engine::lang::webhook::resolve_webhook;
use crate::engine::schema::{Catalog, Kind};
use crate::engine::text::diagnostic::Diagnostic;
use crate::engine::topological::topological_order;
use crate::engine::value::Attributes;

/// After this many mistakes the rest is left for the next run: nobody reads more, and they often follow from the first ones.
const MISTAKES_MAX: usize = 200;

/// The desired objects so far, in the order of the stack; what the cloud makes is open.
struct DesiredSoFar<'a> {
    stack: &'a Stack,
    objects: RefCell<Vec<Option<Arc<Attributes>>>>,
}

impl Scope for DesiredSoFar<'_> {
    fn object(&self, address: &Address) -> Option<Arc<Attributes>> {
        let index = self.stack.instances.get_index_of(address)?;
        self.objects.borrow()[index].clone()
    }
}

/// Resolves all instances, gates and outputs and tells what is wrong.
pub fn dry_run(stack: &Stack, catalog: &Catalog, out: &mut Vec<Diagnostic>) {
    unquoted(stack, catalog, out);
    let objects = RefCell::new(vec![None; stack.instances.len()]);
    let desired = DesiredSoFar { stack, objects };
    let mut rules = KindRules::default();
    let name = stack.shown_name();
    let mut same = Same::of(&name, stack.instances.len());
    let ties = Dependencies::new(stack);
    let mut readers = readers(stack, catalog, &ties, !out.is_empty());
    let around = Around { stack, catalog, scope: &desired };
    for index in ties.order() {
        let instance = &stack.instances[index];
        if out.len() > MISTAKES_MAX {
            return;
        }
        let Some(kind) = catalog.get(&instance.resource.kind) else { continue };
        let before = out.len();
        let resolved = resolve_with(stack, catalog, instance, &desired, stack, out);
        around.retell_never_made(instance, &mut out[before..]);
        if out.len() == before {
            forms(kind, instance, &resolved, out);
            foresee(kind, instance, &resolved, around, out);
            offered(kind, instance, &resolved, catalog, out);
            rules.check(kind, instance, &resolved, around, out);
            same.check(kind, instance, &resolved, out);
        }
        let resource = &instance.resource;
        for gate in resource.ready.as_deref().into_iter().chain(&resource.gates.0) {
            let wrong = resolve_gate(stack, catalog, instance, gate, &desired).err();
            out.extend(wrong.into_iter().flatten());
        }
        if out.len() == before {
            shut_ports(kind, instance, &resolved, around, out);
        }
        let mut objects = desired.objects.borrow_mut();
        if readers[index] > 0 {
            objects[index] = Some(Arc::new(resolved.attributes));
        }
        for need in ties.needs.of(index) {
            let need = *need as usize;
            readers[need] -= 1;
            if readers[need] == 0 {
                objects[need] = None;
            }
        }
    }
    for task in stack.tasks.values() {
        for spec in [task.spec(false), task.spec(true)].into_iter().flatten() {
            out.extend(resolve_task(stack, catalog, spec, &desired).err().into_iter().flatten());
        }
    }
    webhooks(stack, catalog, out);
    for output in stack.outputs.values() {
        out.extend(resolve_output(stack, catalog, output, &desired).err().into_iter().flatten());
    }
}

/// What is wrong with the webhooks, which look at variables only.
fn webhooks(stack: &Stack, catalog: &Catalog, out: &mut Vec<Diagnostic>) {
    let wrong = stack.notify.iter().filter_map(|it| resolve_webhook(stack, catalog, it).err());
    out.extend(wrong.flatten());
}

/// Every instance as far as it is known before anything is made; [`dry_run`] tells what is wrong.
pub fn objects(stack: &Stack, catalog: &Catalog) -> FastMap<Address, Resolved> {
    let objects = RefCell::new(vec![None; stack.instances.len()]);
    let desired = DesiredSoFar { stack, objects };
    let mut found = FastMap::default();
    for index in Dependencies::new(stack).order() {
        let instance = &stack.instances[index];
        let resolved = resolve_with(stack, catalog, instance, &desired, stack, &mut Vec::new());
        desired.objects.borrow_mut()[index] = Some(Arc::new(resolved.attributes.clone()));
        found.insert(instance.address.clone(), resolved);
    }
    found
}

/// Which instances look at which, by index.
struct Dependencies {
    /// What each instance needs.
    needs: IndexLists,
    /// What needs each instance.
    dependents: IndexLists,
}

/// Lists of indexes, one after the other in one vector.
struct IndexLists {
    ends: Vec<u32>,
    all: Vec<u32>,
}

impl IndexLists {
    fn of(&self, index: usize) -> &[u32] {
        let start = index.checked_sub(1).map_or(0, |it| self.ends[it]);
        &self.all[start as usize..self.ends[index] as usize]
    }
}

impl Dependencies {
    fn new(stack: &Stack) -> Self {
        let count = stack.instances.len();
        let mut needs = IndexLists { ends: Vec::with_capacity(count), all: Vec::new() };
        let mut ends = vec![0_u32; count];
        for instance in stack.instances.values() {
            let known = instance.needs.iter();
            for index in known.filter_map(|(it, _)| stack.instances.get_index_of(it)) {
                needs.all.push(small(index));
                ends[index] += 1;
            }
            needs.ends.push(small(needs.all.len()));
        }
        // Each list is filled from its end, which leaves its start where its end was counted from.
        let mut sum = 0;
        for end in &mut ends {
            sum += *end;
            *end = sum;
        }
        let mut starts = ends.clone();
        let mut all = vec![0; needs.all.len()];
        for index in (0..count).rev() {
            for need in needs.of(index).iter().rev() {
                let start = &mut starts[*need as usize];
                *start -= 1;
                all[*start as usize] = small(index);
            }
        }
        Self { needs, dependents: IndexLists { ends, all } }
    }

    /// Instances after what they need, otherwise in the order of the stack. Members of cycles come last.
    fn order(&self) -> Vec<usize> {
        let count = self.needs.ends.len();
        let leads_to = |it| self.dependents.of(it).iter().map(|it| *it as usize);
        let mut order = topological_order(count, leads_to);
        let mut is_reached = vec![false; count];
        for index in &order {
            is_reached[*index] = true;
        }
        order.extend((0..count).filter(|it| !is_reached[*it]));
        order
    }
}

fn small(index: usize) -> u32 {
    u32::try_from(index).expect("a stack has fewer than 2^32 instances and edges")
}

/// For each instance how often anybody will look at it. What an output names is looked at to the very end, and so is what
/// rules ask for over others; and where something is wrong already, a wrong reference may have no edge and still look.
fn readers(stack: &Stack, catalog: &Catalog, ties: &Dependencies, is_wrong: bool) -> Vec<usize> {
    let mut all = Vec::new();
    for output in stack.outputs.values() {
        expressions(&output.term, &mut all);
    }
    stack.tasks.values().flat_map(Task::terms).for_each(|it| expressions(it, &mut all));
    let mut kept: BTreeSet<&str> =
        all.iter().flat_map(|it| it.paths()).map(|path| &*path.root).collect();
    if is_wrong {
        let needs = stack.instances.values().flat_map(|it| &it.needs);
        kept.extend(needs.map(|(address, _)| address.name.as_str()));
    }
    let kinds: BTreeSet<&str> = stack.resources.values().map(|it| it.kind.as_str()).collect();
    let mut lasting: BTreeSet<&str> =
        far_kinds(kinds.iter().filter_map(|it| catalog.get(it)), catalog).into_iter().collect();
    let is_filter = |it: &&Kind| it.packets.is_some();
    lasting.extend(catalog.kinds.values().filter(is_filter).map(|it| it.kind.as_str()));
    kept.extend(
        stack.resources.iter().filter(|it| lasting.contains(&*it.1.kind)).map(|it| it.0.as_str()),
    );
    let count = |(index, address): (usize, &Address)| {
        ties.dependents.of(index).len() + usize::from(kept.contains(address.name.as_str()))
    };
    stack.instances.keys().enumerate().map(count).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::{Dependencies, readers};
    use crate::engine::address::Address;
    use crate::engine::fast_map::FastMap;
    use crate::engine::lang::model::{Gates, Instance, Lifecycle, Resource, Stack};
    use crate::engine::schema::Catalog;
    use crate::engine::text::diagnostic::Span;

    fn stack(edges: &[(usize, usize)]) -> Stack {
        let mut stack = Stack::default();
        for at in 0..8_usize {
            let address = Address::one(format!("r{at}"));
            let needs = edges.iter().filter(|(from, _)| *from == at);
            let resource = Resource {
                name: address.name.clone(),
                span: Span::default(),
                kind: String::new(),
                attributes: FastMap::default(),
                depends_on: Vec::new(),
                lifecycle: Lifecycle::default(),
                ready: None,
                gates: Gates::default(),
                timeouts: BTreeMap::default(),
                moved_from: None,
            };
            let instance = Instance {
                address: address.clone(),
                resource: resource.into(),
                each: None,
                needs: needs
                    .map(|(_, to)| (Address::one(format!("r{to}")), Span::default()))
                    .collect(),
            };
            stack.instances.insert(address, instance);
        }
        stack
    }

    proptest! {
        #[test]
        fn dependencies_lead_both_ways_and_order_follows_them(
            mut edges in proptest::collection::vec((0..8_usize, 0..9_usize), 0..16),
        ) {
            edges.sort_unstable();
            edges.dedup();
            let stack = stack(&edges);
            // What is not there has no edge.
            edges.retain(|(_, to)| *to < 8);
            let ties = Dependencies::new(&stack);
            let order = ties.order();
            let readers = readers(&stack, &Catalog::default(), &ties, false);
            let mut sorted = order.clone();
            sorted.sort_unstable();
            prop_assert_eq!(sorted, (0..8).collect::<Vec<_>>());
            let is_acyclic = edges.iter().all(|(from, to)| to < from);
            for (at, count) in readers.iter().enumerate() {
                let needs: Vec<usize> = ties.needs.of(at).iter().map(|it| *it as usize).collect();
                let dependents: Vec<usize> =
                    ties.dependents.of(at).iter().map(|it| *it as usize).collect();
                let expected = edges.iter().filter(|it| it.0 == at).map(|it| it.1);
                prop_assert_eq!(needs, expected.collect::<Vec<_>>());
                let expected: Vec<usize> = edges.iter().filter(|it| it.1 == at).map(|it| it.0).collect();
                prop_assert_eq!(*count, expected.len());
                prop_assert_eq!(dependents, expected);
            }
            if is_acyclic {
                // The order of the stack is one that follows its needs, so nothing is moved.
                prop_assert_eq!(order, (0..8).collect::<Vec<_>>());
            } else {
                let at = |it: usize| order.iter().position(|other| *other == it);
                let forward: Vec<_> = edges.iter().filter(|(from, to)| from < to).collect();
                if edges.len() == forward.len() {
                    prop_assert!(forward.iter().all(|(from, to)| at(*to) < at(*from)));
                }
            }
        }
    }
}

//! Lowers changes to steps: which calls each action is, and what every step waits for.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::address::Address;
use crate::engine::diagnostic::Diagnostic;
use crate::engine::plan::asked::Allowed;
use crate::engine::plan::asked::Intent;
use crate::engine::plan::change::{Action, Call, Step};
use crate::engine::plan::guard;
use crate::engine::plan::planned::{Planned, set_name};
use crate::engine::schema::{Attribute, Kind, Rename};
use crate::engine::value::{Attributes, Value};

/// First and last step of a chain.
type Chain = (usize, usize);

#[derive(Default)]
struct Builder {
    steps: Vec<Step>,
    /// Where an address is created, changed or awaited.
    makes: BTreeMap<Address, Chain>,
    /// Where it, or what a replace put beside, is deleted.
    deletes: BTreeMap<Address, Chain>,
    segment: usize,
}

/// The steps of all changes; refusals where no order keeps a serving set served.
pub fn steps(
    planned: &[Planned<'_>],
    allowed: &Allowed,
    intent: Intent,
) -> (Vec<Step>, Vec<Diagnostic>) {
    let mut builder = Builder::default();
    for it in planned {
        builder.lower(it);
    }
    builder.wait_for_needs(planned);
    builder.wait_for_dependents(planned);
    let mut refusals = Vec::new();
    // Where nothing is changed or deleted no set can lose anything: most plans of large stacks.
    let touches = |it: &Planned<'_>| {
        matches!(it.change.action, Action::Update | Action::Replace { .. } | Action::Delete)
    };
    if intent == Intent::Apply && planned.iter().any(touches) {
        let sets = serving_sets(planned);
        let plain: Vec<Vec<usize>> = builder.steps.iter().map(|it| it.waits.clone()).collect();
        builder.keep_serving(planned, &sets);
        builder.disrupt_one_at_a_time(planned);
        if !is_acyclic(&builder.steps) {
            for (step, waits) in builder.steps.iter_mut().zip(plain) {
                step.waits = waits;
            }
            refusals.extend(guard::no_serving_order(allowed));
        }
        refusals.extend(guard::emptied_sets(planned, &sets, allowed));
    }
    for step in &mut builder.steps {
        step.waits.sort_unstable();
        step.waits.dedup();
    }
    (builder.steps, refusals)
}

impl Builder {
    fn push(&mut self, it: &Planned<'_>, call: Call, after: Option<usize>, weight: u64) -> usize {
        let id = self.steps.len();
        self.steps.push(Step {
            id,
            address: it.change.address.clone(),
            kind: it.kind.kind.clone(),
            call,
            waits: after.into_iter().collect(),
            lane: lane(it),
            segment: self.segment,
            weight,
        });
        id
    }

    fn chain(&mut self, it: &Planned<'_>, calls: Vec<(Call, u64)>) -> Option<Chain> {
        self.segment += 1;
        let mut chain: Option<Chain> = None;
        for (call, weight) in calls {
            let id = self.push(it, call, chain.map(|(_, last)| last), weight);
            chain = Some((chain.map_or(id, |(first, _)| first), id));
        }
        chain
    }

    fn lower(&mut self, it: &Planned<'_>) {
        let address = it.change.address.clone();
        let mut make = Vec::new();
        if let Some(from) = &it.change.moved_from {
            make.push((Call::Move { from: from.clone() }, 0));
        }
        match it.change.action {
            Action::NoOp | Action::Move | Action::Adopt => {}
            Action::Create => make.extend(creation(it, None)),
            Action::Update => make.extend(update(it)),
            Action::Await => make.extend(readiness(it)),
            Action::Forget => {
                let chain = self.chain(it, vec![(Call::Forget, 0)]);
                self.deletes.extend(chain.map(|it| (address.clone(), it)));
            }
            Action::Delete | Action::Replace { create_first: false } => {
                let mut calls = if is_deposed(it) { deletion(it, true) } else { Vec::new() };
                calls.extend(deletion(it, false));
                let chain = self.chain(it, calls);
                self.deletes.extend(chain.map(|it| (address.clone(), it)));
                if it.change.action != Action::Delete {
                    make.extend(creation(it, None));
                }
            }
            Action::Replace { create_first: true } => make.extend(creation(it, temporary(it))),
        }
        let made = self.chain(it, make);
        self.makes.extend(made.map(|it| (address.clone(), it)));
        // What a replace put beside goes once nothing uses it any more, also when an earlier run was interrupted.
        let resumes = it.change.action == Action::Update && is_deposed(it);
        if resumes || it.change.action == (Action::Replace { create_first: true }) {
            let mut calls = deletion(it, true);
            if let Some((attribute, _)) = temporary(it) {
                calls.push((Call::Rename { attribute }, 1));
            }
            let chain = self.chain(it, calls);
            self.deletes.extend(chain.map(|it| (address.clone(), it)));
        }
        self.tie_replace(it);
    }

    /// Within a replace: delete then create, or create then delete.
    fn tie_replace(&mut self, it: &Planned<'_>) {
        let create_first = match it.change.action {
            Action::Replace { create_first } => create_first,
            Action::Update if is_deposed(it) => true,
            _ => return,
        };
        let make = self.makes.get(&it.change.address).copied();
        let delete = self.deletes.get(&it.change.address).copied();
        if let (Some(make), Some(delete)) = (make, delete) {
            if create_first {
                self.steps[delete.0].waits.push(make.1);
            } else {
                self.steps[make.0].waits.push(delete.1);
            }
        }
    }

    /// What is made waits for what it needs.
    fn wait_for_needs(&mut self, planned: &[Planned<'_>]) {
        for it in planned {
            let Some(make) = self.makes.get(&it.change.address).copied() else { continue };
            let Some(instance) = it.instance else { continue };
            for (need, _) in &instance.needs {
                if let Some((_, last)) = self.makes.get(need).copied() {
                    self.steps[make.0].waits.push(last);
                }
            }
        }
    }

    /// What is deleted waits until nothing depends on it any more.
    fn wait_for_dependents(&mut self, planned: &[Planned<'_>]) {
        let actions: BTreeMap<&Address, Action> =
            planned.iter().map(|it| (&it.change.address, it.change.action)).collect();
        for it in planned {
            let dependent = &it.change.address;
            for need in it.record.iter().flat_map(|it| &it.needs) {
                let Some(delete) = self.deletes.get(need).copied() else { continue };
                if let Some(theirs) = self.deletes.get(dependent).copied() {
                    self.steps[delete.0].waits.push(theirs.1);
                }
                // A replace that deletes first cannot wait for what is made from its successor.
                let deletes_first =
                    actions.get(need) == Some(&Action::Replace { create_first: false });
                if let (Some(theirs), false) = (self.makes.get(dependent).copied(), deletes_first) {
                    self.steps[delete.0].waits.push(theirs.1);
                }
            }
        }
    }

    /// Law 7: within a serving set creates and updates go before deletes, updates in a chain.
    fn keep_serving(&mut self, planned: &[Planned<'_>], sets: &BTreeMap<String, Vec<usize>>) {
        for members in sets.values() {
            let mut chained: Option<usize> = None;
            let mut made = Vec::new();
            for it in members.iter().map(|at| &planned[*at]) {
                let Some(make) = self.makes.get(&it.change.address).copied() else { continue };
                if matches!(it.change.action, Action::Update | Action::Replace { .. }) {
                    if let Some(before) = chained {
                        self.steps[make.0].waits.push(before);
                    }
                    chained = Some(make.1);
                }
                made.push(make.1);
            }
            for it in members.iter().map(|at| &planned[*at]) {
                if it.change.action != Action::Delete {
                    continue;
                }
                if let Some(delete) = self.deletes.get(&it.change.address).copied() {
                    self.steps[delete.0].waits.extend(made.iter().copied());
                }
            }
        }
    }

    /// Siblings (`web[0]`, `web[1]`) mostly serve together: what takes one out of service is done to one at a time.
    fn disrupt_one_at_a_time(&mut self, planned: &[Planned<'_>]) {
        let mut before: BTreeMap<&str, usize> = BTreeMap::new();
        for it in planned.iter().filter(|it| disrupts(it)) {
            let address = &it.change.address;
            let Some(make) = self.makes.get(address).copied() else { continue };
            let first = match it.change.action {
                Action::Replace { .. } => self.deletes.get(address).map_or(make.0, |it| it.0),
                _ => make.0,
            };
            if let Some(last) = before.insert(&address.name, make.1) {
                self.steps[first].waits.push(last);
            }
        }
    }
}

/// Whether the object does not serve for a while: replaced in place, or by an update after which it has to settle.
fn disrupts(it: &Planned<'_>) -> bool {
    let Some(rest) = it.kind.rest.as_ref().filter(|it| it.ready.is_some()) else { return false };
    let settles = |name: &str| {
        let via = it.kind.attribute(name).map(|it| it.via.as_str()).unwrap_or_default();
        rest.groups.get(via).is_some_and(|it| it.settles)
    };
    match it.change.action {
        Action::Replace { create_first } => !create_first,
        Action::Update => it.change.attributes.iter().any(|it| settles(&it.name)),
        _ => false,
    }
}

/// Indexes of the planned objects of each serving set in which something is deleted or changed.
fn serving_sets(planned: &[Planned<'_>]) -> BTreeMap<String, Vec<usize>> {
    let mut sets: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (at, it) in planned.iter().enumerate() {
        if it.kind.serving_set.is_empty() {
            continue;
        }
        let recorded = it.record.map(|it| &it.attributes);
        for attributes in [recorded, it.desired.as_ref()].into_iter().flatten() {
            let members = sets.entry(set_name(it.kind, attributes)).or_default();
            if members.last() != Some(&at) {
                members.push(at);
            }
        }
    }
    sets
}

fn lane(it: &Planned<'_>) -> Option<String> {
    if it.kind.serialise_by.is_empty() {
        return None;
    }
    let attributes = it.desired.as_ref().or(it.record.map(|it| &it.attributes))?;
    let parts: Vec<String> = it
        .kind
        .serialise_by
        .iter()
        .map(|name| attributes.get(name).map_or_else(String::new, |it| it.json().to_string()))
        .collect();
    Some(format!("{} {}", it.kind.provider, parts.join(" ")))
}

/// The attribute and value under which a replacement is made beside what it replaces.
fn temporary(it: &Planned<'_>) -> Option<(String, String)> {
    if it.kind.identity.rename != Rename::InPlace || !it.kind.identity.unique {
        return None;
    }
    let name = it.kind.identity.by.last()?;
    let Some(Value::Text(text)) = it.desired.as_ref()?.get(name) else { return None };
    let seed = format!("{} {}", it.change.address, it.change.id.as_deref().unwrap_or_default());
    let suffix = crate::engine::mark::short(&seed, 5);
    let room = it.kind.attributes.get(name).and_then(|it| it.length).map_or(64, |it| it.1);
    let kept: String = text.chars().take(room.saturating_sub(6)).collect();
    Some((name.clone(), format!("{kept}-{suffix}")))
}

fn creation(it: &Planned<'_>, temporary: Option<(String, String)>) -> Vec<(Call, u64)> {
    let mut attributes = it.desired.clone().unwrap_or_default();
    let mut label = None;
    if let Some((name, value)) = temporary {
        attributes.insert(name, Value::Text(value.clone()));
        label = Some(value);
    }
    let mut calls = vec![(Call::Create { attributes: attributes.clone(), label }, 5)];
    let join_as = it.kind.group.as_ref().and_then(|it| it.join_as.as_ref());
    let joins = join_as.is_some_and(|it| attributes.contains_key(it));
    let mut later = Vec::new();
    let afterwards = |it: &Attribute| it.after_create || (joins && it.own);
    for (name, attribute) in it.kind.settable().filter(|(_, it)| afterwards(it)) {
        let value = attributes.get(name).filter(|it| !it.is_null());
        if value.is_some_and(|value| Some(value) != attribute.default_value().as_ref()) {
            later.push(group(attribute.via.clone(), vec![name.clone()], &attributes));
        }
    }
    // What cannot be given at creation mostly cannot be given before it is ready either.
    if !later.is_empty() && it.kind.waits.ready.is_some() {
        calls.push(ready(it.kind));
    }
    calls.extend(later);
    calls.extend(readiness(it));
    calls
}

fn group(name: String, changed: Vec<String>, attributes: &Attributes) -> (Call, u64) {
    (Call::Update { group: name, changed, attributes: attributes.clone() }, 2)
}

/// One call for each group of changed attributes, in the order of the kind.
fn update(it: &Planned<'_>) -> Vec<(Call, u64)> {
    let attributes = it.desired.clone().unwrap_or_default();
    let mut groups: Vec<(String, Vec<String>)> = Vec::new();
    // The old incarnation still holds the name.
    let later = temporary(it).filter(|_| is_deposed(it)).map(|(name, _)| name);
    for (name, attribute) in it.kind.settable() {
        let changed = it.change.attributes.iter().any(|it| it.name == *name);
        if !changed || later.as_ref() == Some(name) {
            continue;
        }
        match groups.iter_mut().find(|(via, _)| *via == attribute.via) {
            Some((_, names)) => names.push(name.clone()),
            None => groups.push((attribute.via.clone(), vec![name.clone()])),
        }
    }
    let mut calls = Vec::new();
    for (via, changed) in groups {
        let rest = it.kind.rest.as_ref();
        let settles = rest.and_then(|it| it.groups.get(&via)).is_some_and(|it| it.settles);
        calls.push(group(via, changed, &attributes));
        if settles || it.kind.waits.ready.is_some() {
            calls.push(ready(it.kind));
        }
    }
    if it.not_ready {
        calls.extend(readiness(it));
    }
    calls
}

/// Whether an interrupted replace left an older incarnation.
fn is_deposed(it: &Planned<'_>) -> bool {
    it.record.is_some_and(|it| it.deposed.is_some())
}

fn ready(kind: &Kind) -> (Call, u64) {
    let rest = kind.rest.as_ref().and_then(|it| it.ready.as_ref()).map(|it| it.within_seconds);
    (Call::Ready, rest.or(kind.waits.ready.map(|it| it.within_seconds)).unwrap_or(0) / 10)
}

fn readiness(it: &Planned<'_>) -> Vec<(Call, u64)> {
    let mut calls = Vec::new();
    let has_ready = it.kind.rest.as_ref().is_some_and(|it| it.ready.is_some());
    if has_ready || it.kind.waits.ready.is_some() {
        calls.push(ready(it.kind));
    }
    if it.instance.is_some_and(|it| it.resource.ready.is_some()) {
        calls.push((Call::Gate, 30));
    }
    calls
}

fn deletion(it: &Planned<'_>, deposed: bool) -> Vec<(Call, u64)> {
    let mut calls = vec![(Call::Delete { deposed }, 2)];
    if let Some(wait) = it.kind.waits.gone {
        calls.push((Call::Gone { deposed }, wait.within_seconds / 10));
    }
    calls
}

/// Kahn's count: whether every step can be reached.
fn is_acyclic(steps: &[Step]) -> bool {
    let mut waiting: Vec<usize> =
        steps.iter().map(|it| it.waits.iter().collect::<BTreeSet<_>>().len()).collect();
    let mut dependents: Vec<Vec<usize>> = vec![Vec::new(); steps.len()];
    for step in steps {
        for wait in step.waits.iter().collect::<BTreeSet<_>>() {
            dependents[*wait].push(step.id);
        }
    }
    let mut free: Vec<usize> = (0..steps.len()).filter(|it| waiting[*it] == 0).collect();
    let mut reached = 0;
    while let Some(step) = free.pop() {
        reached += 1;
        for dependent in &dependents[step] {
            waiting[*dependent] -= 1;
            if waiting[*dependent] == 0 {
                free.push(*dependent);
            }
        }
    }
    reached == steps.len()
}

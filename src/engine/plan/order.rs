//! Lowers changes to steps: which calls each action is, and what every step waits for.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::address::Address;
use crate::engine::diagnostic::Diagnostic;
use crate::engine::plan::asked::Allowed;
use crate::engine::plan::asked::Intent;
use crate::engine::plan::change::{Action, Call, Directs, Step};
use crate::engine::plan::cycle::{self, Rule, Rules};
use crate::engine::plan::guard;
use crate::engine::plan::lowering::{
    creation, deletion, disrupts, lane, readiness, temporary, update,
};
use crate::engine::plan::planned::{Planned, is_deposed, set_name};
use crate::engine::plan::traffic::{Direction, Replicating};

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
    rules: Rules,
}

/// What the order of steps has to keep to besides dependencies.
pub(super) struct Course<'a> {
    pub allowed: &'a Allowed,
    pub intent: Intent,
    pub directions: &'a [Direction],
    /// What nobody is directed to any more when the plan is carried out.
    pub left: &'a BTreeSet<Address>,
    /// Members of groups at which a written item has to arrive before users are directed.
    pub replicating: &'a [Replicating],
}

impl Course<'_> {
    /// What users were directed to until now, where something of what they are directed to goes.
    fn left_while_shrinking(&self) -> BTreeSet<&Address> {
        if self.directions.iter().all(|it| it.shrinks.is_empty()) {
            return BTreeSet::new();
        }
        self.directions.iter().flat_map(|it| &it.old).collect()
    }
}

/// The steps of all changes; refusals where no order keeps users served.
pub(super) fn steps(planned: &[Planned<'_>], course: &Course<'_>) -> (Vec<Step>, Vec<Diagnostic>) {
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
    if course.intent == Intent::Apply {
        let plain: Vec<Vec<usize>> = builder.steps.iter().map(|it| it.waits.clone()).collect();
        builder.direct(planned, course);
        if planned.iter().any(touches) {
            let sets = serving_sets(planned);
            builder.keep_serving(planned, &sets);
            builder.disrupt_one_at_a_time(planned);
            refusals.extend(guard::emptied_sets(planned, &sets, course.allowed, course.left));
        }
        refusals.extend(builder.break_cycle(&plain, course.allowed));
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
            directs: None,
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
                        self.derive(make.0, before, Rule::Set);
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
                    for it in &made {
                        self.derive(delete.0, *it, Rule::Set);
                    }
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
                self.derive(first, last, Rule::Sibling);
            }
        }
    }

    /// A wait that no dependency asks for.
    fn derive(&mut self, step: usize, wait: usize, rule: Rule) {
        if step != wait && !self.steps[step].waits.contains(&wait) {
            self.steps[step].waits.push(wait);
            self.rules.insert((step, wait), rule);
        }
    }

    /// Where rules contradict dependencies, the plan is refused; its steps are shown in the order of dependencies.
    fn break_cycle(&mut self, plain: &[Vec<usize>], allowed: &Allowed) -> Option<Diagnostic> {
        let cycle = cycle::find(&self.steps)?;
        let told = cycle::tell(&self.steps, &cycle, &self.rules);
        self.steps.truncate(plain.len());
        for (step, waits) in self.steps.iter_mut().zip(plain) {
            step.waits.clone_from(waits);
        }
        guard::no_serving_order(allowed, &told)
    }

    /// Traffic moves last: to what serves, and what served before stays until nobody comes any more.
    fn direct(&mut self, planned: &[Planned<'_>], course: &Course<'_>) {
        if course.directions.is_empty() {
            return;
        }
        let actions: BTreeMap<&Address, &Planned<'_>> =
            planned.iter().map(|it| (&it.change.address, it)).collect();
        let frontiers = self.frontiers(planned);
        let moves = |it: &&Direction| it.drain_seconds.is_some() && it.until.is_none();
        let replicating =
            course.replicating.iter().filter(|_| course.directions.iter().any(|it| moves(&it)));
        let replicated: Vec<usize> = replicating
            .filter_map(|it| {
                let planned = actions.get(&it.to)?;
                let id = self.gate(planned, Call::Replication { from: it.from.clone() }, 5);
                let made = [&it.to, &it.from].map(|it| self.makes.get(it).map(|it| it.1));
                for made in made.into_iter().flatten() {
                    self.derive(id, made, Rule::Serve);
                }
                Some(id)
            })
            .collect();
        let left = course.left_while_shrinking();
        for direction in course.directions {
            let Some(it) = actions.get(&direction.address) else { continue };
            let chains = if direction.withdraws { &self.deletes } else { &self.makes };
            let moves = chains.get(&direction.address).copied();
            let moves = moves.filter(|_| direction.until.is_none());
            if let Some((first, _)) = moves {
                let mut waits: BTreeSet<usize> = direction
                    .serving
                    .iter()
                    .filter_map(|it| frontiers.get(it))
                    .flatten()
                    .copied()
                    .collect();
                // What serves only until it is deleted must not open the gate; what others still come to goes later.
                let goes = direction.shrinks.iter().filter(|it| !left.contains(it));
                waits.extend(goes.filter_map(|it| self.deletes.get(it)).map(|it| it.1));
                if direction.drain_seconds.is_some() {
                    waits.extend(&replicated);
                }
                if let Some(of) = &direction.gate {
                    let gate = self.gate(it, Call::Serving { of: of.clone() }, 30);
                    for wait in &waits {
                        self.derive(gate, *wait, Rule::Serve);
                    }
                    waits = BTreeSet::from([gate]);
                }
                for wait in &waits {
                    self.derive(first, *wait, Rule::Serve);
                }
            }
            if let (Some((first, _)), Some(seconds)) = (moves, direction.drain_seconds) {
                let was = direction.old_roots.clone();
                self.steps[first].directs =
                    Some(Directs { was, seconds, ttl: direction.ttl_seconds });
            }
            self.keep_old(it, direction, moves.map(|(_, last)| last), &actions);
        }
    }

    /// Deletions and weakenings behind the old target wait until traffic has moved and drained.
    fn keep_old(
        &mut self,
        it: &Planned<'_>,
        direction: &Direction,
        moved: Option<usize>,
        actions: &BTreeMap<&Address, &Planned<'_>>,
    ) {
        let waiting: Vec<usize> = direction
            .old
            .iter()
            .filter_map(|address| {
                let theirs = actions.get(address)?;
                weakens(theirs, direction).then_some(())?;
                let deletes = theirs.change.action.destroys() || is_deposed(theirs);
                let chains = if deletes { &self.deletes } else { &self.makes };
                chains.get(address).map(|it| it.0)
            })
            .collect();
        if waiting.is_empty() || (moved.is_none() && direction.until.is_none()) {
            return;
        }
        let last = match (direction.drain_seconds, direction.until) {
            (Some(seconds), until) if seconds > 0 || until.is_some() => {
                let drain = self.gate(it, Call::Drain { seconds, until }, seconds.max(1));
                if let Some(moved) = moved {
                    self.derive(drain, moved, Rule::Drain);
                }
                Some(drain)
            }
            _ => moved,
        };
        for step in waiting {
            if let Some(last) = last {
                self.derive(step, last, Rule::Drain);
            }
        }
    }

    fn gate(&mut self, it: &Planned<'_>, call: Call, weight: u64) -> usize {
        self.segment += 1;
        let id = self.push(it, call, None, weight);
        self.steps[id].lane = None;
        id
    }

    /// The last steps after which an address and all that it needs is there, past what has no steps of its own.
    fn frontiers(&self, planned: &[Planned<'_>]) -> BTreeMap<Address, BTreeSet<usize>> {
        let mut frontiers: BTreeMap<Address, BTreeSet<usize>> = BTreeMap::new();
        for it in planned {
            let own = self.makes.get(&it.change.address).map(|it| it.1);
            let mut frontier: BTreeSet<usize> = own.into_iter().collect();
            for (need, _) in it.instance.iter().flat_map(|it| &it.needs) {
                match self.makes.get(need) {
                    Some((_, last)) if own.is_none() => frontier.extend([*last]),
                    Some(_) => {}
                    None => frontier.extend(frontiers.get(need).into_iter().flatten()),
                }
            }
            if !frontier.is_empty() {
                frontiers.insert(it.change.address.clone(), frontier);
            }
        }
        frontiers
    }
}

/// Whether a change takes something from what serves behind the old target.
pub(super) fn weakens(it: &Planned<'_>, direction: &Direction) -> bool {
    let address = &it.change.address;
    let shared = direction.new.contains(address);
    match it.change.action {
        Action::Delete | Action::Replace { create_first: true } => true,
        // Its successor is what users are directed to: without create_before_destroy nothing serves between the two.
        Action::Replace { .. } if shared => {
            direction.drain_seconds.is_some() && direction.old_roots.contains(address)
        }
        Action::Replace { .. } => true,
        // An interrupted replace is finished: the old one still serves.
        Action::Update if is_deposed(it) => true,
        Action::Update => {
            let directs = it.change.attributes.iter().any(|changed| it.kind.directs(&changed.name));
            !shared && (directs || disrupts(it))
        }
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
        for attributes in [recorded, it.desired.as_deref()].into_iter().flatten() {
            let members = sets.entry(set_name(it.kind, attributes)).or_default();
            if members.last() != Some(&at) {
                members.push(at);
            }
        }
    }
    sets
}

//! Lowers changes to steps: which calls each action is, and what every step waits for.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::address::Address;
use crate::engine::plan::guard::rules;
use crate::engine::plan::model::change::{Action, Step, StepCall, TrafficShift};
use crate::engine::plan::model::options::Allowances;
use crate::engine::plan::model::options::Intent;
use crate::engine::plan::model::planned_change::{PlannedChange, is_deposed};
use crate::engine::plan::steps::cycle::{self, OrderingRule};
use crate::engine::plan::steps::lower::disrupts;
use crate::engine::plan::steps::rolling::{Rolling, disturbs};
use crate::engine::plan::steps::step_builder::StepBuilder;
use crate::engine::plan::traffic::serving::{emptied_sets, serving_sets};
use crate::engine::plan::traffic::shifts::{Replicating, ShiftDirection};
use crate::engine::schema::Catalog;
use crate::engine::text::diagnostic::Diagnostic;

/// What the order of steps has to keep to besides dependencies.
pub struct OrderingConstraints<'a> {
    pub catalog: &'a Catalog,
    pub allowed: &'a Allowances,
    pub intent: Intent,
    pub directions: &'a [ShiftDirection],
    /// What nobody is directed to any more when the plan is carried out.
    pub left: &'a BTreeSet<Address>,
    /// Members of groups at which a written item has to arrive before users are directed.
    pub replicating: &'a [Replicating],
}

impl OrderingConstraints<'_> {
    /// What users were directed to until now, where something of what they are directed to goes.
    fn left_while_shrinking(&self) -> BTreeSet<&Address> {
        if self.directions.iter().all(|it| it.shrinks.is_empty()) {
            return BTreeSet::new();
        }
        self.directions.iter().flat_map(|it| &it.old).collect()
    }
}

/// The steps of all changes; refusals where no order keeps users served.
pub fn steps(
    planned: &[PlannedChange<'_>],
    course: &OrderingConstraints<'_>,
) -> (Vec<Step>, Vec<Diagnostic>) {
    let mut builder = StepBuilder::default();
    for it in planned {
        builder.lower(it);
    }
    builder.wait_for_needs(planned);
    builder.wait_for_dependents(planned);
    let mut refusals = Vec::new();
    // Where nothing is changed or deleted no set can lose anything: most plans of large stacks.
    let touches = |it: &PlannedChange<'_>| {
        matches!(it.change.action, Action::Update | Action::Replace { .. } | Action::Delete)
    };
    if course.intent == Intent::Apply {
        let any = planned.iter().any(touches);
        if any {
            refusals.extend(builder.release_before_take(planned));
        }
        refusals.extend(builder.part_excluded(planned));
        let plain: Vec<Vec<usize>> = builder.steps.iter().map(|it| it.waits.clone()).collect();
        builder.order_traffic_shifts(planned, course);
        if any {
            let sets = serving_sets(planned);
            if planned.iter().any(disturbs) {
                let rolling = Rolling::new(course.catalog, planned);
                let mut gates = BTreeMap::new();
                builder.keep_serving(&rolling, &sets, &mut gates);
                builder.disturb_one_at_a_time(&rolling, &gates);
            }
            refusals.extend(emptied_sets(planned, &sets, course.allowed, course.left));
        }
        builder.close_gaps();
        refusals.extend(builder.break_cycle(&plain, course.allowed));
    }
    for step in &mut builder.steps {
        step.waits.sort_unstable();
        step.waits.dedup();
    }
    (builder.steps, refusals)
}

impl StepBuilder {
    /// Where rules contradict dependencies, the plan is refused; its steps are shown in the order of dependencies.
    fn break_cycle(&mut self, plain: &[Vec<usize>], allowed: &Allowances) -> Option<Diagnostic> {
        let cycle = cycle::find(&self.steps)?;
        let told = cycle::tell(&self.steps, &cycle, &self.rules);
        self.steps.truncate(plain.len());
        for (step, waits) in self.steps.iter_mut().zip(plain) {
            step.waits.clone_from(waits);
        }
        rules::no_serving_order(allowed, &told)
    }

    /// Traffic moves last: to what serves, and what served before stays until nobody comes any more.
    fn order_traffic_shifts(
        &mut self,
        planned: &[PlannedChange<'_>],
        course: &OrderingConstraints<'_>,
    ) {
        if course.directions.is_empty() {
            return;
        }
        let actions: BTreeMap<&Address, &PlannedChange<'_>> =
            planned.iter().map(|it| (&it.change.address, it)).collect();
        let frontiers = self.frontiers(planned);
        let moves = |it: &&ShiftDirection| it.drain_seconds.is_some() && it.until.is_none();
        let replicating =
            course.replicating.iter().filter(|_| course.directions.iter().any(|it| moves(&it)));
        let replicated: Vec<usize> = replicating
            .filter_map(|it| {
                let planned = actions.get(&it.to)?;
                let id = self.gate(planned, StepCall::Replication { from: it.from.clone() }, 5);
                let made = [&it.to, &it.from].map(|it| self.makes.get(it).map(|it| it.1));
                for made in made.into_iter().flatten() {
                    self.derive(id, made, OrderingRule::Serve);
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
                    let gate = self.gate(it, StepCall::Serving { of: of.clone() }, 30);
                    for wait in &waits {
                        self.derive(gate, *wait, OrderingRule::Serve);
                    }
                    waits = BTreeSet::from([gate]);
                }
                for wait in &waits {
                    self.derive(first, *wait, OrderingRule::Serve);
                }
            }
            if let (Some((first, _)), Some(seconds)) = (moves, direction.drain_seconds) {
                let was = direction.old_roots.clone();
                self.steps[first].shift =
                    Some(TrafficShift { was, seconds, ttl: direction.ttl_seconds });
            }
            self.keep_old_closure(it, direction, moves.map(|(_, last)| last), &actions);
        }
    }

    /// Deletions and weakenings behind the old target wait until traffic has moved and drained.
    fn keep_old_closure(
        &mut self,
        it: &PlannedChange<'_>,
        direction: &ShiftDirection,
        moved: Option<usize>,
        actions: &BTreeMap<&Address, &PlannedChange<'_>>,
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
                let drain = self.gate(it, StepCall::Drain { seconds, until }, seconds.max(1));
                if let Some(moved) = moved {
                    self.derive(drain, moved, OrderingRule::Drain);
                }
                Some(drain)
            }
            _ => moved,
        };
        for step in waiting {
            if let Some(last) = last {
                self.derive(step, last, OrderingRule::Drain);
            }
        }
    }

    /// The last steps after which an address and all that it needs is there, past what has no steps of its own.
    fn frontiers(&self, planned: &[PlannedChange<'_>]) -> BTreeMap<Address, BTreeSet<usize>> {
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
pub fn weakens(it: &PlannedChange<'_>, direction: &ShiftDirection) -> bool {
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

//! Lowers changes to steps: which calls each action is, and what every step waits for.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::address::Address;
use crate::engine::lang::model::Stack;
use crate::engine::plan::guard::rules;
use crate::engine::plan::model::change::{Action, Step, StepCall, TrafficShift};
use crate::engine::plan::model::options::Allowances;
use crate::engine::plan::model::options::Intent;
use crate::engine::plan::model::planned_change::{PlannedChange, is_deposed};
use crate::engine::plan::model::planned_task::PlannedTask;
use crate::engine::plan::steps::after_users::takings_after_users;
use crate::engine::plan::steps::cycle::{self, OrderingRule};
use crate::engine::plan::steps::lower::disrupts;
use crate::engine::plan::steps::quorum::TargetQuorum;
use crate::engine::plan::steps::rolling::{Rolling, disturbs};
use crate::engine::plan::steps::step_builder::StepBuilder;
use crate::engine::plan::traffic::serving::{ServingView, emptied_sets, serving_sets};
use crate::engine::plan::traffic::shifts::{Replicating, ShiftDirection};
use crate::engine::schema::Catalog;
use crate::engine::text::codes::DiagnosticCode;
use crate::engine::text::diagnostic::Diagnostic;

/// What the order of steps has to keep to besides dependencies.
pub struct OrderingConstraints<'a> {
    pub catalog: &'a Catalog,
    pub stack: &'a Stack,
    pub allowed: &'a Allowances,
    pub intent: Intent,
    pub directions: &'a [ShiftDirection],
    /// What nobody is directed to any more when the plan is carried out.
    pub left: &'a BTreeSet<Address>,
    /// Members of groups between which a written item has to arrive before users are directed.
    pub replicating: &'a [Replicating],
    /// What a switch does beside that.
    pub tasks: &'a [PlannedTask],
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
        let cycle = builder.break_cycle(&plain, course.allowed);
        // Two that want each other's names wait for each other, and an outage would not help them.
        if refusals.iter().all(|it| it.code != DiagnosticCode::Exchange) {
            refusals.extend(cycle);
        }
        if !course.tasks.is_empty() {
            refusals.extend(builder.place_tasks(course.tasks, course.stack));
        }
    } else {
        builder.take_back_first(course.tasks);
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
            step.quorums.clear();
        }
        rules::no_serving_order(allowed, &told)
    }

    /// Law 7: users are directed only to what serves, and what served them stays until nobody comes any more. For each shift:
    ///
    /// 1. what it directs users to is there, of its backends as many as its quorum asks for, and what is taken out of that is
    ///    gone, unless the rest reaches the quorum without it;
    /// 2. items that are written to a group arrive at its members;
    /// 3. the gate of the new target is open;
    /// 4. users are directed;
    /// 5. the old way is drained;
    /// 6. what stands behind the old target is deleted or weakened, and what users can do without behind the new one.
    fn order_traffic_shifts(
        &mut self,
        planned: &[PlannedChange<'_>],
        course: &OrderingConstraints<'_>,
    ) {
        if course.directions.is_empty() {
            return;
        }
        let changes: BTreeMap<&Address, &PlannedChange<'_>> =
            planned.iter().map(|it| (&it.change.address, it)).collect();
        let frontiers = self.frontiers(planned);
        let view = ServingView::new(planned);
        let replicated = self.replication_gates(course, &changes);
        let still_used = course.left_while_shrinking();
        let after_users = takings_after_users(
            self,
            (course.stack, course.tasks),
            course.directions,
            &view,
            &frontiers,
        );
        for direction in course.directions {
            let Some(directing) = changes.get(&direction.address) else { continue };
            let shift = self.shift_of(direction);
            if let Some((first, last)) = shift {
                let quorum = self.target_quorum(course.stack, direction, &view, &frontiers);
                let mut ready = self.target_is_there(direction, &quorum, &frontiers, &still_used);
                if let Some(takings) = after_users.get(&direction.address) {
                    ready.retain(|it| !takings.contains(&self.steps[*it].address));
                    self.follow_users(last, takings);
                }
                if direction.drain_seconds.is_some() {
                    ready.extend(&replicated);
                }
                self.direct_users(directing, direction, first, (ready, quorum));
            }
            let directed = shift.map(|(_, last)| last);
            self.keep_old_closure(directing, direction, directed, &changes);
        }
    }

    /// The first and last step of this plan that direct users so; `None`: an earlier run has done it, or nothing changes.
    pub fn shift_of(&self, direction: &ShiftDirection) -> Option<(usize, usize)> {
        let steps = if direction.withdraws { &self.deletes } else { &self.makes };
        steps.get(&direction.address).copied().filter(|_| direction.until.is_none())
    }

    /// A gate for each member of a group at which items have to arrive, behind the steps that make the members; none where
    /// this plan directs nobody.
    fn replication_gates(
        &mut self,
        course: &OrderingConstraints<'_>,
        changes: &BTreeMap<&Address, &PlannedChange<'_>>,
    ) -> Vec<usize> {
        let directs = |it: &ShiftDirection| it.drain_seconds.is_some() && it.until.is_none();
        if !course.directions.iter().any(directs) {
            return Vec::new();
        }
        let mut gates = Vec::new();
        for Replicating { gated, other, back } in course.replicating {
            let Some(member) = changes.get(gated) else { continue };
            let call = StepCall::Replication { from: other.clone(), back: *back };
            let gate = self.gate(member, call, 5);
            for member in [gated, other] {
                if let Some((_, made)) = self.makes.get(member).copied() {
                    self.derive(gate, made, OrderingRule::Serve);
                }
            }
            gates.push(gate);
        }
        gates
    }

    /// The steps after which the new target stands: what it contains is made, unless it may follow its users, and what serves only until it is deleted is
    /// gone, so that it cannot open the gate. What others still come to goes later.
    fn target_is_there(
        &self,
        direction: &ShiftDirection,
        quorum: &TargetQuorum,
        frontiers: &BTreeMap<Address, BTreeSet<usize>>,
        still_used: &BTreeSet<&Address>,
    ) -> BTreeSet<usize> {
        let follows = |it: &Address| quorum.may_follow.contains(it);
        let own: BTreeSet<usize> = direction
            .serving
            .iter()
            .filter(|it| follows(it))
            .filter_map(|it| Some(self.makes.get(it)?.1))
            .collect();
        // Beside its own step a backend may stand behind others, through what does not change; those are waited for.
        let made = direction.serving.iter().filter_map(|it| frontiers.get(it)).flatten().copied();
        let made = made.filter(|it| !own.contains(it));
        let goes = direction.shrinks.iter().filter(|it| !still_used.contains(it));
        made.chain(goes.filter_map(|it| Some(self.deletes.get(it)?.1))).collect()
    }

    /// Users are directed by this step when those have ended and, where there is one, the gate behind them is open.
    fn direct_users(
        &mut self,
        directing: &PlannedChange<'_>,
        direction: &ShiftDirection,
        shift: usize,
        (ready, quorum): (BTreeSet<usize>, TargetQuorum),
    ) {
        let (mut serves, of) = (quorum.serves, &direction.checked);
        serves.retain(|it, _| of.contains(it));
        let health = StepCall::Serving { of: of.clone(), serves, probe: 0 };
        let health = (!of.is_empty()).then_some((health, BTreeSet::new()));
        // A probe of its own may read whatever the record needs.
        let needs = directing.instance.iter().flat_map(|it| &it.needs);
        let read: BTreeSet<usize> =
            needs.filter_map(|(need, _)| Some(self.makes.get(need)?.1)).collect();
        let probe = |probe| StepCall::Serving { of: Vec::new(), serves: BTreeMap::new(), probe };
        let probes = (0..direction.probes).map(|it| (probe(it), read.clone()));
        let calls: Vec<(StepCall, BTreeSet<usize>)> = health.into_iter().chain(probes).collect();
        if calls.is_empty() {
            self.steps[shift].quorums.extend(quorum.waits);
            for step in ready {
                self.derive(shift, step, OrderingRule::Serve);
            }
        } else {
            for (call, read) in calls {
                let gate = self.gate(directing, call, 30);
                for step in ready.union(&read) {
                    self.derive(gate, *step, OrderingRule::Serve);
                }
                self.steps[gate].quorums.clone_from(&quorum.waits);
                self.derive(shift, gate, OrderingRule::Serve);
            }
        }
        if let Some(seconds) = direction.drain_seconds {
            let (was, ttl) = (direction.old_roots.clone(), direction.ttl_seconds);
            self.steps[shift].shift = Some(TrafficShift { was, seconds, ttl });
        }
    }

    /// Deletions and weakenings behind the old target wait until users were directed away from it and the old way is drained;
    /// `directed` is the last step that does the first.
    fn keep_old_closure(
        &mut self,
        directing: &PlannedChange<'_>,
        direction: &ShiftDirection,
        directed: Option<usize>,
        changes: &BTreeMap<&Address, &PlannedChange<'_>>,
    ) {
        let nobody_moves = directed.is_none() && direction.until.is_none();
        let waiting = self.weakening_steps(direction, changes);
        if waiting.is_empty() || nobody_moves {
            return;
        }
        let is_remembered = |it: &u64| *it > 0 || direction.until.is_some();
        let nobody_comes = match direction.drain_seconds.filter(is_remembered) {
            Some(seconds) => {
                let drain = StepCall::Drain { seconds, until: direction.until };
                let drain = self.gate(directing, drain, seconds.max(1));
                if let Some(directed) = directed {
                    self.derive(drain, directed, OrderingRule::Drain);
                }
                Some(drain)
            }
            None => directed,
        };
        let Some(nobody_comes) = nobody_comes else { return };
        for step in waiting {
            self.derive(step, nobody_comes, OrderingRule::Drain);
        }
    }

    /// The first step of each change that takes something from what serves behind the old target.
    fn weakening_steps(
        &self,
        direction: &ShiftDirection,
        changes: &BTreeMap<&Address, &PlannedChange<'_>>,
    ) -> Vec<usize> {
        let weakening = direction.old.iter().filter_map(|it| changes.get(it));
        let weakening = weakening.filter(|it| weakens(it, direction));
        let first = weakening.filter_map(|it| {
            let deletes = it.change.action.destroys() || is_deposed(it);
            let steps = if deletes { &self.deletes } else { &self.makes };
            Some(steps.get(&it.change.address)?.0)
        });
        first.collect()
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

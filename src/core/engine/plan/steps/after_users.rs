//! Which changes that take a backend away come after the users: those without which its quorum serves all the same.
//!
//! DESIGN, *Quorum first*: what takes a counted backend away (resize, rebuild, replace, delete) goes before the shift if the rest
//! would fall under the quorum, after it one at a time otherwise. Those of one target stay together: the next sibling waits for
//! the last one, and with one of them on either side of the shift nobody would ever be directed.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::address::Address;
use crate::engine::lang::model::Stack;
use crate::engine::plan::model::planned_change::PlannedChange;
use crate::engine::plan::model::planned_task::PlannedTask;
use crate::engine::plan::steps::cycle::OrderingRule;
use crate::engine::plan::steps::lower::disrupts;
use crate::engine::plan::steps::quorum::{backends, is_backend};
use crate::engine::plan::steps::rolling::is_moved;
use crate::engine::plan::steps::step_builder::StepBuilder;
use crate::engine::plan::traffic::serving::ServingView;
use crate::engine::plan::traffic::shifts::ShiftDirection;

/// What takes backends away of one target.
#[derive(Debug)]
struct Takings {
    of: BTreeSet<Address>,
    /// The quorum serves without those that one of them takes away.
    may_follow: bool,
}

/// What is taken away only when users have come, by the shift that directs them.
pub type AfterUsers = BTreeMap<Address, BTreeSet<Address>>;

/// The changes that wait for users to come, by the record that directs these.
pub fn takings_after_users(
    builder: &StepBuilder,
    (stack, tasks): (&Stack, &[PlannedTask]),
    directions: &[ShiftDirection],
    view: &ServingView<'_, '_>,
    frontiers: &BTreeMap<Address, BTreeSet<usize>>,
) -> AfterUsers {
    let shifts = directions.iter().filter(|it| builder.shift_of(it).is_some());
    let takings: Vec<(&ShiftDirection, Takings)> =
        shifts.map(|it| (it, takings(stack, it, view))).collect();
    let named_by_tasks: BTreeSet<&Address> = tasks.iter().flat_map(|it| &it.after).collect();
    let waited_for = |(direction, own): &(&ShiftDirection, Takings)| {
        !own.may_follow
            || own.of.iter().any(|it| named_by_tasks.contains(it))
            || builder.needs_any(direction, &own.of, frontiers)
    };
    let mut held: BTreeSet<&Address> =
        takings.iter().filter(|it| waited_for(it)).flat_map(|(_, it)| &it.of).collect();
    loop {
        let beside = |it: &&(&ShiftDirection, Takings)| it.1.of.iter().any(|it| held.contains(it));
        let more: BTreeSet<&Address> =
            takings.iter().filter(beside).flat_map(|(_, it)| &it.of).collect();
        if more.is_subset(&held) {
            let follow = takings.iter().filter(|(_, it)| it.of.iter().all(|it| !held.contains(it)));
            return follow
                .map(|(direction, it)| (direction.address.clone(), it.of.clone()))
                .collect();
        }
        held.extend(more);
    }
}

fn takings(stack: &Stack, direction: &ShiftDirection, view: &ServingView<'_, '_>) -> Takings {
    let mut of = direction.shrinks.clone();
    let mut reached = true;
    let groups = backends(stack, &direction.serving, view);
    for members in groups.values() {
        let needed = direction.quorum.of(members.len()).max(1);
        let counted = members.iter().filter(|it| view.before(it));
        let counted: Vec<&PlannedChange<'_>> = counted.copied().collect();
        let mut here: BTreeMap<&Address, usize> = BTreeMap::new();
        for member in &counted {
            for taker in takers(member, direction, view) {
                *here.entry(taker).or_default() += 1;
            }
        }
        of.extend(here.keys().map(|it| (*it).clone()));
        let most = here.values().copied().max().unwrap_or_default();
        reached &= counted.len().saturating_sub(most) >= needed;
    }
    // A config that goes is no backend.
    let is_backend = |it: &Address| view.get(it).is_some_and(|it| is_backend(it.kind));
    reached &= direction.shrinks.iter().all(is_backend);
    Takings { of, may_follow: reached && !groups.is_empty() }
}

/// What takes a backend away for a while: its own change, or that of what it depends on behind the target.
fn takers<'a, 'b>(
    member: &'a PlannedChange<'b>,
    direction: &ShiftDirection,
    view: &ServingView<'a, 'b>,
) -> BTreeSet<&'a Address> {
    let mut found = BTreeSet::new();
    let mut met: BTreeSet<&Address> = BTreeSet::new();
    let mut todo = vec![member];
    while let Some(it) = todo.pop() {
        let address = &it.change.address;
        let is_own = *address == member.change.address;
        if !met.insert(address) || (!is_own && direction.serving.contains(address)) {
            continue;
        }
        if disrupts(it) || (is_own && is_moved(it)) {
            found.insert(address);
        }
        let needs = it.instance.iter().flat_map(|it| &it.needs);
        todo.extend(needs.filter_map(|(need, _)| view.get(need)));
    }
    found
}

impl StepBuilder {
    /// Whether what a shift waits for anyway waits for one of these itself.
    fn needs_any(
        &self,
        direction: &ShiftDirection,
        of: &BTreeSet<Address>,
        frontiers: &BTreeMap<Address, BTreeSet<usize>>,
    ) -> bool {
        let theirs = |step: &usize| of.contains(&self.steps[*step].address);
        let behind = direction.serving.iter().filter_map(|it| frontiers.get(it)).flatten().copied();
        let own = self.shift_of(direction).map(|it| it.0);
        let mut todo: Vec<usize> = behind.filter(|it| !theirs(it)).chain(own).collect();
        let mut met = BTreeSet::new();
        while let Some(step) = todo.pop() {
            if theirs(&step) {
                return true;
            }
            if met.insert(step) {
                todo.extend(self.steps[step].before());
            }
        }
        false
    }

    /// Takes these away only when users were directed so, and deletes one of them after another.
    pub fn follow_users(&mut self, directed: usize, takings: &BTreeSet<Address>) {
        let mut last = directed;
        for address in takings {
            let (made, gone) =
                (self.makes.get(address).copied(), self.deletes.get(address).copied());
            match (made, gone) {
                (None, Some((first, end))) => {
                    self.derive(first, last, OrderingRule::Follow);
                    last = end;
                }
                (Some((first, _)), gone) => {
                    // A replacement in place begins with what it deletes.
                    let first = gone.map_or(first, |it| it.0.min(first));
                    self.derive(first, directed, OrderingRule::Follow);
                }
                (None, None) => {}
            }
        }
    }
}

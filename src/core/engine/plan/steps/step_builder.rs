//! Steps in the making: lowers each change to its chain of calls, and says what dependencies make each wait for.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::address::Address;
use crate::engine::plan::model::change::{Action, Step, StepCall};
use crate::engine::plan::model::planned_change::{PlannedChange, is_deposed};
use crate::engine::plan::steps::cycle::{OrderingRule, OrderingRules};
use crate::engine::plan::steps::lower::{creation, deletion, lane, readiness, temporary, update};

/// First and last step of a chain.
pub type Chain = (usize, usize);

/// Collects the steps of a plan and what each of them waits for.
#[derive(Default)]
pub struct StepBuilder {
    pub steps: Vec<Step>,
    /// Where an address is created, changed or awaited.
    pub makes: BTreeMap<Address, Chain>,
    /// Where it, or what a replace put beside, is deleted.
    pub deletes: BTreeMap<Address, Chain>,
    segment: usize,
    pub rules: OrderingRules,
    /// Deletions after which at once something is made that could not stand beside: first step → first step.
    pub exclusive: BTreeSet<Chain>,
    /// Where something goes under a temporary name before it takes its new one.
    pub aside: BTreeMap<Address, usize>,
}

impl StepBuilder {
    /// Adds one step and returns its id. `weight` is the expected duration in seconds.
    pub fn push(
        &mut self,
        it: &PlannedChange<'_>,
        call: StepCall,
        after: Option<usize>,
        weight: u64,
    ) -> usize {
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
            shift: None,
            quorums: Vec::new(),
        });
        id
    }

    /// Adds calls, each with its expected seconds, that run one after another; `None` if there are none.
    pub fn chain(&mut self, it: &PlannedChange<'_>, calls: Vec<(StepCall, u64)>) -> Option<Chain> {
        self.segment += 1;
        let mut chain: Option<Chain> = None;
        for (call, weight) in calls {
            let id = self.push(it, call, chain.map(|(_, last)| last), weight);
            chain = Some((chain.map_or(id, |(first, _)| first), id));
        }
        chain
    }

    /// Adds the steps of one change.
    pub fn lower(&mut self, it: &PlannedChange<'_>) {
        let address = it.change.address.clone();
        let mut make = Vec::new();
        if let Some(from) = &it.change.moved_from {
            make.push((StepCall::Move { from: from.clone() }, 0));
        }
        match it.change.action {
            Action::NoOp | Action::Move | Action::Adopt => {}
            Action::Create => make.extend(creation(it, None)),
            Action::Update => make.extend(update(it)),
            Action::Await => make.extend(readiness(it)),
            Action::Forget => {
                let chain = self.chain(it, vec![(StepCall::Forget, 0)]);
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
                calls.push((StepCall::Rename { attribute, to: None }, 1));
            }
            let chain = self.chain(it, calls);
            self.deletes.extend(chain.map(|it| (address.clone(), it)));
        }
        self.tie_replace(it);
    }

    /// Within a replace: delete then create, or create then delete.
    fn tie_replace(&mut self, it: &PlannedChange<'_>) {
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
    pub fn wait_for_needs(&mut self, planned: &[PlannedChange<'_>]) {
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
    pub fn wait_for_dependents(&mut self, planned: &[PlannedChange<'_>]) {
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

    /// A wait that no dependency asks for.
    pub fn derive(&mut self, step: usize, wait: usize, rule: OrderingRule) {
        if step != wait && !self.steps[step].waits.contains(&wait) {
            self.steps[step].waits.push(wait);
            self.rules.insert((step, wait), rule);
        }
    }

    /// A segment of its own.
    pub fn next_segment(&mut self) -> usize {
        self.segment += 1;
        self.segment
    }

    /// Adds a wait that is part of no chain. `weight` is its expected duration in seconds.
    pub fn gate(&mut self, it: &PlannedChange<'_>, call: StepCall, weight: u64) -> usize {
        self.segment += 1;
        let id = self.push(it, call, None, weight);
        self.steps[id].lane = None;
        id
    }
}

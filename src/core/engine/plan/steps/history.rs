//! The history that a plan gives each object: which versions of it there are, from which steps on, and what takes them away.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use crate::engine::address::Address;
use crate::engine::containment::container_kind;
use crate::engine::lang::model::Stack;
use crate::engine::plan::model::change::{Action, Change, DeferReason, Step, StepCall};
use crate::engine::plan::model::planned_change::{excludes, set_name};
use crate::engine::plan::model::planned_task::PlannedTask;
use crate::engine::plan::traffic::serving::lets_serve;
use crate::engine::schema::{Catalog, Kind};
use crate::engine::state::record::{Record, State};
use crate::engine::value::{Attributes, Value};

/// A plan, and what it is checked against.
#[derive(Clone, Copy)]
pub struct Checked<'a> {
    pub catalog: &'a Catalog,
    pub stack: &'a Stack,
    pub state: Option<&'a State>,
    pub changes: &'a [Change],
    pub steps: &'a [Step],
    pub tasks: &'a [PlannedTask],
    /// Law 7 is lifted, and no other.
    pub outage: bool,
}

/// What steps are certain to come before others.
pub struct Ancestors<'a> {
    steps: &'a [Step],
    known: BTreeMap<usize, Vec<u64>>,
}

impl<'a> Ancestors<'a> {
    pub fn new(steps: &'a [Step]) -> Self {
        Self { steps, known: BTreeMap::new() }
    }

    /// Whether `step` starts only when `before` has ended well.
    pub fn has(&mut self, step: usize, before: usize) -> bool {
        let steps = self.steps;
        let known = self.known.entry(step).or_insert_with(|| {
            let mut met = vec![0_u64; steps.len().div_ceil(64)];
            let mut todo = steps[step].waits.clone();
            while let Some(at) = todo.pop() {
                let bit = 1_u64 << (at % 64);
                if met[at / 64] & bit == 0 {
                    met[at / 64] |= bit;
                    todo.extend(&steps[at].waits);
                }
            }
            met
        });
        known[before / 64] & (1 << (before % 64)) != 0
    }
}

/// An object while it is so.
pub struct PlanVersion<'a> {
    pub address: &'a Address,
    pub kind: &'a Kind,
    pub attributes: Cow<'a, Attributes>,
    /// As it was before the plan.
    pub is_old: bool,
    /// It takes users, and so does what it serves from.
    pub serves: bool,
    /// The steps after which it serves.
    pub from: Vec<usize>,
    /// The steps that take it out of service.
    pub takers: Vec<usize>,
    /// The step that deletes it.
    pub gone: Option<usize>,
    /// The step after which its name is free.
    pub released: Option<usize>,
    /// What contains it goes as well.
    pub orphaned: bool,
    /// It goes over to something else that serves.
    pub moves: bool,
    /// The step that makes what could not stand beside it.
    pub succeeded_by: Option<usize>,
}

/// A step that takes a name.
pub struct Take<'a> {
    pub address: &'a Address,
    pub kind: &'a Kind,
    pub attributes: Cow<'a, Attributes>,
    pub step: usize,
    /// It is the same object that had the name before.
    pub keeps: bool,
}

/// All versions of all objects that a plan touches, or that serve beside what it touches.
pub struct History<'a> {
    versions: Vec<PlanVersion<'a>>,
    takes: Vec<Take<'a>>,
}

/// The steps of one address.
#[derive(Default)]
struct OwnSteps<'a> {
    steps: Vec<&'a Step>,
    gate: Option<usize>,
}

struct Maker<'a> {
    it: &'a Checked<'a>,
    changes: BTreeMap<&'a Address, &'a Change>,
    own: BTreeMap<&'a Address, OwnSteps<'a>>,
}

impl<'a> History<'a> {
    pub fn new(it: &'a Checked<'a>) -> Self {
        let mut own: BTreeMap<&Address, OwnSteps<'_>> = BTreeMap::new();
        for step in it.steps {
            let entry = own.entry(&step.address).or_default();
            match &step.call {
                // Several may wait for it; all of them have to.
                StepCall::Serving { of, .. } if of.len() == 1 && of[0] == step.address => {
                    entry.gate = Some(step.id);
                }
                call if call.is_gate() => {}
                _ => entry.steps.push(step),
            }
        }
        let changes = it.changes.iter().map(|it| (&it.address, it)).collect();
        let maker = Maker { it, changes, own };
        let mut history = Self { versions: Vec::new(), takes: Vec::new() };
        let takes = |it: &&Change| {
            it.action.destroys() || matches!(it.action, Action::Create | Action::Update)
        };
        let taking: BTreeSet<&str> =
            it.changes.iter().filter(takes).map(|it| it.kind.as_str()).collect();
        for change in it.changes {
            let Some(kind) = it.catalog.get(&change.kind) else { continue };
            // What stays as it is counts only beside what is changed.
            if kind.serving_set.is_empty() && !taking.contains(change.kind.as_str()) {
                continue;
            }
            maker.follow(change, kind, &mut history);
        }
        history.succeed();
        history
    }

    pub fn old(&self) -> impl Iterator<Item = &PlanVersion<'a>> {
        self.versions.iter().filter(|it| it.is_old)
    }

    /// The addresses of which something takes users when the plan is carried out.
    pub fn serving_after(&self) -> BTreeSet<&'a Address> {
        let serving = self.versions.iter().filter(|it| it.serves && it.takers.is_empty());
        serving.map(|it| it.address).collect()
    }

    pub fn takes(&self) -> impl Iterator<Item = &Take<'a>> {
        self.takes.iter()
    }

    /// The versions that serve, by serving set.
    pub fn sets(&self) -> BTreeMap<String, Vec<&PlanVersion<'a>>> {
        let mut sets: BTreeMap<String, Vec<&PlanVersion<'a>>> = BTreeMap::new();
        let members = self.versions.iter().filter(|it| !it.kind.serving_set.is_empty());
        for it in members.filter(|it| it.serves) {
            sets.entry(set_name(it.kind, &it.attributes)).or_default().push(it);
        }
        sets
    }

    /// Finds what comes in the place of what it could not stand beside.
    fn succeed(&mut self) {
        let takes = &self.takes;
        for it in self.versions.iter_mut().filter(|it| it.is_old && it.kind.excludes.is_some()) {
            let follows = |take: &&Take<'_>| excludes(it.kind, &it.attributes, &take.attributes);
            it.succeeded_by = takes.iter().find(follows).map(|it| it.step);
        }
    }
}

impl<'a> Maker<'a> {
    fn follow(&self, change: &'a Change, kind: &'a Kind, history: &mut History<'a>) {
        let address = &change.address;
        let record = self.record(change);
        let steps: &[&Step] = self.own.get(address).map_or(&[], |it| &it.steps);
        let seen = change.frozen.is_none() && change.unknown.is_none();
        let after = self.after(record, steps);
        if let Some(record) = record.filter(|_| is_there(change)) {
            let mut old = self.old(change, kind, record, steps);
            old.moves = change.action == Action::Update;
            if seen || !steps.is_empty() {
                history.versions.push(old);
            }
        }
        let Some(attributes) = after else { return };
        if let Some(step) = take(change.action, steps, kind) {
            let keeps = change.action == Action::Update
                || change.action == (Action::Replace { create_first: true })
                || change.moved_from.is_some();
            let attributes = attributes.clone();
            history.takes.push(Take { address, kind, attributes, step, keeps });
        }
        if kind.serving_set.is_empty() {
            return;
        }
        let made = steps.iter().rev().find(|it| !is_deletion(&it.call)).map(|it| it.id);
        let needs = self.desired_needs(change, record);
        // Where nothing of its own is done, what it serves from may be disturbed: it serves again after that.
        let disturbed: Vec<usize> = needs.iter().flat_map(|it| self.restores(it)).collect();
        // What would have to follow, and waits, leads to what is not there any more.
        let waits = change.deferred.as_ref().is_some_and(|it| it.wait == DeferReason::Unknown);
        let is_stuck = made.is_none() && waits;
        if (made.is_none() && disturbed.is_empty())
            || is_stuck
            || needs.iter().any(|it| !self.serves(it))
        {
            return;
        }
        let gate = self.own.get(address).and_then(|it| it.gate);
        let from: BTreeSet<usize> = disturbed.into_iter().chain(made).chain(gate).collect();
        history.versions.push(PlanVersion {
            address,
            kind,
            serves: lets_serve(kind, &attributes),
            attributes,
            is_old: false,
            from: from.into_iter().collect(),
            takers: Vec::new(),
            gone: None,
            released: None,
            orphaned: false,
            moves: false,
            succeeded_by: None,
        });
    }

    fn old(
        &self,
        change: &'a Change,
        kind: &'a Kind,
        record: &'a Record,
        steps: &[&'a Step],
    ) -> PlanVersion<'a> {
        // Where an interrupted replace is finished, the one that goes is older than what is recorded.
        let deletion = |it: &&&Step| matches!(it.call, StepCall::Delete { .. });
        let gone = steps.iter().find(deletion).filter(|_| change.action != Action::Update);
        let gone = gone.map(|it| it.id);
        let moved = steps.iter().filter(|it| match &it.call {
            StepCall::Update { changed, attributes, .. } => {
                changed.iter().any(|it| takes_away(kind, &record.attributes, attributes, it))
            }
            _ => false,
        });
        let mut takers: BTreeSet<usize> = moved.map(|it| it.id).chain(gone).collect();
        let beside =
            |it: &usize| matches!(self.it.steps[*it].call, StepCall::Delete { deposed: true });
        for need in &record.needs {
            // What is not directed elsewhere itself goes on with what was made beside the old one.
            let taken = self.disturbs(need).into_iter();
            takers.extend(taken.filter(|it| !steps.is_empty() || !beside(it)));
        }
        let container = container_kind(kind);
        let orphaned = record.needs.iter().any(|need| {
            let holder = self.changes.get(need);
            holder.is_some_and(|it| Some(&*it.kind) == container && it.action.destroys())
        });
        let aside = |it: &&&Step| matches!(it.call, StepCall::Rename { to: Some(_), .. });
        let released = match change.action {
            Action::Update => {
                let renamed = steps.iter().find(|it| renames(kind, &it.call));
                steps.iter().find(aside).or(renamed).map(|it| it.id)
            }
            Action::Replace { create_first: true } => steps
                .iter()
                .find(|it| matches!(it.call, StepCall::Gone { .. }))
                .map(|it| it.id)
                .or(gone),
            _ => gone,
        };
        PlanVersion {
            address: &change.address,
            kind,
            attributes: Cow::Borrowed(&record.attributes),
            is_old: true,
            serves: lets_serve(kind, &record.attributes)
                && record.needs.iter().all(|it| self.served(it)),
            from: Vec::new(),
            takers: takers.into_iter().collect(),
            gone,
            released,
            orphaned,
            moves: false,
            succeeded_by: None,
        }
    }

    fn record(&self, change: &Change) -> Option<&'a Record> {
        let from = change.moved_from.as_ref().unwrap_or(&change.address);
        self.it.state?.records.get(from)
    }

    /// What its steps leave of it; `None` when it is gone.
    fn after(&self, record: Option<&'a Record>, steps: &[&'a Step]) -> Option<Cow<'a, Attributes>> {
        let mut after = record.map(|it| Cow::Borrowed(&it.attributes));
        for step in steps {
            match &step.call {
                StepCall::Create { attributes, label } => {
                    let mut attributes = Cow::Borrowed(attributes);
                    let kind = self.it.catalog.get(&step.kind);
                    let name = kind.and_then(|it| it.identity.by.last());
                    // Under a name of its own only until it is renamed.
                    if let (Some(_), Some(name)) = (label, name) {
                        let wanted = record.and_then(|it| it.attributes.get(name)).cloned();
                        attributes.to_mut().insert(name.clone(), wanted.unwrap_or_default());
                    }
                    after = Some(attributes);
                }
                StepCall::Update { changed, attributes, .. } => {
                    let mut now = after.unwrap_or_default();
                    for name in changed {
                        let value = attributes.get(name).cloned().unwrap_or_default();
                        now.to_mut().insert(name.clone(), value);
                    }
                    after = Some(now);
                }
                StepCall::Delete { deposed: false } | StepCall::Forget => after = None,
                _ => {}
            }
        }
        after
    }

    fn desired_needs(&self, change: &Change, record: Option<&Record>) -> Vec<Address> {
        match self.it.stack.instances.get(&change.address) {
            Some(instance) => instance.needs.iter().map(|(need, _)| need.clone()).collect(),
            None => record.map(|it| it.needs.clone()).unwrap_or_default(),
        }
    }

    /// The steps that take away what others serve from.
    fn disturbs(&self, need: &Address) -> Vec<usize> {
        let Some((change, own)) = self.changes.get(need).zip(self.own.get(need)) else {
            return Vec::new();
        };
        let Some(kind) = self.it.catalog.get(&change.kind) else { return Vec::new() };
        let recorded = self.record(change).map(|it| &it.attributes);
        let is = |step: &&&Step| match &step.call {
            StepCall::Delete { .. } => change.action != Action::Update,
            StepCall::Update { changed, group, attributes, .. } => {
                settles(kind, group)
                    || recorded.is_some_and(|recorded| {
                        lets_serve(kind, recorded)
                            && !lets_serve(kind, &over(recorded, changed, attributes))
                    })
            }
            _ => false,
        };
        own.steps.iter().filter(is).map(|it| it.id).collect()
    }

    /// The last step after which what was disturbed, or made, can be served from.
    fn restores(&self, need: &Address) -> Vec<usize> {
        let Some(own) = self.own.get(need) else { return Vec::new() };
        let last = own.steps.iter().rev().find(|it| !is_deletion(&it.call));
        let is_touched = !self.disturbs(need).is_empty()
            || own.steps.iter().any(|it| matches!(it.call, StepCall::Create { .. }));
        last.filter(|_| is_touched).map(|it| it.id).into_iter().collect()
    }

    /// Whether what others serve from let them before the plan.
    fn served(&self, need: &Address) -> bool {
        let Some(change) = self.changes.get(need) else { return true };
        let Some(kind) = self.it.catalog.get(&change.kind) else { return true };
        self.record(change).is_none_or(|it| is_there(change) && lets_serve(kind, &it.attributes))
    }

    /// Whether what others serve from lets them when the plan is carried out.
    fn serves(&self, need: &Address) -> bool {
        let Some(change) = self.changes.get(need) else { return true };
        let Some(kind) = self.it.catalog.get(&change.kind) else { return true };
        let steps: &[&Step] = self.own.get(need).map_or(&[], |it| &it.steps);
        self.after(self.record(change), steps).is_none_or(|it| lets_serve(kind, &it))
    }
}

/// Recorded, with some of it changed.
fn over(recorded: &Attributes, changed: &[String], attributes: &Attributes) -> Attributes {
    let mut now = recorded.clone();
    for name in changed {
        now.insert(name.clone(), attributes.get(name).cloned().unwrap_or_default());
    }
    now
}

/// Whether an update of this attribute takes a member from what it serves. Where others remember it, both ways lead on.
fn takes_away(kind: &Kind, before: &Attributes, after: &Attributes, name: &String) -> bool {
    let none = Value::Null;
    if before.get(name).unwrap_or(&none) == after.get(name).unwrap_or(&none) {
        return false;
    }
    let of_set = kind.serving_set.contains(name);
    let serves = kind.serves.as_ref().is_some_and(|it| it.attribute == *name);
    of_set || serves || (kind.drain.is_none() && kind.directs(name))
}

fn settles(kind: &Kind, group: &str) -> bool {
    let rest = kind.rest.as_ref().filter(|it| it.ready.is_some());
    rest.and_then(|it| it.groups.get(group)).is_some_and(|it| it.settles)
}

fn is_there(change: &Change) -> bool {
    !matches!(change.action, Action::Create | Action::Forget)
}

fn is_deletion(call: &StepCall) -> bool {
    matches!(
        call,
        StepCall::Delete { .. }
            | StepCall::Gone { .. }
            | StepCall::Forget
            | StepCall::Rename { .. }
    )
}

fn renames(kind: &Kind, call: &StepCall) -> bool {
    match call {
        StepCall::Update { changed, .. } => changed.iter().any(|it| kind.identity.by.contains(it)),
        _ => false,
    }
}

/// The step with which an object takes the name that it is to have.
fn take(action: Action, steps: &[&Step], kind: &Kind) -> Option<usize> {
    let last_name = |it: &&&Step| matches!(it.call, StepCall::Rename { to: None, .. });
    let found = match action {
        Action::Replace { create_first: true } => steps.iter().find(last_name),
        Action::Update => {
            let is = |it: &&&Step| matches!(&it.call, StepCall::Update { changed, .. } if changed.iter().any(|it| kind.identity.by.contains(it)));
            steps.iter().find(is)
        }
        _ => None,
    };
    let made = || match action {
        Action::Create | Action::Replace { .. } => {
            steps.iter().find(|it| matches!(it.call, StepCall::Create { .. }))
        }
        _ => None,
    };
    found.or_else(made).map(|it| it.id)
}

//! One after another: what takes something out of service waits until what was disturbed before it is seen to serve again.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::address::Address;
use crate::engine::containment::container_kind;
use crate::engine::plan::model::change::{Action, StepCall};
use crate::engine::plan::model::planned_change::{PlannedChange, is_deposed, set_name};
use crate::engine::plan::steps::cycle::OrderingRule;
use crate::engine::plan::steps::lower::disrupts;
use crate::engine::plan::steps::step_builder::StepBuilder;
use crate::engine::plan::traffic::serving::{ServingView, after};
use crate::engine::schema::{Catalog, Kind};
use crate::engine::value::Value;

/// Expected seconds until something is seen to serve, for the estimate of a plan without measurements. A guess: about one
/// interval of a balancer's health check, whose default is 31 s.
const SEEN_SECONDS: u64 = 30;

/// What rolling changes are worked out from.
pub struct Rolling<'a, 'b> {
    planned: &'a [PlannedChange<'b>],
    /// Need → who needs it, as the layers say.
    dependents: BTreeMap<&'a Address, Vec<usize>>,
    /// Members of serving sets whose health the cloud tells.
    seen: BTreeSet<usize>,
    /// Members of serving sets that others do not remember.
    members: BTreeSet<usize>,
}

impl<'a, 'b> Rolling<'a, 'b> {
    pub fn new(catalog: &Catalog, planned: &'a [PlannedChange<'b>]) -> Self {
        let serving = ServingView::new(planned);
        let mut dependents: BTreeMap<&Address, Vec<usize>> = BTreeMap::new();
        for (one, it) in planned.iter().enumerate() {
            for (need, _) in it.instance.iter().flat_map(|it| &it.needs) {
                dependents.entry(need).or_default().push(one);
            }
        }
        let is_seen = |it: &PlannedChange<'_>| is_seen(catalog, &serving, it);
        let seen = (0..planned.len()).filter(|at| is_seen(&planned[*at])).collect();
        let is_member = |it: &PlannedChange<'_>| {
            let is_living = it.change.unknown.is_none() && it.change.frozen.is_none();
            is_living && !it.kind.serving_set.is_empty() && it.kind.drain.is_none()
        };
        let members = (0..planned.len()).filter(|at| is_member(&planned[*at])).collect();
        Self { planned, dependents, seen, members }
    }

    /// The members of serving sets that serve from this, not past others that are disturbed themselves.
    fn members_on(&self, address: &Address) -> Vec<usize> {
        let mut found = BTreeSet::new();
        let mut met: BTreeSet<usize> = BTreeSet::new();
        let mut todo: Vec<&Address> = vec![address];
        while let Some(need) = todo.pop() {
            for at in self.dependents.get(need).into_iter().flatten() {
                let it = &self.planned[*at];
                if !met.insert(*at) || disrupts(it) {
                    continue;
                }
                if self.members.contains(at) && !moves_along(it) {
                    found.insert(*at);
                } else {
                    todo.push(&it.change.address);
                }
            }
        }
        found.into_iter().collect()
    }
}

/// Whether it goes over to a container that is made anew: what waits for that waits for its members as well.
fn moves_along(it: &PlannedChange<'_>) -> bool {
    let sets = it.record.zip(it.desired.as_deref());
    sets.is_none_or(|(record, desired)| {
        set_name(it.kind, &record.attributes) != set_name(it.kind, desired)
    })
}

/// Whether the cloud tells of a member of a serving set whether it is healthy, and it is to serve.
fn is_seen(catalog: &Catalog, serving: &ServingView<'_, '_>, it: &PlannedChange<'_>) -> bool {
    let told = it.kind.serves.as_ref().is_some_and(|it| it.healthy.is_some());
    let is_living = it.change.unknown.is_none() && it.change.frozen.is_none();
    if !told || !is_living || !serving.after(it) {
        return false;
    }
    let container = container_kind(it.kind);
    let is_checked = |need: &Address| {
        let holder = serving.at.get(need).map(|at| &serving.planned[*at])?;
        let kind: &Kind = catalog.get(container?)?;
        if holder.kind.kind != kind.kind {
            return None;
        }
        let (attribute, unchecked) = &kind.serves_when.as_ref()?.unless;
        let value = after(holder)?.get(attribute).and_then(Value::as_text).map(str::to_owned);
        (value.as_ref() != Some(unchecked)).then_some(())
    };
    let needs = it.instance.iter().flat_map(|it| &it.needs).map(|(need, _)| need);
    needs.into_iter().any(|need| is_checked(need).is_some())
}

/// Whether a member of a serving set is changed in what it serves, or how.
pub fn is_moved(it: &PlannedChange<'_>) -> bool {
    let serves = it.kind.serves.as_ref().map(|it| &it.attribute);
    let moves = |name: &String| it.kind.directs(name) || serves == Some(name);
    match it.change.action {
        Action::Update => it.change.attributes.iter().any(|it| moves(&it.name)),
        Action::Replace { .. } => true,
        _ => false,
    }
}

impl StepBuilder {
    /// Waits until the cloud says that a member serves, after this step.
    fn seen_after(&mut self, it: &PlannedChange<'_>, after: usize) -> usize {
        let of = vec![it.change.address.clone()];
        let gate = self.gate(
            it,
            StepCall::Serving { of, serves: BTreeMap::new(), probe: 0 },
            SEEN_SECONDS,
        );
        self.derive(gate, after, OrderingRule::Seen);
        gate
    }

    /// Law 7: within a serving set creates and moves go before deletes, moves one after another, each seen to serve.
    pub fn keep_serving(
        &mut self,
        rolling: &Rolling<'_, '_>,
        sets: &BTreeMap<String, Vec<usize>>,
        gates: &mut BTreeMap<usize, usize>,
    ) {
        let touched = |at: &usize| {
            let it = &rolling.planned[*at];
            is_moved(it) || matches!(it.change.action, Action::Delete)
        };
        for members in sets.values().filter(|it| it.iter().any(touched)) {
            self.keep_set(rolling, members, gates);
        }
    }

    fn keep_set(
        &mut self,
        rolling: &Rolling<'_, '_>,
        members: &[usize],
        gates: &mut BTreeMap<usize, usize>,
    ) {
        let mut chained: Option<usize> = None;
        let mut made = Vec::new();
        for (at, it) in members.iter().map(|at| (*at, &rolling.planned[*at])) {
            let Some(make) = self.makes.get(&it.change.address).copied() else { continue };
            let is_new = it.change.action == Action::Create;
            if !is_new && (!is_moved(it) || moves_along(it)) {
                continue;
            }
            let delete = self.deletes.get(&it.change.address).copied();
            if !is_new {
                let first = match it.change.action {
                    Action::Replace { create_first: false } => delete.map_or(make.0, |it| it.0),
                    _ => make.0,
                };
                if let Some(before) = chained {
                    self.derive(first, before, OrderingRule::Set);
                }
            }
            let last = if rolling.seen.contains(&at) {
                let gate = self.seen_after(it, make.1);
                gates.insert(at, gate);
                gate
            } else {
                make.1
            };
            if it.change.action == (Action::Replace { create_first: true })
                && let Some((first, _)) = delete
            {
                self.derive(first, last, OrderingRule::Seen);
            }
            if !is_new {
                chained = Some(last);
            }
            made.push((make.0, last));
        }
        for it in members.iter().map(|at| &rolling.planned[*at]) {
            if it.change.action != Action::Delete {
                continue;
            }
            let Some((delete, _)) = self.deletes.get(&it.change.address).copied() else { continue };
            for (first, last) in &made {
                if !self.exclusive.contains(&(delete, *first)) {
                    self.derive(delete, *last, OrderingRule::Set);
                }
            }
        }
    }

    /// Siblings (`web[0]`, `web[1]`, or what else serves in one set) are taken out of service one at a time, the next one
    /// when all that depends on the last one serves again; what a replacement was made beside goes then.
    pub fn disturb_one_at_a_time(
        &mut self,
        rolling: &Rolling<'_, '_>,
        gates: &BTreeMap<usize, usize>,
    ) {
        let planned = rolling.planned;
        let mut behind: BTreeMap<usize, usize> = BTreeMap::new();
        let on: BTreeMap<usize, Vec<usize>> = (0..planned.len())
            .filter(|at| disrupts(&planned[*at]) || stands_beside(&planned[*at]))
            .map(|at| (at, rolling.members_on(&planned[at].change.address)))
            .collect();
        let disturbing = on.iter().filter(|(at, _)| disrupts(&planned[**at]));
        for member in disturbing.flat_map(|(_, members)| members) {
            *behind.entry(*member).or_default() += 1;
        }
        let mut before: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (at, members) in &on {
            let it = &planned[*at];
            let address = &it.change.address;
            let Some(make) = self.makes.get(address).copied() else { continue };
            let mut again = vec![make.1];
            let mut keys = vec![format!("{} ", address.name)];
            for member in members {
                let theirs = &planned[*member];
                if let Some(desired) = theirs.desired.as_deref() {
                    keys.push(set_name(theirs.kind, desired));
                }
                let theirs_again = if rolling.seen.contains(member) {
                    Some(self.again(theirs, make.1, gates.get(member), behind.get(member)))
                } else {
                    // Nobody tells of its health: it serves again when its own change is made.
                    let own = self.makes.get(&theirs.change.address).map(|it| it.1);
                    own.filter(|_| behind.get(member).is_none_or(|it| *it <= 1))
                };
                again.extend(theirs_again);
            }
            if !disrupts(it) {
                let Some((first, _)) = self.deletes.get(address).copied() else { continue };
                for gate in &again {
                    self.derive(first, *gate, OrderingRule::Seen);
                }
                continue;
            }
            let first = match it.change.action {
                Action::Replace { .. } => self.deletes.get(address).map_or(make.0, |it| it.0),
                _ => make.0,
            };
            for key in keys {
                for wait in before.insert(key, again.clone()).unwrap_or_default() {
                    self.derive(first, wait, OrderingRule::Sibling);
                }
            }
        }
        self.delete_after_disturbed(planned, &before);
    }

    /// Within a set what is deleted goes when all that was disturbed serves again: until then it may be all that serves. `again`: by
    /// set, the steps after which it does. What gives up a name that a disturbed one is to have cannot wait for it.
    fn delete_after_disturbed(
        &mut self,
        planned: &[PlannedChange<'_>],
        again: &BTreeMap<String, Vec<usize>>,
    ) {
        for it in planned.iter().filter(|it| it.change.action == Action::Delete) {
            let Some(record) = it.record.filter(|_| !it.kind.serving_set.is_empty()) else {
                continue;
            };
            let Some((first, _)) = self.deletes.get(&it.change.address).copied() else { continue };
            let of_set = again.get(&set_name(it.kind, &record.attributes)).into_iter().flatten();
            for step in of_set.copied() {
                if !self.waits_for(step, first) {
                    self.derive(first, step, OrderingRule::Set);
                }
            }
        }
    }

    /// Whether a step waits for another one, over others or not.
    fn waits_for(&self, step: usize, other: usize) -> bool {
        let mut todo = vec![step];
        let mut met = BTreeSet::new();
        while let Some(at) = todo.pop() {
            if at == other {
                return true;
            }
            if met.insert(at) {
                todo.extend(self.steps[at].before());
            }
        }
        false
    }

    /// The gate at which a member is seen to serve again after what it serves from was disturbed.
    fn again(
        &mut self,
        member: &PlannedChange<'_>,
        made: usize,
        own: Option<&usize>,
        behind: Option<&usize>,
    ) -> usize {
        match own {
            // Its own change comes after all that it needs: with several of them it cannot stand between two.
            Some(gate) if behind.is_none_or(|it| *it <= 1) => *gate,
            _ => {
                let gate = self.seen_after(member, made);
                let theirs = self.makes.get(&member.change.address).map(|it| it.1);
                if let Some(theirs) = theirs.filter(|_| behind.is_none_or(|it| *it <= 1)) {
                    self.derive(gate, theirs, OrderingRule::Seen);
                }
                gate
            }
        }
    }
}

/// Whether something is taken out of service by a change, or may be.
pub fn disturbs(it: &PlannedChange<'_>) -> bool {
    let changed = it.change.action.destroys() || it.change.action == Action::Update;
    disrupts(it) || stands_beside(it) || (changed && !it.kind.serving_set.is_empty())
}

/// Whether what it replaces is still there while it is used already.
fn stands_beside(it: &PlannedChange<'_>) -> bool {
    let resumes = it.change.action == Action::Update && is_deposed(it);
    resumes || it.change.action == (Action::Replace { create_first: true })
}

//! How much of a new target has to serve before users are sent to it, and which additions may follow them.
//!
//! Users wait for their quorum, not for the whole scale-up (DESIGN: *Quorum first*). A backend counts as soon as it and all that
//! it depends on is there. What is no backend (a balancer, its configs, a firewall) is always waited for. Backends that are
//! created may come after their users, and so may what changes the others, as `after_users` says.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::address::Address;
use crate::engine::containment::declared_containers;
use crate::engine::lang::model::{ServingQuorum, Stack};
use crate::engine::plan::model::change::{Action, StepQuorum};
use crate::engine::plan::model::planned_change::PlannedChange;
use crate::engine::plan::steps::step_builder::StepBuilder;
use crate::engine::plan::traffic::serving::ServingView;
use crate::engine::plan::traffic::shifts::ShiftDirection;
use crate::engine::schema::Kind;

/// What the quorum of one shift asks of its steps.
#[derive(Debug, Default)]
pub struct TargetQuorum {
    /// Backends whose creation users do not wait for one by one.
    pub may_follow: BTreeSet<Address>,
    /// How many of those have to be there all the same.
    pub waits: Vec<StepQuorum>,
    /// How many have to be healthy behind each container, where that is more than one.
    pub serves: BTreeMap<Address, usize>,
}

/// Whether objects of a kind are what serves behind a balancer.
pub fn is_backend(kind: &Kind) -> bool {
    !kind.serving_set.is_empty() && kind.drain.is_none() && kind.contains_in.is_some()
}

/// The backends behind a target that serve when the plan is carried out, by what contains them.
pub fn backends<'a, 'b>(
    stack: &Stack,
    serving: &BTreeSet<Address>,
    view: &ServingView<'a, 'b>,
) -> BTreeMap<Address, Vec<&'a PlannedChange<'b>>> {
    let mut groups: BTreeMap<Address, Vec<&PlannedChange<'_>>> = BTreeMap::new();
    let members = serving.iter().filter_map(|it| view.get(it));
    for it in members.filter(|it| is_backend(it.kind) && view.after(it)) {
        let containers = it.instance.map(|one| declared_containers(stack, one, it.kind));
        // Which of several it is inside only applying tells: it counts nowhere, and is waited for.
        if let Some([container]) = containers.as_deref() {
            groups.entry(container.clone()).or_default().push(it);
        }
    }
    groups
}

impl StepBuilder {
    /// What users wait for of the backends that a shift sends them to. `frontiers`: after which steps each address is there.
    pub fn target_quorum(
        &self,
        stack: &Stack,
        direction: &ShiftDirection,
        view: &ServingView<'_, '_>,
        frontiers: &BTreeMap<Address, BTreeSet<usize>>,
    ) -> TargetQuorum {
        let mut quorum = TargetQuorum::default();
        if direction.quorum == ServingQuorum::All {
            return quorum;
        }
        for (holder, members) in backends(stack, &direction.serving, view) {
            let needed = direction.quorum.of(members.len());
            if needed > 1 {
                quorum.serves.insert(holder, needed);
            }
            let is_added = |it: &&&PlannedChange<'_>| it.change.action == Action::Create;
            let added = members.iter().filter(is_added).map(|it| &it.change.address);
            let added: Vec<&Address> = added.collect();
            // What exists counts, whether this plan changes it or not: then that is waited for.
            let missing = needed.saturating_sub(members.len() - added.len());
            let last = |it: &&Address| {
                let own = self.makes.get(*it).map(|it| it.1);
                own.filter(|own| frontiers.get(*it).is_some_and(|all| all.contains(own)))
            };
            let of: Vec<usize> = added.iter().filter_map(last).collect();
            if missing >= added.len() || of.len() < added.len() {
                continue;
            }
            quorum.may_follow.extend(added.into_iter().cloned());
            if missing > 0 {
                quorum.waits.push(StepQuorum { count: missing, of });
            }
        }
        quorum
    }
}

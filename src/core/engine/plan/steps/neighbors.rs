//! What is made beside what it replaces takes along what it needs: the old one could not go before who still uses it.

use std::collections::BTreeMap;

use crate::engine::address::Address;
use crate::engine::containment::declared_containers;
use crate::engine::plan::draft::plan_builder::PlanBuilder;
use crate::engine::plan::model::change::Action;
use crate::engine::schema::Rename;

impl PlanBuilder<'_> {
    /// Carries `create_before_destroy` over to what such a replacement needs, and to what that contains.
    pub fn carry_beside(&mut self) {
        let is = |at: usize, create_first: bool, it: &Self| {
            it.planned[at].change.action == Action::Replace { create_first }
        };
        let mut todo: Vec<usize> =
            (0..self.planned.len()).filter(|at| is(*at, true, self)).collect();
        if todo.is_empty() || !(0..self.planned.len()).any(|at| is(at, false, self)) {
            return;
        }
        let at: BTreeMap<Address, usize> = self
            .planned
            .iter()
            .enumerate()
            .map(|(at, it)| (it.change.address.clone(), at))
            .collect();
        let mut contents: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (one, it) in self.planned.iter().enumerate() {
            let stack = self.worlds.stack;
            let holders = it.instance.map(|one| declared_containers(stack, one, it.kind));
            for holder in holders.iter().flatten().filter_map(|it| at.get(it)) {
                contents.entry(*holder).or_default().push(one);
            }
        }
        while let Some(one) = todo.pop() {
            let needs = self.planned[one].instance.map(|it| it.needs.clone()).unwrap_or_default();
            let needs = needs.iter().filter_map(|(need, _)| at.get(need));
            let inside = contents.get(&one).into_iter().flatten();
            let along: Vec<usize> = needs.chain(inside).copied().collect();
            for other in along {
                if is(other, false, self) && can_stand_beside(self, other) {
                    let who = self.planned[one].change.address.clone();
                    let change = &mut self.planned[other].change;
                    change.action = Action::Replace { create_first: true };
                    change.reason = format!(
                        "{}; created before the old one is deleted, like `{who}`",
                        change.reason
                    );
                    todo.push(other);
                }
            }
        }
    }
}

/// Whether the cloud lets a second one be there for a while.
fn can_stand_beside(proposal: &PlanBuilder<'_>, at: usize) -> bool {
    let kind = proposal.planned[at].kind;
    kind.excludes.is_none() && (!kind.identity.unique || kind.identity.rename == Rename::InPlace)
}

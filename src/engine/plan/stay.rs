//! What has to stay because something else does: what others still need, and what serves users who cannot be moved yet.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::address::Address;
use crate::engine::plan::change::{Action, Wait};
use crate::engine::plan::order::weakens;
use crate::engine::plan::planned::Planned;
use crate::engine::plan::proposal::Proposal;
use crate::engine::plan::traffic::Direction;

impl Proposal<'_> {
    /// Users are not moved to what could not be looked at: its gate could not be passed. What serves them stays as it is.
    pub(super) fn hold_traffic(&mut self, directions: &mut Vec<Direction>) {
        if directions.is_empty() {
            return;
        }
        let at = self.places();
        let silent = |it: &&Address| {
            let unseen = at.get(*it).is_some_and(|at| self.planned[*at].change.unseen.is_some());
            (unseen && self.is_silent(it)) || self.silence(it).is_some()
        };
        let is_blocked = |it: &Direction| {
            // Where users have moved already, the old way stays until it is known that the new one serves them.
            let leads_to = if it.until.is_some() { &it.new } else { &it.serving };
            let is_name = self.planned[at[&it.address]].kind.drain.is_some();
            leads_to.iter().find(silent).filter(|_| is_name).cloned()
        };
        let mut held: Vec<(usize, Wait, String)> = Vec::new();
        let mut blocked = BTreeSet::new();
        for direction in directions.iter() {
            let Some(target) = is_blocked(direction) else { continue };
            let address = &direction.address;
            let moves = direction.until.is_none();
            let why = if moves {
                format!("users are still directed to it: `{address}` waits")
            } else {
                format!("users come to `{target}` now, which could not be looked at")
            };
            if moves {
                let own = format!("users would come to `{target}`, which could not be looked at");
                held.push((at[address], Wait::Unseen, own));
                blocked.insert(address.clone());
            }
            let behind = direction.old.iter().filter_map(|it| at.get(it));
            let behind = behind.filter(|at| weakens(&self.planned[**at], direction));
            held.extend(behind.map(|at| (*at, Wait::Unseen, why.clone())));
        }
        for (at, wait, why) in held {
            let change = &mut self.planned[at].change;
            if change.action != Action::NoOp {
                Self::hold_whole(change, wait, why);
                change.loses_data = false;
            }
        }
        directions.retain(|it| !blocked.contains(&it.address));
    }

    /// Nothing is deleted that something which stays still depends on, as far as state knows.
    pub(super) fn hold_needed(&mut self) {
        if !self.planned.iter().any(deletes) {
            return;
        }
        let at = self.places();
        let mut staying: Vec<usize> =
            (0..self.planned.len()).filter(|at| self.stays(*at).is_some()).collect();
        while let Some(one) = staying.pop() {
            let Some((wait, words)) = self.stays(one) else { continue };
            let dependent = self.planned[one].change.address.clone();
            let needs = self.planned[one].record.map(|it| it.needs.clone()).unwrap_or_default();
            for need in needs.iter().filter_map(|it| at.get(it).copied()) {
                if !deletes(&self.planned[need]) {
                    continue;
                }
                let change = &mut self.planned[need].change;
                Self::hold_whole(
                    change,
                    wait,
                    format!("`{dependent}` still depends on it, {words}"),
                );
                change.loses_data = false;
                staying.push(need);
            }
        }
    }

    /// Where each address stands among what is planned.
    fn places(&self) -> BTreeMap<Address, usize> {
        let planned = self.planned.iter().enumerate();
        planned.map(|(at, it)| (it.change.address.clone(), at)).collect()
    }

    /// Why a recorded object stays as it is although it may have been meant to go or to let go; `None`: it does not.
    fn stays(&self, at: usize) -> Option<(Wait, &'static str)> {
        let change = &self.planned[at].change;
        if change.unseen.is_some() && self.is_silent(&change.address) {
            return Some((Wait::Unseen, "and could not be looked at"));
        }
        // What is frozen keeps what it needs anyway; what was pending before a switch may have nothing to do with it.
        let held = change.held.as_ref().filter(|_| change.frozen.is_none())?;
        (held.wait != Wait::Pending || held.action.destroys())
            .then_some((held.wait, "and has to wait"))
    }
}

fn deletes(it: &Planned<'_>) -> bool {
    it.change.action == Action::Delete
}

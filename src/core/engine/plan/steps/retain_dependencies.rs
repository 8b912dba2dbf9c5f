//! What has to stay because something else does: what others still need, and what serves users who cannot be moved yet.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::address::Address;
use crate::engine::plan::draft::plan_builder::PlanBuilder;
use crate::engine::plan::draft::topology::RecordedTopology;
use crate::engine::plan::model::change::{Action, DeferReason};
use crate::engine::plan::model::options::Intent;
use crate::engine::plan::model::planned_change::PlannedChange;
use crate::engine::plan::steps::order::weakens;
use crate::engine::plan::traffic::shifts::{ShiftDirection, unasked};

impl PlanBuilder<'_> {
    /// Where users are directed by what could not be looked at nobody knows: to what it may lead to stays as it is.
    pub fn hold_behind_unknown(&mut self) {
        let directs = |it: &&PlannedChange<'_>| {
            it.change.unknown.is_some() && it.record.is_some() && !it.kind.traffic.is_empty()
        };
        let Some(state) = self.worlds.state else { return };
        // A destroy is itself the intent.
        let destroys = self.options.intent == Intent::Destroy;
        if destroys || !self.planned.iter().any(|it| directs(&it)) {
            return;
        }
        let recorded = RecordedTopology::new(self.worlds.catalog, state);
        let at = self.places();
        let mut held: Vec<(usize, String)> = Vec::new();
        let mut met = BTreeSet::new();
        for it in self.planned.iter().filter(directs) {
            let Some(record) = it.record else { continue };
            let mut roots = recorded.targets(it.kind, record);
            // Who was taken away by an earlier run, or by an update that was cut off, may still come.
            let address = &it.change.address;
            let draining = state.draining.iter().filter(|it| it.address == *address);
            roots.extend(draining.flat_map(|it| it.was.iter().cloned()));
            let why = format!("users may be sent to it: `{address}` could not be read");
            let unknown = ShiftDirection::unknown(it, &roots, recorded.closure(&roots));
            for one in unknown.old.iter().filter_map(|it| at.get(it).copied()) {
                if weakens(&self.planned[one], &unknown) && met.insert(one) {
                    held.push((one, why.clone()));
                }
            }
        }
        let mut withheld = BTreeSet::new();
        for (at, why) in held {
            self.withhold(at, DeferReason::Unknown, why, &mut withheld);
        }
        self.hold_followers(withheld);
    }

    /// Holds a change that was decided already; what it would have made anew is told to those who count on it.
    fn withhold(
        &mut self,
        at: usize,
        wait: DeferReason,
        why: String,
        withheld: &mut BTreeSet<Address>,
    ) {
        let change = &mut self.planned[at].change;
        if matches!(change.action, Action::Create | Action::Replace { .. }) {
            withheld.insert(change.address.clone());
        }
        Self::hold_whole(change, wait, why);
        change.loses_data = false;
    }

    /// What would get its values from something that is not made now waits with it; in the order of the graph.
    fn hold_followers(&mut self, mut withheld: BTreeSet<Address>) {
        if withheld.is_empty() {
            return;
        }
        for at in 0..self.planned.len() {
            let it = &self.planned[at];
            let is_open = match it.change.action {
                Action::Create => true,
                Action::Update | Action::Replace { .. } => {
                    it.change.attributes.iter().any(|it| it.after.has_open())
                }
                _ => false,
            };
            let mut needs = it.instance.iter().filter(|_| is_open).flat_map(|it| &it.needs);
            let Some((need, _)) = needs.find(|(need, _)| withheld.contains(need)) else { continue };
            let why = format!("it depends on `{need}`, which is itself deferred");
            self.withhold(at, DeferReason::Unknown, why, &mut withheld);
        }
        self.hold_led_to();
    }

    /// Who cannot be directed elsewhere now still comes to what was there: that is not taken away either.
    fn hold_led_to(&mut self) {
        let at = self.places();
        let waits = |it: &PlannedChange<'_>| {
            let held = it.change.deferred.as_ref();
            !it.kind.traffic.is_empty() && held.is_some_and(|it| it.wait == DeferReason::Unknown)
        };
        let mut held: Vec<(usize, String)> = Vec::new();
        for it in self.planned.iter().filter(|it| waits(it)) {
            for need in it.record.iter().flat_map(|it| &it.needs).filter_map(|it| at.get(it)) {
                if self.planned[*need].change.action.destroys() {
                    let why =
                        format!("users are still sent to it: `{}` is deferred", it.change.address);
                    held.push((*need, why));
                }
            }
        }
        let mut withheld = BTreeSet::new();
        for (at, why) in held {
            if self.planned[at].change.action.destroys() {
                self.withhold(at, DeferReason::Unknown, why, &mut withheld);
            }
        }
        // Each turn holds at least one more.
        self.hold_followers(withheld);
    }

    /// Users are not moved to what could not be looked at: its gate could not be passed. What serves them stays as it is.
    pub fn hold_traffic(&mut self, directions: &mut Vec<ShiftDirection>) {
        if directions.is_empty() {
            return;
        }
        let at = self.places();
        let silent = |it: &&Address| {
            let unseen = at.get(*it).is_some_and(|at| self.planned[*at].change.unknown.is_some());
            (unseen && self.is_silent(it)) || self.silence(it).is_some()
        };
        // Only a switch asks whether the other side has the data; a gate that cannot be asked is closed.
        let skipped = &self.options.allowed.skip_gates;
        let is_switch = self.options.is_switch();
        let unasked = is_switch.then(|| unasked(&self.planned, skipped).cloned()).flatten();
        let is_blocked = |it: &ShiftDirection| {
            // Where users have moved already, the old way stays until it is known that the new one serves them.
            let leads_to = if it.until.is_some() { &it.new } else { &it.serving };
            let is_name = self.planned[at[&it.address]].kind.drain.is_some();
            let moves = it.until.is_none() && it.drain_seconds.is_some();
            let closed = unasked.clone().filter(|_| moves);
            leads_to.iter().find(silent).filter(|_| is_name).cloned().or(closed)
        };
        let mut held: Vec<(usize, DeferReason, String)> = Vec::new();
        let mut blocked = BTreeSet::new();
        for direction in directions.iter() {
            let Some(target) = is_blocked(direction) else { continue };
            let address = &direction.address;
            let moves = direction.until.is_none();
            let why = if moves {
                format!("users are still sent to it: `{address}` is deferred")
            } else {
                format!("users are at `{target}` now, which could not be read")
            };
            if moves {
                let own = if direction.serving.contains(&target) {
                    format!("users would be sent to `{target}`, which could not be read")
                } else {
                    format!(
                        "the gate of `{target}` cannot be checked, because `{target}` could not be read"
                    )
                };
                held.push((at[address], DeferReason::Unknown, own));
                blocked.insert(address.clone());
            }
            let behind = direction.old.iter().filter_map(|it| at.get(it));
            let behind = behind.filter(|at| weakens(&self.planned[**at], direction));
            held.extend(behind.map(|at| (*at, DeferReason::Unknown, why.clone())));
        }
        let mut withheld = BTreeSet::new();
        for (at, wait, why) in held {
            if self.planned[at].change.action != Action::NoOp {
                self.withhold(at, wait, why, &mut withheld);
            }
        }
        self.hold_followers(withheld);
        directions.retain(|it| !blocked.contains(&it.address));
    }

    /// Nothing is deleted that something which stays still depends on, as far as state knows.
    pub fn hold_needed(&mut self) {
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
    fn stays(&self, at: usize) -> Option<(DeferReason, &'static str)> {
        let change = &self.planned[at].change;
        if change.unknown.is_some() && self.is_silent(&change.address) {
            return Some((DeferReason::Unknown, "and could not be read"));
        }
        // What is frozen keeps what it needs anyway; what was pending before a switch may have nothing to do with it.
        let held = change.deferred.as_ref().filter(|_| change.frozen.is_none())?;
        (held.wait != DeferReason::Pending || held.action.destroys())
            .then_some((held.wait, "and is deferred"))
    }
}

fn deletes(it: &PlannedChange<'_>) -> bool {
    it.change.action == Action::Delete
}

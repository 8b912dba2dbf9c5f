//! What a switch carries: only what differs between its two sides, and what its traffic needs.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::address::Address;
use crate::engine::lang::model::Stack;
use crate::engine::normalize::normalise;
use crate::engine::plan::draft::topology::DesiredTopology;
use crate::engine::plan::model::change::{Action, AttributeChange, Change, Plan};
use crate::engine::plan::model::planned_change::is_name_beside;
use crate::engine::schema::{Catalog, Kind};
use crate::engine::state::record::Record;
use crate::engine::value::Value;

/// What was pending before the switch, and what the switch cannot do without.
#[derive(Debug, Default)]
pub struct SwitchScope {
    /// What plans under the overlays that are left would change. Where a switch was turned before it ended, the world is
    /// between several of them, and what is pending under some is what one of the switches did or did not do.
    pending: Vec<BTreeMap<Address, Change>>,
    /// What the new targets serve from, what the switch itself makes is made of, and what was recovered.
    needed: BTreeSet<Address>,
    /// What it directs elsewhere, whatever was pending.
    redirected: BTreeSet<Address>,
}

/// What belongs to a switch, whatever was pending before it.
pub struct OwnChanges {
    pub recovered_so_far: BTreeSet<Address>,
    pub redirected: BTreeSet<Address>,
    /// Of these an interrupted replace left an older incarnation.
    pub deposed: BTreeSet<Address>,
}

impl SwitchScope {
    /// `before`: planned under each of the overlays that are left; `after`: under the new ones, everything included.
    pub fn new(
        catalog: &Catalog,
        stack: &Stack,
        before: Vec<Plan>,
        after: &Plan,
        own: OwnChanges,
    ) -> Self {
        let OwnChanges { recovered_so_far, redirected, deposed } = own;
        assert!(!before.is_empty(), "a switch leaves something");
        let changes = |plan: Plan| plan.changes.into_iter().filter(|it| it.action != Action::NoOp);
        let pending: Vec<BTreeMap<Address, Change>> = before
            .into_iter()
            .map(|it| changes(it).map(|it| (it.address.clone(), it)).collect())
            .collect();
        let mut scope = Self { pending, needed: recovered_so_far, redirected };
        let wanted = DesiredTopology::new(catalog, stack);
        // One closure of all roots: closures of each would be quadratic in long chains.
        let mut roots: Vec<Address> = Vec::new();
        for change in after.changes.iter().filter(|it| it.action != Action::NoOp) {
            let Some(instance) = stack.instances.get(&change.address) else { continue };
            let shifts = catalog.get(&change.kind).filter(|kind| directs_anew(kind, change));
            let targets = shifts.map(|kind| wanted.targets(kind, instance)).unwrap_or_default();
            // Whoever is still sent to the older incarnation moves before it is deleted.
            let finishes = targets.iter().any(|it| deposed.contains(it));
            if finishes || scope.is_own(change) {
                roots.push(change.address.clone());
                roots.extend(targets);
            }
        }
        scope.needed.extend(wanted.closure(&roots));
        scope
    }

    /// Whether a change comes from the switch: it was not pending on every side that is left, or it sends users elsewhere.
    fn is_own(&self, change: &Change) -> bool {
        self.redirected.contains(&change.address)
            || !in_all(&self.pending, &change.address, |it| same(it, change))
    }

    /// Whether the switch sends its users elsewhere than at least one of the sides that are left.
    pub fn redirects(&self, address: &Address) -> bool {
        self.redirected.contains(address)
    }

    /// Whether the switch cannot do without it.
    pub fn needs(&self, address: &Address) -> bool {
        self.needed.contains(address)
    }

    /// Whether a whole change was pending and the switch goes without it.
    pub fn holds(&self, change: &Change) -> bool {
        let pending = in_all(&self.pending, &change.address, |it| same(it, change));
        let own =
            self.needed.contains(&change.address) || self.redirected.contains(&change.address);
        pending && (change.action.destroys() || !own)
    }

    /// Whether one difference was pending and the switch goes without it. Repairing what the switch needs is part of it.
    pub fn holds_attribute(
        &self,
        address: &Address,
        kind: &Kind,
        record: &Record,
        difference: &AttributeChange,
    ) -> bool {
        // An interrupted replace is finished, and what points at it sees it under its own name.
        if is_unfinished(kind, record, difference) {
            return false;
        }
        if self.redirected.contains(address) && kind.directs(&difference.name) {
            return false;
        }
        let is_pending = in_all(&self.pending, address, |pending| {
            let mut attributes = pending.attributes.iter();
            attributes.any(|it| it.name == difference.name && it.after == difference.after)
        });
        is_pending && !(self.needed.contains(address) && is_repair(kind, record, difference))
    }
}

/// Whether a change of an object is pending under all that is left, and is so.
fn in_all(
    pending: &[BTreeMap<Address, Change>],
    address: &Address,
    is_so: impl Fn(&Change) -> bool,
) -> bool {
    pending.iter().all(|it| it.get(address).is_some_and(&is_so))
}

/// The same action for the same reasons.
fn same(one: &Change, other: &Change) -> bool {
    let after = |it: &Change| -> Vec<_> {
        it.attributes.iter().map(|it| (it.name.clone(), it.after.clone())).collect()
    };
    one.action == other.action && one.kind == other.kind && after(one) == after(other)
}

/// Whether users are directed to something else than before.
fn directs_anew(kind: &Kind, change: &Change) -> bool {
    match change.action {
        Action::Create => !kind.traffic.is_empty(),
        _ => change.attributes.iter().any(|it| kind.directs(&it.name)),
    }
}

/// The name of something that a replace left beside what it replaced, or left alone under the name that it had there.
fn is_unfinished(kind: &Kind, record: &Record, difference: &AttributeChange) -> bool {
    let name = &difference.name;
    let text = |it: Option<&Value>| it.and_then(Value::as_text).map(str::to_owned);
    match (text(record.attributes.get(name)), text(Some(&difference.after))) {
        _ if record.deposed.is_some() => kind.identity.by.contains(name),
        (Some(recorded), Some(wanted)) => is_name_beside(kind, name, &recorded, &wanted),
        _ => false,
    }
}

/// The layers say what they said at the last apply; the world differs.
fn is_repair(kind: &Kind, record: &Record, difference: &AttributeChange) -> bool {
    let name = &difference.name;
    let recorded = record.attributes.get(name).cloned().unwrap_or_default();
    let normal = |value| normalise(kind, name, value, &record.attributes);
    normal(&recorded) == normal(&difference.after)
}

//! Names that pass from one object to another: given up before they are taken, exchanged through a temporary one, or refused.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::address::Address;
use crate::engine::plan::model::change::{Action, StepCall};
use crate::engine::plan::model::planned_change::{
    PlannedChange, excludes, name_beside, place_alone, unique_identity,
};
use crate::engine::plan::steps::cycle::OrderingRule;
use crate::engine::plan::steps::lower::temporary;
use crate::engine::plan::steps::step_builder::StepBuilder;
use crate::engine::plan::traffic::serving::{after, is_there};
use crate::engine::schema::Rename;
use crate::engine::text::codes::DiagnosticCode;
use crate::engine::text::diagnostic::Diagnostic;
use crate::engine::value::Value;

/// Who has a name before the plan, by that name.
type NameHolders = BTreeMap<String, Vec<usize>>;

impl StepBuilder {
    /// Every unique identity is free before something else takes it; what cannot be is refused.
    pub fn release_before_take(&mut self, planned: &[PlannedChange<'_>]) -> Vec<Diagnostic> {
        let takes = |it: &PlannedChange<'_>| {
            matches!(it.change.action, Action::Create | Action::Update | Action::Replace { .. })
        };
        // Names are names of one kind: what nobody of a kind takes needs no look.
        let kinds: BTreeSet<&str> =
            planned.iter().filter(|it| takes(it)).map(|it| it.kind.kind.as_str()).collect();
        let mut holders: NameHolders = BTreeMap::new();
        for (at, it) in planned.iter().enumerate().filter(|(_, it)| is_there(it)) {
            if !kinds.contains(it.kind.kind.as_str()) {
                continue;
            }
            let name = it.record.and_then(|record| unique_identity(it.kind, &record.attributes));
            if let Some(name) = name {
                holders.entry(name).or_default().push(at);
            }
        }
        let mut refusals = Vec::new();
        // Who takes → from whom.
        let mut from: BTreeMap<usize, usize> = BTreeMap::new();
        for (at, it) in planned.iter().enumerate() {
            let Some(name) =
                after(it).filter(|_| takes(it)).and_then(|after| unique_identity(it.kind, &after))
            else {
                continue;
            };
            let Some(holder) =
                holders.get(&name).into_iter().flatten().find(|holder| **holder != at)
            else {
                continue;
            };
            if self.release(&planned[*holder]).is_none() {
                refusals.push(taken(it, &planned[*holder]));
                continue;
            }
            from.insert(at, *holder);
        }
        self.break_exchanges(planned, &from, &mut refusals);
        for (taker, holder) in &from {
            let (take, release) = (self.take(&planned[*taker]), self.release(&planned[*holder]));
            if let (Some(take), Some(release)) = (take, release) {
                self.derive(take, release, OrderingRule::Name);
            }
        }
        refusals
    }

    /// Those that exchange names among themselves: one of them goes under a temporary name meanwhile.
    fn break_exchanges(
        &mut self,
        planned: &[PlannedChange<'_>],
        from: &BTreeMap<usize, usize>,
        refusals: &mut Vec<Diagnostic>,
    ) {
        let mut met: BTreeMap<usize, usize> = BTreeMap::new();
        for start in from.keys() {
            let mut at = *start;
            while !met.contains_key(&at) {
                met.insert(at, *start);
                let Some(next) = from.get(&at) else { break };
                at = *next;
            }
            let closes = from.contains_key(&at) && met.get(&at) == Some(start);
            // Only what keeps its object while it gives up its name needs another one in between.
            let in_circle = if closes { circle(from, at) } else { Vec::new() };
            let updates = |at: &usize| planned[*at].change.action == Action::Update;
            if in_circle.is_empty() || !in_circle.iter().all(updates) {
                continue;
            }
            let first = &planned[in_circle[0]];
            if !self.step_aside(first) {
                refusals.push(exchanged(first, &planned[from[&in_circle[0]]]));
            }
        }
    }

    /// Puts a step before a change that gives it a temporary name; `false` where there is no such name.
    fn step_aside(&mut self, it: &PlannedChange<'_>) -> bool {
        let Some(name) = it.kind.identity.by.last() else { return false };
        let recorded = it.record.and_then(|it| it.attributes.get(name)).and_then(Value::as_text);
        let (Some(recorded), Rename::InPlace) = (recorded, it.kind.identity.rename) else {
            return false;
        };
        let Some((first, _)) = self.makes.get(&it.change.address).copied() else { return false };
        let seed = format!("{} {}", it.change.address, it.change.id.as_deref().unwrap_or_default());
        let to = name_beside(it.kind, name, recorded, &seed);
        let call = StepCall::Rename { attribute: name.clone(), to: Some(to) };
        let aside = self.push(it, call, None, 1);
        self.steps[aside].segment = self.steps[first].segment;
        let waits = self.steps[first].waits.clone();
        self.steps[aside].waits = waits;
        self.steps[first].waits.push(aside);
        self.aside.insert(it.change.address.clone(), aside);
        true
    }

    /// The step after which an object has its old name no more; `None`: it keeps it.
    fn release(&self, it: &PlannedChange<'_>) -> Option<usize> {
        let address = &it.change.address;
        if let Some(aside) = self.aside.get(address) {
            return Some(*aside);
        }
        match it.change.action {
            Action::Delete | Action::Replace { create_first: false } => {
                self.deletes.get(address).map(|it| it.1)
            }
            Action::Replace { create_first: true } => {
                let (first, last) = self.deletes.get(address).copied()?;
                let own = first..=last;
                own.rev().find(|it| !matches!(self.steps[*it].call, StepCall::Rename { .. }))
            }
            Action::Update => self.renaming(it),
            _ => None,
        }
        .filter(|_| !keeps_name(it))
    }

    /// The step with which an object takes its new name.
    fn take(&self, it: &PlannedChange<'_>) -> Option<usize> {
        let address = &it.change.address;
        match it.change.action {
            Action::Update => self.renaming(it),
            Action::Replace { create_first: true } if temporary(it).is_some() => {
                self.deletes.get(address).map(|it| it.1)
            }
            Action::Create | Action::Replace { .. } => self.makes.get(address).map(|it| it.0),
            _ => None,
        }
    }

    /// The update that changes a part of its identity.
    fn renaming(&self, it: &PlannedChange<'_>) -> Option<usize> {
        let (first, last) = self.makes.get(&it.change.address).copied()?;
        let renames = |at: &usize| {
            let StepCall::Update { changed, .. } = &self.steps[*at].call else { return false };
            changed.iter().any(|it2| it.kind.identity.by.contains(it2))
        };
        (first..=last).find(|at| self.steps[*at].address == it.change.address && renames(at))
    }

    /// What may not stand beside its successor goes right before that; what cannot go is told.
    pub fn part_excluded(&mut self, planned: &[PlannedChange<'_>]) -> Vec<Diagnostic> {
        let mut places: NameHolders = BTreeMap::new();
        for (at, it) in planned.iter().enumerate().filter(|(_, it)| is_there(it)) {
            let place = it.record.and_then(|record| place_alone(it.kind, &record.attributes));
            if let Some(place) = place {
                places.entry(place).or_default().push(at);
            }
        }
        let mut refusals = Vec::new();
        if places.is_empty() {
            return refusals;
        }
        for (at, it) in planned.iter().enumerate() {
            if !matches!(it.change.action, Action::Create | Action::Replace { .. } | Action::Update)
            {
                continue;
            }
            let Some(new) = after(it) else { continue };
            let Some(place) = place_alone(it.kind, &new) else { continue };
            let Some((make, _)) = self.makes.get(&it.change.address).copied() else { continue };
            for other in places.get(&place).into_iter().flatten() {
                let theirs = &planned[*other];
                let Some(record) = theirs.record else { continue };
                if !excludes(it.kind, &new, &record.attributes) {
                    continue;
                }
                let goes = self.deletes.get(&theirs.change.address).copied();
                match goes.filter(|_| theirs.change.action.destroys()) {
                    Some((first, last)) => {
                        if other != &at {
                            self.derive(make, last, OrderingRule::Name);
                        }
                        self.exclusive.insert((first, make));
                    }
                    None if other == &at => {}
                    None => {
                        let moves = after(theirs).is_some_and(|it2| !excludes(it.kind, &new, &it2));
                        match self.makes.get(&theirs.change.address).filter(|_| moves) {
                            Some((_, last)) => self.derive(make, *last, OrderingRule::Name),
                            None => refusals.push(taken(it, theirs)),
                        }
                    }
                }
            }
        }
        refusals
    }

    /// Whatever the successor waits for, what it excludes waits for as well: the gap between the two is as short as can be.
    pub fn close_gaps(&mut self) {
        for (delete, make) in self.exclusive.clone() {
            let last = self.last_of_deletion(delete);
            let others: Vec<usize> =
                self.exclusive.iter().filter(|it| it.1 == make).map(|it| it.0).collect();
            // A record that went before its successor may be made would leave its name without an answer.
            let quorums = self.steps[make].quorums.clone();
            self.steps[delete].quorums.extend(quorums);
            let waits = self.steps[make].waits.clone();
            for wait in waits {
                let is_own = (delete..=last).contains(&wait)
                    || others.iter().any(|it| (*it..=self.last_of_deletion(*it)).contains(&wait));
                if !is_own {
                    self.derive(delete, wait, OrderingRule::Name);
                }
            }
        }
    }

    fn last_of_deletion(&self, first: usize) -> usize {
        let chain = self.deletes.values().find(|it| it.0 == first);
        chain.map_or(first, |it| it.1)
    }
}

/// Whether a change leaves an object the identity that it has.
fn keeps_name(it: &PlannedChange<'_>) -> bool {
    let before = it.record.and_then(|record| unique_identity(it.kind, &record.attributes));
    after(it).is_some_and(|after| unique_identity(it.kind, &after) == before)
}

/// The ones that take from each other, from one of them on.
fn circle(from: &BTreeMap<usize, usize>, start: usize) -> Vec<usize> {
    let mut found = vec![start];
    let mut at = from[&start];
    while at != start {
        found.push(at);
        at = from[&at];
    }
    found
}

fn told_of(it: &PlannedChange<'_>, code: DiagnosticCode, text: String, help: &str) -> Diagnostic {
    let refusal = Diagnostic::refusal(code, text).help(help);
    match it.instance {
        Some(instance) => refusal.at(instance.resource.span, it.change.reason.clone()),
        None => refusal,
    }
}

fn name_of(address: &Address) -> String {
    format!("`{address}`")
}

/// A name that its holder keeps.
fn taken(it: &PlannedChange<'_>, holder: &PlannedChange<'_>) -> Diagnostic {
    let (own, theirs) = (name_of(&it.change.address), name_of(&holder.change.address));
    let text = format!("{own} cannot exist beside {theirs}, which keeps the same name");
    told_of(
        it,
        DiagnosticCode::NameTaken,
        text,
        "give one of them another name, or remove the other one from the configuration",
    )
}

/// Names that are exchanged, and no temporary one is possible.
fn exchanged(it: &PlannedChange<'_>, other: &PlannedChange<'_>) -> Diagnostic {
    let (own, theirs) = (name_of(&it.change.address), name_of(&other.change.address));
    let by = it.kind.identity.by.last().cloned().unwrap_or_default();
    let text = format!(
        "{own} and {theirs} would swap their `{by}`, but each has to be free before the other can take it"
    );
    let help = format!("make the change in two applies: first give one of them an unused `{by}`");
    told_of(it, DiagnosticCode::Exchange, text, &help)
}

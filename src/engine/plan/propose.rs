//! Proposes a plan: one change for each address, the steps that follow, and what the guards say.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::address::Address;
use crate::engine::diagnostic::Diagnostic;
use crate::engine::fault_domain::Domains;
pub use crate::engine::plan::asked::{Intent, Keep, Options};
use crate::engine::plan::carried::Carried;
use crate::engine::plan::change::{Action, Plan, note};
use crate::engine::plan::closure::Wanted;
use crate::engine::plan::guard;
use crate::engine::plan::order::{Course, steps};
use crate::engine::plan::planned::Planned;
use crate::engine::plan::proposal::Proposal;
pub use crate::engine::plan::proposal::Worlds;
use crate::engine::plan::traffic::{Direction, directions, left, replicating};
use crate::engine::state::record::State;

/// The plan; diagnostics stop it only when they are errors.
pub fn propose(worlds: &Worlds<'_>, options: &Options) -> (Plan, Vec<Diagnostic>) {
    proposed(worlds, options, None)
}

/// The plan of a switch: only what differs between what `before` desires and what `after` desires. Several are left where
/// switches were turned before they ended.
pub fn propose_switch(
    before: &[Worlds<'_>],
    after: &Worlds<'_>,
    options: &Options,
) -> (Plan, Vec<Diagnostic>) {
    let pending = before.iter().map(|it| propose(it, options).0).collect();
    let (everything, _) = propose(after, options);
    let thawed = thawed(after, options);
    let deposed = deposed(after.state);
    let carried = Carried::new(after.catalog, after.stack, pending, &everything, thawed, &deposed);
    proposed(after, options, Some(&carried))
}

/// What an interrupted replace left an older incarnation of.
fn deposed(state: Option<&State>) -> BTreeSet<Address> {
    let records = state.into_iter().flat_map(|it| &it.records);
    records.filter(|(_, it)| it.deposed.is_some()).map(|(address, _)| address.clone()).collect()
}

/// What was frozen and is looked at again.
fn thawed(worlds: &Worlds<'_>, options: &Options) -> BTreeSet<Address> {
    let Some(state) = worlds.state.filter(|_| !options.thawed.is_empty()) else {
        return BTreeSet::new();
    };
    let domains = Domains::new(worlds.catalog, Some(state));
    let is_thawed = |it: &&Address| {
        domains.of_record(it).is_some_and(|it| options.thawed.iter().any(|thawed| thawed == it))
    };
    state.records.keys().filter(is_thawed).cloned().collect()
}

fn proposed(
    worlds: &Worlds<'_>,
    options: &Options,
    carried: Option<&Carried>,
) -> (Plan, Vec<Diagnostic>) {
    let mut proposal = Proposal::new(*worlds, options, carried);
    if options.intent == Intent::Apply {
        for address in worlds.order {
            if let Some(instance) = worlds.stack.instances.get(address) {
                proposal.instance(instance);
            }
        }
    }
    proposal.leftovers();
    proposal.hold_needed();
    finish(proposal)
}

fn finish(mut it: Proposal<'_>) -> (Plan, Vec<Diagnostic>) {
    let options = it.options;
    let outputs = it.outputs();
    let stale = it.stale();
    let mut directions = match options.intent {
        Intent::Apply => directions(&it.worlds, &it.frozen, &it.planned, options.now),
        Intent::Destroy => Vec::new(),
    };
    it.hold_traffic(&mut directions);
    directions.retain(|it| it.until.is_none_or(|until| until > options.now));
    // Only a switch asks whether the other side has the data.
    let replicating = if options.from.is_some() { replicating(&it.planned) } else { Vec::new() };
    let goes_on = options.from.is_some()
        && it.worlds.state.is_some_and(|state| state.active == it.worlds.stack.overlays);
    let left = left(&it.worlds, &it.planned, &directions, goes_on);
    let course = Course {
        allowed: &options.allowed,
        intent: options.intent,
        directions: &directions,
        left: &left,
        replicating: &replicating,
    };
    let (steps, refusals) = steps(&it.planned, &course);
    it.diagnostics.extend(refusals);
    if options.intent == Intent::Apply {
        it.diagnostics.extend(it.groups.split());
        it.diagnostics.extend(lost_targets(&it, &directions));
        it.diagnostics.extend(names_of_lost(&it));
        it.diagnostics.extend(guard::cloud_lost(&it.planned, it.frozen.clouds()));
    }
    it.diagnostics.extend(unseen_domains(&it));
    it.diagnostics.extend(guard::guard(&it.planned, it.worlds.state, options));
    let stack = it.worlds.stack;
    let switch = it.worlds.state.and_then(|state| {
        (state.active != stack.overlays && options.intent == Intent::Apply)
            .then(|| (state.active.clone(), stack.overlays.clone()))
    });
    let notes = it.diagnostics.iter().map(|it| note(it, |span| stack.sources.line(span))).collect();
    let plan = Plan {
        stack: stack.name.clone(),
        instance: stack.instance.clone(),
        switch,
        overlays: stack.overlays.clone(),
        lost: options.lost.clone(),
        thaws: options.thaws.clone(),
        bindings: options.bindings.clone(),
        changes: it.planned.into_iter().map(|it| it.change).collect(),
        drift: it.drift,
        outputs,
        stale,
        steps,
        notes,
    };
    (plan, it.diagnostics)
}

/// Changes that would send users to what is lost.
fn lost_targets(it: &Proposal<'_>, directions: &[Direction]) -> Vec<Diagnostic> {
    let into_lost = directions.iter().filter_map(|it| Some((&it.address, it.into_lost.as_ref()?)));
    let into_lost: BTreeMap<&Address, &(Address, String)> = into_lost.collect();
    if it.options.allowed.outage || into_lost.is_empty() {
        return Vec::new();
    }
    let name = match &it.worlds.stack.instance {
        Some(instance) => format!("{}@{instance}", it.worlds.stack.name),
        None => it.worlds.stack.name.clone(),
    };
    let refusal = |planned: &Planned<'_>| {
        let (target, domain) = into_lost.get(&planned.change.address)?;
        Some(guard::into_lost(planned, target, domain, &name))
    };
    it.planned.iter().filter_map(refusal).collect()
}

/// Names that lead to what is lost, and that nothing of this plan leads elsewhere.
fn names_of_lost(it: &Proposal<'_>) -> Vec<Diagnostic> {
    if it.options.lost.is_empty() {
        return Vec::new();
    }
    // A cloud whose API is lost may well serve on.
    let global: Vec<&String> = it.frozen.clouds().values().collect();
    let frozen = |planned: &Planned<'_>| {
        let domain = planned.change.frozen.clone().filter(|it| !global.contains(&it))?;
        Some((planned.change.address.clone(), domain))
    };
    let lost: BTreeMap<Address, String> = it.planned.iter().filter_map(frozen).collect();
    let wanted = Wanted::new(it.worlds.catalog, it.worlds.stack);
    let leads = |planned: &Planned<'_>| {
        let instance = planned.instance.filter(|_| planned.change.action == Action::NoOp)?;
        let is_name = planned.kind.drain.is_some() && planned.record.is_some();
        let targets = if is_name { wanted.targets(planned.kind, instance) } else { Vec::new() };
        let target = targets.into_iter().find(|it| lost.contains_key(it))?;
        Some(guard::leads_into_lost(planned, &target, &lost[&target]))
    };
    it.planned.iter().filter_map(leads).collect()
}

/// The fault domains of what could not be looked at; global ones are not lost by halves.
fn unseen_domains(it: &Proposal<'_>) -> Option<Diagnostic> {
    if it.planned.iter().all(|it| it.change.unseen.is_none()) {
        return None;
    }
    let (catalog, stack) = (it.worlds.catalog, it.worlds.stack);
    let mut domains = Domains::new(catalog, it.worlds.state);
    // What is only to be made has a place as well; what contains it comes before it.
    for planned in &it.planned {
        if let (Some(instance), Some(desired)) = (planned.instance, &planned.desired) {
            domains.take_in(catalog, stack, instance, desired);
        }
    }
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for planned in it.planned.iter().filter(|planned| it.is_silent(&planned.change.address)) {
        let address = &planned.change.address;
        let domain = match planned.record {
            Some(_) => domains.of_record(address),
            None => domains.of_desired(address),
        };
        if let Some(domain) = domain {
            *counts.entry(domain.to_owned()).or_default() += 1;
        }
    }
    guard::unseen_domains(&counts, &stack.name, it.options.intent)
}

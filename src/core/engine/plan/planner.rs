//! Proposes a plan: one change for each address, the steps that follow, and what the guards say.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use crate::engine::address::Address;
use crate::engine::fault_domain::FaultDomains;
use crate::engine::lang::model::Stack;
use crate::engine::plan::checks::foreign;
use crate::engine::plan::checks::lost_needs::lost_needs;
use crate::engine::plan::checks::silent_site::silent_site;
use crate::engine::plan::checks::unknown::unseen;
use crate::engine::plan::draft::plan_builder::PlanBuilder;
pub use crate::engine::plan::draft::plan_builder::PlanInputs;
use crate::engine::plan::draft::switch_scope::{OwnChanges, SwitchScope};
use crate::engine::plan::draft::topology::DesiredTopology;
use crate::engine::plan::guard::allow::{in_force, uses};
use crate::engine::plan::guard::danger::{NAME_GONE, dangers};
use crate::engine::plan::guard::rules;
use crate::engine::plan::model::change::{
    Change, Danger, Plan, SkippedGate, Step, Stray, VariableInForce, note,
};
pub use crate::engine::plan::model::options::{Intent, Keep, PlanOptions};
use crate::engine::plan::model::planned_change::PlannedChange;
use crate::engine::plan::model::planned_task::PlannedTask;
use crate::engine::plan::steps::order::{OrderingConstraints, steps};
use crate::engine::plan::steps::replacements::replacements;
use crate::engine::plan::steps::verify::{Checked, verify};
use crate::engine::plan::traffic::balancer_firewalls::{FilteredPort, doors};
use crate::engine::plan::traffic::filters::Walls;
use crate::engine::plan::traffic::shifts::{
    Replicating, ShiftDirection, directions, left, replicating,
};
use crate::engine::plan::traffic::shrunk_sets::shrunk;
use crate::engine::plan::traffic::shut_backends::{ShutBackend, shut};
use crate::engine::plan::traffic::unchecked_targets::{blind, uncounted};
use crate::engine::state::record::{Phase, State};
use crate::engine::text::codes::DiagnosticCode;
use crate::engine::text::diagnostic::Diagnostic;

/// The plan; diagnostics stop it only when they are errors.
pub fn plan_changes(worlds: &PlanInputs<'_>, options: &PlanOptions) -> (Plan, Vec<Diagnostic>) {
    let (mut plan, told) = proposed(worlds, &with_layers(worlds, options), None);
    plan.allowed.clone_from(&options.allowed);
    (plan, told)
}

/// The options with what the layers let through the guards. A plan keeps apart what was typed: whoever plans anew types it again,
/// and reads the layers anew.
fn with_layers<'a>(worlds: &PlanInputs<'_>, options: &'a PlanOptions) -> Cow<'a, PlanOptions> {
    if worlds.stack.allowances.is_empty() {
        return Cow::Borrowed(options);
    }
    let in_force = in_force(worlds, options);
    let allowed = options.allowed.and(&in_force.allowed);
    Cow::Owned(PlanOptions { allowed, in_force, ..options.clone() })
}

/// The plan of a switch: only what differs between what `before` desires and what `after` desires. Several are left where
/// switches were turned before they ended.
pub fn plan_switch(
    before: &[PlanInputs<'_>],
    after: &PlanInputs<'_>,
    options: &PlanOptions,
) -> (Plan, Vec<Diagnostic>) {
    let pending = before.iter().map(|it| plan_changes(it, options).0).collect();
    let (everything, _) = plan_changes(after, options);
    let recovered_so_far = recovered_so_far(after, options);
    let deposed = deposed(after.state);
    let own = OwnChanges { recovered_so_far, redirected: redirected(before, after), deposed };
    let carried = SwitchScope::new(after.catalog, after.stack, pending, &everything, own);
    let (mut plan, told) = proposed(after, &with_layers(after, options), Some(&carried));
    plan.allowed.clone_from(&options.allowed);
    (plan, told)
}

/// What directs users elsewhere than under any of the overlays that are left. Where neither target is known yet the changes look
/// the same, and are not.
fn redirected(before: &[PlanInputs<'_>], after: &PlanInputs<'_>) -> BTreeSet<Address> {
    let targets = |worlds: &PlanInputs<'_>, wanted: &DesiredTopology<'_>, address: &Address| {
        let instance = worlds.stack.instances.get(address)?;
        let kind = worlds.catalog.get(&instance.resource.kind)?;
        (!kind.traffic.is_empty()).then(|| wanted.targets(kind, instance))
    };
    let left: Vec<(&PlanInputs<'_>, DesiredTopology<'_>)> =
        before.iter().map(|it| (it, DesiredTopology::new(it.catalog, it.stack))).collect();
    let wanted = DesiredTopology::new(after.catalog, after.stack);
    let differs = |address: &&Address| {
        let now = targets(after, &wanted, address);
        now.is_some() && left.iter().any(|(worlds, wanted)| targets(worlds, wanted, address) != now)
    };
    after.stack.instances.keys().filter(differs).cloned().collect()
}

/// What an interrupted replace left an older incarnation of.
fn deposed(state: Option<&State>) -> BTreeSet<Address> {
    let records = state.into_iter().flat_map(|it| &it.records);
    records.filter(|(_, it)| it.deposed.is_some()).map(|(address, _)| address.clone()).collect()
}

/// What was frozen and is looked at again.
fn recovered_so_far(worlds: &PlanInputs<'_>, options: &PlanOptions) -> BTreeSet<Address> {
    let Some(state) = worlds.state.filter(|_| !options.recovered_so_far.is_empty()) else {
        return BTreeSet::new();
    };
    let domains = FaultDomains::new(worlds.catalog, Some(state));
    let is_thawed = |it: &&Address| {
        domains.of_record(it).is_some_and(|it| {
            options.recovered_so_far.iter().any(|recovered_so_far| recovered_so_far == it)
        })
    };
    state.records.keys().filter(is_thawed).cloned().collect()
}

fn proposed(
    worlds: &PlanInputs<'_>,
    options: &PlanOptions,
    carried: Option<&SwitchScope>,
) -> (Plan, Vec<Diagnostic>) {
    let mut proposal = PlanBuilder::new(*worlds, options, carried);
    if options.intent == Intent::Apply {
        for address in worlds.order {
            if let Some(instance) = worlds.stack.instances.get(address) {
                proposal.instance(instance);
            }
        }
    }
    proposal.leftovers();
    proposal.hold_behind_unknown();
    proposal.hold_needed();
    proposal.carry_beside();
    finish(proposal)
}

/// What is not seen, first of all, since it may be why the rest is as it is; then what guards refuse.
fn guarded(it: &mut PlanBuilder<'_>, directions: &[ShiftDirection]) -> Vec<Stray> {
    let mut strays = Vec::new();
    if it.options.intent == Intent::Apply {
        let name = it.name();
        it.diagnostics.extend(it.groups.split(&name));
        it.diagnostics.extend(silent_site(it));
        it.diagnostics.extend(lost_targets(it, directions));
        it.diagnostics.extend(lost_needs(it));
        it.diagnostics.extend(blind(it, directions));
        it.diagnostics.extend(uncounted(it, directions));
        strays = it.strays();
        let overlays = &it.worlds.stack.overlays;
        it.diagnostics.extend(rules::half_destroyed(
            &it.planned,
            it.worlds.state,
            (overlays, &it.options.lost),
        ));
        it.diagnostics.extend(rules::cloud_lost(&it.planned, it.frozen.clouds(), &it.name()));
    }
    let told = unseen(it);
    it.diagnostics.splice(0..0, told);
    let name = it.name();
    let overlay = it.worlds.stack.overlays.first().filter(|_| name.contains('@'));
    let variables = &it.worlds.stack.variables;
    let copies = &it.groups.copies_left(&it.planned);
    let whose =
        rules::Whose { name: &name, overlay: overlay.map(String::as_str), variables, copies };
    it.diagnostics.extend(rules::guard(&it.planned, it.worlds.state, it.options, whose));
    it.diagnostics.extend(unknown_replacements(it));
    it.diagnostics.extend(it.options.in_force.told.iter().cloned());
    strays
}

/// From the changes to the plan. Each part looks at what the ones before it have left: where users go, first, since a shift that
/// has to wait keeps what serves them now; then the order; then what is refused, with the cause before its effects; and last a
/// second reading of the steps by somebody who did not write them.
fn finish(mut it: PlanBuilder<'_>) -> (Plan, Vec<Diagnostic>) {
    let outputs = it.outputs();
    let stale = it.stale();
    let directions = traffic(&mut it);
    let replicating = replicating_gates(&it);
    let skipped_gates = skipped_gates(&mut it, &directions, &replicating);
    let tasks = it.tasks();
    let left = abandoned(&it, &directions);
    let ordered = order(&it, &directions, &left, (replicating, &tasks));
    let is_ordered = ordered.refusals.is_empty();
    let steps = ordered.steps;
    it.diagnostics.extend(ordered.refusals);
    let strays = guarded(&mut it, &directions);
    let foreign = it.foreign();
    it.diagnostics.extend(foreign::told(&foreign, it.worlds.stack));
    let dangers = endangered(&mut it, &directions, &left);
    let replacements = replacements(&it.planned, &steps);
    let allowances = uses(&it.options.in_force.each, &it.planned, &it.worlds);
    let (stack, state, options) = (it.worlds.stack, it.worlds.state, it.options);
    let changes: Vec<Change> = it.planned.into_iter().map(|it| it.change).collect();
    // What no order could be found for is refused already.
    if is_ordered {
        it.diagnostics.extend(verify(&Checked {
            catalog: it.worlds.catalog,
            stack,
            state,
            changes: &changes,
            steps: &steps,
            tasks: &tasks,
            // A destroy is itself the intent.
            outage: options.allowed.outage || options.intent == Intent::Destroy,
        }));
    }
    let notes = it.diagnostics.iter().map(|it| note(it, |span| stack.sources.line(span))).collect();
    let plan = Plan {
        stack: stack.name.clone(),
        instance: stack.instance.clone(),
        switch: switch(stack, state, options),
        overlays: stack.overlays.clone(),
        phase: phase(state, options),
        rest: None,
        lost: options.lost.clone(),
        recovered: options.recovered.clone(),
        bindings: options.bindings.clone(),
        allowed: options.allowed.clone(),
        allowances,
        include_pending: options.include_pending,
        replace: options.replace.clone(),
        skipped_gates,
        variables: VariableInForce::all(&stack.variables),
        changes,
        dangers,
        replacements,
        drift: it.drift,
        foreign,
        strays,
        tasks,
        outputs,
        stale,
        steps,
        notes,
    };
    (plan, it.diagnostics)
}

/// Where users go, and from where they still may come. Changes that would take them to what could not be read are deferred, and
/// so is what only these need.
fn traffic(it: &mut PlanBuilder<'_>) -> Vec<ShiftDirection> {
    let options = it.options;
    let mut directions = match options.intent {
        Intent::Apply => directions(&it.worlds, &it.frozen, &it.planned, options),
        Intent::Destroy => Vec::new(),
    };
    it.hold_traffic(&mut directions);
    it.hold_needed();
    directions.retain(|it| it.until.is_none_or(|until| until > options.now));
    directions
}

/// Steps in their order, or why there is none.
struct Ordered {
    steps: Vec<Step>,
    refusals: Vec<Diagnostic>,
}

/// Only a switch asks whether the other side has the data.
fn replicating_gates(it: &PlanBuilder<'_>) -> Vec<Replicating> {
    if it.options.is_switch() { replicating(&it.worlds, &it.planned) } else { Vec::new() }
}

/// The gates of this plan that nobody waits for, each with a warning; what was asked to be skipped and has no gate is a mistake.
fn skipped_gates(
    it: &mut PlanBuilder<'_>,
    directions: &[ShiftDirection],
    replicating: &[Replicating],
) -> Vec<SkippedGate> {
    let mut skipped = Vec::new();
    for (address, because) in &it.options.allowed.skip_gates {
        let of_traffic = directions.iter().any(|it| it.skips && it.address == *address);
        let of_group = replicating.iter().any(|it| it.gated == *address);
        let has_gate = it.worlds.stack.instances.get(address).is_some_and(|instance| {
            let kind = it.worlds.catalog.get(&instance.resource.kind);
            let gates = &instance.resource.gates;
            let own = gates.probes().next().is_some() || gates.replication().is_some();
            own || kind.is_some_and(|it| it.drain.is_some())
        });
        if of_traffic || of_group {
            let (what, then) = if of_traffic {
                ("gate", "users are sent to it whether or not it serves")
            } else {
                ("replication gate", "nothing verifies that it holds the latest data")
            };
            let text = format!("the {what} of `{address}` is skipped: {because}; {then}");
            it.diagnostics.push(Diagnostic::warning(DiagnosticCode::GateSkipped, text));
            skipped.push(SkippedGate { address: address.clone(), because: because.clone() });
        } else if !has_gate {
            let text = format!("`--skip-gate {address}`: `{address}` has no gate");
            let help = "name the address of a gate, as the plan prints it";
            it.diagnostics.push(Diagnostic::error(DiagnosticCode::UnknownAddress, text).help(help));
        }
    }
    skipped
}

/// What nobody is directed to any more when the plan is carried out.
fn abandoned(it: &PlanBuilder<'_>, directions: &[ShiftDirection]) -> BTreeSet<Address> {
    let (worlds, options) = (&it.worlds, it.options);
    let is_resumed = worlds.state.is_some_and(|state| {
        let goes_on = options.is_switch() || state.unfinished_switch().is_some();
        goes_on && state.active == worlds.stack.overlays
    });
    left(worlds, &it.planned, directions, is_resumed)
}

fn order(
    it: &PlanBuilder<'_>,
    directions: &[ShiftDirection],
    left: &BTreeSet<Address>,
    (mut replicating, tasks): (Vec<Replicating>, &[PlannedTask]),
) -> Ordered {
    let (worlds, options) = (&it.worlds, it.options);
    replicating.retain(|it| !options.allowed.skip_gates.contains_key(&it.gated));
    let constraints = OrderingConstraints {
        catalog: worlds.catalog,
        stack: worlds.stack,
        allowed: &options.allowed,
        intent: options.intent,
        directions,
        left,
        replicating: &replicating,
        tasks,
    };
    let (steps, refusals) = steps(&it.planned, &constraints);
    Ordered { steps, refusals }
}

/// How far a switch is that began before; a destroy ends none.
fn phase(state: Option<&State>, options: &PlanOptions) -> Phase {
    let state = state.filter(|_| options.intent == Intent::Apply);
    state.map(|it| it.phase).unwrap_or_default()
}

/// The overlays that are left and those that become active, where they differ.
fn switch(
    stack: &Stack,
    state: Option<&State>,
    options: &PlanOptions,
) -> Option<(Vec<String>, Vec<String>)> {
    let left = state.filter(|it| options.intent == Intent::Apply && it.active != stack.overlays)?;
    Some((left.active.clone(), stack.overlays.clone()))
}

/// What must not be overlooked; and a refusal of what would shut backends out, unless that is meant.
fn endangered(
    it: &mut PlanBuilder<'_>,
    directions: &[ShiftDirection],
    left: &BTreeSet<Address>,
) -> Vec<Danger> {
    let (worlds, options) = (it.worlds, it.options);
    let (stack, kinds) = (worlds.stack, (worlds.stack, worlds.catalog));
    let copies = it.groups.copies_left(&it.planned);
    let mut dangers = dangers(&it.planned, stack, &copies);
    if options.intent == Intent::Apply {
        let shrunk = shrunk(&it.planned, left);
        let still_resolves = |one: &Danger| shrunk.iter().any(|it| it.address == one.address);
        dangers.retain(|it| it.says != NAME_GONE || !still_resolves(it));
        dangers.extend(shrunk);
    }
    let may_shut = options.allowed.outage;
    let walls = match options.intent {
        Intent::Apply => Walls::new(&it.planned, kinds, worlds.observed, &options.beside),
        Intent::Destroy => None,
    };
    if let Some(walls) = walls {
        let shut = shut(&it.planned, stack, &walls);
        let doors = doors(&it.planned, kinds, &walls, directions);
        it.diagnostics.extend(shut.iter().filter_map(|it| it.told(stack, may_shut)));
        it.diagnostics.extend(doors.iter().filter_map(|it| it.told(stack, may_shut)));
        dangers.extend(shut.iter().filter_map(ShutBackend::danger));
        dangers.extend(doors.iter().filter_map(FilteredPort::danger));
    }
    dangers.sort_by_key(|it| it.sort);
    dangers
}

/// What was asked to be made anew and is declared nowhere.
fn unknown_replacements(it: &PlanBuilder<'_>) -> Vec<Diagnostic> {
    let declared = &it.worlds.stack.instances;
    let unknown = it.options.replace.iter().filter(|it| !declared.contains_key(*it));
    unknown
        .map(|address| {
            let names: Vec<String> = declared.keys().map(ToString::to_string).collect();
            let text = format!("`--replace {address}`: `{address}` does not exist");
            Diagnostic::error(DiagnosticCode::UnknownAddress, text)
                .help("write an address as the plan prints it")
                .nearest(&address.to_string(), names.iter().map(String::as_str))
        })
        .collect()
}

/// Changes that would send users to what is lost.
fn lost_targets(it: &PlanBuilder<'_>, directions: &[ShiftDirection]) -> Vec<Diagnostic> {
    let into_lost = directions.iter().filter_map(|it| Some((&it.address, it.into_lost.as_ref()?)));
    let into_lost: BTreeMap<&Address, &(Address, String)> = into_lost.collect();
    if it.options.allowed.outage || into_lost.is_empty() {
        return Vec::new();
    }
    let name = it.name();
    let goes_home = it.worlds.state.is_some_and(|state| state.home == it.worlds.stack.overlays);
    let refusal = |planned: &PlannedChange<'_>| {
        let (target, domain) = into_lost.get(&planned.change.address)?;
        let mut recorded = it.options.lost.iter().filter(|it| it.recorded.is_some());
        let back = match recorded.any(|it| it.fault_domain == *domain) {
            false => rules::LostReturn::Undeclared,
            true if goes_home => rules::LostReturn::Home,
            true => rules::LostReturn::Elsewhere,
        };
        Some(rules::into_lost(planned, target, domain, (&name, back)))
    };
    it.planned.iter().filter_map(refusal).collect()
}

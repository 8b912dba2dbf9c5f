//! Checks a finished plan, fresh or saved, apart from what ordered it: who serves at each step, whose each name is, no circle.
//!
//! Whatever order free steps run in, a step is certain to come after another only if it waits for it, over others or not.
//! So for every step that takes something out of service there must be a member of the same serving set that came to serve
//! before, and that nothing takes away but what waits for this step.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::address::Address;
use crate::engine::lang::model::{Gates, Stack};
use crate::engine::plan::draft::topology::{DesiredTopology, RecordedTopology};
use crate::engine::plan::model::change::{Action, Change, DeferReason, Step, StepCall};
use crate::engine::plan::model::planned_change::{excludes, place_alone, unique_identity};
use crate::engine::plan::steps::cycle;
pub use crate::engine::plan::steps::history::Checked;
use crate::engine::plan::steps::history::{Ancestors, History, PlanVersion};
use crate::engine::plan::steps::tasks::{making, own_steps};
use crate::engine::text::codes::DiagnosticCode;
use crate::engine::text::diagnostic::Diagnostic;

/// What `--allow-outage` lets through.
pub const OF_SERVING: [DiagnosticCode; 3] =
    [DiagnosticCode::EmptiesServingSet, DiagnosticCode::NoServingOrder, DiagnosticCode::LostTarget];

/// Why a plan must not be begun.
pub fn verify(it: &Checked<'_>) -> Vec<Diagnostic> {
    if let Some(cycle) = cycle::find(it.steps) {
        return vec![in_circle(&cycle::tell(it.steps, &cycle, &BTreeMap::new()))];
    }
    let mut refusals = tasks(it);
    let touches =
        |it: &Change| it.action.destroys() || matches!(it.action, Action::Update | Action::Create);
    // Where nothing is there yet, nothing has a name and nobody is served: all that can be wrong is a gate.
    let is_new = it.state.is_none_or(|it| it.records.is_empty());
    let has_gates = || it.steps.iter().any(|it| matches!(it.call, StepCall::Serving { .. }));
    if !it.changes.iter().any(touches) || (is_new && !has_gates()) {
        return refusals;
    }
    let history = History::new(it);
    refusals.extend(gates(it, &history));
    if is_new {
        return refusals;
    }
    let mut ancestors = Ancestors::new(it.steps);
    refusals.extend(names(it, &history, &mut ancestors));
    if !it.outage && it.changes.iter().any(|it| it.action.destroys() || it.action == Action::Update)
    {
        refusals.extend(sets(it, &history, &mut ancestors));
        refusals.extend(roots(it, &history, &mut ancestors));
    }
    refusals
}

/// Steps that wait for each other could never begin.
pub fn in_circle(told: &str) -> Diagnostic {
    let text =
        format!("these changes depend on each other in a cycle, so none of them can start: {told}");
    Diagnostic::refusal(DiagnosticCode::WaitsInCircle, text).help(
        "use `lifecycle: { create_before_destroy: true }` for the replaced resources, or make the change in two applies; no flag overrides this",
    )
}

/// Each task runs after all that it comes after, and before all that it comes before.
fn tasks(it: &Checked<'_>) -> Vec<Diagnostic> {
    if it.tasks.is_empty() {
        return Vec::new();
    }
    let own = own_steps(it.steps);
    let mut ancestors = Ancestors::new(it.steps);
    let mut refusals = Vec::new();
    for task in it.tasks {
        let Some(step) = own.get(&task.name).and_then(|it| it.first()) else { continue };
        let after = task.after.iter().filter_map(|it| own.get(it)).flat_map(|it| making(it));
        let early = after.into_iter().find(|it| !ancestors.has(step.id, it.id));
        let before = task.before.iter().filter_map(|it| own.get(it)).flatten();
        let late = before.into_iter().find(|it| !ancestors.has(it.id, step.id));
        for (other, word) in
            early.map(|it| (it, "after")).into_iter().chain(late.map(|it| (*it, "before")))
        {
            let text = format!(
                "the task `{}` runs {word} `{}`, but its step does not wait so",
                task.name, other.address
            );
            let refusal = Diagnostic::refusal(DiagnosticCode::TaskOutOfOrder, text);
            refusals.push(refusal.help("plan again: the order of a saved plan was changed"));
        }
    }
    refusals
}

/// Each unique name is free before it is taken, and what stands alone stands alone.
fn names(
    it: &Checked<'_>,
    history: &History<'_>,
    ancestors: &mut Ancestors<'_>,
) -> Vec<Diagnostic> {
    let mut holders: BTreeMap<String, Vec<&PlanVersion<'_>>> = BTreeMap::new();
    let mut places: BTreeMap<String, Vec<&PlanVersion<'_>>> = BTreeMap::new();
    for version in history.old() {
        if let Some(name) = unique_identity(version.kind, &version.attributes) {
            holders.entry(name).or_default().push(version);
        }
        if let Some(place) = place_alone(version.kind, &version.attributes) {
            places.entry(place).or_default().push(version);
        }
    }
    let mut refusals = Vec::new();
    for taken in history.takes() {
        let name = unique_identity(taken.kind, &taken.attributes);
        let same = name.and_then(|it| holders.get(&it)).into_iter().flatten();
        let place = place_alone(taken.kind, &taken.attributes);
        let beside = place.and_then(|it| places.get(&it)).into_iter().flatten();
        let beside = beside.filter(|it| excludes(taken.kind, &taken.attributes, &it.attributes));
        for holder in same.chain(beside) {
            if holder.address == taken.address && taken.keeps {
                continue;
            }
            let free = holder.released.is_some_and(|it| ancestors.has(taken.step, it));
            if !free {
                refusals.push(not_free(&it.steps[taken.step], holder.address));
            }
        }
    }
    refusals
}

fn not_free(step: &Step, holder: &Address) -> Diagnostic {
    let text = format!(
        "to {} `{}` requires a name that `{holder}` has not released by then",
        step.call.word(),
        step.address
    );
    Diagnostic::refusal(DiagnosticCode::NameNotFree, text)
        .help("make the change in two applies: first give one of them an unused name")
}

/// A gate opens only where as many of what it watches as it asks for take users in the end. Of what others put there nothing is
/// known.
fn gates(it: &Checked<'_>, history: &History<'_>) -> Vec<Diagnostic> {
    let mut watched: BTreeMap<&Address, (&Step, usize)> = BTreeMap::new();
    for step in it.steps {
        let StepCall::Serving { of, serves, .. } = &step.call else { continue };
        for holder in of.iter().filter(|it| **it != step.address) {
            let count = serves.get(holder).copied().unwrap_or(1);
            let asked = watched.entry(holder).or_insert((step, count));
            if asked.1 < count {
                *asked = (step, count);
            }
        }
    }
    if watched.is_empty() {
        return Vec::new();
    }
    let wanted = DesiredTopology::new(it.catalog, it.stack);
    let members = |holder: &Address| -> Vec<Address> {
        let inside = wanted.contained(std::slice::from_ref(holder));
        let serves = |it2: &Address| {
            let kind = it.stack.instances.get(it2).map(|it| &it.resource.kind);
            kind.and_then(|kind| it.catalog.get(kind)).is_some_and(|it| !it.serving_set.is_empty())
        };
        inside.into_iter().filter(serves).collect()
    };
    // What waits for something that could not be read says nothing either.
    let waits =
        |it: &Change| it.deferred.as_ref().is_some_and(|it| it.wait == DeferReason::Unknown);
    let unseen = it.changes.iter().filter(|it| it.unknown.is_some() || waits(it));
    let unseen: BTreeSet<&Address> = unseen.map(|it| &it.address).collect();
    let serving_after = history.serving_after();
    let told = watched.into_iter().filter_map(|(holder, (step, asked))| {
        let members = members(holder);
        let serving = members.iter().filter(|it| serving_after.contains(it)).count();
        let known = || members.iter().all(|it| !unseen.contains(it));
        let never = !members.is_empty() && serving < asked && known();
        never.then(|| never_opens(it.stack, step, holder, (serving, asked)))
    });
    told.collect()
}

fn never_opens(
    stack: &Stack,
    step: &Step,
    holder: &Address,
    (serving, asked): (usize, usize),
) -> Diagnostic {
    let told = |text: String, help: &str| {
        Diagnostic::refusal(DiagnosticCode::GateNeverOpens, text).help(help)
    };
    if serving == 0 {
        let text =
            format!("the gate would never open: `{holder}` has no member that accepts users");
        return told(text, "let one of its members accept users, or leave the name as it is");
    }
    let text = format!(
        "the gate of `{}` would never open: it requires {asked} backends behind `{holder}`, and {serving} would accept users",
        step.address
    );
    let refusal = told(text, "lower `serves`, or add backends that accept users");
    let gates = stack.instances.get(&step.address).map(|it| &it.resource.gates);
    match gates.and_then(Gates::health) {
        Some(gate) => refusal.at(gate.span, format!("`serves` asks for {asked} of {serving}")),
        None => refusal,
    }
}

/// At each step that takes a member away another one of its serving set serves.
fn sets(it: &Checked<'_>, history: &History<'_>, ancestors: &mut Ancestors<'_>) -> Vec<Diagnostic> {
    let recorded = it.state.map(|state| RecordedTopology::new(it.catalog, state));
    let names = recorded.as_ref().map(|recorded| TakenNames::new(it, recorded)).unwrap_or_default();
    let mut refusals = Vec::new();
    for members in history.sets().values() {
        if members.iter().any(|it| it.from.is_empty() && it.takers.is_empty()) {
            continue;
        }
        let olds = members.iter().filter(|it| it.is_old).count();
        let mut told = BTreeSet::new();
        for member in members.iter().filter(|it| it.is_old && !it.orphaned) {
            for taker in &member.takers {
                // What is gone by then cannot be taken away again.
                if member.gone.is_some_and(|gone| gone != *taker && ancestors.has(*taker, gone)) {
                    continue;
                }
                let follows = |it: &&&PlanVersion<'_>| it.address == member.address && !it.is_old;
                let own = it.steps[*taker].address == *member.address;
                // The only one goes over to what was found ready; of several each is seen to serve before the next.
                let goes_over =
                    own && olds == 1 && member.moves && members.iter().any(|it| follows(&it));
                let serves = |other: &PlanVersion<'_>, ancestors: &mut Ancestors<'_>| {
                    other.from.iter().all(|it| ancestors.has(*taker, *it))
                        && other.takers.iter().all(|it| it != taker && ancestors.has(*it, *taker))
                };
                if goes_over
                    || members.iter().any(|it| serves(it, ancestors))
                    || member.succeeded_by.is_some_and(|it| ancestors.has(it, *taker))
                    || member.kind.drain.is_none()
                        && names.nobody_comes(member.address, *taker, ancestors)
                    || !told.insert(*taker)
                {
                    continue;
                }
                refusals.push(outage(&it.steps[*taker], member.address));
                break;
            }
        }
    }
    refusals
}

fn outage(step: &Step, member: &Address) -> Diagnostic {
    empties(
        step,
        &format!("takes `{member}` out of service while nothing else in its serving set serves"),
        "first add another one that serves",
    )
}

/// A step that would leave users without service, and what to do first instead.
fn empties(step: &Step, what: &str, first: &str) -> Diagnostic {
    let text = format!("to {} `{}` {what}", step.call.word(), step.address);
    Diagnostic::refusal(DiagnosticCode::EmptiesServingSet, text).help(format!(
        "use `lifecycle: {{ create_before_destroy: true }}`, {first}, or pass --allow-outage"
    ))
}

/// The names that lead to an object, with the steps that lead them elsewhere, and those that lead to it from then on.
#[derive(Default)]
struct TakenNames {
    any: bool,
    leading: BTreeMap<Address, Vec<Option<usize>>>,
    coming: BTreeMap<Address, Vec<usize>>,
}

impl TakenNames {
    fn new(it: &Checked<'_>, recorded: &RecordedTopology<'_>) -> Self {
        let mut names = Self::default();
        let moves: BTreeMap<&Address, usize> = moves(it.steps).collect();
        let frozen: BTreeSet<&Address> =
            it.changes.iter().filter(|it| it.frozen.is_some()).map(|it| &it.address).collect();
        for (address, record) in it.state.into_iter().flat_map(|it| &it.records) {
            let Some(kind) = it.catalog.get(&record.kind).filter(|it| it.drain.is_some()) else {
                continue;
            };
            let mut roots = recorded.targets(kind, record);
            names.any |= !roots.is_empty();
            // To what is lost nobody comes any more.
            roots.retain(|it| !frozen.contains(it));
            for behind in recorded.contained(&roots) {
                names.leading.entry(behind).or_default().push(moves.get(address).copied());
            }
        }
        let wanted = DesiredTopology::new(it.catalog, it.stack);
        for (address, step) in &moves {
            let Some(instance) = it.stack.instances.get(*address) else { continue };
            let Some(kind) = it.catalog.get(&instance.resource.kind) else { continue };
            let roots = wanted.targets(kind, instance);
            // What is deleted there is inside it as state has it.
            let behind = wanted.contained(&roots).into_iter().chain(recorded.contained(&roots));
            for behind in behind.collect::<BTreeSet<_>>() {
                names.coming.entry(behind).or_default().push(*step);
            }
        }
        names
    }

    /// Where there are names, and each that led to a member leads elsewhere by then, and none leads to it already.
    fn nobody_comes(&self, member: &Address, at: usize, ancestors: &mut Ancestors<'_>) -> bool {
        let mut leading = self.leading.get(member).into_iter().flatten();
        let mut coming = self.coming.get(member).into_iter().flatten();
        self.any
            && leading.all(|it| it.is_some_and(|it| ancestors.has(at, it)))
            && coming.all(|it| ancestors.has(*it, at))
    }
}

/// The steps that direct users, by the address that does.
fn moves(steps: &[Step]) -> impl Iterator<Item = (&Address, usize)> {
    let moves = steps.iter().filter(|it| it.shift.is_some() && !it.call.is_gate());
    moves.map(|it| (&it.address, it.id))
}

/// What a name leads to goes only when it leads elsewhere, and when nobody comes the old way.
fn roots(
    it: &Checked<'_>,
    history: &History<'_>,
    ancestors: &mut Ancestors<'_>,
) -> Vec<Diagnostic> {
    let Some(state) = it.state else { return Vec::new() };
    let goes: BTreeMap<&Address, usize> =
        history.old().filter_map(|it| Some((it.address, it.gone?))).collect();
    if goes.is_empty() {
        return Vec::new();
    }
    let recorded = RecordedTopology::new(it.catalog, state);
    let in_place: BTreeSet<&Address> = it
        .changes
        .iter()
        .filter(|it| it.action == Action::Replace { create_first: false })
        .map(|it| &it.address)
        .collect();
    let moves: BTreeMap<&Address, usize> = moves(it.steps).collect();
    let drains: BTreeMap<&Address, usize> = it
        .steps
        .iter()
        .filter(|it| matches!(it.call, StepCall::Drain { .. }))
        .map(|it| (&it.address, it.id))
        .collect();
    let mut refusals = Vec::new();
    for name in history.old().filter(|it| it.kind.drain.is_some()) {
        let Some(record) = state.records.get(name.address) else { continue };
        let away = name.gone.or_else(|| moves.get(name.address).copied());
        let roots = recorded.targets(name.kind, record);
        // What is made anew in its place takes along all that it contained.
        let inside = recorded
            .contained(&roots)
            .into_iter()
            .filter(|it| !roots.contains(it) && in_place.contains(it) && recorded.holds_any(it));
        for root in roots.iter().cloned().chain(inside).collect::<Vec<_>>() {
            let Some(at) = goes.get(&root) else { continue };
            let left = away.is_some_and(|it| ancestors.has(*at, it));
            let waits = away.and_then(|at| it.steps[at].shift.as_ref()).map_or(0, |it| it.seconds);
            let drained =
                waits == 0 || drains.get(name.address).is_some_and(|it| ancestors.has(*at, *it));
            if !left || !drained {
                refusals.push(still_leads(&it.steps[*at], name.address));
                break;
            }
        }
    }
    refusals
}

fn still_leads(step: &Step, name: &Address) -> Diagnostic {
    empties(
        step,
        &format!("removes a target that users of `{name}` may still be sent to"),
        "point the name elsewhere first",
    )
}

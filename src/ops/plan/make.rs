//! Plans: reads the layers, the state and the world, and lets the engine propose.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::address::Address;
use crate::engine::lang::model::Stack;
use crate::engine::observed::Observation;
use crate::engine::plan::checks::unrecorded::Unknown;
use crate::engine::plan::draft::refresh::{ReadRequest, read_requests};
use crate::engine::plan::guard::rules::Allowances;
use crate::engine::plan::model::change::{Action, Note, Plan, note};
use crate::engine::plan::model::options::AllowancesInForce;
use crate::engine::plan::planner::{Intent, Keep, PlanInputs, PlanOptions};
use crate::engine::plan::simulate::{SimulatedState, is_inside, unforeseeable};
use crate::engine::plan::steps::verify::{Checked, OF_SERVING, verify};
use crate::engine::schema::Catalog;
use crate::engine::state::journal::{JournalEntry, StepOutcome, fold};
use crate::engine::state::record::{State, SwitchRecord};
use crate::engine::text::advice::AdvisedCommand;
use crate::engine::text::codes::DiagnosticCode;
use crate::engine::text::diagnostic::{Diagnostic, Severity, stops};
use crate::engine::text::plain::listed;
use crate::ops::error::OpsError;
use crate::ops::load::layers::{self, DesiredStack};
use crate::ops::load::session::Session;
use crate::ops::load::sides::{PlanRequest, SwitchSides, sides};
use crate::ops::load::stack_ref::StackRef;
use crate::ops::load::workspace;
use crate::ops::plan::between::between;
use crate::ops::plan::bindings::bindings;
use crate::ops::plan::checks::{self, MadePlan};
use crate::ops::plan::missing;
use crate::ops::plan::policies;
use crate::ops::plan::recover::{recover, recovered};
use crate::ops::plan::refresh::{self, Refreshed};
use crate::ops::plan::switch_rest::switch_rest;
use crate::ops::plan::tasks_ahead::{acting_on_plain, missing_programs};
use crate::ops::plan::traffic_first::{TrafficFirstAttempt, advice};
use crate::ops::plan::unknown_objects;

/// A plan with everything it was made from.
pub struct Proposed {
    pub place: StackRef,
    pub desired: DesiredStack,
    pub plan: Plan,
    pub diagnostics: Vec<Diagnostic>,
    /// As recorded, with interrupted steps settled.
    pub state: Option<State>,
    /// What settling found; to be journalled by who holds the lease.
    pub settled: Vec<JournalEntry>,
    pub observed: BTreeMap<Address, Observation>,
    /// What a switch leaves standing, also when somebody else finishes it.
    pub keep: Keep,
    /// What guards let through, likewise.
    pub allowed: Allowances,
    /// It carries a switch and nothing else.
    pub is_switch: bool,
    /// When the site was last seen good, as who watched it says.
    pub last_good: Option<i64>,
    /// What it declares lost, and answered a moment ago all the same.
    pub answering: Vec<String>,
}

/// How many levels of containers are adopted, one level at a time: a container, a thing in it, a thing in that, and one spare.
pub(super) const DEPTH: usize = 4;

/// How often a plan is made again because the state changed while the clouds were read. A guess: a third change in a row means
/// that somebody is at work, and a plan would be outdated at once.
const LOOKS_MAX: usize = 3;

/// Plans against the state as it is now; writes nothing.
pub async fn plan(session: &Session, ask: &PlanRequest) -> Result<Proposed, OpsError> {
    newest(session, ask, true).await
}

/// The same without asking what the clouds offer, for who asks that of more than one plan.
pub async fn looked(session: &Session, ask: &PlanRequest) -> Result<Proposed, OpsError> {
    newest(session, ask, false).await
}

async fn newest(
    session: &Session,
    ask: &PlanRequest,
    is_checked: bool,
) -> Result<Proposed, OpsError> {
    let store = session.store(&ask.place);
    let mut state = store.load()?;
    let mut looks = 1;
    loop {
        let seen = state.as_ref().map(|it| (it.lineage.clone(), it.sequence));
        let proposed = if is_checked {
            plan_on(session, ask, state).await?
        } else {
            looked_on(session, ask, state).await?.0
        };
        state = store.load()?;
        // What another run has made in between would look like a stranger's.
        let now = state.as_ref().map(|it| (it.lineage.clone(), it.sequence));
        if now == seen || looks >= LOOKS_MAX {
            return Ok(proposed);
        }
        looks += 1;
    }
}

/// Plans against this state.
pub async fn plan_on(
    session: &Session,
    ask: &PlanRequest,
    state: Option<State>,
) -> Result<Proposed, OpsError> {
    let (mut proposed, unknown) = looked_on(session, ask, state).await?;
    proposed.check(session, ask, &unknown).await?;
    Ok(proposed)
}

/// What the layers, the state and the observed world come to; and what carries a tag of this stack that no state knows.
pub(super) async fn looked_on(
    session: &Session,
    ask: &PlanRequest,
    state: Option<State>,
) -> Result<(Proposed, Vec<Unknown>), OpsError> {
    let mut prepared = prepare(session, ask, state)?;
    let lost: Vec<String> =
        prepared.sides.course.lost.iter().map(|it| it.fault_domain.clone()).collect();
    session.provider.lose(&lost);
    prepared.settle(session).await;
    let asked = inquiries(session, ask, &prepared);
    session.check_endpoints(&asked)?;
    let accounts = refresh::accounts(session, &asked, prepared.state.as_ref()).await?;
    let mut seen = refresh::observe(session, &asked).await;
    match (&prepared.state, ask.intent) {
        (Some(_), _) => {}
        (None, Intent::Apply) => {
            missing::check(session, &ask.place, &asked, &seen.objects).await?;
        }
        (None, Intent::Destroy) => state_is_missing(session, ask).await?,
    }
    drop(asked);
    let unknown = prepared.adopt(session, ask, &mut seen).await;
    let recovered = std::mem::take(&mut prepared.recovered);
    let mut proposed = proposed(session, ask, prepared, accounts, seen)?;
    for change in &mut proposed.plan.changes {
        if let Some(why) = recovered.get(&change.address) {
            change.reason = match change.reason.as_str() {
                "" => why.clone(),
                reason => [why.as_str(), reason].join("; "),
            };
            if change.action == Action::NoOp {
                change.action = Action::Adopt;
            }
        }
    }
    Ok((proposed, unknown))
}

impl Proposed {
    /// What the clouds, and the tags in them, say of it.
    async fn check(
        &mut self,
        session: &Session,
        ask: &PlanRequest,
        unknown: &[Unknown],
    ) -> Result<(), OpsError> {
        let Self { desired, plan, state, observed, .. } = &*self;
        let stack = &desired.stack;
        let made = MadePlan { plan, stack, state: state.as_ref(), observed };
        let exempted = plan.exempted();
        let word = (ask.intent, &exempted);
        let told = checks::by_clouds(session, made).await?;
        let mut noted = checks::by_company(session, made, word).await;
        let (older, left) = checks::by_tags(session, &ask.place, made, word, unknown);
        noted.extend(older);
        if ask.overlays.is_none() && ask.intent == Intent::Apply {
            noted.extend(checks::by_what_was_made(&ask.place, made));
        }
        noted.extend(policies::judge(session, stack, plan, state.as_ref()).await);
        let line = |span| stack.sources.line(span);
        let notes: Vec<Note> = noted.iter().map(|it| note(it, line)).collect();
        self.plan.notes.extend(notes);
        self.plan.changes.extend(left);
        self.diagnostics.extend(told.into_iter().chain(noted));
        Ok(())
    }
}

/// Refuses to go on without a state where the clouds show that this stack exists. What cannot be looked at shows nothing.
pub async fn state_is_missing(session: &Session, ask: &PlanRequest) -> Result<(), OpsError> {
    let ask = PlanRequest { intent: Intent::Apply, ..ask.clone() };
    let Ok(prepared) = prepare(session, &ask, None) else { return Ok(()) };
    let inquiries = inquiries(session, &ask, &prepared);
    let seen = refresh::observe(session, &inquiries).await;
    missing::check(session, &ask.place, &inquiries, &seen.objects).await
}

/// Plans against what is only foreseen; of the clouds only that is asked which would be new in it. `Err` with the
/// addresses of which nothing can be said before all is there.
pub async fn plan_on_paper(
    session: &Session,
    ask: &PlanRequest,
    foreseen: &SimulatedState,
) -> Result<Result<Proposed, Vec<Address>>, OpsError> {
    let prepared = prepare(session, ask, Some(foreseen.state.clone()))?;
    let mut observed = foreseen.observed.clone();
    if ask.intent == Intent::Apply {
        let order: Vec<Address> = prepared.sides.desired.graph.order().cloned().collect();
        let worlds = PlanInputs {
            catalog: &session.catalog,
            stack: &prepared.sides.desired.stack,
            order: &order,
            state: prepared.state.as_ref(),
            observed: &observed,
        };
        let unknown = unforeseeable(&worlds);
        if !unknown.is_empty() {
            return Ok(Err(unknown));
        }
        let mut new = inquiries(session, ask, &prepared);
        session.check_endpoints(&new)?;
        let ids: BTreeSet<&str> =
            foreseen.state.records.values().map(|it| it.id.as_str()).collect();
        let is_there = |it: &ReadRequest<'_>| {
            let kind = session.catalog.get(&it.kind);
            kind.is_some_and(|kind| !is_inside(&ids, kind, &it.attributes))
        };
        new.retain(|it| it.id.is_none() && is_there(it));
        observed.extend(refresh::observe(session, &new).await.objects);
    }
    let seen = Refreshed { objects: observed, beside: Vec::new() };
    proposed(session, ask, prepared, BTreeMap::new(), seen).map(Ok)
}

/// What has to be looked at.
pub(super) fn inquiries<'a>(
    session: &Session,
    ask: &PlanRequest,
    it: &'a PreparedPlan,
) -> Vec<ReadRequest<'a>> {
    let SwitchSides { desired, course, .. } = &it.sides;
    let (state, lost) = (it.state.as_ref(), &course.lost);
    let order: Vec<Address> = desired.graph.order().cloned().collect();
    match ask.intent {
        Intent::Apply => read_requests(&session.catalog, &desired.stack, &order, state, lost),
        Intent::Destroy => read_requests(&session.catalog, &Stack::default(), &[], state, lost),
    }
}

/// Lets the engine propose, and stops at mistakes.
fn proposed(
    session: &Session,
    ask: &PlanRequest,
    prepared: PreparedPlan,
    accounts: BTreeMap<String, String>,
    seen: Refreshed,
) -> Result<Proposed, OpsError> {
    let Refreshed { objects: observed, beside } = seen;
    let PreparedPlan { sides: SwitchSides { desired, before, course }, settled, state, .. } =
        prepared;
    let order: Vec<Address> = desired.graph.order().cloned().collect();
    let (catalog, stack, state_of) = (&*session.catalog, &desired.stack, state.as_ref());
    let worlds = PlanInputs { catalog, stack, order: &order, state: state_of, observed: &observed };
    let going_on = course.going_on.as_ref();
    let keep = kept(ask.keep, going_on);
    let allowed = going_on.map_or(ask.allowed.clone(), |it| ask.allowed.and(&it.allowed));
    let options = PlanOptions {
        intent: ask.intent,
        now: session.clock.now(),
        bindings: bindings(session, ask.intent, &desired.stack, state.as_ref(), accounts),
        allowed: allowed.clone(),
        in_force: AllowancesInForce::default(),
        include_pending: ask.include_pending,
        replace: ask.replace.clone(),
        lost: course.lost,
        recovered: course.recovered,
        recovered_so_far: course.recovered_so_far,
        keep,
        others: workspace::others(session, &ask.place)?,
        beside,
        name: ask.place.name(),
        // Read only where somebody may have to be told.
        ways: if is_silent(&observed) { layers::recovery_overlays(&ask.place) } else { Vec::new() },
        from: course.from,
    };
    let (mut plan, mut diagnostics) = between(&before, &worlds, &options);
    if let Some(state) = state.as_ref().filter(|_| ask.intent == Intent::Apply) {
        let (place, given, losses) = (&ask.place, ask.given.as_slice(), &ask.losses);
        let again = |worlds: &PlanInputs<'_>| between(&before, worlds, &options).0;
        let (before, worlds) = (&before, &worlds);
        let tried = TrafficFirstAttempt {
            session,
            place,
            given,
            losses,
            plan: &again,
            before,
            worlds,
            state,
        };
        if let Some(advice) = advice(&tried, &plan) {
            plan.notes.push(note(&advice, |span| desired.stack.sources.line(span)));
            diagnostics.push(advice);
        }
    }
    let told = told_beside(session, ask, (&plan, &desired.stack, state.as_ref()))?;
    plan.notes.extend(told.iter().map(|it| note(it, |span| desired.stack.sources.line(span))));
    diagnostics.extend(told);
    (plan.instance, plan.rest) =
        (ask.place.instance.clone(), switch_rest(session, ask, &worlds, &options, &plan));
    diagnostics.extend(desired.warnings.iter().cloned());
    if diagnostics.iter().any(|it| it.severity == Severity::Error) && stops(&diagnostics) {
        return Err(OpsError::Mistakes { diagnostics, sources: desired.stack.sources });
    }
    Ok(Proposed {
        place: ask.place.clone(),
        last_good: last_good(ask, state.as_ref(), &plan),
        desired,
        plan,
        diagnostics,
        state,
        settled,
        observed,
        keep,
        allowed,
        is_switch: options.is_switch(),
        answering: Vec::new(),
    })
}

/// When the users of a switch were last served, as far as that is known.
fn last_good(ask: &PlanRequest, state: Option<&State>, plan: &Plan) -> Option<i64> {
    // Who turns a switch that had moved nobody out of an outage has its users wait for as long as that one had.
    let turned = state.filter(|it| it.active != plan.overlays);
    ask.last_good.into_iter().chain(turned.and_then(State::unserved_since)).min()
}

/// What a failback leaves standing, as it is asked now or was when it began.
fn kept(asked: Keep, going_on: Option<&SwitchRecord>) -> Keep {
    if asked == Keep::Nothing { going_on.map_or(Keep::Nothing, |it| it.keep) } else { asked }
}

/// What the engine does not know of a plan, or what nobody asked of it.
fn told_beside(
    session: &Session,
    ask: &PlanRequest,
    made: (&Plan, &Stack, Option<&State>),
) -> Result<Vec<Diagnostic>, OpsError> {
    let (plan, stack, state) = made;
    let mut told = wrong_tasks(session, ask, made)?;
    told.extend(reverting(stack, state, plan));
    told.extend(loss_stays(ask, made));
    Ok(told)
}

/// The layers of home, planned while something is lost, are no failback: that looks at what is lost again, and repairs it.
fn loss_stays(
    ask: &PlanRequest,
    (plan, stack, state): (&Plan, &Stack, Option<&State>),
) -> Option<Diagnostic> {
    state.filter(|it| it.active != it.home && stack.overlays == it.home)?;
    if plan.lost.is_empty() || ask.only_switch || ask.intent != Intent::Apply {
        return None;
    }
    let lost = listed(plan.lost.iter().map(|it| it.fault_domain.as_str()));
    let name = ask.place.name();
    let home = AdvisedCommand::Failback { stack: &name, lost: Vec::new() };
    let text = format!("this is not the plan of a failback: {lost} would stay declared lost");
    let help = format!("{home} looks at it again, shows its plan, and asks before it begins");
    Some(Diagnostic::warning(DiagnosticCode::LossStays, text).help(help))
}

/// A switch that sets a variable back, which nobody asked for on this command line: a release may go with it.
fn reverting(stack: &Stack, state: Option<&State>, plan: &Plan) -> Vec<Diagnostic> {
    let Some(state) = state.filter(|_| plan.switch.is_some()) else { return Vec::new() };
    let told = state.reverted(stack).into_iter().map(|(name, now, then)| {
        let (now, then) = (now.json(), then.json());
        let text = format!("the switch sets the variable `{name}` back from {now} to {then}, as it was before on that side");
        let keep = format!("to keep it, add `--var '{name}={}'`", now.as_str().map_or_else(|| now.to_string(), str::to_owned));
        Diagnostic::warning(DiagnosticCode::VariableReverts, text).help(keep)
    });
    told.collect()
}

/// What is wrong with the tasks of a plan, apart from what the engine knows.
fn wrong_tasks(
    session: &Session,
    ask: &PlanRequest,
    (plan, stack, state): (&Plan, &Stack, Option<&State>),
) -> Result<Vec<Diagnostic>, OpsError> {
    // Nothing of it keeps a workspace from being deleted: what cannot be undone is said then.
    if plan.tasks.is_empty() || ask.intent == Intent::Destroy {
        return Ok(Vec::new());
    }
    let mut told = missing_programs(plan, stack, &ask.place.folder());
    told.extend(acting_on_plain(session, &ask.place, &ask.given, (plan, stack, state))?);
    Ok(told)
}

fn is_silent(observed: &BTreeMap<Address, Observation>) -> bool {
    let silent = |it: &Observation| matches!(it, Observation::Unknown(it) if !it.reason.is_no());
    observed.values().any(silent)
}

/// Why the steps of a saved plan must not be begun, whatever they say of themselves. Where a fresh plan would need an outage,
/// this one was allowed it when it was made.
pub fn unsafe_steps(catalog: &Catalog, fresh: &Proposed, saved: &Plan) -> Vec<Diagnostic> {
    let needs_outage =
        fresh.plan.refusals().any(|it| OF_SERVING.iter().any(|code| code.as_str() == it.code));
    verify(&Checked {
        catalog,
        stack: &fresh.desired.stack,
        state: fresh.state.as_ref(),
        changes: &saved.changes,
        steps: &saved.steps,
        tasks: &saved.tasks,
        outage: needs_outage || saved.bindings.intent == Intent::Destroy,
    })
}

/// What is known before the clouds are looked at.
pub(super) struct PreparedPlan {
    pub(super) sides: SwitchSides,
    settled: Vec<JournalEntry>,
    /// Which creates were found carried out, and why what was found is taken for ours.
    recovered: BTreeMap<Address, String>,
    pub(super) state: Option<State>,
}

impl PreparedPlan {
    /// Takes over what this state has made and does not know, with what is in it; what is not to be made stays unknown.
    async fn adopt(
        &mut self,
        session: &Session,
        ask: &PlanRequest,
        seen: &mut Refreshed,
    ) -> Vec<Unknown> {
        let Some(state) = self.state.clone() else { return Vec::new() };
        let stack = &self.sides.desired.stack;
        let found = unknown_objects::find(session, &ask.place, (&state, stack), &seen.beside).await;
        if ask.intent == Intent::Destroy || (found.is_empty() && !state.is_restored) {
            return found;
        }
        for _ in 0..DEPTH {
            let asked = inquiries(session, ask, self);
            let Some(state) = &self.state else { break };
            let of = (state, &self.sides.desired.stack);
            let adopted =
                unknown_objects::adopted(session, &ask.place, of, &asked, seen, &found).await;
            drop(asked);
            if adopted.is_empty() {
                break;
            }
            for it in adopted {
                let (address, at) = (it.address, session.clock.now());
                seen.beside.retain(|one| (&one.kind, &one.id) != (&it.record.kind, &it.record.id));
                let outcome = StepOutcome::Recorded(Box::new(it.record));
                self.recovered.insert(address.clone(), it.why);
                self.settled.push(JournalEntry::Ended { address, step: 0, outcome, at });
                let entry = self.settled.last().expect("it was just pushed");
                self.state.iter_mut().for_each(|state| fold(state, entry));
            }
            unknown_objects::look_on(session, inquiries(session, ask, self), seen).await;
        }
        let is_left = |it: &Unknown| !self.recovered.contains_key(&it.address);
        found.into_iter().filter(is_left).collect()
    }

    /// Finds out what became of steps that began and did not end.
    async fn settle(&mut self, session: &Session) {
        let Some(state) = &mut self.state else { return };
        self.settled = recover(session, state, &self.sides.course.lost).await;
        self.recovered = recovered(state, &session.catalog, &self.settled);
        for entry in &self.settled {
            fold(state, entry);
        }
    }
}

pub(super) fn prepare(
    session: &Session,
    ask: &PlanRequest,
    state: Option<State>,
) -> Result<PreparedPlan, OpsError> {
    let sides = sides(session, ask, state.as_ref())?;
    Ok(PreparedPlan { sides, settled: Vec::new(), recovered: BTreeMap::new(), state })
}

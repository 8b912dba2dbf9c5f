//! Plans: reads the layers, the state and the world, and lets the engine propose.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::address::Address;
use crate::engine::advice::Command;
use crate::engine::diagnostic::{Diagnostic, nearest, stops};
use crate::engine::fault_domain::Domains;
use crate::engine::observed::Observation;
use crate::engine::plan::change::{Plan, note};
use crate::engine::plan::foreseen::{Foreseen, is_inside, unforeseeable};
use crate::engine::plan::guard::Allowed;
use crate::engine::plan::offered::{refused, sources};
use crate::engine::plan::propose::{Intent, Keep, Options, Worlds, propose, propose_switch};
use crate::engine::plan::survey::{Inquiry, survey};
use crate::engine::plan::uninvited::{collections, lists, uninvited};
use crate::engine::plan::verify::{Checked, OF_SERVING, verify};
use crate::engine::schema::Catalog;
use crate::engine::stack::model::Stack;
use crate::engine::stack::variables::GivenVariable;
use crate::engine::state::journal::{Entry, fold};
use crate::engine::state::record::{Left, State};
use crate::engine::value::Value;
use crate::ops::bindings::bindings;
use crate::ops::course::{Course, Losses, course, named, remembered};
use crate::ops::error::OpsError;
use crate::ops::instance;
use crate::ops::load::{self, Desired};
use crate::ops::look;
use crate::ops::missing;
use crate::ops::place::Place;
use crate::ops::session::Session;
use crate::ops::settle::{recovered, settle};
use crate::ops::sooner::{Tried, advice};

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Ask {
    pub place: Place,
    /// `None`: the active ones.
    pub overlays: Option<Vec<String>>,
    pub given: Vec<GivenVariable>,
    pub intent: Intent,
    pub allowed: Allowed,
    /// Made anew, whatever differs.
    pub replace: Vec<Address>,
    pub losses: Losses,
    /// Nothing but a switch: where there is none to make, what is pending stays so.
    pub only_switch: bool,
    /// A switch also carries what was pending before it.
    pub include_pending: bool,
    pub keep: Keep,
    /// When the site was last seen good, in milliseconds since the Unix epoch: a switch is reported from there on.
    pub last_good: Option<i64>,
}

/// A plan with everything it was made from.
pub struct Proposed {
    pub desired: Desired,
    pub plan: Plan,
    pub diagnostics: Vec<Diagnostic>,
    /// As recorded, with interrupted steps settled.
    pub state: Option<State>,
    /// What settling found; to be journalled by who holds the lease.
    pub settled: Vec<Entry>,
    pub observed: BTreeMap<Address, Observation>,
    /// What a switch leaves standing, also when somebody else finishes it.
    pub keep: Keep,
    /// What guards let through, likewise.
    pub allowed: Allowed,
    /// When the site was last seen good, as who watched it says.
    pub last_good: Option<i64>,
}

/// How often a plan is made anew because somebody changed the state while the clouds were looked at.
const LOOKS_MAX: usize = 3;

/// Plans against the state as it is now; writes nothing.
pub async fn plan(session: &Session, ask: &Ask) -> Result<Proposed, OpsError> {
    newest(session, ask, true).await
}

/// The same without asking what the clouds offer, for who asks that of more than one plan.
pub async fn looked(session: &Session, ask: &Ask) -> Result<Proposed, OpsError> {
    newest(session, ask, false).await
}

async fn newest(session: &Session, ask: &Ask, is_checked: bool) -> Result<Proposed, OpsError> {
    let store = session.store(&ask.place);
    let mut state = store.load()?;
    let mut looks = 1;
    loop {
        let seen = state.as_ref().map(|it| (it.lineage.clone(), it.sequence));
        let proposed = if is_checked {
            plan_on(session, ask, state).await?
        } else {
            looked_on(session, ask, state).await?
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
    ask: &Ask,
    state: Option<State>,
) -> Result<Proposed, OpsError> {
    let mut proposed = looked_on(session, ask, state).await?;
    check_offers(session, &mut proposed).await?;
    check_uninvited(session, ask.intent, &mut proposed).await;
    Ok(proposed)
}

/// What the layers, the state and the observed world come to.
async fn looked_on(
    session: &Session,
    ask: &Ask,
    state: Option<State>,
) -> Result<Proposed, OpsError> {
    let mut prepared = prepare(session, ask, state)?;
    let lost: Vec<String> =
        prepared.sides.course.lost.iter().map(|it| it.fault_domain.clone()).collect();
    session.provider.lose(&lost);
    prepared.settle(session).await;
    let inquiries = inquiries(session, ask, &prepared);
    session.check_endpoints(&inquiries)?;
    let accounts = look::accounts(session, &inquiries, prepared.state.as_ref()).await?;
    let observed = look::observe(session, &inquiries).await;
    match (&prepared.state, ask.intent) {
        (Some(_), _) => {}
        (None, Intent::Apply) => missing::check(session, &ask.place, &inquiries, &observed).await?,
        (None, Intent::Destroy) => state_is_missing(session, ask).await?,
    }
    let recovered = std::mem::take(&mut prepared.recovered);
    let mut proposed = proposed(session, ask, prepared, accounts, observed)?;
    for change in &mut proposed.plan.changes {
        if let Some(why) = recovered.get(&change.address) {
            change.reason = [why.as_str(), &change.reason].join("; ");
        }
    }
    Ok(proposed)
}

/// Refuses to go on without a state where the clouds show that this stack exists. What cannot be looked at shows nothing.
pub async fn state_is_missing(session: &Session, ask: &Ask) -> Result<(), OpsError> {
    let ask = Ask { intent: Intent::Apply, ..ask.clone() };
    let Ok(prepared) = prepare(session, &ask, None) else { return Ok(()) };
    let inquiries = inquiries(session, &ask, &prepared);
    let observed = look::observe(session, &inquiries).await;
    missing::check(session, &ask.place, &inquiries, &observed).await
}

/// What would go along with what goes, and is not of this stack, is named and needs a word.
async fn check_uninvited(session: &Session, intent: Intent, it: &mut Proposed) {
    let Some(state) = &it.state else { return };
    let catalog = &session.catalog;
    let collections = collections(&it.plan, state, catalog);
    let lists = lists(&it.plan, state, catalog);
    let found = look::uninvited(session, collections, lists).await;
    let stack = &it.desired.stack;
    let word = (intent, &it.allowed);
    let refusals = uninvited(&it.plan, stack, state, catalog, &it.observed, &found, word);
    it.plan.notes.extend(refusals.iter().map(|it| note(it, |span| stack.sources.line(span))));
    it.diagnostics.extend(refusals);
}

/// What the clouds do not offer is refused before the first call, with its line.
async fn check_offers(session: &Session, it: &mut Proposed) -> Result<(), OpsError> {
    let sources = sources(&it.plan, &session.catalog);
    let read = look::offers(session, sources).await;
    let stack = &it.desired.stack;
    let found = refused(&it.plan, stack, &session.catalog, &read);
    if stops(&found) {
        let sources = stack.sources.clone();
        return Err(OpsError::Mistakes { diagnostics: found, sources });
    }
    it.diagnostics.extend(found);
    Ok(())
}

/// Plans against what is only foreseen; of the clouds only that is asked which would be new in it. `Err` with the
/// addresses of which nothing can be said before all is there.
pub async fn plan_on_paper(
    session: &Session,
    ask: &Ask,
    foreseen: &Foreseen,
) -> Result<Result<Proposed, Vec<Address>>, OpsError> {
    let prepared = prepare(session, ask, Some(foreseen.state.clone()))?;
    let mut observed = foreseen.observed.clone();
    if ask.intent == Intent::Apply {
        let order: Vec<Address> = prepared.sides.desired.graph.order().cloned().collect();
        let worlds = Worlds {
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
        let is_there = |it: &Inquiry<'_>| {
            let kind = session.catalog.get(&it.kind);
            kind.is_some_and(|kind| !is_inside(&ids, kind, &it.attributes))
        };
        new.retain(|it| it.id.is_none() && is_there(it));
        observed.extend(look::observe(session, &new).await);
    }
    proposed(session, ask, prepared, BTreeMap::new(), observed).map(Ok)
}

/// What has to be looked at.
fn inquiries<'a>(session: &Session, ask: &Ask, it: &'a Prepared) -> Vec<Inquiry<'a>> {
    let Sides { desired, course, .. } = &it.sides;
    let (state, lost) = (it.state.as_ref(), &course.lost);
    let order: Vec<Address> = desired.graph.order().cloned().collect();
    match ask.intent {
        Intent::Apply => survey(&session.catalog, &desired.stack, &order, state, lost),
        Intent::Destroy => survey(&session.catalog, &Stack::default(), &[], state, lost),
    }
}

/// Lets the engine propose, and stops at mistakes.
fn proposed(
    session: &Session,
    ask: &Ask,
    prepared: Prepared,
    accounts: BTreeMap<String, String>,
    observed: BTreeMap<Address, Observation>,
) -> Result<Proposed, OpsError> {
    let Prepared { sides: Sides { desired, before, course }, settled, state, .. } = prepared;
    let order: Vec<Address> = desired.graph.order().cloned().collect();
    let worlds = Worlds {
        catalog: &session.catalog,
        stack: &desired.stack,
        order: &order,
        state: state.as_ref(),
        observed: &observed,
    };
    let going_on = course.going_on.as_ref();
    let begun = going_on.map(|it| it.keep).unwrap_or_default();
    let keep = if ask.keep == Keep::Nothing { begun } else { ask.keep };
    let allowed = going_on.map_or(ask.allowed.clone(), |it| ask.allowed.and(&it.allowed));
    let options = Options {
        intent: ask.intent,
        now: session.clock.now(),
        bindings: bindings(session, ask.intent, &desired.stack, state.as_ref(), accounts),
        allowed: allowed.clone(),
        include_pending: ask.include_pending,
        replace: ask.replace.clone(),
        lost: course.lost,
        thaws: course.thaws,
        thawed: course.thawed,
        keep,
        others: instance::others(session, &ask.place)?,
        name: ask.place.name(),
        // Read only where somebody may have to be told.
        ways: if is_silent(&observed) { load::ways(&ask.place) } else { Vec::new() },
        from: course.from,
    };
    let (mut plan, mut diagnostics) = between(&before, &worlds, &options);
    if let Some(state) = state.as_ref().filter(|_| ask.intent == Intent::Apply) {
        let (place, given, losses) = (&ask.place, ask.given.as_slice(), &ask.losses);
        let again = |worlds: &Worlds<'_>| between(&before, worlds, &options).0;
        let plan_again = &again;
        let tried = Tried {
            session,
            place,
            given,
            losses,
            plan: plan_again,
            before: &before,
            worlds: &worlds,
            state,
        };
        if let Some(advice) = advice(&tried, &plan) {
            plan.notes.push(note(&advice, |span| desired.stack.sources.line(span)));
            diagnostics.push(advice);
        }
    }
    plan.instance.clone_from(&ask.place.instance);
    diagnostics.extend(desired.warnings.iter().cloned());
    let errors_only =
        diagnostics.iter().any(|it| it.severity == crate::engine::diagnostic::Severity::Error);
    if errors_only && stops(&diagnostics) {
        return Err(OpsError::Mistakes { diagnostics, sources: desired.stack.sources });
    }
    let last_good = ask.last_good;
    Ok(Proposed { desired, plan, diagnostics, state, settled, observed, keep, allowed, last_good })
}

fn is_silent(observed: &BTreeMap<Address, Observation>) -> bool {
    let silent = |it: &Observation| matches!(it, Observation::Unseen(it) if !it.reason.is_no());
    observed.values().any(silent)
}

/// A whole plan, or that of a switch from what these desire.
pub fn between(
    before: &[Desired],
    worlds: &Worlds<'_>,
    options: &Options,
) -> (Plan, Vec<Diagnostic>) {
    if before.is_empty() {
        return propose(worlds, options);
    }
    let orders: Vec<Vec<Address>> =
        before.iter().map(|it| it.graph.order().cloned().collect()).collect();
    let sides = before.iter().zip(&orders);
    let left: Vec<Worlds<'_>> =
        sides.map(|(it, order)| Worlds { stack: &it.stack, order, ..*worlds }).collect();
    propose_switch(&left, worlds, options)
}

/// Why the steps of a saved plan must not be begun, whatever they say of themselves. Where a fresh plan would need an outage,
/// this one was allowed it when it was made.
pub fn unsafe_steps(catalog: &Catalog, fresh: &Proposed, saved: &Plan) -> Vec<Diagnostic> {
    let needs_outage = fresh.plan.refusals().any(|it| OF_SERVING.contains(&it.code.as_str()));
    verify(&Checked {
        catalog,
        stack: &fresh.desired.stack,
        state: fresh.state.as_ref(),
        changes: &saved.changes,
        steps: &saved.steps,
        outage: needs_outage || saved.bindings.intent == "destroy",
    })
}

/// What a plan is made between, from layers and state alone.
pub struct Sides {
    pub desired: Desired,
    /// What the overlays that a switch leaves desire.
    pub before: Vec<Desired>,
    pub course: Course,
}

pub fn sides(session: &Session, ask: &Ask, state: Option<&State>) -> Result<Sides, OpsError> {
    let desired = wanted(session, ask, state)?;
    let mut course = course(state, &desired.stack, &ask.losses);
    if let Some(state) = state.filter(|it| ask.only_switch && !it.records.is_empty())
        && course.left.is_empty()
    {
        let (overlays, variables) = (state.active.clone(), state.variables.clone());
        course.from = Some(overlays.clone());
        course.left.push(Left { overlays, variables });
    }
    let carries_itself = ask.intent == Intent::Apply && !ask.include_pending;
    // What was said on this very command line is part of the switch.
    let given: Vec<GivenVariable> = ask.given.iter().filter(|it| !it.is_said()).cloned().collect();
    let mut before = Vec::new();
    for left in course.left.iter().filter(|_| carries_itself) {
        // What was said when a switch began is part of it as well.
        let (from, remembered) = (&left.overlays, &left.variables);
        let desired = load::desired(&ask.place, from, &given, remembered, &session.catalog);
        let mut desired = desired.map_err(|why| left_unreadable(ask, state, from, why))?;
        instance::lend(session, &ask.place, &mut desired)?;
        before.push(desired);
    }
    Ok(Sides { desired, before, course })
}

/// What is known before the clouds are looked at.
struct Prepared {
    sides: Sides,
    settled: Vec<Entry>,
    /// Which creates were found carried out, and why what was found is taken for ours.
    recovered: BTreeMap<Address, String>,
    state: Option<State>,
}

impl Prepared {
    /// Finds out what became of steps that began and did not end.
    async fn settle(&mut self, session: &Session) {
        let Some(state) = &mut self.state else { return };
        self.settled = settle(session, state, &self.sides.course.lost).await;
        self.recovered = recovered(state, &session.catalog, &self.settled);
        for entry in &self.settled {
            fold(state, entry);
        }
    }
}

fn prepare(session: &Session, ask: &Ask, state: Option<State>) -> Result<Prepared, OpsError> {
    let sides = sides(session, ask, state.as_ref())?;
    Ok(Prepared { sides, settled: Vec::new(), recovered: BTreeMap::new(), state })
}

/// Whether what is asked for has mistakes that show before any lock is taken and any cloud is asked; else what it takes for
/// lost.
pub fn check(session: &Session, ask: &Ask, state: &State) -> Result<Vec<String>, OpsError> {
    let desired = wanted(session, ask, Some(state))?;
    let course = course(Some(state), &desired.stack, &ask.losses);
    Ok(course.lost.into_iter().map(|it| it.fault_domain).collect())
}

/// What the layers desire, and what was named beside them makes sense.
fn wanted(session: &Session, ask: &Ask, state: Option<&State>) -> Result<Desired, OpsError> {
    let overlays = overlays_of(ask.overlays.as_deref(), state);
    let empty = BTreeMap::new();
    let remembered = state.map_or(&empty, |it| remembered(it, &overlays));
    if ask.intent == Intent::Destroy {
        let desired = leaving(session, ask, &overlays, remembered)?;
        check_lost(session, &desired, state, &ask.losses)?;
        return Ok(desired);
    }
    let desired = load::desired(&ask.place, &overlays, &ask.given, remembered, &session.catalog);
    let mut desired = desired.map_err(|why| active_gone(ask, state, &overlays, why))?;
    instance::belongs(&ask.place, &desired.stack)?;
    instance::lend(session, &ask.place, &mut desired)?;
    check_lost(session, &desired, state, &ask.losses)?;
    Ok(desired)
}

/// The overlays that a switch leaves say what it is to carry. Without them it can still carry all that differs from the world.
fn left_unreadable(ask: &Ask, state: Option<&State>, from: &[String], why: OpsError) -> OpsError {
    let (Some(state), Some(to)) = (state, &ask.overlays) else { return why };
    let Some(switch) = state.switch_command(&overlays_of(Some(to), None)) else { return why };
    OpsError::input(
        format!("this switch leaves {}, which cannot be read: {why}", named(from)),
        format!(
            "put it back as it was; or `{switch} --include-pending` goes without it, and carries everything that differs from its target"
        ),
    )
}

/// The file of an active overlay may be gone, deleted with a branch; who asks for nothing else is told the way home.
fn active_gone(ask: &Ask, state: Option<&State>, overlays: &[String], why: OpsError) -> OpsError {
    let Some(state) = state.filter(|it| ask.overlays.is_none() && it.active == overlays) else {
        return why;
    };
    let gone = |it: &&String| load::overlay_file(&ask.place, it).is_err();
    let Some(gone) = overlays.iter().find(gone).filter(|it| !state.home.contains(it)) else {
        return why;
    };
    OpsError::input(
        format!("{why}; it is active"),
        format!(
            "put {gone} back as it was; or go home without it: {}",
            Command::FailbackWhole { stack: &ask.place.name() }
        ),
    )
}

/// What is laid over what is to go. State says what that is and what protects it: nothing is borrowed for it, and an overlay
/// that cannot be read is left out.
fn leaving(
    session: &Session,
    ask: &Ask,
    overlays: &[String],
    remembered: &BTreeMap<String, Value>,
) -> Result<Desired, OpsError> {
    let laid = |overlays: &[String]| {
        load::desired(&ask.place, overlays, &ask.given, remembered, &session.catalog)
    };
    let (why, mut desired) = match laid(overlays) {
        Ok(mut desired) => {
            instance::belongs(&ask.place, &desired.stack)?;
            // What is wrong with layers is nothing to who deletes what they made.
            desired.warnings.clear();
            return Ok(desired);
        }
        Err(why) if overlays.is_empty() => return Err(why),
        Err(why) => (why, laid(&[])?),
    };
    let left_out = format!("left out, for they cannot be read: {}", overlays.join(" + "));
    let help = format!("what is deleted, and what is protected, is taken from the state ({why})");
    desired.warnings = vec![Diagnostic::warning("overlays_left_out", left_out).help(help)];
    Ok(desired)
}

/// A fault domain that was named and that nothing is in is a slip of the keyboard.
fn check_lost(
    session: &Session,
    desired: &Desired,
    state: Option<&State>,
    losses: &Losses,
) -> Result<(), OpsError> {
    let (Losses::Also(named) | Losses::Only(named)) = losses else { return Ok(()) };
    if named.is_empty() {
        return Ok(());
    }
    let recorded = Domains::new(&session.catalog, state);
    let planned = Domains::planned(&session.catalog, &desired.stack);
    let known: BTreeSet<&str> = recorded.names().union(&planned.names()).copied().collect();
    let Some(name) = named.iter().find(|it| !known.contains(it.as_str())) else { return Ok(()) };
    let help = nearest(name, known.iter().copied()).map_or_else(
        || {
            let known: Vec<&str> = known.iter().copied().collect();
            format!("this stack is in {}", known.join(", "))
        },
        |it| format!("did you mean `{it}`?"),
    );
    Err(OpsError::input(format!("nothing of this stack is in `{name}`"), help))
}

/// The asked overlays, else the active ones; `base` means none.
pub fn overlays_of(asked: Option<&[String]>, state: Option<&State>) -> Vec<String> {
    match asked {
        Some(asked) => asked.iter().filter(|it| *it != "base").cloned().collect(),
        None => state.map(|it| it.active.clone()).unwrap_or_default(),
    }
}

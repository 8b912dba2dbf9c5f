//! Plans: reads the layers, the state and the world, and lets the engine propose.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};

use crate::engine::address::Address;
use crate::engine::diagnostic::{Diagnostic, nearest, stops};
use crate::engine::fault_domain::Domains;
use crate::engine::observed::Observation;
use crate::engine::plan::change::{Bindings, Plan};
use crate::engine::plan::guard::Allowed;
use crate::engine::plan::propose::{Intent, Keep, Options, Worlds, propose, propose_switch};
use crate::engine::plan::survey::survey;
use crate::engine::stack::model::Stack;
use crate::engine::stack::variables::GivenVariable;
use crate::engine::state::journal::{Entry, fold};
use crate::engine::state::record::{Left, State};
use crate::kinds;
use crate::ops::course::{Course, Losses, course, remembered};
use crate::ops::error::OpsError;
use crate::ops::instance;
use crate::ops::load::{self, Desired};
use crate::ops::look;
use crate::ops::place::Place;
use crate::ops::session::Session;
use crate::ops::settle::settle;

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Ask {
    pub place: Place,
    /// `None`: the active ones.
    pub overlays: Option<Vec<String>>,
    pub given: Vec<GivenVariable>,
    pub intent: Intent,
    pub allowed: Allowed,
    pub losses: Losses,
    /// Nothing but a switch: where there is none to make, what is pending stays so.
    pub only_switch: bool,
    /// A switch also carries what was pending before it.
    pub include_pending: bool,
    pub keep: Keep,
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
}

/// How often a plan is made anew because somebody changed the state while the clouds were looked at.
const LOOKS_MAX: usize = 3;

/// Plans against the state as it is now; writes nothing.
pub async fn plan(session: &Session, ask: &Ask) -> Result<Proposed, OpsError> {
    let store = session.store(&ask.place);
    let mut state = store.load()?;
    let mut looks = 1;
    loop {
        let seen = state.as_ref().map(|it| (it.lineage.clone(), it.sequence));
        let proposed = plan_on(session, ask, state).await?;
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
    let Prepared { sides, settled, state } = prepare(session, ask, state).await?;
    let Sides { desired, before, course } = sides;
    let order: Vec<Address> = desired.graph.order().cloned().collect();
    let (nothing, lost) = (Stack::default(), &course.lost);
    let inquiries = match ask.intent {
        Intent::Apply => survey(&session.catalog, &desired.stack, &order, state.as_ref(), lost),
        Intent::Destroy => survey(&session.catalog, &nothing, &[], state.as_ref(), lost),
    };
    session.check_endpoints(&inquiries)?;
    let accounts = look::accounts(session, &inquiries, state.as_ref()).await?;
    let observed = look::observe(session, &inquiries).await;
    let worlds = Worlds {
        catalog: &session.catalog,
        stack: &desired.stack,
        order: &order,
        state: state.as_ref(),
        observed: &observed,
    };
    let going_on = course.going_on.as_ref().map(|it| it.keep);
    let keep = if ask.keep == Keep::Nothing { going_on.unwrap_or_default() } else { ask.keep };
    let options = Options {
        intent: ask.intent,
        now: session.clock.now(),
        bindings: bindings(session, ask, &desired.stack, state.as_ref(), accounts),
        allowed: ask.allowed.clone(),
        lost: course.lost,
        thaws: course.thaws,
        thawed: course.thawed,
        keep,
        others: instance::others(session, &ask.place)?,
        from: course.from,
    };
    let (mut plan, mut diagnostics) = proposed(&before, &worlds, &options);
    plan.instance.clone_from(&ask.place.instance);
    diagnostics.extend(desired.warnings.iter().cloned());
    let errors_only =
        diagnostics.iter().any(|it| it.severity == crate::engine::diagnostic::Severity::Error);
    if errors_only && stops(&diagnostics) {
        return Err(OpsError::Mistakes { diagnostics, sources: desired.stack.sources });
    }
    Ok(Proposed { desired, plan, diagnostics, state, settled, observed, keep })
}

/// A whole plan, or that of a switch from what these desire.
pub fn proposed(
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
        let mut desired = load::desired(&ask.place, from, &given, remembered, &session.catalog)?;
        instance::lend(session, &ask.place, &mut desired)?;
        before.push(desired);
    }
    Ok(Sides { desired, before, course })
}

/// What is known before the clouds are looked at.
struct Prepared {
    sides: Sides,
    settled: Vec<Entry>,
    state: Option<State>,
}

async fn prepare(
    session: &Session,
    ask: &Ask,
    mut state: Option<State>,
) -> Result<Prepared, OpsError> {
    let sides = sides(session, ask, state.as_ref())?;
    let course = &sides.course;
    let lost: Vec<String> = course.lost.iter().map(|it| it.fault_domain.clone()).collect();
    session.provider.lose(&lost);
    let mut settled = Vec::new();
    if let Some(state) = &mut state {
        settled = settle(session, state, &course.lost).await;
        for entry in &settled {
            fold(state, entry);
        }
    }
    Ok(Prepared { sides, settled, state })
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
    let mut desired =
        load::desired(&ask.place, &overlays, &ask.given, remembered, &session.catalog)?;
    instance::belongs(&ask.place, &desired.stack)?;
    instance::lend(session, &ask.place, &mut desired)?;
    check_lost(session, &desired, state, &ask.losses)?;
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

/// What must still hold when this plan is applied.
pub fn bindings(
    session: &Session,
    ask: &Ask,
    stack: &Stack,
    state: Option<&State>,
    accounts: BTreeMap<String, String>,
) -> Bindings {
    let mut files = stack.files.clone();
    for source in &stack.sources.list {
        files.insert(source.name.to_string(), digest(source.text.as_bytes()));
    }
    let mut kinds_text = String::new();
    for (_, kind, _, _) in kinds::FOLDERS {
        kinds_text.push_str(kind);
    }
    let variables = stack.variables.iter().map(|(name, variable)| {
        let value = &variable.value;
        let fingerprint = match (value.has_secret(), state) {
            (true, None) => String::new(),
            (true, Some(state)) => value.sealed(&state.key).json().to_string(),
            (false, _) => digest(value.json().to_string().as_bytes()),
        };
        (name.clone(), fingerprint)
    });
    Bindings {
        version: env!("CARGO_PKG_VERSION").into(),
        kinds: digest(kinds_text.as_bytes()),
        files,
        variables: variables.collect(),
        lineage: state.map(|it| it.lineage.clone()).unwrap_or_default(),
        serial: state.map_or(0, |it| it.serial),
        sequence: state.map_or(0, |it| it.touched),
        active: state.map(|it| it.active.clone()).unwrap_or_default(),
        lost: state
            .map(|it| it.lost.iter().map(|it| it.fault_domain.clone()).collect())
            .unwrap_or_default(),
        target: session.target.word().into(),
        accounts,
        intent: if ask.intent == Intent::Destroy { "destroy" } else { "apply" }.into(),
    }
}

fn digest(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(&Sha256::digest(bytes))
}

/// In which way a plan's bindings no longer hold; empty when they do.
pub fn broken_bindings(planned: &Bindings, now: &Bindings) -> Vec<String> {
    let mut broken = Vec::new();
    if planned.target != now.target {
        broken.push(format!(
            "it was made for the {}, and this is the {}",
            planned.target, now.target
        ));
    }
    if (&planned.version, &planned.kinds) != (&now.version, &now.kinds) {
        broken.push("it was made by another lifeboat".into());
    }
    if planned.lineage != now.lineage {
        broken.push(
            "the state is of another lineage: the stack was applied or destroyed meanwhile".into(),
        );
    } else if planned.serial != now.serial {
        broken.push(format!(
            "the state has moved on from serial {} to {}",
            planned.serial, now.serial
        ));
    } else if planned.sequence != now.sequence {
        broken.push("the state has changed since: a run was interrupted, or it was mended".into());
    }
    if planned.active != now.active {
        let named = |it: &[String]| if it.is_empty() { "base".to_owned() } else { it.join(" + ") };
        broken.push(format!(
            "the active overlays are {} now, not {}",
            named(&now.active),
            named(&planned.active)
        ));
    }
    if planned.lost != now.lost {
        let named = |it: &[String]| if it.is_empty() { "nothing".into() } else { it.join(", ") };
        broken.push(format!(
            "what is lost is {} now, not {}",
            named(&now.lost),
            named(&planned.lost)
        ));
    }
    for (file, digest) in &planned.files {
        if now.files.get(file) != Some(digest) {
            broken.push(format!("{file} has changed"));
        }
    }
    for file in now.files.keys().filter(|it| !planned.files.contains_key(*it)) {
        broken.push(format!("{file} is new"));
    }
    for (name, fingerprint) in &planned.variables {
        let same = fingerprint.is_empty() || now.variables.get(name) == Some(fingerprint);
        if !same {
            broken.push(format!("the variable `{name}` has another value"));
        }
    }
    for (cloud, account) in &planned.accounts {
        if now.accounts.get(cloud) != Some(account) {
            broken.push(format!("it was made for {cloud} account {account}"));
        }
    }
    broken
}

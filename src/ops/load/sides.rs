//! What a plan is made between: what is asked for, what the layers want, and what a switch leaves.

use std::collections::BTreeSet;

use crate::engine::address::Address;
use crate::engine::fault_domain::FaultDomains;
use crate::engine::lang::merge::variables::{GivenVariable, RememberedVariables};
use crate::engine::plan::draft::destination::sends_into;
use crate::engine::plan::guard::rules::Allowances;
use crate::engine::plan::planner::{Intent, Keep};
use crate::engine::state::record::State;
use crate::engine::text::advice::AdvisedCommand;
use crate::engine::text::codes::DiagnosticCode;
use crate::engine::text::diagnostic::{Diagnostic, nearest};
use crate::engine::text::names::OverlayNames;
use crate::ops::error::OpsError;
use crate::ops::load::layers::{self, DesiredStack};
use crate::ops::load::session::Session;
use crate::ops::load::stack_ref::StackRef;
use crate::ops::load::stores;
use crate::ops::load::switch_target::{Carries, Losses, SwitchTarget, resolve_target};
use crate::ops::load::workspace;

/// What is asked for.
#[derive(Debug, Clone)]
pub struct PlanRequest {
    pub place: StackRef,
    /// `None`: the active ones.
    pub overlays: Option<Vec<String>>,
    pub given: Vec<GivenVariable>,
    pub intent: Intent,
    pub allowed: Allowances,
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

impl PlanRequest {
    /// What an `apply` without flags asks for.
    pub fn to_apply(place: &StackRef, given: &[GivenVariable]) -> Self {
        Self {
            place: place.clone(),
            overlays: None,
            given: given.to_vec(),
            intent: Intent::Apply,
            allowed: Allowances::default(),
            replace: Vec::new(),
            losses: Losses::default(),
            only_switch: false,
            include_pending: false,
            keep: Keep::default(),
            last_good: None,
        }
    }
}

/// What a plan is made between, from layers and state alone.
pub struct SwitchSides {
    pub desired: DesiredStack,
    /// What the overlays that a switch leaves desire.
    pub before: Vec<DesiredStack>,
    pub course: SwitchTarget,
}

pub fn sides(
    session: &Session,
    ask: &PlanRequest,
    state: Option<&State>,
) -> Result<SwitchSides, OpsError> {
    let desired = wanted(session, ask, state)?;
    let course = target(ask, state, &desired);
    let carries_itself = ask.intent == Intent::Apply && !ask.include_pending;
    // What was said on this very command line is part of the switch.
    let given: Vec<GivenVariable> = ask.given.iter().filter(|it| !it.is_said()).cloned().collect();
    let mut before = Vec::new();
    for left in course.left.iter().filter(|_| carries_itself) {
        // What was said when a switch began is part of it as well.
        let (from, values) = (&left.overlays, &left.variables);
        let remembered = RememberedVariables { values, overlays: from };
        let desired = layers::desired(&ask.place, from, &given, remembered, &session.catalog);
        let mut desired = desired.map_err(|why| left_unreadable(ask, state, from, why))?;
        workspace::lend(session, &ask.place, &mut desired)?;
        before.push(desired);
    }
    Ok(SwitchSides { desired, before, course })
}

fn target(ask: &PlanRequest, state: Option<&State>, desired: &DesiredStack) -> SwitchTarget {
    let carries = if ask.only_switch { Carries::SwitchAlone } else { Carries::Everything };
    resolve_target(state, &desired.stack, &ask.losses, carries)
}

/// Whether what is asked for has mistakes that show before any lock is taken and any cloud is asked; else what it takes for
/// lost.
pub fn check(session: &Session, ask: &PlanRequest, state: &State) -> Result<Vec<String>, OpsError> {
    let desired = wanted(session, ask, Some(state))?;
    let course = target(ask, Some(state), &desired);
    Ok(course.lost.into_iter().map(|it| it.fault_domain).collect())
}

/// What the layers desire, and what was named beside them makes sense.
fn wanted(
    session: &Session,
    ask: &PlanRequest,
    state: Option<&State>,
) -> Result<DesiredStack, OpsError> {
    let overlays = overlays_of(ask.overlays.as_deref(), state);
    if let Some(state) = state.filter(|it| ask.losses == Losses::Planned && !it.lost.is_empty()) {
        return Err(not_planned(session, ask, state, &overlays));
    }
    let nothing = RememberedVariables::none();
    let remembered = state.map_or(nothing, |it| it.remembered(&overlays));
    if ask.intent == Intent::Destroy {
        let desired = leaving(session, ask, &overlays, remembered)?;
        check_lost(session, &ask.place, &desired, state, &ask.losses)?;
        return Ok(desired);
    }
    let desired = layers::desired(&ask.place, &overlays, &ask.given, remembered, &session.catalog);
    let mut desired = desired.map_err(|why| active_gone(ask, state, &overlays, why))?;
    workspace::belongs(&ask.place, &desired.stack)?;
    workspace::lend(session, &ask.place, &mut desired)?;
    workspace::own_outputs(session, &ask.place, &mut desired)?;
    check_lost(session, &ask.place, &desired, state, &ask.losses)?;
    Ok(desired)
}

/// Who plans a switch says that nothing is lost, and state says otherwise: one of the two is wrong, and a plan that is made of
/// both would wait for what nobody reads.
fn not_planned(
    session: &Session,
    ask: &PlanRequest,
    state: &State,
    overlays: &[String],
) -> OpsError {
    let stack = &ask.place.name();
    let lost: Vec<&str> = state.lost.iter().map(|it| it.fault_domain.as_str()).collect();
    let (them, have) =
        if lost.len() == 1 { ("it is", "it has") } else { ("they are", "they have") };
    let remembered = state.remembered(overlays);
    let wanted = layers::desired(&ask.place, overlays, &ask.given, remembered, &session.catalog);
    let names = lost.iter().copied().collect();
    let into = wanted
        .ok()
        .and_then(|it| sends_into(&session.catalog, &it.stack, state, &names).map(|(_, it)| it));
    let under_loss = match overlays.strip_prefix(state.home.as_slice()) {
        // Nobody is sent to what is lost.
        _ if into.is_some() => format!(
            "users cannot go there, and {} lists the available overlays",
            AdvisedCommand::FailoverWhere { stack }
        ),
        Some([]) => AdvisedCommand::Failback { stack, lost: lost.clone() }.to_string(),
        Some([to]) => {
            AdvisedCommand::Failover { stack, to, lost: lost.clone(), planned: false }.to_string()
        }
        _ => "run the same command without --planned".to_owned(),
    };
    let recovered = lost.iter().map(|it| AdvisedCommand::Recovered { stack, fault_domain: it });
    let recovered: Vec<String> = recovered.map(|it| it.to_string()).collect();
    OpsError::refused(
        format!(
            "--planned means that no fault domain is lost, but the state records {} as lost",
            lost.join(", ")
        ),
        format!(
            "if {them} still lost: {under_loss}; if {have} recovered: {}, then run the same command again; nothing was changed",
            recovered.join(", ")
        ),
    )
}

/// The overlays that a switch leaves say what it is to carry. Without them it can still carry all that differs from the world.
fn left_unreadable(
    ask: &PlanRequest,
    state: Option<&State>,
    from: &[String],
    why: OpsError,
) -> OpsError {
    let (Some(state), Some(to)) = (state, &ask.overlays) else { return why };
    let planned = matches!(ask.losses, Losses::Planned);
    let Some(switch) = state.whole_switch(&overlays_of(Some(to), None), planned) else {
        return why;
    };
    OpsError::input(
        format!("this switch leaves {}, which cannot be read: {why}", OverlayNames(from)),
        format!(
            "restore it; or {switch} switches without it and applies every difference from its target"
        ),
    )
}

/// The file of an active overlay may be gone, deleted with a branch; who asks for nothing else is told the way home.
fn active_gone(
    ask: &PlanRequest,
    state: Option<&State>,
    overlays: &[String],
    why: OpsError,
) -> OpsError {
    let Some(state) = state.filter(|it| ask.overlays.is_none() && it.active == overlays) else {
        return why;
    };
    let gone = |it: &&String| layers::overlay_file(&ask.place, it).is_err();
    let Some(gone) = overlays.iter().find(gone).filter(|it| !state.home.contains(it)) else {
        return why;
    };
    OpsError::input(
        format!("{why}; it is active"),
        format!(
            "restore {gone}; or fail back without it: {}",
            AdvisedCommand::FailbackWhole { stack: &ask.place.name() }
        ),
    )
}

/// What is laid over what is to go. State says what that is and what protects it: nothing is borrowed for it, and an overlay
/// that cannot be read is left out.
fn leaving(
    session: &Session,
    ask: &PlanRequest,
    overlays: &[String],
    remembered: RememberedVariables<'_>,
) -> Result<DesiredStack, OpsError> {
    let laid = |overlays: &[String]| {
        layers::desired(&ask.place, overlays, &ask.given, remembered, &session.catalog)
    };
    let (why, mut desired) = match laid(overlays) {
        Ok(mut desired) => {
            workspace::belongs(&ask.place, &desired.stack)?;
            // What is wrong with layers is nothing to who deletes what they made.
            desired.warnings.clear();
            return Ok(desired);
        }
        Err(why) if overlays.is_empty() => return Err(why),
        Err(why) => (why, laid(&[])?),
    };
    let left_out = format!("skipped, because they cannot be read: {}", overlays.join(" + "));
    let help =
        format!("the resources to delete and their protection are taken from the state ({why})");
    desired.warnings =
        vec![Diagnostic::warning(DiagnosticCode::OverlaysLeftOut, left_out).help(help)];
    Ok(desired)
}

/// A fault domain that was named and that nothing is in is a slip of the keyboard.
fn check_lost(
    session: &Session,
    place: &StackRef,
    desired: &DesiredStack,
    state: Option<&State>,
    losses: &Losses,
) -> Result<(), OpsError> {
    let (Losses::Also(named) | Losses::Only(named)) = losses else { return Ok(()) };
    if named.is_empty() {
        return Ok(());
    }
    let recorded = FaultDomains::new(&session.catalog, state);
    let planned = FaultDomains::planned(&session.catalog, &desired.stack);
    let stores = stores::domains(place);
    let mut known: BTreeSet<&str> = recorded.names().union(&planned.names()).copied().collect();
    known.extend(stores.iter().map(String::as_str));
    let Some(name) = named.iter().find(|it| !known.contains(it.as_str())) else { return Ok(()) };
    let help = nearest(name, known.iter().copied()).map_or_else(
        || {
            let known: Vec<&str> = known.iter().copied().collect();
            format!("this stack is in {}", known.join(", "))
        },
        |it| format!("did you mean `{it}`?"),
    );
    Err(OpsError::input(format!("this stack has no resources in `{name}`"), help))
}

/// The asked overlays, else the active ones; `base` means none.
pub fn overlays_of(asked: Option<&[String]>, state: Option<&State>) -> Vec<String> {
    match asked {
        Some(asked) => asked.iter().filter(|it| *it != "base").cloned().collect(),
        None => state.map(|it| it.active.clone()).unwrap_or_default(),
    }
}

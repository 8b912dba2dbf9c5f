//! `failover`, `failback`, `recovered`: switches between sites, and the end of a loss.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::cli::args::{AllowArgs, FailbackArgs, LossArgs, StateArgs, TargetArgs, WorldArgs};
use crate::cli::commands::apply::{Consent, is_unasked, proposes, require_terminal, settled_with};
use crate::cli::commands::loss_consent::{LossQuestion, declares};
use crate::cli::commands::status::pending;
use crate::cli::commands::switch_retry::look_again;
use crate::cli::context::CommandContext;
use crate::cli::exit::Exit;
use crate::cli::open::{Going, Taken};
use crate::cli::run_document::{about, found};
use crate::cli::{open, out};
use crate::engine::lang::merge::variables::GivenVariable;
use crate::engine::lang::model::Variable;
use crate::engine::plan::draft::destination::leads_into;
use crate::engine::plan::planner::{Intent, Keep};
use crate::engine::recovery::completion::Unfinished;
use crate::engine::recovery::users_moved::UsersAre;
use crate::engine::state::record::State;
use crate::engine::text::advice::AdvisedCommand;
use crate::engine::text::names::OverlayNames;
use crate::ops::error::OpsError;
use crate::ops::load::session::Session;
use crate::ops::load::sides::{PlanRequest, check, sides};
use crate::ops::load::stack_ref::StackRef;
use crate::ops::load::switch_target::{Losses, is_made};
use crate::ops::plan::make::{plan_on, state_is_missing};
use crate::ops::plan::refresh;
use crate::ops::recovered;
use crate::store::lease::Lease;
use crate::store::state_store::LeaseStatus;

/// What every switch is given.
pub struct SwitchArgs {
    pub allow: AllowArgs,
    pub world: WorldArgs,
    pub yes: bool,
    /// When the site was last seen good, in milliseconds since the Unix epoch.
    pub last_good: Option<i64>,
    /// A person declares what is lost, so that a mirror store may go on without the primary one.
    pub promotes: bool,
}

impl SwitchArgs {
    /// For the way home, which promotes no store.
    pub fn home(allow: AllowArgs, world: WorldArgs, yes: bool) -> Self {
        Self { allow, world, yes, last_good: None, promotes: false }
    }

    /// For the way to the standby.
    #[must_use]
    pub fn away(self, last_good: Option<jiff::Timestamp>, promotes: bool) -> Self {
        Self { last_good: last_good.map(jiff::Timestamp::as_millisecond), promotes, ..self }
    }
}

pub async fn failover(
    context: &CommandContext,
    target: &TargetArgs,
    to: &str,
    losing: &LossArgs,
    wanted: &SwitchArgs,
) -> Result<Exit, OpsError> {
    let consent = Consent { yes: wanted.yes, switch: true, data_loss: false };
    if to == "base" {
        return Err(no_way_home(target));
    }
    // What cannot be switched to is told before anybody is asked for consent.
    crate::ops::load::layers::overlay_file(
        &StackRef::find(&target.stack, &context.directory)?,
        to,
    )?;
    let (ask, session, known) = begin(context, target, wanted).await?;
    let mut ask = PlanRequest {
        losses: open::losses(losing),
        include_pending: losing.include_pending,
        ..ask
    };
    let to_overlays = [known.home.clone(), vec![to.to_owned()]].concat();
    context.note(|it| found(it, Some(&known), Some(&to_overlays)));
    ask.overlays = Some(to_overlays.clone());
    // Before anything is asked or advised: what is made for a drill is nowhere to fail over to.
    if let Ok(overlay) = crate::ops::load::layers::instance_of(&ask.place, to) {
        crate::ops::load::workspace::belongs(&ask.place, &overlay)?;
    }
    if losing.lost.is_empty() && !losing.planned {
        says_what_is_lost(&ask, &known, to)?;
        assume_on_the_way(&mut ask, &known, to)?;
    }
    let lost = check(&session, &ask, &known)?;
    if is_made(&known, &to_overlays, &ask.losses) && !is_left(&session, &ask, &to_overlays)? {
        takes_no_variable(&session, &ask, &known)?;
        return there_already(context, &session, &ask, &known, Some(to)).await;
    }
    if is_unasked(wanted.yes) {
        return previewed(context, &session, &ask, known).await;
    }
    if lost.is_empty() {
        refuse_before_stopping(context, &session, &ask, &known).await?;
    }
    let asks = !wanted.yes;
    let is_there = LossQuestion::ask(&session, &known, &lost);
    let aim = ask.overlays.clone().unwrap_or_default();
    let going = Going { to: &aim, lost: &lost, asks, promotes: wanted.promotes };
    let BegunSwitch::Open { lease, state } = take(context, &session, &ask, &known, going)? else {
        pending(&session, &ask);
        return Ok(Exit::Done);
    };
    if losing.lost.is_empty() && !losing.planned {
        assume_on_the_way(&mut ask, &state, to)?;
    }
    let mut proposed = plan_on(&session, &ask, Some(*state)).await?;
    proposed.answering = is_there.answering().await;
    context.note(|it| it.answering.clone_from(&proposed.answering));
    let mut question = format!("Fail over to {to}? Only `yes` is accepted:");
    match declares(&proposed.plan, &ask.place, to, &proposed.answering) {
        Some(told) if wanted.yes => {
            let word = if proposed.answering.is_empty() { "" } else { "warning: " };
            out::talk(&format!("{word}{told}"));
        }
        Some(told) => question = format!("{told}\n{question}"),
        None => {}
    }
    let went = settled_with(context, &session, *lease, proposed, &ask, consent, &question).await?;
    look_again(context, &session, &ask, went).await
}

pub async fn failback(
    context: &CommandContext,
    target: &TargetArgs,
    back: FailbackArgs,
    wanted: &SwitchArgs,
) -> Result<Exit, OpsError> {
    let consent = Consent { yes: wanted.yes, switch: true, data_loss: false };
    let (ask, session, known) = begin(context, target, wanted).await?;
    context.note(|it| found(it, Some(&known), Some(&known.home)));
    let ask = PlanRequest {
        overlays: Some(known.home.clone()),
        losses: Losses::Only(back.lost),
        include_pending: back.include_pending,
        keep: if back.keep_standby { Keep::All } else { Keep::Data },
        ..ask
    };
    let lost = check(&session, &ask, &known)?;
    if is_made(&known, &known.home, &ask.losses) && !is_left(&session, &ask, &known.home)? {
        takes_no_variable(&session, &ask, &known)?;
        return there_already(context, &session, &ask, &known, None).await;
    }
    must_answer(&session, &ask, &known).await?;
    if is_unasked(wanted.yes) {
        return previewed(context, &session, &ask, known).await;
    }
    refuse_before_stopping(context, &session, &ask, &known).await?;
    let asks = !wanted.yes;
    let aim = ask.overlays.clone().unwrap_or_default();
    let going = Going { to: &aim, lost: &lost, asks, promotes: wanted.promotes };
    let BegunSwitch::Open { lease, state } = take(context, &session, &ask, &known, going)? else {
        pending(&session, &ask);
        return Ok(Exit::Done);
    };
    if state.lost != known.lost {
        must_answer(&session, &ask, &state).await?;
    }
    let proposed = plan_on(&session, &ask, Some(*state)).await?;
    let question = "Fail back home? Only `yes` is accepted:";
    let went = settled_with(context, &session, *lease, proposed, &ask, consent, question).await?;
    look_again(context, &session, &ask, went).await
}

/// Somebody is about to switch elsewhere, and has not written it yet: who wants to be here turns that.
fn is_left(session: &Session, ask: &PlanRequest, to: &[String]) -> Result<bool, OpsError> {
    let held = session.store(&ask.place).lease_status()?.filter(|it| it.is_alive);
    Ok(held.is_some_and(|it| it.to.is_some_and(|it| it != to)))
}

/// What was begun as planned may turn into a real one on the way: who says so no longer calls it planned.
fn assume_on_the_way(ask: &mut PlanRequest, state: &State, to: &str) -> Result<(), OpsError> {
    if state.unfinished_switch().is_some() && Some(&state.active) == ask.overlays.as_ref() {
        let assumed = crate::ops::load::layers::instance_of(&ask.place, to)?.assumes_lost;
        ask.losses = Losses::Also(assumed.into_iter().map(|(name, _)| name).collect());
    }
    Ok(())
}

/// Every lost fault domain answers again, except those that stay frozen.
async fn must_answer(session: &Session, ask: &PlanRequest, state: &State) -> Result<(), OpsError> {
    let stays = |it: &String| matches!(&ask.losses, Losses::Only(these) if these.contains(it));
    let lost = state.lost.iter().map(|it| it.fault_domain.clone());
    let recovered: Vec<String> = lost.filter(|it| !stays(it)).collect();
    let silent = recovered::silent(session, state, &recovered).await;
    if silent.is_empty() {
        return Ok(());
    }
    // A no is no silence: going home without it is not the answer.
    if let Some((domain, no)) = silent.iter().find(|(_, it)| it.reason.is_no()) {
        return Err(recovered::no(domain, no, "nothing was changed"));
    }
    let stays: Vec<&str> = match &ask.losses {
        Losses::Only(these) => these.iter().map(String::as_str).collect(),
        _ => Vec::new(),
    };
    let lost: Vec<&str> =
        stays.into_iter().chain(silent.iter().map(|(it, _)| it.as_str())).collect();
    let way = without(session, ask, state, lost)?;
    let what = match silent.as_slice() {
        [(domain, unseen)] => format!("{domain} is still unreachable: {}", unseen.why),
        several => {
            let names: Vec<&str> = several.iter().map(|(it, _)| it.as_str()).collect();
            let why = several.iter().map(|(it, unseen)| format!("{it}: {}", unseen.why));
            let why: Vec<String> = why.collect();
            format!("{} are still unreachable: {}", names.join(" and "), why.join("; "))
        }
    };
    Err(OpsError::refused(
        what,
        format!(
            "nothing was changed, and users stay where they are; run the same command again once all of it answers{way}"
        ),
    ))
}

/// How to go home without what does not answer, where no users would be sent into it: that would be refused.
fn without(
    session: &Session,
    ask: &PlanRequest,
    state: &State,
    lost: Vec<&str>,
) -> Result<String, OpsError> {
    let home = sides(session, ask, Some(state))?.desired.stack;
    let names = lost.iter().copied().collect();
    if let Some((address, domain)) = leads_into(&session.catalog, &home, state, &names) {
        return Ok(format!(
            "; {domain} cannot stay lost, because `{address}` would send users there"
        ));
    }
    let without = AdvisedCommand::Failback { stack: &ask.place.name(), lost };
    Ok(format!(", or leave it untouched for now: {without}"))
}

/// A switch that would stop another run, and that a guard refuses all the same, is refused before it stops that. Under loss users
/// wait, and nobody looks twice.
async fn refuse_before_stopping(
    context: &CommandContext,
    session: &Session,
    ask: &PlanRequest,
    known: &State,
) -> Result<(), OpsError> {
    // Who makes the same switch is waited for, and not stopped.
    let held = session.store(&ask.place).lease_status()?;
    let stops = |it: LeaseStatus| it.is_alive && it.to != ask.overlays;
    // A destroy is stopped in any case: what it would have taken away is what users may be sent to.
    let is_destroyed = known.last_run.as_ref().is_some_and(|it| it.destroys && it.is_unfinished());
    if is_destroyed || !held.is_some_and(stops) {
        return Ok(());
    }
    let proposed = plan_on(session, ask, Some(known.clone())).await?;
    if proposed.plan.refusals().next().is_some() {
        proposes(context, session, &proposed, ask).await?;
    }
    Ok(())
}

/// Where nobody can be asked: the plan as the switch would carry it out, and why it does not. Nobody is disturbed by it.
async fn previewed(
    context: &CommandContext,
    session: &Session,
    ask: &PlanRequest,
    known: State,
) -> Result<Exit, OpsError> {
    let proposed = plan_on(session, ask, Some(known)).await?;
    if let Some(went) = proposes(context, session, &proposed, ask).await? {
        return Ok(went.exit);
    }
    let nobody = Consent { yes: false, switch: true, data_loss: false };
    require_terminal(nobody, None).map(|()| Exit::Done)
}

/// The state as it is before anything is locked: who cannot switch is told without disturbing who is at work.
async fn begin(
    context: &CommandContext,
    target: &TargetArgs,
    wanted: &SwitchArgs,
) -> Result<(PlanRequest, Arc<Session>, State), OpsError> {
    let layers = target.under(Vec::new());
    let ask = open::ask(&context.directory, &layers, &wanted.allow, Intent::Apply)?;
    let ask = PlanRequest { only_switch: true, last_good: wanted.last_good, ..ask };
    let session = open::session(&ask.place.root, &wanted.world).await?;
    context.note(|it| about(it, &ask.place, &session));
    let known = session.store(&ask.place).load()?.filter(|it| !it.records.is_empty());
    let Some(known) = known else {
        if session.store(&ask.place).load()?.is_none() {
            state_is_missing(&session, &ask).await?;
        }
        return Err(nothing_yet(&ask.place));
    };
    Ok((ask, session, known))
}

/// Whether a switch has something to do once it has the lease.
enum BegunSwitch {
    Open {
        lease: Box<Lease>,
        state: Box<State>,
    },
    /// Another made the same one while this one waited or began, which is told.
    MadeMeanwhile,
}

/// Takes the lease, also from another, and the state as it is now.
fn take(
    context: &CommandContext,
    session: &Session,
    ask: &PlanRequest,
    known: &State,
    going: Going<'_>,
) -> Result<BegunSwitch, OpsError> {
    let to = ask.overlays.clone().unwrap_or_default();
    let Taken { lease, state, waited } =
        open::preempt(session, &ask.place, &context.command, going)?;
    let state = state.ok_or_else(|| nothing_yet(&ask.place))?;
    let is_made = |it: &State| is_made(it, &to, &ask.losses);
    if is_made(&state) && (waited || !is_made(known)) {
        takes_no_variable(session, ask, &state)?;
        let by = state.last_run.as_ref();
        let by = by.map(|it| format!(" by {} (lifeboat {})", it.who, it.command));
        out::talk(&format!(
            "the switch to {} was already made{}; nothing to do",
            OverlayNames(&to),
            by.unwrap_or_default()
        ));
        return Ok(BegunSwitch::MadeMeanwhile);
    }
    Ok(BegunSwitch::Open { lease: Box::new(lease), state: Box::new(state) })
}

/// A switch that is over carries nothing, and so no variable either: who gave one is told so instead of losing it.
fn takes_no_variable(session: &Session, ask: &PlanRequest, state: &State) -> Result<(), OpsError> {
    let given = ask.given.iter().filter(|it| !it.is_said()).cloned().collect();
    let unsaid = PlanRequest { given, ..ask.clone() };
    let said = sides(session, ask, Some(state))?.desired.stack.variables;
    let before = sides(session, &unsaid, Some(state))?.desired.stack.variables;
    let value =
        |all: &BTreeMap<String, Variable>, name: &String| all.get(name).map(|it| it.value.clone());
    let news: Vec<&GivenVariable> = ask
        .given
        .iter()
        .filter(|it| it.is_said() && value(&said, &it.name) != value(&before, &it.name))
        .collect();
    let Some(first) = news.first() else { return Ok(()) };
    let name = ask.place.name();
    let is_secret = |it: &&GivenVariable| said.get(&it.name).is_some_and(|it| it.sensitive);
    let pairs = news.iter().map(|it| format!("{}={}", it.name, it.value.shown()));
    let how = if news.iter().any(is_secret) {
        format!("{} with the same --var", AdvisedCommand::Apply { stack: &name })
    } else {
        AdvisedCommand::ApplyVariables { stack: &name, variables: pairs.collect() }.to_string()
    };
    Err(OpsError::refused(
        format!(
            "this switch of {name} is complete, so `--var {}` would have no effect; nothing was changed",
            first.name
        ),
        format!(
            "a variable without a switch is applied by {how}; that also makes what else is pending"
        ),
    ))
}

fn nothing_yet(place: &StackRef) -> OpsError {
    let name = place.name();
    OpsError::input(
        format!("{name} has not been applied yet, so there is nothing to switch"),
        format!("apply it first: {}", AdvisedCommand::Apply { stack: &name }),
    )
}

/// Nothing to switch, and nothing of a switch is left: what is pending is not made by the way.
async fn there_already(
    context: &CommandContext,
    session: &Session,
    ask: &PlanRequest,
    state: &State,
    to: Option<&str>,
) -> Result<Exit, OpsError> {
    let name = ask.place.name();
    let astray = refresh::astray(session, state).await?;
    if !astray.is_empty() {
        let site = to.unwrap_or("home");
        let told = |it: &Unfinished| {
            let remedy = it.remedy.as_ref().map(|it| format!("; {it}")).unwrap_or_default();
            format!("{}{remedy}", it.sentence())
        };
        context.note(|it| {
            it.users = Some(UsersAre::Unconfirmed);
            it.open.clone_from(&astray);
        });
        let astray: Vec<String> = astray.iter().map(told).collect();
        out::talk(&format!(
            "{site} is active in {name}, but users could not be confirmed there: {}; run {} to see what exists",
            astray.join("; "),
            AdvisedCommand::Plan { stack: &name, overlays: &[], out: None }
        ));
        return Ok(Exit::Unseen);
    }
    out::talk(&match to {
        None => format!("{name} is already at home: nothing to switch, nothing changed"),
        Some(to) => format!("{to} is already active in {name}: nothing to switch, nothing changed"),
    });
    let is_new = |it: &&String| !state.lost.iter().any(|lost| lost.fault_domain == **it);
    let assumed = match to {
        Some(to) => crate::ops::load::layers::instance_of(&ask.place, to)?.assumes_lost,
        None => Vec::new(),
    };
    let assumed: Vec<String> = assumed.into_iter().map(|(domain, _)| domain).collect();
    let lost: Vec<&str> = assumed.iter().filter(is_new).map(String::as_str).collect();
    // A planned switch that is over says nothing of a loss that came later.
    if let Some(to) = to.filter(|_| ask.losses == Losses::Assumed && !lost.is_empty()) {
        out::talk(&format!(
            "this did not record any fault domain as lost; if one is lost now: {}",
            AdvisedCommand::Failover { stack: &name, to, lost, planned: false }
        ));
    }
    pending(session, ask);
    Ok(Exit::Done)
}

/// `base` names what is there without overlays.
fn no_way_home(target: &TargetArgs) -> OpsError {
    OpsError::usage(
        "`base` is not an overlay to fail over to",
        format!(
            "to go home, run {}",
            AdvisedCommand::Failback { stack: &target.stack, lost: Vec::new() }
        ),
    )
}

/// An overlay that assumes no loss, and no flag: was the site lost, or is this planned?
fn says_what_is_lost(ask: &PlanRequest, state: &State, to: &str) -> Result<(), OpsError> {
    let goes_on = Some(&state.active) == ask.overlays.as_ref();
    if goes_on || crate::ops::load::layers::assumes_loss(&ask.place, to)? {
        return Ok(());
    }
    let name = ask.place.name();
    let what =
        format!("overlay `{to}` has no `assumes_lost`, and neither --lost nor --planned was given");
    if out::can_ask() {
        let question = "Are both sites up, with no fault domain lost? Only `yes` is accepted:";
        if out::ask(question).as_deref() == Some("yes") {
            return Ok(());
        }
    }
    Err(OpsError::usage(
        what,
        format!(
            "{} while both sites live, `--lost` and the name of each fault domain that is gone, or \
             write `assumes_lost` into the overlay",
            AdvisedCommand::Failover { stack: &name, to, lost: Vec::new(), planned: true }
        ),
    ))
}

/// Ends the loss of one fault domain without a switch.
pub async fn recovered(
    context: &CommandContext,
    args: &StateArgs,
    domain: &str,
) -> Result<Exit, OpsError> {
    let place = StackRef::find(&args.stack, &context.directory)?;
    let session = open::session(&place.root, &args.world).await?;
    let (mut lease, state) = open::lease(&session, &place, &context.command)?;
    let mut state = state.ok_or_else(|| nothing_yet(&place))?;
    recovered::found(&session, &mut lease, &mut state, domain).await?;
    let left: Vec<&str> = state.lost.iter().map(|it| it.fault_domain.as_str()).collect();
    let left = if left.is_empty() { "nothing".to_owned() } else { left.join(", ") };
    let stack = &place.name();
    let home = AdvisedCommand::Failback { stack, lost: Vec::new() };
    let away = state.active != state.home;
    let home = if away { format!("; to move users home: {home}") } else { String::new() };
    out::talk(&format!(
        "{domain} has recovered; still lost: {left}; active: {}; run {} to see the required changes{home}",
        OverlayNames(&state.active),
        AdvisedCommand::Plan { stack, overlays: &[], out: None }
    ));
    Ok(Exit::Done)
}

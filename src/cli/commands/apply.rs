//! `apply` and `destroy`: shows, asks, carries out, and says what is done and what is not.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use crate::cli::args::{AllowArgs, LayerArgs, LossArgs, WorldArgs};
use crate::cli::commands::asked_overlays::is_no_switch;
use crate::cli::commands::plan::{note_drill, read, typed_here, warn};
use crate::cli::commands::reports;
use crate::cli::commands::runner::state_is_there;
use crate::cli::commands::seen::SwitchObservers;
use crate::cli::commands::status::pending;
use crate::cli::commands::stored::plans_of;
use crate::cli::context::CommandContext;
use crate::cli::events::RunEvents;
use crate::cli::exit::Exit;
use crate::cli::run_document::{about, found, planned, ran};
use crate::cli::{ending, open, out, progress, report, signals};
use crate::engine::lang::model::Stack;
use crate::engine::plan::format::codec::plan_digest;
use crate::engine::plan::format::same_as_planned::differences;
use crate::engine::plan::model::change::Plan;
use crate::engine::plan::planner::{Intent, Keep};
use crate::engine::recovery::completion::{self, Completion};
use crate::engine::text::advice::AdvisedCommand;
use crate::engine::text::diagnostic::nearest;
use crate::engine::text::names::StackName;
use crate::ops::apply::finish::RunRequest;
use crate::ops::apply::run::is_idle;
use crate::ops::error::OpsError;
use crate::ops::load::layers::{assumes_loss, workspaces};
use crate::ops::load::session::{CloudTarget, Session};
use crate::ops::load::sides::PlanRequest;
use crate::ops::load::stack_ref::StackRef;
use crate::ops::load::switch_target::Losses;
use crate::ops::notify::Notifier;
use crate::ops::plan::bindings::{bindings, broken_bindings, inputs_of};
use crate::ops::plan::make::{Proposed, plan_on, unsafe_steps};
use crate::ops::plan::prices::cost;
use crate::ops::recovery_reports;
use crate::render::plan::outline::ShownPlan;
use crate::render::plan::text::{TextOptions, text};
use crate::store::lease::Lease;

/// What was agreed to on the command line.
#[derive(Debug, Clone, Copy)]
pub struct Consent {
    pub yes: bool,
    pub switch: bool,
    pub data_loss: bool,
}

pub async fn apply(
    context: &CommandContext,
    layers: &LayerArgs,
    world: &WorldArgs,
    allow: &AllowArgs,
    losing: &LossArgs,
    replace: &[String],
    consent: Consent,
) -> Result<Exit, OpsError> {
    let file = context.directory.join(&layers.stack);
    if file.is_file() && !file.ends_with("stack.yaml") {
        return saved(context, &file, layers, world, consent).await;
    }
    if file.extension().is_some_and(|it| it == "json") {
        let what = format!("the plan file {} does not exist", file.display());
        return Err(OpsError::input(what, "create one with `plan --out`"));
    }
    let (stack, overlays) = (layers.stack.as_str(), layers.overlays.as_slice());
    require_terminal(consent, Some(&AdvisedCommand::Plan { stack, overlays, out: None }))?;
    let mut ask = open::ask(&context.directory, layers, allow, Intent::Apply)?;
    ask.losses = open::losses(losing);
    ask.include_pending = losing.include_pending;
    ask.replace = open::addresses(replace)?;
    let session = open::session(&ask.place.root, world).await?;
    context.note(|it| about(it, &ask.place, &session));
    let (lease, state) = open::lease(&session, &ask.place, &context.command)?;
    context.note(|it| found(it, state.as_ref(), None));
    if !consent.switch {
        is_no_switch(&ask, state.as_ref())?;
    }
    state_is_there(&session, &ask.place, state.is_some())?;
    let proposed = plan_on(&session, &ask, state).await?;
    let question = "Apply these changes? Only `yes` is accepted:";
    Ok(settled_with(context, &session, lease, proposed, &ask, consent, question).await?.exit)
}

/// How a run went, and how far what it was for came.
pub struct Went {
    pub exit: Exit,
    pub ending: Completion,
}

/// Shows a plan, asks, and carries it out.
pub async fn settled_with(
    context: &CommandContext,
    session: &Arc<Session>,
    lease: Lease,
    proposed: Proposed,
    ask: &PlanRequest,
    consent: Consent,
    question: &str,
) -> Result<Went, OpsError> {
    if let Some(went) = proposes(context, session, &proposed, ask).await? {
        return Ok(went);
    }
    // Who only ends what an earlier run left is asked nothing: nothing is changed.
    let asks = !consent.yes && !proposed.plan.is_empty();
    if asks && !confirm(question, "yes") {
        return Ok(Went { exit: declined(context), ending: Completion::Undone });
    }
    void_reviews(session, &proposed, ask);
    carry_out(context, session, lease, proposed, ask).await
}

/// Carries out what a stored plan has let through; nobody is asked again.
pub async fn settled_reviewed(
    context: &CommandContext,
    session: &Arc<Session>,
    lease: Lease,
    proposed: Proposed,
    ask: &PlanRequest,
) -> Result<Went, OpsError> {
    if let Some(went) = proposes(context, session, &proposed, ask).await? {
        return Ok(went);
    }
    carry_out(context, session, lease, proposed, ask).await
}

/// Voids the reviews of other inputs before something else runs: a job that is run again later would take back what came after it.
/// A destroy leaves nothing that anything was reviewed on.
fn void_reviews(session: &Session, proposed: &Proposed, ask: &PlanRequest) {
    // A switch is remembered by the state, which says so to whoever asks.
    if proposed.is_switch {
        return;
    }
    let inputs = match ask.intent {
        Intent::Apply => inputs_of(session, &ask.place, &proposed.desired.stack),
        Intent::Destroy => String::new(),
    };
    if let Err(why) = plans_of(&session.store(&ask.place)).supersede_all_but(&inputs) {
        out::talk(&format!("warning: stored plans of before could not be voided: {why}"));
    }
}

/// Shows a plan and refuses it if a guard does; `Some`: nothing of it would be carried out.
pub async fn proposes(
    context: &CommandContext,
    session: &Session,
    proposed: &Proposed,
    ask: &PlanRequest,
) -> Result<Option<Went>, OpsError> {
    warn(proposed, context.color);
    let forecast = reports::forecast(session, &ask.place, proposed);
    // Nobody's recovery waits for prices.
    let cost = match proposed.plan.lost.as_slice() {
        [] => cost(session, &proposed.plan, proposed.state.as_ref()).await,
        _ => None,
    };
    let (plan, forecast, cost) = (&proposed.plan, forecast.as_ref(), cost.as_ref());
    show(context, ShownPlan { plan, forecast, cost });
    note_drill(&ask.place, &proposed.desired.stack);
    refuse(&proposed.plan)?;
    if !is_idle(proposed) {
        return Ok(None);
    }
    let open = completion::open(&proposed.plan);
    let waits = open.iter().any(|it| !it.is_shared());
    out::talk(if waits { "no changes can be applied right now" } else { "nothing to do" });
    for told in [ending::open(&open), ending::shared(&open)].into_iter().flatten() {
        out::talk(&told);
    }
    let ending = completion::ending(&open, true);
    Ok(Some(Went { exit: ending.into(), ending }))
}

/// Carries out what was agreed to before it could be read.
pub async fn go_on(
    context: &CommandContext,
    session: &Arc<Session>,
    lease: Lease,
    proposed: Proposed,
    ask: &PlanRequest,
) -> Result<Went, OpsError> {
    warn(&proposed, context.color);
    show(context, &proposed.plan);
    refuse(&proposed.plan)?;
    carry_out(context, session, lease, proposed, ask).await
}

/// Runs the steps of a saved plan and nothing else.
async fn saved(
    context: &CommandContext,
    file: &Path,
    layers: &LayerArgs,
    world: &WorldArgs,
    consent: Consent,
) -> Result<Exit, OpsError> {
    let (plan, envelope) = read(&context.directory, file)?;
    require_terminal(consent, Some(&AdvisedCommand::Show { file: &layers.stack }))?;
    let name = StackName { stack: &plan.stack, workspace: plan.instance.as_deref() };
    let name = name.to_string();
    let place = StackRef::find(&name, &context.directory)?;
    let intent = plan.bindings.intent;
    let ask = PlanRequest {
        place,
        overlays: Some(plan.overlays.clone()),
        given: open::variables(layers)?,
        intent,
        allowed: plan.allowed.clone(),
        replace: plan.replace.clone(),
        losses: Losses::Only(plan.lost.iter().map(|it| it.fault_domain.clone()).collect()),
        only_switch: false,
        include_pending: plan.include_pending,
        keep: Keep::Nothing,
        last_good: None,
    };
    let session = open::session(&ask.place.root, world).await?;
    context.note(|it| about(it, &ask.place, &session));
    if plan.bindings.target != session.target.word() {
        let (made_for, this) = (&plan.bindings.target, session.target.word());
        let what =
            format!("the plan was made for the {made_for}, but this command uses the {this}");
        return Err(OpsError::refused(what, "check the --sandbox flag; no cloud was called"));
    }
    let (lease, state) = open::lease(&session, &ask.place, &context.command)?;
    context.note(|it| found(it, state.as_ref(), None));
    let fresh = plan_on(&session, &ask, state.clone()).await?;
    let accounts = fresh.plan.bindings.accounts.clone();
    let now = bindings(&session, ask.intent, &fresh.desired.stack, state.as_ref(), accounts);
    let mut broken = broken_bindings(&plan.bindings, &now);
    // The digest in the file has no key: that what it holds is a plan of this stack is known by making it again.
    if broken.is_empty() {
        broken = differences(&plan, &fresh.plan);
    }
    if !broken.is_empty() {
        let what = format!("the plan is stale:\n  - {}", broken.join("\n  - "));
        let file = layers.stack.as_str();
        let (stack, overlays) = (name.as_str(), plan.overlays.as_slice());
        let mut options = plan.asked_options();
        // Where no overlay says what is lost there is nothing to take back.
        let assumes = |it: &String| assumes_loss(&ask.place, it).unwrap_or(true);
        options.retain(|it| it != "--planned" || plan.overlays.iter().any(assumes));
        options.extend(typed_variables(layers, &fresh.desired.stack));
        let anew = AdvisedCommand::PlanAgain { stack, overlays, options, out: file };
        let help = format!("create a new plan: {anew}; nothing was changed");
        return Err(OpsError::refused(what, help));
    }
    let (forecast, cost) = (envelope.forecast.as_ref(), envelope.cost.as_ref());
    show(context, ShownPlan { plan: &plan, forecast, cost });
    refuse(&plan)?;
    if let Some(why) = unsafe_steps(&session.catalog, &fresh, &plan).into_iter().next() {
        let help = why.help.unwrap_or_default();
        return Err(OpsError::refused(
            format!("the steps of the plan cannot be carried out: {}", why.summary),
            help,
        ));
    }
    let proposed = Proposed { plan, ..fresh };
    if is_idle(&proposed) {
        out::talk("nothing to do: this plan changes nothing");
        return Ok(completion::ending(&completion::open(&proposed.plan), true).into());
    }
    if !consent.yes && !confirm("Apply this plan? Only `yes` is accepted:", "yes") {
        return Ok(declined(context));
    }
    void_reviews(&session, &proposed, &ask);
    Ok(carry_out(context, &session, lease, proposed, &ask).await?.exit)
}

/// The variables of this command line, as they are typed again; a secret is not shown.
fn typed_variables(layers: &LayerArgs, stack: &Stack) -> Vec<String> {
    let is_secret = |it: &&String| {
        let name = it.split_once('=').map_or(it.as_str(), |(name, _)| name);
        stack.variables.get(name).is_none_or(|it| it.sensitive)
    };
    let files = layers.variable_files.iter().map(|it| ("--var-file", it.display().to_string()));
    let values = layers.variables.iter().filter(|it| !is_secret(it));
    let values = values.map(|it| ("--var", it.clone()));
    files.chain(values).flat_map(|(flag, value)| [flag.to_owned(), value]).collect()
}

pub async fn destroy(
    context: &CommandContext,
    layers: &LayerArgs,
    world: &WorldArgs,
    allow_delete: Vec<String>,
    consent: Consent,
) -> Result<Exit, OpsError> {
    // Without layers everything that is recorded goes.
    require_terminal(consent, Some(&AdvisedCommand::StateList { stack: &layers.stack }))?;
    let allow = AllowArgs { allow_delete, ..AllowArgs::default() };
    let ask = open::ask(&context.directory, layers, &allow, Intent::Destroy)?;
    let session = open::session(&ask.place.root, world).await?;
    context.note(|it| about(it, &ask.place, &session));
    workspace_exists(&session, &ask.place)?;
    let (lease, state) = open::lease(&session, &ask.place, &context.command)?;
    context.note(|it| found(it, state.as_ref(), None));
    let proposed = plan_on(&session, &ask, state).await?;
    report::all(&proposed.desired.warnings, &proposed.desired.stack.sources, context.color);
    show(context, &proposed.plan);
    refuse(&proposed.plan)?;
    let data: Vec<String> = proposed
        .plan
        .changes
        .iter()
        .filter(|it| it.loses_data)
        .map(|it| format!("  - {} ({})", it.address, it.kind))
        .collect();
    if !data.is_empty() {
        out::talk(&format!(
            "The following resources hold data that will be permanently deleted:\n{}",
            data.join("\n")
        ));
    }
    if proposed.plan.steps.is_empty() {
        let stays = !completion::open(&proposed.plan).is_empty();
        out::talk(if stays { "nothing can be destroyed right now" } else { "nothing to destroy" });
    } else if !consents(&session, &ask, consent, !data.is_empty())? {
        return Ok(declined(context));
    }
    void_reviews(&session, &proposed, &ask);
    Ok(carry_out(context, &session, lease, proposed, &ask).await?.exit)
}

/// Of a workspace that neither has a state nor belongs to an overlay nothing can be destroyed: its name is a slip.
fn workspace_exists(session: &Session, place: &StackRef) -> Result<(), OpsError> {
    let Some(own) = &place.instance else { return Ok(()) };
    let recorded = place.recorded(&session.store(place))?;
    let declared = workspaces(place);
    if recorded.contains(place) || declared.contains(own) {
        return Ok(());
    }
    let recorded = recorded.iter().filter_map(|it| it.instance.clone());
    let all: BTreeSet<String> = recorded.chain(declared).collect();
    let stack = &place.stack;
    let there = match all.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => format!("{stack} has no workspaces"),
        names => format!("the workspaces of {stack} are: {}", names.join(", ")),
    };
    let near = nearest(own, all.iter().map(String::as_str));
    Err(OpsError::input(
        format!("the workspace `{own}` of {stack} does not exist; nothing was destroyed"),
        near.map_or(there, |it| format!("did you mean `{stack}@{it}`?")),
    ))
}

pub fn show<'a>(context: &CommandContext, shown: impl Into<ShownPlan<'a>>) {
    let shown = shown.into();
    context.note(|it| planned(it, shown.plan));
    let plan = typed_here(shown.plan);
    let shown = ShownPlan { plan: &plan, ..shown };
    out::data(&text(
        shown,
        &TextOptions { color: context.color, width: out::width(), verbose: false },
    ));
}

/// On real clouds the stack's name is typed, or `--yes --data-loss` given.
fn consents(
    session: &Session,
    ask: &PlanRequest,
    consent: Consent,
    data: bool,
) -> Result<bool, OpsError> {
    if consent.yes && session.target == CloudTarget::Clouds && data && !consent.data_loss {
        return Err(OpsError::refused(
            "--yes alone does not allow destroying data on real clouds",
            "add --data-loss, or omit --yes and type the name of the stack",
        ));
    }
    let name = ask.place.name();
    let question = format!("Type the stack's name, {name}, to destroy it:");
    Ok(consent.yes || confirm(&question, &name))
}

/// Whether nobody agreed and nobody can be asked to: then a switch or a drill is shown, and not begun.
pub fn is_unasked(yes: bool) -> bool {
    !yes && !out::can_ask()
}

/// `preview`: shows what would be done, and changes nothing; `None`: that was shown.
pub fn require_terminal(
    consent: Consent,
    preview: Option<&AdvisedCommand<'_>>,
) -> Result<(), OpsError> {
    if !is_unasked(consent.yes) {
        return Ok(());
    }
    let yes = "add --yes to skip the prompt";
    Err(OpsError::usage(
        "cannot prompt for approval: stdin is not a terminal; nothing was changed",
        preview.map_or_else(
            || yes.to_owned(),
            |it| format!("{yes}; to see first what would be done: {it}"),
        ),
    ))
}

pub fn confirm(question: &str, word: &str) -> bool {
    out::ask(question).as_deref() == Some(word)
}

/// Whether it may go on: asked on a terminal, or said with `--yes`.
pub fn may(question: &str, yes: bool) -> Result<bool, OpsError> {
    require_terminal(Consent { yes, switch: false, data_loss: false }, None)?;
    let agreed = yes || confirm(&format!("{question} Only `yes` is accepted:"), "yes");
    if !agreed {
        out::talk("nothing changed");
    }
    Ok(agreed)
}

/// Somebody was asked, and said no.
pub fn declined(context: &CommandContext) -> Exit {
    out::talk("nothing changed");
    context.note(|it| it.stopped = Some("the prompt was declined; nothing changed".into()));
    Exit::Refused
}

pub fn refuse(plan: &Plan) -> Result<(), OpsError> {
    if plan.refusals().next().is_none() {
        return Ok(());
    }
    Err(OpsError::refused(
        "a guard refused this plan; nothing was changed",
        "each refusal above says what to change first, or which option allows it",
    ))
}

/// Says what becomes of the lease while a run goes on.
fn watch_lease(lease: &Lease) {
    lease.pulse().when_over(|over| {
        out::talk(&format!("{over}: finishing in-flight calls, starting no new steps"));
    });
    lease.pulse().when_unreachable(|why| {
        out::talk(&format!(
            "the store of the state does not answer: {why}; calls wait for it, up to 15 minutes; Ctrl-C stops the waiting"
        ));
    });
}

async fn carry_out(
    context: &CommandContext,
    session: &Arc<Session>,
    lease: Lease,
    proposed: Proposed,
    ask: &PlanRequest,
) -> Result<Went, OpsError> {
    let signals = signals::listen()?;
    watch_lease(&lease);
    let order = RunRequest {
        pace: context.pace,
        command: context.command.clone(),
        intent: ask.intent,
        instance: ask.place.instance.clone(),
        plan_digest: plan_digest(&proposed.plan),
    };
    let left = ending::left(&proposed.plan, &ask.place.name());
    let recorded = ending::recorded(&proposed);
    let under_loss = ending::under_loss(&proposed.plan);
    let switching = recovery_reports::switching(&proposed);
    let hooks = switching
        .as_ref()
        .and_then(|_| Notifier::of(session, &proposed.desired.stack, &out::problems()));
    let (log, name) = (context.events.as_ref(), ask.place.name());
    let mut events = RunEvents::new(log, hooks.as_ref(), session, &name, None);
    if log.is_some() || hooks.is_some() {
        let forecast = reports::forecast(session, &ask.place, &proposed);
        events.began(&context.command, &proposed.plan, switching.as_ref(), forecast.as_ref());
    }
    let observers = SwitchObservers::begin(context, session, &proposed, switching.is_some());
    let tell = events.listener(&proposed.plan, progress::listener(&proposed.plan, &session.clock));
    let tell = observers.listener(tell);
    let report =
        crate::ops::apply::run::apply(session, lease, proposed, &order, tell, signals.stop.clone())
            .await;
    out::end_bars();
    let report = report?;
    events.ended(&report);
    context.note(|it| ran(it, (None, switching.is_some()), &report));
    ending::tell(&report, &ask.place.name(), ask.intent, &recorded);
    for told in left.into_iter().chain(ending::in_force(&report, &name)) {
        out::talk(&told);
    }
    if let Some(switching) = &switching {
        context.note(|it| it.switch = Some((switching.from.clone(), switching.to.clone())));
        let seen = observers.end(context, session, &events, signals.stop.clone()).await;
        reports::conclude(context, session, &ask.place, switching, &report, seen);
        if report.is_over() {
            pending(session, ask);
        }
    }
    if let Some(open) = ending::open(&report.open).filter(|_| ask.intent == Intent::Apply) {
        let what = if switching.is_some() { "the switch is incomplete: " } else { "" };
        let apply = AdvisedCommand::Apply { stack: &ask.place.name() }.to_string();
        let again = report.resume.as_ref().unwrap_or(&apply);
        let lost = under_loss.map(|it| format!("; {it}")).unwrap_or_default();
        out::talk(&format!("{what}{open}; run {again} to resume once they are reachable{lost}"));
    }
    if let Some(shared) = ending::shared(&report.open) {
        let what = if switching.is_some() { "the switch is incomplete: " } else { "" };
        out::talk(&format!("{what}{shared}"));
    }
    if let Some(hooks) = hooks {
        hooks.finish().await;
    }
    let ending = report.ending();
    let exit = match signals.number() {
        Some(number) => Exit::Signal(number),
        None if report.lease_over.is_some() => Exit::Held,
        None => ending.into(),
    };
    Ok(Went { exit, ending })
}

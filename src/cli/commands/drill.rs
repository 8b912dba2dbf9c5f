//! `drill`: shows what is rehearsed, asks, rehearses it, reports, and leaves nothing behind.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::cli::args::{AllowArgs, LossArgs, TargetArgs, WorldArgs};
use crate::cli::commands::apply::{
    Consent, confirm, declined, is_unasked, refuse, require_terminal, show,
};
use crate::cli::commands::drill_end::{ended, told};
use crate::cli::commands::plan::warn;
use crate::cli::commands::reports;
use crate::cli::commands::runner::has_state;
use crate::cli::context::CommandContext;
use crate::cli::events::RunEvents;
use crate::cli::exit::Exit;
use crate::cli::run_document::{about, ran};
use crate::cli::{ending, open, out, progress, report, signals};
use crate::engine::address::Address;
use crate::engine::lang::model::Stack;
use crate::engine::plan::model::change::{Action, Plan};
use crate::engine::plan::model::plan_cost::PlanCost;
use crate::engine::plan::planner::Intent;
use crate::engine::recovery::completion::{self, Completion};
use crate::engine::state::record::State;
use crate::engine::text::advice::AdvisedCommand;
use crate::ops::apply::finish::RunResult;
use crate::ops::apply::step_inputs::Progress;
use crate::ops::drill::cleanup::{Cleaned, clean_up};
use crate::ops::drill::crashed::cut_off;
use crate::ops::drill::preview::{DrillPreview, foresight};
use crate::ops::drill::rehearsal::rehearse;
use crate::ops::drill::spec::{DrillObserver, DrillPhase, DrillSpec};
use crate::ops::error::OpsError;
use crate::ops::load::layers;
use crate::ops::load::layers::DesiredStack;
use crate::ops::load::session::Session;
use crate::ops::load::sides::PlanRequest;
use crate::ops::load::stack_ref::StackRef;
use crate::ops::notify::Notifier;
use crate::ops::plan::make::{Proposed, plan_on};
use crate::ops::plan::prices::cost;
use crate::ops::recovery_reports;
use crate::ops::recovery_reports::goals;
use crate::render::plan::drill_preview::{Foretold, foretold};
use crate::render::plan::outline::ShownPlan;
use crate::render::words::count;
use crate::store::lease::Lease;

/// What a drill is asked to do.
pub struct DrillArgs {
    pub to: String,
    pub losing: LossArgs,
    pub cleanup: bool,
    pub yes: bool,
}

pub async fn drill(
    context: &CommandContext,
    target: &TargetArgs,
    world: &WorldArgs,
    wanted: &DrillArgs,
) -> Result<Exit, OpsError> {
    let consent = Consent { yes: wanted.yes, switch: true, data_loss: false };
    if wanted.cleanup {
        require_terminal(consent, None)?;
    }
    let layers = target.under(vec![wanted.to.clone()]);
    let ask = open::ask(&context.directory, &layers, &AllowArgs::default(), Intent::Apply)?;
    let session = open::session(&ask.place.root, world).await?;
    has_state(&session, &ask.place)?;
    let stack = drilled(&session, &ask.place, wanted)?;
    let script = spec(context, wanted, ask, &stack)?;
    context.note(|it| about(it, &script.ask.place, &session));
    let drill = RequestedDrill { context, session: &session, script: &script };
    if wanted.cleanup { drill.clean_up(&stack).await } else { drill.run(wanted.yes).await }
}

/// What is rehearsed, in a workspace of its own: without one a drill would run against production.
fn spec(
    context: &CommandContext,
    wanted: &DrillArgs,
    mut ask: PlanRequest,
    stack: &Stack,
) -> Result<DrillSpec, OpsError> {
    let Some(workspace) = stack.instance.clone() else {
        return Err(no_instance(&ask.place, &wanted.to));
    };
    let place = &mut ask.place;
    if place.instance.as_ref().is_some_and(|it| *it != workspace) {
        return Err(another_instance(&place.name(), &place.stack, &wanted.to, &workspace));
    }
    place.instance = Some(workspace);
    Ok(DrillSpec {
        ask,
        rehearses: stack.rehearses.iter().map(|(name, _)| name.clone()).collect(),
        overlay: wanted.to.clone(),
        losses: open::losses(&wanted.losing),
        command: context.command.clone(),
        pace: context.pace,
    })
}

/// One drill that somebody has asked for.
struct RequestedDrill<'a> {
    context: &'a CommandContext,
    session: &'a Arc<Session>,
    script: &'a DrillSpec,
}

impl RequestedDrill<'_> {
    /// Deletes what an earlier drill has left, and reports that one if it was cut off.
    async fn clean_up(&self, stack: &Stack) -> Result<Exit, OpsError> {
        let Self { context, session, script } = self;
        let cut_off = cut_off(session, script)?;
        let observer = ConsoleObserver::new(context, session, script);
        let cleaned = clean_up(session, script, &observer).await?;
        context.note(|it| it.remaining.clone_from(&cleaned.leftovers));
        let exit = told(script, &cleaned);
        if let Some(cut_off) = cut_off {
            let report = cut_off.report(session, script, goals(stack), &cleaned.report);
            reports::tell_and_keep(context, session, &script.ask.place, &report);
        }
        observer.finish().await;
        Ok(exit)
    }

    /// Shows the whole drill, asks, and rehearses it. Nothing is called before each plan of it is known to pass its guards.
    async fn run(&self, yes: bool) -> Result<Exit, OpsError> {
        let context = self.context;
        if is_unasked(yes) {
            return self.preview().await;
        }
        let (lease, proposed) = self.prepare().await?;
        let foresight = match self.foresee(&proposed).await? {
            Ok(foresight) => foresight,
            Err(exit) => return Ok(exit),
        };
        if !yes && !confirm("Rehearse it? Only `yes` is accepted:", "yes") {
            return Ok(declined(context));
        }
        self.rehearse(lease, proposed, &foresight).await
    }

    /// Where nobody can be asked: all of it as it would be rehearsed, without the lease.
    async fn preview(&self) -> Result<Exit, OpsError> {
        let Self { session, script, .. } = self;
        let state = session.store(&script.ask.place).load()?;
        let proposed = self.propose(state).await?;
        if let Err(exit) = self.foresee(&proposed).await? {
            return Ok(exit);
        }
        let nobody = Consent { yes: false, switch: true, data_loss: false };
        require_terminal(nobody, None).map(|()| Exit::Done)
    }

    /// Shows the whole drill; `Err`: nothing of it would be rehearsed.
    async fn foresee(&self, proposed: &Proposed) -> Result<Result<DrillPreview, Exit>, OpsError> {
        let Self { context, session, script } = self;
        self.tell_what_is_rehearsed(&proposed.desired.stack);
        warn(proposed, context.color);
        show(context, &proposed.plan);
        refuse(&proposed.plan)?;
        if let Some(exit) = waits(&proposed.plan) {
            return Ok(Err(exit));
        }
        let foresight = foresight(session, script, proposed).await?;
        let stops = foretell(context, session, script, proposed, &foresight).await?;
        Ok(stops.map_or(Ok(foresight), Err))
    }

    /// `--to` names the overlay of a drill here, and of a failover the one to switch to: said before anything else.
    fn tell_what_is_rehearsed(&self, stack: &Stack) {
        let place = &self.script.ask.place;
        let rehearsed = stack
            .rehearses
            .iter()
            .map(|(name, span)| format!("{name} ({})", stack.sources.line(*span)));
        let rehearsed: Vec<String> = rehearsed.collect();
        out::talk(&format!(
            "{} rehearses a failover of {} to {}; {} itself is not changed",
            place.name(),
            place.stack,
            rehearsed.join(" + "),
            place.stack
        ));
    }

    /// Takes the lease of the workspace, and plans.
    async fn prepare(&self) -> Result<(Lease, Proposed), OpsError> {
        let Self { context, session, script } = self;
        let place = &script.ask.place;
        let (lease, state) = open::lease(session, place, &context.command)?;
        Ok((lease, self.propose(state).await?))
    }

    /// What is built up in the workspace, which has to be empty.
    async fn propose(&self, state: Option<State>) -> Result<Proposed, OpsError> {
        let Self { session, script, .. } = self;
        let place = &script.ask.place;
        if state.as_ref().is_some_and(|it| !it.records.is_empty() || !it.pending.is_empty()) {
            return Err(in_use(&place.name(), &place.stack, &script.overlay));
        }
        plan_on(session, &script.ask, state).await
    }

    /// Runs until it is over and cleaned up. A first signal begins the cleanup; a second one ends the drill at once.
    async fn rehearse(
        &self,
        lease: Lease,
        proposed: Proposed,
        foresight: &DrillPreview,
    ) -> Result<Exit, OpsError> {
        let Self { context, session, script } = self;
        let place = &script.ask.place;
        let signals = signals::listen()?;
        let observer = ConsoleObserver::new(context, session, script);
        let stop = &signals.stop;
        let rehearsal = tokio::select! {
            ended = rehearse(session, lease, proposed, script, foresight, &observer, stop) => ended?,
            () = signals.second() => {
                let cleanup = cleanup_of(&place.stack, &script.overlay);
                out::talk(&format!("the drill was interrupted; {cleanup}"));
                return Ok(signals.number().map_or(Exit::Failed, Exit::Signal));
            }
        };
        let exit = ended(context, script, &rehearsal);
        let report = rehearsal.report(session, script);
        context.note(|it| {
            it.phase = Some(report.phase);
            it.remaining.clone_from(&rehearsal.cleaned.leftovers);
        });
        reports::tell_and_keep(context, session, place, &report);
        observer.finish().await;
        // What a drill is for: an objective that is missed fails it.
        let exit = if exit == Exit::Done && !report.passed() { Exit::Failed } else { exit };
        if exit != Exit::Done {
            out::talk(&next(&place.stack, &script.overlay, &rehearsal.cleaned));
        }
        Ok(signals.number().map_or(exit, Exit::Signal))
    }
}

/// What to do after a drill that did not pass.
fn next(stack: &str, to: &str, cleaned: &Cleaned) -> String {
    let drill = |cleanup| AdvisedCommand::Drill { stack, to, cleanup };
    if cleaned.ending() == Completion::Over {
        format!(
            "the drill failed: mend what it shows above, then rehearse it again: {}",
            drill(false)
        )
    } else {
        format!("the drill failed, and something of it is left: {} deletes it", drill(true))
    }
}

/// What the overlay says of its drill. For a cleanup it need not be there: state knows what it made.
fn drilled(session: &Session, place: &StackRef, wanted: &DrillArgs) -> Result<Stack, OpsError> {
    let why = match layers::instance_of(place, &wanted.to) {
        Ok(it) if it.instance.is_some() && (wanted.cleanup || !it.rehearses.is_empty()) => {
            return Ok(it);
        }
        Ok(it) if it.instance.is_some() => return Err(no_rehearsal(place, &wanted.to)),
        Ok(_) => no_instance(place, &wanted.to),
        Err(why) => why,
    };
    if !wanted.cleanup {
        return Err(why);
    }
    let named = place.instance.is_some().then(|| vec![place.clone()]);
    let places = named.unwrap_or_else(|| place.siblings(&session.store(place)));
    let mut left = Vec::new();
    for it in places.into_iter().filter(|it| it.instance.is_some()) {
        let Some(state) = session.store(&it).load()? else { continue };
        if place.instance.is_some() && state.active.contains(&wanted.to) {
            return Ok(Stack { instance: it.instance, ..Stack::default() });
        }
        if !state.records.is_empty() || !state.pending.is_empty() {
            left.push(AdvisedCommand::Destroy { stack: &it.name() }.to_string());
        }
    }
    Err(if left.is_empty() { why } else { unread(&wanted.to, why, &left) })
}

/// Without a switch a drill proves nothing, and must not pass for one.
fn no_rehearsal(place: &StackRef, overlay: &str) -> OpsError {
    let is_switch = |it: &String| {
        layers::instance_of(place, it)
            .is_ok_and(|it| it.instance.is_none() && !it.assumes_lost.is_empty())
    };
    let switches: Vec<String> = layers::overlays(place).into_iter().filter(is_switch).collect();
    let one = switches.first().map_or("OVERLAY", String::as_str);
    OpsError::input(
        format!(
            "overlay `{overlay}` sets no `rehearses`: its drill would have nothing to switch to"
        ),
        format!("write `rehearses: {one}` in stacks/{}/overlays/{overlay}.yaml", place.stack),
    )
}

/// Nobody can say which instance it means.
fn unread(overlay: &str, why: OpsError, left: &[String]) -> OpsError {
    let what = format!("the workspace of overlay `{overlay}` cannot be determined: {why}");
    let first = match why {
        OpsError::Input { help, .. } => help,
        _ => format!("mend {overlay}"),
    };
    OpsError::input(
        what,
        format!("{first}; or delete the remaining resources: {}", left.join(", ")),
    )
}

/// Says what will happen, before anything of it is asked or called; `Some`: it will not.
async fn foretell(
    context: &CommandContext,
    session: &Session,
    script: &DrillSpec,
    proposed: &Proposed,
    it: &DrillPreview,
) -> Result<Option<Exit>, OpsError> {
    let switch = it.switch.as_ref();
    if let Some(switch) = switch {
        warn(switch, context.color);
        let forecast = reports::forecast(session, &script.ask.place, switch);
        if switch.plan.refusals().next().is_some() {
            let forecast = forecast.as_ref();
            show(context, ShownPlan { forecast, ..ShownPlan::from(&switch.plan) });
            return Err(refused("the rehearsed switch"));
        }
        if let Some(exit) = waits(&switch.plan) {
            return Ok(Some(exit));
        }
    }
    if it.cleanup.refusals().next().is_some() {
        show(context, &it.cleanup);
        return Err(refused("the cleanup after the drill"));
    }
    let plans = || std::iter::once(&proposed.plan).chain(switch.map(|it| &it.plan));
    let place = &script.ask.place;
    let (expected, damaged) =
        recovery_reports::expected(session, place, plans().chain([&it.cleanup]));
    if switch.is_none() {
        reports::warn(place, &damaged);
    }
    let mut costs = vec![cost(session, &proposed.plan, proposed.state.as_ref()).await];
    if let Some(it) = switch {
        costs.push(cost(session, &it.plan, it.state.as_ref()).await);
    }
    let cost = costs.into_iter().flatten().reduce(PlanCost::and);
    let told = Foretold {
        switch: switch.map(|it| &it.plan),
        unknown: &it.unknown,
        cleanup: &it.cleanup,
        borrowed: &it.borrowed,
        expected: expected.as_ref(),
        cost: cost.as_ref(),
    };
    out::data(&foretold(&told));
    let made: BTreeSet<&Address> = plans()
        .flat_map(|it| &it.changes)
        .filter(|it| makes(it.action))
        .map(|it| &it.address)
        .collect();
    out::talk(&format!(
        "the drill runs in {} and rehearses {}; {} created for it and deleted afterwards, including data",
        script.ask.place.name(),
        rehearsed(script),
        are(made.len(), "resource"),
    ));
    let cleanup = cleanup_of(&script.ask.place.stack, &script.overlay);
    out::talk(&format!("if this process dies: {cleanup}"));
    Ok(None)
}

fn makes(action: Action) -> bool {
    matches!(action, Action::Create | Action::Replace { .. })
}

/// `1 object is`, `2 objects are`.
fn are(number: usize, noun: &str) -> String {
    format!("{} {}", count(number, noun), if number == 1 { "is" } else { "are" })
}

fn rehearsed(script: &DrillSpec) -> String {
    if script.rehearses.is_empty() {
        "creating it from scratch".to_owned()
    } else {
        format!("the switch to {}", script.rehearses.join(" + "))
    }
}

/// A part of the world was not read: a drill can wait. A name that its switch would leave where all is lost is no reason to: that
/// is what a rehearsal shows.
fn waits(plan: &Plan) -> Option<Exit> {
    let mut open = completion::open(plan);
    open.retain(|it| plan.strays.iter().all(|stray| stray.address != it.address));
    let ending = completion::ending(&open, true);
    if ending == Completion::Over {
        return None;
    }
    if let Some(shared) = ending::shared(&open).filter(|_| ending == Completion::Shared) {
        out::talk(&format!("{shared}; nothing was changed"));
        return Some(ending.into());
    }
    let why = if ending == Completion::Unread { "is unreachable" } else { "could not be read" };
    out::talk(&format!(
        "part of the infrastructure {why}; run the drill later; nothing was changed"
    ));
    Some(ending.into())
}

/// What a guard would stop later is not begun.
fn refused(what: &str) -> OpsError {
    OpsError::refused(
        format!("a guard would refuse {what}; nothing was changed"),
        "read each refusal above, and change the overlay of the drill",
    )
}

/// An overlay of the real site: what rehearses it is another one.
fn no_instance(place: &StackRef, overlay: &str) -> OpsError {
    let rehearses = |it: &String| {
        let stack = layers::instance_of(place, it);
        stack.is_ok_and(|it| it.rehearses.iter().any(|(name, _)| name == overlay))
    };
    let stack = &place.stack;
    let drills: Vec<String> = layers::overlays(place)
        .iter()
        .filter(|it| rehearses(it))
        .map(|to| AdvisedCommand::Drill { stack, to, cleanup: false }.to_string())
        .collect();
    let help = if drills.is_empty() {
        format!(
            "write an overlay of its own for the drill, with `workspace: drill`, `rehearses: {overlay}`, and distinct names for its resources"
        )
    } else {
        format!("to rehearse it: {}", drills.join(", or "))
    };
    let what =
        format!("overlay `{overlay}` sets no `workspace`: a drill would run against production");
    OpsError::input(what, help)
}

fn another_instance(name: &str, stack: &str, overlay: &str, own: &str) -> OpsError {
    OpsError::refused(
        format!("a drill of `{overlay}` runs in {stack}@{own}, not in {name}"),
        format!(
            "{}; nothing was changed",
            AdvisedCommand::Drill { stack, to: overlay, cleanup: false }
        ),
    )
}

fn cleanup_of(stack: &str, overlay: &str) -> String {
    let cleanup = AdvisedCommand::Drill { stack, to: overlay, cleanup: true };
    format!("{cleanup} deletes the remaining resources")
}

fn in_use(name: &str, stack: &str, overlay: &str) -> OpsError {
    OpsError::refused(
        format!("{name} is in use: another drill is running, or an earlier one was not cleaned up"),
        cleanup_of(stack, overlay),
    )
}

struct ConsoleObserver<'a> {
    context: &'a CommandContext,
    session: &'a Arc<Session>,
    stack: String,
    hooks: Option<Arc<Notifier>>,
    /// The part that began last, and its events.
    part: Mutex<(DrillPhase, RunEvents)>,
}

impl<'a> ConsoleObserver<'a> {
    fn new(context: &'a CommandContext, session: &'a Arc<Session>, script: &DrillSpec) -> Self {
        let stack = script.ask.place.name();
        let hooks = Notifier::read(session, &script.ask, &out::problems());
        let events = RunEvents::new(None, None, session, &stack, None);
        let part = Mutex::new((DrillPhase::Apply, events));
        Self { context, session, stack, hooks, part }
    }

    /// After everything else: what is not posted yet gets a moment.
    async fn finish(&self) {
        if let Some(hooks) = &self.hooks {
            hooks.finish().await;
        }
    }

    fn part(&self) -> MutexGuard<'_, (DrillPhase, RunEvents)> {
        self.part.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DrillObserver for ConsoleObserver<'_> {
    fn begins(&self, part: DrillPhase, plan: &Plan) {
        out::end_bars();
        let log = self.context.events.as_ref();
        let hooks = self.hooks.as_ref();
        let mut events = RunEvents::new(log, hooks, self.session, &self.stack, Some(part.word()));
        events.began(&self.context.command, plan, None, None);
        *self.part() = (part, events);
        match part {
            DrillPhase::Apply => out::talk("apply: creating a copy of home"),
            DrillPhase::Switch => {
                out::talk(
                    "switch: rehearsing the failover; what it declares lost is lost in this workspace alone",
                );
                show(self.context, plan);
            }
            DrillPhase::Cleanup => {
                let steps = count(plan.steps.len(), "step");
                out::talk(&format!("cleanup: {steps}"));
            }
        }
    }

    fn warns(&self, cleanup: &Proposed) {
        let DesiredStack { warnings, stack, .. } = &cleanup.desired;
        report::all(warnings, &stack.sources, self.context.color);
    }

    fn listener(&self, plan: &Plan) -> Arc<dyn Fn(Progress) + Send + Sync> {
        self.part().1.listener(plan, progress::listener(plan, &self.session.clock))
    }

    fn ended(&self, report: &RunResult) {
        let part = self.part();
        part.1.ended(report);
        let (name, is_switch) = (part.0.word(), part.0 == DrillPhase::Switch);
        self.context.note(|it| ran(it, (Some(name), is_switch), report));
    }
}

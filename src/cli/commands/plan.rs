//! `plan` and `show`: what would happen, in four dresses.

use std::borrow::Cow;
use std::io::Read as _;
use std::path::Path;

use crate::cli::args::{AllowArgs, Format, LayerArgs, LossArgs, PlanArgs, ShapeArgs, WorldArgs};
use crate::cli::commands::{reports, stored};
use crate::cli::context::CommandContext;
use crate::cli::exit::Exit;
use crate::cli::{open, out, report};
use crate::engine::lang::model::Stack;
use crate::engine::plan::format::codec::{PlanEnvelope, decode, encode};
use crate::engine::plan::model::change::{Note, Plan, Stray, note};
use crate::engine::plan::planner::Intent;
use crate::engine::recovery::completion::{self, Completion};
use crate::engine::text::advice::AdvisedCommand as Typed;
use crate::engine::text::codes::DiagnosticCode;
use crate::engine::text::diagnostic::{Diagnostic, Severity};
use crate::ops::contained::link_on_the_way;
use crate::ops::error::OpsError;
use crate::ops::load::sealed_files::{SavedSort, open_saved, seal_for};
use crate::ops::load::session::Session;
use crate::ops::load::sides::PlanRequest;
use crate::ops::load::stack_ref::StackRef;
use crate::ops::plan::make::Proposed;
use crate::ops::plan::prices::cost;

use crate::render::plan::html::html;
use crate::render::plan::markdown::markdown;
use crate::render::plan::outline::ShownPlan;
use crate::render::plan::text::{TextOptions, text};
use crate::render::words::moment;
use crate::store::private::replace;
use crate::store::sealed::seal::is_sealed;

/// How many bytes of a file tell whether it is a plan: a plan begins with its format, well within this.
const HEAD: usize = 64;
/// The largest plan that is read. A plan of 100,000 resources has 200 MiB, so 1 GiB leaves room for five times as many.
const PLAN_BYTES_MAX: u64 = 1 << 30;

/// A plan that was made a moment ago, with what is told beside it.
pub struct FreshPlan {
    pub proposed: Proposed,
    pub envelope: PlanEnvelope,
}

/// What flags ask of a plan.
pub fn asked(
    context: &CommandContext,
    layers: &LayerArgs,
    allow: &AllowArgs,
    losing: &LossArgs,
    replace: &[String],
) -> Result<PlanRequest, OpsError> {
    let mut ask = open::ask(&context.directory, layers, allow, Intent::Apply)?;
    ask.losses = open::losses(losing);
    ask.include_pending = losing.include_pending;
    ask.replace = open::addresses(replace)?;
    Ok(ask)
}

/// Makes a plan and tells its warnings.
pub async fn fresh(
    context: &CommandContext,
    session: &Session,
    ask: &PlanRequest,
) -> Result<FreshPlan, OpsError> {
    let mut proposed = crate::ops::plan::make::plan(session, ask).await?;
    if let Some(who) = at_work(session, &ask.place, &proposed)? {
        // Who reviews the plan elsewhere has to know it as well.
        proposed.plan.notes.push(note(&who, |_| String::new()));
        proposed.diagnostics.push(who);
    }
    warn(&proposed, context.color);
    let forecast = reports::forecast(session, &ask.place, &proposed);
    let cost = cost(session, &proposed.plan, proposed.state.as_ref()).await;
    let envelope = PlanEnvelope { forecast, cost, ..session.envelope() };
    Ok(FreshPlan { proposed, envelope })
}

pub async fn plan(
    context: &CommandContext,
    layers: &LayerArgs,
    world: &WorldArgs,
    allow: &AllowArgs,
    losing: &LossArgs,
    wanted: &PlanArgs,
) -> Result<Exit, OpsError> {
    let ask = asked(context, layers, allow, losing, &wanted.replace)?;
    let session = open::session(&ask.place.root, world).await?;
    let FreshPlan { proposed, envelope } = fresh(context, &session, &ask).await?;
    print(&proposed.plan, &envelope, &wanted.shape, context.color);
    note_drill(&ask.place, &proposed.desired.stack);
    if wanted.store {
        stored::store(&session, &ask.place, &proposed, &envelope)?;
    }
    if let Some(file) = &wanted.out {
        let path = context.directory.join(file);
        let text = encode(&proposed.plan, &envelope);
        let sandbox = world.sandbox;
        let bytes = seal_for(&ask.place, sandbox, SavedSort::Plan, text.as_bytes())?;
        save(&ask.place.root, &path, &bytes)?;
        let shown = file.display().to_string();
        let use_ = if proposed.plan.refusals().next().is_some() {
            "a guard refused it, so it cannot be applied".to_owned()
        } else if proposed.plan.is_empty() {
            "it changes nothing, so there is nothing to apply".to_owned()
        } else {
            format!("run {} to apply exactly this plan", Typed::ApplyPlan { file: &shown })
        };
        out::talk(&format!("saved to {shown}; {use_}"));
    }
    Ok(exit(&proposed.plan, wanted.detailed_exitcode))
}

/// Who changes the world while it is looked at, or did and died over it: a half-made world is told from one that nobody makes.
fn at_work(
    session: &Session,
    place: &StackRef,
    proposed: &Proposed,
) -> Result<Option<Diagnostic>, OpsError> {
    let name = place.name();
    if let Some(it) = session.store(place).lease_status()?.filter(|it| it.is_alive) {
        let text = format!("{} is changing {name} right now (lifeboat {})", it.owner, it.command);
        return Ok(Some(Diagnostic::warning(DiagnosticCode::RunUnderWay, text).help(
            "this plan shows an intermediate state; plan again when that run has finished",
        )));
    }
    let run = proposed.state.as_ref().and_then(|it| it.last_run.as_ref());
    let Some(run) = run.filter(|it| it.finished.is_none()) else { return Ok(None) };
    let goes_on =
        if run.destroys { Typed::Destroy { stack: &name } } else { Typed::Apply { stack: &name } };
    let text = format!(
        "the last run (lifeboat {}) by {}, started at {}, died before it finished",
        run.command,
        run.who,
        moment(run.at)
    );
    let help = format!("this plan shows partially applied changes; run {goes_on} to resume");
    Ok(Some(Diagnostic::warning(DiagnosticCode::RunDied, text).help(help)))
}

/// Refused is 3, a no 1, unseen 5, changes 2 when asked for.
pub fn exit(plan: &Plan, detailed: bool) -> Exit {
    let ending = completion::ending(&completion::open(plan), true);
    // What is somebody else's is told, and changes nothing of what this plan would do.
    let is_read = matches!(ending, Completion::Over | Completion::Shared);
    if plan.refusals().next().is_some() {
        Exit::Refused
    } else if !is_read {
        ending.into()
    } else if detailed && !plan.is_empty() {
        Exit::Changes
    } else {
        Exit::Done
    }
}

/// Warnings go to stderr with their places; refusals are part of the plan itself. Who sees both streams on one screen is
/// not told twice what the plan says itself.
pub fn warn(proposed: &Proposed, color: bool) {
    let is_noted = |it: &Diagnostic| proposed.plan.notes.iter().any(|note| note.text == it.summary);
    let on_one_screen = out::is_one_screen();
    let warnings: Vec<Diagnostic> = proposed
        .diagnostics
        .iter()
        .filter(|it| it.severity == Severity::Warning && !(on_one_screen && is_noted(it)))
        .cloned()
        .collect();
    report::all(&warnings, &proposed.desired.stack.sources, color);
}

/// Who works by hand in the instance of a drill is told how that is cleaned.
pub fn note_drill(place: &StackRef, stack: &Stack) {
    if let (Some(_), Some(overlay)) = (&place.instance, stack.overlays.first())
        && !stack.rehearses.is_empty()
    {
        out::talk(&format!(
            "{} is the workspace of a drill: {} deletes all of its resources",
            place.name(),
            Typed::Drill { stack: &place.stack, to: overlay, cleanup: true }
        ));
    }
}

pub fn show(context: &CommandContext, file: &Path, shape: &ShapeArgs) -> Result<Exit, OpsError> {
    let (plan, envelope) = read(&context.directory, &context.directory.join(file))?;
    print(&plan, &envelope, shape, context.color);
    Ok(Exit::Done)
}

/// Reads a saved plan; `from` is where stacks are looked for, whose keys open one that is encrypted.
pub fn read(from: &Path, file: &Path) -> Result<(Plan, PlanEnvelope), OpsError> {
    let mut bytes = Vec::new();
    let read =
        std::fs::File::open(file).and_then(|it| it.take(PLAN_BYTES_MAX).read_to_end(&mut bytes));
    read.map_err(|source| OpsError::File { file: file.to_owned(), source })?;
    let wrong = |why: &dyn std::fmt::Display| {
        let what = format!("{} is not a plan: {why}", file.display());
        OpsError::input(what, "create one with `plan --out`")
    };
    let bytes = open_saved(file, from, SavedSort::Plan, bytes)?;
    let text = String::from_utf8(bytes).map_err(|_| wrong(&"it is not UTF-8"))?;
    decode(&text).map_err(|why| wrong(&why))
}

/// The plan with the commands of its notes as they are to be typed here.
pub fn typed_here(plan: &Plan) -> Cow<'_, Plan> {
    let text = |it: &Note| it.help.as_deref().map(|it| out::typed_here(it).into_owned());
    let remedy = |it: &Stray| out::typed_here(&it.remedy).into_owned();
    let is_typed = plan.notes.iter().all(|it| text(it) == it.help)
        && plan.strays.iter().all(|it| remedy(it) == it.remedy);
    if is_typed {
        return Cow::Borrowed(plan);
    }
    let mut plan = plan.clone();
    for it in &mut plan.strays {
        it.remedy = remedy(it);
    }
    for it in &mut plan.notes {
        it.help = text(it);
    }
    Cow::Owned(plan)
}

pub fn print(plan: &Plan, envelope: &PlanEnvelope, shape: &ShapeArgs, color: bool) {
    let here = typed_here(plan);
    let plan = &*here;
    let shown =
        ShownPlan { plan, forecast: envelope.forecast.as_ref(), cost: envelope.cost.as_ref() };
    match shape.format {
        Format::Text => {
            let options = TextOptions { color, width: out::width(), verbose: false };
            out::data(&text(shown, &options));
        }
        Format::Json => out::data(&encode(plan, envelope)),
        Format::Markdown => out::data(&markdown(shown, shape.max_bytes)),
        Format::Html => out::data(&html(shown)),
    }
}

/// A plan file appears whole or not at all, and only where nothing is, or an older plan.
fn save(root: &Path, file: &Path, bytes: &[u8]) -> Result<(), OpsError> {
    let wrong = |what: String| {
        let help =
            "name a file that does not exist yet or that holds an older plan; nothing was written";
        OpsError::input(format!("{}: {what}", file.display()), help)
    };
    if let Some(link) = link_on_the_way(root, file) {
        return Err(wrong(format!(
            "{} is a symbolic link, which lifeboat does not follow",
            link.display()
        )));
    }
    match std::fs::symlink_metadata(file) {
        Ok(it) if !it.is_file() => return Err(wrong("it is not a regular file".into())),
        Ok(_) => {
            let mut head = [0; HEAD];
            let read = std::fs::File::open(file).and_then(|mut it| it.read(&mut head));
            let length = read.map_err(|why| wrong(why.to_string()))?;
            let is_plan = is_sealed(&head[..length]);
            let head = String::from_utf8_lossy(&head[..length]);
            if !is_plan && !head.trim_start().starts_with("{\n  \"format_version\"") && length > 0 {
                return Err(wrong("it already exists and is not a plan".into()));
            }
        }
        Err(why) if why.kind() == std::io::ErrorKind::NotFound => {}
        Err(why) => return Err(wrong(why.to_string())),
    }
    replace(file, bytes).map_err(|why| wrong(format!("it cannot be written: {why}")))
}

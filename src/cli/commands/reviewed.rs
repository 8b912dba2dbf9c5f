//! `apply --reviewed` and `approve DIGEST`: what was reviewed runs later with the same inputs, as much of it or less.

use crate::cli::args::{AllowArgs, LayerArgs, WorldArgs};
use crate::cli::commands::apply::settled_reviewed;
use crate::cli::commands::asked_overlays::is_no_switch;
use crate::cli::commands::runner::state_is_there;
use crate::cli::commands::stored::{kept, plans_of};
use crate::cli::context::CommandContext;
use crate::cli::exit::Exit;
use crate::cli::run_document::{about, found as found_state};
use crate::cli::{open, out};
use crate::engine::plan::format::codec::{PlanEnvelope, decode, plan_digest};
use crate::engine::plan::format::reviewed::{beyond, moved_on};
use crate::engine::plan::model::change::Plan;
use crate::engine::plan::planner::Intent;
use crate::engine::text::advice::AdvisedCommand;
use crate::ops::error::OpsError;
use crate::ops::load::session::Session;
use crate::ops::load::sides::{PlanRequest, sides};
use crate::ops::load::switch_target::Losses;
use crate::ops::plan::bindings::{broken_bindings, inputs_of};
use crate::ops::plan::make::{Proposed, plan_on};
use crate::render::words::moment;
use crate::store::lock_record::wall;
use crate::store::state_store::StateStore;
use crate::store::stored_plans::{FoundPlan, PlanApproval};

/// How few characters of a digest are taken for one: as many as git shows.
const DIGEST_MIN: usize = 8;

/// Makes the plan once more, and runs it if a reviewed one of the same inputs shows all that it does.
///
/// ```text
/// no reviewed plan ────────────────┐
/// its approval is missing ─────────┤
/// what it was bound to has changed ├─▶ refused; what would be done now is stored, and runs once its digest is approved
/// it would do more than that ──────┘
/// as much or less ────────────────────▶ runs
/// ```
pub async fn apply(
    context: &CommandContext,
    layers: &LayerArgs,
    world: &WorldArgs,
) -> Result<Exit, OpsError> {
    let mut shown = None;
    run(context, layers, world, &mut shown).await
}

/// A plan that people are to read.
pub type ShownReview = (Plan, PlanEnvelope);

/// The same for who tells others: `shown` gets the plan that runs, or the one that waits for somebody to approve it.
pub async fn run(
    context: &CommandContext,
    layers: &LayerArgs,
    world: &WorldArgs,
    shown: &mut Option<ShownReview>,
) -> Result<Exit, OpsError> {
    if context.directory.join(&layers.stack).is_file() {
        let what =
            format!("{} is a file, and --reviewed takes a plan from the store", layers.stack);
        return Err(OpsError::usage(what, "name the stack, or omit --reviewed"));
    }
    let ask = open::ask(&context.directory, layers, &AllowArgs::default(), Intent::Apply)?;
    let session = &open::session(&ask.place.root, world).await?;
    context.note(|it| about(it, &ask.place, session));
    let (lease, state) = open::lease(session, &ask.place, &context.command)?;
    context.note(|it| found_state(it, state.as_ref(), None));
    is_no_switch(&ask, state.as_ref())?;
    state_is_there(session, &ask.place, state.is_some())?;
    let desired = sides(session, &ask, state.as_ref())?.desired;
    let inputs = inputs_of(session, &ask.place, &desired.stack);
    let plans = plans_of(&session.store(&ask.place));
    let now = wall();
    let name = ask.place.name();
    let Some(found) = plans.newest(&inputs, now)? else {
        let fresh = plan_on(session, &ask, state).await?;
        *shown = Some((fresh.plan.clone(), session.envelope()));
        let why = none_of_these(plans.newest_of_any(now)?.as_ref(), &fresh.plan);
        return Err(unreviewed(session, &ask, &fresh, &why)?);
    };
    let digest = found.stored.digest.clone();
    let plan = plan_of(&found, &name)?;
    if found.stored.needs_approval && plans.approval(&found)?.is_none() {
        *shown = Some((plan, session.envelope()));
        let approve = AdvisedCommand::ApprovePlan { stack: &name, digest: &digest };
        return Err(OpsError::refused(
            format!("plan {digest} was not reviewed"),
            format!("read what `plan` shows, then let it run: {approve}; nothing was changed"),
        ));
    }
    let ask = PlanRequest {
        allowed: plan.allowed.clone(),
        replace: plan.replace.clone(),
        losses: Losses::Only(plan.lost.iter().map(|it| it.fault_domain.clone()).collect()),
        include_pending: plan.include_pending,
        ..ask
    };
    let fresh = plan_on(session, &ask, state).await?;
    *shown = Some((fresh.plan.clone(), session.envelope()));
    let more = exceeds(&plan, &fresh);
    if !more.is_empty() {
        return Err(unreviewed(session, &ask, &fresh, &more)?);
    }
    out::talk(&format!(
        "reviewed: plan {digest} of {}, by {}",
        moment(found.stored.at),
        found.stored.by
    ));
    plans.supersede(&found)?;
    Ok(settled_reviewed(context, session, lease, fresh, &ask).await?.exit)
}

/// What keeps every stored plan from being the one that was reviewed, and what the newest one was made from instead.
fn none_of_these(newest: Option<&FoundPlan>, fresh: &Plan) -> Vec<String> {
    let none = "no reviewed plan of the last 30 days was made from exactly these layers, files, and variables with this lifeboat";
    let mut why = vec![none.to_owned()];
    if let Some(found) = newest
        && let Ok((plan, _)) = decode(&found.stored.plan)
    {
        let (now, stored) = (&fresh.bindings, &found.stored);
        let broken = broken_bindings(&moved_on(&plan.bindings, now), now);
        let when = moment(stored.at);
        why.extend(
            broken
                .into_iter()
                .map(|it| format!("since the newest one, {} of {when}: {it}", stored.digest)),
        );
    }
    why
}

fn plan_of(found: &FoundPlan, stack: &str) -> Result<Plan, OpsError> {
    let digest = &found.stored.digest;
    let read = decode(&found.stored.plan).map_err(|why| why.to_string());
    let read = read.and_then(|(plan, _)| match plan_digest(&plan) {
        it if it == *digest => Ok(plan),
        it => Err(format!("its digest is {it}")),
    });
    read.map_err(|why| {
        let what = format!("the stored plan {digest} cannot be used: {why}");
        let plan = AdvisedCommand::PlanStore { stack };
        OpsError::refused(what, format!("store a new one: {plan}; nothing was changed"))
    })
}

/// What of the plan that is made now was not reviewed. A switch in between voids what was: where users are may be why it was right.
fn exceeds(plan: &Plan, fresh: &Proposed) -> Vec<String> {
    let (reviewed, now) = (&plan.bindings, &fresh.plan.bindings);
    let mut broken = broken_bindings(&moved_on(reviewed, now), now);
    if fresh.state.as_ref().is_some_and(|it| it.switched > reviewed.serial) {
        broken.push("a switch has begun since then, or a loss was declared".to_owned());
    }
    if broken.is_empty() { beyond(plan, &fresh.plan) } else { broken }
}

/// Refuses, and stores what would be done now, so that somebody can let exactly that run.
fn unreviewed(
    session: &Session,
    ask: &PlanRequest,
    fresh: &Proposed,
    why: &[String],
) -> Result<OpsError, OpsError> {
    let name = ask.place.name();
    let what = format!("this plan was not reviewed:\n  - {}", why.join("\n  - "));
    if fresh.plan.is_empty() || fresh.plan.refusals().next().is_some() {
        let plan = AdvisedCommand::PlanStore { stack: &name };
        let help = format!(
            "see what would be done now, and store it for review: {plan}; nothing was changed"
        );
        return Ok(OpsError::refused(what, help));
    }
    let stored = kept(&fresh.plan, &session.envelope()).unreviewed();
    plans_of(&session.store(&ask.place)).put(&stored)?;
    let approve = AdvisedCommand::ApprovePlan { stack: &name, digest: &stored.digest };
    let help = format!(
        "have it reviewed, or let what would be done now run the next time: {approve}; nothing was changed"
    );
    Ok(OpsError::refused(what, help))
}

/// Whether a text is the digest of a plan, or its beginning.
pub fn is_digest(text: &str) -> bool {
    let bare = text.strip_prefix("sha256:").unwrap_or(text);
    bare.len() >= DIGEST_MIN && bare.bytes().all(|it| it.is_ascii_hexdigit())
}

/// Lets a stored plan run.
pub fn approve(
    store: &StateStore,
    stack: &str,
    digest: &str,
    because: Option<String>,
) -> Result<Exit, OpsError> {
    let plans = plans_of(store);
    let now = wall();
    let found = plans.of_digest(digest, now)?.ok_or_else(|| {
        let plan = AdvisedCommand::PlanStore { stack };
        OpsError::refused(
            format!("no plan of the last 30 days with the digest {digest} is stored"),
            format!("store one: {plan}"),
        )
    })?;
    let plan = plan_of(&found, stack)?;
    let digest = found.stored.digest.clone();
    let approval = PlanApproval { digest: digest.clone(), who: open::who(), because, at: now };
    plans.approve(&found, &approval)?;
    let summary = plan.summary();
    out::talk(&format!(
        "approved plan {digest}: {} to create, {} to change, {} to replace, {} to delete; run {} to apply it",
        summary.create,
        summary.update,
        summary.replace,
        summary.delete,
        AdvisedCommand::ApplyReviewed { stack },
    ));
    Ok(Exit::Done)
}

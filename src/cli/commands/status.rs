//! `status`: what is active, lost, held and draining; nothing is asked of any cloud.

use crate::cli::args::{Plain, TargetArgs, WorldArgs};
use crate::cli::context::CommandContext;
use crate::cli::exit::Exit;
use crate::cli::{open, out};
use crate::engine::recovery::user_routes::ways;
use crate::engine::text::advice::AdvisedCommand;
use crate::engine::text::names::OverlayNames;
use crate::ops::error::OpsError;
use crate::ops::load::session::Session;
use crate::ops::load::sides::PlanRequest;
use crate::ops::load::stack_ref::StackRef;
use crate::ops::status;
use crate::render;
use crate::render::words::count;

pub async fn status(
    context: &CommandContext,
    target: &TargetArgs,
    world: &WorldArgs,
    format: Plain,
) -> Result<Exit, OpsError> {
    let place = StackRef::find(&target.stack, &context.directory)?;
    let given = open::variables(&target.under(Vec::new()))?;
    let session = open::session(&place.root, world).await?;
    let Some(status) = status::status(&session, &place, &given)? else {
        out::data(&format!("{} has not been applied yet", place.name()));
        return Ok(Exit::Done);
    };
    let (plan, trouble) = match &status.pending {
        Ok(plan) => (Some(plan), None),
        Err(why) => (None, Some(why.as_str())),
    };
    let facts = render::status::StatusFacts {
        name: place.name(),
        now: session.clock.now(),
        state: &status.state,
        ways: ways(&session.catalog, &status.state, plan),
        plan,
        trouble,
        lease: session.store(&place).lease_status()?.map(|it| {
            let gone = if it.is_alive { "" } else { ", whose process has died" };
            let aim =
                it.to.map(|it| format!(", a switch to {}", OverlayNames(&it))).unwrap_or_default();
            let asked = it.asked_by.map(|it| format!(", asked to stop by {it}"));
            format!("{} ({}){aim}{gone}{}", it.owner, it.command, asked.unwrap_or_default())
        }),
    };
    out::data(&match format {
        Plain::Text => out::typed_here(&render::status::text(&facts)).into_owned(),
        Plain::Json => render::status::json(&facts),
    });
    Ok(Exit::Done)
}

/// After a switch: what the layers would have changed as well, and which commands show and make it.
pub fn pending(session: &Session, ask: &PlanRequest) {
    // Nothing was done with this: what cannot be told now is told by `status` and `plan`.
    let Ok(Some(status)) = status::status(session, &ask.place, &ask.given) else { return };
    let (number, name) = (status.pending_changes(), ask.place.name());
    if number > 0 {
        let (verb, them) = if number == 1 { ("is", "it") } else { ("are", "them") };
        out::talk(&format!(
            "{} {verb} pending: run {} to see {them} and {} to apply {them}",
            count(number, "change"),
            AdvisedCommand::Plan { stack: &name, overlays: &[], out: None },
            AdvisedCommand::Apply { stack: &name }
        ));
    }
}

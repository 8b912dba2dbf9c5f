//! `failover` and `drill` without a target: what is wrong now, and what to type.

use crate::cli::args::{TargetArgs, WorldArgs};
use crate::cli::context::CommandContext;
use crate::cli::open;
use crate::engine::recovery::ways_out::ways_out;
use crate::engine::text::advice::AdvisedCommand;
use crate::ops::error::OpsError;
use crate::ops::load::layers;
use crate::ops::load::stack_ref::StackRef;
use crate::ops::outage::outage;
use crate::render::ways_out::{advice, situation};

/// A usage error that tells the situation and the whole command. Nothing is switched, and nothing is assumed, without a target.
pub async fn where_to(
    context: &CommandContext,
    target: &TargetArgs,
    world: &WorldArgs,
) -> Result<OpsError, OpsError> {
    let place = StackRef::find(&target.stack, &context.directory)?;
    let session = open::session(&place.root, world).await?;
    let facts = outage(&session, &place).await?;
    let (ways, name) = (ways_out(&facts), place.name());
    Ok(OpsError::Unsaid {
        what: format!("{}; nothing was changed", situation(&facts, &ways, &name)),
        help: advice(&facts, &ways, &name),
    })
}

/// The same for `drill`: its overlays, and what each rehearses.
pub fn which_drill(context: &CommandContext, target: &TargetArgs, cleanup: bool) -> OpsError {
    let place = match StackRef::find(&target.stack, &context.directory) {
        Ok(place) => place,
        Err(why) => return why,
    };
    let stack = &place.stack;
    let drill = |to: String| {
        let overlay = layers::instance_of(&place, &to).ok()?;
        let workspace = overlay.instance.filter(|_| !overlay.rehearses.is_empty())?;
        let rehearsed: Vec<&str> = overlay.rehearses.iter().map(|(it, _)| it.as_str()).collect();
        let command = AdvisedCommand::Drill { stack, to: &to, cleanup };
        let what = format!("rehearses {} in {stack}@{workspace}", rehearsed.join(" + "));
        Some(format!("  {command}\n    {what}"))
    };
    let drills: Vec<String> = layers::overlays(&place).into_iter().filter_map(drill).collect();
    let help = if drills.is_empty() {
        "add an overlay that sets `workspace` and `rehearses`".to_owned()
    } else {
        format!("overlays that rehearse a failover:\n{}", drills.join("\n"))
    };
    let what = if drills.is_empty() {
        format!("{stack} has no overlay for a drill; nothing was changed")
    } else {
        "--to was not given; nothing was changed".to_owned()
    };
    OpsError::Unsaid { what, help }
}

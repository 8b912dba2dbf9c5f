//! `failover` without a target: what is wrong now, and what to type.

use crate::cli::args::{TargetArgs, WorldArgs};
use crate::cli::context::CommandContext;
use crate::cli::open;
use crate::engine::recovery::ways_out::ways_out;
use crate::ops::error::OpsError;
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

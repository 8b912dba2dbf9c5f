//! `ci plan`, `ci apply`, `ci drift`: what a pipeline does with a stack, told where people review it.

mod outcome;
mod teller;
mod base;
mod stranger;
mod plan;
mod apply;
mod drift;

use crate::cli::args::CiCommand;
use crate::cli::context::CommandContext;
use crate::cli::exit::Exit;
use crate::ops::error::OpsError;

pub async fn run(context: &CommandContext, command: &CiCommand) -> Result<Exit, OpsError> {
    match command {
        CiCommand::Plan(it) => plan::plan(context, it).await,
        CiCommand::Apply(it) => apply::apply(context, it).await,
        CiCommand::Drift(it) => drift::drift(context, it).await,
    }
}

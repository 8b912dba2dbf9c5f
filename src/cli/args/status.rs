//! What `status` is given.

use clap::Args;

use crate::cli::args::stack::{Plain, TargetArgs, WorldArgs};

#[derive(Debug, Clone, Args)]
pub struct StatusArgs {
    #[command(flatten)]
    pub target: TargetArgs,
    #[command(flatten)]
    pub world: WorldArgs,
    /// How the status is written
    #[arg(long, value_enum, default_value = "text")]
    pub format: Plain,
    /// Also ask each fault domain that is not lost whether it answers now, for at most 10 s
    #[arg(long, conflicts_with = "follow")]
    pub online: bool,
    /// Show it again whenever it changes, until interrupted; as JSON, one object per line
    #[arg(long)]
    pub follow: bool,
}

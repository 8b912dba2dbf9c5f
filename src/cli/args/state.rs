//! The commands that look into state or mend it.

use clap::{Args, Subcommand};

use crate::cli::args::stack::World;

#[derive(Debug, Subcommand)]
pub enum StateCommand {
    /// List what is recorded
    List(StateArgs),
    /// Show one record
    Show {
        #[command(flatten)]
        state: StateArgs,
        /// As `state list` prints it
        address: String,
    },
    /// Show the journal since the last snapshot
    Log(StateArgs),
    /// Give a record another address; the object stays
    Mv {
        #[command(flatten)]
        state: StateArgs,
        from: String,
        to: String,
    },
    /// Forget a record; the object stays
    Rm {
        #[command(flatten)]
        state: StateArgs,
        address: String,
    },
    /// Lift a remembered `prevent_destroy`
    Unprotect {
        #[command(flatten)]
        state: StateArgs,
        address: String,
    },
    /// Say what became of a step in doubt
    Settle {
        #[command(flatten)]
        state: StateArgs,
        address: String,
        /// The id of the object that was made
        #[arg(long, conflicts_with = "nothing")]
        id: Option<String>,
        /// Nothing was made
        #[arg(long)]
        nothing: bool,
    },
}

#[derive(Debug, Clone, Args)]
pub struct StateArgs {
    /// `NAME` or `NAME@INSTANCE`
    pub stack: String,
    #[command(flatten)]
    pub world: World,
}

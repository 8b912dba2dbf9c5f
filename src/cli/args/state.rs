//! The commands that look into state or mend it.

use clap::{Args, Subcommand};

use crate::cli::args::stack::WorldArgs;

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
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Go on from the newest state that is whole, or put a forgotten record back
    Restore {
        #[command(flatten)]
        state: StateArgs,
        /// A record that `state rm` forgot; without it, the state itself
        address: Option<String>,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Lift a remembered `prevent_destroy`
    Unprotect {
        #[command(flatten)]
        state: StateArgs,
        address: String,
    },
    /// Say what became of an interrupted operation
    Resolve {
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

impl StateCommand {
    /// Whose state it is about.
    pub fn state(&self) -> &StateArgs {
        match self {
            Self::List(state)
            | Self::Log(state)
            | Self::Show { state, .. }
            | Self::Mv { state, .. }
            | Self::Rm { state, .. }
            | Self::Restore { state, .. }
            | Self::Unprotect { state, .. }
            | Self::Resolve { state, .. } => state,
        }
    }
}

#[derive(Debug, Clone, Args)]
pub struct StateArgs {
    /// `NAME` or `NAME@WORKSPACE`
    pub stack: String,
    #[command(flatten)]
    pub world: WorldArgs,
}

//! The commands that look into state or mend it.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use crate::cli::args::stack::{Plain, Words, WorldArgs};

#[derive(Debug, Subcommand)]
pub enum StateCommand {
    /// List the recorded resources
    List(StateArgs),
    /// Show the record of one resource
    Show {
        #[command(flatten)]
        state: StateArgs,
        /// Address as shown by `lifeboat state list`
        address: String,
    },
    /// Show who changed the state, when, why and with what result, the newest run first
    Log {
        #[command(flatten)]
        state: StateArgs,
        #[arg(long, value_enum, default_value = "text")]
        format: Plain,
        /// Show only the newest N runs
        #[arg(short = 'n', long = "number", value_name = "N")]
        number: Option<usize>,
        /// Show the single journal entries of each run, too
        #[arg(long)]
        entries: bool,
    },
    /// Move a record to another address; the resource is not changed
    Mv {
        #[command(flatten)]
        state: StateArgs,
        /// Current address of the record
        from: String,
        /// New address of the record
        to: String,
    },
    /// Remove a record from the state; the resource is not changed
    Rm {
        #[command(flatten)]
        state: StateArgs,
        address: String,
        /// Skip interactive approval
        #[arg(long)]
        yes: bool,
    },
    /// Restore the newest intact state, an earlier state, or a record that was removed
    Restore {
        #[command(flatten)]
        state: StateArgs,
        /// Address of a record that `state rm` removed; if omitted, restore the whole state
        #[arg(conflicts_with = "serial")]
        address: Option<String>,
        /// Go on with the content of the snapshot with this serial, as shown by `lifeboat state log`
        #[arg(long, value_name = "N")]
        serial: Option<u64>,
        /// Skip interactive approval
        #[arg(long)]
        yes: bool,
    },
    /// Clear the recorded `prevent_destroy`
    Unprotect {
        #[command(flatten)]
        state: StateArgs,
        address: String,
    },
    /// Print the whole state as one document, or save it to a file that only its owner can read
    ///
    /// The document holds the key of the fingerprints of secrets, and all attributes that are not secret.
    Pull {
        #[command(flatten)]
        state: StateArgs,
        /// Write it into this file, which only its owner can read
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Save state, layers, files and the plan of each failover in one file, for `failover --from`
    ///
    /// It holds all that a switch needs where neither the store, nor git, nor a checkout can be reached. Recovery reports are not in it.
    Export {
        #[command(flatten)]
        state: StateArgs,
        /// Write it into this file, which only its owner can read; an older bundle there is replaced
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Put a document of `state pull` in place of the state
    ///
    /// Refused are other lineages, older serials, and an equal serial with other content. What was there stays in the history.
    Push {
        #[command(flatten)]
        state: StateArgs,
        /// Document of `lifeboat state pull`, or of a switch from a bundle
        file: PathBuf,
        /// Serial from which a switch from a bundle went on without the store; what the store has saved since then is replaced
        #[arg(long, value_name = "SERIAL")]
        forked_at: Option<u64>,
        /// Skip interactive approval
        #[arg(long)]
        yes: bool,
    },
    /// Move the state into another store, and write that into the stack file
    Migrate {
        #[command(flatten)]
        state: StateArgs,
        #[command(flatten)]
        stores: MigrateArgs,
        /// Skip interactive approval
        #[arg(long)]
        yes: bool,
    },
    /// Suspend the mirror store of a state, or resume it
    Mirror {
        #[command(subcommand)]
        change: MirrorChange,
    },
    /// Record what the clouds show of a stack whose state is lost; no resource is changed
    ///
    /// Resources are known by ownership tags, and by names inside of what is ours. What cannot be decided is listed.
    Rebuild {
        #[command(flatten)]
        state: StateArgs,
        #[command(flatten)]
        of: RebuildArgs,
    },
    /// Encrypt the state with the newest key, all workspaces of the stack included
    ///
    /// The stack file names both keys meanwhile: `encrypt: { key_env: NEW, old_key_env: OLD }`.
    Rekey {
        #[command(flatten)]
        state: StateArgs,
    },
    /// Resolve an interrupted operation, a task whose outcome is unknown, or two copies of a state that contradict each other
    Resolve {
        #[command(flatten)]
        state: StateArgs,
        /// Address of the operation, or name of the task
        #[arg(required_unless_present = "keep")]
        address: Option<String>,
        /// Go on with this copy of the state; what only the other one has is set aside
        #[arg(long, value_enum, value_name = "STORE", conflicts_with_all = ["address", "id", "nothing", "outcome"])]
        keep: Option<KeptStore>,
        /// Skip interactive approval of --keep
        #[arg(long, requires = "keep")]
        yes: bool,
        /// ID of the resource that the operation created
        #[arg(long, conflicts_with = "nothing")]
        id: Option<String>,
        /// The operation created nothing
        #[arg(long)]
        nothing: bool,
        /// Of a task: whether it took effect
        #[arg(value_enum, conflicts_with_all = ["id", "nothing"])]
        outcome: Option<TaskOutcome>,
    },
}

/// What the lost state was of.
/// What `reports` is given.
#[derive(Debug, Clone, Args)]
pub struct ReportsArgs {
    #[command(flatten)]
    pub state: StateArgs,
    /// Report to show, by name or unique prefix; if omitted, list all reports
    pub name: Option<String>,
    #[arg(long, value_enum, default_value = "text")]
    pub format: Words,
}

#[derive(Debug, Clone, Args)]
pub struct RebuildArgs {
    /// Home overlay, as of the first apply (repeatable, in order)
    #[arg(short = 'o', long = "overlay", value_name = "OVERLAY")]
    pub overlays: Vec<String>,
    /// Overlay that was active on top of them, if users had been switched
    #[arg(long, value_name = "OVERLAY")]
    pub active: Option<String>,
    /// Take this resource for the one at this address (repeatable)
    #[arg(long, value_name = "ADDRESS=ID")]
    pub take: Vec<String>,
    /// Skip interactive approval
    #[arg(long)]
    pub yes: bool,
}

/// What is approved, and why.
#[derive(Debug, Clone, Args)]
pub struct ApproveArgs {
    /// Name of the task that waits, or the digest of a stored plan
    #[arg(value_name = "TASK|DIGEST")]
    pub task: String,
    /// Of a task: digest of the plan that is approved, or its first characters; refused if it waits in another one
    #[arg(long, value_name = "DIGEST")]
    pub plan: Option<String>,
    /// Why; kept in the report, or beside the plan
    #[arg(long, value_name = "TEXT")]
    pub because: Option<String>,
}

/// The stores that a state moves to, and its form there.
#[derive(Debug, Clone, Args)]
pub struct MigrateArgs {
    /// `s3://BUCKET/PREFIX?region=REGION`, `dynamodb://TABLE?region=REGION`, or `folder`
    #[arg(long, value_name = "STORE")]
    pub to: String,
    /// Second copy of the state, in another fault domain; left out: none
    #[arg(long, value_name = "STORE")]
    pub mirror: Option<String>,
    /// Third store, which decides whether one copy goes on without the other; left out: none
    #[arg(long, value_name = "STORE", requires = "mirror")]
    pub witness: Option<String>,
    /// The store that is left out is gone for good: do not leave word in it
    #[arg(long)]
    pub abandon: bool,
    /// Encrypt it there, with the key in this variable of the environment
    #[arg(long, value_name = "VARIABLE", conflicts_with = "no_encrypt")]
    pub encrypt: Option<String>,
    /// Keep it there in plain text; without either flag it stays as it is
    #[arg(long)]
    pub no_encrypt: bool,
}

/// What becomes of a mirror store.
#[derive(Debug, Subcommand)]
pub enum MirrorChange {
    /// Write to the primary store alone, until `resume`: without a mirror that cannot be reached, runs go on
    Suspend(StateArgs),
    /// Catch the mirror store up, and write to both again
    Resume(StateArgs),
}

/// Which copy of a state goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum KeptStore {
    /// The one in the primary store
    Primary,
    /// The one in the mirror store
    Mirror,
}

/// What became of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TaskOutcome {
    /// It took effect
    Done,
    /// It had no effect
    NotDone,
}

impl StateCommand {
    /// Whose state it is about.
    pub fn state(&self) -> &StateArgs {
        match self {
            Self::List(state)
            | Self::Log { state, .. }
            | Self::Show { state, .. }
            | Self::Pull { state, .. }
            | Self::Export { state, .. }
            | Self::Push { state, .. }
            | Self::Mv { state, .. }
            | Self::Rm { state, .. }
            | Self::Restore { state, .. }
            | Self::Unprotect { state, .. }
            | Self::Migrate { state, .. }
            | Self::Mirror { change: MirrorChange::Suspend(state) | MirrorChange::Resume(state) }
            | Self::Rebuild { state, .. }
            | Self::Rekey { state }
            | Self::Resolve { state, .. } => state,
        }
    }
}

#[derive(Debug, Clone, Args)]
pub struct StateArgs {
    /// Stack as `NAME` or `NAME@WORKSPACE`
    pub stack: String,
    #[command(flatten)]
    pub world: WorldArgs,
}

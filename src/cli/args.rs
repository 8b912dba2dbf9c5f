//! The words of the command line; their doc comments are the help text.

pub mod stack;
pub mod audit;
pub mod state;
pub mod sandbox;
pub mod watch;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

pub use crate::cli::args::audit::{AuditArgs, AuditFormat};
pub use crate::cli::args::sandbox::{How, LogWhat, SandboxCommand};
pub use crate::cli::args::stack::{
    Allow, Format, Layers, Losing, Plain, Shape, Target, Words, World,
};
pub use crate::cli::args::state::{StateArgs, StateCommand};

/// Plan and apply disaster recovery for DynamoDB and Linode stacks.
#[derive(Debug, Parser)]
#[command(name = "lifeboat", version, max_term_width = 100, arg_required_else_help = true)]
pub struct Arguments {
    /// Work as if started in this folder
    #[arg(short = 'C', long = "directory", global = true, value_name = "DIR")]
    pub directory: Option<PathBuf>,
    /// No colour, whatever the terminal
    #[arg(long, global = true)]
    pub no_color: bool,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a first stack that runs in the sandbox
    Init {
        /// Where [default: here]
        dir: Option<PathBuf>,
    },
    /// Show every mistake of a stack at once
    Validate(Layers),
    /// Print the merged stack
    Render(Layers),
    /// Say where a value comes from and why an action was chosen
    Explain {
        #[command(flatten)]
        layers: Layers,
        /// `ADDRESS` or `ADDRESS.ATTRIBUTE`, e.g. `web[0].user_data`
        what: String,
        #[command(flatten)]
        world: World,
    },
    /// Print the dependency graph in Graphviz' dot language
    Graph(Layers),
    /// List the kinds, or document one
    Kinds {
        /// One of those listed, e.g. `linode.instance`
        kind: Option<String>,
    },
    /// Print the JSON Schema of stack files
    Schema,
    /// Show what would happen
    Plan {
        #[command(flatten)]
        layers: Layers,
        #[command(flatten)]
        world: World,
        #[command(flatten)]
        allow: Allow,
        #[command(flatten)]
        losing: Losing,
        /// Save the plan; `apply FILE` then runs exactly its steps
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// Exit 2 when something would change
        #[arg(long)]
        detailed_exitcode: bool,
        #[command(flatten)]
        shape: Shape,
    },
    /// Say whether a recovery would work, before anybody needs it
    Audit(AuditArgs),
    /// Render a saved plan again
    Show {
        /// A file that `plan --out` wrote
        plan: PathBuf,
        #[command(flatten)]
        shape: Shape,
    },
    /// Make the world as the layers say, or run a saved plan
    Apply {
        #[command(flatten)]
        layers: Layers,
        #[command(flatten)]
        world: World,
        #[command(flatten)]
        allow: Allow,
        #[command(flatten)]
        losing: Losing,
        /// Do not ask
        #[arg(long)]
        yes: bool,
        /// Change the active overlays to those given with -o
        #[arg(long)]
        switch: bool,
    },
    /// Delete everything that state records
    Destroy {
        #[command(flatten)]
        layers: Layers,
        #[command(flatten)]
        world: World,
        /// Do not ask
        #[arg(long)]
        yes: bool,
        /// With --yes on real clouds: data goes, too
        #[arg(long)]
        data_loss: bool,
    },
    /// Switch to a recovery overlay, under loss or planned
    Failover {
        #[command(flatten)]
        target: Target,
        /// The overlay that is laid over those of home
        #[arg(long, value_name = "OVERLAY")]
        to: String,
        #[command(flatten)]
        losing: Losing,
        #[command(flatten)]
        allow: Allow,
        #[command(flatten)]
        world: World,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Switch back home: thaw what was lost, repair it, and direct users there again
    Failback {
        #[command(flatten)]
        target: Target,
        /// This fault domain is still lost: leave it frozen
        #[arg(long, value_name = "FAULT_DOMAIN")]
        lost: Vec<String>,
        /// Keep what only the other side wanted
        #[arg(long)]
        keep_standby: bool,
        /// Also carry what was pending before
        #[arg(long)]
        include_pending: bool,
        #[command(flatten)]
        allow: Allow,
        #[command(flatten)]
        world: World,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Rehearse a disaster in an instance of its own, measure it, and leave nothing behind
    Drill {
        #[command(flatten)]
        target: Target,
        /// The overlay with the `instance` that it happens in
        #[arg(long, value_name = "OVERLAY")]
        to: String,
        #[command(flatten)]
        losing: Losing,
        #[command(flatten)]
        world: World,
        /// Only delete what an earlier drill left
        #[arg(long)]
        cleanup: bool,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Say that a lost fault domain answers again
    Found {
        #[command(flatten)]
        state: StateArgs,
        /// As `status` names it, e.g. `linode:us-east`
        fault_domain: String,
    },
    /// Show what is active, lost, held and draining, without asking any cloud
    Status {
        #[command(flatten)]
        target: Target,
        #[command(flatten)]
        world: World,
        #[arg(long, value_enum, default_value = "text")]
        format: Plain,
    },
    /// Show what switches and drills took, phase by phase, against the stack's objectives
    Reports {
        #[command(flatten)]
        state: StateArgs,
        /// One of those listed, or the beginning of its name
        name: Option<String>,
        #[arg(long, value_enum, default_value = "text")]
        format: Words,
    },
    /// Probe a URL from outside, and switch when it is down
    #[command(long_about = watch::MANUAL)]
    Watch {
        #[command(flatten)]
        watch: Box<watch::WatchArgs>,
        #[command(flatten)]
        world: World,
    },
    /// Look into state, or mend it
    #[command(subcommand)]
    State(StateCommand),
    /// The embedded local cloud
    #[command(subcommand)]
    Sandbox(SandboxCommand),
    /// Print a completion script for a shell
    Completions { shell: clap_complete::Shell },
    /// Print the manual page
    Man,
}

impl Command {
    /// The layers of a command that takes overlays with `-o`.
    pub fn layers(&self) -> Option<&Layers> {
        if let Self::Validate(layers)
        | Self::Render(layers)
        | Self::Graph(layers)
        | Self::Explain { layers, .. }
        | Self::Plan { layers, .. }
        | Self::Apply { layers, .. }
        | Self::Destroy { layers, .. } = self
        {
            return Some(layers);
        }
        None
    }
}

//! The words of the command line; their doc comments are the help text.

pub mod stack;
pub mod audit;
pub mod state;
pub mod sandbox;
pub mod watch;

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use clap_complete::engine::ArgValueCompleter;

use crate::engine::retry::Pacing;
use crate::ops::error::OpsError;

pub use crate::cli::args::audit::{AuditArgs, AuditFormat};
pub use crate::cli::args::sandbox::{
    AppCommand, FaultArgs, HowArg, HowBroken, LogWhat, RestrictArgs, SandboxCommand,
};
pub use crate::cli::args::stack::{
    AllowArgs, Format, LayerArgs, LossArgs, Plain, ShapeArgs, Speed, TargetArgs, Words, WorldArgs,
};
pub use crate::cli::args::state::{StateArgs, StateCommand};

use crate::cli::complete;

/// Plan and apply disaster recovery for DynamoDB and Linode stacks.
#[derive(Debug, Parser)]
#[command(name = "lifeboat", version, max_term_width = 100, arg_required_else_help = true)]
pub struct Arguments {
    /// Work as if started in this folder
    #[arg(short = 'C', long = "directory", global = true, value_name = "DIR")]
    pub directory: Option<PathBuf>,
    /// No color, whatever the terminal
    #[arg(long, global = true)]
    pub no_color: bool,
    /// Log to stderr what is done; -vv: each request as well; -vvv: the clients of the clouds, too
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Use the embedded cloud; commands that ask no cloud take it as well, and do the same
    #[arg(long, global = true, hide = true)]
    pub sandbox: bool,
    #[command(subcommand)]
    pub command: CliCommand,
}

#[derive(Debug, Subcommand)]
pub enum CliCommand {
    /// Make a first stack that runs in the sandbox
    Init {
        /// Where [default: here]
        dir: Option<PathBuf>,
    },
    /// Show every mistake of a stack at once
    Validate(LayerArgs),
    /// Print the merged stack
    Render(LayerArgs),
    /// Say where a value comes from and why an action was chosen
    Explain {
        #[command(flatten)]
        layers: LayerArgs,
        /// `ADDRESS` or `ADDRESS.ATTRIBUTE`, e.g. `web[0].user_data`
        #[arg(add = ArgValueCompleter::new(complete::addresses))]
        what: String,
        #[command(flatten)]
        world: WorldArgs,
    },
    /// Print the dependency graph in Graphviz' dot language
    Graph(LayerArgs),
    /// List the kinds, or document one
    Kinds {
        /// One of those listed, e.g. `linode.instance`
        #[arg(add = ArgValueCompleter::new(complete::kinds))]
        kind: Option<String>,
    },
    /// List what an expression may name and call
    Functions,
    /// Print the JSON Schema of stack files
    Schema,
    /// Show what would happen
    Plan {
        #[command(flatten)]
        layers: LayerArgs,
        #[command(flatten)]
        world: WorldArgs,
        #[command(flatten)]
        allow: AllowArgs,
        #[command(flatten)]
        losing: LossArgs,
        /// Make this one anew, whatever differs
        #[arg(long, value_name = "ADDRESS")]
        replace: Vec<String>,
        /// Save the plan; `apply FILE` then runs exactly its steps
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// Exit 2 when something would change
        #[arg(long)]
        detailed_exitcode: bool,
        #[command(flatten)]
        shape: ShapeArgs,
    },
    /// Say whether a recovery would work, before anybody needs it
    Audit(AuditArgs),
    /// Render a saved plan again
    Show {
        /// A file that `plan --out` wrote
        plan: PathBuf,
        #[command(flatten)]
        shape: ShapeArgs,
    },
    /// Make the world as the layers say, or run a saved plan
    Apply {
        #[command(flatten)]
        layers: LayerArgs,
        #[command(flatten)]
        world: WorldArgs,
        #[command(flatten)]
        speed: Speed,
        #[command(flatten)]
        allow: AllowArgs,
        #[command(flatten)]
        losing: LossArgs,
        /// Make this one anew, whatever differs
        #[arg(long, value_name = "ADDRESS")]
        replace: Vec<String>,
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
        layers: LayerArgs,
        #[command(flatten)]
        world: WorldArgs,
        #[command(flatten)]
        speed: Speed,
        /// Do not ask
        #[arg(long)]
        yes: bool,
        /// Let this object take along what is not of this stack
        #[arg(long, value_name = "ADDRESS")]
        allow_delete: Vec<String>,
        /// With --yes on real clouds: data goes, too
        #[arg(long)]
        data_loss: bool,
    },
    /// Switch to a recovery overlay, under loss or planned
    Failover {
        #[command(flatten)]
        target: TargetArgs,
        /// The overlay that is laid over those of home; without it, those that there are are listed and nothing is done
        #[arg(long, value_name = "OVERLAY", add = ArgValueCompleter::new(complete::overlays))]
        to: Option<String>,
        #[command(flatten)]
        losing: LossArgs,
        /// When the site was last seen good, e.g. `2026-11-26T03:04:05Z`: the recovery is measured from there on; `watch` hands it over
        #[arg(long, value_name = "TIME")]
        last_good: Option<jiff::Timestamp>,
        #[command(flatten)]
        allow: AllowArgs,
        #[command(flatten)]
        world: WorldArgs,
        #[command(flatten)]
        speed: Speed,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Switch back home: thaw what was lost, repair it, and direct users there again
    Failback {
        #[command(flatten)]
        target: TargetArgs,
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
        allow: AllowArgs,
        #[command(flatten)]
        world: WorldArgs,
        #[command(flatten)]
        speed: Speed,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Rehearse a failover in a workspace of its own, measure it, and delete it again
    Drill {
        #[command(flatten)]
        target: TargetArgs,
        /// The overlay with the `instance` that it happens in
        #[arg(long, value_name = "OVERLAY", add = ArgValueCompleter::new(complete::overlays))]
        to: String,
        #[command(flatten)]
        losing: LossArgs,
        #[command(flatten)]
        world: WorldArgs,
        #[command(flatten)]
        speed: Speed,
        /// Only delete what an earlier drill left
        #[arg(long)]
        cleanup: bool,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Mark a fault domain as recovered: it answers again
    Recovered {
        #[command(flatten)]
        state: StateArgs,
        /// As `status` names it, e.g. `linode:us-east`
        fault_domain: String,
    },
    /// Show what is active, lost, held and draining, without asking any cloud
    Status {
        #[command(flatten)]
        target: TargetArgs,
        #[command(flatten)]
        world: WorldArgs,
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
        world: WorldArgs,
    },
    /// Look into state, or mend it
    #[command(subcommand)]
    State(StateCommand),
    /// The embedded local cloud
    #[command(subcommand)]
    Sandbox(SandboxCommand),
    /// Print a completion script for a shell
    Completions { shell: clap_complete::Shell },
    /// Print the manual page of lifeboat, or of one of its commands
    Man {
        /// As the page names it: `plan`, `state list`, `lifeboat-state-list`
        command: Vec<String>,
    },
}

impl CliCommand {
    /// The layers of a command that takes overlays with `-o`.
    pub fn layers(&self) -> Option<&LayerArgs> {
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

    /// How fast a run is to go.
    pub fn pace(&self) -> Result<Pacing, OpsError> {
        match self {
            Self::Apply { speed, .. }
            | Self::Destroy { speed, .. }
            | Self::Failover { speed, .. }
            | Self::Failback { speed, .. }
            | Self::Drill { speed, .. } => speed.pace(),
            _ => Ok(Pacing::default()),
        }
    }

    /// Whether it acts in the sandbox.
    pub fn is_in_sandbox(&self) -> bool {
        match self {
            Self::Explain { world, .. }
            | Self::Plan { world, .. }
            | Self::Apply { world, .. }
            | Self::Destroy { world, .. }
            | Self::Failover { world, .. }
            | Self::Failback { world, .. }
            | Self::Drill { world, .. }
            | Self::Status { world, .. }
            | Self::Watch { world, .. } => world.sandbox,
            Self::Audit(it) => it.world.sandbox,
            Self::Recovered { state, .. } | Self::Reports { state, .. } => state.world.sandbox,
            Self::State(it) => it.state().world.sandbox,
            _ => false,
        }
    }
}

//! The words of the command line; their doc comments are the help text.

pub mod stack;
pub mod audit;
pub mod policy;
pub mod ci;
pub mod status;
pub mod state;
pub mod sandbox;
pub mod watch;

use std::borrow::Cow;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::engine::ArgValueCompleter;

pub use crate::cli::args::audit::{AuditArgs, AuditFormat};
pub use crate::cli::args::ci::{CiCommand, CiHost};
use crate::cli::args::policy::PolicyCommand;
pub use crate::cli::args::sandbox::{
    AppCommand, FaultArgs, HowArg, HowBroken, LogWhat, RestrictArgs, SandboxCommand,
};
pub use crate::cli::args::stack::{
    AllowArgs, BundleArgs, FailbackArgs, Format, LayerArgs, LossArgs, Plain, RunArgs, ShapeArgs,
    TargetArgs, Words, WorldArgs,
};
pub use crate::cli::args::state::{ApproveArgs, RebuildArgs, ReportsArgs, StateArgs, StateCommand};
use crate::cli::args::status::StatusArgs;

use crate::cli::complete;
use crate::ops::error::OpsError;
use crate::ops::watch::target::{ExpectedAnswer, Targets};

/// Declarative disaster recovery for DynamoDB and Linode.
#[derive(Debug, Parser)]
#[command(
    name = "lifeboat",
    version,
    max_term_width = 100,
    arg_required_else_help = true,
    after_help = "In an outage, start with: lifeboat failover STACK\nIt says what is unreachable, and the whole command for the \
                  overlay that is made for it.\n\nExit codes: 0 done; 1 an error, or a step or gate failed;\n2 changes pending (plan --detailed-exitcode); 3 refused, nothing was \
                  changed;\n4 another run holds the lease; 5 something is unreachable; 64 usage; 70 a bug;\n129, 130, 143 stopped by a signal\n\nThe glossary explains the terms: docs/glossary.md"
)]
pub struct Arguments {
    /// Run as if lifeboat had been started in DIR
    #[arg(
        help_heading = "General options",
        short = 'C',
        long = "directory",
        global = true,
        value_name = "DIR"
    )]
    pub directory: Option<PathBuf>,
    /// Disable colored output
    #[arg(help_heading = "General options", long, global = true)]
    pub no_color: bool,
    /// Log operations to stderr; -vv: also each request; -vvv: also the SDK and HTTP clients
    #[arg(help_heading = "General options", short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Use the embedded cloud and its states; commands that read layers only accept the flag, too
    #[arg(long, global = true, hide = true)]
    pub sandbox: bool,
    #[command(subcommand)]
    pub command: CliCommand,
}

/// What `plan` is to do with its result.
#[derive(Debug, Clone, Args)]
pub struct PlanArgs {
    /// Force replacement of this resource
    #[arg(long, value_name = "ADDRESS")]
    pub replace: Vec<String>,
    /// Save the plan to FILE; `lifeboat apply FILE` then runs exactly these steps
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Store the plan beside the state; `lifeboat apply STACK --reviewed` then runs as much of it or less
    #[arg(long)]
    pub store: bool,
    /// Exit with code 2 if there are changes
    #[arg(long)]
    pub detailed_exitcode: bool,
    #[command(flatten)]
    pub shape: ShapeArgs,
}

#[derive(Debug, Subcommand)]
pub enum CliCommand {
    /// Create an example stack, a .gitignore, and CI workflows
    #[command(
        after_help = "Examples:\n  lifeboat init\n  lifeboat init infra --ci gitlab\n  lifeboat init --ci none"
    )]
    Init {
        /// Target directory [default: .]
        dir: Option<PathBuf>,
        /// Pipelines to write
        #[arg(long, value_enum, default_value_t)]
        ci: CiHost,
    },
    /// Check a stack and report all of its errors
    Validate {
        #[command(flatten)]
        layers: LayerArgs,
        /// Output format
        #[arg(long, value_enum, default_value_t)]
        format: Plain,
    },
    /// Print the stack with its overlays merged
    Render(LayerArgs),
    /// Explain a value, a planned action, or the code of a message
    #[command(
        after_help = "Examples:\n  lifeboat explain shop 'web[0].user_data'\n  lifeboat explain shop vars.size -o failover_eu\n  lifeboat explain data_loss\n  lifeboat explain target-lost"
    )]
    Explain {
        #[command(flatten)]
        layers: LayerArgs,
        /// `ADDRESS` or `ADDRESS.ATTRIBUTE`, e.g. `web[0].user_data`; without it, STACK is a code
        #[arg(add = ArgValueCompleter::new(complete::addresses))]
        what: Option<String>,
        #[command(flatten)]
        world: WorldArgs,
    },
    /// Print the dependency graph in Graphviz DOT format
    Graph(LayerArgs),
    /// List the resource kinds, or document one of them
    Kinds {
        /// A kind to document, e.g. `linode.instance`
        #[arg(add = ArgValueCompleter::new(complete::kinds))]
        kind: Option<String>,
    },
    /// List the names and functions available in expressions
    Functions,
    /// Print the JSON Schema of stack files
    Schema,
    /// Check plans against rules of your own
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Show the changes required by the current configuration
    Plan {
        #[command(flatten)]
        layers: LayerArgs,
        #[command(flatten)]
        world: WorldArgs,
        #[command(flatten)]
        allow: AllowArgs,
        #[command(flatten)]
        losing: LossArgs,
        #[command(flatten)]
        wanted: PlanArgs,
    },
    /// Check whether a failover would work before you need it
    Audit(AuditArgs),
    /// Show a saved plan
    Show {
        /// A plan file written by `lifeboat plan --out`
        plan: PathBuf,
        #[command(flatten)]
        shape: ShapeArgs,
    },
    /// Create or update infrastructure, or apply a saved plan
    Apply {
        #[command(flatten)]
        layers: LayerArgs,
        #[command(flatten)]
        world: WorldArgs,
        #[command(flatten)]
        run: RunArgs,
        #[command(flatten)]
        allow: AllowArgs,
        #[command(flatten)]
        losing: LossArgs,
        /// Force replacement of this resource
        #[arg(long, value_name = "ADDRESS")]
        replace: Vec<String>,
        /// Skip interactive approval
        #[arg(long)]
        yes: bool,
        /// Allow the apply to change the active overlays to those given with -o
        #[arg(long)]
        switch: bool,
        /// Apply only what a plan stored with `plan --store` shows, without asking
        #[arg(long, conflicts_with_all = ["replace", "lost", "planned", "include_pending", "allow_delete", "allow_replace", "revert_drift", "allow_destroys", "allow_absent", "allow_outage"])]
        reviewed: bool,
    },
    /// Plan, apply, and find drift in CI; post it in the pull request
    #[command(subcommand)]
    Ci(Box<CiCommand>),
    /// Delete every resource recorded in the state, data included
    Destroy {
        #[command(flatten)]
        layers: LayerArgs,
        #[command(flatten)]
        world: WorldArgs,
        #[command(flatten)]
        run: RunArgs,
        /// Skip interactive approval
        #[arg(long)]
        yes: bool,
        /// Allow deleting this resource although resources outside this stack are deleted with it
        #[arg(long, value_name = "ADDRESS")]
        allow_delete: Vec<String>,
        /// Allow destroying resources that hold data (required with --yes outside the sandbox)
        #[arg(long)]
        data_loss: bool,
    },
    /// Move users to a standby; without --to, say what is down
    ///
    /// Without --planned, this declares lost what the overlay assumes lost, or what --lost names. Without --to it asks each fault
    /// domain, changes nothing, and exits with 64.
    Failover {
        #[command(flatten)]
        target: TargetArgs,
        /// Overlay to activate on top of the home overlays; if omitted, show what is down and which command to type
        #[arg(long, value_name = "OVERLAY", add = ArgValueCompleter::new(complete::overlays))]
        to: Option<String>,
        #[command(flatten)]
        losing: LossArgs,
        /// Time when the site was last seen healthy, e.g. `2026-11-26T03:04:05Z`; the recovery time is measured from it (`watch` sets it)
        #[arg(long, value_name = "TIME")]
        last_good: Option<jiff::Timestamp>,
        /// No person has decided this: a mirror store goes on alone only where a witness agrees (`watch` sets it)
        #[arg(long, hide = true)]
        unattended: bool,
        /// URL to probe from outside once users have moved; the first healthy response (status 200) ends the report
        #[arg(long)]
        url: Option<String>,
        #[command(flatten)]
        allow: AllowArgs,
        #[command(flatten)]
        world: WorldArgs,
        #[command(flatten)]
        run: RunArgs,
        #[command(flatten)]
        without: BundleArgs,
        /// Skip interactive approval
        #[arg(long)]
        yes: bool,
    },
    /// Fail back to the home site: reconcile it, then shift traffic back
    Failback {
        #[command(flatten)]
        target: TargetArgs,
        #[command(flatten)]
        back: FailbackArgs,
        #[command(flatten)]
        allow: AllowArgs,
        #[command(flatten)]
        world: WorldArgs,
        #[command(flatten)]
        run: RunArgs,
        /// Skip interactive approval
        #[arg(long)]
        yes: bool,
    },
    /// Rehearse a failover in an isolated workspace, and measure it
    ///
    /// Measures RTO and RPO, then deletes the workspace.
    Drill {
        #[command(flatten)]
        target: TargetArgs,
        /// Overlay of the drill; it sets `workspace` and `rehearses`. If omitted, list those overlays
        #[arg(long, value_name = "OVERLAY", add = ArgValueCompleter::new(complete::overlays))]
        to: Option<String>,
        #[command(flatten)]
        losing: LossArgs,
        #[command(flatten)]
        world: WorldArgs,
        #[command(flatten)]
        run: RunArgs,
        /// Only delete the resources that an earlier drill left running
        #[arg(long)]
        cleanup: bool,
        /// Skip interactive approval
        #[arg(long)]
        yes: bool,
    },
    /// End a declared loss; moves no users (`failback` does both)
    Recovered {
        #[command(flatten)]
        state: StateArgs,
        /// Fault domain as shown by `lifeboat status`, e.g. `linode:us-east`
        fault_domain: String,
    },
    /// Approve a task that waits for a person, or a stored plan
    Approve {
        #[command(flatten)]
        state: StateArgs,
        #[command(flatten)]
        approval: ApproveArgs,
    },
    /// Show where users are, and what is lost, deferred, or draining
    Status(StatusArgs),
    /// Show how long switches and drills took, phase by phase
    ///
    /// Times are compared with the stack's objectives.
    Reports(ReportsArgs),
    /// Probe a URL from outside, and fail over when it stays down
    #[command(long_about = watch::MANUAL)]
    Watch {
        #[command(flatten)]
        watch: Box<watch::WatchArgs>,
        #[command(flatten)]
        world: WorldArgs,
    },
    /// Inspect or repair the state
    #[command(subcommand)]
    State(StateCommand),
    /// Run and control the embedded local cloud
    #[command(subcommand)]
    Sandbox(SandboxCommand),
    /// Print a shell completion script
    Completions { shell: clap_complete::Shell },
    /// Print the manual page of lifeboat or of one of its commands
    Man {
        /// Command to document, e.g. `plan`, `state list`, or `lifeboat-state-list`
        command: Vec<String>,
    },
}

impl CliCommand {
    /// The layers of a command that takes overlays with `-o`.
    pub fn layers(&self) -> Option<&LayerArgs> {
        if let Self::Validate { layers, .. }
        | Self::Render(layers)
        | Self::Graph(layers)
        | Self::Explain { layers, .. }
        | Self::Plan { layers, .. }
        | Self::Apply { layers, .. }
        | Self::Destroy { layers, .. } = self
        {
            return Some(layers);
        }
        if let Self::Ci(it) = self { Some(it.layers()) } else { None }
    }

    /// How a run is to go, and where it is told.
    pub fn run_args(&self) -> Cow<'_, RunArgs> {
        match self {
            Self::Apply { run, .. }
            | Self::Destroy { run, .. }
            | Self::Failover { run, .. }
            | Self::Failback { run, .. }
            | Self::Drill { run, .. } => Cow::Borrowed(run),
            Self::Ci(it) => match &**it {
                CiCommand::Apply(it) => Cow::Borrowed(&it.run),
                CiCommand::Plan(_) | CiCommand::Drift(_) => Cow::default(),
            },
            _ => Cow::default(),
        }
    }

    /// The word of a command that runs steps, and the stack that it was given.
    pub fn run_of(&self) -> Option<(&'static str, &str)> {
        match self {
            Self::Apply { layers, .. } => Some(("apply", &layers.stack)),
            Self::Destroy { layers, .. } => Some(("destroy", &layers.stack)),
            Self::Failover { target, .. } => Some(("failover", &target.stack)),
            Self::Failback { target, .. } => Some(("failback", &target.stack)),
            Self::Drill { target, .. } => Some(("drill", &target.stack)),
            Self::Ci(it) => match &**it {
                CiCommand::Apply(it) => Some(("apply", &it.layers.stack)),
                CiCommand::Plan(_) | CiCommand::Drift(_) => None,
            },
            _ => None,
        }
    }

    /// What is looked at from outside once users have moved.
    pub fn outside(&self) -> Result<Option<Targets>, OpsError> {
        let Self::Failover { url: Some(url), .. } = self else { return Ok(None) };
        Targets::new(url, &[], ExpectedAnswer::usual()).map(Some)
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
            | Self::Watch { world, .. } => world.sandbox,
            Self::Audit(it) => it.world.sandbox,
            Self::Ci(it) => it.world().sandbox,
            Self::Status(it) => it.world.sandbox,
            Self::Recovered { state, .. } | Self::Approve { state, .. } => state.world.sandbox,
            Self::Reports(it) => it.state.world.sandbox,
            Self::State(it) => it.state().world.sandbox,
            _ => false,
        }
    }
}

//! The words of the command line; their doc comments are the help text.

pub mod watch;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

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

/// A stack and what is laid over it.
#[derive(Debug, Clone, Args)]
pub struct Layers {
    /// `NAME`, `NAME@INSTANCE` or the path of a stack's folder; for apply also a saved plan
    pub stack: String,
    /// Lay this overlay over the stack; `base` means none; several in order. Without: what state says is active, or the base where no state is read
    #[arg(short = 'o', long = "overlay", value_name = "OVERLAY")]
    pub overlays: Vec<String>,
    /// Set a variable
    #[arg(long = "var", value_name = "NAME=VALUE")]
    pub variables: Vec<String>,
    /// Set variables from a YAML file
    #[arg(long = "var-file", value_name = "FILE")]
    pub variable_files: Vec<PathBuf>,
}

/// A stack whose overlays state knows.
#[derive(Debug, Clone, Args)]
pub struct Target {
    /// `NAME`, `NAME@INSTANCE` or the path of a stack's folder
    pub stack: String,
    /// Set a variable
    #[arg(long = "var", value_name = "NAME=VALUE")]
    pub variables: Vec<String>,
    /// Set variables from a YAML file
    #[arg(long = "var-file", value_name = "FILE")]
    pub variable_files: Vec<PathBuf>,
}

impl Target {
    /// The same with overlays.
    pub fn under(&self, overlays: Vec<String>) -> Layers {
        Layers {
            stack: self.stack.clone(),
            overlays,
            variables: self.variables.clone(),
            variable_files: self.variable_files.clone(),
        }
    }
}

/// What a switch takes for lost, and what it carries.
#[derive(Debug, Clone, Default, Args)]
pub struct Losing {
    /// This fault domain is lost, e.g. `linode:us-east`; without: those that the overlay assumes
    #[arg(long, value_name = "FAULT_DOMAIN", conflicts_with = "planned")]
    pub lost: Vec<String>,
    /// Nothing is lost: both sides live
    #[arg(long)]
    pub planned: bool,
    /// A switch also carries what was pending before it
    #[arg(long)]
    pub include_pending: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Plain {
    Text,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Words {
    Text,
    Json,
    Markdown,
}

/// Which world is acted on.
#[derive(Debug, Clone, Args)]
pub struct World {
    /// Use the embedded cloud under state/sandbox/: no account, no credentials
    #[arg(long, env = "LIFEBOAT_SANDBOX", value_parser = clap::builder::FalseyValueParser::new())]
    pub sandbox: bool,
    /// How the sandbox's time runs when its world is new: `manual`, or how many times as fast as the wall's
    #[arg(long, value_name = "SPEED", default_value = "100")]
    pub sandbox_clock: String,
}

/// What guards let through.
#[derive(Debug, Clone, Default, Args)]
pub struct Allow {
    /// Let this object, which holds data, be deleted or replaced
    #[arg(long, value_name = "ADDRESS")]
    pub allow_delete: Vec<String>,
    /// Let this many objects be deleted or replaced
    #[arg(long, value_name = "N")]
    pub allow_destroys: Option<usize>,
    /// Believe that this many objects are absent
    #[arg(long, value_name = "N")]
    pub allow_absent: Option<usize>,
    /// Let a serving set be empty for a while
    #[arg(long)]
    pub allow_outage: bool,
    /// While a member of a DynamoDB group is lost: let changes through that reach every member
    #[arg(long)]
    pub allow_group_changes: bool,
}

#[derive(Debug, Clone, Args)]
pub struct AuditArgs {
    /// `NAME`, `NAME@INSTANCE` or the path of a stack's folder
    #[arg(required_unless_present = "rules")]
    pub stack: Option<String>,
    /// Audit the switch to this overlay; several. Without: to every overlay that has `assumes_lost`
    #[arg(long, value_name = "OVERLAY")]
    pub to: Vec<String>,
    /// How to print what was found
    #[arg(long, value_enum, default_value = "text")]
    pub format: AuditFormat,
    /// Also ask the clouds: drift, and whether replicas are active members of their groups
    #[arg(long)]
    pub online: bool,
    /// Exit 1 for warnings, too
    #[arg(long)]
    pub strict: bool,
    /// The fault domain that this machine is in, with the state it keeps, e.g. `linode:us-east`
    #[arg(long, value_name = "FAULT_DOMAIN")]
    pub here: Option<String>,
    /// List the rules
    #[arg(long)]
    pub rules: bool,
    /// Set a variable
    #[arg(long = "var", value_name = "NAME=VALUE")]
    pub variables: Vec<String>,
    /// Set variables from a YAML file
    #[arg(long = "var-file", value_name = "FILE")]
    pub variable_files: Vec<PathBuf>,
    #[command(flatten)]
    pub world: World,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AuditFormat {
    Text,
    Json,
    /// SARIF 2.1.0, for code hosts
    Sarif,
}

#[derive(Debug, Clone, Args)]
pub struct Shape {
    /// How to print the plan
    #[arg(long, value_enum, default_value = "text")]
    pub format: Format,
    /// Keep Markdown within this many bytes; destroys are never cut out
    #[arg(long, value_name = "N")]
    pub max_bytes: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Text,
    Json,
    Markdown,
    Html,
}

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

#[derive(Debug, Subcommand)]
pub enum SandboxCommand {
    /// Serve it for other clients
    Serve {
        /// Address on loopback; port 0 lets the system choose
        #[arg(long, default_value = "127.0.0.1:7070")]
        listen: std::net::SocketAddr,
        #[arg(long, value_name = "SPEED", default_value = "100")]
        sandbox_clock: String,
    },
    /// Show what exists in it
    Show,
    /// Lose fault domains, e.g. `linode:us-east`, `aws:us-east-1`
    Lose {
        #[arg(required = true)]
        fault_domains: Vec<String>,
        /// What a call to them meets
        #[arg(long, value_enum, default_value = "hang")]
        how: How,
        /// Let groups of tables with a member there be changed all the same; what AWS does is not known
        #[arg(long)]
        group_changes: bool,
    },
    /// Heal a fault domain or an instance, or everything
    Heal { names: Vec<String> },
    /// Destroy what is in a fault domain, as a catastrophe would; in a lost one it shows when it heals
    Destroy {
        fault_domain: String,
        /// Only the object of this label or name
        #[arg(long, value_name = "NAME")]
        object: Option<String>,
    },
    /// Log the requests that it receives, from any process
    Log {
        #[arg(value_enum)]
        what: LogWhat,
    },
    /// Set how long writes travel between regions, in milliseconds of its time
    Lag {
        least: u32,
        /// The longest journey [default: as the shortest]
        most: Option<u32>,
    },
    /// Make calls fail: `unhealthy LABEL`, or an effect with what it meets
    Fault {
        /// `unhealthy`, `429`, `500`, `503`, `lost-reply`, `slow`, `html502`, `truncated`, `empty200`
        effect: String,
        /// The instance's label, for `unhealthy`
        label: Option<String>,
        /// Only calls with this method, e.g. POST
        #[arg(long)]
        method: Option<String>,
        /// Prefix of the path, e.g. /linode/instances
        #[arg(long)]
        path: Option<String>,
        /// DynamoDB operation, e.g. CreateTable
        #[arg(long)]
        operation: Option<String>,
        /// How often
        #[arg(long, default_value = "1")]
        times: u64,
    },
    /// Let world time pass, e.g. `24h`
    Advance { duration: String },
    /// Delete everything in it
    Reset,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogWhat {
    /// Begin a new log
    On,
    /// End it; what is in it stays
    Off,
    /// Print it
    Show,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum How {
    Hang,
    Refuse,
    #[value(name = "503")]
    Unavailable,
}

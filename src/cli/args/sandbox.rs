//! The commands of the embedded local cloud.

use clap::{Subcommand, ValueEnum};

#[derive(Debug, Subcommand)]
pub enum SandboxCommand {
    /// Serve the sandbox to other clients
    Serve {
        /// Loopback address to listen on; port 0 picks a free port
        #[arg(long, default_value = "127.0.0.1:7070")]
        listen: std::net::SocketAddr,
        /// Clock of a new sandbox: `manual`, or a speed-up factor over wall-clock time
        #[arg(long, value_name = "SPEED", default_value = "100")]
        sandbox_clock: String,
    },
    /// Show what exists in the sandbox
    Show,
    /// Take fault domains down, e.g. `linode:us-east`, `aws:us-east-1`
    Lose {
        #[arg(required = true)]
        fault_domains: Vec<String>,
        /// How calls to them fail
        #[arg(long, value_enum, default_value = "hang")]
        how: HowArg,
        /// Allow changes to table groups with a member there; how AWS behaves is not known
        #[arg(long)]
        group_changes: bool,
    },
    /// Bring back a fault domain or an instance, or everything
    Heal {
        /// Fault domains or instance labels; if omitted, everything
        names: Vec<String>,
    },
    /// Destroy the resources in a fault domain, as a catastrophe would; in a lost one this shows once it is healed
    Destroy {
        fault_domain: String,
        /// Destroy only the resource with this label or name
        #[arg(long, value_name = "NAME")]
        object: Option<String>,
    },
    /// Log the requests that the sandbox receives from any process
    Log {
        #[arg(value_enum)]
        what: LogWhat,
    },
    /// Set the replication lag between regions, in milliseconds of sandbox time
    Lag {
        /// Minimum lag
        least: u32,
        /// Maximum lag [default: the same as the minimum]
        most: Option<u32>,
    },
    /// Inject a fault: `unhealthy LABEL`, or an effect and the calls that it affects
    Fault {
        /// `unhealthy`, `429`, `500`, `503`, `lost-reply`, `slow`, `html502`, `truncated`, `empty200`,
        /// `hang`, or `stale-list` (lists omit resources younger than 20 s)
        effect: String,
        /// Label of the instance, for `unhealthy`
        label: Option<String>,
        #[command(flatten)]
        spec: FaultArgs,
    },
    /// Set how the application on the instances behaves; without a subcommand, show the current behavior
    App {
        #[command(subcommand)]
        what: Option<AppCommand>,
    },
    /// Turn a token into that of a restricted user, who sees only the named resources
    Restrict(RestrictArgs),
    /// Advance the sandbox's clock, e.g. by `24h`
    Advance {
        /// How far, e.g. `90s`, `5m`, `24h`, or `7d`
        duration: String,
    },
    /// Delete everything in the sandbox
    Reset,
}

/// Which calls a fault meets.
#[derive(Debug, clap::Args)]
pub struct FaultArgs {
    /// Affect only calls with this HTTP method, e.g. POST
    #[arg(long)]
    pub method: Option<String>,
    /// Affect only calls whose path starts with this, e.g. /linode/instances or /domains
    #[arg(long)]
    pub path: Option<String>,
    /// Affect only this DynamoDB operation, e.g. CreateTable
    #[arg(long)]
    pub operation: Option<String>,
    /// Number of calls to affect (0 = unlimited)
    #[arg(long, default_value = "1")]
    pub times: u64,
    /// Start with the Nth of these calls
    #[arg(long, default_value = "1", value_parser = clap::value_parser!(u64).range(1..))]
    pub nth: u64,
    /// From there on, affect only every Nth call
    #[arg(long, default_value = "1", value_parser = clap::value_parser!(u64).range(1..))]
    pub every: u64,
    /// Affect each call with this probability, between 0 and 1, drawn from the sandbox's seed
    #[arg(long, default_value = "1")]
    pub probability: f64,
}

/// What a restricted user sees and may do.
#[derive(Debug, clap::Args)]
pub struct RestrictArgs {
    /// Labels of instances, NodeBalancers, and firewalls, and names of zones, that the user may change
    pub labels: Vec<String>,
    /// Label or zone that the user may only read (repeatable)
    #[arg(long, value_name = "LABEL")]
    pub read_only: Vec<String>,
    /// An account-wide grant, e.g. `add_linodes`
    #[arg(long, value_name = "GRANT")]
    pub may: Vec<String>,
    /// Name of the user
    #[arg(long, value_name = "NAME", default_value = "restricted")]
    pub user: String,
    /// The token to restrict; with `--sandbox`, lifeboat uses the token `sandbox`
    #[arg(long, default_value = "sandbox")]
    pub token: String,
    /// Turn the token back into that of an unrestricted user
    #[arg(long, conflicts_with_all = ["labels", "read_only", "may", "user"])]
    pub lift: bool,
}

#[derive(Debug, Subcommand)]
pub enum AppCommand {
    /// The application answers this long after its instance has booted, e.g. `3m`
    Start {
        delay: String,
        /// Only on instances whose user data or image contains this text
        #[arg(long, value_name = "TEXT", default_value = "")]
        of: String,
    },
    /// The application listens on these ports, besides SSH; if none is given, on every port
    Ports {
        ports: Vec<u16>,
        /// Only on instances whose user data or image contains this text
        #[arg(long, value_name = "TEXT", default_value = "")]
        of: String,
    },
    /// The application is broken on every present and future instance whose user data or image contains this text
    Break {
        text: String,
        /// How it is broken
        #[arg(long, value_enum, default_value = "errors")]
        how: HowBroken,
    },
    /// The application works again on instances whose user data or image contains this text, or on all instances
    Mend { text: Option<String> },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum HowBroken {
    /// It listens and answers 503, so a check of the connection alone passes
    Errors,
    /// It does not listen
    Closed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogWhat {
    /// Start a new log
    On,
    /// Stop logging; keep the log
    Off,
    /// Print the log
    Show,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum HowArg {
    Hang,
    Refuse,
    #[value(name = "503")]
    Unavailable,
}

//! The commands of the embedded local cloud.

use clap::{Subcommand, ValueEnum};

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
        how: HowArg,
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
        /// `unhealthy`, `429`, `500`, `503`, `lost-reply`, `slow`, `html502`, `truncated`, `empty200`,
        /// `hang`, or `stale-list` (lists lack what is younger than 20 s)
        effect: String,
        /// The instance's label, for `unhealthy`
        label: Option<String>,
        #[command(flatten)]
        spec: FaultArgs,
    },
    /// Say how the application on its machines behaves; without a word: how it does now
    App {
        #[command(subcommand)]
        what: Option<AppCommand>,
    },
    /// Make a token that of a restricted user, who sees what is named and nothing else
    Restrict(RestrictArgs),
    /// Let world time pass, e.g. `24h`
    Advance { duration: String },
    /// Delete everything in it
    Reset,
}

/// Which calls a fault meets.
#[derive(Debug, clap::Args)]
pub struct FaultArgs {
    /// Only calls with this method, e.g. POST
    #[arg(long)]
    pub method: Option<String>,
    /// Prefix of the path, e.g. /linode/instances
    #[arg(long)]
    pub path: Option<String>,
    /// DynamoDB operation, e.g. CreateTable
    #[arg(long)]
    pub operation: Option<String>,
    /// How often; 0 means for ever
    #[arg(long, default_value = "1")]
    pub times: u64,
    /// Only from the nth of these calls on
    #[arg(long, default_value = "1", value_parser = clap::value_parser!(u64).range(1..))]
    pub nth: u64,
    /// From there on only every nth of them
    #[arg(long, default_value = "1", value_parser = clap::value_parser!(u64).range(1..))]
    pub every: u64,
    /// Each with this probability, between 0 and 1, drawn from the world's seed
    #[arg(long, default_value = "1")]
    pub probability: f64,
}

/// What a restricted user sees and may do.
#[derive(Debug, clap::Args)]
pub struct RestrictArgs {
    /// Labels of instances, NodeBalancers and firewalls, and names of zones, that it may change
    pub labels: Vec<String>,
    /// The same of what it may only look at
    #[arg(long, value_name = "LABEL")]
    pub read_only: Vec<String>,
    /// An account-wide grant, e.g. `add_linodes`
    #[arg(long, value_name = "GRANT")]
    pub may: Vec<String>,
    /// Whose token that is
    #[arg(long, value_name = "NAME", default_value = "restricted")]
    pub user: String,
    /// The token; with `--sandbox` lifeboat has `sandbox`
    #[arg(long, default_value = "sandbox")]
    pub token: String,
    /// Make it the token of a user who sees everything again
    #[arg(long, conflicts_with_all = ["labels", "read_only", "may", "user"])]
    pub lift: bool,
}

#[derive(Debug, Subcommand)]
pub enum AppCommand {
    /// It answers only so long after its machine has booted, e.g. `3m`
    Start {
        delay: String,
        /// Only where the user data or the image holds this
        #[arg(long, value_name = "TEXT", default_value = "")]
        of: String,
    },
    /// It listens on these ports, besides SSH; none given: on every port
    Ports {
        ports: Vec<u16>,
        /// Only where the user data or the image holds this
        #[arg(long, value_name = "TEXT", default_value = "")]
        of: String,
    },
    /// It is broken where the user data or the image holds this text, now and later
    Break {
        text: String,
        /// How that shows
        #[arg(long, value_enum, default_value = "errors")]
        how: HowBroken,
    },
    /// It is well again where the user data or the image holds this text, or everywhere
    Mend { text: Option<String> },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum HowBroken {
    /// It listens and answers 503: a check of the connection alone is content
    Errors,
    /// Nothing listens
    Closed,
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
pub enum HowArg {
    Hang,
    Refuse,
    #[value(name = "503")]
    Unavailable,
}

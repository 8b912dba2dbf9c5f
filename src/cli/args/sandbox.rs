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
        /// `unhealthy`, `429`, `500`, `503`, `lost-reply`, `slow`, `html502`, `truncated`, `empty200`,
        /// `hang`
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

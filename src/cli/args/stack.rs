//! What most commands are given: a stack with its layers, the world, what is lost, what is allowed, and how to print.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum, ValueHint};
use clap_complete::engine::ArgValueCompleter;

use crate::cli::complete;
use crate::cli::events::EventLog;

use crate::engine::lang::check::gate::parse_duration;
use crate::engine::retry::Pacing;
use crate::ops::error::OpsError;

/// A stack and what is laid over it.
#[derive(Debug, Clone, Args)]
pub struct LayerArgs {
    /// Stack as `NAME`, `NAME@WORKSPACE`, or the path to its folder
    #[arg(add = ArgValueCompleter::new(complete::stacks), value_hint = ValueHint::AnyPath)]
    pub stack: String,
    /// Overlay to apply (repeatable, in order; `base` = none). Default: the active overlays; `base` for commands that read no state
    #[arg(short = 'o', long = "overlay", value_name = "OVERLAY", add = ArgValueCompleter::new(complete::overlays))]
    pub overlays: Vec<String>,
    /// Set a variable; later runs remember it while the same overlays are active (repeatable)
    #[arg(help_heading = "General options", long = "var", value_name = "NAME=VALUE")]
    pub variables: Vec<String>,
    /// Set variables from a YAML file (repeatable)
    #[arg(help_heading = "General options", long = "var-file", value_name = "FILE")]
    pub variable_files: Vec<PathBuf>,
}

/// A stack whose overlays state knows.
#[derive(Debug, Clone, Args)]
pub struct TargetArgs {
    /// Stack as `NAME`, `NAME@WORKSPACE`, or the path to its folder
    #[arg(add = ArgValueCompleter::new(complete::stacks))]
    pub stack: String,
    /// Set a variable; later runs remember it while the same overlays are active (repeatable)
    #[arg(help_heading = "General options", long = "var", value_name = "NAME=VALUE")]
    pub variables: Vec<String>,
    /// Set variables from a YAML file (repeatable)
    #[arg(help_heading = "General options", long = "var-file", value_name = "FILE")]
    pub variable_files: Vec<PathBuf>,
}

impl TargetArgs {
    /// The same with overlays.
    pub fn under(&self, overlays: Vec<String>) -> LayerArgs {
        LayerArgs {
            stack: self.stack.clone(),
            overlays,
            variables: self.variables.clone(),
            variable_files: self.variable_files.clone(),
        }
    }
}

/// What a switch assumes lost, and what it carries.
#[derive(Debug, Clone, Default, Args)]
pub struct LossArgs {
    /// Fault domain that is lost, e.g. `linode:us-east` (repeatable). Default: the overlay's `assumes_lost`
    #[arg(long, value_name = "FAULT_DOMAIN", conflicts_with = "planned")]
    pub lost: Vec<String>,
    /// Both sites are up: wait for replication and health before users are moved
    #[arg(long)]
    pub planned: bool,
    /// Also apply changes that were pending before the switch
    #[arg(long)]
    pub include_pending: bool,
}

/// A switch without the store.
#[derive(Debug, Clone, Default, Args)]
pub struct BundleArgs {
    /// Bundle of `state export` to switch from, with no store, checkout or git; no shared lease protects such a switch
    #[arg(long, value_name = "BUNDLE", value_hint = ValueHint::FilePath)]
    pub from: Option<PathBuf>,
    /// With --from and --yes: accept that another machine may be switching or applying at the same time
    #[arg(long, requires = "from")]
    pub no_shared_lease: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Plain {
    #[default]
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
pub struct WorldArgs {
    /// Use the embedded cloud in state/sandbox/; needs no account or credentials
    #[arg(help_heading = "General options", long, env = "LIFEBOAT_SANDBOX", value_parser = clap::builder::FalseyValueParser::new())]
    pub sandbox: bool,
    /// Clock of a new sandbox: `manual`, or a speed-up factor over wall-clock time
    #[arg(help_heading = "General options", long, value_name = "SPEED", default_value = "100")]
    pub sandbox_clock: String,
}

/// What guards let through.
#[derive(Debug, Clone, Default, Args)]
pub struct AllowArgs {
    /// Allow this resource, which holds data, to be deleted or replaced (repeatable)
    #[arg(help_heading = "Allowances", long, value_name = "ADDRESS", add = ArgValueCompleter::new(complete::addresses))]
    pub allow_delete: Vec<String>,
    /// Allow replacing this resource although drift is the only reason (repeatable)
    #[arg(help_heading = "Allowances", long, value_name = "ADDRESS")]
    pub allow_replace: Vec<String>,
    /// Allow overwriting a change that somebody made outside of lifeboat to where this sends users (repeatable)
    #[arg(help_heading = "Allowances", long, value_name = "ADDRESS")]
    pub revert_drift: Vec<String>,
    /// Allow up to N deletions or replacements
    #[arg(help_heading = "Allowances", long, value_name = "N")]
    pub allow_destroys: Option<usize>,
    /// Accept that up to N recorded resources no longer exist
    #[arg(help_heading = "Allowances", long, value_name = "N")]
    pub allow_absent: Option<usize>,
    /// Allow users to be without service, e.g. to send them to a site that is down
    #[arg(help_heading = "Allowances", long)]
    pub allow_outage: bool,
    /// Allow changes to every member of a DynamoDB group while one of its members is lost
    #[arg(help_heading = "Allowances", long)]
    pub allow_group_changes: bool,
    /// Do not wait for the gate of this resource; users are sent to it whether or not it serves (repeatable)
    #[arg(help_heading = "Allowances", long, value_name = "ADDRESS", add = ArgValueCompleter::new(complete::addresses))]
    pub skip_gate: Vec<String>,
    /// Why gates are skipped; asked for where it is missing, and kept in the journal and in the report
    #[arg(help_heading = "Allowances", long, value_name = "TEXT", requires = "skip_gate")]
    pub because: Option<String>,
}

/// How fast a run goes, and how it is told.
#[derive(Debug, Clone, Default, Args)]
pub struct RunArgs {
    /// Output format; as JSON, stdout is one document about the run, and all else goes to stderr
    #[arg(long, value_enum, default_value = "text")]
    pub format: Plain,
    /// Maximum concurrent steps per provider [default: 10 for Linode, 4 for DynamoDB]
    #[arg(help_heading = "General options", long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=100))]
    pub parallel: Option<u16>,
    /// Polling interval while waiting, e.g. `10s` [default: 1s at first, then the kind's interval]
    #[arg(help_heading = "General options", long, value_name = "DURATION")]
    pub poll: Option<String>,
    /// Append one JSON object per event of the run to this file
    #[arg(help_heading = "General options", long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub events: Option<PathBuf>,
}

impl RunArgs {
    /// Where events are told, if anywhere.
    pub fn log(&self) -> Result<Option<Arc<EventLog>>, OpsError> {
        self.events.as_deref().map(EventLog::open).transpose().map(|it| it.map(Arc::new))
    }

    pub fn pace(&self) -> Result<Pacing, OpsError> {
        let seconds = |text: &String| match parse_duration(text) {
            Some(seconds) if (1..=3_600).contains(&seconds) => Ok(Duration::from_secs(seconds)),
            _ => Err(OpsError::usage(
                format!("`--poll {text}` is not a valid polling interval"),
                "write 1s to 1h, such as 10s",
            )),
        };
        let poll = self.poll.as_ref().map(seconds).transpose()?;
        Ok(Pacing { at_once: self.parallel.map(usize::from), poll })
    }
}

#[derive(Debug, Clone, Args)]
pub struct ShapeArgs {
    /// Output format
    #[arg(long, value_enum, default_value = "text")]
    pub format: Format,
    /// Truncate Markdown output to N bytes; deletions are never omitted
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

/// What is special about the way home.
#[derive(Debug, Clone, Args)]
pub struct FailbackArgs {
    /// Fault domain that is still down and must not be touched (repeatable)
    #[arg(long, value_name = "FAULT_DOMAIN")]
    pub lost: Vec<String>,
    /// Keep standby-only resources instead of deleting them
    #[arg(long)]
    pub keep_standby: bool,
    /// Also apply changes that were pending before the switch
    #[arg(long)]
    pub include_pending: bool,
}

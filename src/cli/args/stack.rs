//! What most commands are given: a stack with its layers, the world, what is lost, what is allowed, and how to print.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum, ValueHint};
use clap_complete::engine::ArgValueCompleter;

use crate::cli::complete;

use crate::engine::lang::check::gate::parse_duration;
use crate::engine::retry::Pacing;
use crate::ops::error::OpsError;

/// A stack and what is laid over it.
#[derive(Debug, Clone, Args)]
pub struct LayerArgs {
    /// `NAME`, `NAME@WORKSPACE` or the path of a stack's folder; for apply also a saved plan
    #[arg(add = ArgValueCompleter::new(complete::stacks), value_hint = ValueHint::AnyPath)]
    pub stack: String,
    /// Lay this overlay over the stack; `base` means none; several in order. Without: what state says is active, or the base where no state is read
    #[arg(short = 'o', long = "overlay", value_name = "OVERLAY", add = ArgValueCompleter::new(complete::overlays))]
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
pub struct TargetArgs {
    /// `NAME`, `NAME@WORKSPACE` or the path of a stack's folder
    #[arg(add = ArgValueCompleter::new(complete::stacks))]
    pub stack: String,
    /// Set a variable
    #[arg(long = "var", value_name = "NAME=VALUE")]
    pub variables: Vec<String>,
    /// Set variables from a YAML file
    #[arg(long = "var-file", value_name = "FILE")]
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
pub struct WorldArgs {
    /// Use the embedded cloud under state/sandbox/: no account, no credentials
    #[arg(long, env = "LIFEBOAT_SANDBOX", value_parser = clap::builder::FalseyValueParser::new())]
    pub sandbox: bool,
    /// How the sandbox's time runs when its world is new: `manual`, or how many times as fast as the wall's
    #[arg(long, value_name = "SPEED", default_value = "100")]
    pub sandbox_clock: String,
}

/// What guards let through.
#[derive(Debug, Clone, Default, Args)]
pub struct AllowArgs {
    /// Let this object, which holds data, be deleted or replaced
    #[arg(long, value_name = "ADDRESS", add = ArgValueCompleter::new(complete::addresses))]
    pub allow_delete: Vec<String>,
    /// Replace this object though nothing but a change outside lifeboat is the reason
    #[arg(long, value_name = "ADDRESS")]
    pub allow_replace: Vec<String>,
    /// Send users where the layers say, though somebody has sent them elsewhere outside lifeboat
    #[arg(long, value_name = "ADDRESS")]
    pub revert_drift: Vec<String>,
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

/// How fast a run goes.
#[derive(Debug, Clone, Default, Args)]
pub struct Speed {
    /// Steps at once, of each provider [default: 10 of Linode, 4 of DynamoDB]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=100))]
    pub parallel: Option<u16>,
    /// Between two looks of one wait, e.g. `10s` [default: a second at first, later what the kind says]
    #[arg(long, value_name = "DURATION")]
    pub poll: Option<String>,
}

impl Speed {
    pub fn pace(&self) -> Result<Pacing, OpsError> {
        let seconds = |text: &String| match parse_duration(text) {
            Some(seconds) if (1..=3_600).contains(&seconds) => Ok(Duration::from_secs(seconds)),
            _ => Err(OpsError::usage(
                format!("`--poll {text}` is no time between two looks"),
                "write 1s to 1h, such as 10s",
            )),
        };
        let poll = self.poll.as_ref().map(seconds).transpose()?;
        Ok(Pacing { at_once: self.parallel.map(usize::from), poll })
    }
}

#[derive(Debug, Clone, Args)]
pub struct ShapeArgs {
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

//! What `audit` is given.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::cli::args::stack::WorldArgs;

#[derive(Debug, Clone, Args)]
pub struct AuditArgs {
    /// Stack as `NAME`, `NAME@WORKSPACE`, or the path to its folder
    #[arg(required_unless_present = "rules")]
    pub stack: Option<String>,
    /// Overlay to audit (repeatable). Default: every overlay with `assumes_lost`
    #[arg(long, value_name = "OVERLAY")]
    pub to: Vec<String>,
    /// Output format
    #[arg(long, value_enum, default_value = "text")]
    pub format: AuditFormat,
    /// Also call the clouds: check for drift, that replicas are active in their groups, and that the resources still to be created are available
    #[arg(long)]
    pub online: bool,
    /// Exit with code 1 for warnings, too
    #[arg(long)]
    pub strict: bool,
    /// Fault domain that this machine and its copy of the state are in, e.g. `linode:us-east`
    #[arg(long, value_name = "FAULT_DOMAIN")]
    pub here: Option<String>,
    /// List the audit rules and exit
    #[arg(long)]
    pub rules: bool,
    /// Set a variable (repeatable)
    #[arg(long = "var", value_name = "NAME=VALUE")]
    pub variables: Vec<String>,
    /// Set variables from a YAML file (repeatable)
    #[arg(long = "var-file", value_name = "FILE")]
    pub variable_files: Vec<PathBuf>,
    #[command(flatten)]
    pub world: WorldArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AuditFormat {
    Text,
    Json,
    /// SARIF 2.1.0, for code scanning
    Sarif,
}

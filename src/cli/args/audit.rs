//! What `audit` is given.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::cli::args::stack::WorldArgs;

#[derive(Debug, Clone, Args)]
pub struct AuditArgs {
    /// `NAME`, `NAME@WORKSPACE` or the path of a stack's folder
    #[arg(required_unless_present = "rules")]
    pub stack: Option<String>,
    /// Audit the switch to this overlay; several. Without: to every overlay that has `assumes_lost`
    #[arg(long, value_name = "OVERLAY")]
    pub to: Vec<String>,
    /// How to print what was found
    #[arg(long, value_enum, default_value = "text")]
    pub format: AuditFormat,
    /// Also ask the clouds: drift, whether replicas are active members of their groups, and whether what is yet to be made can be had
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
    pub world: WorldArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AuditFormat {
    Text,
    Json,
    /// SARIF 2.1.0, for code hosts
    Sarif,
}

//! The words of `policy`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::cli::args::stack::Plain;

#[derive(Debug, Clone, Subcommand)]
pub enum PolicyCommand {
    /// Run the tests that stand in files of policies
    ///
    /// Exits with 1 if a test fails, or if there is none.
    Test(PolicyTestArgs),
}

#[derive(Debug, Clone, Args)]
pub struct PolicyTestArgs {
    /// Files of policies; if omitted, policies/*.yaml beside stacks/
    pub files: Vec<PathBuf>,
    /// Output format
    #[arg(long, value_enum, default_value_t)]
    pub format: Plain,
}

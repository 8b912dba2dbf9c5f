//! The words of `lifeboat ci`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum, ValueHint};

use crate::cli::args::stack::{AllowArgs, LayerArgs, LossArgs, RunArgs, WorldArgs};

#[derive(Debug, Subcommand)]
pub enum CiCommand {
    /// Validate and plan, store the plan, and post it in the pull request
    ///
    /// There is one comment for each stack, and each run writes it anew. Nothing of a fork is stored.
    #[command(
        after_help = "Examples:\n  lifeboat ci plan shop\n  lifeboat ci plan shop --sarif lifeboat.sarif\n  lifeboat ci plan shop --sandbox --host none"
    )]
    Plan(Box<CiPlanArgs>),
    /// Apply the plan that was reviewed, and say so in its pull request
    ///
    /// Runs on the main branch. Anything that was not reviewed exits with 3, and its plan is posted; it runs once somebody has typed
    /// `lifeboat approve STACK DIGEST`.
    #[command(
        after_help = "Examples:\n  lifeboat ci apply shop\n  lifeboat ci apply shop --format json"
    )]
    Apply(CiApplyArgs),
    /// Look for drift, audit, and keep one issue about what was found
    ///
    /// Exits with 2 when there is something to do, and with 0 when all is well; then the issue is closed.
    #[command(
        after_help = "Examples:\n  lifeboat ci drift shop --drill-max-age 30d\n  lifeboat ci drift shop --online"
    )]
    Drift(CiDriftArgs),
}

/// Which pipelines `init` writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum CiHost {
    /// Workflows of GitHub Actions, for hosted runners
    #[default]
    Github,
    /// A pipeline of GitLab CI/CD
    Gitlab,
    /// No pipeline
    None,
}

/// Where a job tells what it did.
#[derive(Debug, Clone, Default, Args)]
pub struct CodeHostArgs {
    /// Code host to post to [default: the one that runs this job]
    #[arg(help_heading = "Code host", long, value_enum)]
    pub host: Option<HostArg>,
    /// User that the token comments as; only for the token of an app other than the code host's own
    #[arg(help_heading = "Code host", long, value_name = "LOGIN")]
    pub author: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum HostArg {
    Github,
    Gitlab,
    /// Gitea and Forgejo
    Gitea,
    /// Print what would be posted
    None,
}

#[derive(Debug, Args)]
pub struct CiPlanArgs {
    #[command(flatten)]
    pub layers: LayerArgs,
    #[command(flatten)]
    pub world: WorldArgs,
    #[command(flatten)]
    pub allow: AllowArgs,
    #[command(flatten)]
    pub losing: LossArgs,
    /// Force replacement of this resource
    #[arg(long, value_name = "ADDRESS")]
    pub replace: Vec<String>,
    /// Compare the audit, the policies, and `state:` with where this branch left COMMIT
    /// [default: the target of the pull request]
    #[arg(long, value_name = "COMMIT")]
    pub base: Option<String>,
    /// Write mistakes and audit findings to FILE as SARIF 2.1.0
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub sarif: Option<PathBuf>,
    /// Write the counts of the plan to FILE for GitLab's widget (`artifacts: reports: terraform:`)
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub gitlab_report: Option<PathBuf>,
    #[command(flatten)]
    pub told: CodeHostArgs,
}

#[derive(Debug, Args)]
pub struct CiApplyArgs {
    #[command(flatten)]
    pub layers: LayerArgs,
    #[command(flatten)]
    pub world: WorldArgs,
    #[command(flatten)]
    pub run: RunArgs,
    #[command(flatten)]
    pub told: CodeHostArgs,
}

#[derive(Debug, Args)]
pub struct CiDriftArgs {
    #[command(flatten)]
    pub layers: LayerArgs,
    #[command(flatten)]
    pub world: WorldArgs,
    /// Report when no drill has passed within this time, e.g. `30d`
    #[arg(long, value_name = "DURATION")]
    pub drill_max_age: Option<String>,
    /// Let the audit call the clouds, too
    #[arg(long)]
    pub online: bool,
    /// Write mistakes and audit findings to FILE as SARIF 2.1.0
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub sarif: Option<PathBuf>,
    #[command(flatten)]
    pub told: CodeHostArgs,
}

impl CiCommand {
    pub fn layers(&self) -> &LayerArgs {
        match self {
            Self::Plan(it) => &it.layers,
            Self::Apply(it) => &it.layers,
            Self::Drift(it) => &it.layers,
        }
    }

    pub fn world(&self) -> &WorldArgs {
        match self {
            Self::Plan(it) => &it.world,
            Self::Apply(it) => &it.world,
            Self::Drift(it) => &it.world,
        }
    }
}

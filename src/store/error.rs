//! What can go wrong with a store, and the way out of it.

use std::path::{Path, PathBuf};

use crate::engine::state::codec::CodecError;

/// Why nothing may be changed any more under a lease.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Over {
    /// Asked to stop: what is in flight is finished and recorded, nothing new starts.
    #[error("preempted by {by}")]
    Preempted { by: String },
    /// Not ours any more: nothing can be recorded either.
    #[error("the lease was lost: {why}")]
    Lost { why: String },
}

/// What a holder keeps its lease against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Grip {
    /// Everybody but a switch.
    Loose,
    /// Everybody but a switch to other overlays than these; an older lifeboat does not say to which it goes.
    Switch { to: Option<Vec<String>> },
    /// A switch that was asked for before this one to these overlays was.
    Later { to: Vec<String> },
}

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("cannot {verb} {}", file.display())]
    Io { verb: &'static str, file: PathBuf, source: std::io::Error },
    #[error("the state in {} is being changed by {by}", folder.display())]
    Held { folder: PathBuf, by: String, grip: Grip },
    #[error("{over} (the state in {})", folder.display())]
    Over { folder: PathBuf, over: Over },
    #[error("{} cannot be read: {source}", file.display())]
    Broken { file: PathBuf, source: CodecError },
    #[error("the state in {} contradicts itself: {}", folder.display(), wrong.join("; "))]
    Integrity { folder: PathBuf, wrong: Vec<String> },
    #[error("{} is the claim of the last epoch that can be counted: no lease can follow it", file.display())]
    LastEpoch { file: PathBuf },
    #[error("{} cannot be read: {why}", file.display())]
    Memory { file: PathBuf, why: String },
}

impl StoreError {
    /// What to do about it.
    pub fn advice(&self) -> String {
        match self {
            Self::Io { .. } => "check that the folder exists, is writable and has room".into(),
            Self::Held { grip: Grip::Switch { to: Some(to) }, .. } => format!(
                "wait until it is done; the lease goes with its process. It is a switch to {}, and only another switch turns it",
                named(to)
            ),
            Self::Held { grip: Grip::Switch { to: None }, .. } => {
                "wait until it is done, or stop its process: the lease goes with it. It is a switch that does not say where it goes, and none takes the lease from it".into()
            }
            Self::Held { grip: Grip::Later { to }, .. } => format!(
                "it is a switch to {}, and was asked for later than this one, which ends here; if this one is meant all the same, run it again",
                named(to)
            ),
            Self::Held { grip: Grip::Loose, .. } => {
                "wait until it is done; the lease goes with its process. `failover` and `failback` may take it over".into()
            }
            Self::Over { .. } => {
                "the state is whole; when the other is done, run the command again".into()
            }
            Self::Broken { source: CodecError::Newer(_), .. } => {
                "use the lifeboat that wrote it, or a newer one; nothing was changed".into()
            }
            Self::Broken { file, .. } => {
                let folder = file.parent().map(|it| it.join("history").display().to_string());
                format!(
                    "nothing was changed; the file before it is in {}, or restore the folder from version control",
                    folder.unwrap_or_default()
                )
            }
            Self::LastEpoch { .. } => {
                "no lifeboat has come so far; nothing was changed: remove the file".into()
            }
            Self::Memory { .. } => {
                "nothing was changed; move it away to start anew: the history and the time of the last switch are then forgotten".into()
            }
            Self::Integrity { .. } => {
                "nothing was changed; restore an older snapshot from the folder's history/".into()
            }
        }
    }
}

fn named(overlays: &[String]) -> String {
    if overlays.is_empty() { "base".into() } else { overlays.join(" + ") }
}

pub(super) fn io(verb: &'static str, file: &Path) -> impl FnOnce(std::io::Error) -> StoreError {
    let file = file.to_owned();
    move |source| StoreError::Io { verb, file, source }
}

pub(super) fn broken(file: PathBuf) -> impl FnOnce(CodecError) -> StoreError {
    move |source| StoreError::Broken { file, source }
}

//! What can go wrong with a store, and the way out of it.

use std::path::{Path, PathBuf};

use crate::engine::state::codec::CodecError;
use crate::engine::text::advice::{AdvisedCommand, in_world};

/// Why nothing may be changed any more under a lease.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LeaseEnd {
    /// Asked to stop: what is in flight is finished and recorded, nothing new starts.
    #[error("preempted by {by}")]
    Preempted { by: String },
    /// Not ours any more: nothing can be recorded either.
    #[error("the lease was lost: {why}")]
    Lost { why: String },
}

/// What a holder keeps its lease against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeldBy {
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
    Held { folder: PathBuf, by: String, grip: HeldBy },
    #[error("{over} (the state in {})", folder.display())]
    Over { folder: PathBuf, over: LeaseEnd },
    #[error("{} cannot be read: {source}", file.display())]
    Broken { file: PathBuf, source: CodecError },
    #[error(
        "{} is damaged at byte {offset}, {source}; the entries before it are whole: up to number {entry}, serial {serial}",
        file.display()
    )]
    Damaged { file: PathBuf, offset: usize, serial: u64, entry: u64, source: CodecError },
    /// Something that is written after the state, or with it, knows more than it does.
    #[error("{}: {what} was recorded, as {} tells, and {}", standing(*has), told_by.display(), place(*has, folder))]
    Outdated {
        folder: PathBuf,
        /// Its serial; `None`: there is no state.
        has: Option<u64>,
        what: String,
        told_by: PathBuf,
    },
    #[error(
        "git tracks the state in {}: {}", repository.join(folder).display(), files.join(", ")
    )]
    Tracked { repository: PathBuf, folder: String, files: Vec<String> },
    #[error("nothing whole is left of the state in {}: no snapshot, no journal, no history", folder.display())]
    NothingWhole { folder: PathBuf },
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
            Self::Held { grip: HeldBy::Switch { to: Some(to) }, .. } => format!(
                "wait until it is done; the lease goes with its process. It is a switch to {}, and only another switch turns it",
                named(to)
            ),
            Self::Held { grip: HeldBy::Switch { to: None }, .. } => {
                "wait until it is done, or stop its process: the lease goes with it. It is a switch that does not say where it goes, and none takes the lease from it".into()
            }
            Self::Held { grip: HeldBy::Later { to }, .. } => format!(
                "it is a switch to {}, and was asked for later than this one, which ends here; if this one is meant all the same, run it again",
                named(to)
            ),
            Self::Held { grip: HeldBy::Loose, .. } => {
                "wait until it is done; the lease goes with its process. Only a switch of the same stack, `failover` or `failback`, takes it over".into()
            }
            Self::Over { .. } => {
                "the state is whole; when the other is done, run the command again".into()
            }
            Self::Broken { source: CodecError::Newer(_), .. } => {
                "use the lifeboat that wrote it, or a newer one; nothing was changed".into()
            }
            Self::Broken { file, .. } | Self::Damaged { file, .. } => restore(
                file.parent().unwrap_or(file),
                "nothing was changed; go on from what is whole, with what is damaged kept aside",
            ),
            Self::Outdated { folder, has: Some(_), .. } => restore(
                folder,
                "nothing was changed: an old state would undo what was done since. Put the newer one back, or the newest that its history holds",
            ),
            Self::Outdated { folder, has: None, .. } => restore(
                folder,
                "nothing was changed: without its state everything would be made a second time. Put it back, or the newest that its history holds",
            ),
            Self::Tracked { repository, folder, .. } => format!(
                "nothing was changed: a checkout would put an old state in place of the newest, and whoever has a clone has its key. \
                 Take it out of git, the files stay: `git -C '{}' rm -r -q --cached -- '{folder}'`, and add the line `/state/*` to .gitignore",
                repository.display()
            ),
            Self::LastEpoch { file } => {
                let folder = file.parent().and_then(Path::parent).unwrap_or(file);
                format!(
                    "no lifeboat has come so far, so the claim was not written by one; nothing was changed. Epochs only grow, so it must not be removed while anybody may write: when no lifeboat runs anywhere, move {} away",
                    folder.join("lease").display()
                )
            }
            Self::NothingWhole { .. } => {
                "nothing was changed; put the folder back from a backup, or from the machine that applied last".into()
            }
            Self::Memory { .. } => {
                "nothing was changed; move it away to start anew: the history and the time of the last switch are then forgotten".into()
            }
            Self::Integrity { folder, .. } => {
                restore(folder, "nothing was changed; go on from the newest that is sound")
            }
        }
    }
}

/// With the one command that goes on from there.
fn restore(folder: &Path, why: &str) -> String {
    let (stack, is_sandbox) = named_by(folder);
    let text = format!("{why}: {}", AdvisedCommand::StateRestore { stack: &stack });
    in_world(&text, is_sandbox, None).into_owned()
}

/// The stack as commands name it, and whether it is the sandbox's: a state lies in the folder of its stack, and the sandbox's
/// states below its own.
fn named_by(folder: &Path) -> (String, bool) {
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let below = |up: usize| folder.ancestors().nth(up).and_then(Path::file_name);
    let is_sandbox =
        below(1).is_some_and(|it| it == "states") && below(2).is_some_and(|it| it == "sandbox");
    (name, is_sandbox)
}

fn standing(has: Option<u64>) -> &'static str {
    if has.is_some() { "the state is outdated" } else { "the state is missing" }
}

fn place(has: Option<u64>, folder: &Path) -> String {
    match has {
        Some(serial) => format!("{} has serial {serial}", folder.display()),
        None => format!("{} holds none", folder.display()),
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

//! What can go wrong with a store, and the way out of it.

use std::path::{Path, PathBuf};

use crate::engine::state::codec::CodecError;
use crate::engine::state::copies_error::CopiesError;
use crate::engine::state::stores_record::StoreRole;
use crate::engine::text::advice::{AdvisedCommand, in_world};
use crate::engine::text::names::OverlayNames;
use crate::store::seal_error::SealError;

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

/// Against whom a holder keeps its lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeldBy {
    /// Everybody but a switch.
    Loose,
    /// Everybody but a switch to other overlays than these; an older lifeboat does not say to which it goes.
    Switch { to: Option<Vec<String>> },
    /// A switch that was asked for before this one to these overlays was.
    Later { to: Vec<String> },
}

/// Why a store behind a network did not do what it was asked. Law 1: only [`RemoteFault::Unreachable`] can mean that it is lost; all
/// others are answers, and no silence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RemoteFault {
    /// Nobody answered, or only something that says that it is not well.
    Unreachable,
    /// It answered that there are too many requests, or that others were at it at the same time.
    Throttled,
    /// The credentials are missing, wrong or expired, or do not allow it.
    Denied,
    /// There is no such bucket or table.
    Missing,
    /// The bucket or the table is elsewhere.
    WrongRegion,
    /// It answered that it does not do such a thing.
    Rejected,
    /// What answers is not what was expected: it speaks something else, or cannot prove who it is.
    Malformed,
}

/// One request to a store behind a network that did not end well.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot {verb} {place}: {words} ({endpoint})")]
pub struct RemoteError {
    pub fault: RemoteFault,
    pub verb: &'static str,
    /// What it was about: a key, or the whole store.
    pub place: String,
    /// Who was asked.
    pub endpoint: String,
    pub words: String,
    pub advice: String,
}

/// Why a state cannot be read, locked or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("cannot {verb} {}", file.display())]
    Io { verb: &'static str, file: PathBuf, source: std::io::Error },
    #[error("the state in {} is locked by {by}", folder.display())]
    Held { folder: PathBuf, by: String, grip: HeldBy },
    #[error("{over} (the state in {})", folder.display())]
    Over { folder: PathBuf, over: LeaseEnd },
    #[error("{} cannot be read: {source}", file.display())]
    Broken { folder: PathBuf, file: PathBuf, source: CodecError },
    #[error(
        "{} is damaged at byte {offset}, {source}; the entries before it are intact: up to number {entry}, serial {serial}",
        file.display()
    )]
    Damaged {
        folder: PathBuf,
        file: PathBuf,
        offset: usize,
        serial: u64,
        entry: u64,
        source: CodecError,
    },
    /// Something that is written after the state, or with it, knows more than it does.
    #[error("{}: {what} was recorded, according to {}, but {}", standing(*has), told_by.display(), place(*has, folder))]
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
    #[error("no intact part is left of the state in {}: no snapshot, no journal, no history", folder.display())]
    NothingWhole { folder: PathBuf },
    #[error("the state in {} is inconsistent: {}", folder.display(), wrong.join("; "))]
    Integrity { folder: PathBuf, wrong: Vec<String> },
    #[error("{} has the highest possible epoch, so no new lease can be taken", file.display())]
    EpochsExhausted { file: PathBuf },
    #[error("{} cannot be read: {why}", file.display())]
    Memory { file: PathBuf, why: String },
    #[error("the state is no longer in {}: {by} moved it to {to}", folder.display())]
    Moved {
        folder: PathBuf,
        to: String,
        by: String,
        /// The number of the last entry that changed anything and went along.
        touched: Option<u64>,
    },
    #[error("{} contains the state of the stack {found}, not of {stack}", folder.display())]
    OtherStack { folder: PathBuf, found: String, stack: String },
    #[error("{} already contains a state: lineage {lineage}, serial {serial}", folder.display())]
    Occupied { folder: PathBuf, lineage: String, serial: u64 },
    /// The stack file does not say in a way that can be understood where the state is kept.
    #[error("{}:{line}: {what}", file.display())]
    Undeclared { file: PathBuf, line: u32, what: String, remedy: String },
    /// The key of an encrypted state, or whether it is one at all.
    #[error(transparent)]
    Seal(Box<SealError>),
    #[error(transparent)]
    Remote(Box<RemoteError>),
    /// Which of two copies is believed, or may be written to, is not as somebody wants it.
    #[error("{why}")]
    Copies { folder: PathBuf, why: CopiesError },
    /// Its answers to puts cannot be believed, so it can keep no lease.
    #[error("{store} cannot keep states: {seen}")]
    Unfit { store: String, seen: String, advice: String },
}

impl From<SealError> for StoreError {
    fn from(why: SealError) -> Self {
        Self::Seal(Box::new(why))
    }
}

impl StoreError {
    /// Whether the same call may succeed in a moment: nobody said no.
    pub fn is_transient(&self) -> bool {
        use std::io::ErrorKind::{ConnectionReset, Interrupted, TimedOut};
        match self {
            Self::Io { source, .. } => {
                matches!(source.kind(), ConnectionReset | Interrupted | TimedOut)
            }
            Self::Remote(it) => {
                matches!(it.fault, RemoteFault::Unreachable | RemoteFault::Throttled)
            }
            _ => false,
        }
    }

    /// Whether what cannot be read may be whole all the same: in a moment, or with the right key.
    pub fn is_about_asker(&self) -> bool {
        self.is_transient() || matches!(self, Self::Seal(_))
    }

    /// Whether what is stored is not what was written, so that another copy may be whole.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Broken { source, .. } | Self::Damaged { source, .. } => {
                !matches!(source, CodecError::Newer(_))
            }
            _ => false,
        }
    }

    /// The same of a whole log: what is missing in it is damage as well.
    pub fn is_incomplete(&self) -> bool {
        self.is_damage() || matches!(self, Self::Outdated { .. })
    }

    /// Whether the bucket or the table itself is not there.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Remote(it) if it.fault == RemoteFault::Missing)
    }

    /// Why, where the file is told already.
    pub fn cause(&self) -> String {
        match self {
            Self::Io { source, .. } => source.to_string(),
            other => other.to_string(),
        }
    }

    /// What to do about it.
    pub fn advice(&self) -> String {
        match self {
            Self::Moved { to, .. } => format!(
                "nothing was changed; the stack file of this checkout is older than the move. Get the newer one (`git pull`), whose `state:` names {to}; if the move was cut off, run the same `state migrate` again"
            ),
            Self::OtherStack { .. } => {
                "nothing was changed; give each stack a prefix of its own, or a folder of its own".into()
            }
            Self::Occupied { .. } => {
                "nothing was changed; choose a store, or a prefix in it, that holds no other state".into()
            }
            Self::Copies { folder, why } => copies_advice(&named_by(folder).0, why),
            Self::Undeclared { remedy, .. } => remedy.clone(),
            Self::Remote(it) => it.advice.clone(),
            Self::Seal(it) => it.advice(),
            Self::Unfit { advice, .. } => advice.clone(),
            Self::Io { .. } => "check that the folder exists, is writable, and has free space".into(),
            Self::Held { grip: HeldBy::Switch { to: Some(to) }, .. } => format!(
                "wait until it has finished; the lease is released when its process ends. It is a switch to {}, and only another switch can preempt it",
                OverlayNames(to)
            ),
            Self::Held { grip: HeldBy::Switch { to: None }, .. } => {
                "wait until it has finished, or stop its process to release the lease. It is a switch that does not name its target, so it cannot be preempted".into()
            }
            Self::Held { grip: HeldBy::Later { to }, .. } => format!(
                "it is a switch to {} that was requested after this one, so this one ends here; to switch anyway, run this command again",
                OverlayNames(to)
            ),
            Self::Held { grip: HeldBy::Loose, .. } => {
                "wait until it has finished; the lease is released when its process ends. Only a switch of the same stack (`failover` or `failback`) can preempt it".into()
            }
            Self::Over { .. } => {
                "the state is intact; run the command again when the other one has finished".into()
            }
            Self::Broken { source: CodecError::Newer(_), .. } => {
                "use the version of lifeboat that wrote it, or a newer one; nothing was changed".into()
            }
            Self::Broken { folder, .. } | Self::Damaged { folder, .. } => restore(
                folder,
                "nothing was changed; restore the newest intact state, keeping the damaged files",
            ),
            Self::Outdated { folder, has: Some(_), .. } => restore(
                folder,
                "nothing was changed: an outdated state would undo later changes. Put the newer state back, or restore the newest one from its history",
            ),
            Self::Outdated { folder, has: None, .. } => restore(
                folder,
                "nothing was changed: without its state, everything would be created a second time. Put the state back, or restore the newest one from its history",
            ),
            Self::Tracked { repository, folder, .. } => format!(
                "nothing was changed: a checkout would replace the newest state with an old one, and every clone contains its key. Remove it from git, keeping the files: `git -C '{}' rm -r -q --cached -- '{folder}'`, and add the line `/state/*` to .gitignore",
                repository.display()
            ),
            Self::EpochsExhausted { file } => {
                let folder = file.parent().and_then(Path::parent).unwrap_or(file);
                format!(
                    "the lease epoch counter is exhausted, so lifeboat did not write this file; nothing was changed. Do not remove it while another process may write: when lifeboat runs nowhere, move {} away",
                    folder.join("lease").display()
                )
            }
            Self::NothingWhole { .. } => {
                "nothing was changed; put the folder back from a backup, or from the machine that applied last".into()
            }
            Self::Memory { .. } => {
                "nothing was changed; move it away to start fresh: this discards the history and the time of the last switch".into()
            }
            Self::Integrity { folder, .. } => {
                restore(folder, "nothing was changed; restore the newest sound state")
            }
        }
    }
}

/// What to do about two copies: nothing goes on in one of them but by a person's word, or by two of three.
fn copies_advice(stack: &str, why: &CopiesError) -> String {
    let keep = |role: StoreRole| AdvisedCommand::StateKeep { stack, role: role.as_str() };
    let suspend = AdvisedCommand::StateMirrorSuspend { stack };
    match why {
        CopiesError::Diverged { .. } => format!(
            "nothing was changed. Compare them, then say which one goes on; the entries of the other are kept under `discarded/`: {}, or {}",
            keep(StoreRole::Primary),
            keep(StoreRole::Mirror)
        ),
        CopiesError::Renamed { .. } => {
            "nothing was changed; the stack file of this checkout is older or newer than the state's stores. Get the right one (`git pull`); stores are changed by `state migrate` alone, and by no other edit of the stack file".into()
        }
        CopiesError::Superseded { role, .. } => format!(
            "nothing was changed: what can be read is older. Run the command again when {role} answers; if it is gone for good, go on with what is left: {}",
            keep(role.other())
        ),
        CopiesError::BothDamaged { .. } => format!(
            "nothing was changed. Say which of them goes on, then restore the newest intact state in it: {}, or {}",
            keep(StoreRole::Primary),
            keep(StoreRole::Mirror)
        ),
        CopiesError::Unknowable { role, .. } => format!(
            "nothing was changed. Say in which of them the state went on last; what only the other one has is kept under `discarded/`: {}, or {}",
            keep(role.other()),
            keep(*role)
        ),
        CopiesError::NoneReadable { damaged: Some(role), .. } => format!(
            "nothing was changed; run the command again when {} answers. If it is gone for good, say that the state goes on in {role}, then restore the newest intact state in it: {}",
            role.other(),
            keep(*role)
        ),
        CopiesError::NoneReadable { .. } => {
            "nothing is known of the state; check the network, then run the command again".into()
        }
        CopiesError::KeptDamaged { .. } => format!(
            "what is there is kept aside; go on from the newest intact state in it: {}",
            AdvisedCommand::StateRestore { stack }
        ),
        CopiesError::StillSilent { .. } => {
            "nothing was changed; run the command again when it answers".into()
        }
        CopiesError::CopyDamaged { role, .. } => format!(
            "nothing was changed; the next run that takes the lease replaces it, as long as {} is intact and the state did not go on without it: {} tells how both are",
            role.other(),
            AdvisedCommand::Status { stack }
        ),
        CopiesError::NotAlone { silent, is_witness_silent: true, .. } => format!(
            "nothing was changed: one store of three decides nothing by itself. Run the command again when another one answers; if they are gone, say that the state goes on in what is left: {}",
            keep(silent.other())
        ),
        CopiesError::NotAlone { silent: StoreRole::Mirror, .. } => format!(
            "nothing was changed; run the command again when it answers. To go on without a mirror until `state mirror resume`: {suspend}"
        ),
        CopiesError::NotAlone { silent: StoreRole::Primary, .. } => format!(
            "nothing was changed; run the command again when it answers. The mirror store goes on alone in a failover under the loss of the primary store's fault domain; {} lists them",
            AdvisedCommand::FailoverWhere { stack }
        ),
        CopiesError::KeptLost { domain, .. } => format!(
            "nothing was changed; once it answers again, say so, and the two copies are compared: {}",
            AdvisedCommand::Recovered { stack, fault_domain: domain }
        ),
        CopiesError::NothingToResolve => "nothing was changed".into(),
        CopiesError::NothingToSuspend => format!(
            "nothing was changed; the next run that takes the lease catches the primary store up once it answers: {} tells how far it is",
            AdvisedCommand::Status { stack }
        ),
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
        None => format!("{} contains none", folder.display()),
    }
}

pub(super) fn io(
    verb: &'static str,
    file: &Path,
) -> impl FnOnce(std::io::Error) -> StoreError + use<> {
    let file = file.to_owned();
    move |source| StoreError::Io { verb, file, source }
}

/// What is in this file of the state in this folder is not what was written.
pub(super) fn broken(
    folder: &Path,
    file: PathBuf,
) -> impl FnOnce(CodecError) -> StoreError + use<> {
    let folder = folder.to_owned();
    move |source| StoreError::Broken { folder, file, source }
}

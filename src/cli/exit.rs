//! Exit codes: documented, named, and chosen in this file only.

use crate::engine::recovery::completion::Completion;
use crate::engine::text::diagnostic::Severity;
use crate::ops::error::OpsError;
use crate::store::error::StoreError;

/// The command line is wrong: `EX_USAGE` of BSD's sysexits(3).
pub const USAGE: u8 = 64;
/// A bug in this program: `EX_SOFTWARE` of BSD's sysexits(3).
pub const BUG: u8 = 70;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done, or nothing to change.
    Done,
    /// Input wrong, a step failed, the world said no.
    Failed,
    /// Changes pending, where `--detailed-exitcode` asks.
    Changes,
    /// Refused before the first call.
    Refused,
    /// The lease is held.
    Held,
    /// Part of the world is unseen: a switch, an apply or a destroy is not over.
    Unseen,
    Usage,
    /// 128 + the signal's number.
    Signal(u8),
}

impl Exit {
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Changes => 2,
            Self::Refused => 3,
            Self::Held => 4,
            Self::Unseen => 5,
            Self::Usage => USAGE,
            Self::Signal(number) => 128 + number,
        }
    }

    /// One word for it, for programs.
    pub fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Changes => "changes",
            Self::Refused => "refused",
            Self::Held => "held",
            Self::Unseen => "unreachable",
            Self::Usage => "usage",
            Self::Signal(_) => "interrupted",
        }
    }
}

impl From<Completion> for Exit {
    /// Silence ends by itself, a no has to be mended.
    fn from(ending: Completion) -> Self {
        match ending {
            Completion::Over => Self::Done,
            Completion::Shared | Completion::Unread => Self::Unseen,
            Completion::Malformed | Completion::Denied | Completion::Undone => Self::Failed,
        }
    }
}

impl From<&OpsError> for Exit {
    fn from(why: &OpsError) -> Self {
        match why {
            OpsError::Mistakes { diagnostics, .. } => {
                let wrong = diagnostics.iter().any(|it| it.severity == Severity::Error);
                if wrong { Self::Failed } else { Self::Refused }
            }
            OpsError::Usage { .. } | OpsError::Unsaid { .. } => Self::Usage,
            OpsError::Store(StoreError::Held { .. } | StoreError::Over { .. }) => Self::Held,
            OpsError::Refused { .. }
            | OpsError::Store(
                StoreError::Outdated { .. }
                | StoreError::Tracked { .. }
                | StoreError::Moved { .. }
                | StoreError::Occupied { .. }
                | StoreError::OtherStack { .. }
                | StoreError::Unfit { .. },
            ) => Self::Refused,
            OpsError::Store(StoreError::Copies { why, .. }) => {
                if why.is_silence() {
                    Self::Unseen
                } else {
                    Self::Refused
                }
            }
            OpsError::Store(StoreError::Seal(it)) if it.is_refusal() => Self::Refused,
            OpsError::Store(it @ StoreError::Remote(_)) if it.is_transient() => Self::Unseen,
            OpsError::Input { .. }
            | OpsError::File { .. }
            | OpsError::Provider(_)
            | OpsError::Store(_)
            | OpsError::Sandbox(_) => Self::Failed,
        }
    }
}

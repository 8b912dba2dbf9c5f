//! What a watcher has to say, one event at a time.

use crate::engine::recovery::users_moved::UsersAre;

/// One event; times are in milliseconds since the Unix epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WatchEvent {
    /// It begins; `remembers`: with what an earlier run has seen.
    Started {
        active: Vec<String>,
        remembers: bool,
    },
    /// The switch would not work.
    Unready {
        why: String,
    },
    ProbeFailed {
        why: String,
        failed: usize,
        of: usize,
    },
    /// Good after a failure.
    ProbeOk {
        good: u32,
        of: u32,
    },
    /// Nothing can be said, so nothing is counted.
    Undecided {
        why: String,
    },
    /// The certificate ends soon.
    CertificateExpires {
        days: i64,
        until: i64,
    },
    Down {
        since: i64,
        failed: usize,
        of: usize,
    },
    Up {
        since: i64,
        good: u32,
    },
    /// It would switch, and has switched lately.
    Cooldown {
        last: i64,
        until: i64,
    },
    /// The overlay is active: there is nothing to switch.
    AlreadySwitched,
    Switching {
        attempt: u32,
    },
    Switched {
        milliseconds: i64,
        /// Moved, or where they were: an overlay may shift no traffic.
        users: UsersAre,
        /// Why the rest of the switch did not end well.
        degraded: Option<String>,
    },
    /// The first good answer after a switch, and how long after its begin, in milliseconds.
    Answered {
        after: i64,
    },
    /// Somebody else is at it; the next round looks again.
    SwitchHeld {
        why: String,
    },
    SwitchFailed {
        why: String,
        exit: Option<i32>,
        again: i64,
    },
    /// What was seen could not be made durable; it is watched on.
    NotSaved {
        why: String,
    },
    /// Heartbeats are written, from now on or again; for which groups.
    Heartbeat {
        groups: Vec<String>,
    },
    /// Some heartbeats are not written from now on, and why.
    NoHeartbeat {
        why: String,
    },
    Stopped {
        why: String,
    },
}

impl WatchEvent {
    /// Whether it is worth telling who does not read the log: a single probe is not.
    pub fn is_news(&self) -> bool {
        !matches!(
            self,
            Self::Started { .. }
                | Self::ProbeFailed { .. }
                | Self::ProbeOk { .. }
                | Self::Undecided { .. }
                | Self::Stopped { .. }
        )
    }

    /// Its name in the log.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Started { .. } => "started",
            Self::Unready { .. } => "unready",
            Self::ProbeFailed { .. } => "probe-failed",
            Self::ProbeOk { .. } => "probe-ok",
            Self::Undecided { .. } => "undecided",
            Self::CertificateExpires { .. } => "certificate-expires",
            Self::Down { .. } => "down",
            Self::Up { .. } => "up",
            Self::Cooldown { .. } => "cooldown",
            Self::AlreadySwitched => "already-switched",
            Self::Switching { .. } => "switching",
            Self::Switched { .. } => "switched",
            Self::Answered { .. } => "answered",
            Self::SwitchHeld { .. } => "switch-held",
            Self::SwitchFailed { .. } => "switch-failed",
            Self::NotSaved { .. } => "not-saved",
            Self::Heartbeat { .. } => "heartbeat",
            Self::NoHeartbeat { .. } => "no-heartbeat",
            Self::Stopped { .. } => "stopped",
        }
    }
}

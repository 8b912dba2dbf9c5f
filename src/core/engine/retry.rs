//! What a fault of a call means, and whether it is worth another attempt.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::engine::observed::UnknownReason;

/// Classes of faults; the edges classify, this module decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorClass {
    /// The object is at work ("Linode busy.", ResourceInUse): the call did nothing, wait and repeat.
    Busy,
    /// Too many calls: the call did nothing, wait as told and repeat.
    Throttled,
    /// The cloud is not well and says that the call did nothing (503), or a read failed in passing.
    Transient,
    /// Sent, and no trustworthy reply: it may have happened. Looked up, never blindly repeated.
    UnknownOutcome,
    /// Nobody answered at all: the call cannot have happened (refused, no route, no such host).
    Unreachable,
    /// The object is not there.
    Missing,
    /// Something of this identity is there already.
    Conflict,
    /// The credentials are missing or wrong.
    Unauthenticated,
    /// The credentials are right and do not allow it.
    Denied,
    /// The cloud refuses what was asked.
    Rejected,
    /// The answer is not what the protocol promises (not JSON, truncated, an empty 200).
    Garbled,
}

impl ErrorClass {
    /// What a person has to do before the same call can succeed; `None`: it may by itself.
    pub fn remedy(self) -> Option<&'static str> {
        match self {
            Self::Unauthenticated => Some("correct the credentials"),
            Self::Denied => Some("grant what was denied"),
            Self::Rejected | Self::Conflict => Some("correct what was refused"),
            Self::Busy
            | Self::Throttled
            | Self::Transient
            | Self::UnknownOutcome
            | Self::Unreachable
            | Self::Missing
            | Self::Garbled => None,
        }
    }

    /// In a few words, for who reads later why a step failed.
    pub fn word(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::Throttled => "throttled",
            Self::Transient => "the cloud fails at the moment: try again",
            Self::UnknownOutcome => "it may have taken effect: the next run looks",
            Self::Unreachable => "unreachable",
            Self::Missing => "not there",
            Self::Conflict => "conflict",
            Self::Unauthenticated => "credentials",
            Self::Denied => "denied",
            Self::Rejected => "refused by the cloud",
            Self::Garbled => "malformed reply",
        }
    }

    /// What it says of the world when a look failed by it.
    pub fn reason(self) -> UnknownReason {
        match self {
            Self::Busy | Self::Throttled => UnknownReason::Throttled,
            Self::Transient | Self::UnknownOutcome | Self::Unreachable => {
                UnknownReason::Unreachable
            }
            Self::Missing
            | Self::Conflict
            | Self::Unauthenticated
            | Self::Denied
            | Self::Rejected => UnknownReason::Denied,
            Self::Garbled => UnknownReason::Malformed,
        }
    }
}

/// How often a wait reads before it may be late. A machine that slept, or was too busy, has not seen what it waits for, and
/// neither has it seen that it did not come: under load, a replication gate once gave up before its first answer. A guess:
/// five reads show a trend, and they take seconds only.
const LOOKS_MIN: u32 = 5;

/// Whether a wait has looked often enough to say that it was too long.
pub fn has_looked(looks: u32) -> bool {
    looks >= LOOKS_MIN
}

/// Whether a wait is over, after so many looks; both times on the clock that it waits by.
pub fn is_late(now: i64, deadline: i64, looks: u32) -> bool {
    now >= deadline && has_looked(looks)
}

/// When a failed call is tried again, and when it is given up.
#[derive(Debug, Clone, Copy)]
pub struct RetryPolicy {
    /// All attempts, the first one included; for `Transient` and `Unreachable`.
    pub attempts: u32,
    /// No attempt begins later than this after the first one; the only limit for `Busy` and `Throttled`, which do end.
    pub within: Duration,
    /// The pause after the first attempt, which then doubles. Half of it is left to chance.
    pub first_pause: Duration,
    pub longest_pause: Duration,
}

/// Reads. Four attempts pause for 3.5 s at most, since a plan waits for each of them; throttling is outlasted for two minutes,
/// twice the window of Linode's rate limits (<https://techdocs.akamai.com/linode-api/reference/rate-limits>).
pub const READING: RetryPolicy = RetryPolicy {
    attempts: 4,
    within: Duration::from_secs(120),
    first_pause: Duration::from_millis(500),
    longest_pause: Duration::from_secs(8),
};

/// Calls that change something. A cloud that is not well gets eight attempts, about a minute in all: users may wait for just
/// this call, and a switch that gives up here leaves them where they are. An object at work gets half an hour: work on an
/// index keeps a DynamoDB table busy for up to 18 minutes (so the source of go-to-k/cdkd says). The pauses are those of the
/// AWS SDK's standard mode, 1 s doubling up to 20 s.
pub const CHANGING: RetryPolicy = RetryPolicy {
    attempts: 8,
    within: Duration::from_secs(1800),
    first_pause: Duration::from_secs(1),
    longest_pause: Duration::from_secs(20),
};

/// Requests to a store of states. A lease lasts 30 s and its holder needs several of them in half of that, so that a request is
/// given up after 10 s; the pauses begin short, since what loses a race is best answered at once.
pub const STORING: RetryPolicy = RetryPolicy {
    attempts: 6,
    within: Duration::from_secs(10),
    first_pause: Duration::from_millis(100),
    longest_pause: Duration::from_secs(2),
};

/// How long a place may say nothing at all before whoever waits for it gives up. A guess: three minutes outlast a restart in
/// front of an API. Without a limit one switch waited 42 minutes for a region that said nothing.
pub const SILENT: Duration = Duration::from_secs(180);

/// How many reads in a row must have met silence before that: each of them has tried several times, and one slow read is not
/// silence.
const SILENT_LOOKS: u32 = 2;

/// How long somebody has said nothing to looks that follow each other.
#[derive(Debug, Clone, Copy, Default)]
pub struct SilenceBudget {
    looks: u32,
    /// Milliseconds since the Unix epoch.
    since: i64,
}

impl SilenceBudget {
    /// After a look; `true`: it has lasted too long. Any answer ends it.
    pub fn lasts(&mut self, is_silent: bool, now: i64) -> bool {
        if !is_silent {
            *self = Self::default();
            return false;
        }
        if self.looks == 0 {
            self.since = now;
        }
        self.looks += 1;
        let silent = Duration::from_millis(u64::try_from(now - self.since).unwrap_or(0));
        self.looks >= SILENT_LOOKS && silent >= SILENT
    }
}

/// How long to wait before the next look, so long after the first: a twenty-fifth of that, so that no wait is overslept
/// by more than 4 %, at least a second, and at most `longest`.
pub fn poll(waited: Duration, longest: Duration) -> Duration {
    (waited / 25).max(Duration::from_secs(1)).min(longest)
}

/// How fast a run goes, where somebody says so.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pacing {
    /// Steps at once, of each provider.
    pub at_once: Option<usize>,
    /// Between two looks of one wait.
    pub poll: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryDecision {
    AgainAfter(Duration),
    GiveUp,
}

/// Decides after the `attempt`-th attempt (from 1) failed, `elapsed` after the first began.
///
/// `chance`, from 0 to 1, spreads those who failed together: without it they would all come back together. A pause of
/// our own is between half and the whole of what doubling says (AWS calls this equal jitter); one that was asked for is
/// kept, and up to a tenth longer.
pub fn decide(
    fault: ErrorClass,
    attempt: u32,
    elapsed: Duration,
    retry_after: Option<Duration>,
    patience: RetryPolicy,
    chance: f64,
) -> RetryDecision {
    let chance = if chance.is_finite() { chance.clamp(0.0, 1.0) } else { 0.0 };
    let doubled = patience.first_pause * 2u32.pow(attempt.saturating_sub(1).min(16));
    let own = doubled.min(patience.longest_pause).mul_f64(0.5 + chance / 2.0);
    let in_time = elapsed.saturating_add(retry_after.unwrap_or(own)) <= patience.within;
    let pause = retry_after
        .map_or(own, |it| it.saturating_add((it / 10).min(patience.longest_pause).mul_f64(chance)));
    let again = match fault {
        ErrorClass::Busy | ErrorClass::Throttled => in_time,
        ErrorClass::Transient | ErrorClass::Unreachable => in_time && attempt < patience.attempts,
        ErrorClass::UnknownOutcome
        | ErrorClass::Missing
        | ErrorClass::Conflict
        | ErrorClass::Unauthenticated
        | ErrorClass::Denied
        | ErrorClass::Rejected
        | ErrorClass::Garbled => false,
    };
    if again { RetryDecision::AgainAfter(pause) } else { RetryDecision::GiveUp }
}

/// How long a container that was just made may be unknown to the part of a cloud that makes something inside it. A guess: as
/// long as an object counts as young, twice the longest lag that was seen in lists.
const NEW_SECONDS: u64 = 60;

/// What a fault means for what is made inside something that was made a moment ago: it may not be known everywhere yet.
pub fn within_new(fault: ErrorClass, elapsed: Duration) -> ErrorClass {
    match fault {
        ErrorClass::Missing if elapsed < Duration::from_secs(NEW_SECONDS) => ErrorClass::Busy,
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{
        CHANGING, ErrorClass, READING, RetryDecision, SilenceBudget, decide, is_late, poll,
        within_new,
    };

    /// A child's create that hears "no such parent" right after that was made: asked again for a minute, not for ever.
    #[test]
    fn within_new_is_patient_until_the_parent_is_known() {
        let again = |seconds: u64| {
            let elapsed = Duration::from_secs(seconds);
            let fault = within_new(ErrorClass::Missing, elapsed);
            decide(fault, 3, elapsed, None, CHANGING, 0.0) != RetryDecision::GiveUp
        };
        assert!(again(0) && again(59) && !again(60));
        assert_eq!(within_new(ErrorClass::Rejected, Duration::ZERO), ErrorClass::Rejected);
    }

    #[test]
    fn poll_reads_more_often_where_little_was_waited() {
        let seconds = |waited, longest| {
            poll(Duration::from_secs(waited), Duration::from_secs(longest)).as_millis()
        };
        assert_eq!([seconds(0, 5), seconds(50, 5), seconds(900, 5)], [1_000, 2_000, 5_000]);
        assert_eq!([seconds(50, 1), seconds(900, 60)], [1_000, 36_000]);
    }

    #[test]
    fn decide_never_repeats_a_lost_reply() {
        let verdict = decide(ErrorClass::UnknownOutcome, 1, Duration::ZERO, None, CHANGING, 1.0);
        assert_eq!(verdict, RetryDecision::GiveUp);
    }

    #[test]
    fn decide_obeys_retry_after_within_its_patience() {
        let after = Some(Duration::from_secs(7));
        assert_eq!(
            decide(ErrorClass::Throttled, 1, Duration::ZERO, after, READING, 0.0),
            RetryDecision::AgainAfter(Duration::from_secs(7))
        );
        let late = decide(ErrorClass::Throttled, 1, READING.within, after, READING, 0.0);
        assert_eq!(late, RetryDecision::GiveUp);
        let spread = decide(ErrorClass::Throttled, 1, Duration::ZERO, after, READING, 1.0);
        assert_eq!(spread, RetryDecision::AgainAfter(Duration::from_millis(7_700)));
        let for_ever = Some(Duration::MAX);
        for fault in [ErrorClass::Throttled, ErrorClass::Busy, ErrorClass::Transient] {
            let verdict = decide(fault, 1, Duration::from_secs(9), for_ever, CHANGING, 1.0);
            assert_eq!(verdict, RetryDecision::GiveUp);
        }
    }

    #[test]
    fn decide_doubles_pauses_up_to_the_longest() {
        let pauses: Vec<_> = (1..7)
            .map(|attempt| decide(ErrorClass::Busy, attempt, Duration::ZERO, None, READING, 1.0))
            .collect();
        assert_eq!(pauses[1], RetryDecision::AgainAfter(Duration::from_secs(1)));
        assert_eq!(pauses[5], RetryDecision::AgainAfter(READING.longest_pause));
        let early = decide(ErrorClass::Busy, 2, Duration::ZERO, None, READING, 0.0);
        assert_eq!(early, RetryDecision::AgainAfter(Duration::from_millis(500)));
    }

    #[test]
    fn is_late_when_its_time_is_over_and_it_has_looked() {
        assert!(is_late(60_000, 60_000, 5));
        assert!(!is_late(59_999, 60_000, 500));
        // The machine slept: its time is over, and it has looked once.
        assert!(!is_late(900_000, 60_000, 1));
    }

    #[test]
    fn lasts_when_a_silence_is_long_and_met_more_than_once() {
        let mut silence = SilenceBudget::default();
        assert!(!silence.lasts(true, 1_000), "one look may have taken all the time");
        assert!(!silence.lasts(true, 180_999));
        assert!(silence.lasts(true, 181_000));
        assert!(!silence.lasts(false, 182_000), "any answer ends it");
        assert!(!silence.lasts(true, 400_000) && !silence.lasts(true, 500_000));
        assert!(silence.lasts(true, 580_000));
    }
}

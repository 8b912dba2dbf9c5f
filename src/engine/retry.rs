//! What a fault of a call means, and whether it is worth another attempt.

use std::time::Duration;

/// Classes of faults; the edges classify, this module decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
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

/// How much patience a call is given.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    pub attempts: u32,
    /// Patience with `Busy` and `Throttled`, which do end, is counted in time.
    pub within: Duration,
    pub first_pause: Duration,
    pub longest_pause: Duration,
}

/// Reads: a few attempts.
pub const READING: Patience = Patience {
    attempts: 4,
    within: Duration::from_secs(120),
    first_pause: Duration::from_millis(500),
    longest_pause: Duration::from_secs(8),
};

/// Calls that change something: long patience with an object at work.
pub const CHANGING: Patience = Patience {
    attempts: 5,
    within: Duration::from_secs(1800),
    first_pause: Duration::from_secs(1),
    longest_pause: Duration::from_secs(20),
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    AgainAfter(Duration),
    GiveUp,
}

/// Decides after the `attempt`-th attempt (from 1) failed, `elapsed` after the first began.
pub fn decide(
    fault: Fault,
    attempt: u32,
    elapsed: Duration,
    retry_after: Option<Duration>,
    patience: Patience,
) -> Verdict {
    let doubled = patience.first_pause * 2u32.pow(attempt.saturating_sub(1).min(16));
    let pause = retry_after.unwrap_or_else(|| doubled.min(patience.longest_pause));
    let in_time = elapsed + pause <= patience.within;
    let again = match fault {
        Fault::Busy | Fault::Throttled => in_time,
        Fault::Transient | Fault::Unreachable => in_time && attempt < patience.attempts,
        Fault::UnknownOutcome
        | Fault::Missing
        | Fault::Conflict
        | Fault::Unauthenticated
        | Fault::Denied
        | Fault::Rejected
        | Fault::Garbled => false,
    };
    if again { Verdict::AgainAfter(pause) } else { Verdict::GiveUp }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{CHANGING, Fault, READING, Verdict, decide};

    #[test]
    fn a_lost_reply_is_never_repeated() {
        let verdict = decide(Fault::UnknownOutcome, 1, Duration::ZERO, None, CHANGING);
        assert_eq!(verdict, Verdict::GiveUp);
    }

    #[test]
    fn retry_after_is_obeyed_and_bounded_by_patience() {
        let after = Some(Duration::from_secs(7));
        assert_eq!(
            decide(Fault::Throttled, 1, Duration::ZERO, after, READING),
            Verdict::AgainAfter(Duration::from_secs(7))
        );
        assert_eq!(decide(Fault::Throttled, 1, READING.within, after, READING), Verdict::GiveUp);
    }

    #[test]
    fn pauses_double_up_to_the_longest() {
        let pauses: Vec<_> = (1..7)
            .map(|attempt| decide(Fault::Busy, attempt, Duration::ZERO, None, READING))
            .collect();
        assert_eq!(pauses[1], Verdict::AgainAfter(Duration::from_secs(1)));
        assert_eq!(pauses[5], Verdict::AgainAfter(READING.longest_pause));
    }
}

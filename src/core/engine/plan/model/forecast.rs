//! What a switch is expected to take, and how sure that is.

use serde::{Deserialize, Serialize};

/// Seconds from the begin until users are directed anew, and how long after it some may still come the old way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExpectedTime {
    pub usual: u64,
    pub dns_bound: u64,
}

/// Expected durations, in seconds, each step as long as the middle one of those like it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forecast {
    /// `None`: no step directs users.
    #[serde(rename = "shifted", alias = "directed")]
    pub directed: Option<ExpectedTime>,
    /// Until everything is done.
    pub whole: u64,
    /// The same as `shifted.usual`, or `whole`, if every step takes as long as the slowest like it.
    pub longest: u64,
    /// On the critical path: how many steps have to be estimated.
    pub steps: usize,
    /// How many of them were measured before; the others take what their kinds say.
    pub measured: usize,
    /// How many measurements that are.
    pub samples: usize,
}

/// What several plans take together, one carried out after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SummedSteps {
    /// In seconds.
    pub whole: u64,
    /// On the critical paths: how many steps have to be estimated, and how many of them were measured before.
    pub steps: usize,
    pub measured: usize,
}

impl SummedSteps {
    /// `None`: nothing of them was ever measured, and a guess helps nobody.
    pub fn of(forecasts: impl IntoIterator<Item = Forecast>) -> Option<Self> {
        let mut together = Self { whole: 0, steps: 0, measured: 0 };
        for it in forecasts {
            together.whole += it.whole;
            together.steps += it.steps;
            together.measured += it.measured;
        }
        (together.measured > 0).then_some(together)
    }
}

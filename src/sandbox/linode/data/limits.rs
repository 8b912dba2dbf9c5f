//! Rate limits: a window per token and operation, in world time.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::http::Millis;

/// So many calls in so many seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    pub calls: u64,
    pub seconds: i64,
}

/// What is allowed; part of the world, so that a test or a benchmark can lift it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateLimits {
    /// For every operation that is not named.
    pub others: Limit,
    /// By `METHOD /path/{}`.
    pub named: BTreeMap<String, Limit>,
}

impl Default for RateLimits {
    /// As linodego's recordings of 2026 show them in `X-RateLimit-Limit`; the windows are those that
    /// <https://techdocs.akamai.com/linode-api/reference/rate-limits> documents.
    fn default() -> Self {
        let named = [
            ("POST /linode/instances", Limit { calls: 20, seconds: 15 }),
            ("POST /linode/instances/{}/rebuild", Limit { calls: 400, seconds: 60 }),
            ("POST /volumes", Limit { calls: 100, seconds: 60 }),
            ("GET /images", Limit { calls: 20, seconds: 60 }),
        ];
        Self {
            others: Limit { calls: 1_840, seconds: 60 },
            named: named.map(|(operation, limit)| (operation.to_owned(), limit)).into(),
        }
    }
}

impl RateLimits {
    /// No limit that anyone would meet.
    pub fn lifted() -> Self {
        Self { others: Limit { calls: 1_000_000_000, seconds: 60 }, named: BTreeMap::new() }
    }

    fn of(&self, operation: &str) -> Limit {
        self.named.get(operation).copied().unwrap_or(self.others)
    }
}

#[derive(Debug)]
struct Window {
    opened: Millis,
    calls: u64,
}

/// What a call finds in its window.
#[derive(Debug, Clone, Copy)]
pub struct RateStanding {
    pub limit: u64,
    pub remaining: u64,
    /// When the window closes, in seconds since the epoch.
    pub reset: i64,
    /// Seconds to wait; `None` when the call is let through.
    pub retry_after: Option<i64>,
}

/// The open windows. They live in the process, not in the world: a window is too short to outlive either.
#[derive(Debug, Default)]
pub struct Windows(BTreeMap<(String, String), Window>);

impl Windows {
    pub fn enter(
        &mut self,
        now: Millis,
        limits: &RateLimits,
        token: &str,
        operation: &str,
    ) -> RateStanding {
        let limit = limits.of(operation);
        let length = limit.seconds * 1_000;
        let window = self
            .0
            .entry((token.to_owned(), operation.to_owned()))
            .or_insert(Window { opened: now, calls: 0 });
        if now >= window.opened + length {
            *window = Window { opened: now, calls: 0 };
        }
        let closes = window.opened + length;
        let allowed = window.calls < limit.calls;
        if allowed {
            window.calls += 1;
        }
        RateStanding {
            limit: limit.calls,
            remaining: limit.calls - window.calls,
            reset: (closes + 999) / 1_000,
            retry_after: (!allowed).then(|| ((closes - now + 999) / 1_000).max(1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{RateLimits, Windows};

    #[test]
    fn enter_fills_a_window_that_opens_again() {
        let (mut windows, limits) = (Windows::default(), RateLimits::default());
        let operation = "POST /linode/instances";
        for _ in 0..20 {
            assert_eq!(windows.enter(0, &limits, "t", operation).retry_after, None);
        }
        let full = windows.enter(1_000, &limits, "t", operation);
        assert_eq!((full.limit, full.remaining, full.retry_after), (20, 0, Some(14)));
        assert_eq!(windows.enter(1_000, &limits, "other", operation).retry_after, None);
        assert_eq!(windows.enter(15_000, &limits, "t", operation).retry_after, None);
    }
}

//! One verb of a store as several requests: how long each may take, what is tried again, and what a failed one says.

use std::error::Error;
use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;

use crate::cloud::retry::chance;
use crate::engine::retry::{ErrorClass, RetryDecision, STORING, decide};
use crate::store::error::{RemoteError, RemoteFault, StoreError};
use crate::store::remote::location::StoreLocation;

/// How long one request may take, apart from its bytes. Both clouds answer such requests within tenths of a second; a lost SYN is
/// sent again after 1 s and after another 2 s (RFC 6298).
const REQUEST_MAX: Duration = Duration::from_secs(4);

/// How many bytes a second are waited for: a slow line at home.
const BYTES_A_SECOND: u64 = 256 * 1024;

/// How long a connection may take.
pub(super) const CONNECT_MAX: Duration = Duration::from_millis(3_100);

/// Whether a request that failed may have done something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RequestEffect {
    /// It did nothing, for certain.
    None,
    /// It may have been carried out, or will be.
    Unknown,
}

/// A request that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FailedRequest {
    pub fault: RemoteFault,
    pub effect: RequestEffect,
    /// How long it asks to be left alone.
    pub pause: Option<Duration>,
    pub words: String,
    pub advice: Option<String>,
}

impl FailedRequest {
    /// With words on one line, whatever a server made of them.
    pub(super) fn new(fault: RemoteFault, effect: RequestEffect, words: impl Into<String>) -> Self {
        let words = words.into().split_whitespace().collect::<Vec<_>>().join(" ");
        Self { fault, effect, pause: None, words, advice: None }
    }

    pub(super) fn advice(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    pub(super) fn after(mut self, pause: Option<Duration>) -> Self {
        self.pause = pause;
        self
    }

    /// Whether the same request may succeed without anybody doing anything.
    pub(super) fn passes(&self) -> bool {
        matches!(self.fault, RemoteFault::Unreachable | RemoteFault::Throttled)
    }

    /// For whoever asked.
    pub(super) fn told(
        self,
        verb: &'static str,
        place: impl ToString,
        location: &StoreLocation,
    ) -> StoreError {
        let Self { fault, words, advice, .. } = self;
        let advice = advice.unwrap_or_else(|| general_advice(fault, location));
        let (place, endpoint) = (place.to_string(), location.address());
        StoreError::Remote(Box::new(RemoteError { fault, verb, place, endpoint, words, advice }))
    }
}

/// What to do where nothing better is known.
fn general_advice(fault: RemoteFault, location: &StoreLocation) -> String {
    let word = location.protocol.container_word();
    match fault {
        RemoteFault::Unreachable => format!(
            "nothing is known of the state; check the network, then run the command again. The fault domain of this store is {}",
            location.fault_domain
        ),
        RemoteFault::Throttled => "wait a moment and run the command again".into(),
        RemoteFault::Denied => {
            format!("correct the credentials of this store, or what they are allowed in the {word}")
        }
        RemoteFault::Missing => format!("create the {word}, or correct its name"),
        RemoteFault::WrongRegion => format!("correct the `region` of the {word}"),
        RemoteFault::Rejected => "correct what the store refused, or use another store".into(),
        RemoteFault::Malformed => {
            "check that `endpoint` leads to the store, and to nothing in front of it".into()
        }
    }
}

/// How many attempts one verb has left.
#[derive(Debug)]
pub(super) struct Patience {
    began: Instant,
    attempt: u32,
}

impl Patience {
    pub(super) fn new() -> Self {
        Self { began: Instant::now(), attempt: 1 }
    }

    /// Waits until the next attempt may begin; `false`: there is none.
    pub(super) async fn again(&mut self, failed: &FailedRequest) -> bool {
        match next(failed, self.attempt, self.began.elapsed(), chance()) {
            RetryDecision::GiveUp => false,
            RetryDecision::AgainAfter(pause) => {
                let (milliseconds, why) = (pause.as_millis(), &failed.words);
                tracing::info!(attempt = self.attempt, milliseconds, why, "asks the store again");
                tokio::time::sleep(pause).await;
                self.attempt += 1;
                true
            }
        }
    }
}

fn next(failed: &FailedRequest, attempt: u32, elapsed: Duration, chance: f64) -> RetryDecision {
    let class = match failed.fault {
        RemoteFault::Throttled => ErrorClass::Throttled,
        RemoteFault::Unreachable => ErrorClass::Transient,
        _ => return RetryDecision::GiveUp,
    };
    decide(class, attempt, elapsed, failed.pause, STORING, chance)
}

/// Repeats what may be repeated, as often as there is patience for.
pub(super) async fn repeated<T, F, Fut>(mut request: F) -> Result<T, FailedRequest>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, FailedRequest>>,
{
    let mut patience = Patience::new();
    loop {
        match request().await {
            Ok(done) => return Ok(done),
            Err(failed) => {
                if !patience.again(&failed).await {
                    return Err(failed);
                }
            }
        }
    }
}

/// Ends a request that takes too long for so many bytes.
pub(super) async fn in_time<T>(
    bytes: u64,
    request: impl Future<Output = Result<T, FailedRequest>>,
) -> Result<T, FailedRequest> {
    let longest = longest(bytes);
    tokio::time::timeout(longest, request).await.unwrap_or_else(|_| {
        let words = format!("no answer within {} s", longest.as_secs());
        Err(FailedRequest::new(RemoteFault::Unreachable, RequestEffect::Unknown, words))
    })
}

fn longest(bytes: u64) -> Duration {
    REQUEST_MAX + Duration::from_secs(bytes / BYTES_A_SECOND)
}

/// An error and what caused it, the outermost first.
pub(super) fn causes<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |it: &&'a (dyn Error + 'static)| (*it).source())
}

/// Whether an error is that of TLS: somebody is there, and it is not who was meant.
pub(super) fn is_tls(error: &(dyn Error + 'static)) -> bool {
    causes(error).any(|it| {
        let words = it.to_string();
        ["invalid peer certificate", "corrupt message", "fatal alert", "InvalidContentType"]
            .iter()
            .any(|part| words.contains(part))
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{FailedRequest, RequestEffect, in_time, longest, next};
    use crate::engine::retry::RetryDecision;
    use crate::store::error::RemoteFault;

    /// How many attempts there are, and how long they pause in all.
    fn attempts(fault: RemoteFault, pause: Option<Duration>) -> (u32, Duration) {
        let failed = FailedRequest::new(fault, RequestEffect::None, "no").after(pause);
        let mut elapsed = Duration::ZERO;
        for attempt in 1..100 {
            match next(&failed, attempt, elapsed, 1.0) {
                RetryDecision::AgainAfter(pause) => elapsed += pause,
                RetryDecision::GiveUp => return (attempt, elapsed),
            }
        }
        panic!("without end");
    }

    #[test]
    fn next_is_bounded_and_never_repeats_a_no() {
        assert_eq!(attempts(RemoteFault::Unreachable, None), (6, Duration::from_millis(3_100)));
        let (throttled, took) = attempts(RemoteFault::Throttled, None);
        assert!(throttled == 9 && took < Duration::from_secs(10), "{throttled} in {took:?}");
        assert_eq!(attempts(RemoteFault::Throttled, Some(Duration::from_secs(4))).0, 3);
        assert_eq!(attempts(RemoteFault::Throttled, Some(Duration::from_hours(1))).0, 1);
        for answer in [
            RemoteFault::Denied,
            RemoteFault::Missing,
            RemoteFault::WrongRegion,
            RemoteFault::Rejected,
            RemoteFault::Malformed,
        ] {
            assert_eq!(attempts(answer, None).0, 1, "{answer:?}");
        }
    }

    #[tokio::test]
    async fn in_time_gives_large_bodies_longer() {
        assert_eq!([longest(0), longest(1024 * 1024)].map(|it| it.as_secs()), [4, 8]);
        in_time(0, async { Ok(()) }).await.unwrap();
    }
}

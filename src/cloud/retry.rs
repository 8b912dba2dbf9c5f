//! The one loop around `engine::retry::decide`: calls again as long as the engine says so, after pauses that nobody shares.

use std::future::Future;
use std::time::Duration;

use tokio::task::JoinSet;
use tracing::Instrument as _;

use crate::cloud::clock::Clock;
use crate::cloud::error::ProviderError;
use crate::engine::retry::{ErrorClass, RetryDecision, RetryPolicy, decide};

/// One pause between two attempts, for whoever shows it.
#[derive(Debug)]
pub struct Backoff<'a> {
    /// The attempt that failed, from 1.
    pub attempt: u32,
    pub pause: Duration,
    pub error: &'a ProviderError,
}

/// Who is told about pauses, e.g. for a progress line.
pub type OnRetry = dyn Fn(&Backoff<'_>) + Send + Sync;

/// Calls until it works or the policy gives up; the last error is returned. Pauses are those of `clock`, which a sandbox makes
/// shorter than they are on the wall. Only for calls that may be repeated: reads, and changes whose outcome is known.
pub async fn with_retry<T, F, Fut>(
    clock: &dyn Clock,
    policy: RetryPolicy,
    told: &(dyn Fn(&Backoff<'_>) + Send + Sync),
    call: F,
) -> Result<T, ProviderError>
where
    F: FnMut(u32) -> Fut,
    Fut: Future<Output = Result<T, ProviderError>>,
{
    let class = |error: &ProviderError, _| error.fault;
    with_retry_by(clock, policy, (Ok, class), told, call).await
}

/// The same where not every failure is the cloud's: `of_cloud` tells, and another is returned at once. `class` says what a
/// failure counts as, so long after the first attempt began.
pub async fn with_retry_by<T, E, F, Fut>(
    clock: &dyn Clock,
    policy: RetryPolicy,
    (of_cloud, class): (
        impl Fn(E) -> Result<ProviderError, E>,
        impl Fn(&ProviderError, Duration) -> ErrorClass,
    ),
    told: &(dyn Fn(&Backoff<'_>) + Send + Sync),
    mut call: F,
) -> Result<T, E>
where
    E: From<ProviderError>,
    F: FnMut(u32) -> Fut,
    Fut: Future<Output = Result<T, E>>,
{
    let began = clock.now();
    let mut attempt = 1;
    loop {
        let error = match call(attempt).await {
            Ok(done) => return Ok(done),
            Err(error) => of_cloud(error)?,
        };
        let elapsed = Duration::from_millis(u64::try_from(clock.now() - began).unwrap_or(0));
        let class = class(&error, elapsed);
        match decide(class, attempt, elapsed, error.retry_after, policy, chance()) {
            RetryDecision::GiveUp => return Err(error.into()),
            RetryDecision::AgainAfter(pause) => {
                let milliseconds = pause.as_millis();
                tracing::info!(attempt, milliseconds, %error, "calls again after a pause");
                told(&Backoff { attempt, pause, error: &error });
                clock.sleep(pause).await;
                attempt += 1;
            }
        }
    }
}

/// A number from 0 to 1 that nobody else draws: those who fail together must not come back together.
pub(crate) fn chance() -> f64 {
    use std::hash::{BuildHasher as _, Hasher as _};
    // Every such state has random keys of its own.
    let drawn = std::hash::RandomState::new().build_hasher().finish();
    f64::from(u32::try_from(drawn >> 32).unwrap_or(0)) / f64::from(u32::MAX)
}

/// Asks one candidate after the other, the next as soon as one fails or says nothing for a while; the first answer counts.
pub(crate) async fn in_turn<C, T, Fut>(
    candidates: impl IntoIterator<Item = C>,
    stagger: Duration,
    passes_on: impl Fn(&ProviderError) -> bool,
    mut ask: impl FnMut(C) -> Fut,
) -> Option<Result<T, ProviderError>>
where
    T: Send + 'static,
    Fut: Future<Output = Result<T, ProviderError>> + Send + 'static,
{
    let mut candidates = candidates.into_iter();
    let mut asked = JoinSet::new();
    let mut last = None;
    loop {
        let next = candidates.next();
        let is_last = next.is_none();
        if let Some(candidate) = next {
            asked.spawn(ask(candidate).in_current_span());
        }
        let answer = tokio::select! {
            answer = asked.join_next() => answer,
            () = tokio::time::sleep(stagger), if !is_last => continue,
        };
        match answer {
            None => return last,
            Some(Ok(Err(error))) if passes_on(&error) => last = Some(Err(error)),
            Some(answer) => {
                return Some(answer.expect("asking does not panic, and nobody cancels it"));
            }
        }
    }
}

/// Tells nobody.
pub fn silently(_: &Backoff<'_>) {}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::{in_turn, with_retry};
    use crate::cloud::clock::Scaled;
    use crate::cloud::error::ProviderError;
    use crate::engine::retry::{ErrorClass, READING};

    const FAST: Scaled = Scaled { anchor: 0, since: 0, speed: 1000.0 };

    #[tokio::test]
    async fn in_turn_skips_a_silent_candidate_and_passes_on_a_failing_one() {
        let moment = std::time::Duration::from_millis(5);
        let ask = async |fates: &'static [&'static str]| {
            let passes_on = |it: &ProviderError| it.fault == ErrorClass::Unreachable;
            let answer = in_turn(fates.iter().copied(), moment, passes_on, |fate| async move {
                match fate {
                    "silent" => std::future::pending().await,
                    "gone" => Err(ProviderError::new(ErrorClass::Unreachable, "x", "gone")),
                    "denied" => Err(ProviderError::new(ErrorClass::Denied, "x", "denied")),
                    answer => Ok(answer),
                }
            });
            answer.await.map(|it| {
                it.unwrap_or_else(|why| match why.fault {
                    ErrorClass::Denied => "denied",
                    _ => "gone",
                })
            })
        };
        assert_eq!(ask(&["silent", "gone", "12"]).await, Some("12"));
        assert_eq!(ask(&["gone", "denied", "12"]).await, Some("denied"));
        assert_eq!(ask(&["gone", "gone"]).await, Some("gone"));
        assert_eq!(ask(&[]).await, None);
    }

    #[tokio::test]
    async fn with_retry_tells_each_pause_and_returns_the_last_error() {
        let told = Mutex::new(Vec::new());
        let calls = AtomicU32::new(0);
        let result: Result<(), _> = with_retry(
            &FAST,
            READING,
            &|pause| told.lock().unwrap().push((pause.attempt, pause.pause.as_millis())),
            |_| {
                calls.fetch_add(1, Ordering::Relaxed);
                async { Err(ProviderError::new(ErrorClass::Transient, "GET x", "bad gateway")) }
            },
        )
        .await;
        assert!(result.is_err());
        assert_eq!(calls.load(Ordering::Relaxed), READING.attempts);
        let told = told.lock().unwrap();
        let attempts: Vec<u32> = told.iter().map(|it| it.0).collect();
        assert_eq!(attempts, [1, 2, 3]);
        for ((_, pause), longest) in told.iter().zip([500, 1_000, 2_000]) {
            assert!((longest / 2..=longest).contains(pause), "{told:?}");
        }
    }
}

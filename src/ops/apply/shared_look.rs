//! One look at the lease for all calls that wait for one: with ten calls at once, a store is asked once and not ten times.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex as PlainMutex, PoisonError};
use std::time::Duration;

use tokio::sync::Mutex;

use crate::store::error::LeaseEnd;
use crate::store::keep_alive::LeaseGuard;

/// How old a look may be when a call leaves. A guess: nobody takes a lease in less than one lease (30 s), so what this delays is how soon
/// a stop request is heard, which otherwise comes with the next heartbeat (5 s).
const RECENT: Duration = Duration::from_secs(1);

/// How many looks at the lease have begun.
pub type LookCount = Arc<AtomicU64>;

/// Looks at the lease, one after another.
#[derive(Debug)]
pub struct SharedLook {
    guard: Arc<LeaseGuard>,
    /// How many looks have begun.
    begun: LookCount,
    last: Mutex<LookResult>,
    /// When the last look began that told nothing bad, on the clock of the lease.
    good: PlainMutex<Option<Duration>>,
}

/// The number of a look, and what it told.
#[derive(Debug)]
struct LookResult {
    number: u64,
    seen: Result<(), LeaseEnd>,
}

impl SharedLook {
    pub fn at(guard: Arc<LeaseGuard>, begun: LookCount) -> Self {
        let last = LookResult { number: 0, seen: Ok(()) };
        let good = PlainMutex::default();
        Self { guard, begun, last: Mutex::new(last), good }
    }

    /// Whether a mutating call may leave now: what a look tells that begins after this was asked (law 4), so that whatever is durable
    /// by now is not of an epoch that was over before it. Asked on a thread of its own: the store may be far away, or not answer for
    /// a while.
    pub async fn fenced(&self) -> Result<(), LeaseEnd> {
        self.fenced_since(self.begun.load(SeqCst)).await
    }

    /// The same for who was told how many looks had begun when its entry became durable: the next one, which may go on already.
    pub async fn fenced_since(&self, begun: u64) -> Result<(), LeaseEnd> {
        let wanted = begun + 1;
        let mut last = self.last.lock().await;
        if last.number < wanted {
            let number = self.begun.fetch_add(1, SeqCst) + 1;
            let guard = Arc::clone(&self.guard);
            let began = guard.clock().now();
            let asked = tokio::task::spawn_blocking(move || guard.ensure_fenced()).await;
            let why = || LeaseEnd::Lost { why: "the look at it was given up".into() };
            *last = LookResult { number, seen: asked.unwrap_or_else(|_| Err(why())) };
            *self.good() = last.seen.is_ok().then_some(began);
        }
        last.seen.clone()
    }

    /// Whether a mutating call may leave now whose caller has looked since it was journalled: a step that has just got its place does
    /// not keep it waiting for another look.
    pub async fn still_fenced(&self) -> Result<(), LeaseEnd> {
        let good = *self.good();
        let is_recent = |since| self.guard.clock().now().saturating_sub(since) < RECENT;
        if good.is_some_and(is_recent) && self.guard.is_confirmed() {
            return Ok(());
        }
        self.fenced().await
    }

    fn good(&self) -> std::sync::MutexGuard<'_, Option<Duration>> {
        self.good.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::Ordering::SeqCst;

    use super::{LookCount, SharedLook};
    use crate::store::error::LeaseEnd;
    use crate::store::state_store::StateStore;
    use crate::store::tests::memory::MemoryBackend;

    /// What fifty are told who ask while a look goes on.
    async fn fifty(look: &Arc<SharedLook>) -> Vec<Result<(), LeaseEnd>> {
        let mut asking = tokio::task::JoinSet::new();
        let going_on = look.last.lock().await;
        look.begun.fetch_add(1, SeqCst);
        for _ in 0..50 {
            let look = Arc::clone(look);
            asking.spawn(async move { look.fenced().await });
        }
        // One thread: each of them comes as far as it can.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        drop(going_on);
        asking.join_all().await
    }

    #[tokio::test]
    async fn fenced_looks_once_for_all_who_ask_while_a_look_goes_on() {
        let store = StateStore::over(MemoryBackend::new());
        let (lease, _) = store.lease("ann", "apply shop", 0).unwrap();
        let look = Arc::new(SharedLook::at(lease.pulse(), LookCount::default()));
        assert!(fifty(&look).await.iter().all(Result::is_ok));
        // The one that went on, and one that began after all had asked.
        assert_eq!(look.begun.load(SeqCst), 2);
        store.backend().delete(&crate::store::key::LEASE.key("00000001.claim")).unwrap();
        assert!(fifty(&look).await.iter().all(Result::is_err));
    }
    #[tokio::test]
    async fn fenced_since_is_told_by_a_look_that_began_after_the_entry_was_durable() {
        let store = StateStore::over(MemoryBackend::new());
        let (lease, _) = store.lease("ann", "apply shop", 0).unwrap();
        let look = SharedLook::at(lease.pulse(), LookCount::default());
        look.fenced().await.unwrap();
        // Durable before that look began: nothing more is asked.
        look.fenced_since(0).await.unwrap();
        assert_eq!(look.begun.load(SeqCst), 1);
        look.fenced_since(1).await.unwrap();
        assert_eq!(look.begun.load(SeqCst), 2);
    }
}

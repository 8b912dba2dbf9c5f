//! One look at the lease for all calls that wait for one: with ten calls at once, a store is asked once and not ten times.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;

use tokio::sync::Mutex;

use crate::store::error::LeaseEnd;
use crate::store::keep_alive::LeaseGuard;

/// Looks at the lease, one after another.
#[derive(Debug)]
pub struct SharedLook {
    guard: Arc<LeaseGuard>,
    /// How many looks have begun.
    begun: AtomicU64,
    last: Mutex<LookResult>,
}

/// The number of a look, and what it told.
#[derive(Debug)]
struct LookResult {
    number: u64,
    seen: Result<(), LeaseEnd>,
}

impl SharedLook {
    pub fn at(guard: Arc<LeaseGuard>) -> Self {
        let last = LookResult { number: 0, seen: Ok(()) };
        Self { guard, begun: AtomicU64::new(0), last: Mutex::new(last) }
    }

    /// Whether a mutating call may leave now: what a look tells that begins after this was asked (law 4), so that whatever is durable
    /// by now is not of an epoch that was over before it. Asked on a thread of its own: the store may be far away, or not answer for
    /// a while.
    pub async fn fenced(&self) -> Result<(), LeaseEnd> {
        let wanted = self.begun.load(SeqCst) + 1;
        let mut last = self.last.lock().await;
        if last.number < wanted {
            let number = self.begun.fetch_add(1, SeqCst) + 1;
            let guard = Arc::clone(&self.guard);
            let asked = tokio::task::spawn_blocking(move || guard.ensure_fenced()).await;
            let why = || LeaseEnd::Lost { why: "the look at it was given up".into() };
            *last = LookResult { number, seen: asked.unwrap_or_else(|_| Err(why())) };
        }
        last.seen.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::Ordering::SeqCst;

    use super::SharedLook;
    use crate::store::error::LeaseEnd;
    use crate::store::state_store::StateStore;
    use crate::store::tests::memory::MemoryBackend;

    async fn fifty(look: &Arc<SharedLook>) -> Vec<Result<(), LeaseEnd>> {
        let mut asking = tokio::task::JoinSet::new();
        for _ in 0..50 {
            let look = Arc::clone(look);
            asking.spawn(async move { look.fenced().await });
        }
        asking.join_all().await
    }

    #[tokio::test]
    async fn fenced_looks_once_for_all_who_ask_while_a_look_goes_on() {
        let store = StateStore::over(MemoryBackend::new());
        let (lease, _) = store.lease("ann", "apply shop", 0).unwrap();
        let look = Arc::new(SharedLook::at(lease.pulse()));
        assert!(fifty(&look).await.iter().all(Result::is_ok));
        // The first one's, and one that began after all others had asked.
        assert_eq!(look.begun.load(SeqCst), 2);
        store.backend().delete(&crate::store::key::LEASE.key("00000001.claim")).unwrap();
        assert!(fifty(&look).await.iter().all(Result::is_err));
    }
}

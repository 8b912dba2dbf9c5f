//! Places for calls in flight, by provider: whoever is next by rank takes the one that is given back, and nobody once the run stops.
//!
//! A step is journalled before it takes a place, so that no place is empty while a store far away makes an entry durable.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, oneshot};

use crate::engine::plan::model::change::{Step, StepCall};
use crate::engine::retry::Pacing;
use crate::engine::schema::Catalog;
use crate::ops::load::session::Session;

/// Waits of a step for the store beside its call: to be journalled, for the look at the lease behind that, for its end; each may just
/// have missed the request before. A guess that is too high costs a crash some more operations to look up.
const STORE_WAITS: u32 = 6;

/// A store that answers within this time is a disk: preparing steps for it saves nothing, and leaves a crash more to look up.
pub const NEAR: Duration = Duration::from_millis(5);

/// How many times the places of a provider are prepared for at most: each step that was prepared is looked up after a crash.
const AHEAD_MAX: usize = 50;

/// Steps at once, by provider: what their drivers say, or what was asked for instead.
pub fn limits(session: &Session, pace: Pacing) -> BTreeMap<String, usize> {
    let limit = |own: usize| pace.at_once.unwrap_or(own).max(1);
    session.provider.at_once().into_iter().map(|(name, own)| (name, limit(own))).collect()
}

/// The provider of a step's kind; empty for a kind that this version does not know, and for a gate that only waits, perhaps for
/// steps that need the place it would take.
pub fn provider_of(catalog: &Catalog, step: &Step) -> String {
    if matches!(step.call, StepCall::Serving { .. } | StepCall::Drain { .. }) {
        return String::new();
    }
    catalog.get(&step.kind).map(|it| it.provider.clone()).unwrap_or_default()
}

/// The longest path behind a step first, then the order of the plan.
pub type SlotRank = (Reverse<u64>, usize);

/// Nothing new leaves any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stopped;

/// The places of one run.
#[derive(Debug, Default)]
pub struct CallSlots {
    table: Mutex<SlotTable>,
    /// A step has acted.
    acted: Notify,
}

#[derive(Debug, Default)]
struct SlotTable {
    providers: BTreeMap<String, ProviderSlots>,
    is_closed: bool,
}

#[derive(Debug)]
struct ProviderSlots {
    total: usize,
    free: usize,
    waiting: BTreeMap<SlotRank, oneshot::Sender<()>>,
    /// How long a place is taken, of late; `None`: none was given back so far.
    taken_for: Option<Duration>,
    /// Steps that have acted, and whose end is not durable yet: others may begin in their stead.
    acted: BTreeSet<usize>,
}

/// A place that is taken until this is dropped.
#[derive(Debug)]
pub struct CallSlot {
    slots: Arc<CallSlots>,
    provider: String,
    since: Instant,
    /// It was not free at once.
    pub was_waited_for: bool,
}

impl CallSlots {
    /// Providers that are not named have no limit.
    pub fn new(totals: &BTreeMap<String, usize>) -> Self {
        let provider = |(name, total): (&String, &usize)| {
            let (total, free) = (*total, *total);
            let (waiting, acted) = (BTreeMap::new(), BTreeSet::new());
            (name.clone(), ProviderSlots { total, free, waiting, taken_for: None, acted })
        };
        let providers = totals.iter().map(provider).collect();
        let table = Mutex::new(SlotTable { providers, is_closed: false });
        Self { table, acted: Notify::new() }
    }

    /// How many steps of a provider are begun beside those that have a place, where each write to the store takes so long: as many
    /// as take a place while one waits for the store (Little's law).
    pub fn ahead(&self, provider: &str, store: Duration) -> usize {
        let table = self.lock();
        let Some(slots) = table.providers.get(provider) else { return 0 };
        let Some(taken_for) = slots.taken_for.filter(|_| store >= NEAR) else { return 0 };
        let in_one_call = (store * STORE_WAITS).as_micros() / taken_for.as_micros().max(1);
        let in_one_call = usize::try_from(in_one_call).unwrap_or(AHEAD_MAX).min(AHEAD_MAX);
        slots.total.saturating_mul(in_one_call).saturating_add(slots.acted.len())
    }

    /// A step has acted: its end is made durable now, without a place.
    pub fn has_acted(&self, provider: &str, step: usize) {
        if let Some(slots) = self.lock().providers.get_mut(provider) {
            slots.acted.insert(step);
            self.acted.notify_one();
        }
    }

    /// The end of a step is durable.
    pub fn has_ended(&self, step: usize) {
        self.lock().providers.values_mut().for_each(|it| {
            it.acted.remove(&step);
        });
    }

    /// Returns when steps have acted since.
    pub async fn acted(&self) {
        self.acted.notified().await;
    }

    /// A place, as soon as there is one and nobody with a higher rank wants it.
    pub async fn take(
        self: &Arc<Self>,
        provider: &str,
        rank: SlotRank,
    ) -> Result<CallSlot, Stopped> {
        let waits = {
            let table = &mut *self.lock();
            if table.is_closed {
                return Err(Stopped);
            }
            match table.providers.get_mut(provider) {
                None => None,
                Some(slots) if slots.free > 0 => {
                    slots.free -= 1;
                    None
                }
                Some(slots) => {
                    let (give, wait) = oneshot::channel();
                    slots.waiting.insert(rank, give);
                    Some(wait)
                }
            }
        };
        let was_waited_for = waits.is_some();
        if let Some(wait) = waits {
            wait.await.map_err(|_| Stopped)?;
        }
        Ok(CallSlot {
            slots: Arc::clone(self),
            provider: provider.to_owned(),
            since: Instant::now(),
            was_waited_for,
        })
    }

    /// Whoever waits, or comes later, is turned away.
    pub fn close(&self) {
        let table = &mut *self.lock();
        table.is_closed = true;
        table.providers.values_mut().for_each(|it| it.waiting.clear());
    }

    fn give_back(&self, provider: &str, took: Duration) {
        let mut table = self.lock();
        let Some(slots) = table.providers.get_mut(provider) else { return };
        // The last few count: what was made a minute ago may have been of another kind.
        slots.taken_for = Some(slots.taken_for.map_or(took, |it| (it * 7 + took) / 8));
        while let Some((_, next)) = slots.waiting.pop_first() {
            // One that was given up does not listen any more.
            if next.send(()).is_ok() {
                return;
            }
        }
        slots.free += 1;
    }

    fn lock(&self) -> MutexGuard<'_, SlotTable> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for CallSlot {
    fn drop(&mut self) {
        self.slots.give_back(&self.provider, self.since.elapsed());
    }
}

#[cfg(test)]
mod tests {
    use std::cmp::Reverse;
    use std::collections::BTreeMap;
    use std::sync::Arc;
    use std::time::Duration;

    use futures_util::FutureExt as _;

    use super::{AHEAD_MAX, CallSlots, Stopped};

    fn slots(total: usize) -> Arc<CallSlots> {
        Arc::new(CallSlots::new(&BTreeMap::from([("linode".to_owned(), total)])))
    }

    #[tokio::test]
    async fn take_gives_a_place_to_the_highest_rank_that_waits() {
        let slots = slots(1);
        let first = slots.take("linode", (Reverse(1), 0)).await.unwrap();
        let mut low = Box::pin(slots.take("linode", (Reverse(1), 1)));
        let mut high = Box::pin(slots.take("linode", (Reverse(9), 2)));
        assert!(low.as_mut().now_or_never().is_none() && high.as_mut().now_or_never().is_none());
        drop(first);
        assert!(low.as_mut().now_or_never().is_none(), "the other one goes first");
        let high = high.now_or_never().expect("it is its turn").unwrap();
        drop(high);
        low.now_or_never().expect("it is its turn").unwrap();
    }

    #[tokio::test]
    async fn take_passes_over_who_was_given_up() {
        let slots = slots(1);
        let first = slots.take("linode", (Reverse(1), 0)).await.unwrap();
        let mut gone = Box::pin(slots.take("linode", (Reverse(9), 1)));
        assert!(gone.as_mut().now_or_never().is_none());
        drop(gone);
        drop(first);
        assert!(slots.take("linode", (Reverse(1), 2)).now_or_never().is_some());
    }

    #[tokio::test]
    async fn take_turns_everybody_away_after_close() {
        let slots = slots(1);
        let _first = slots.take("linode", (Reverse(1), 0)).await.unwrap();
        let mut waiting = Box::pin(slots.take("linode", (Reverse(1), 1)));
        assert!(waiting.as_mut().now_or_never().is_none());
        slots.close();
        assert_eq!(waiting.await.unwrap_err(), Stopped);
        assert_eq!(slots.take("linode", (Reverse(1), 2)).await.unwrap_err(), Stopped);
        assert_eq!(slots.take("", (Reverse(1), 3)).await.unwrap_err(), Stopped, "no limit either");
    }

    #[test]
    fn ahead_keeps_places_taken_while_a_store_is_waited_for() {
        let slots = slots(10);
        let ahead = |store: u64| slots.ahead("linode", Duration::from_millis(store));
        assert_eq!(ahead(30), 0, "nothing is known of the calls");
        slots.give_back("linode", Duration::from_millis(90));
        assert_eq!((ahead(30), ahead(45), ahead(1)), (20, 30, 0));
        assert_eq!(ahead(60_000), 10 * AHEAD_MAX);
        assert_eq!(slots.ahead("", Duration::from_secs(1)), 0, "it has no limit anyway");
        slots.has_acted("linode", 7);
        assert_eq!((ahead(30), ahead(1)), (21, 0), "another one begins in its stead");
        slots.has_ended(7);
        assert_eq!(ahead(30), 20);
    }
}

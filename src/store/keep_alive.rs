//! The heartbeat of a lease: confirms again and again that the epoch is still ours, and says whether a call may leave.
//!
//! Where a look may be answered from a cache (NFS keeps listings for seconds), it is as old as the last heartbeat, which
//! writes before it looks: that is what half a lease is for. On a disk of this machine it is never old.
//!
//! What remains: a process that is stopped between the last look and the request itself, for longer than who preempts it
//! waits, makes that one call when it wakes up. Its step is begun in the journal, so the new holder looks what became of it.

use std::fmt;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::store::error::{LeaseEnd, StoreError};
use crate::store::lease_clock::LeaseClock;
use crate::store::lock_record::{Heartbeat, HeldEpoch, LockRecords, wall};

/// How often a holder publishes how far it has come, besides its heartbeats: writing this small file costs a tenth of a
/// durable journal entry, so at ten a second it does not slow a run down.
const SAID_EVERY: Duration = Duration::from_millis(100);

/// How often a holder that was stopped while it looked at its lease looks again.
const LOOKS_MAX: u32 = 3;

/// Where it takes longer, as behind a network, it takes at most this part of the time: a twentieth.
const SAID_SHARE: u32 = 20;

/// How long a store that cannot be reached is waited for: longer than most outages of one endpoint, and than a person looks on.
const OUTAGE_MAX: Duration = Duration::from_secs(15 * 60);

/// How long it is waited for once somebody wants to stop: as long as calls in flight are (DESIGN §2).
const GIVEN_UP_AFTER: Duration = Duration::from_secs(5);

/// The pause between two attempts to reach it.
const OUTAGE_PAUSE: Duration = Duration::from_millis(500);

/// Why a look at the lease told nothing good.
enum LookFailure {
    Over(LeaseEnd),
    /// The store could not be asked.
    Unclear(StoreError),
}

impl From<LeaseEnd> for LookFailure {
    fn from(over: LeaseEnd) -> Self {
        Self::Over(over)
    }
}

impl From<StoreError> for LookFailure {
    fn from(why: StoreError) -> Self {
        Self::Unclear(why)
    }
}

/// How far a state has come: published with the heartbeats, so that an older copy is known as such.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RenewalState {
    /// The number of its last entry.
    pub sequence: u64,
    pub serial: u64,
}

/// How long a lease holds without a heartbeat, and how often it is renewed: time on the wall, whatever clock the world has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseTimes {
    /// No call leaves while the last confirmed heartbeat is older than half of this. The other half is for listings that NFS
    /// keeps for seconds, and for clocks that differ.
    pub lease: Duration,
    pub heartbeat: Duration,
}

impl Default for LeaseTimes {
    /// Three heartbeats fit into half a lease, so that one that is slow or lost stops nobody. The lease itself is a guess: a
    /// longer one would keep a switch waiting for a machine that died, a shorter one would end on a busy disk.
    fn default() -> Self {
        Self { lease: Duration::from_secs(30), heartbeat: Duration::from_secs(5) }
    }
}

impl LeaseTimes {
    /// How long a call that changes something may take at most: half a lease, less what the last confirmed heartbeat is old when it
    /// leaves. Who takes the lease from a silent holder waits as long before it looks what became of such a call.
    pub fn call_deadline(self) -> Duration {
        self.lease / 2
    }
}

/// Told once, when the lease ends before its time.
type Listener = Box<dyn FnOnce(&LeaseEnd) + Send>;

/// The heartbeat of one lease, shared by all who act under it.
pub struct LeaseGuard {
    claims: LockRecords,
    epoch: u64,
    times: LeaseTimes,
    clock: Arc<dyn LeaseClock>,
    /// Whether the last heartbeat was written. One at a time writes.
    released: Mutex<bool>,
    inner: Mutex<GuardState>,
    outage: Mutex<StoreOutage>,
    wake: Condvar,
}

/// A store that cannot be reached.
#[derive(Default)]
struct StoreOutage {
    since: Option<Duration>,
    is_told: bool,
    /// When it is no longer waited for.
    given_up: Option<Duration>,
    tell: Option<OutageListener>,
}

/// Told what the store did not answer.
type OutageListener = Box<dyn Fn(&str) + Send>;

struct GuardState {
    /// When the last heartbeat that was confirmed began.
    confirmed: Duration,
    over: Option<LeaseEnd>,
    /// Something was journalled; before that nothing can be in flight.
    is_writing: bool,
    is_done: bool,
    listeners: Vec<Listener>,
    /// How far the state has come: said with every heartbeat, so that an older state is known as such.
    reached: RenewalState,
    /// When that was said last, and how long it took.
    said: Option<Duration>,
    said_in: Duration,
    /// It is to be said by the thread that renews the lease.
    is_to_say: bool,
    /// The locked claim.
    lock: Option<HeldEpoch>,
}

impl fmt::Debug for LeaseGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pulse").field("epoch", &self.epoch).finish_non_exhaustive()
    }
}

impl LeaseGuard {
    /// Whether a mutating call may leave now; an error means that it must not, now or later.
    ///
    /// Every call reads the epoch and the stop request again, not only deletes, replacements and traffic shifts: it is one
    /// listing of a few keys. Where the last confirmed heartbeat is older than half a lease, the lease is renewed first. A store
    /// that cannot be reached pauses the call.
    pub fn ensure_fenced(&self) -> Result<(), LeaseEnd> {
        for _ in 0..LOOKS_MAX {
            let began = self.patiently(|| {
                let began = self.clock.now();
                if self.is_young() { self.look() } else { self.beat() }.map(|()| began)
            })?;
            // Who was stopped meanwhile looked long ago.
            let took = self.clock.now().saturating_sub(began);
            if took < self.times.lease / 2 && self.is_young() {
                return Ok(());
            }
        }
        let why = "each look at the lease takes longer than half of it".into();
        Err(LeaseEnd::Lost { why })
    }

    /// Whether what was written so far stands: the epoch is the newest. What is asked for makes no difference.
    pub fn is_ours(&self) -> Result<(), LeaseEnd> {
        self.patiently(|| {
            let sight = self.claims.look(self.epoch)?;
            if sight.newest == Some(self.epoch) {
                Ok(())
            } else {
                Err(self.lost(sight.newest).into())
            }
        })
    }

    /// The same, without a look where none is needed: nobody takes the lease before it is one lease old, or before one lease
    /// has passed since somebody asked for it, and that is heard with the next heartbeat.
    pub fn is_surely_ours(&self) -> Result<(), LeaseEnd> {
        if self.over().is_none() {
            if self.is_young() {
                return Ok(());
            }
            match self.patiently(|| self.beat()) {
                Ok(()) if self.is_young() => return Ok(()),
                Ok(()) | Err(LeaseEnd::Preempted { .. }) => {}
                Err(lost) => return Err(lost),
            }
        }
        self.is_ours()
    }

    /// Whether nothing has ended it, and the last confirmed heartbeat is younger than half a lease.
    pub fn is_confirmed(&self) -> bool {
        self.over().is_none() && self.is_young()
    }

    fn is_young(&self) -> bool {
        self.age() < self.times.call_deadline()
    }

    /// How long a call that leaves now may take.
    pub fn time_left(&self) -> Duration {
        self.times.call_deadline().saturating_sub(self.age())
    }

    /// Tries again while the store cannot be reached, up to a limit.
    fn patiently<T>(
        &self,
        mut look: impl FnMut() -> Result<T, LookFailure>,
    ) -> Result<T, LeaseEnd> {
        loop {
            match look() {
                Ok(seen) => {
                    self.reached();
                    return Ok(seen);
                }
                Err(LookFailure::Over(over)) => return Err(over),
                Err(LookFailure::Unclear(why)) => {
                    if !why.is_transient() || !self.waits_out(&why) {
                        return Err(self.unclear(&why));
                    }
                }
            }
        }
    }

    /// Pauses after a call that the store did not answer; false: it was waited for long enough, or somebody wants to stop. All
    /// who wait for it share one outage.
    pub fn waits_out(&self, why: &StoreError) -> bool {
        let now = self.clock.now();
        let mut outage = self.outage();
        let since = *outage.since.get_or_insert(now);
        let is_given_up = outage.given_up.is_some_and(|it| now >= it);
        if is_given_up || now.saturating_sub(since) > OUTAGE_MAX {
            return false;
        }
        if let Some(tell) = outage.tell.as_ref().filter(|_| !outage.is_told) {
            tell(&why.to_string());
            outage.is_told = true;
        }
        drop(outage);
        tracing::warn!(%why, "the store of the state cannot be reached; waiting for it");
        self.clock.sleep(OUTAGE_PAUSE);
        true
    }

    /// The store answers.
    pub fn reached(&self) {
        let mut outage = self.outage();
        outage.since = None;
        outage.is_told = false;
    }

    /// Somebody wants to stop: a store that cannot be reached is waited for a moment longer, so that what is in flight can be
    /// recorded if it was only slow.
    pub fn stop_waiting(&self) {
        self.outage().given_up.get_or_insert(self.clock.now() + GIVEN_UP_AFTER);
    }

    /// Who is told, once for each outage, that the store cannot be reached and why.
    pub fn when_unreachable(&self, tell: impl Fn(&str) + Send + 'static) {
        self.outage().tell = Some(Box::new(tell));
    }

    fn outage(&self) -> MutexGuard<'_, StoreOutage> {
        self.outage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The clock that this lease is measured with.
    pub fn clock(&self) -> &dyn LeaseClock {
        &*self.clock
    }

    /// How old the last confirmed heartbeat is.
    fn age(&self) -> Duration {
        self.clock.now().saturating_sub(self.lock().confirmed)
    }

    /// Notes how much is durable now. It is published with the next heartbeat at the latest, and at most every 100 ms.
    pub fn knows(&self, reached: RenewalState) {
        if self.is_to_be_said(reached) {
            self.say();
        }
    }

    /// The same for who goes on writing: nothing waits for it.
    pub fn knows_meanwhile(&self, reached: RenewalState) {
        if self.is_to_be_said(reached) {
            self.lock().is_to_say = true;
            self.wake.notify_all();
        }
    }

    fn is_to_be_said(&self, reached: RenewalState) -> bool {
        let mut inner = self.lock();
        inner.reached = reached;
        let pause = SAID_EVERY.max(inner.said_in * SAID_SHARE);
        let now = self.clock.now();
        let is_due = inner.said.is_none_or(|it| now.saturating_sub(it) >= pause);
        if is_due {
            inner.said = Some(now);
        }
        is_due
    }

    fn say(&self) {
        let began = self.clock.now();
        self.write_beat(false).ok();
        self.lock().said_in = self.clock.now().saturating_sub(began);
    }

    /// Before anything is written. Who was asked to stop before that has already given the lease back.
    pub fn begin_writing(&self) -> Result<(), LeaseEnd> {
        let mut inner = self.lock();
        match &inner.over {
            Some(LeaseEnd::Preempted { .. }) if inner.is_writing => Ok(()),
            Some(over) => Err(over.clone()),
            None => {
                inner.is_writing = true;
                Ok(())
            }
        }
    }

    /// Why the lease ended before its time, if it did.
    pub fn over(&self) -> Option<LeaseEnd> {
        self.lock().over.clone()
    }

    /// Who is told when it ends before its time; at once, if it has.
    pub fn when_over(&self, tell: impl FnOnce(&LeaseEnd) + Send + 'static) {
        let mut inner = self.lock();
        match inner.over.clone() {
            None => inner.listeners.push(Box::new(tell)),
            Some(over) => {
                drop(inner);
                tell(&over);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, GuardState> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn look(&self) -> Result<(), LookFailure> {
        if let Some(over) = self.over() {
            return Err(over.into());
        }
        let sight = self.claims.look(self.epoch)?;
        if sight.newest != Some(self.epoch) {
            return Err(self.lost(sight.newest).into());
        }
        if sight.is_asked {
            let stop = self.claims.asked(self.epoch)?;
            let by = stop.map_or_else(|| "another process".into(), |it| it.by());
            return Err(self.end_lease(LeaseEnd::Preempted { by }).into());
        }
        Ok(())
    }

    /// One heartbeat. It is written before it is confirmed, so that who finds it old has claimed before we look.
    fn beat(&self) -> Result<(), LookFailure> {
        let now = self.clock.now();
        let written = self.write_beat(false);
        self.look()?;
        written?;
        self.lock().confirmed = now;
        Ok(())
    }

    fn write_beat(&self, is_released: bool) -> Result<(), StoreError> {
        let mut released = self.released.lock().unwrap_or_else(PoisonError::into_inner);
        if *released {
            return Ok(());
        }
        *released = is_released;
        let RenewalState { sequence, serial } = self.lock().reached;
        self.claims.beat(self.epoch, Heartbeat { at: wall(), is_released, sequence, serial })
    }

    /// It cannot be told whether the lease is ours: nothing leaves, and the next look may know better.
    fn unclear(&self, why: &StoreError) -> LeaseEnd {
        let age = self.age().as_secs();
        let cause = std::error::Error::source(why).map_or_else(String::new, |it| format!(": {it}"));
        LeaseEnd::Lost { why: format!("the last heartbeat is {age} s old, and {why}{cause}") }
    }

    fn lost(&self, newest: Option<u64>) -> LeaseEnd {
        let holder = self.claims.newest().ok().flatten();
        let why = match (newest, holder) {
            (Some(_), Some(it)) if it.epoch > self.epoch => {
                format!("epoch {} belongs to {}", it.epoch, it.holder())
            }
            (Some(newest), _) => format!("a newer epoch exists: {newest}"),
            (None, _) => "its lock file was removed from the state folder".into(),
        };
        self.end_lease(LeaseEnd::Lost { why })
    }

    /// The lease ends before its time; what it ended with first is what is told, but lost is final.
    ///
    /// The order is the protocol of law 4. First nothing more begins: that is decided under the lock. Then, where nothing was
    /// begun, it is given back at once, so that nobody waits for a person at a prompt: the heartbeat says so before the file
    /// lock goes, or who finds the lock free would take the holder for dead. Listeners come last and without the lock, since
    /// they may ask.
    fn end_lease(&self, over: LeaseEnd) -> LeaseEnd {
        let mut inner = self.lock();
        let is_final = matches!(over, LeaseEnd::Lost { .. });
        if let Some(first) = &inner.over
            && !(is_final && matches!(first, LeaseEnd::Preempted { .. }))
        {
            return first.clone();
        }
        inner.over = Some(over.clone());
        let listeners = std::mem::take(&mut inner.listeners);
        let is_given_back = !is_final && !inner.is_writing;
        let lock = if is_given_back { inner.lock.take() } else { None };
        drop(inner);
        if is_given_back {
            self.write_beat(true).ok();
            drop(lock);
        }
        for tell in listeners {
            tell(&over);
        }
        over
    }

    /// Beats until the lease is given back or lost.
    fn keep_renewing(&self) {
        let mut next = Instant::now() + self.times.heartbeat;
        loop {
            let inner = self.lock();
            let left = next.saturating_duration_since(Instant::now());
            let (mut inner, _) = self
                .wake
                .wait_timeout_while(inner, left, |it| !it.is_done && !it.is_to_say)
                .unwrap_or_else(PoisonError::into_inner);
            if inner.is_done || matches!(inner.over, Some(LeaseEnd::Lost { .. })) {
                return;
            }
            let is_to_say = std::mem::take(&mut inner.is_to_say);
            drop(inner);
            if Instant::now() >= next {
                // What it finds out is kept and told; what it cannot find out it tries again.
                self.beat().ok();
                next = Instant::now() + self.times.heartbeat;
            } else if is_to_say {
                self.say();
            }
        }
    }
}

impl KeepAlive {
    /// Somebody else has the lease: nothing is said of this one any more.
    pub fn abandon(self) {
        *self.pulse.released.lock().unwrap_or_else(PoisonError::into_inner) = true;
    }
}

/// Renews a lease on a thread of its own; the lease is given back when this is dropped.
#[derive(Debug)]
pub struct KeepAlive {
    pub pulse: Arc<LeaseGuard>,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// How many leases this process has, and has not given back.
static HELD: AtomicUsize = AtomicUsize::new(0);

/// Whether this process would leave a lease behind if it ended now.
pub fn is_any_held() -> bool {
    HELD.load(Relaxed) > 0
}

impl KeepAlive {
    /// Starts with a claim just made, whose lock it holds from now on.
    pub fn start(
        claims: LockRecords,
        epoch: u64,
        times: LeaseTimes,
        clock: Arc<dyn LeaseClock>,
        lock: HeldEpoch,
    ) -> Self {
        let confirmed = clock.now();
        let pulse = Arc::new(LeaseGuard {
            claims,
            epoch,
            times,
            clock,
            released: Mutex::new(false),
            inner: Mutex::new(GuardState {
                confirmed,
                over: None,
                is_writing: false,
                is_done: false,
                listeners: Vec::new(),
                reached: RenewalState::default(),
                said: None,
                said_in: Duration::ZERO,
                is_to_say: false,
                lock: Some(lock),
            }),
            outage: Mutex::default(),
            wake: Condvar::new(),
        });
        let felt = Arc::clone(&pulse);
        let thread = std::thread::spawn(move || felt.keep_renewing());
        HELD.fetch_add(1, Relaxed);
        Self { pulse, thread: Some(thread) }
    }
}

impl Drop for KeepAlive {
    fn drop(&mut self) {
        self.pulse.lock().is_done = true;
        self.pulse.wake.notify_all();
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
        // A machine that the lock does not reach learns it from this; where it cannot be written it waits one lease.
        if self.pulse.outage().since.is_none() {
            self.pulse.write_beat(true).ok();
        }
        let lock = self.pulse.lock().lock.take();
        drop(lock);
        self.pulse.claims.end_epoch();
        HELD.fetch_sub(1, Relaxed);
    }
}

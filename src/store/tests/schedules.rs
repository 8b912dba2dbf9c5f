//! Three writers of one state in every order that a seed draws: killed, paused past their lease, cut off from the store, with lost replies. At every moment at most one changes the clouds, and nothing acknowledged is lost.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use crate::engine::state::stores_record::NamedStores;
use crate::store::backend::{Backend, PutCondition, PutOutcome, StoredObject};
use crate::store::error::{StoreError, io as io_error};
use crate::store::keep_alive::LeaseTimes;
use crate::store::key::{KeyPrefix, StoreKey};
use crate::store::lease::Lease;
use crate::store::lease_clock::LeaseClock;
use crate::store::mirror::look::{LookMemory, MirrorStores};
use crate::store::mirror::pair::MirroredBackend;
use crate::store::preempt::SwitchCommand;
use crate::store::state_store::StateStore;
use crate::store::tests::memory::MemoryBackend;
use crate::store::tests::{VirtualClock, bound, founded};

/// How many schedules there are; each takes some milliseconds.
const SEEDS: u64 = 2_000;

/// How many over two stores, each of which takes three times as long.
const MIRRORED_SEEDS: u64 = 600;

const WRITERS: usize = 3;

/// More turns than any schedule takes: one that takes more goes round in a circle.
const TURNS_MAX: u64 = 50_000;

/// What a call to the store takes.
const CALL: Duration = Duration::from_millis(30);

/// A writer's own heart does not beat beside it: it renews its lease before a call, so that one thread makes every call.
const TIMES: LeaseTimes =
    LeaseTimes { lease: Duration::from_secs(30), heartbeat: Duration::from_secs(36_000) };

/// Draws numbers, the same for the same seed.
#[derive(Debug)]
struct Dice(u64);

impl Dice {
    /// xorshift64*
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) % sides
    }
}

/// Where a writer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WriterState {
    Running,
    /// It goes on at this time, when its turn comes.
    Waiting(Duration),
    Ended,
}

/// One world: who goes on next, what time it is, and what the clouds saw.
#[derive(Debug)]
struct ScheduledWorld {
    dice: Dice,
    now: Duration,
    turns: u64,
    writers: Vec<WriterState>,
    is_dead: Vec<bool>,
    /// Until when a writer cannot reach a store.
    cut_off: Vec<[Duration; 3]>,
    /// The epochs of calls to the clouds, in their order.
    calls: Vec<u64>,
    acknowledged: Vec<String>,
}

#[derive(Debug)]
struct WriterSchedule {
    world: Mutex<ScheduledWorld>,
    turn: Condvar,
}

/// The store and the clock as one writer has them.
#[derive(Debug, Clone)]
struct Seat {
    schedule: Arc<WriterSchedule>,
    store: Arc<MemoryBackend>,
    /// Which of the stores it is.
    at: usize,
    writer: usize,
}

impl WriterSchedule {
    fn new(seed: u64) -> Self {
        let world = ScheduledWorld {
            dice: Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1),
            now: Duration::ZERO,
            turns: 0,
            writers: vec![WriterState::Running; WRITERS],
            is_dead: vec![false; WRITERS],
            cut_off: vec![[Duration::ZERO; 3]; WRITERS],
            calls: Vec::new(),
            acknowledged: Vec::new(),
        };
        Self { world: Mutex::new(world), turn: Condvar::new() }
    }

    fn world(&self) -> MutexGuard<'_, ScheduledWorld> {
        self.world.lock().unwrap()
    }

    /// Gives up the turn, and returns with the next one, at this time or later.
    fn pass(&self, writer: usize, pause: Duration) -> MutexGuard<'_, ScheduledWorld> {
        let mut world = self.world();
        world.turns += 1;
        assert!(world.turns < TURNS_MAX, "it goes round in a circle");
        let until = world.now + pause;
        world.writers[writer] = WriterState::Waiting(until);
        world.choose();
        self.turn.notify_all();
        while world.writers[writer] != WriterState::Running {
            world = self.turn.wait(world).unwrap();
        }
        world
    }

    fn end(&self, writer: usize) {
        let mut world = self.world();
        world.writers[writer] = WriterState::Ended;
        world.choose();
        self.turn.notify_all();
    }
}

impl ScheduledWorld {
    /// Lets one go on, once all wait: any of those whose time has come, or the first whose time comes.
    fn choose(&mut self) {
        if self.writers.contains(&WriterState::Running) {
            return;
        }
        let waiting: Vec<(usize, Duration)> = (0..WRITERS)
            .filter_map(|it| match self.writers[it] {
                WriterState::Waiting(until) => Some((it, until)),
                WriterState::Running | WriterState::Ended => None,
            })
            .collect();
        let Some(first) = waiting.iter().map(|(_, until)| *until).min() else { return };
        self.now = self.now.max(first);
        let ready: Vec<usize> =
            waiting.iter().filter(|(_, until)| *until <= self.now).map(|(it, _)| *it).collect();
        let sides = u64::try_from(ready.len()).unwrap();
        let chosen = ready[usize::try_from(self.dice.roll(sides)).unwrap()];
        self.writers[chosen] = WriterState::Running;
    }
}

impl Seat {
    /// One call to the store: before it, after it or instead of it anything may happen.
    fn call<T>(
        &self,
        key: &StoreKey,
        act: impl FnOnce(&MemoryBackend) -> T,
    ) -> Result<T, StoreError> {
        let failed =
            |kind: io::ErrorKind| Err(io_error("reach", &self.store.place(key))(kind.into()));
        let pause = {
            let mut world = self.schedule.world();
            match world.dice.roll(150) {
                // It is stopped, and goes on when another may hold the lease.
                0 => Duration::from_secs(10 + world.dice.roll(60)),
                1 => {
                    let until = world.now + Duration::from_secs(5 + world.dice.roll(60));
                    world.cut_off[self.writer][self.at] = until;
                    CALL
                }
                2 if world.dice.roll(2) == 0 => {
                    world.is_dead[self.writer] = true;
                    CALL
                }
                _ => CALL,
            }
        };
        let mut world = self.schedule.pass(self.writer, pause);
        if world.is_dead[self.writer] {
            return failed(io::ErrorKind::Other);
        }
        if world.cut_off[self.writer][self.at] > world.now {
            return failed(io::ErrorKind::TimedOut);
        }
        let luck = world.dice.roll(40);
        if luck == 0 {
            return failed(io::ErrorKind::ConnectionReset);
        }
        let done = act(&self.store);
        drop(world);
        // The reply takes a while as well, and whoever waits for it may be stopped then.
        let world = self.schedule.pass(self.writer, CALL / 2);
        if luck == 1 || world.is_dead[self.writer] {
            return failed(io::ErrorKind::ConnectionReset);
        }
        Ok(done)
    }
}

impl Backend for Seat {
    fn read(&self, key: &StoreKey) -> Result<Option<StoredObject>, StoreError> {
        self.call(key, |it| it.read(key))?
    }

    fn put(
        &self,
        key: &StoreKey,
        bytes: &[u8],
        condition: PutCondition<'_>,
    ) -> Result<PutOutcome, StoreError> {
        self.call(key, |it| it.put(key, bytes, condition))?
    }

    fn list(&self, prefix: &KeyPrefix) -> Result<Vec<StoreKey>, StoreError> {
        self.call(&prefix.key("-"), |it| it.list(prefix))?
    }

    fn delete(&self, key: &StoreKey) -> Result<(), StoreError> {
        self.call(key, |it| it.delete(key))?
    }

    fn neighbors(&self) -> Result<Vec<String>, StoreError> {
        self.store.neighbors()
    }

    fn root(&self) -> &Path {
        self.store.root()
    }

    fn place(&self, key: &StoreKey) -> PathBuf {
        self.store.place(key)
    }

    /// Only the writer's own thread takes turns.
    fn is_concurrent(&self) -> bool {
        false
    }
}

impl LeaseClock for Seat {
    fn now(&self) -> Duration {
        self.schedule.world().now
    }

    fn sleep(&self, duration: Duration) {
        drop(self.schedule.pass(self.writer, duration));
    }
}

/// What one writer does until it has done enough, or dies.
fn write(seat: &Seat, backend: Arc<dyn Backend>) {
    let store = StateStore::over(backend).with_times(TIMES).with_clock(Arc::new(seat.clone()));
    drop(seat.schedule.pass(seat.writer, Duration::ZERO));
    let mut last = (0, 0);
    for run in 0..4 {
        // Whatever is wrong with a run, the state can be read, and has not gone back.
        if let Some((serial, sequence)) = read(&store) {
            // Of two stores the first may have what nobody was told is there, and may be cut off next.
            let is_one = store.backend().standing().is_none();
            assert!(!is_one || (serial, sequence) >= last, "{serial}, {sequence} after {last:?}");
            last = (serial, sequence);
        }
        let name = format!("writer {} run {run}", seat.writer);
        let to = [name.clone()];
        // Somebody declares the primary store's region lost, whether it is or not.
        let lost = [DOMAINS[0].to_owned()];
        let promotes = seat.schedule.world().dice.roll(2) == 0;
        let leased = if seat.schedule.world().dice.roll(3) == 0 {
            let (owner, command) = (name.as_str(), "failover shop");
            let (at, to, asks) = (0, &to[..], false);
            let who = SwitchCommand { owner, command, at, to, lost: &lost, asks, promotes };
            store.preempt(who, &mut |_| {})
        } else {
            store.lease(&name, "apply shop", 0)
        };
        match leased {
            Ok((lease, state)) => apply(seat, &store, lease, state.is_some(), &name),
            Err(why) => expected(&why),
        }
        if seat.schedule.world().is_dead[seat.writer] {
            return;
        }
    }
}

/// How far the state has come; `None` if the store cannot be read now, or holds none.
fn read(store: &StateStore) -> Option<(u64, u64)> {
    match store.load() {
        Ok(state) => state.map(|it| (it.serial, it.sequence)),
        Err(why) => {
            expected(&why);
            None
        }
    }
}

/// Nothing but what a network, a kill or another holder does to one.
fn expected(why: &StoreError) {
    use StoreError::{Copies, Held, Io, Over};
    match why {
        Copies { why, .. } => assert!(why.is_silence(), "{why}"),
        why => assert!(matches!(why, Held { .. } | Over { .. } | Io { .. }), "{why}"),
    }
}

/// Some calls to the clouds, each after what it is about is durable, and perhaps a snapshot.
fn apply(seat: &Seat, store: &StateStore, mut lease: Lease, is_founded: bool, name: &str) {
    if !is_founded && lease.append(&[founded()]).is_err() {
        return;
    }
    for step in 0..3 {
        let began = format!("{name} step {step}");
        if let Err(why) = lease.append(&[bound(&began)]) {
            return expected(&why);
        }
        seat.schedule.world().acknowledged.push(began);
        if lease.pulse().ensure_fenced().is_err() {
            return;
        }
        seat.schedule.world().calls.push(lease.epoch);
        seat.sleep(Duration::from_secs(2));
        if seat.schedule.world().is_dead[seat.writer] {
            return;
        }
    }
    // Read under the lease: nobody else writes.
    let Ok(Some(mut state)) = store.load() else { return };
    state.serial += 1;
    if let Err(why) = lease.save(&state) {
        expected(&why);
    }
}

/// What the two stores are lost together with.
const DOMAINS: [&str; 2] = ["aws:us-east-1", "aws:us-west-2"];

/// One store, or two as one, perhaps with a witness.
fn opened(stores: &[Arc<dyn Backend>]) -> Arc<dyn Backend> {
    let [primary, mirror, witness @ ..] = stores else { return Arc::clone(&stores[0]) };
    let witness = witness.first().cloned();
    Arc::new(MirroredBackend::new(MirrorStores {
        stores: [Arc::clone(primary), Arc::clone(mirror)],
        named: NamedStores {
            primary: "p".into(),
            mirror: Some("m".into()),
            witness: witness.is_some().then(|| "w".into()),
        },
        witness,
        domains: DOMAINS.map(str::to_owned),
        stack: None,
        memory: LookMemory::default(),
    }))
}

/// The calls to the clouds, and the entries that were acknowledged.
fn run(seed: u64, stores: usize) -> (usize, usize) {
    let schedule = Arc::new(WriterSchedule::new(seed));
    let stores: Vec<_> = (0..stores).map(|_| MemoryBackend::new()).collect();
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let seats: Vec<Seat> = stores
                .iter()
                .enumerate()
                .map(|(at, store)| {
                    let (schedule, store) = (Arc::clone(&schedule), Arc::clone(store));
                    Seat { schedule, store, at, writer }
                })
                .collect();
            let seat = seats[0].clone();
            scope.spawn(move || {
                let all: Vec<Arc<dyn Backend>> =
                    seats.into_iter().map(|it| Arc::new(it) as _).collect();
                let backend = opened(&all);
                // Whoever panics must not keep the others waiting.
                let written = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                    write(&seat, backend);
                }));
                seat.schedule.end(seat.writer);
                written.unwrap_or_else(|why| std::panic::resume_unwind(why));
            });
        }
    });
    let world = schedule.world();
    let mut highest = 0;
    for epoch in &world.calls {
        assert!(*epoch >= highest, "epoch {epoch} called after {highest}: {:?}", world.calls);
        highest = *epoch;
    }
    let all: Vec<Arc<dyn Backend>> = stores.iter().map(|it| Arc::clone(it) as _).collect();
    let store = StateStore::over(opened(&all));
    // Whatever one of two has missed, the next holder makes them equal.
    if stores.len() > 1 {
        drop(store.clone().with_clock(Arc::new(VirtualClock::default())).lease("last", "apply", 0));
    }
    let state = store.load().unwrap();
    let held: BTreeMap<String, String> = state.map(|it| it.bound).unwrap_or_default();
    for name in &world.acknowledged {
        assert!(held.contains_key(name), "`{name}` is lost");
    }
    (world.calls.len(), world.acknowledged.len())
}

/// Laws 4 and 5. Fails where a late holder's put is taken, where its snapshot replaces a newer one, or where who was stopped
/// while it looked at its lease goes on.
#[test]
fn at_most_one_of_three_writers_acts_and_nothing_acknowledged_is_lost() {
    let (mut calls, mut acknowledged) = (0, 0);
    for seed in 1..=SEEDS {
        let ran = std::panic::catch_unwind(|| run(seed, 1));
        let (called, kept) = ran.unwrap_or_else(|_| panic!("seed {seed}"));
        calls += called;
        acknowledged += kept;
    }
    // They do get somewhere.
    assert!(calls > 2_000 && acknowledged > calls, "{calls} calls, {acknowledged} entries");
}

/// The same over a primary store and a mirror, for every other seed with a witness, which are cut off from each writer apart, and of which somebody now and then declares the
/// primary one lost.
#[test]
fn at_most_one_of_three_writers_acts_on_two_stores() {
    let (mut calls, mut acknowledged) = (0, 0);
    for seed in 1..=MIRRORED_SEEDS {
        let stores = if seed % 2 == 0 { 2 } else { 3 };
        let ran = std::panic::catch_unwind(|| run(seed, stores));
        let (called, kept) = ran.unwrap_or_else(|_| panic!("seed {seed}"));
        calls += called;
        acknowledged += kept;
    }
    assert!(calls > 200 && acknowledged > calls, "{calls} calls, {acknowledged} entries");
}

//! Leases as they are fought over: many at once, holders that died, sleep, are asked to stop, or will not.

pub mod lossy;
pub mod memory;
pub mod objects;
pub mod sealed;
pub mod rebuilds;
pub mod schedules;
pub mod contract;
pub mod outdated;
pub mod history;
pub mod power_cuts;

use std::fmt;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::engine::recovery::report::phases::RunSpan;
use crate::engine::recovery::report::summary::{RecoveryObjectives, SwitchKind, SwitchReport};
use crate::engine::state::journal::{JournalEntry, replay};
use crate::engine::state::record::{MutatingCall, PendingOperation, State};
use crate::engine::value::{Attributes, LineageKey};
use crate::store::error::{HeldBy, LeaseEnd, StoreError};
use crate::store::folder::machine;
use crate::store::keep_alive::LeaseTimes;
use crate::store::lease::Lease;
use crate::store::lease_clock::LeaseClock;
use crate::store::lock_record::{Heartbeat, LockRecord, wall};
use crate::store::preempt::{Contention, SwitchCommand};
use crate::store::state_store::StateStore;

/// A heart that never beats by itself: a process that is stopped.
const STOPPED: LeaseTimes =
    LeaseTimes { lease: Duration::from_millis(50), heartbeat: Duration::from_secs(3_600) };

const LIVELY: LeaseTimes =
    LeaseTimes { lease: Duration::from_secs(60), heartbeat: Duration::from_millis(5) };

/// A clock that stands still but for who sleeps, and what happens then.
#[derive(Default)]
pub(crate) struct VirtualClock {
    now: Mutex<Duration>,
}

/// The same, with something that goes on while somebody sleeps.
struct ActingClock<F> {
    clock: Arc<VirtualClock>,
    act: F,
}

impl VirtualClock {
    fn acting(
        clock: &Arc<Self>,
        act: impl Fn(Duration) + Send + Sync + 'static,
    ) -> Arc<dyn LeaseClock> {
        Arc::new(ActingClock { clock: Arc::clone(clock), act })
    }
}

impl fmt::Debug for VirtualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.now())
    }
}

impl<F> fmt::Debug for ActingClock<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.clock.fmt(f)
    }
}

impl LeaseClock for VirtualClock {
    fn now(&self) -> Duration {
        *self.now.lock().unwrap()
    }

    fn sleep(&self, duration: Duration) {
        *self.now.lock().unwrap() += duration;
    }
}

impl<F: Fn(Duration) + Send + Sync> LeaseClock for ActingClock<F> {
    fn now(&self) -> Duration {
        self.clock.now()
    }

    fn sleep(&self, duration: Duration) {
        self.clock.sleep(duration);
        (self.act)(self.now());
    }
}

/// The report of a switch without steps that ran from one millisecond to another.
pub(crate) fn report(began: i64, ended: i64) -> SwitchReport {
    SwitchReport {
        kind: SwitchKind::Failover,
        stack: "shop".into(),
        instance: None,
        target: "sandbox".into(),
        from: Vec::new(),
        to: vec!["eu".into()],
        lost: Vec::new(),
        who: "ann".into(),
        command: "failover shop --to eu".into(),
        span: RunSpan { began, recorded: began, run_began: began, ended },
        phase: crate::engine::state::record::Phase::Settled,
        goals: RecoveryObjectives::default(),
        earlier: None,
        answered: None,
        idle: None,
        arrivals: Vec::new(),
        heartbeats: Vec::new(),
        declared: None,
        replicated: Vec::new(),
        answering: Vec::new(),
        unchecked: Vec::new(),
        skipped_gates: Vec::new(),
        open: Vec::new(),
        steps: Vec::new(),
    }
}

pub(crate) fn founded() -> JournalEntry {
    JournalEntry::Founded {
        stack: "shop".into(),
        instance: None,
        target: "sandbox".into(),
        lineage: "l".into(),
        key: LineageKey(vec![1, 2]),
        overlays: Vec::new(),
    }
}

pub(crate) fn bound(cloud: impl ToString) -> JournalEntry {
    JournalEntry::Bound { cloud: cloud.to_string(), account: "x".into() }
}

/// A folder with a state, and its store.
fn shop(times: LeaseTimes) -> (tempfile::TempDir, StateStore) {
    let folder = tempfile::tempdir().unwrap();
    let store = StateStore::new(folder.path()).with_times(times);
    take(&store, "founder").append(&[founded()]).unwrap();
    (folder, store)
}

fn take(store: &StateStore, owner: &str) -> Lease {
    store.lease(owner, "apply shop", 0).unwrap().0
}

/// A switch to this overlay.
fn switch(store: &StateStore, owner: &str, to: &str) -> Result<(Lease, Option<State>), StoreError> {
    switch_told(store, owner, to, &mut |_| {})
}

fn switch_told(
    store: &StateStore,
    owner: &str,
    to: &str,
    tell: &mut dyn FnMut(Contention),
) -> Result<(Lease, Option<State>), StoreError> {
    let to = [to.to_owned()];
    store.preempt(switcher(owner, &to), tell)
}

fn switcher<'a>(owner: &'a str, to: &'a [String]) -> SwitchCommand<'a> {
    SwitchCommand {
        owner,
        command: "failover shop",
        at: 0,
        to,
        lost: &[],
        asks: false,
        promotes: false,
    }
}

fn is_held(store: &StateStore) -> Option<String> {
    match store.lease("late", "apply shop", 0) {
        Err(StoreError::Held { by, .. }) => Some(by),
        Err(why) => panic!("{why}"),
        Ok(_) => None,
    }
}

/// Every byte of the state that counts.
fn bytes(store: &StateStore) -> Vec<Vec<u8>> {
    let read = |name: &str| std::fs::read(store.folder().join(name)).unwrap_or_default();
    vec![read("state.snapshot"), read("journal")]
}

#[test]
fn lease_epochs_only_grow_whoever_writes() {
    let (_folder, store) = shop(LIVELY);
    let epochs: Vec<u64> = (0..3).map(|_| take(&store, "a").epoch).collect();
    assert_eq!(epochs, [2, 3, 4]);
    assert_eq!(store.lease_status().unwrap(), None, "given back");
    // A state that was copied from elsewhere knows more leases than this folder.
    let mut lease = take(&store, "b");
    let mut state = store.load().unwrap().unwrap();
    lease.epoch = 40;
    lease.save(&state).unwrap();
    drop(lease);
    assert_eq!(take(&store, "c").epoch, 41);
    state = store.load().unwrap().unwrap();
    std::fs::remove_dir_all(store.folder().join("lease")).unwrap();
    assert_eq!((state.epoch, take(&store, "d").epoch), (40, 41));
}

/// Law 5: while another folds journals into snapshots, nobody reads less than what was there before.
#[test]
fn load_beside_a_writer_never_reads_an_older_state() {
    let (_folder, store) = shop(LIVELY);
    std::thread::scope(|scope| {
        let mut lease = take(&store, "ann");
        let mut state = store.load().unwrap().unwrap();
        let writing = scope.spawn(move || {
            for at in 0..300 {
                let entry = bound(at % 7);
                lease.append(std::slice::from_ref(&entry)).unwrap();
                state = replay(Some(state), 0, &entry).unwrap();
                lease.save(&state).unwrap();
            }
        });
        let mut seen = 0;
        while !writing.is_finished() {
            let sequence = store.load().unwrap().expect("it was founded").sequence;
            assert!(sequence >= seen, "{sequence} after {seen}");
            seen = sequence;
        }
    });
}

/// What a late holder could still put in place is gone before the next one reads.
#[test]
fn lease_removes_what_others_have_prepared() {
    let (folder, store) = shop(LIVELY);
    let lease = take(&store, "ann");
    let late = folder.path().join(format!("state.snapshot.{:08}.new", lease.epoch));
    std::fs::write(&late, "late").unwrap();
    drop(lease);
    store.load().unwrap();
    assert!(late.exists(), "who only reads removes nothing");
    take(&store, "bob");
    assert!(!late.exists());
}

#[test]
fn lease_is_held_by_one_of_ten_at_a_time() {
    const TURNS: usize = 3;
    let (_folder, store) = shop(LIVELY);
    let inside = AtomicUsize::new(0);
    let epochs = Mutex::new(Vec::new());
    let turn = |name: String| {
        let mut lease = loop {
            match store.lease(&name, "apply shop", 0) {
                Ok((lease, _)) => break lease,
                Err(StoreError::Held { .. }) => std::thread::yield_now(),
                Err(why) => panic!("{why}"),
            }
        };
        assert_eq!(inside.fetch_add(1, SeqCst), 0, "alone");
        epochs.lock().unwrap().push(lease.epoch);
        lease.append(&[bound(&name)]).unwrap();
        if lease.epoch % 2 == 0 {
            let state = store.load().unwrap().unwrap();
            lease.save(&state).unwrap();
        }
        assert_eq!(inside.fetch_sub(1, SeqCst), 1, "alone");
    };
    std::thread::scope(|scope| {
        for who in 0..10 {
            let turn = &turn;
            scope.spawn(move || (0..TURNS).for_each(|at| turn(format!("{who}.{at}"))));
        }
    });
    let epochs = epochs.into_inner().unwrap();
    assert!(epochs.is_sorted_by(|a, b| a < b), "{epochs:?}");
    assert_eq!(store.load().unwrap().unwrap().bound.len(), 10 * TURNS, "nothing was lost");
}

/// A call of a holder that has gone silent may end only now: what it had begun is not looked at before that.
#[test]
fn lease_after_a_silent_holder_waits_for_the_calls_that_it_has_begun() {
    for has_begun in [false, true] {
        let (_folder, store) = shop(LIVELY);
        let mut lease = take(&store, "ann");
        if has_begun {
            lease.append(&[pending()]).unwrap();
        }
        drop(lease);
        leave(&store, "elsewhere", Heartbeat::plain(wall(), false));
        for switches in [false, true] {
            let clock = Arc::new(VirtualClock::default());
            let silent = store.clone().with_clock(Arc::clone(&clock) as Arc<dyn LeaseClock>);
            leave(&store, "elsewhere", Heartbeat::plain(wall(), false));
            if switches {
                drop(switch(&silent, "bob", "eu").unwrap());
            } else {
                drop(take(&silent, "bob"));
            }
            let waited = clock.now().saturating_sub(LIVELY.lease);
            let is_longer = waited >= LIVELY.call_deadline();
            assert_eq!(is_longer, has_begun, "{switches}: {:?}", clock.now());
        }
    }
}

fn pending() -> JournalEntry {
    JournalEntry::Pending(PendingOperation {
        step: 0,
        address: "zone".parse().unwrap(),
        kind: "linode.domain".into(),
        call: MutatingCall::Create,
        attributes: Attributes::new(),
        needs: Vec::new(),
        alike: Vec::new(),
        mark: None,
        at: 0,
    })
}

/// What a holder leaves behind that was killed, or runs where the lock does not reach.
fn leave(store: &StateStore, machine: &str, beat: Heartbeat) {
    let claims = store.claims();
    let epoch = claims.newest().unwrap().unwrap().epoch + 1;
    let claim = LockRecord {
        epoch,
        owner: "ann@far".into(),
        command: "apply shop".into(),
        machine: machine.into(),
        is_locked: true,
        is_firm: false,
        aim: None,
        since: wall(),
    };
    drop(claims.take(&claim).unwrap().unwrap());
    claims.beat(epoch, beat).unwrap();
}

#[test]
fn lease_of_a_dead_holder_is_free_and_a_far_one_has_its_heartbeat() {
    let (_folder, store) = shop(LIVELY);
    let fresh = wall();
    leave(&store, &machine(), Heartbeat::plain(fresh, false));
    let status = store.lease_status().unwrap().unwrap();
    assert_eq!((status.owner.as_str(), status.is_alive, status.beat), ("ann@far", false, fresh));
    assert_eq!(is_held(&store), None);
    leave(&store, "elsewhere", Heartbeat::plain(fresh, true));
    assert_eq!(is_held(&store), None);
    // Its clock may be an hour ahead, or behind: only whether its heartbeats change tells, and that for one lease.
    for told in [fresh - 3_600_000, fresh, fresh + 3_600_000] {
        leave(&store, "elsewhere", Heartbeat::plain(told, false));
        let status = store.lease_status().unwrap().unwrap();
        assert_eq!(status.is_alive, told == fresh, "what people read is a guess");
        let epoch = status.epoch;
        let beats = store.claims();
        let clock = Arc::new(VirtualClock::default());
        let watched = store.clone().with_clock(VirtualClock::acting(&clock, move |now| {
            let at = told + i64::try_from(now.as_millis()).unwrap() / 5_000;
            beats.beat(epoch, Heartbeat::plain(at, false)).unwrap();
        }));
        assert_eq!(is_held(&watched), Some("ann@far (lifeboat apply shop)".into()));
        assert!(clock.now() <= Duration::from_secs(6), "its next heartbeat tells");
        let clock = Arc::new(VirtualClock::default());
        let silent = store.clone().with_clock(Arc::clone(&clock) as Arc<dyn LeaseClock>);
        assert_eq!(is_held(&silent), None);
        assert!(clock.now() >= LIVELY.lease, "a whole lease is waited for");
    }
    // A machine that went down in the middle may leave an empty claim.
    leave(&store, "elsewhere", Heartbeat::plain(fresh, false));
    let epoch = store.lease_status().unwrap().unwrap().epoch;
    std::fs::write(store.folder().join(format!("lease/{epoch:08}.claim")), "").unwrap();
    assert_eq!(is_held(&store), None);
}

#[test]
fn preempt_waits_until_the_holder_finishes_and_releases() {
    let (_folder, store) = shop(LIVELY);
    let mut lease = take(&store, "ann");
    lease.append(&[bound("before")]).unwrap();
    let pulse = lease.pulse();
    let (tell, told) = channel();
    pulse.when_over(move |over| tell.send(over.clone()).unwrap());
    pulse.ensure_fenced().unwrap();
    let preempted = std::thread::scope(|scope| {
        let preempting = scope.spawn(|| switch(&store, "bob", "eu").unwrap());
        let over = told.recv().unwrap();
        assert_eq!(over, LeaseEnd::Preempted { by: "bob (lifeboat failover shop)".into() });
        assert_eq!(pulse.ensure_fenced(), Err(over), "nothing new leaves");
        // What was in flight is recorded all the same.
        lease.append(&[bound("in flight")]).unwrap();
        let mut state = store.load().unwrap().unwrap();
        state.serial += 1;
        lease.save(&state).unwrap();
        drop(lease);
        preempting.join().unwrap()
    });
    let (lease, state) = preempted;
    let how = lease.preempted.as_ref().unwrap();
    assert_eq!(how.to_string(), "ann (lifeboat apply shop), which released it");
    assert_eq!(state.unwrap().bound.into_keys().collect::<Vec<_>>(), ["before", "in flight"]);
    let journal = format!("{:?}", store.entries(0).unwrap());
    assert!(journal.contains("preempted: Some(\"ann (lifeboat apply shop), which released it\")"));
}

/// A person at a prompt must not keep a failover waiting.
#[test]
fn preempt_takes_the_lease_of_a_holder_that_wrote_nothing() {
    let (_folder, store) = shop(LIVELY);
    let mut idle = take(&store, "ann");
    let (lease, _) = switch(&store, "bob", "eu").unwrap();
    assert!(lease.preempted.as_ref().unwrap().has_answered);
    let before = bytes(&store);
    let refused = idle.append(&[bound("late")]).unwrap_err();
    assert!(
        matches!(refused, StoreError::Over { over: LeaseEnd::Preempted { .. }, .. }),
        "{refused}"
    );
    assert!(idle.save(&store.load().unwrap().unwrap()).is_err());
    drop(idle);
    assert_eq!(bytes(&store), before);
    assert_eq!(store.lease_status().unwrap().unwrap().epoch, lease.epoch);
}

#[test]
fn preempt_takes_the_lease_of_a_silent_holder_that_does_no_harm() {
    let (_folder, store) = shop(STOPPED);
    let mut asleep = take(&store, "ann");
    asleep.append(&[bound("ann's")]).unwrap();
    let (mut lease, state) = switch(&store, "bob", "eu").unwrap();
    assert!(!lease.preempted.as_ref().unwrap().has_answered);
    assert!(lease.epoch > asleep.epoch);
    let state = state.unwrap();
    assert!(state.bound.contains_key("ann's"));
    lease.append(&[bound("bob's")]).unwrap();
    let before = bytes(&store);

    let over = asleep.pulse().ensure_fenced().unwrap_err();
    let words = format!(
        "the lease was lost: epoch {} belongs to bob (lifeboat failover shop)",
        lease.epoch
    );
    assert_eq!(over.to_string(), words);
    for _ in 0..2 {
        assert!(asleep.append(&[bound("late")]).is_err());
        assert!(asleep.save(&state).is_err());
    }
    drop(asleep);
    assert_eq!(bytes(&store), before);
    let status = store.lease_status().unwrap().unwrap();
    assert_eq!((status.epoch, status.is_alive, status.asked_by), (lease.epoch, true, None));
    assert!(is_held(&store).is_some());
    lease.append(&[bound("more")]).unwrap();
    assert!(store.load().unwrap().unwrap().bound.contains_key("more"));
}

#[test]
fn preempt_spares_a_switch_that_does_not_say_where_it_goes() {
    let (_folder, store) = shop(LIVELY);
    let claims = store.claims();
    // As it was written before switches told where they go.
    let text = format!(
        r#"{{"owner":"bob","command":"failover shop","machine":"{}","locked":true,"firm":true,"since":{}}}"#,
        machine(),
        wall()
    );
    let claim: LockRecord = serde_json::from_str(&text).unwrap();
    let lock = claims.take(&LockRecord { epoch: 2, ..claim }).unwrap().unwrap();
    for to in ["eu", "base"] {
        match switch(&store, "eve", to) {
            Err(why @ StoreError::Held { grip: HeldBy::Switch { to: None }, .. }) => {
                assert!(why.to_string().ends_with("by bob (lifeboat failover shop)"), "{why}");
                assert!(why.advice().contains("does not name its target"), "{}", why.advice());
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(claims.asked(2).unwrap().is_none(), "it is not even asked");
    drop(lock);
    switch(&store, "eve", "eu").unwrap();
}

/// What an apply is told of a switch that has the lease.
#[test]
fn lease_for_an_apply_preempts_nobody_and_names_the_switch() {
    let (_folder, store) = shop(LIVELY);
    let (lease, _) = switch(&store, "bob", "eu").unwrap();
    match store.lease("ci", "apply shop", 0) {
        Err(why @ StoreError::Held { .. }) => {
            assert!(why.to_string().ends_with("by bob (lifeboat failover shop)"), "{why}");
            let advice = why.advice();
            assert!(advice.contains("It is a switch to eu, and only another switch"), "{advice}");
        }
        other => panic!("{other:?}"),
    }
    lease.pulse().ensure_fenced().unwrap();
    assert_eq!(store.lease_status().unwrap().unwrap().to, Some(vec!["eu".to_owned()]));
}

#[test]
fn preempt_waits_for_the_same_switch_and_takes_over_a_dead_one() {
    let (_folder, store) = shop(LIVELY);
    let (mut lease, _) = switch(&store, "bob", "eu").unwrap();
    lease.append(&[bound("half")]).unwrap();
    let (tell, told) = channel();
    let mut tell = move |met| tell.send(met).unwrap();
    let (second, state) = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| switch_told(&store, "eve", "eu", &mut tell).unwrap());
        assert_eq!(
            told.recv().unwrap(),
            Contention::Same { holder: "bob (lifeboat failover shop)".into() }
        );
        // Nothing of the holder's is touched: it goes on, and ends when it likes.
        lease.pulse().ensure_fenced().unwrap();
        lease.append(&[bound("whole")]).unwrap();
        assert_eq!(store.lease_status().unwrap().unwrap().asked_by, None);
        drop(lease);
        waiting.join().unwrap()
    });
    assert_eq!(second.preempted, None, "it was given back, not taken");
    assert_eq!(state.unwrap().bound.into_keys().collect::<Vec<_>>(), ["half", "whole"]);
    assert!(told.try_recv().is_err(), "it is said once");
}

/// A person may have gone home; and who does not know of a loss would wait for what is unreachable.
#[test]
fn preempt_stops_the_same_switch_while_it_asks_or_knows_less() {
    let (_folder, store) = shop(LIVELY);
    let to = ["eu".to_owned()];
    let lost = ["linode:us-east".to_owned()];
    let take = |who| store.preempt(who, &mut |_| {}).unwrap().0;
    let mut asking = take(SwitchCommand { asks: true, ..switcher("ann", &to) });
    let mut lease = take(SwitchCommand { lost: &lost, ..switcher("bob", &to) });
    assert!(lease.preempted.as_ref().unwrap().has_answered, "it gave it back by itself");
    assert!(asking.append(&[bound("late")]).is_err());
    lease.append(&[bound("half")]).unwrap();
    drop((asking, lease));

    // Who has said yes is waited for like everybody.
    let mut begun = take(SwitchCommand { asks: true, ..switcher("ann", &to) });
    begun.append(&[bound("half")]).unwrap();
    let mut met = Vec::new();
    let (tell, told) = channel();
    let mut tell = move |it| tell.send(it).unwrap();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| switch_told(&store, "eve", "eu", &mut tell).unwrap());
        met.push(told.recv().unwrap());
        drop(begun);
        waiting.join().unwrap();
    });
    assert!(matches!(met[..], [Contention::Same { .. }]), "{met:?}");

    let planned = take(switcher("ann", &to));
    let pulse = planned.pulse();
    std::thread::scope(|scope| {
        let knowing = scope.spawn(|| take(SwitchCommand { lost: &lost, ..switcher("bob", &to) }));
        let (tell, told) = channel();
        pulse.when_over(move |_| tell.send(()).unwrap());
        told.recv().unwrap();
        drop(planned);
        let lease = knowing.join().unwrap();
        assert!(lease.preempted.as_ref().unwrap().holder.starts_with("ann "));
    });
}

/// Stopped, or on a machine that hangs: its lock is held, and its heart does not beat.
#[test]
fn preempt_takes_over_the_same_switch_whose_heartbeat_stopped() {
    let (_folder, store) = shop(STOPPED);
    let (mut asleep, _) = switch(&store, "bob", "eu").unwrap();
    asleep.append(&[bound("bob's")]).unwrap();
    let (lease, state) = switch(&store, "eve", "eu").unwrap();
    let how = lease.preempted.as_ref().unwrap();
    assert_eq!(how.to_string(), "bob (lifeboat failover shop), which did not respond");
    assert!(state.unwrap().bound.contains_key("bob's"));
    assert!(asleep.append(&[bound("late")]).is_err(), "its epoch is over");
    assert!(asleep.pulse().ensure_fenced().is_err());
}

#[test]
fn preempt_stops_a_switch_that_goes_elsewhere() {
    let (_folder, store) = shop(LIVELY);
    let (mut lease, _) = switch(&store, "bob", "eu").unwrap();
    lease.append(&[bound("half")]).unwrap();
    let (tell, told) = channel();
    lease.pulse().when_over(move |over| tell.send(over.clone()).unwrap());
    let mut met = Vec::new();
    let (lease, _) = std::thread::scope(|scope| {
        let turning =
            scope.spawn(|| switch_told(&store, "eve", "base", &mut |it| met.push(it)).unwrap());
        let over = told.recv().unwrap();
        assert_eq!(over, LeaseEnd::Preempted { by: "eve (lifeboat failover shop)".into() });
        drop(lease);
        turning.join().unwrap()
    });
    let holder = "bob (lifeboat failover shop)".to_owned();
    assert_eq!(met, [Contention::Stops { holder, to: Some(vec!["eu".into()]) }]);
    assert!(lease.preempted.as_ref().unwrap().has_answered);
    let last = store.last_switch(0).unwrap().unwrap();
    assert_eq!(last, ("eve (lifeboat failover shop)".to_owned(), vec!["base".to_owned()]));
    drop(lease);
    assert_eq!(store.last_switch(0).unwrap().unwrap().1, ["base"], "also when it is over");
    let epoch = store.last_epoch().unwrap();
    assert_eq!(store.last_switch(epoch).unwrap(), None, "nobody since");
    drop(take(&store, "ci"));
    assert_eq!(store.last_switch(0).unwrap(), None, "until another command has it");
}

/// Many at once, each elsewhere: each is turned or refused once and ends, and one stays.
#[test]
fn preempt_by_many_switches_leaves_exactly_one() {
    const MANY: usize = 4;
    for _ in 0..5 {
        let (_folder, store) = shop(LIVELY);
        let ended = AtomicUsize::new(0);
        let run = |to: String| {
            let lease = switch(&store, &to, &to).ok().map(|it| it.0)?;
            let (tell, told) = channel();
            lease.pulse().when_over(move |_| tell.send(()).unwrap());
            // Works until it is turned, or until all others have ended.
            loop {
                match told.recv_timeout(Duration::from_millis(1)) {
                    Ok(()) => return None,
                    Err(_) if ended.load(SeqCst) == MANY - 1 => return Some(to),
                    Err(_) => {}
                }
            }
        };
        let one = |at: usize| {
            let stays = run(format!("to{at}"));
            ended.fetch_add(1, SeqCst);
            stays
        };
        let stays = std::thread::scope(|scope| {
            let one = &one;
            let all: Vec<_> = (0..MANY).map(|at| scope.spawn(move || one(at))).collect();
            all.into_iter().filter_map(|it| it.join().unwrap()).collect::<Vec<_>>()
        });
        assert_eq!(stays.len(), 1, "{stays:?}");
        assert_eq!(store.last_switch(0).unwrap().unwrap().1, stays, "it had the lease last");
    }
}

/// Wherever a sleeping holder is caught: what it was told is durable, the next one has.
#[test]
fn preempt_loses_nothing_acknowledged_and_shows_nothing_late() {
    for round in 0..40 {
        let (_folder, store) = shop(LeaseTimes { lease: Duration::ZERO, ..STOPPED });
        let (tell, told) = channel();
        let (state, acknowledged) = std::thread::scope(|scope| {
            let mut lease = take(&store, "ann");
            let mut state = store.load().unwrap().unwrap();
            let writing = scope.spawn(move || {
                for at in 0_u64.. {
                    let entry = bound(at);
                    state = replay(Some(state), at, &entry).unwrap();
                    if lease.append(&[entry]).is_err() {
                        return at;
                    }
                    if at % 4 == 3 && lease.save(&state).is_err() {
                        return at + 1;
                    }
                    tell.send(()).ok();
                }
                unreachable!("somebody takes it over");
            });
            (0..=round % 8).for_each(|_| told.recv().unwrap());
            let (lease, state) = switch(&store, "bob", "eu").unwrap();
            let before = bytes(&store);
            let acknowledged = writing.join().unwrap();
            assert_eq!(bytes(&store), before, "round {round}");
            drop(lease);
            (state.unwrap(), acknowledged)
        });
        let missing: Vec<u64> =
            (0..acknowledged).filter(|at| !state.bound.contains_key(&at.to_string())).collect();
        assert_eq!(missing, [0_u64; 0], "round {round}");
    }
}

#[test]
fn ensure_fenced_needs_a_young_heartbeat() {
    let (_folder, store) = shop(STOPPED);
    let clock = Arc::new(VirtualClock::default());
    let store = store.with_clock(Arc::clone(&clock) as Arc<dyn LeaseClock>);
    let lease = take(&store, "ann");
    let beat = store.folder().join(format!("lease/{:08}.beat", lease.epoch));
    // It is young enough without one: what says how far the state has come is taken away.
    std::fs::remove_file(&beat).unwrap();
    lease.pulse().ensure_fenced().unwrap();
    assert!(!beat.exists());
    // As old as half a lease: the heart beats before the call.
    clock.sleep(STOPPED.lease / 2);
    lease.pulse().ensure_fenced().unwrap();
    assert!(beat.exists());
    // A heartbeat that cannot be written is none.
    clock.sleep(STOPPED.lease / 2);
    std::fs::remove_file(&beat).unwrap();
    std::fs::create_dir(&beat).unwrap();
    let over = lease.pulse().ensure_fenced().unwrap_err().to_string();
    assert!(
        over.starts_with("the lease was lost: the last heartbeat is 0 s old, and cannot write"),
        "{over}"
    );
    // It is not lost for good: nobody else has it.
    std::fs::remove_dir(&beat).unwrap();
    lease.pulse().ensure_fenced().unwrap();
    assert_eq!(lease.pulse().over(), None);
    std::fs::remove_dir_all(store.folder().join("lease")).unwrap();
    let over = lease.pulse().ensure_fenced().unwrap_err().to_string();
    assert_eq!(over, "the lease was lost: its lock file was removed from the state folder");
}

/// A name that a slip of somebody's hand gave, or damage.
#[test]
fn lease_after_the_last_epoch_names_the_claim() {
    let (_folder, store) = shop(STOPPED);
    let file = store.folder().join(format!("lease/{}.claim", u64::MAX));
    std::fs::write(&file, "").unwrap();
    let before = bytes(&store);
    let ways =
        [store.lease("ann", "apply shop", 0).map(|_| ()), switch(&store, "bob", "eu").map(|_| ())];
    for it in ways {
        let why = it.unwrap_err();
        assert!(why.to_string().starts_with(&file.display().to_string()), "{why}");
        assert!(why.advice().contains("lease away"), "{}", why.advice());
    }
    assert_eq!(bytes(&store), before);
    std::fs::remove_file(&file).unwrap();
    drop(take(&store, "ann"));
}

//! A state in objects: what is written is read, what late holders put is not, and what is damaged is told.

use std::sync::Arc;
use std::time::Duration;

use crate::engine::state::journal::{JournalEntry, fold};
use crate::engine::state::record::State;
use crate::store::backend::{Backend, PutCondition};
use crate::store::error::StoreError;
use crate::store::keep_alive::LeaseTimes;
use crate::store::key::{ENTRIES, HEAD, SNAPSHOTS, StoreKey};
use crate::store::lease::Lease;
use crate::store::lease_clock::LeaseClock;
use crate::store::log::{NewHolder, StateLog as _};
use crate::store::object_log::ObjectLog;
use crate::store::state_store::StateStore;
use crate::store::tests::memory::MemoryBackend;
use crate::store::tests::{VirtualClock, bound, founded, take};

/// No heartbeat by itself.
const STILL: LeaseTimes =
    LeaseTimes { lease: Duration::from_secs(30), heartbeat: Duration::from_secs(3_600) };

struct Shop {
    backend: Arc<MemoryBackend>,
    clock: Arc<VirtualClock>,
    store: StateStore,
}

fn shop() -> Shop {
    let (backend, clock) = (MemoryBackend::new(), Arc::new(VirtualClock::default()));
    let store = StateStore::over(Arc::clone(&backend) as Arc<dyn Backend>)
        .with_times(STILL)
        .with_clock(Arc::clone(&clock) as Arc<dyn LeaseClock>);
    Shop { backend, clock, store }
}

impl Shop {
    /// A shop with a state that holds these, and a snapshot of it.
    fn founded() -> Self {
        let it = shop();
        let mut lease = take(&it.store, "founder");
        lease.append(&[founded(), bound("first")]).unwrap();
        it.save(&mut lease);
        drop(lease);
        it
    }

    fn save(&self, lease: &mut Lease) {
        let mut state = self.store.load().unwrap().unwrap();
        state.serial += 1;
        lease.save(&state).unwrap();
    }

    fn state(&self) -> State {
        self.store.load().unwrap().unwrap()
    }

    /// The batches that are there, by the numbers of their first entries.
    fn batches(&self) -> Vec<u64> {
        let keys = self.backend.list(&ENTRIES).unwrap();
        keys.iter().map(|it| it.name().parse().unwrap()).collect()
    }

    fn change(&self, key: &StoreKey, change: impl FnOnce(String) -> String) {
        let text = String::from_utf8(self.backend.get(key).unwrap().unwrap()).unwrap();
        self.backend.put(key, change(text).as_bytes(), PutCondition::Always).unwrap();
    }

    fn refusal(&self) -> String {
        let why = self.store.load().unwrap_err();
        format!("{why}\n  {}", why.advice())
    }
}

#[test]
fn lease_and_load_agree_over_many_holders() {
    let it = shop();
    assert!(it.store.load().unwrap().is_none());
    let mut lease = take(&it.store, "ann");
    assert!(it.store.load().unwrap().is_none(), "a lease founds nothing");
    lease.append(&[founded(), bound("a")]).unwrap();
    lease.append(&[bound("b")]).unwrap();
    assert_eq!(it.state().bound.len(), 2);
    it.save(&mut lease);
    assert_eq!(it.state().serial, 1);
    lease.append(&[bound("c")]).unwrap();
    drop(lease);
    assert_eq!(it.batches().len(), 1, "what is folded goes at the latest with the lease");
    let mut lease = take(&it.store, "bob");
    lease.append(&[bound("d")]).unwrap();
    it.save(&mut lease);
    let state = it.state();
    let names: Vec<&str> = state.bound.keys().map(String::as_str).collect();
    assert_eq!((names, state.serial, state.epoch), (vec!["a", "b", "c", "d"], 2, 2));
    // Two leases, what founded it, and four accounts.
    assert_eq!((it.store.entries(9).unwrap().len(), it.store.entries(0).unwrap().len()), (7, 0));
}

#[test]
fn save_keeps_the_last_fifty_and_removes_what_nobody_names() {
    let it = Shop::founded();
    let mut lease = take(&it.store, "ann");
    for number in 0..60 {
        lease.append(&[bound(number)]).unwrap();
        it.save(&mut lease);
    }
    drop(lease);
    assert_eq!(it.backend.list(&SNAPSHOTS).unwrap().len(), 51);
    assert_eq!(it.batches(), Vec::<u64>::new(), "what was folded is gone");
    assert_eq!(it.state().serial, 61);
}

#[test]
fn append_and_save_puts_the_last_entries_and_their_snapshot() {
    let it = Shop::founded();
    let mut lease = take(&it.store, "ann");
    let before = it.state();
    let mut state = before.clone();
    state.serial += 1;
    fold(&mut state, &bound(7));
    lease.append_and_save(&[bound(7)], &state).unwrap();
    let saved = it.state();
    assert_eq!((saved.serial, saved.touched), (before.serial + 1, saved.sequence));
    assert_eq!(saved.bound, state.bound);
    assert_eq!(it.store.entries(1).unwrap().last(), Some(&bound(7)), "the history has it");
    let behind = lease.append(&[bound(8)]).unwrap();
    drop(lease);
    assert_eq!(it.batches(), [behind], "what the snapshot holds is swept");
    assert_eq!(it.state().bound.len(), state.bound.len() + 1, "it goes on behind it");
}

/// Somebody else has the lease by then: neither the entries nor the snapshot of the late holder count.
#[test]
fn append_and_save_of_a_late_holder_changes_nothing() {
    let it = Shop::founded();
    let mut late = take(&it.store, "ann");
    let mut state = it.state();
    it.clock.sleep(STILL.lease);
    let mut new = it.store.lease("bob", "apply shop", 0).unwrap().0;
    new.append(&[bound(1)]).unwrap();
    state.serial += 1;
    fold(&mut state, &bound(2));
    assert!(late.append_and_save(&[bound(2)], &state).is_err());
    assert!(late.append(&[bound(3)]).is_err(), "nothing more");
    let seen = it.state();
    assert!(seen.bound.contains_key("1") && !seen.bound.contains_key("2"));
}

/// The new holder has read, and not written yet; the old one, which was asleep, writes then.
#[test]
fn append_of_a_late_holder_is_seen_by_the_new_one_or_refused() {
    let it = Shop::founded();
    let log = ObjectLog::new(Arc::clone(&it.backend) as Arc<dyn Backend>);
    let mut late = take(&it.store, "ann");
    let read = log.read().unwrap();
    late.append(&[bound("before")]).unwrap();
    let other = take(&shop().store, "nobody");
    let opening = |epoch| JournalEntry::Leased {
        epoch,
        owner: "bob".into(),
        command: None,
        at: 0,
        preempted: None,
    };
    let holder = NewHolder { epoch: 9, guard: other.pulse(), opening: opening(9), read: &read };
    assert!(log.open(holder).unwrap().is_none(), "it has to read again");
    let read = log.read().unwrap();
    assert!(read.state.as_ref().unwrap().bound.contains_key("before"));
    let holder = NewHolder { epoch: 9, guard: other.pulse(), opening: opening(9), read: &read };
    assert!(log.open(holder).unwrap().is_some());
    let refused = late.append(&[bound("after")]).unwrap_err();
    assert!(matches!(refused, StoreError::Over { .. }), "{refused}");
    assert!(late.append(&[bound("again")]).is_err(), "nothing more");
    assert!(!it.state().bound.contains_key("after"));
}

/// The new holder has folded and removed the entries behind which the old one wants to write.
#[test]
fn append_of_a_late_holder_behind_compaction_is_not_read() {
    let it = Shop::founded();
    let mut late = take(&it.store, "ann");
    it.clock.sleep(STILL.lease);
    let mut new = it.store.lease("bob", "apply shop", 0).unwrap().0;
    new.append(&[bound("new")]).unwrap();
    it.save(&mut new);
    let next = it.state().sequence;
    // Its place is free again: the put succeeds, and nobody reads it.
    late.append(&[bound("late")]).ok();
    assert!(late.pulse().ensure_fenced().is_err(), "no call leaves");
    let state = it.state();
    assert_eq!((state.sequence, state.bound.contains_key("late")), (next, false));
    new.append(&[bound("newer")]).unwrap();
    it.save(&mut new);
    drop(new);
    assert_eq!(it.batches(), Vec::<u64>::new(), "what it left is swept");
}

#[test]
fn save_of_a_late_holder_never_replaces_a_newer_snapshot() {
    let it = Shop::founded();
    let mut late = take(&it.store, "ann");
    let mut old = it.state();
    it.clock.sleep(STILL.lease);
    let mut new = it.store.lease("bob", "apply shop", 0).unwrap().0;
    // Before the new one has saved anything, and after.
    old.serial += 1;
    let refused = late.save(&old).unwrap_err();
    assert!(matches!(refused, StoreError::Over { .. }), "{refused}");
    new.append(&[bound("new")]).unwrap();
    it.save(&mut new);
    assert!(late.save(&old).is_err());
    let state = it.state();
    assert!(state.bound.contains_key("new"));
    assert_eq!((state.serial, state.epoch), (2, new.epoch));
}

#[test]
fn load_beside_compaction_reads_all_or_again() {
    let it = Shop::founded();
    let store = it.store.clone();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let (mut last, mut reads) = (0, 0);
                    while !done.load(std::sync::atomic::Ordering::SeqCst) || reads == 0 {
                        let state = store.load().unwrap().unwrap();
                        assert!(state.sequence >= last, "never an older one");
                        assert!(!state.bound.is_empty(), "never an empty one");
                        last = state.sequence;
                        reads += 1;
                    }
                })
            })
            .collect();
        let mut lease = take(&it.store, "ann");
        for number in 0..200 {
            lease.append(&[bound(number)]).unwrap();
            if number % 5 == 0 {
                it.save(&mut lease);
            }
        }
        done.store(true, std::sync::atomic::Ordering::SeqCst);
        for reader in readers {
            reader.join().unwrap();
        }
    });
}

#[test]
fn load_refuses_what_was_tampered_with() {
    let it = Shop::founded();
    let mut lease = take(&it.store, "ann");
    lease.append(&[bound("second")]).unwrap();
    lease.append(&[bound("third")]).unwrap();
    drop(lease);
    let keys = it.backend.list(&ENTRIES).unwrap();
    let whole = it.backend.get(&keys[1]).unwrap().unwrap();
    let mut said = Vec::new();
    it.change(&keys[1], |text| text.replace("second", "secnod"));
    said.push(it.refusal());
    // Whole, and from elsewhere: what follows names another.
    let other = Shop::founded();
    let mut lease = take(&other.store, "ann");
    lease.append(&[bound("other")]).unwrap();
    drop(lease);
    let forged = other.backend.get(&other.backend.list(&ENTRIES).unwrap()[1]).unwrap().unwrap();
    it.backend.put(&keys[1], &forged, PutCondition::Always).unwrap();
    said.push(it.refusal());
    it.backend.delete(&keys[1]).unwrap();
    said.push(it.refusal());
    it.backend.put(&keys[1], &whole, PutCondition::Always).unwrap();
    it.store.load().unwrap();
    it.change(&it.backend.list(&SNAPSHOTS).unwrap()[0], |text| text.replace("first", "frist"));
    said.push(it.refusal());
    it.change(&HEAD, |text| text.replace("\"serial\":1", "\"serial\":2"));
    said.push(it.refusal());
    it.backend.delete(&HEAD).unwrap();
    said.push(it.refusal());
    let said = said.join("\n\n");
    let unique = regex::Regex::new("-[0-9a-f]{8}\\.(snapshot|journal)").unwrap();
    insta::assert_snapshot!(unique.replace_all(&said, "-[UNIQUE].$1"), @r"
memory://states/shop/entries/00000000000000000005 is damaged at byte 0, line 1: the checksum does not match; the entries before it are intact: up to number 4, serial 1
  nothing was changed; restore the newest intact state, keeping the damaged files: `lifeboat state restore shop`

memory://states/shop/entries/00000000000000000006 is damaged at byte 0, it does not continue the entries before it; the entries before it are intact: up to number 5, serial 1
  nothing was changed; restore the newest intact state, keeping the damaged files: `lifeboat state restore shop`

the state is outdated: an entry before number 6 was recorded, according to memory://states/shop/entries, but memory://states/shop has serial 1
  nothing was changed: an outdated state would undo later changes. Put the newer state back, or restore the newest one from its history: `lifeboat state restore shop`

memory://states/shop/snapshots/00000001-00000001-[UNIQUE].snapshot cannot be read: line 1: the checksum does not match
  nothing was changed; restore the newest intact state, keeping the damaged files: `lifeboat state restore shop`

memory://states/shop/head cannot be read: line 1: the checksum does not match
  nothing was changed; restore the newest intact state, keeping the damaged files: `lifeboat state restore shop`

the state is missing: an entry before number 4 was recorded, according to memory://states/shop/entries, but memory://states/shop contains none
  nothing was changed: without its state, everything would be created a second time. Put the state back, or restore the newest one from its history: `lifeboat state restore shop`
");
}

#[test]
fn restore_goes_on_from_what_is_whole() {
    let it = Shop::founded();
    let mut lease = take(&it.store, "ann");
    lease.append(&[bound("second")]).unwrap();
    lease.append(&[bound("third")]).unwrap();
    lease.append(&[bound("fourth")]).unwrap();
    drop(lease);
    let keys = it.backend.list(&ENTRIES).unwrap();
    it.change(&keys[2], |text| text.replace("third", "thrid"));
    it.store.load().unwrap_err();
    let restored = it.store.restore("eve", "state restore shop", 0).unwrap();
    let names: Vec<&String> = restored.state.bound.keys().collect();
    assert_eq!(names, ["first", "second"]);
    let state = it.state();
    assert_eq!((state.bound.len(), state.serial, state.is_restored), (2, 2, true));
    let mut lease = take(&it.store, "ann");
    lease.append(&[bound("fifth")]).unwrap();
    it.save(&mut lease);
    assert_eq!(it.state().bound.len(), 3);
    // A head that nobody can read, and none at all.
    it.change(&HEAD, |text| text.replace(':', ";"));
    drop(take_restored(&it, 3));
    let in_place = it.backend.list(&SNAPSHOTS).unwrap().pop().unwrap();
    it.change(&in_place, |text| text.replace(':', ";"));
    drop(take_restored(&it, 3));
    it.backend.delete(&HEAD).unwrap();
    drop(take_restored(&it, 3));
}

/// Restores, and takes the lease of what is there then.
fn take_restored(it: &Shop, bound: usize) -> Lease {
    if let Err(why) = it.store.load() {
        let keys = it.backend.list(&SNAPSHOTS).unwrap();
        let restored = it.store.restore("eve", "state restore shop", 0);
        restored.unwrap_or_else(|cannot| panic!("{cannot}, after {why}, from {keys:?}"));
    }
    assert_eq!(it.state().bound.len(), bound);
    take(&it.store, "ann")
}

/// The machine is suspended past the lease, and another takes it; or nobody does.
#[test]
fn ensure_fenced_renews_after_a_suspend_or_ends() {
    let it = Shop::founded();
    let lease = take(&it.store, "ann");
    lease.pulse().ensure_fenced().unwrap();
    it.clock.sleep(STILL.lease * 2);
    lease.pulse().ensure_fenced().expect("nobody else wanted it");
    it.clock.sleep(STILL.lease * 2);
    let other = it.store.lease("bob", "apply shop", 0).unwrap().0;
    assert!(lease.pulse().ensure_fenced().is_err());
    other.pulse().ensure_fenced().unwrap();
}

#[test]
fn append_waits_for_a_store_that_comes_back() {
    let it = Shop::founded();
    let mut lease = take(&it.store, "ann");
    it.backend.fail(5);
    lease.append(&[bound("second")]).unwrap();
    assert!(it.clock.now() >= Duration::from_secs(2), "it paused");
    assert_eq!(it.state().bound.len(), 2);
    it.backend.lose_replies(3);
    lease.append(&[bound("third")]).unwrap();
    assert_eq!(it.state().bound.len(), 3);
    it.backend.fail(u64::MAX);
    let over = lease.append(&[bound("fourth")]).unwrap_err();
    assert!(over.is_transient(), "{over}");
    it.backend.fail(0);
    assert!(it.clock.now() < Duration::from_secs(3_600), "not for ever");
}

/// Copies what one shop has into the store of another.
fn receive(from: &Shop, to: &Shop) -> Result<Lease, StoreError> {
    to.store.receive("eve", "state migrate shop", 0, &from.state())
}

#[test]
fn receive_takes_a_state_back_and_forth() {
    let (one, other) = (Shop::founded(), shop());
    for round in 0..3 {
        let (from, to) = if round % 2 == 0 { (&one, &other) } else { (&other, &one) };
        // The lease that the move holds in the old place is written there as well.
        let held = take(&from.store, "eve");
        let taken = receive(from, to).unwrap();
        assert_eq!((to.state().serial, to.state().bound.len()), (1, 1), "round {round}");
        drop((held, taken));
    }
    let mut lease = take(&other.store, "ann");
    lease.append(&[bound("new")]).unwrap();
    drop(lease);
    // What was done behind the copy is in no snapshot yet.
    let refused = receive(&one, &other).unwrap_err();
    assert!(matches!(refused, StoreError::Occupied { serial: 1, .. }), "{refused}");
    assert_eq!(other.state().bound.len(), 2);
    let mut lease = take(&other.store, "ann");
    other.save(&mut lease);
    drop(lease);
    assert!(matches!(receive(&one, &other), Err(StoreError::Occupied { serial: 2, .. })));
    assert!(matches!(receive(&Shop::founded(), &other), Err(StoreError::Occupied { .. })));
}

/// Killed at every put: the next attempt goes through, and the state is there once.
#[test]
fn receive_goes_on_where_another_was_cut_off() {
    let one = Shop::founded();
    let mut cuts = 0;
    for puts in 0..40 {
        let other = shop();
        other.backend.fail_after(puts);
        let cut = receive(&one, &other).is_err();
        other.backend.fail(0);
        drop(receive(&one, &other).unwrap_or_else(|why| panic!("after {puts} puts: {why}")));
        assert_eq!(other.state().bound.len(), 1);
        cuts += usize::from(cut);
        if !cut {
            break;
        }
    }
    assert!((4..40).contains(&cuts), "{cuts}");
}

#[test]
fn restore_finds_what_a_head_that_was_rolled_back_does_not_name() {
    let it = Shop::founded();
    let old = it.backend.get(&HEAD).unwrap().unwrap();
    let mut lease = take(&it.store, "ann");
    lease.append(&[bound("second")]).unwrap();
    it.save(&mut lease);
    drop(lease);
    it.backend.put(&HEAD, &old, PutCondition::Always).unwrap();
    assert!(matches!(it.store.load(), Err(StoreError::Outdated { .. })));
    it.store.restore("eve", "state restore shop", 0).unwrap();
    let names: Vec<String> = it.state().bound.into_keys().collect();
    assert_eq!(names, ["first", "second"]);
    let serials: Vec<u64> = it.store.log().kept().unwrap().iter().map(|it| it.serial).collect();
    assert_eq!(serials, [1, 1, 2, 2, 3, 3], "nothing that was saved is gone");
}

#[test]
fn load_and_restore_get_past_what_is_no_entry() {
    let it = Shop::founded();
    for stray in ["notes.txt", "99999999999999999999"] {
        it.backend.put(&ENTRIES.key(stray), b"mine", PutCondition::Always).unwrap();
        assert_eq!(it.state().bound.len(), 1, "{stray} is nobody's entry");
    }
    // A number that lifeboat could have given, and did not.
    let stray = ENTRIES.key("00000000000000009999");
    it.backend.put(&stray, b"mine", PutCondition::Always).unwrap();
    assert!(matches!(it.store.load(), Err(StoreError::Outdated { .. })));
    it.store.restore("eve", "state restore shop", 0).unwrap();
    assert_eq!(it.state().bound.len(), 1);
}

#[test]
fn load_refuses_the_state_of_another_stack() {
    let it = Shop::founded();
    let of = |stack: &str| it.store.clone().of_stack(stack);
    of("shop").load().unwrap();
    let refused = of("blog").load().unwrap_err();
    assert!(matches!(refused, StoreError::OtherStack { .. }), "{refused}");
    assert!(of("blog").lease("ann", "apply blog", 0).is_err());
}

#[test]
fn append_stops_waiting_for_a_store_when_somebody_wants_to_stop() {
    let it = Shop::founded();
    let mut lease = take(&it.store, "ann");
    let told = Arc::new(std::sync::Mutex::new(Vec::new()));
    let tells = Arc::clone(&told);
    lease.pulse().when_unreachable(move |why| tells.lock().unwrap().push(why.to_owned()));
    it.backend.fail(u64::MAX);
    lease.pulse().stop_waiting();
    let began = it.clock.now();
    lease.append(&[bound("second")]).unwrap_err();
    let waited = it.clock.now().saturating_sub(began);
    assert!(waited >= Duration::from_secs(5) && waited < Duration::from_secs(7), "{waited:?}");
    assert_eq!(told.lock().unwrap().len(), 1, "once for each outage");
}

#[test]
fn lease_folds_those_under_which_nothing_was_done() {
    let it = Shop::founded();
    let before = it.state();
    for _ in 0..40 {
        drop(take(&it.store, "ann"));
        assert!(it.batches().len() <= 16, "each costs a reader one request");
    }
    let after = it.state();
    assert_eq!((after.serial, after.touched, &after.bound), (1, before.touched, &before.bound));
    assert_eq!(it.backend.list(&SNAPSHOTS).unwrap().len(), 1);
    // What a run that was cut off has left is kept as it is.
    let mut lease = take(&it.store, "ann");
    lease.append(&[bound("second")]).unwrap();
    drop(lease);
    for _ in 0..40 {
        drop(take(&it.store, "ann"));
    }
    let entries = it.store.entries(0).unwrap();
    assert!(entries.contains(&bound("second")), "{entries:?}");
}

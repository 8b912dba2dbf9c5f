//! Two stores of one state: whatever is silent, killed or taken over, what was acknowledged is there, and one of them decides.

mod combinations;
mod damaged;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::engine::state::chain::decode_head;
use crate::engine::state::copies::OtherCopy;
use crate::engine::state::copies_error::CopiesError;
use crate::engine::state::record::State;
use crate::engine::state::stores_record::{ActiveStores, NamedStores, StoreRole, StoresRecord};
use crate::store::backend::Backend;
use crate::store::error::StoreError;
use crate::store::keep_alive::LeaseTimes;
use crate::store::key::STORES;
use crate::store::lease::Lease;
use crate::store::lease_clock::LeaseClock;
use crate::store::mirror::look::{LookMemory, MirrorStores};
use crate::store::mirror::pair::MirroredBackend;
use crate::store::mirror::record::read_record;
use crate::store::preempt::SwitchCommand;
use crate::store::state_store::StateStore;
use crate::store::tests::memory::MemoryBackend;
use crate::store::tests::sealed::sealed_in;
use crate::store::tests::{VirtualClock, bound, founded};

const STILL: LeaseTimes =
    LeaseTimes { lease: Duration::from_secs(30), heartbeat: Duration::from_secs(3_600) };

const HOME: &str = "aws:us-east-1";

struct Pair {
    primary: Arc<MemoryBackend>,
    mirror: Arc<MemoryBackend>,
    witness: Option<Arc<MemoryBackend>>,
    clock: Arc<VirtualClock>,
    is_sealed: bool,
    /// Of which stack it is a workspace.
    stack: Option<Box<Pair>>,
}

impl Pair {
    fn new() -> Self {
        let clock = Arc::new(VirtualClock::default());
        let (primary, mirror) = (MemoryBackend::new(), MemoryBackend::new());
        Self { primary, mirror, witness: None, clock, is_sealed: false, stack: None }
    }

    fn with_witness() -> Self {
        Self { witness: Some(MemoryBackend::new()), ..Self::new() }
    }

    /// With a state of one entry in both.
    fn founded(self) -> Self {
        let mut lease = self.lease("founder").unwrap();
        lease.append(&[founded(), bound("first")]).unwrap();
        self.save(&mut lease);
        drop(lease);
        self
    }

    /// One of its stores, with what it encrypts.
    fn side(&self, store: &Arc<MemoryBackend>) -> Arc<dyn Backend> {
        let store = Arc::clone(store) as Arc<dyn Backend>;
        if self.is_sealed { sealed_in(store, &["KEY"]) } else { store }
    }

    fn backend(&self) -> Arc<dyn Backend> {
        Arc::new(MirroredBackend::new(self.stores()))
    }

    fn stores(&self) -> MirrorStores {
        let witness = self.witness.clone().map(|it| it as Arc<dyn Backend>);
        MirrorStores {
            stores: [self.side(&self.primary), self.side(&self.mirror)],
            named: NamedStores {
                primary: "p".into(),
                mirror: Some("m".into()),
                witness: witness.is_some().then(|| "w".into()),
            },
            witness,
            domains: [HOME.into(), "aws:us-west-2".into()],
            stack: self.stack.as_ref().map(|it| Box::new(it.stores())),
            memory: LookMemory::default(),
        }
    }

    /// The same stores.
    fn same(&self) -> Self {
        let Self { primary, mirror, witness, clock, .. } = self;
        Self {
            primary: Arc::clone(primary),
            mirror: Arc::clone(mirror),
            witness: witness.clone(),
            clock: Arc::clone(clock),
            is_sealed: self.is_sealed,
            stack: None,
        }
    }

    fn store_of(&self, role: StoreRole) -> &MemoryBackend {
        match role {
            StoreRole::Primary => &self.primary,
            StoreRole::Mirror => &self.mirror,
        }
    }

    /// The mirror has gone on alone after a failover, and the primary store is back.
    fn promoted() -> Self {
        let it = Self::new().founded();
        it.primary.silence(true);
        let mut lease = it.failover("bob", true).unwrap();
        lease.append(&[bound("failed over")]).unwrap();
        it.save(&mut lease);
        drop(lease);
        it.primary.silence(false);
        it
    }

    /// As another process opens it.
    fn store(&self) -> StateStore {
        StateStore::over(self.backend())
            .with_times(STILL)
            .with_clock(Arc::clone(&self.clock) as Arc<dyn LeaseClock>)
    }

    fn lease(&self, owner: &str) -> Result<Lease, StoreError> {
        self.store().lease(owner, "apply shop", 0).map(|it| it.0)
    }

    /// A failover under the loss of the primary store's region; `promotes`: by a person.
    fn failover(&self, owner: &str, promotes: bool) -> Result<Lease, StoreError> {
        let (to, lost) = (["eu".to_owned()], [HOME.to_owned()]);
        let who = SwitchCommand {
            owner,
            command: "failover shop",
            at: 0,
            to: &to,
            lost: &lost,
            asks: false,
            promotes,
        };
        self.store().preempt(who, &mut |_| {}).map(|it| it.0)
    }

    fn save(&self, lease: &mut Lease) {
        let mut state = self.state();
        state.serial += 1;
        lease.save(&state).unwrap();
    }

    fn state(&self) -> State {
        self.store().load().unwrap().unwrap()
    }

    fn accounts(&self) -> Vec<String> {
        self.state().bound.into_keys().collect()
    }

    /// What became of the copy that is not believed, for a reader.
    fn other(&self) -> OtherCopy {
        let store = self.store();
        store.load().unwrap();
        store.backend().standing().unwrap().other
    }

    fn record_in(&self, role: StoreRole) -> StoresRecord {
        let store = match role {
            StoreRole::Primary => &self.primary,
            StoreRole::Mirror => &self.mirror,
        };
        read_record(&**store).unwrap().unwrap().0
    }

    /// Both hold the same, but for the heartbeats of those who held it in one, and for what one of them has set aside.
    #[track_caller]
    fn are_equal(&self) {
        let kept = |it: &Arc<MemoryBackend>| -> BTreeMap<String, String> {
            let mut all = it.all();
            let head = all["head"].clone();
            let covered = decode_head(head.as_bytes()).unwrap().sequence;
            // What was put and never named, or is covered and not removed yet, by somebody who was killed, is nobody's.
            let is_named = |key: &str| match key.split_once('/') {
                Some(("snapshots" | "history", name)) => head.contains(name),
                Some(("entries", name)) => name.parse::<u64>().unwrap() > covered,
                Some(("lease" | "discarded", _)) => false,
                _ => true,
            };
            all.retain(|key, _| is_named(key));
            all
        };
        assert_eq!(kept(&self.primary), kept(&self.mirror));
        assert_eq!(self.other(), OtherCopy::Same);
    }
}

fn refused(result: Result<Lease, StoreError>) -> CopiesError {
    match result {
        Err(StoreError::Copies { why, .. }) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn append_and_save_are_over_when_both_stores_have_it() {
    let it = Pair::new().founded();
    it.are_equal();
    let mut lease = it.lease("ann").unwrap();
    lease.append(&[bound("second")]).unwrap();
    it.are_equal();
    it.save(&mut lease);
    drop(lease);
    it.are_equal();
    assert_eq!(it.accounts(), ["first", "second"]);
    let record = it.record_in(StoreRole::Primary);
    assert_eq!((record.generation, record.active), (1, ActiveStores::All));
}

/// The mirror misses the put, and the same put goes on there.
#[test]
fn append_waits_for_a_mirror_that_does_not_answer_and_puts_nothing_twice() {
    for lost_replies in [false, true] {
        let it = Pair::new().founded();
        let mut lease = it.lease("ann").unwrap();
        if lost_replies {
            it.mirror.lose_replies(2);
        } else {
            it.mirror.fail(2);
        }
        lease.append(&[bound("second")]).unwrap();
        it.mirror.fail(2);
        it.save(&mut lease);
        drop(lease);
        it.are_equal();
        assert_eq!(it.accounts(), ["first", "second"]);
    }
}

/// A holder that is killed after any of its puts, to either store: what it was told is there stays, and the next one makes both equal.
#[test]
fn lease_after_a_kill_between_any_two_puts_catches_up() {
    let mut kills = 0;
    for is_primary in [true, false] {
        for puts in 0..60 {
            let it = Pair::new().founded();
            let victim = if is_primary { &it.primary } else { &it.mirror };
            victim.fail_after(puts);
            let mut told = Vec::new();
            let run = || -> Result<(), StoreError> {
                let mut lease = it.lease("ann")?;
                for name in ["a", "b"] {
                    lease.append(&[bound(name)])?;
                    told.push(name);
                    let mut state = it.state();
                    state.serial += 1;
                    lease.save(&state)?;
                }
                Ok(())
            };
            let is_killed = { run }().is_err();
            if !is_killed {
                break;
            }
            kills += 1;
            victim.fail(0);
            it.clock.sleep(Duration::from_secs(60));
            let held = it.accounts();
            assert!(told.iter().all(|name| held.iter().any(|it| it == name)), "{puts}: {held:?}");
            drop(it.lease("bob").unwrap());
            it.are_equal();
            assert_eq!(it.accounts(), held, "{puts}");
        }
    }
    assert!(kills > 20, "{kills}");
}

#[test]
fn load_and_lease_while_the_mirror_is_silent() {
    let it = Pair::new().founded();
    it.mirror.silence(true);
    assert_eq!(it.accounts(), ["first"]);
    assert!(matches!(it.other(), OtherCopy::Unreachable(_)));
    assert!(matches!(
        refused(it.lease("ann")),
        CopiesError::NotAlone { silent: StoreRole::Mirror, .. }
    ));
    it.store().suspend_mirror("ann", "state mirror suspend shop", 0).unwrap();
    let mut lease = it.lease("ann").unwrap();
    lease.append(&[bound("second")]).unwrap();
    it.save(&mut lease);
    drop(lease);
    it.mirror.silence(false);
    // It stays suspended until somebody says otherwise, and nobody goes on in it.
    assert_eq!(it.other(), OtherCopy::Suspended);
    drop(it.lease("ann").unwrap());
    assert_eq!(it.other(), OtherCopy::Suspended);
    assert_eq!(it.accounts(), ["first", "second"]);
    it.store().resume_mirror("ann", "state mirror resume shop", 0).unwrap();
    it.are_equal();
    assert_eq!(it.record_in(StoreRole::Mirror).generation, 3);
}

/// A copy that knows that it was suspended is not promoted.
#[test]
fn failover_refuses_a_suspended_mirror() {
    let it = Pair::new().founded();
    it.store().suspend_mirror("ann", "state mirror suspend shop", 0).unwrap();
    it.primary.silence(true);
    assert!(matches!(
        refused(it.failover("ann", true)),
        CopiesError::Superseded { role: StoreRole::Primary, .. }
    ));
    // If the primary store is gone for good, a person may say so.
    it.store().keep_copy(StoreRole::Mirror, "ann", "state resolve shop --keep mirror", 0).unwrap();
    drop(it.lease("ann").unwrap());
    assert_eq!(it.accounts(), ["first"]);
}

#[test]
fn failover_under_the_loss_of_the_primary_store_promotes_the_mirror() {
    let it = Pair::new().founded();
    // Its last entry reached the primary store alone, so nobody was told that it is there.
    let mut holder = it.lease("ann").unwrap();
    it.mirror.fail_after(0);
    holder.append(&[bound("unacknowledged")]).unwrap_err();
    it.mirror.fail(0);
    it.primary.silence(true);
    assert!(matches!(
        refused(it.lease("bob")),
        CopiesError::NotAlone { silent: StoreRole::Primary, .. }
    ));
    let mut lease = it.failover("bob", true).unwrap();
    lease.append(&[bound("failed over")]).unwrap();
    it.save(&mut lease);
    drop(lease);
    // Whoever was cut off with the primary store changes nothing any more.
    assert!(holder.pulse().ensure_fenced().is_err());
    assert!(holder.append(&[bound("late")]).is_err());
    drop(holder);
    assert_eq!(it.accounts(), ["failed over", "first"]);
    // Plain runs go on there.
    drop(it.lease("bob").unwrap());
    it.primary.silence(false);
    assert_eq!(it.other(), OtherCopy::Forked);
    assert_eq!(it.accounts(), ["failed over", "first"]);
    drop(it.lease("carol").unwrap());
    it.are_equal();
    assert_eq!(it.accounts(), ["failed over", "first"]);
    assert_eq!(it.record_in(StoreRole::Primary).active, ActiveStores::All);
    let aside: Vec<_> =
        it.primary.all().into_iter().filter(|(key, _)| key.starts_with("discarded/")).collect();
    assert!(aside.iter().any(|(_, text)| text.contains("unacknowledged")), "{aside:?}");
}

/// Law 4: who wakes up with a lease of the primary store writes nowhere that counts.
#[test]
fn append_of_a_holder_that_slept_through_a_promotion_is_refused() {
    let it = Pair::new().founded();
    let mut asleep = it.lease("ann").unwrap();
    drop(it.failover("bob", true).unwrap());
    assert!(asleep.append(&[bound("late")]).is_err());
    assert!(asleep.pulse().ensure_fenced().is_err());
    drop(asleep);
    drop(it.lease("carol").unwrap());
    it.are_equal();
    assert_eq!(it.accounts(), ["first"]);
}

#[test]
fn unattended_failover_promotes_only_with_a_witness() {
    let it = Pair::new().founded();
    it.primary.silence(true);
    assert!(matches!(
        refused(it.failover("watch", false)),
        CopiesError::NotAlone { silent: StoreRole::Primary, .. }
    ));
    let it = Pair::with_witness().founded();
    it.primary.silence(true);
    let mut lease = it.failover("watch", false).unwrap();
    lease.append(&[bound("failed over")]).unwrap();
    drop(lease);
    // The primary store and the witness are no two of three: the witness has said which.
    it.primary.silence(false);
    it.mirror.silence(true);
    assert!(matches!(
        refused(it.lease("ann")),
        CopiesError::Superseded { role: StoreRole::Mirror, .. }
    ));
    it.mirror.silence(false);
    drop(it.lease("ann").unwrap());
    it.are_equal();
    // A silent witness stops nobody who has both.
    it.witness.as_ref().unwrap().silence(true);
    drop(it.lease("ann").unwrap());
}

#[test]
fn both_that_went_on_alone_are_diverged_until_somebody_keeps_one() {
    for keep in StoreRole::BOTH {
        let it = Pair::new().founded();
        it.mirror.silence(true);
        it.store().suspend_mirror("ann", "state mirror suspend shop", 0).unwrap();
        let mut lease = it.lease("ann").unwrap();
        lease.append(&[bound("home")]).unwrap();
        drop(lease);
        it.mirror.silence(false);
        it.primary.silence(true);
        let mut lease = it.failover("bob", true).unwrap();
        lease.append(&[bound("away")]).unwrap();
        drop(lease);
        it.primary.silence(false);
        let why = refused(it.lease("carol"));
        assert!(matches!(why, CopiesError::Diverged { .. }), "{why}");
        assert!(matches!(it.store().load(), Err(StoreError::Copies { .. })));
        it.store().keep_copy(keep, "carol", "state resolve shop --keep mirror", 0).unwrap();
        it.are_equal();
        let (kept, other) = match keep {
            StoreRole::Primary => (["first", "home"], &it.mirror),
            StoreRole::Mirror => (["away", "first"], &it.primary),
        };
        assert_eq!(it.accounts(), kept);
        assert!(other.all().keys().any(|it| it.starts_with("discarded/")));
        assert!(matches!(
            it.store().keep_copy(keep, "carol", "state resolve", 0),
            Err(StoreError::Copies { why: CopiesError::NothingToResolve, .. })
        ));
    }
}

/// Of two copies the older one is caught up, whichever it is (law 5).
#[test]
fn lease_catches_up_a_store_that_was_put_back() {
    for is_primary in [true, false] {
        let it = Pair::new().founded();
        let victim = if is_primary { &it.primary } else { &it.mirror };
        let before = victim.all();
        let mut lease = it.lease("ann").unwrap();
        lease.append(&[bound("second")]).unwrap();
        it.save(&mut lease);
        drop(lease);
        victim.put_back(&before);
        assert_eq!(it.accounts(), ["first", "second"]);
        assert!(matches!(it.other(), OtherCopy::Behind(1..)));
        drop(it.lease("bob").unwrap());
        it.are_equal();
        // All of it may be gone.
        victim.put_back(&BTreeMap::new());
        drop(it.lease("bob").unwrap());
        it.are_equal();
        assert_eq!(it.accounts(), ["first", "second"]);
    }
}

/// What the copy that was given up tells of itself, in heartbeats, snapshots and reports, is not held against the one that was kept.
#[test]
fn keep_copy_of_an_older_mirror_stands_when_the_primary_store_returns() {
    let it = Pair::new().founded();
    it.mirror.silence(true);
    it.store().suspend_mirror("ann", "state mirror suspend shop", 0).unwrap();
    for name in ["second", "third"] {
        let mut lease = it.lease("ann").unwrap();
        lease.append(&[bound(name)]).unwrap();
        it.save(&mut lease);
    }
    it.mirror.silence(false);
    it.primary.silence(true);
    it.store().keep_copy(StoreRole::Mirror, "bob", "state resolve shop --keep mirror", 0).unwrap();
    it.primary.silence(false);
    // Each went on without the other: a person has said so of the mirror, and of the primary store as well.
    assert!(matches!(refused(it.lease("carol")), CopiesError::Diverged { .. }));
    it.store().keep_copy(StoreRole::Mirror, "bob", "state resolve shop --keep mirror", 0).unwrap();
    it.are_equal();
    assert_eq!((it.accounts(), it.state().serial), (vec!["first".to_owned()], 1));
    let mut lease = it.lease("carol").unwrap();
    lease.append(&[bound("fourth")]).unwrap();
    it.save(&mut lease);
    drop(lease);
    assert_eq!(it.accounts(), ["first", "fourth"]);
    let restorable = it.store().restorable().unwrap().unwrap();
    assert_eq!((restorable.state.serial, restorable.lost), (2, 0));
    assert!(it.primary.all().keys().any(|it| it.starts_with("discarded/")));
}

/// However often somebody has said so of one of them: generations are counted where nobody sees the other store.
#[test]
fn keep_copy_of_one_store_does_not_outrank_a_promotion_that_it_did_not_see() {
    let it = Pair::promoted();
    it.mirror.silence(true);
    it.store().suspend_mirror("ann", "state mirror suspend shop", 0).unwrap();
    for _ in 0..3 {
        it.store().keep_copy(StoreRole::Primary, "ann", "state resolve", 0).unwrap();
    }
    it.mirror.silence(false);
    assert!(matches!(refused(it.lease("carol")), CopiesError::Diverged { .. }));
}

#[test]
fn failover_refuses_a_mirror_that_was_never_caught_up() {
    let it = Pair::new().founded();
    // As `state migrate` leaves a new one that it could not catch up.
    it.mirror.delete(&STORES).unwrap();
    it.primary.silence(true);
    let why = refused(it.failover("bob", true));
    assert!(matches!(why, CopiesError::NotAlone { silent: StoreRole::Primary, .. }), "{why}");
    it.primary.silence(false);
    drop(it.lease("ann").unwrap());
    it.primary.silence(true);
    drop(it.failover("bob", true).unwrap());
}

/// A workspace goes on where its stack does, and with both stores again once that does.
#[test]
fn lease_of_a_workspace_follows_its_stack() {
    let it = Pair::new().founded();
    let workspace = Pair { stack: Some(Box::new(it.same())), ..Pair::new() }.founded();
    // Whatever its stores are, they answer and are silent together with those of the stack.
    let silence = |role, is_silent| {
        it.store_of(role).silence(is_silent);
        workspace.store_of(role).silence(is_silent);
    };
    silence(StoreRole::Primary, true);
    assert!(matches!(refused(workspace.lease("ann")), CopiesError::NotAlone { .. }));
    drop(it.failover("ann", true).unwrap());
    let store = workspace.store();
    store.load().unwrap();
    assert!(!store.backend().standing().unwrap().is_unseen(), "that was decided");
    let mut lease = workspace.lease("ann").unwrap();
    lease.append(&[bound("drilled")]).unwrap();
    drop(lease);
    assert_eq!(workspace.accounts(), ["drilled", "first"]);
    silence(StoreRole::Primary, false);
    drop(it.lease("ann").unwrap());
    drop(workspace.lease("ann").unwrap());
    workspace.are_equal();
    // Nothing is written to a suspended mirror, nor by a workspace, until that is over.
    it.store().suspend_mirror("ann", "state mirror suspend shop", 0).unwrap();
    drop(workspace.lease("ann").unwrap());
    assert_eq!(workspace.other(), OtherCopy::Suspended);
    silence(StoreRole::Mirror, true);
    drop(workspace.lease("ann").unwrap());
    silence(StoreRole::Mirror, false);
    it.store().resume_mirror("ann", "state mirror resume shop", 0).unwrap();
    drop(workspace.lease("ann").unwrap());
    workspace.are_equal();
}

/// Where nobody can see how the stack went on, nor does a workspace of it.
#[test]
fn lease_of_a_workspace_is_refused_where_its_stack_cannot_be_read() {
    let it = Pair::with_witness().founded();
    let workspace = Pair { stack: Some(Box::new(it.same())), ..Pair::with_witness() }.founded();
    it.primary.silence(true);
    workspace.primary.silence(true);
    drop(it.failover("ann", true).unwrap());
    for pair in [&it, &workspace] {
        pair.primary.silence(false);
        pair.mirror.silence(true);
    }
    let why = refused(workspace.lease("bob"));
    assert!(matches!(why, CopiesError::Superseded { role: StoreRole::Mirror, .. }), "{why}");
}

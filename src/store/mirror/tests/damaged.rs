//! Copies that are damaged: the one that is whole is believed and replaces the other one, unless that may have gone on alone.

use std::collections::BTreeMap;

use crate::engine::state::chain::decode_head;
use crate::engine::state::copies::OtherCopy;
use crate::engine::state::copies_error::CopiesError;
use crate::engine::state::stores_record::StoreRole;
use crate::store::backend::{Backend, PutCondition};
use crate::store::error::StoreError;
use crate::store::key::{ENTRIES, HEAD, SEALED, SNAPSHOTS, STORES, StoreKey};
use crate::store::lease_clock::LeaseClock as _;
use crate::store::mirror::record::read_record;
use crate::store::mirror::tests::{Pair, STILL, refused};
use crate::store::tests::bound;
use crate::store::tests::memory::MemoryBackend;

/// What may happen to an object of a copy.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Damage {
    Changed,
    Cut,
    Gone,
}

impl Damage {
    const ALL: [Self; 3] = [Self::Changed, Self::Cut, Self::Gone];

    fn befalls(self, store: &MemoryBackend, key: &StoreKey) {
        let mut bytes = store.get(key).unwrap().unwrap();
        let half = bytes.len() / 2;
        match self {
            Self::Changed => bytes[half] ^= 1,
            Self::Cut => bytes.truncate(half),
            Self::Gone => return store.delete(key).unwrap(),
        }
        store.put(key, &bytes, PutCondition::Always).unwrap();
    }
}

impl Pair {
    /// With a state of two snapshots and three batches behind them.
    fn grown() -> Self {
        Self::new().grow()
    }

    fn grow(self) -> Self {
        let it = self.founded();
        let mut lease = it.lease("ann").unwrap();
        lease.append(&[bound("second")]).unwrap();
        it.save(&mut lease);
        drop(lease);
        let mut lease = it.lease("ann").unwrap();
        lease.append(&[bound("third")]).unwrap();
        lease.append(&[bound("fourth")]).unwrap();
        drop(lease);
        it
    }

    /// What holds the state as of now: the head, the snapshot in place and the batches behind it.
    fn keys_in_force(&self) -> Vec<StoreKey> {
        let head = decode_head(&self.primary.get(&HEAD).unwrap().unwrap()).unwrap();
        let mut keys = self.primary.list(&ENTRIES).unwrap();
        assert_eq!(keys.len(), 3, "{keys:?}");
        keys.extend([HEAD.clone(), SNAPSHOTS.key(head.snapshot().unwrap())]);
        keys
    }
}

const GROWN: [&str; 4] = ["first", "fourth", "second", "third"];

/// Of two copies the one that is whole is believed, and the other one is replaced by it: whatever of it is damaged or missing.
#[test]
fn load_and_lease_while_one_copy_is_damaged() {
    for role in StoreRole::BOTH {
        for key in Pair::grown().keys_in_force() {
            for damage in Damage::ALL {
                let it = Pair::grown();
                let key = match &key {
                    key if key.prefix() == SNAPSHOTS => it.keys_in_force().pop().unwrap(),
                    key => key.clone(),
                };
                damage.befalls(it.store_of(role), &key);
                let what = format!("{damage:?} {key} of {role}");
                assert_eq!(it.accounts(), GROWN, "{what}");
                drop(it.lease("bob").unwrap_or_else(|why| panic!("{what}: {why}")));
                it.are_equal();
                assert_eq!(it.accounts(), GROWN, "{what}");
                // Either of them alone has it all.
                it.store_of(role.other()).silence(true);
                assert_eq!(it.accounts(), GROWN, "{what}");
            }
        }
    }
}

/// The same of encrypted copies, each encrypted by itself: what does not open is damaged.
#[test]
fn load_and_lease_while_one_encrypted_copy_is_damaged() {
    let grown = || Pair { is_sealed: true, ..Pair::new() }.grow();
    let keys_in_force = |it: &Pair, role| -> Vec<StoreKey> {
        let store = it.side(if role == StoreRole::Primary { &it.primary } else { &it.mirror });
        let head = decode_head(&store.get(&HEAD).unwrap().unwrap()).unwrap();
        let mut keys = store.list(&ENTRIES).unwrap();
        keys.extend([HEAD.clone(), SNAPSHOTS.key(head.snapshot().unwrap())]);
        keys.iter().map(|it| it.within(&SEALED)).collect()
    };
    let mut damaged = 0;
    for role in StoreRole::BOTH {
        for at in 0..keys_in_force(&grown(), role).len() {
            for damage in Damage::ALL {
                let it = grown();
                let key = &keys_in_force(&it, role)[at];
                damage.befalls(it.store_of(role), key);
                let what = format!("{damage:?} {key} of {role}");
                assert_eq!(it.accounts(), GROWN, "{what}");
                drop(it.lease("bob").unwrap_or_else(|why| panic!("{what}: {why}")));
                assert_eq!(it.other(), OtherCopy::Same, "{what}");
                it.store_of(role.other()).silence(true);
                assert_eq!(it.accounts(), GROWN, "{what}");
                damaged += 1;
            }
        }
    }
    assert_eq!(damaged, 30);
}

/// What the stores record of each other tells whether the state went on in one of them alone.
#[test]
fn lease_asks_a_person_where_the_record_of_a_store_is_damaged() {
    for role in StoreRole::BOTH {
        for damage in [Damage::Changed, Damage::Cut] {
            let it = Pair::grown();
            damage.befalls(it.store_of(role), &STORES);
            assert_eq!(it.accounts(), GROWN);
            assert!(matches!(it.other(), OtherCopy::Unknowable(_)));
            let why = refused(it.lease("ann"));
            assert!(matches!(why, CopiesError::Unknowable { role: told, .. } if told == role));
            it.store().keep_copy(role.other(), "ann", "state resolve", 0).unwrap();
            it.are_equal();
            assert_eq!(it.accounts(), GROWN);
        }
        let it = Pair::grown();
        Damage::Gone.befalls(it.store_of(role), &STORES);
        drop(it.lease("ann").unwrap());
        it.are_equal();
    }
}

/// With a witness two of three know it.
#[test]
fn lease_replaces_a_damaged_record_of_a_store_or_of_the_witness() {
    for damage in Damage::ALL {
        let it = Pair::with_witness().founded();
        for store in [&it.primary, &it.mirror, it.witness.as_ref().unwrap()] {
            damage.befalls(store, &STORES);
            drop(it.lease("ann").unwrap());
            it.are_equal();
            let witness = read_record(&**it.witness.as_ref().unwrap()).unwrap().unwrap().0;
            assert_eq!(witness, it.record_in(StoreRole::Primary));
        }
    }
}

#[test]
fn restore_of_one_damaged_copy_goes_on_from_the_other_one() {
    for role in StoreRole::BOTH {
        let it = Pair::grown();
        let snapshot = it.keys_in_force().pop().unwrap();
        Damage::Cut.befalls(it.store_of(role), &snapshot);
        let restored = it.store().restore("ann", "state restore shop", 0).unwrap();
        assert_eq!(restored.state.bound.len(), 4);
        assert!(!restored.state.is_restored, "nothing was lost");
        it.are_equal();
        assert_eq!(it.accounts(), GROWN);
    }
}

/// A person says in which of them the state goes on, and restores it there.
#[test]
fn restore_of_two_damaged_copies() {
    for role in StoreRole::BOTH {
        let it = Pair::grown();
        let keys = it.keys_in_force();
        Damage::Cut.befalls(it.store_of(role.other()), &HEAD);
        Damage::Cut.befalls(it.store_of(role), &keys[2]);
        // The one whose head is whole is damaged in its last entry.
        let restore = |it: &Pair| it.store().restore("ann", "state restore shop", 0);
        assert!(matches!(
            restore(&it).unwrap_err(),
            StoreError::Copies { why: CopiesError::BothDamaged { .. }, .. }
        ));
        assert!(matches!(refused(it.lease("ann")), CopiesError::BothDamaged { .. }));
        it.store().keep_copy(role, "ann", "state resolve", 0).unwrap_err();
        let restored = restore(&it).unwrap();
        assert_eq!(restored.state.bound.len(), 3, "all but the last entry");
        drop(it.lease("ann").unwrap());
        it.are_equal();
        assert_eq!(it.accounts(), ["first", "second", "third"]);
    }
}

/// What went on alone and is damaged is not replaced by the copy that it left behind.
#[test]
fn lease_does_not_believe_a_copy_that_was_left_behind_by_a_damaged_one() {
    let it = Pair::promoted();
    Damage::Cut.befalls(&it.mirror, &HEAD);
    assert!(matches!(it.lease("ann"), Err(StoreError::Broken { .. })));
    it.store().restore("ann", "state restore shop", 0).unwrap();
    drop(it.lease("ann").unwrap());
    it.are_equal();
    assert_eq!(it.accounts(), ["failed over", "first"]);
}

const FAILED_OVER: [&str; 2] = ["failed over", "first"];

/// Whatever became of the copy that went on, the one that it left behind does not take its place, nor is it overwritten.
#[test]
fn lease_keeps_what_it_can_of_a_promoted_copy_whose_head_is_gone_or_old() {
    for is_older in [false, true] {
        let it = Pair::promoted();
        if is_older {
            // A head of before the failover, valid in itself.
            let older = it.primary.get(&HEAD).unwrap().unwrap();
            it.mirror.put(&HEAD, &older, PutCondition::Always).unwrap();
        } else {
            it.mirror.delete(&HEAD).unwrap();
        }
        let before = it.primary.all();
        for _ in 0..2 {
            it.lease("ann").map(drop).expect_err("what was acknowledged is not there");
        }
        let kept = |all: &BTreeMap<String, String>| {
            all.keys().filter(|it| it.starts_with("snapshots/")).count()
        };
        assert_eq!(kept(&it.primary.all()), kept(&before), "the other copy is left alone");
        let restored = it.store().restore("ann", "state restore shop", 0).unwrap();
        assert_eq!(restored.state.bound.into_keys().collect::<Vec<_>>(), FAILED_OVER);
        drop(it.lease("ann").unwrap());
        it.are_equal();
        assert_eq!(it.accounts(), FAILED_OVER, "{is_older}");
    }
}

/// All but the record of the stores is gone from it.
#[test]
fn lease_does_not_replace_a_whole_copy_by_an_empty_one() {
    let it = Pair::promoted();
    let stores = it.mirror.get(&STORES).unwrap().unwrap();
    it.mirror.put_back(&BTreeMap::new());
    it.mirror.put(&STORES, &stores, PutCondition::Always).unwrap();
    let before = it.primary.all();
    it.lease("ann").map(drop).expect_err("what was acknowledged is not there");
    assert_eq!(it.primary.all().get("head"), before.get("head"));
    assert!(!it.primary.all().keys().any(|it| it.starts_with("discarded/")));
    // What is left is in the other one, if a person says so.
    it.store().keep_copy(StoreRole::Primary, "ann", "state resolve", 0).unwrap();
    it.are_equal();
    assert_eq!(it.accounts(), ["first"]);
}

/// Only what it says of the stores is damaged: a person knows that the state went on in it.
#[test]
fn keep_copy_of_one_whose_record_is_damaged() {
    let it = Pair::promoted();
    Damage::Cut.befalls(&it.mirror, &STORES);
    assert!(matches!(
        refused(it.lease("ann")),
        CopiesError::Unknowable { role: StoreRole::Mirror, .. }
    ));
    it.store().keep_copy(StoreRole::Mirror, "ann", "state resolve", 0).unwrap();
    it.are_equal();
    assert_eq!(it.accounts(), FAILED_OVER);
}

/// Damage below the ends of both copies is known once they were read: by whichever command comes.
#[test]
fn keep_copy_of_one_of_two_that_are_damaged_below_their_ends() {
    for role in StoreRole::BOTH {
        for head in [false, true] {
            let it = Pair::grown();
            let snapshot = it.keys_in_force().pop().unwrap();
            Damage::Cut.befalls(it.store_of(role.other()), if head { &HEAD } else { &snapshot });
            Damage::Cut.befalls(it.store_of(role), &snapshot);
            let what = format!("{role}, {head}");
            let why = it.store().keep_copy(role, "ann", "state resolve", 0).unwrap_err();
            let StoreError::Copies { why: CopiesError::KeptDamaged { .. }, .. } = why else {
                panic!("{what}: {why}")
            };
            let restored = it.store().restore("ann", "state restore shop", 0).unwrap();
            assert!(!restored.state.bound.is_empty(), "{what}");
            // Nobody waits for a lease that was refused.
            assert!(it.clock.now() < STILL.lease, "{what}: {:?}", it.clock.now());
            drop(it.lease("bob").unwrap_or_else(|why| panic!("{what}: {why}")));
            // An older snapshot is not compared, so it stays damaged where it is.
            assert_eq!(it.other(), OtherCopy::Same, "{what}");
        }
    }
}

/// A snapshot that is missing, and not only damaged, in a copy that went on alone.
#[test]
fn restore_of_a_promoted_copy_whose_snapshot_is_gone() {
    let it = Pair::promoted();
    let head = decode_head(&it.mirror.get(&HEAD).unwrap().unwrap()).unwrap();
    it.mirror.delete(&SNAPSHOTS.key(head.snapshot().unwrap())).unwrap();
    it.lease("ann").map(drop).unwrap_err();
    let restored = it.store().restore("ann", "state restore shop", 0).unwrap();
    assert_eq!(restored.state.bound.into_keys().collect::<Vec<_>>(), FAILED_OVER);
    drop(it.lease("ann").unwrap());
    it.are_equal();
}

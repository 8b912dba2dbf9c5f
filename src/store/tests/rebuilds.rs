//! A state that was read from the clouds, in the place of one that is lost.

use std::sync::Arc;

use crate::engine::state::journal::replay;
use crate::engine::state::record::State;
use crate::store::backend::{Backend, PutCondition};
use crate::store::error::StoreError;
use crate::store::folder::FolderBackend;
use crate::store::key::{ENTRIES, HEAD, HISTORY, JOURNAL, SNAPSHOT, SNAPSHOTS, StoreKey};
use crate::store::state_store::StateStore;
use crate::store::tests::memory::MemoryBackend;
use crate::store::tests::{bound, founded, take};

fn read_anew() -> State {
    let mut state = replay(None, 1, &founded()).unwrap();
    state.lineage = "new".into();
    state.is_restored = true;
    state
}

fn with_each(check: impl Fn(&Arc<dyn Backend>, &StateStore)) {
    let folder = tempfile::tempdir().unwrap();
    let folder: Arc<dyn Backend> = Arc::new(FolderBackend::new(&folder.path().join("shop")));
    for backend in [folder, MemoryBackend::new()] {
        check(&backend, &StateStore::over(Arc::clone(&backend)));
    }
}

fn save(store: &StateStore) {
    let mut lease = take(store, "ann");
    lease.append(&[founded(), bound("a")]).unwrap();
    let mut state = store.load().unwrap().unwrap();
    state.serial += 1;
    lease.save(&state).unwrap();
    lease.append(&[bound("b")]).unwrap();
}

#[test]
fn rebuild_makes_the_first_state_and_refuses_one_that_is_there() {
    with_each(|_, store| {
        let rebuilt = store.rebuild("ann", "state rebuild shop", 0, &read_anew()).unwrap();
        assert_eq!((rebuilt.state.serial, rebuilt.aside.len()), (1, 0));
        // Nothing was done with it yet.
        let again = store.rebuild("ann", "state rebuild shop", 0, &read_anew()).unwrap();
        assert_eq!(again.state.serial, 2);
        let mut lease = take(store, "bob");
        let mut state = store.load().unwrap().unwrap();
        state.is_restored = false;
        state.serial += 1;
        lease.save(&state).unwrap();
        drop(lease);
        let refused = store.rebuild("ann", "state rebuild shop", 0, &read_anew()).unwrap_err();
        assert!(matches!(refused, StoreError::Occupied { serial: 3, .. }), "{refused}");
    });
}

/// Heartbeats outlive it, and know how far it had come.
#[test]
fn rebuild_goes_on_behind_everything_that_is_known() {
    with_each(|backend, store| {
        save(store);
        let sequence = store.load().unwrap().unwrap().sequence;
        for key in [&SNAPSHOT, &JOURNAL, &HEAD] {
            backend.delete(key).unwrap();
        }
        for prefix in [&ENTRIES, &SNAPSHOTS, &HISTORY] {
            backend.delete_all(&backend.list(prefix).unwrap()).unwrap();
        }
        store.load().unwrap_err();
        let rebuilt = store.rebuild("bob", "state rebuild shop", 0, &read_anew()).unwrap().state;
        assert!(rebuilt.serial > 1 && rebuilt.sequence >= sequence, "{rebuilt:?}");
        assert_eq!(store.load().unwrap().unwrap().lineage, "new");
        take(store, "ann").append(&[bound("c")]).unwrap();
        assert!(store.load().unwrap().unwrap().bound.contains_key("c"));
    });
}

#[test]
fn rebuild_leaves_to_restore_what_can_be_restored_and_puts_the_rest_aside() {
    with_each(|backend, store| {
        save(store);
        let damage = |key: &StoreKey| {
            if backend.get(key).unwrap().is_some() {
                backend.put(key, b"damaged\n", PutCondition::Always).unwrap();
            }
        };
        let snapshots = backend.list(&SNAPSHOTS).unwrap();
        [&SNAPSHOT, &HEAD].into_iter().for_each(damage);
        let refused = store.rebuild("bob", "state rebuild shop", 0, &read_anew()).unwrap_err();
        assert!(refused.advice().contains("state restore"), "{refused}");
        // Now nothing of it is whole.
        damage(&JOURNAL);
        snapshots.iter().for_each(damage);
        for prefix in [&HISTORY, &ENTRIES] {
            backend.list(prefix).unwrap().iter().for_each(damage);
        }
        let rebuilt = store.rebuild("bob", "state rebuild shop", 0, &read_anew()).unwrap();
        assert!(!rebuilt.aside.is_empty());
        assert_eq!(store.load().unwrap().unwrap().lineage, "new");
    });
}

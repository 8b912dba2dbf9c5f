//! Older content and documents in place of a state, over a folder and over objects: what goes on, what is refused, and the way back.

use crate::engine::state::document::{decode_document, encode_document};
use crate::engine::state::journal::{JournalEntry, StepOutcome, fold, replay};
use crate::engine::state::record::{Record, State};
use crate::engine::state::replaced::PushTarget;
use crate::engine::value::{Attributes, LineageKey};
use crate::ops::error::OpsError;
use crate::ops::surgery::{self, PushOutcome};
use crate::store::error::StoreError;
use crate::store::moved::{Moved, leave};
use crate::store::replace::ReplacementOrder;
use crate::store::state_store::StateStore;
use crate::store::tests::history::{each, stores};

const ORDER: ReplacementOrder<'_> =
    ReplacementOrder { who: "bob", command: "state restore shop --serial 1", at: 9 };

fn record(id: &str) -> StepOutcome {
    StepOutcome::Recorded(Box::new(Record {
        kind: "k".into(),
        id: id.into(),
        attributes: Attributes::new(),
        outputs: Attributes::new(),
        needs: Vec::new(),
        ready: true,
        protected: false,
        retained: false,
        leaving: false,
        since: 1,
        deposed: None,
        tried: Attributes::new(),
    }))
}

/// A run that records one more resource.
fn run(store: &StateStore, address: &str) -> State {
    let (mut lease, state) = store.lease("ann", "apply shop", 1).unwrap();
    let founded = JournalEntry::Founded {
        stack: "shop".into(),
        instance: None,
        target: "clouds".into(),
        lineage: "l".into(),
        key: LineageKey(vec![7]),
        overlays: Vec::new(),
    };
    let (mut entries, mut state) = match state {
        Some(state) => (Vec::new(), state),
        None => (vec![founded.clone()], replay(None, 1, &founded).unwrap()),
    };
    let ended = JournalEntry::Ended {
        address: address.parse().unwrap(),
        step: 1,
        outcome: record(address),
        at: 1,
    };
    fold(&mut state, &ended);
    entries.push(ended);
    lease.append(&entries).unwrap();
    state.serial += 1;
    lease.save(&state).unwrap();
    drop(lease);
    state_of(store)
}

fn state_of(store: &StateStore) -> State {
    store.load().unwrap().unwrap()
}

fn said(why: &OpsError) -> String {
    match why {
        OpsError::Refused { what, help } => format!("refused: {what}\n  {help}"),
        OpsError::Input { what, help } => format!("{what}\n  {help}"),
        other => other.to_string(),
    }
}

#[test]
fn restore_serial_makes_the_next_serial_and_can_be_undone() {
    each(|store| {
        run(store, "a");
        let second = run(store, "b");
        let done = surgery::restore_serial(store, ORDER, &second, 1).unwrap();
        assert_eq!((done.state.serial, done.kept), (3, 2));
        let now = state_of(store);
        assert_eq!(now.records.len(), 1, "{:?}", now.records.keys());
        assert!(now.is_restored, "what was made since is looked for by its tags");
        let undone = surgery::restore_serial(store, ORDER, &now, done.kept).unwrap();
        assert_eq!((undone.state.serial, undone.kept), (4, 3));
        assert_eq!(state_of(store).records, second.records);
        assert_eq!(run(store, "c").serial, 5);
    });
}

#[test]
fn restore_serial_refuses_what_is_not_kept_and_lists_what_is() {
    each(|store| {
        run(store, "a");
        let only = state_of(store);
        let refused = |seen: &State, serial| {
            said(&surgery::restore_serial(store, ORDER, seen, serial).unwrap_err())
        };
        insta::allow_duplicates! {
            insta::assert_snapshot!(refused(&only, 7), @"
            no snapshot with serial 7 is kept
              nothing was changed; the history is empty, and it begins with the second run
            ");
        }
        for address in ["b", "c", "d"] {
            run(store, address);
        }
        let now = state_of(store);
        insta::allow_duplicates! {
            insta::assert_snapshot!(refused(&now, 7), @"
            no snapshot with serial 7 is kept
              nothing was changed; kept are 1–3, and `lifeboat state log shop` shows what each of them was
            ");
            insta::assert_snapshot!(refused(&now, 4), @"
            serial 4 is the state in place
              nothing was changed; name the serial of an earlier state
            ");
            // Somebody has written since it was shown.
            insta::assert_snapshot!(refused(&only, 2), @"
            refused: the state has changed since it was shown
              nothing was changed; run the command again to see what it is now
            ");
        }
        assert_eq!(state_of(store).serial, 4);
    });
}

fn push(store: &StateStore, pushed: &State) -> Result<PushOutcome, OpsError> {
    let there = store.load().unwrap();
    let target =
        PushTarget { name: "shop", world: "clouds", there: there.as_ref(), forked_at: None };
    surgery::push(store, ORDER, target, ("shop.json", pushed))
}

/// From one store into another that holds nothing, then back as it went on there.
#[test]
fn push_carries_a_state_into_another_store_and_back() {
    for (from, to) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        let (all, others) = (stores(), stores());
        let (there, here) = (&all[from].1, &others[to].1);
        run(there, "a");
        let text = encode_document(&state_of(there));
        let pulled = decode_document(&text).unwrap();
        assert!(matches!(push(here, &pulled), Ok(PushOutcome::First { serial: 1 })));
        assert!(state_of(here).says_the_same_as(&pulled));
        assert!(matches!(push(here, &pulled), Ok(PushOutcome::Unchanged { serial: 1 })));
        run(here, "b");
        run(here, "c");
        let back = decode_document(&encode_document(&state_of(here))).unwrap();
        let done = push(there, &back).unwrap();
        assert!(matches!(done, PushOutcome::Replaced { serial: 3, kept: 1 }), "{done:?}");
        assert_eq!(state_of(there).records, back.records);
        let kept = there.kept_state(&back, 1).unwrap().unwrap();
        assert!(kept.says_the_same_as(&pulled));
        // Each goes on by itself from now on, and the second is refused.
        run(there, "d");
        let diverged = run(here, "e");
        let before = state_of(there);
        insta::allow_duplicates! {
            insta::assert_snapshot!(said(&push(there, &diverged).unwrap_err()), @"
                refused: shop.json cannot be pushed: it has serial 4, as the state in the store has, and other content
                  nothing was changed; both went on from the same state, and only one can be right: compare what both recorded, and apply from the store
                ");
            insta::assert_snapshot!(said(&push(there, &back).unwrap_err()), @"
                refused: shop.json cannot be pushed: it is older: serial 3; the state in the store has serial 4
                  nothing was changed; to go back to an earlier state, see `lifeboat state log shop`, then restore one of its serials
                ");
            let stranger = State { lineage: "m".into(), ..diverged };
            insta::assert_snapshot!(said(&push(there, &stranger).unwrap_err()), @"
                refused: shop.json cannot be pushed: it has another lineage: m; the state in the store has l
                  nothing was changed; two lineages are two different lives of a stack: neither goes on from the other. Choose a store, or a prefix in it, that holds no state
                ");
        }
        assert_eq!(state_of(there), before);
    }
}

/// Whoever pushes into a store that was left would bring it back to life.
#[test]
fn push_refuses_a_store_that_the_state_has_left() {
    each(|store| {
        let pulled = State::new("shop", None, "clouds", "l", LineageKey(vec![7]));
        leave(&**store.backend(), &Moved::new("s3://elsewhere", "ann", 1)).unwrap();
        let target = PushTarget { name: "shop", world: "clouds", there: None, forked_at: None };
        let refused = surgery::push(store, ORDER, target, ("shop.json", &pulled)).unwrap_err();
        assert!(matches!(refused, OpsError::Store(StoreError::Moved { .. })), "{refused}");
    });
}

#[test]
fn document_tells_what_cannot_be_pushed() {
    let refused = said(&surgery::document("shop.json", "{\"version\": 7}").unwrap_err());
    insta::assert_snapshot!(refused, @"
    shop.json cannot be pushed: it was written by a newer lifeboat: its format is version 7, and this one reads up to 1
      nothing was changed; use a document as `state pull` writes it, and the lifeboat that wrote it or a newer one
    ");
}

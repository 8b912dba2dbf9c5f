//! Encrypted states: nothing of them is there in plain text, and what somebody else did to them is told.

use std::sync::Arc;

use crate::store::backend::{Backend, PutCondition};
use crate::store::error::StoreError;
use crate::store::folder::FolderBackend;
use crate::store::key::{
    ENTRIES, HEAD, HISTORY, KeyPrefix, MOVED, REPORTS, SEALED, SNAPSHOTS, StoreKey,
};
use crate::store::moved::{Moved, leave};
use crate::store::sealed::backend::{SealedBackend, SealedPlace};
use crate::store::sealed::declared::StateEncryption;
use crate::store::sealed::rekey::Rekeyed;
use crate::store::sealed::secret_key::{KeyRing, SecretKey};
use crate::store::state_store::StateStore;
use crate::store::tests::memory::MemoryBackend;
use crate::store::tests::{bound, founded, take};

/// A text that stands in the state.
const KNOWN: &str = "account-in-plain-text";

fn key(variable: &str) -> SecretKey {
    let first = variable.bytes().fold(0, |sum: u8, it| sum.wrapping_mul(31).wrapping_add(it));
    let bytes: Vec<u8> = (0..32).map(|it| it ^ first).collect();
    SecretKey::parse(variable, &data_encoding::HEXLOWER.encode(&bytes)).unwrap()
}

/// The encrypted store in another one, with the keys in these variables, the newest first.
pub(crate) fn sealed_in(inner: Arc<dyn Backend>, variables: &[&str]) -> Arc<SealedBackend> {
    let place = SealedPlace { state: "shop".into(), stack: "shop".into(), to: "folder".into() };
    let declared = StateEncryption {
        key_env: variables[0].into(),
        old_key_env: variables[1..].iter().map(|it| (*it).to_owned()).collect(),
    };
    let mut keys = variables.iter().map(|it| key(it));
    let ring = KeyRing::new(keys.next().unwrap(), keys.collect());
    Arc::new(SealedBackend::new(inner, place, declared).with_keys(ring))
}

fn store(inner: &Arc<dyn Backend>, variables: &[&str]) -> StateStore {
    StateStore::over(sealed_in(Arc::clone(inner), variables)).of_stack("shop")
}

/// One life: founded, saved, and an entry behind that.
fn live(store: &StateStore) {
    let mut lease = take(store, "ann");
    lease.append(&[founded(), bound(KNOWN)]).unwrap();
    let mut state = store.load().unwrap().unwrap();
    state.serial += 1;
    lease.save(&state).unwrap();
    lease.append(&[bound(format!("{KNOWN}-2"))]).unwrap();
    let memory = KeyPrefix::ROOT.key("watch-eu.json");
    store.backend().put(&memory, KNOWN.as_bytes(), PutCondition::Always).unwrap();
    store.backend().put(&REPORTS.key("1.json"), KNOWN.as_bytes(), PutCondition::Always).unwrap();
}

fn said(why: &StoreError) -> String {
    format!("{why}\n  {}", why.advice())
}

fn refusal(store: &StateStore) -> String {
    said(&store.load().unwrap_err())
}

/// Every store: a folder, and one that has the few verbs only.
fn with_each(check: impl Fn(Arc<dyn Backend>)) {
    let folder = tempfile::tempdir().unwrap();
    check(Arc::new(FolderBackend::new(&folder.path().join("shop"))));
    check(MemoryBackend::new());
}

fn files(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

#[test]
fn load_reads_what_was_written_and_no_file_holds_it() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = tempfile::tempdir().unwrap();
    let inner: Arc<dyn Backend> = Arc::new(FolderBackend::new(&folder.path().join("shop")));
    let it = store(&inner, &["NEW"]);
    live(&it);
    let state = store(&inner, &["NEW"]).load().unwrap().unwrap();
    assert_eq!((state.serial, state.bound.len()), (1, 2));
    let all = files(folder.path());
    assert!(all.len() >= 6, "{all:?}");
    for file in all {
        let bytes = std::fs::read(&file).unwrap();
        assert!(!String::from_utf8_lossy(&bytes).contains(KNOWN), "{}", file.display());
        let mode = std::fs::metadata(&file).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", file.display());
    }
    // Who has the lease is told without a key.
    let _lease = take(&it, "bob");
    let place = SealedPlace { state: "shop".into(), stack: "shop".into(), to: "folder".into() };
    let unset = StateEncryption::with("LIFEBOAT_TEST_NO_SUCH_KEY").unwrap();
    let blind = StateStore::over(Arc::new(SealedBackend::new(inner, place, unset)));
    assert_eq!(blind.lease_status().unwrap().unwrap().owner, "bob");
    let refused = refusal(&blind).replace(&folder.path().display().to_string(), "[ROOT]");
    insta::assert_snapshot!(refused, @r#"
the state in [ROOT]/shop is encrypted, and the variable LIFEBOAT_TEST_NO_SUCH_KEY, which should hold its key, is not set
  set LIFEBOAT_TEST_NO_SUCH_KEY to the key, from where it is kept; for a state that does not exist yet, make one and keep it: `export LIFEBOAT_TEST_NO_SUCH_KEY="$(head -c 32 /dev/urandom | base64)"`
"#);
}

#[test]
fn load_tells_a_wrong_key_and_restore_passes_over_nothing() {
    with_each(|inner| {
        live(&store(&inner, &["OLD"]));
        let other = store(&inner, &["NEW"]);
        let why = other.load().unwrap_err();
        assert!(matches!(why, StoreError::Seal(_)), "{why}");
        let id = |variable: &str| key(variable).id().to_owned();
        for part in [
            format!("is encrypted with the key {}, which OLD held", id("OLD")),
            format!("NEW holds the key {}", id("NEW")),
            "encrypt: { key_env: NEW, old_key_env: NAME }".into(),
        ] {
            assert!(said(&why).contains(&part), "{}", said(&why));
        }
        let why = other.restorable().unwrap_err();
        assert!(matches!(why, StoreError::Seal(_)), "what is whole is not taken for lost: {why}");
        assert!(other.lease("bob", "apply shop", 0).is_err());
        assert_eq!(store(&inner, &["OLD"]).load().unwrap().unwrap().bound.len(), 2);
    });
}

#[test]
fn rekey_encrypts_everything_anew_and_goes_on_after_a_cut() {
    with_each(|inner| {
        live(&store(&inner, &["OLD"]));
        let both = sealed_in(Arc::clone(&inner), &["NEW", "OLD"]);
        assert_eq!(store(&inner, &["NEW", "OLD"]).load().unwrap().unwrap().bound.len(), 2);
        store(&inner, &["NEW"]).load().unwrap_err();
        // Cut off after one: both keys go on reading, and the next one finishes.
        let first = SNAPSHOTS.within(&SEALED);
        let first = inner.list(&first).unwrap().remove(0);
        both.reseal(&SNAPSHOTS.key(first.name())).unwrap();
        assert_eq!(store(&inner, &["NEW", "OLD"]).load().unwrap().unwrap().bound.len(), 2);
        let done = both.rekey().unwrap();
        assert_eq!(done.objects, done.changed + 1, "{done:?}");
        assert_eq!(store(&inner, &["NEW"]).load().unwrap().unwrap().bound.len(), 2);
        let only_new = sealed_in(Arc::clone(&inner), &["NEW"]);
        assert_eq!(only_new.rekey().unwrap(), Rekeyed { changed: 0, ..done });
        let memory = only_new.get(&KeyPrefix::ROOT.key("watch-eu.json")).unwrap().unwrap();
        assert_eq!(memory, KNOWN.as_bytes());
        // And somebody goes on working.
        take(&store(&inner, &["NEW"]), "bob").append(&[bound("more")]).unwrap();
    });
}

/// What somebody can do who may write to the store, and has no key.
#[test]
fn load_refuses_what_was_swapped_cut_altered_rolled_back_or_put_in() {
    let unique = regex::Regex::new("-[0-9a-f]{8}\\.snapshot").unwrap();
    let mut said = Vec::new();
    for (what, tamper) in [
        ("altered", altered as fn(&dyn Backend)),
        ("cut", cut),
        ("swapped", swapped),
        ("in plain text", in_plain_text),
        ("head rolled back", rolled_back),
        ("entries removed", without_entries),
    ] {
        let memory = MemoryBackend::new();
        let inner = Arc::clone(&memory) as Arc<dyn Backend>;
        let it = store(&inner, &["NEW"]);
        live(&it);
        let before = memory.get(&HEAD.within(&SEALED)).unwrap().unwrap();
        inner.put(&KeyPrefix::ROOT.key("old-head"), &before, PutCondition::Always).unwrap();
        let mut lease = take(&it, "bob");
        let mut state = it.load().unwrap().unwrap();
        state.serial += 1;
        lease.save(&state).unwrap();
        lease.append(&[bound("last")]).unwrap();
        drop(lease);
        tamper(&*inner);
        let refused = refusal(&it);
        said.push(format!("{what}: {}", unique.replace_all(&refused, "-[UNIQUE].snapshot")));
    }
    insta::assert_snapshot!(said.join("\n"), @"
altered: memory://states/shop/sealed/snapshots/00000002-00000002-[UNIQUE].snapshot cannot be read: the key a2b04f5c35763c9e does not open it: it was altered or cut short
  nothing was changed; restore the newest intact state, keeping the damaged files: `lifeboat state restore shop`
cut: memory://states/shop/sealed/head cannot be read: the key a2b04f5c35763c9e does not open it: it was altered or cut short
  nothing was changed; restore the newest intact state, keeping the damaged files: `lifeboat state restore shop`
swapped: memory://states/shop/sealed/snapshots/00000002-00000002-[UNIQUE].snapshot cannot be read: it was encrypted as shop/snapshots/00000001-00000001-[UNIQUE].snapshot, and is in the place of something else
  nothing was changed; restore the newest intact state, keeping the damaged files: `lifeboat state restore shop`
in plain text: memory://states/shop/sealed/entries/00000000000000000006 cannot be read: it is in plain text, though everything beside it is encrypted
  nothing was changed; restore the newest intact state, keeping the damaged files: `lifeboat state restore shop`
head rolled back: the state is outdated: an entry before number 6 was recorded, according to memory://states/shop/sealed/entries, but memory://states/shop has serial 1
  nothing was changed: an outdated state would undo later changes. Put the newer state back, or restore the newest one from its history: `lifeboat state restore shop`
entries removed: the state is outdated: entry 6 of the journal was recorded, according to memory://states/shop/sealed/lease/00000002.beat, but memory://states/shop has serial 2
  nothing was changed: an outdated state would undo later changes. Put the newer state back, or restore the newest one from its history: `lifeboat state restore shop`
");
}

/// The newest snapshot.
fn newest(inner: &dyn Backend) -> StoreKey {
    inner.list(&SNAPSHOTS.within(&SEALED)).unwrap().pop().unwrap()
}

fn change(inner: &dyn Backend, key: &StoreKey, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = inner.get(key).unwrap().unwrap();
    change(&mut bytes);
    inner.put(key, &bytes, PutCondition::Always).unwrap();
}

fn altered(inner: &dyn Backend) {
    change(inner, &newest(inner), |it| *it.last_mut().unwrap() ^= 1);
}

fn cut(inner: &dyn Backend) {
    change(inner, &HEAD.within(&SEALED), |it| it.truncate(it.len() / 2));
}

fn swapped(inner: &dyn Backend) {
    let snapshots = inner.list(&SNAPSHOTS.within(&SEALED)).unwrap();
    let older = inner.get(&snapshots[0]).unwrap().unwrap();
    change(inner, &newest(inner), |it| *it = older);
}

fn in_plain_text(inner: &dyn Backend) {
    let batch = inner.list(&ENTRIES.within(&SEALED)).unwrap().remove(0);
    change(inner, &batch, |it| *it = b"{}\n".to_vec());
}

fn rolled_back(inner: &dyn Backend) {
    let older = inner.get(&KeyPrefix::ROOT.key("old-head")).unwrap().unwrap();
    change(inner, &HEAD.within(&SEALED), |it| *it = older);
}

fn without_entries(inner: &dyn Backend) {
    for key in inner.list(&ENTRIES.within(&SEALED)).unwrap() {
        inner.delete(&key).unwrap();
    }
}

/// As damage of a plain state: the newest whole one is gone on with, and nothing of what is whole is lost.
#[test]
fn restore_goes_on_from_what_opens() {
    for tamper in [altered as fn(&dyn Backend), cut, in_plain_text] {
        let inner: Arc<dyn Backend> = MemoryBackend::new();
        let it = store(&inner, &["NEW"]);
        live(&it);
        tamper(&*inner);
        it.load().unwrap_err();
        let restored = it.restore("bob", "state restore shop", 0).map(|it| it.state);
        match restored {
            Ok(state) => assert_eq!(it.load().unwrap().unwrap().serial, state.serial),
            // Of the only snapshot a bit is wrong: the entries before it are in the history.
            Err(why) => panic!("{why}"),
        }
    }
}

/// A stack file that was edited by hand: the state in the other form is not taken for none.
#[test]
fn load_refuses_a_state_in_the_other_form() {
    with_each(|inner| {
        let plain = StateStore::over(Arc::clone(&inner)).of_stack("shop");
        let mut lease = take(&plain, "ann");
        lease.append(&[founded()]).unwrap();
        drop(lease);
        let it = store(&inner, &["NEW"]);
        let refused = refusal(&it);
        assert!(refused.contains("is in plain text"), "{refused}");
        assert!(
            refused.contains("`lifeboat state migrate shop --to folder --encrypt NEW`"),
            "{refused}"
        );
        assert!(it.lease("bob", "apply shop", 0).is_err());
        // It moves: now the plain one is told where it went, and only this one counts.
        leave(&*inner, &Moved::new("folder, encrypted", "ann", 0)).unwrap();
        assert!(it.load().unwrap().is_none());
    });
    with_each(|inner| {
        live(&store(&inner, &["NEW"]));
        let plain = StateStore::over(Arc::clone(&inner)).of_stack("shop");
        let refused = refusal(&plain);
        assert!(refused.contains("does not say `encrypt`"), "{refused}");
        assert!(plain.lease("bob", "apply shop", 0).is_err());
        leave(&*sealed_in(Arc::clone(&inner), &["NEW"]), &Moved::new("folder", "ann", 0)).unwrap();
        assert!(inner.get(&MOVED.within(&SEALED)).unwrap().is_some(), "read by who has no key");
        assert!(plain.load().unwrap().is_none());
    });
}

/// What is left behind by a state that is encrypted elsewhere: who has the lease, and where it went.
#[test]
fn clear_left_leaves_nothing_that_was_recorded() {
    with_each(|inner| {
        let plain = StateStore::over(Arc::clone(&inner)).of_stack("shop");
        inner.ensure_prefix(&REPORTS).unwrap();
        live(&plain);
        let mut lease = take(&plain, "bob");
        let mut state = plain.load().unwrap().unwrap();
        state.serial += 1;
        lease.save(&state).unwrap();
        leave(&*inner, &Moved::new("folder, encrypted", "bob", 0)).unwrap();
        // Twice: somebody may have been cut off in the middle.
        plain.clear_left().unwrap();
        plain.clear_left().unwrap();
        drop(lease);
        for prefix in [&KeyPrefix::ROOT, &ENTRIES, &SNAPSHOTS, &HISTORY, &REPORTS] {
            let mut left = inner.list(prefix).unwrap();
            left.retain(|it| {
                !matches!(it.name(), "moved.json" | ".put.lock") && it.ending().is_some()
            });
            assert_eq!(left, [], "{}", inner.root().display());
        }
        assert!(matches!(plain.load(), Err(StoreError::Moved { .. })));
    });
}

/// Somebody has replaced the key of all but the newest snapshot, and the old key is not here: an older state is not the newest.
#[test]
fn restorable_is_none_of_the_older_states_where_another_key_opens_the_newest() {
    let inner: Arc<dyn Backend> = MemoryBackend::new();
    let old = store(&inner, &["OLD"]);
    live(&old);
    let mut lease = take(&old, "bob");
    let mut state = old.load().unwrap().unwrap();
    state.serial += 1;
    lease.save(&state).unwrap();
    drop(lease);
    let raw = inner.get(&newest(&*inner)).unwrap().unwrap();
    sealed_in(Arc::clone(&inner), &["NEW", "OLD"]).rekey().unwrap();
    inner.put(&newest(&*inner), &raw, PutCondition::Always).unwrap();
    let it = store(&inner, &["NEW"]);
    for why in [it.load().unwrap_err(), it.restorable().unwrap_err()] {
        assert!(matches!(why, StoreError::Seal(_)), "{why}");
    }
    assert!(it.restore("bob", "state restore shop", 0).is_err());
    let both = store(&inner, &["NEW", "OLD"]);
    assert_eq!(both.restorable().unwrap().unwrap().state.serial, 2);
}

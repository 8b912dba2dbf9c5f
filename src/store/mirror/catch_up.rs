//! Makes the copy in one store what it is in another: under a lease of both, so that nobody else writes.
//!
//! A reader that sees only the store which is caught up meanwhile reads a state that there was: snapshots come before the head that
//! names them, and entries in their order.

use crate::engine::state::chain::LogHead;
use crate::engine::state::copies::CopyRelation;
use crate::store::backend::{Backend, PutCondition, both};
use crate::store::error::StoreError;
use crate::store::key::{
    APPROVALS, DISCARDED, ENTRIES, HEAD, HISTORY, KeyPrefix, LEASE, MOVED, PLANS, REPORTS,
    SNAPSHOTS, STORES, StoreKey,
};
use crate::store::lock_record::Heartbeat;
use crate::store::log::first_of;
use crate::store::mirror::contents::{CopyContents, MaybeDamaged, read_damaged};
use crate::store::remote::probe;

/// A copy and its store.
#[derive(Clone, Copy)]
pub struct StoredCopy<'a> {
    pub store: &'a dyn Backend,
    pub contents: &'a CopyContents,
}

/// What is to be caught up.
pub struct CatchUp<'a> {
    pub from: StoredCopy<'a>,
    pub to: StoredCopy<'a>,
    pub relation: CopyRelation,
    /// Whether all that the one behind has was read, and is as it was written.
    pub is_whole: bool,
    /// What the one behind has behind the entry of this number is not believed.
    pub after: Option<u64>,
    /// Under which what is not believed is kept.
    pub epoch: u64,
}

impl CatchUp<'_> {
    /// False: somebody has written to one of them meanwhile.
    pub fn run(&self) -> Result<bool, StoreError> {
        for prefix in [&SNAPSHOTS, &HISTORY, &ENTRIES] {
            self.to.store.ensure_prefix(prefix)?;
        }
        self.discard()?;
        self.copy_saved()?;
        if !self.copy_head()? {
            return Ok(false);
        }
        let covered = self.from.contents.head.sequence;
        let mut gone = self.to.contents.batches.clone();
        gone.retain(|it| first_of(it).is_some_and(|it| it <= covered));
        self.to.store.delete_all(&gone)?;
        self.copy_batches()
    }

    /// Law 4: of two entries with one number the other is kept aside. What it began is found out by reading, as after a crash.
    fn discard(&self) -> Result<(), StoreError> {
        let (from, to) = (self.from.contents, self.to.contents);
        let is_forked = self.relation == CopyRelation::Forked || !self.is_whole;
        for key in &to.batches {
            let first = first_of(key).unwrap_or_default();
            if !is_forked && self.after.is_none_or(|it| first <= it) {
                continue;
            }
            let bytes = match read_damaged(self.to.store, key)? {
                MaybeDamaged::Whole(None) => continue,
                MaybeDamaged::Whole(Some(found)) => Some(found.bytes),
                // What nobody can open is of no use under another name.
                MaybeDamaged::Damaged(_) => None,
            };
            if let Some(bytes) = &bytes {
                if from.batches.contains(key) && self.from.store.get(key)?.as_ref() == Some(bytes) {
                    continue;
                }
                self.put_aside(bytes, &format!("{}.entries", key.name()))?;
            }
            self.to.store.delete(key)?;
        }
        if !self.is_rejected() {
            return Ok(());
        }
        if let Some(head) = to.head_bytes.as_ref().filter(|it| from.head_bytes.as_ref() != Some(it))
        {
            self.put_aside(head, "head")?;
        }
        for prefix in [&SNAPSHOTS, &HISTORY, &REPORTS] {
            let ours = self.from.store.list(prefix)?;
            for key in self.to.store.list(prefix)? {
                if !ours.contains(&key)
                    && let MaybeDamaged::Whole(Some(found)) = read_damaged(self.to.store, &key)?
                {
                    self.put_aside(&found.bytes, key.name())?;
                    self.to.store.delete(&key)?;
                }
            }
        }
        self.quiet_heartbeats()
    }

    /// Whether the one that is caught up has anything that is not believed: then what tells of it goes as well, or it would tell that
    /// the other one is outdated, and a restore would go on from it.
    fn is_rejected(&self) -> bool {
        let (from, to) = (self.from.contents, self.to.contents);
        self.relation == CopyRelation::Forked
            || !self.is_whole
            || self.after.is_some_and(|it| to.end.sequence > it)
            || to.head.serial > from.head.serial
    }

    /// Heartbeats say how far a state had come.
    fn quiet_heartbeats(&self) -> Result<(), StoreError> {
        for key in self.to.store.list(&LEASE)? {
            if key.ending() != Some("beat") {
                continue;
            }
            let Some(bytes) = self.to.store.get(&key)? else { continue };
            let Ok(beat) = serde_json::from_slice::<Heartbeat>(&bytes) else { continue };
            let end = self.from.contents.end;
            if beat.sequence > end.sequence || beat.serial > end.serial {
                let plain = Heartbeat::plain(beat.at, beat.is_released);
                let bytes = serde_json::to_vec(&plain).expect("a heartbeat is plain data");
                self.to.store.put(&key, &bytes, PutCondition::Always)?;
            }
        }
        Ok(())
    }

    fn put_aside(&self, bytes: &[u8], what: &str) -> Result<(), StoreError> {
        let key = DISCARDED.key(&format!("{:08}.{what}", self.epoch));
        self.to.store.ensure_prefix(&DISCARDED)?;
        self.to.store.put(&key, bytes, PutCondition::Always).map(drop)
    }

    /// What the head names.
    fn copy_saved(&self) -> Result<(), StoreError> {
        let LogHead { saved, .. } = &self.from.contents.head;
        let snapshots = saved.iter().map(|it| SNAPSHOTS.key(&it.snapshot));
        let entries = saved.iter().map(|it| HISTORY.key(&it.entries));
        let mut missing: Vec<StoreKey> = snapshots.chain(entries).collect();
        let mut there = self.to.store.list(&SNAPSHOTS)?;
        there.extend(self.to.store.list(&HISTORY)?);
        missing.retain(|it| !there.contains(it));
        for (key, bytes) in missing.iter().zip(self.from.store.get_all(&missing)?) {
            if let Some(bytes) = bytes {
                self.to.store.put(key, &bytes, PutCondition::Absent)?;
            }
        }
        if self.is_whole { Ok(()) } else { self.replace_snapshot() }
    }

    /// The snapshot in place, which was read in the one that is believed. Of older ones that differ nobody knows which is good.
    fn replace_snapshot(&self) -> Result<(), StoreError> {
        let Some(name) = self.from.contents.head.snapshot() else { return Ok(()) };
        let key = SNAPSHOTS.key(name);
        let Some(bytes) = self.from.store.get(&key)? else { return Ok(()) };
        match read_damaged(self.to.store, &key)? {
            MaybeDamaged::Whole(Some(found)) if found.bytes == bytes => return Ok(()),
            MaybeDamaged::Whole(Some(found)) => self.put_aside(&found.bytes, key.name())?,
            MaybeDamaged::Whole(None) | MaybeDamaged::Damaged(_) => {}
        }
        self.to.store.put(&key, &bytes, PutCondition::Always).map(drop)
    }

    fn copy_head(&self) -> Result<bool, StoreError> {
        let there = self.to.contents.head_version.as_ref();
        let Some(head) = &self.from.contents.head_bytes else {
            if there.is_some() {
                self.to.store.delete(&HEAD)?;
            }
            return Ok(true);
        };
        if self.to.contents.head_bytes.as_ref() == Some(head) {
            return Ok(true);
        }
        let condition = there.map_or(PutCondition::Absent, PutCondition::Version);
        Ok(self.to.store.put(&HEAD, head, condition)?.is_written())
    }

    fn copy_batches(&self) -> Result<bool, StoreError> {
        let missing = &self.from.contents.batches;
        for (key, bytes) in missing.iter().zip(self.from.store.get_all(missing)?) {
            let Some(bytes) = bytes else { return Ok(false) };
            if !self.to.store.put(key, &bytes, PutCondition::Absent)?.is_written()
                && self.to.store.get(key)? != Some(bytes)
            {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// What stands beside a state, copied where it is missing or differs: reports, approvals, the watcher's memory, what was set aside.
pub fn copy_beside(from: &dyn Backend, to: &dyn Backend) -> Result<(), StoreError> {
    // What is put once and never changes need not be compared.
    for (prefix, is_immutable) in [
        (&KeyPrefix::ROOT, false),
        (&APPROVALS, false),
        (&PLANS, false),
        (&REPORTS, true),
        (&DISCARDED, true),
    ] {
        let (ours, theirs) = both(from, || from.list(prefix), || to.list(prefix));
        let (mut ours, theirs) = (ours?, theirs?);
        ours.retain(|it| !(is_of_the_store(it) || is_immutable && theirs.contains(it)));
        let (had, has) = both(from, || from.get_all(&ours), || to.get_all(&ours));
        for ((key, bytes), there) in ours.iter().zip(had?).zip(has?) {
            if let Some(bytes) = bytes
                && there.as_ref() != Some(&bytes)
            {
                to.ensure_prefix(prefix)?;
                to.put(key, &bytes, PutCondition::Always)?;
            }
        }
    }
    Ok(())
}

/// What a store says of itself, and the head, which is put in place by its version.
fn is_of_the_store(key: &StoreKey) -> bool {
    *key == HEAD || *key == STORES || *key == MOVED || *key == probe::marker()
}

//! How far the copy in one store is, and what it is to another copy.

use crate::engine::state::chain::{BatchHeader, LogHead, decode_batch, decode_head, digest_of};
use crate::engine::state::copies::{CopyEnd, CopyRelation};
use crate::engine::state::stores_record::{ActiveStores, StoreRole};
use crate::store::backend::{Backend, ObjectVersion, StoredObject};
use crate::store::error::{StoreError, broken};
use crate::store::key::{ENTRIES, HEAD, StoreKey};
use crate::store::log::first_of;
use crate::store::mirror::record::{SeenRecord, see_record};

/// How often somebody starts over because a writer has replaced the head meanwhile, as for a whole state.
const TRIES_MAX: u32 = 20;

/// One copy of a state, as far as its end needs.
#[derive(Debug, Clone)]
pub struct CopyContents {
    pub record: SeenRecord,
    pub head: LogHead,
    /// As it is stored; `None`: there is none, or nobody can open it.
    pub head_bytes: Option<Vec<u8>>,
    /// `None`: there is none.
    pub head_version: Option<ObjectVersion>,
    /// The batches behind the head, the oldest first.
    pub batches: Vec<StoreKey>,
    /// What stands for the last of them, or for the last that the head covers.
    pub chain: Option<String>,
    pub end: CopyEnd,
    /// What is not as it was written, the record of the stores aside; then what stands above may be anything.
    pub damage: Option<String>,
}

/// What is under a key of a store that may have been damaged.
pub enum MaybeDamaged {
    Whole(Option<StoredObject>),
    Damaged(String),
}

/// Reads what may be damaged.
pub fn read_damaged(backend: &dyn Backend, key: &StoreKey) -> Result<MaybeDamaged, StoreError> {
    match backend.read(key) {
        Err(why) if why.is_damage() => Ok(MaybeDamaged::Damaged(why.to_string())),
        read => read.map(MaybeDamaged::Whole),
    }
}

impl CopyContents {
    /// What this store has.
    pub fn read(backend: &dyn Backend) -> Result<Self, StoreError> {
        for _ in 0..TRIES_MAX {
            if let Some(read) = Self::attempt(backend)? {
                return Ok(read);
            }
        }
        let why = std::io::Error::other("it kept changing while it was read; retry");
        Err(crate::store::error::io("read", &backend.place_below(&ENTRIES))(why))
    }

    /// `None`: the last batch has gone meanwhile.
    fn attempt(backend: &dyn Backend) -> Result<Option<Self>, StoreError> {
        // In this order, as for a whole state.
        let mut batches = backend.list(&ENTRIES)?;
        let (head_bytes, head_version, mut damage) = match read_damaged(backend, &HEAD)? {
            MaybeDamaged::Whole(found) => {
                let (bytes, version) = found.map(|it| (it.bytes, it.version)).unzip();
                (bytes, version, None)
            }
            MaybeDamaged::Damaged(why) => (None, backend.version(&HEAD)?, Some(why)),
        };
        let record = see_record(backend)?;
        let mut head = LogHead::empty(0);
        if let Some(bytes) = &head_bytes {
            match decode_head(bytes).map_err(broken(backend.root(), backend.place(&HEAD))) {
                Ok(it) => head = it,
                Err(why) if why.is_damage() => damage = Some(why.to_string()),
                Err(why) => return Err(why),
            }
        }
        batches.retain(|it| first_of(it).is_some_and(|it| it > head.sequence));
        let mut end = CopyEnd { epoch: head.epoch, serial: head.serial, sequence: head.sequence };
        let mut chain = head.chain.clone();
        if let Some(last) = batches.last() {
            match read_last(backend, last) {
                Ok(None) => return Ok(None),
                Ok(Some((header, digest))) => {
                    // Of who wrote it: a new holder puts its own into the head of both before it writes anything.
                    end.epoch = header.epoch;
                    end.sequence = header.last;
                    chain = Some(digest);
                }
                Err(why) if why.is_damage() => damage = Some(why.to_string()),
                Err(why) => return Err(why),
            }
        }
        Ok(Some(Self { record, head, head_bytes, head_version, batches, chain, end, damage }))
    }

    /// What it lacks of what it had when the state went on in it alone, which it records.
    pub fn shortage(&self, role: StoreRole) -> Option<String> {
        let active = self.record.record.as_ref().map(|it| &it.active);
        let Some(ActiveStores::Alone { role: alone, after, .. }) = active else { return None };
        let (end, after) = (self.end.sequence, *after);
        (*alone == role && end < after).then(|| {
            format!(
                "it ends at entry {end}, and had entry {after} when the state went on in it alone"
            )
        })
    }

    /// What two copies are to each other. What is compared are the ends of their chains, so the fork of what one of them has
    /// compacted since is not seen here; who wrote alone is recorded, and up to which entry.
    pub fn relation(
        &self,
        other: &Self,
        stores: [&dyn Backend; 2],
    ) -> Result<CopyRelation, StoreError> {
        let (primary, mirror) = (self, other);
        if primary.end.sequence == mirror.end.sequence {
            return Ok(if primary.chain != mirror.chain {
                CopyRelation::Forked
            } else if primary.end.serial == mirror.end.serial {
                CopyRelation::Same
            } else if primary.end.serial > mirror.end.serial {
                CopyRelation::Ahead(StoreRole::Primary)
            } else {
                CopyRelation::Ahead(StoreRole::Mirror)
            });
        }
        let (role, ahead, behind, store) = if primary.end.sequence > mirror.end.sequence {
            (StoreRole::Primary, primary, mirror, stores[0])
        } else {
            (StoreRole::Mirror, mirror, primary, stores[1])
        };
        let goes_on = ahead.continues(behind, store)? && ahead.end.serial >= behind.end.serial;
        Ok(if goes_on { CopyRelation::Ahead(role) } else { CopyRelation::Forked })
    }

    /// Whether the chain of this copy, which is longer, goes through the end of the other one.
    fn continues(&self, behind: &Self, store: &dyn Backend) -> Result<bool, StoreError> {
        let last = behind.end.sequence;
        if last == 0 || self.head.sequence > last {
            return Ok(true);
        }
        if self.head.sequence == last {
            return Ok(self.head.chain == behind.chain);
        }
        let mut up_to = self.batches.iter().rev();
        let Some(batch) = up_to.find(|it| first_of(it).is_some_and(|it| it <= last)) else {
            return Ok(false);
        };
        // Gone: a writer has compacted it meanwhile, and it was there before.
        let bytes = store.get(batch)?;
        Ok(bytes.is_none_or(|it| behind.chain.as_deref() == Some(&*digest_of(&it))))
    }
}

/// The header of a batch and the digest of all of it; `None`: it is gone.
fn read_last(
    backend: &dyn Backend,
    key: &StoreKey,
) -> Result<Option<(BatchHeader, String)>, StoreError> {
    let Some(bytes) = backend.get(key)? else { return Ok(None) };
    let batch = decode_batch(&bytes).map_err(broken(backend.root(), backend.place(key)))?;
    Ok(Some((batch.header, digest_of(&bytes))))
}

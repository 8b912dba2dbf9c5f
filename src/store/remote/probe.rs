//! Whether a store keeps its promise that of many who put at once, one is first.
//!
//! Asked one after the other, a store that only looks before it writes says the right thing each time; so many are sent at once.

use std::sync::Barrier;

use serde::{Deserialize, Serialize};

use crate::store::backend::{Backend, ObjectVersion, PutCondition, PutOutcome};
use crate::store::error::StoreError;
use crate::store::key::{KeyPrefix, StoreKey};

/// How often, and how many at once (DESIGN §4a). Of two servers that only look before they write, one had several winners in 40 of
/// 40 such rounds, the other in 26 of 40 absent ones: eight rounds let that one pass once in 4,000 times.
const ROUNDS: usize = 8;
const AT_ONCE: usize = 16;

/// What a store that cannot be believed is told about.
const ADVICE: &str = "use a store whose conditional puts are atomic (Amazon S3 and DynamoDB are), or keep the state in its folder";

/// Where the store remembers that it was asked.
pub fn marker() -> StoreKey {
    KeyPrefix::ROOT.key("probed.json")
}

/// What it remembers: a copy of it in another store does not count there.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct ProbeMark {
    store: String,
    rounds: usize,
    at_once: usize,
}

impl ProbeMark {
    fn of(store: &str) -> Self {
        Self { store: store.into(), rounds: ROUNDS, at_once: AT_ONCE }
    }
}

/// Whether this store was asked before, and kept its promise.
pub fn is_probed(backend: &dyn Backend, store: &str) -> Result<bool, StoreError> {
    let found = backend.get(&marker())?;
    let mark = found.and_then(|it| serde_json::from_slice::<ProbeMark>(&it).ok());
    Ok(mark == Some(ProbeMark::of(store)))
}

/// Makes the store remember.
pub fn mark_probed(backend: &dyn Backend, store: &str) -> Result<(), StoreError> {
    backend.ensure_prefix(&KeyPrefix::ROOT)?;
    let mark = serde_json::to_vec(&ProbeMark::of(store)).unwrap_or_default();
    backend.put(&marker(), &mark, PutCondition::Always).map(drop)
}

/// Asks: some hundred puts below a prefix of their own, which are removed again. [`StoreError::Unfit`] says what was seen; any other
/// error says that it could not be asked.
pub fn probe_races(backend: &dyn Backend, store: &str) -> Result<(), StoreError> {
    let scratch = format!("probe-{}/x", uuid::Uuid::new_v4().simple());
    let scratch = StoreKey::parse(&scratch).map_or(KeyPrefix::ROOT, |it| it.prefix());
    backend.ensure_prefix(&scratch)?;
    let seen = one_after_the_other(backend, &scratch).and_then(|seen| match seen {
        Ok(()) => at_once(backend, &scratch),
        refused => Ok(refused),
    });
    // Also after an error: as far as it can be reached.
    let swept = backend.list(&scratch).and_then(|it| backend.delete_all(&it));
    seen?.map_err(|seen| StoreError::Unfit { store: store.into(), seen, advice: ADVICE.into() })?;
    swept
}

/// What every store that knows conditions at all says right.
fn one_after_the_other(
    backend: &dyn Backend,
    scratch: &KeyPrefix,
) -> Result<Result<(), String>, StoreError> {
    let key = scratch.key("sequence");
    let PutOutcome::Written(first) = backend.put(&key, b"first", PutCondition::Absent)? else {
        return Ok(Err("a put of something new was told that something is there".into()));
    };
    if backend.put(&key, b"second", PutCondition::Absent)?.is_written() {
        return Ok(Err("a second put of something new was told that it was first: the store ignores conditions".into()));
    }
    let made_up = ObjectVersion(format!("\"{}\"", "0".repeat(32)));
    if backend.put(&key, b"third", PutCondition::Version(&made_up))?.is_written() {
        return Ok(Err(
            "a put under a version that never was took place: the store ignores versions".into(),
        ));
    }
    if !backend.put(&key, b"fourth", PutCondition::Version(&first))?.is_written() {
        return Ok(Err("a put under the version that is there was refused".into()));
    }
    let found = backend.get(&key)?;
    Ok(match found.as_deref() {
        Some(b"fourth") => Ok(()),
        _ => Err("what was put last is not what is read".into()),
    })
}

fn at_once(backend: &dyn Backend, scratch: &KeyPrefix) -> Result<Result<(), String>, StoreError> {
    for round in 0..ROUNDS {
        let key = scratch.key(&format!("{round:02}"));
        let outcomes = race(backend, &key, PutCondition::Absent, "absent")?;
        let version = match verdict(backend, &key, &outcomes, "were told that they were first")? {
            Ok(version) => version,
            Err(seen) => return Ok(Err(seen)),
        };
        let outcomes = race(backend, &key, PutCondition::Version(&version), "version")?;
        let of_one = "under one version took place";
        if let Err(seen) = verdict(backend, &key, &outcomes, of_one)? {
            return Ok(Err(seen));
        }
    }
    Ok(Ok(()))
}

/// The version of the only one that took place.
fn verdict(
    backend: &dyn Backend,
    key: &StoreKey,
    outcomes: &[PutOutcome],
    what: &str,
) -> Result<Result<ObjectVersion, String>, StoreError> {
    let won = outcomes.iter().filter_map(|it| match it {
        PutOutcome::Written(version) => Some(version),
        PutOutcome::Refused => None,
    });
    let won: Vec<&ObjectVersion> = won.collect();
    let [only] = won[..] else {
        return Ok(Err(format!("{} of {AT_ONCE} simultaneous puts {what}", won.len())));
    };
    let found = backend.read(key)?;
    Ok(match found {
        Some(found) if found.version == *only => Ok(only.clone()),
        _ => {
            Err("what one of the simultaneous puts was told to have written is not what is read"
                .into())
        }
    })
}

/// All of them wait for each other before they ask.
fn race(
    backend: &dyn Backend,
    key: &StoreKey,
    condition: PutCondition<'_>,
    what: &str,
) -> Result<Vec<PutOutcome>, StoreError> {
    let line = Barrier::new(AT_ONCE);
    let put = |at: usize| {
        let bytes = format!("{key} {what} {at} {}", uuid::Uuid::new_v4().simple());
        line.wait();
        backend.put(key, bytes.as_bytes(), condition)
    };
    std::thread::scope(|scope| {
        let put = &put;
        let all: Vec<_> = (0..AT_ONCE).map(|at| scope.spawn(move || put(at))).collect();
        let ended = all.into_iter().map(std::thread::ScopedJoinHandle::join);
        ended.map(|it| it.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    })
}

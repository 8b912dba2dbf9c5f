//! Plans that are reviewed before they run, beside the state: each under the digest of what it was made from, kept 30 days.
//!
//! A plan is put once and never changed, and so is the word of a person that lets it run. The newest one of the same inputs counts: it is
//! the one that was shown last.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::store::backend::{Backend, PutCondition};
use crate::store::error::{StoreError, io as io_error};
use crate::store::key::{PLANS, StoreKey};

/// How long a plan counts as reviewed, in milliseconds: a pull request that is older is planned again.
pub const KEPT_FOR: i64 = 30 * 24 * 3_600 * 1_000;

/// The format of what is written; a newer one is not read.
const VERSION: u32 = 1;

/// How much of a digest stands in a name: 16 hexadecimal digits, so that two in one store hardly meet. The whole one is compared.
const NAMED: usize = 16;

/// How many plans may be stored within one millisecond, as jobs do that start at once. A guess, far above use.
const SAME_MAX: i64 = 1_000;

/// A plan that waits for its review.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredPlan {
    version: u32,
    /// In milliseconds since the Unix epoch, on the wall.
    pub at: i64,
    pub by: String,
    /// The digest of what it was made from.
    pub inputs: String,
    /// Its own.
    pub digest: String,
    /// Nobody has reviewed it where it was shown: it runs once somebody has typed its digest.
    #[serde(default)]
    pub needs_approval: bool,
    /// As `plan --out` writes it.
    pub plan: String,
}

/// The word of a person that a stored plan may run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanApproval {
    pub digest: String,
    pub who: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
    /// In milliseconds since the Unix epoch, on the wall.
    pub at: i64,
}

/// A stored plan, and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundPlan {
    name: String,
    pub stored: StoredPlan,
}

/// Where the plans of one workspace are kept.
#[derive(Debug, Clone)]
pub struct StoredPlans {
    backend: Arc<dyn Backend>,
}

impl StoredPlan {
    pub fn new(inputs: &str, digest: &str, plan: String, (by, at): (&str, i64)) -> Self {
        Self {
            version: VERSION,
            at,
            by: by.into(),
            inputs: inputs.into(),
            digest: digest.into(),
            needs_approval: false,
            plan,
        }
    }

    /// The same, which nobody has reviewed where it was shown.
    #[must_use]
    pub fn unreviewed(self) -> Self {
        Self { needs_approval: true, ..self }
    }
}

impl StoredPlans {
    /// Those beside the state in this store.
    pub fn of(backend: Arc<dyn Backend>) -> Self {
        Self { backend }
    }

    /// Stores one, durable when this returns, and removes those that are too old to count.
    pub fn put(&self, plan: &StoredPlan) -> Result<(), StoreError> {
        self.backend.ensure_prefix(&PLANS)?;
        let (inputs, digest) = (named(&plan.inputs), named(&plan.digest));
        let of_these = format!("-{inputs}-");
        let keys = self.backend.list(&PLANS)?;
        let last =
            keys.iter().filter(|it| it.name().contains(&of_these)).filter_map(stored_at).max();
        // Whatever clocks say, it is the newest.
        let first = last.map_or(plan.at, |it| plan.at.max(it.saturating_add(1)));
        for at in first..first.saturating_add(SAME_MAX) {
            let key = PLANS.key(&format!("{at:014}-{inputs}-{digest}.json"));
            let plan = StoredPlan { at, ..plan.clone() };
            let bytes = serde_json::to_vec(&plan).expect("plain data serialises");
            if self.backend.put(&key, &bytes, PutCondition::Absent)?.is_written() {
                return self.sweep(at);
            }
        }
        let full = std::io::Error::other("too many plans were stored at once");
        Err(io_error("write", &self.backend.place_below(&PLANS))(full))
    }

    /// The newest one of these inputs that is not too old by now.
    pub fn newest(&self, inputs: &str, now: i64) -> Result<Option<FoundPlan>, StoreError> {
        let of_these = format!("-{}-", named(inputs));
        let is_meant = |key: &StoreKey| key.name().contains(&of_these);
        self.last(now, is_meant, |it| it.inputs == inputs)
    }

    /// The newest one of whatever inputs.
    pub fn newest_of_any(&self, now: i64) -> Result<Option<FoundPlan>, StoreError> {
        self.last(now, |_| true, |_| true)
    }

    /// The newest one whose digest begins so.
    pub fn of_digest(&self, digest: &str, now: i64) -> Result<Option<FoundPlan>, StoreError> {
        let start = bare(digest);
        let is_meant = |key: &StoreKey| {
            key.stem().rsplit_once('-').is_some_and(|(_, it)| it.starts_with(named(start)))
        };
        self.last(now, is_meant, |it| bare(&it.digest).starts_with(start))
    }

    /// Voids what was stored before this one from other inputs, once this one runs: a job that is run again later would take back what
    /// came after it.
    pub fn supersede(&self, plan: &FoundPlan) -> Result<(), StoreError> {
        let of_these = format!("-{}-", named(&plan.stored.inputs));
        let is_older = |key: &StoreKey| stored_at(key).is_some_and(|at| at < plan.stored.at);
        let mut keys = self.backend.list(&PLANS)?;
        keys.retain(|it| is_older(it) && !it.name().contains(&of_these));
        self.backend.delete_all(&keys)
    }

    /// Voids what was stored from other inputs, since something runs that nobody has reviewed here: what is reviewed next has to be made
    /// on top of it.
    pub fn supersede_all_but(&self, inputs: &str) -> Result<(), StoreError> {
        let of_these = format!("-{}-", named(inputs));
        let mut keys = self.backend.list(&PLANS)?;
        keys.retain(|it| !it.name().contains(&of_these));
        self.backend.delete_all(&keys)
    }

    /// Whether somebody has let it run.
    pub fn approval(&self, plan: &FoundPlan) -> Result<Option<PlanApproval>, StoreError> {
        let bytes = self.backend.get(&approval_key(&plan.name))?;
        // What cannot be read was not written by lifeboat.
        let approval: Option<PlanApproval> = bytes.and_then(|it| serde_json::from_slice(&it).ok());
        Ok(approval.filter(|it| it.digest == plan.stored.digest))
    }

    /// Lets it run.
    pub fn approve(&self, plan: &FoundPlan, approval: &PlanApproval) -> Result<(), StoreError> {
        let bytes = serde_json::to_vec(approval).expect("plain data serialises");
        self.backend.put(&approval_key(&plan.name), &bytes, PutCondition::Always).map(drop)
    }

    fn last(
        &self,
        now: i64,
        is_meant: impl Fn(&StoreKey) -> bool,
        is_it: impl Fn(&StoredPlan) -> bool,
    ) -> Result<Option<FoundPlan>, StoreError> {
        let mut keys = self.backend.list(&PLANS)?;
        keys.retain(|it| it.ending() == Some("json") && is_meant(it) && !is_old(it, now));
        for key in keys.iter().rev() {
            let Some(bytes) = self.backend.get(key)? else { continue };
            // What cannot be read was not written by this lifeboat, or is damaged: an older one does not count in its place.
            let Ok(stored) = serde_json::from_slice::<StoredPlan>(&bytes) else { return Ok(None) };
            if stored.version <= VERSION && is_it(&stored) {
                return Ok(Some(FoundPlan { name: key.stem().into(), stored }));
            }
        }
        Ok(None)
    }

    fn sweep(&self, now: i64) -> Result<(), StoreError> {
        let mut keys = self.backend.list(&PLANS)?;
        keys.retain(|it| is_old(it, now));
        self.backend.delete_all(&keys)
    }
}

fn approval_key(name: &str) -> StoreKey {
    PLANS.key(&format!("{name}.approved"))
}

/// When it was stored, as its name says.
fn stored_at(key: &StoreKey) -> Option<i64> {
    key.name().split('-').next()?.parse().ok()
}

fn is_old(key: &StoreKey, now: i64) -> bool {
    stored_at(key).is_some_and(|at| at.saturating_add(KEPT_FOR) < now)
}

fn bare(digest: &str) -> &str {
    digest.strip_prefix("sha256:").unwrap_or(digest)
}

fn named(digest: &str) -> &str {
    let digest = bare(digest);
    digest.get(..NAMED).unwrap_or(digest)
}

#[cfg(test)]
mod tests {
    use super::{KEPT_FOR, PlanApproval, StoredPlan, StoredPlans};
    use crate::store::backend::PutCondition;
    use crate::store::key::PLANS;
    use crate::store::tests::memory::MemoryBackend;

    const INPUTS: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaa";

    fn plan(digest: &str, at: i64) -> StoredPlan {
        StoredPlan::new(INPUTS, digest, "{}".into(), ("ann@ci", at))
    }

    #[test]
    fn newest_is_the_one_of_these_inputs_that_was_stored_last() {
        let plans = StoredPlans::of(MemoryBackend::new());
        assert_eq!(plans.newest(INPUTS, 0).unwrap(), None);
        plans.put(&plan("sha256:1111111111111111ff", 5)).unwrap();
        plans.put(&plan("sha256:2222222222222222ff", 5)).unwrap();
        let other =
            StoredPlan { inputs: "sha256:aaaaaaaaaaaaaaaabb".into(), ..plan("sha256:33", 9) };
        plans.put(&other).unwrap();
        let found = plans.newest(INPUTS, 10).unwrap().unwrap();
        assert_eq!(
            (found.stored.digest.as_str(), found.stored.at),
            ("sha256:2222222222222222ff", 6)
        );
        assert_eq!(plans.newest("sha256:bb", 10).unwrap(), None);
    }

    #[test]
    fn put_removes_what_is_too_old_to_count() {
        let plans = StoredPlans::of(MemoryBackend::new());
        plans.put(&plan("sha256:11", 5)).unwrap();
        assert_eq!(plans.newest(INPUTS, 6 + KEPT_FOR).unwrap(), None);
        plans.put(&plan("sha256:22", 6 + KEPT_FOR)).unwrap();
        assert_eq!(plans.backend.list(&PLANS).unwrap().len(), 1);
    }

    #[test]
    fn supersede_voids_what_was_stored_before_from_other_inputs() {
        let plans = StoredPlans::of(MemoryBackend::new());
        let from = |inputs: &str, at| StoredPlan { inputs: inputs.into(), ..plan("sha256:11", at) };
        for (inputs, at) in [("bb", 1), (INPUTS, 2), (INPUTS, 3), ("cc", 4)] {
            plans.put(&from(inputs, at)).unwrap();
        }
        let runs = plans.newest(INPUTS, 5).unwrap().unwrap();
        plans.supersede(&runs).unwrap();
        assert_eq!(plans.newest("bb", 5).unwrap(), None);
        assert!(plans.newest("cc", 5).unwrap().is_some(), "it was stored later");
        assert_eq!(plans.newest(INPUTS, 5).unwrap(), Some(runs));
    }

    #[test]
    fn approve_is_of_one_plan_and_not_of_what_was_stored_later() {
        let plans = StoredPlans::of(MemoryBackend::new());
        plans.put(&plan("sha256:1234567890abcdef00", 5)).unwrap();
        let found = plans.of_digest("12345678", 6).unwrap().unwrap();
        assert_eq!(plans.of_digest("sha256:1234567890abcdef00", 6).unwrap().as_ref(), Some(&found));
        assert_eq!(plans.of_digest("1234567890abcdef01", 6).unwrap(), None);
        assert_eq!(plans.approval(&found).unwrap(), None);
        let word = PlanApproval {
            digest: found.stored.digest.clone(),
            who: "bob@laptop".into(),
            because: None,
            at: 7,
        };
        plans.approve(&found, &word).unwrap();
        assert_eq!(plans.approval(&found).unwrap(), Some(word));
        plans.put(&plan("sha256:1234567890abcdef00", 8)).unwrap();
        let later = plans.newest(INPUTS, 9).unwrap().unwrap();
        assert_eq!(plans.approval(&later).unwrap(), None, "it was stored again since");
    }

    #[test]
    fn newest_takes_no_older_plan_in_place_of_a_damaged_one() {
        let backend = MemoryBackend::new();
        let plans = StoredPlans::of(backend.clone());
        plans.put(&plan("sha256:11", 5)).unwrap();
        plans.put(&plan("sha256:22", 6)).unwrap();
        let newest = plans.backend.list(&PLANS).unwrap().pop().unwrap();
        plans.backend.put(&newest, b"{", PutCondition::Always).unwrap();
        assert_eq!(plans.newest(INPUTS, 7).unwrap(), None);
    }
}

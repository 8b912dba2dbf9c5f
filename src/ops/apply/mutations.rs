//! Makes the calls of a step: creates, updates and deletes, with lost replies looked up and never blindly repeated.

use std::time::Duration;

use crate::cloud::error::ProviderError;
use crate::cloud::provider::{Created, ReadResult};
use crate::cloud::retry::{Backoff, with_retry_by};
use crate::engine::normalize::normalise;
use crate::engine::plan::model::planned_change::kept;
use crate::engine::retry::{CHANGING, ErrorClass, RetryPolicy, SilenceBudget, within_new};
use crate::engine::schema::Kind;
use crate::engine::state::journal::{PendingOperation, StepFailure, StepOutcome};
use crate::engine::state::record::{Deposed, Record, State};
use crate::engine::text::redact::redactor;
use crate::engine::value::{Attributes, LineageKey, Value};
use crate::ops::apply::step_inputs::{Progress, StepContext, StepInputs};
use crate::ops::plan::recover::{Recovered as Found, classify};
use crate::store::error::LeaseEnd;

/// How long at least to look for a create whose reply was lost before it is sent again. A guess: the request may still be on
/// its way, and a create answers within one to two seconds.
const SECOND_LOOK: Duration = Duration::from_secs(5);

/// One call that changes something.
enum Attempt<'a> {
    Create,
    Update { id: &'a str, group: &'a str, changed: &'a [String] },
    Delete { id: &'a str, attributes: &'a Attributes },
}

/// Why a call did not go well.
#[derive(Debug, thiserror::Error)]
enum Undone {
    /// It did not leave.
    #[error(transparent)]
    Lease(#[from] LeaseEnd),
    #[error(transparent)]
    Cloud(#[from] ProviderError),
}

impl From<Undone> for StepFailure {
    fn from(why: Undone) -> Self {
        match why {
            Undone::Lease(over) => over.to_string().into(),
            Undone::Cloud(why) => why.into(),
        }
    }
}

impl Undone {
    /// What the cloud answered, where the call left.
    fn of_cloud(self) -> Result<ProviderError, Self> {
        match self {
            Self::Cloud(why) => Ok(why),
            Self::Lease(_) => Err(self),
        }
    }

    fn is(&self, fault: ErrorClass) -> bool {
        matches!(self, Self::Cloud(why) if why.fault == fault)
    }
}

async fn attempt(
    hands: &StepContext,
    job: &StepInputs,
    call: &Attempt<'_>,
) -> Result<Created, ProviderError> {
    let provider = &hands.session.provider;
    let mark = job.mark.as_deref();
    // From here on the other side knows them, and may send them back in any form.
    job.attributes.values().for_each(|it| redactor().learn(it));
    match call {
        Attempt::Create => provider.create(&job.kind, &job.attributes, mark).await,
        Attempt::Update { id, group, changed } => {
            let told =
                provider.update(&job.kind, id, &job.attributes, group, changed, mark).await?;
            Ok(Created { id: (*id).to_owned(), attributes: told })
        }
        Attempt::Delete { id, attributes } => {
            provider.delete(&job.kind, id, attributes).await?;
            Ok(Created { id: (*id).to_owned(), attributes: Attributes::new() })
        }
    }
}

/// Law 4: a call ends while the lease is ours for certain. One that takes longer may be carried out all the same.
async fn in_time(
    left: Duration,
    kind: &str,
    call: impl Future<Output = Result<Created, ProviderError>>,
) -> Result<Created, ProviderError> {
    tokio::time::timeout(left, call).await.unwrap_or_else(|_| {
        let left = left.as_secs();
        let words = format!("no answer within the {left} s that were left of half a lease");
        Err(ProviderError::new(ErrorClass::UnknownOutcome, kind, words))
    })
}

/// As long as the slowest of what is changed may take.
fn patience(kind: &Kind, call: &Attempt<'_>) -> RetryPolicy {
    let Attempt::Update { changed, .. } = call else { return CHANGING };
    let longest = kind.slowest(changed).unwrap_or_default();
    RetryPolicy { within: longest.max(CHANGING.within), ..CHANGING }
}

/// Repeats a call as the engine decides, as long as the lease allows it; a lost reply goes back to the caller.
async fn with_policy(
    hands: &StepContext,
    job: &StepInputs,
    call: Attempt<'_>,
) -> Result<Created, Undone> {
    let made_inside_new = matches!(call, Attempt::Create) && job.parent_is_new;
    let class = |why: &ProviderError, elapsed| {
        if made_inside_new { within_new(why.fault, elapsed) } else { why.fault }
    };
    let told = |pause: &Backoff<'_>| {
        let why = pause.error.words.clone();
        (hands.tell)(Progress::Waiting { step: job.step.id, why });
    };
    let (clock, call) = (&*hands.session.clock, &call);
    with_retry_by(clock, patience(&job.kind, call), (Undone::of_cloud, class), &told, |_| async {
        if job.looked.take() {
            hands.look.still_fenced().await?;
        } else {
            hands.fenced().await?;
        }
        let left = hands.pulse.time_left();
        Ok(in_time(left, &job.kind.kind, attempt(hands, job, call)).await?)
    })
    .await
}

/// Creates an object, once (laws 3 and 10): what may have been carried out is looked for before it is asked for again.
///
/// ```text
/// attempt ─▶ made ─────────────────────────────────▶ recorded
///    │  ▲
///    │  └── not there, fewer than CHANGING.attempts ──┐
///    ├─▶ reply lost, or a conflict after one ─▶ look ─┼─ found ─────────▶ recorded
///    │                                                └─ nobody can tell ▶ indeterminate
///    ├─▶ the lease is over after a lost reply ────────────────────────▶ indeterminate
///    └─▶ anything else ───────────────────────────────────────────────▶ failed
/// ```
pub async fn create(
    hands: &StepContext,
    job: &StepInputs,
    begun: &PendingOperation,
) -> StepOutcome {
    let mut lost_replies = 0;
    loop {
        let why = match with_policy(hands, job, Attempt::Create).await {
            Ok(made) => return created(hands, job, made.id, &made.attributes),
            Err(why) => why,
        };
        match &why {
            Undone::Lease(over) if lost_replies > 0 => {
                return StepOutcome::in_doubt(format!("its reply was lost; {over}"));
            }
            _ if why.is(ErrorClass::UnknownOutcome) => {}
            // Something of that name exists: after a lost reply it may be what was asked for.
            _ if why.is(ErrorClass::Conflict) && lost_replies > 0 => {}
            _ => return StepOutcome::failed(why),
        }
        lost_replies += 1;
        match look_for(hands, job, begun).await {
            Ok(Some(id)) => {
                let told = told(hands, job, &id).await;
                return created(hands, job, id, &told);
            }
            Ok(None) if lost_replies < CHANGING.attempts => {}
            Ok(None) => return StepOutcome::failed(why),
            Err(doubt) => return StepOutcome::in_doubt(format!("{why}; {doubt}")),
        }
    }
}

fn created(hands: &StepContext, job: &StepInputs, id: String, told: &Attributes) -> StepOutcome {
    StepOutcome::Recorded(Box::new(recorded(hands, job, id, told)))
}

/// Whether the create of a lost reply was carried out.
async fn look_for(
    hands: &StepContext,
    job: &StepInputs,
    begun: &PendingOperation,
) -> Result<Option<String>, String> {
    let nobody = State::new("", None, "", "", LineageKey(Vec::new()));
    let patience = job.kind.identity.appears_within().max(SECOND_LOOK);
    let clock = &hands.session.clock;
    let since = clock.now();
    loop {
        let waited = u64::try_from(clock.now() - since).unwrap_or_default();
        let is_last = Duration::from_millis(waited) >= patience;
        let alike = hands.session.provider.alike(&job.kind, &job.attributes).await;
        let alike = alike.map_err(|why| why.to_string())?;
        // The attempts are not over: whatever came since the first one may be theirs.
        match classify(&job.kind, begun, clock.now(), &nobody, alike) {
            Found::Made { id, .. } => return Ok(Some(id)),
            Found::Doubt(why) => return Err(why),
            Found::NotMade if is_last => return Ok(None),
            Found::NotMade => clock.sleep(SECOND_LOOK).await,
        }
    }
}

/// What the cloud tells of an object whose reply was lost: others need what it made up.
async fn told(hands: &StepContext, job: &StepInputs, id: &str) -> Attributes {
    match hands.session.provider.look(&job.kind, id, &job.attributes).await {
        Ok(ReadResult::Exists { attributes, .. }) => attributes,
        Ok(ReadResult::Absent) | Err(_) => Attributes::new(),
    }
}

/// The record of an object just made.
fn recorded(hands: &StepContext, job: &StepInputs, id: String, told: &Attributes) -> Record {
    let replaced = job.record.as_ref().filter(|_| job.beside);
    let deposed =
        replaced.map(|old| Deposed { id: old.id.clone(), attributes: old.attributes.clone() });
    let mut record = Record {
        kind: job.kind.kind.clone(),
        id,
        attributes: kept(&job.kind, &job.sealed),
        outputs: Attributes::new(),
        needs: job.needs.clone(),
        ready: job.is_last,
        protected: job.protected,
        retained: false,
        leaving: false,
        since: hands.session.clock.now(),
        deposed,
        tried: Attributes::new(),
    };
    take_outputs(&mut record, &job.kind, told);
    record
}

/// Takes over what the cloud made: computed attributes, and those the stack left to the cloud.
pub fn take_outputs(record: &mut Record, kind: &Kind, told: &Attributes) {
    for (name, attribute) in &kind.attributes {
        let from_cloud = attribute.computed
            || (attribute.optional_computed && !record.attributes.contains_key(name));
        if let Some(value) = told.get(name).filter(|_| from_cloud && !attribute.live) {
            record.outputs.insert(name.clone(), value.clone());
        }
    }
}

/// How an update ended.
pub enum Updated {
    Ended(StepOutcome),
    /// The cloud was asked again and says that there is no such object.
    Gone,
}

impl Updated {
    /// As the end of a step that only changes.
    pub fn outcome(self) -> StepOutcome {
        match self {
            Self::Ended(outcome) => outcome,
            Self::Gone => StepOutcome::failed("it no longer exists"),
        }
    }

    fn failed(why: impl Into<StepFailure>) -> Self {
        Self::Ended(StepOutcome::failed(why))
    }
}

/// Sends one update group, or creates the object again where it has gone and holds no data. An update whose reply was lost
/// is repeated until the object is as wanted: sending it twice does no harm.
pub async fn update(
    hands: &StepContext,
    job: &StepInputs,
    group: &str,
    changed: &[String],
) -> Updated {
    let Some(record) = job.record.clone() else {
        return Updated::failed("it is not recorded, so it cannot be changed");
    };
    let provider = &hands.session.provider;
    let mut lost = 0;
    let mut silence = SilenceBudget::default();
    let told = loop {
        let call = Attempt::Update { id: &record.id, group, changed };
        match with_policy(hands, job, call).await {
            Ok(done) => break done.attributes,
            // Setting the same values again is harmless; actions are looked at by their wait.
            Err(why) if why.is(ErrorClass::UnknownOutcome) && lost < CHANGING.attempts => {
                lost += 1;
                hands.session.clock.sleep(CHANGING.first_pause).await;
                let (kind, id) = (&job.kind, &record.id);
                let look = provider.look_at(kind, id, &job.attributes, changed).await;
                let is_silent = look.as_ref().is_err_and(ProviderError::is_silence);
                if silence.lasts(is_silent, hands.session.clock.now()) {
                    return Updated::failed(format!(
                        "{why}; since then, the cloud has been unreachable"
                    ));
                }
                if let Ok(ReadResult::Exists { attributes, .. }) = look
                    && is_so(job, changed, &attributes)
                {
                    break attributes;
                }
            }
            Err(why) if why.is(ErrorClass::Missing) => {
                let look = provider.look(&job.kind, &record.id, &record.attributes).await;
                return match look {
                    Ok(ReadResult::Absent) => Updated::Gone,
                    _ => Updated::failed(why),
                };
            }
            Err(why) => return Updated::failed(why),
        }
    };
    Updated::Ended(StepOutcome::Recorded(Box::new(changed_record(job, record, changed, &told))))
}

/// What is recorded after an update.
fn changed_record(
    job: &StepInputs,
    mut record: Record,
    changed: &[String],
    told: &Attributes,
) -> Record {
    for name in changed {
        record.tried.remove(name);
        match job.sealed.get(name) {
            Some(value) if !value.is_null() => {
                record.attributes.insert(name.clone(), value.clone())
            }
            _ if job.kind.attribute(name).is_some_and(|it| it.write_only) => {
                record.attributes.insert(name.clone(), Value::Null)
            }
            _ => record.attributes.remove(name),
        };
    }
    for (name, value) in job.sealed.iter().filter(|(name, _)| name.contains('.')) {
        record.attributes.insert(name.clone(), value.clone());
    }
    record.needs.clone_from(&job.needs);
    record.protected = job.protected;
    record.ready = job.is_last;
    take_outputs(&mut record, &job.kind, told);
    record
}

/// Whether the cloud shows every changed attribute as desired.
fn is_so(job: &StepInputs, changed: &[String], seen: &Attributes) -> bool {
    changed.iter().all(|name| {
        let normal = |it: &Value| normalise(&job.kind, name, it, &job.attributes);
        match (seen.get(name), job.attributes.get(name)) {
            (Some(seen), Some(desired)) => normal(seen) == normal(desired),
            _ => false,
        }
    })
}

/// Deletes the object of a step, or the deposed one beside it; one that is gone already counts as deleted.
pub async fn delete(hands: &StepContext, job: &StepInputs, deposed: bool) -> StepOutcome {
    let Some(record) = &job.record else { return StepOutcome::Removed };
    let (id, attributes) = match (&record.deposed, deposed) {
        (Some(old), true) => (&old.id, &old.attributes),
        (None, true) => return StepOutcome::Waited,
        (_, false) => (&record.id, &record.attributes),
    };
    let mut lost = 0;
    loop {
        match with_policy(hands, job, Attempt::Delete { id, attributes }).await {
            Ok(_) => break,
            Err(why) if why.is(ErrorClass::UnknownOutcome) && lost < CHANGING.attempts => {
                lost += 1;
                hands.session.clock.sleep(CHANGING.first_pause).await;
            }
            Err(why) => return StepOutcome::failed(why),
        }
    }
    match (job.kind.waits.gone, deposed) {
        // Whoever is killed while it goes still knows of it.
        (Some(_), true) => StepOutcome::Waited,
        (Some(_), false) => StepOutcome::Recorded(Box::new(Record {
            leaving: true,
            ready: false,
            ..record.clone()
        })),
        (None, _) => went(record, deposed),
    }
}

/// What is left of a record when its object is gone.
pub fn went(record: &Record, deposed: bool) -> StepOutcome {
    if deposed {
        StepOutcome::Recorded(Box::new(Record { deposed: None, ..record.clone() }))
    } else {
        StepOutcome::Removed
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::in_time;
    use crate::engine::retry::ErrorClass;

    #[tokio::test]
    async fn in_time_gives_a_call_up_when_the_lease_is_no_longer_certain() {
        let call = std::future::pending();
        let why = in_time(Duration::ZERO, "linode.domain", call).await.unwrap_err();
        // It may have been carried out: it is looked for, and not blindly repeated.
        assert_eq!(why.fault, ErrorClass::UnknownOutcome);
        assert!(why.to_string().contains("no answer within the 0 s that were left"), "{why}");
    }
}

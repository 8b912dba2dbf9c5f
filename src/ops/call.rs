//! Makes the calls of a step: creates, updates and deletes, with lost replies looked up and never blindly repeated.

use std::time::Duration;

use crate::cloud::error::ProviderError;
use crate::cloud::provider::{Created, Look};
use crate::engine::plan::normalise::normalise;
use crate::engine::plan::planned::kept;
use crate::engine::retry::{CHANGING, Fault, Verdict, decide};
use crate::engine::schema::Kind;
use crate::engine::state::journal::{Begun, Outcome};
use crate::engine::state::record::{Deposed, Record, State};
use crate::engine::value::{Attributes, LineageKey, Value};
use crate::ops::job::{Hands, Job, Progress};
use crate::ops::settle::{Verdict as Found, judge};
use crate::store::error::Over;

/// How long a create whose reply was lost is looked for before it is made again.
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
    Lease(#[from] Over),
    #[error(transparent)]
    Cloud(#[from] ProviderError),
}

impl Undone {
    fn is(&self, fault: Fault) -> bool {
        matches!(self, Self::Cloud(why) if why.fault == fault)
    }
}

async fn attempt(hands: &Hands, job: &Job, call: &Attempt<'_>) -> Result<Created, ProviderError> {
    let provider = &hands.session.provider;
    let mark = job.mark.as_deref();
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

/// Repeats a call as `engine::retry` decides, as long as the lease allows it; a lost reply goes back to the caller.
async fn patiently(hands: &Hands, job: &Job, call: Attempt<'_>) -> Result<Created, Undone> {
    let clock = &hands.session.clock;
    let started = clock.now();
    let mut attempts = 1;
    loop {
        hands.pulse.may_call()?;
        let why = match attempt(hands, job, &call).await {
            Ok(done) => return Ok(done),
            Err(why) => why,
        };
        let elapsed = Duration::from_millis(u64::try_from(clock.now() - started).unwrap_or(0));
        match decide(why.fault, attempts, elapsed, why.retry_after, CHANGING) {
            Verdict::GiveUp => return Err(why.into()),
            Verdict::AgainAfter(pause) => {
                (hands.tell)(Progress::Waiting { step: job.step.id, why: why.words.clone() });
                clock.sleep(pause).await;
                attempts += 1;
            }
        }
    }
}

pub async fn create(hands: &Hands, job: &Job, begun: &Begun) -> Outcome {
    let mut lost = 0;
    loop {
        let made = patiently(hands, job, Attempt::Create).await;
        let why = match made {
            Ok(made) => {
                return Outcome::Recorded(Box::new(recorded(
                    hands,
                    job,
                    made.id,
                    &made.attributes,
                )));
            }
            Err(why) => why,
        };
        if lost > 0
            && let Undone::Lease(over) = &why
        {
            return Outcome::InDoubt { why: format!("its reply was lost; {over}") };
        }
        let unknown = why.is(Fault::UnknownOutcome);
        let ours_perhaps = why.is(Fault::Conflict) && lost > 0;
        if !unknown && !ours_perhaps {
            return Outcome::Failed { why: why.to_string() };
        }
        lost += 1;
        // The request may still be on its way: look twice before making it again.
        match look_for(hands, job, begun).await {
            Ok(Some(id)) => {
                let nothing = Attributes::new();
                return Outcome::Recorded(Box::new(recorded(hands, job, id, &nothing)));
            }
            Ok(None) if lost < CHANGING.attempts => {}
            Ok(None) => return Outcome::Failed { why: why.to_string() },
            Err(doubt) => return Outcome::InDoubt { why: format!("{why}; {doubt}") },
        }
    }
}

/// Whether the create of a lost reply was carried out.
async fn look_for(hands: &Hands, job: &Job, begun: &Begun) -> Result<Option<String>, String> {
    let nobody = State::new("", None, "", "", LineageKey(Vec::new()));
    for look in 0..2 {
        if look > 0 {
            hands.session.clock.sleep(SECOND_LOOK).await;
        }
        let alike = hands.session.provider.alike(&job.kind, &job.attributes).await;
        match judge(&job.kind, begun, &nobody, alike.map_err(|why| why.to_string())?) {
            Found::Made(id) => return Ok(Some(id)),
            Found::Doubt(why) => return Err(why),
            Found::NotMade => {}
        }
    }
    Ok(None)
}

/// The record of an object just made.
fn recorded(hands: &Hands, job: &Job, id: String, told: &Attributes) -> Record {
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
        since: hands.session.clock.now(),
        deposed,
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

pub async fn update(hands: &Hands, job: &Job, group: &str, changed: &[String]) -> Outcome {
    let Some(mut record) = job.record.clone() else {
        return Outcome::Failed { why: "it is not recorded, so it cannot be changed".into() };
    };
    let provider = &hands.session.provider;
    let mut lost = 0;
    let told = loop {
        let call = Attempt::Update { id: &record.id, group, changed };
        match patiently(hands, job, call).await {
            Ok(done) => break done.attributes,
            // Setting the same values again is harmless; actions are looked at by their wait.
            Err(why) if why.is(Fault::UnknownOutcome) && lost < CHANGING.attempts => {
                lost += 1;
                hands.session.clock.sleep(CHANGING.first_pause).await;
                let look = provider.look(&job.kind, &record.id, &job.attributes).await;
                if let Ok(Look::Exists { attributes, .. }) = look
                    && is_so(job, changed, &attributes)
                {
                    break attributes;
                }
            }
            Err(why) => return Outcome::Failed { why: why.to_string() },
        }
    };
    for name in changed {
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
    take_outputs(&mut record, &job.kind, &told);
    Outcome::Recorded(Box::new(record))
}

/// Whether the cloud shows every changed attribute as desired.
fn is_so(job: &Job, changed: &[String], seen: &Attributes) -> bool {
    changed.iter().all(|name| {
        let normal = |it: &Value| normalise(&job.kind, name, it, &job.attributes);
        match (seen.get(name), job.attributes.get(name)) {
            (Some(seen), Some(desired)) => normal(seen) == normal(desired),
            _ => false,
        }
    })
}

pub async fn delete(hands: &Hands, job: &Job, deposed: bool) -> Outcome {
    let Some(record) = &job.record else { return Outcome::Removed };
    let (id, attributes) = match (&record.deposed, deposed) {
        (Some(old), true) => (&old.id, &old.attributes),
        (None, true) => return Outcome::Waited,
        (_, false) => (&record.id, &record.attributes),
    };
    let mut lost = 0;
    loop {
        match patiently(hands, job, Attempt::Delete { id, attributes }).await {
            Ok(_) => break,
            Err(why) if why.is(Fault::UnknownOutcome) && lost < CHANGING.attempts => {
                lost += 1;
                hands.session.clock.sleep(CHANGING.first_pause).await;
            }
            Err(why) => return Outcome::Failed { why: why.to_string() },
        }
    }
    if deposed {
        let mut record = record.clone();
        record.deposed = None;
        return Outcome::Recorded(Box::new(record));
    }
    Outcome::Removed
}

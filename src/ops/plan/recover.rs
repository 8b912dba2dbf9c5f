//! Finds out what became of steps that began and of which no end is recorded.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;

use crate::cloud::provider::ReadResult;
use crate::engine::address::Address;
use crate::engine::fault_domain::FaultDomains;
use crate::engine::observed::Candidate;
use crate::engine::plan::model::change::LossDeclaration;
use crate::engine::plan::traffic::shifts::cut_off;
use crate::engine::retry::CHANGING;
use crate::engine::schema::{Catalog, Kind, LIST_LAG};
use crate::engine::state::journal::{JournalEntry, PendingOperation, StepOutcome};
use crate::engine::state::record::{Deposed, MutatingCall, Record, State};
use crate::ops::load::session::Session;

/// How far the clock of a cloud and that of this machine may differ. A guess: machines with NTP differ by milliseconds, and
/// Linode tells times in whole seconds. More would take a stranger's object for ours, less would miss our own.
const SKEW_MILLISECONDS: i64 = 5_000;

/// How many are looked for at once: as many as Linode's driver calls at once. With a store far away hundreds may have begun.
const LOOKS_AT_ONCE: usize = 10;

/// One entry for each step that could be settled; what stays in doubt stays begun, as does what is in a lost fault domain.
pub async fn recover(
    session: &Session,
    state: &State,
    lost: &[LossDeclaration],
) -> Vec<JournalEntry> {
    let mut entries = Vec::new();
    if state.pending.is_empty() {
        return entries;
    }
    let domains = FaultDomains::new(&session.catalog, Some(state));
    let is_readable = |begun: &&PendingOperation| {
        let domain = domains.of_begun(&session.catalog, state, begun);
        !lost.iter().any(|it| Some(&it.fault_domain) == domain.as_ref())
    };
    let looks =
        state.pending.values().filter(is_readable).map(|begun| became(session, state, begun));
    let outcomes: Vec<_> = stream::iter(looks).buffered(LOOKS_AT_ONCE).collect().await;
    for (begun, outcome) in outcomes {
        let (address, step, at) = (begun.address.clone(), begun.step, session.clock.now());
        entries.push(JournalEntry::Ended { address, step, outcome, at });
        let is_lost = |it: &Address| {
            let domain = domains.of_record(it);
            lost.iter().any(|lost| Some(lost.fault_domain.as_str()) == domain)
        };
        entries.extend(
            cut_off(&session.catalog, state, begun, is_lost)
                .map(|it| JournalEntry::directed(&begun.address, it.was, it.seconds, it.ttl, at)),
        );
    }
    entries
}

async fn became<'a>(
    session: &Session,
    state: &State,
    begun: &'a PendingOperation,
) -> (&'a PendingOperation, StepOutcome) {
    let outcome = match begun.call {
        MutatingCall::Create => created(session, state, begun).await,
        MutatingCall::Delete => deleted(session, state, begun).await,
        // Changes and deletes are safe to repeat: the plan looks at the object anew.
        _ => StepOutcome::failed("interrupted; read again"),
    };
    (begun, outcome)
}

async fn created(session: &Session, state: &State, begun: &PendingOperation) -> StepOutcome {
    let Some(kind) = session.catalog.get(&begun.kind) else {
        return StepOutcome::in_doubt(format!(
            "this version of lifeboat does not know `{}`",
            begun.kind
        ));
    };
    match looked_for(session, kind, begun, state).await {
        Recovered::Made { id, .. } => {
            let mut record = adopted(begun, id);
            record.attributes.retain(|name, _| kind.join_as() != Some(name));
            // Made beside what it was to replace: that one is still there, and still to be deleted.
            if let Some(old) = state.records.get(&begun.address).filter(|it| it.id != record.id) {
                let (id, attributes) = (old.id.clone(), old.attributes.clone());
                record.deposed = Some(Deposed { id, attributes });
                record.protected = old.protected;
            }
            StepOutcome::Recorded(Box::new(record))
        }
        Recovered::NotMade => StepOutcome::failed("it was not created"),
        Recovered::Doubt(why) => StepOutcome::in_doubt(why),
    }
}

/// What is not there any more was deleted by that call; what is left, or on its way, the plan looks at anew.
async fn deleted(session: &Session, state: &State, begun: &PendingOperation) -> StepOutcome {
    let again = || StepOutcome::failed("interrupted; read again");
    // What was made a moment ago may be in no list yet.
    let is_old = |it: &&Record| since(session, it.since) > 2 * LIST_LAG;
    let record = state.records.get(&begun.address).filter(|it| it.deposed.is_none());
    let record = record.filter(is_old);
    let Some((record, kind)) = record.zip(session.catalog.get(&begun.kind)) else { return again() };
    match session.provider.look(kind, &record.id, &record.attributes).await {
        Ok(ReadResult::Absent) => StepOutcome::Removed,
        Ok(ReadResult::Exists { attributes, .. }) if kind.is_leaving(&attributes) => {
            StepOutcome::Recorded(Box::new(Record {
                leaving: true,
                ready: false,
                ..record.clone()
            }))
        }
        Ok(ReadResult::Exists { .. }) | Err(_) => again(),
    }
}

/// Looks again when the cloud has had the time after which an object is found.
async fn looked_for(
    session: &Session,
    kind: &Kind,
    begun: &PendingOperation,
    state: &State,
) -> Recovered {
    let pause = kind.identity.appears_within().saturating_sub(since(session, begun.at));
    // The run that made it is over, and it tried for at most so long.
    let until = begun.at + milliseconds(CHANGING.within);
    let look = async || match session.provider.alike(kind, &begun.attributes).await {
        Err(why) => Recovered::Doubt(why.to_string()),
        Ok(alike) => classify(kind, begun, until, state, alike),
    };
    let verdict = look().await;
    if verdict != Recovered::NotMade || pause.is_zero() {
        return verdict;
    }
    session.clock.sleep(pause).await;
    look().await
}

/// How long ago that was; nothing, where a clock was set back.
fn since(session: &Session, at: i64) -> Duration {
    Duration::from_millis(u64::try_from(session.clock.now() - at).unwrap_or(0))
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// What became of a create.
#[derive(Debug, PartialEq, Eq)]
pub enum Recovered {
    Made {
        id: String,
        why: &'static str,
    },
    /// No list has it; lists may lag.
    NotMade,
    Doubt(String),
}

/// Law 3: look-alikes now, less those seen before, less every id recorded. `until` is when the last attempt may have left,
/// in milliseconds since the Unix epoch: what was made later is somebody else's.
///
/// Without an ownership tag it is ours if it alone came while the create was under way, or lies inside an object of ours
/// where the cloud does not tell when it came. What could equally be a stranger's is in doubt.
pub fn classify(
    kind: &Kind,
    begun: &PendingOperation,
    until: i64,
    state: &State,
    alike: Vec<Candidate>,
) -> Recovered {
    let recorded = |id: &str| {
        state
            .records
            .iter()
            .any(|(address, it)| it.kind == begun.kind && it.id == id && *address != begun.address)
    };
    let candidates: Vec<Candidate> = alike
        .into_iter()
        .filter(|it| !it.foreign && !begun.alike.contains(&it.id) && !recorded(&it.id))
        .collect();
    let marked = candidates.iter().find(|it| it.mark.is_some() && it.mark == begun.mark);
    if let Some(ours) = marked {
        let why = "it carries the ownership tag of this address";
        return Recovered::Made { id: ours.id.clone(), why };
    }
    let since = begun.at - SKEW_MILLISECONDS;
    let until = until + SKEW_MILLISECONDS;
    let fresh: Vec<&Candidate> = candidates
        .iter()
        .filter(|it| it.mark.is_none() && it.created.is_none_or(|at| since <= at && at <= until))
        .collect();
    match fresh.as_slice() {
        [] => Recovered::NotMade,
        [one] if one.created.is_some() => {
            let why = "it is the only one created while this address was being created";
            Recovered::Made { id: one.id.clone(), why }
        }
        [one] if kind.contains_in.is_some() => {
            let why = "it is the only new one inside a resource of this stack";
            Recovered::Made { id: one.id.clone(), why }
        }
        several => {
            let ids: Vec<&str> = several.iter().map(|it| it.id.as_str()).collect();
            Recovered::Doubt(format!("it may be any of: {}", ids.join(", ")))
        }
    }
}

/// Which creates were found carried out, with the id and why it is taken for ours: to be shown before anything is applied.
pub fn recovered(
    state: &State,
    kinds: &Catalog,
    settled: &[JournalEntry],
) -> BTreeMap<Address, String> {
    let made = settled.iter().filter_map(|it| match it {
        JournalEntry::Ended { address, outcome: StepOutcome::Recorded(record), .. } => {
            Some((address, &**record))
        }
        _ => None,
    });
    let told = |(address, record): (&Address, &Record)| {
        let begun = state.pending.get(address).filter(|it| it.call == MutatingCall::Create)?;
        let kind = kinds.get(&record.kind)?;
        let why = if kind.mark.is_some() {
            "its creation started but the reply was lost, and it carries this address's tag or is the only new one since"
        } else if kind.contains_in.is_some() {
            "its creation started but the reply was lost, and it is the only new one in its container since"
        } else {
            "its creation started but the reply was lost, and it is the only new one since"
        };
        (begun.kind == record.kind).then(|| {
            (
                address.clone(),
                format!(
                    "adopt (recovered): {} is treated as created by this stack, because {why}",
                    record.id
                ),
            )
        })
    };
    made.filter_map(told).collect()
}

/// The record of an object that was made by a step whose reply was never seen.
pub fn adopted(begun: &PendingOperation, id: String) -> Record {
    Record {
        kind: begun.kind.clone(),
        id,
        attributes: begun.attributes.clone(),
        outputs: crate::engine::value::Attributes::new(),
        needs: begun.needs.clone(),
        ready: false,
        protected: false,
        retained: false,
        leaving: false,
        since: begun.at,
        deposed: None,
        tried: crate::engine::value::Attributes::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Recovered, classify};
    use crate::engine::address::Address;
    use crate::engine::observed::Candidate;
    use crate::engine::state::journal::PendingOperation;
    use crate::engine::state::record::{MutatingCall, State};
    use crate::engine::value::{Attributes, LineageKey};

    /// When its last attempt may have left.
    const UNTIL: i64 = 1_000_000 + 30 * 60_000;

    fn begun(alike: &[&str]) -> PendingOperation {
        PendingOperation {
            step: 0,
            address: Address::one("web"),
            kind: "linode.instance".into(),
            call: MutatingCall::Create,
            attributes: Attributes::new(),
            needs: Vec::new(),
            alike: alike.iter().map(ToString::to_string).collect(),
            mark: Some("lb:shop:abc".into()),
            at: 1_000_000,
        }
    }

    fn seen(id: &str, created: Option<i64>, mark: Option<&str>) -> Candidate {
        Candidate { id: id.into(), created, mark: mark.map(Into::into), foreign: false }
    }

    /// Found, whatever shows that it is ours.
    fn made(id: &str) -> Recovered {
        Recovered::Made { id: id.into(), why: "" }
    }

    fn check(begun: &PendingOperation, alike: Vec<Candidate>, expected: Recovered) {
        check_kind("linode.instance", begun, alike, expected);
    }

    fn check_kind(
        kind: &str,
        begun: &PendingOperation,
        alike: Vec<Candidate>,
        expected: Recovered,
    ) {
        let state = State::new("shop", None, "sandbox", "l", LineageKey(vec![1]));
        let catalog = crate::kinds::builtin();
        let kind = catalog.get(kind).unwrap();
        let found = match classify(kind, begun, UNTIL, &state, alike) {
            Recovered::Made { id, .. } => made(&id),
            other => other,
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn classify_without_a_time_adopts_only_inside_an_object_of_ours() {
        let one = || vec![seen("7", None, None)];
        check(&begun(&[]), one(), Recovered::Doubt("it may be any of: 7".into()));
        let inside = "linode.nodebalancer_config";
        check_kind(inside, &begun(&[]), one(), made("7"));
        check_kind(inside, &begun(&["7"]), one(), Recovered::NotMade);
    }

    #[test]
    fn classify_adopts_by_the_ownership_tag() {
        let ours = seen("7", None, Some("lb:shop:abc"));
        let other = seen("8", Some(1_200_000), None);
        check(&begun(&[]), vec![ours, other], made("7"));
    }

    #[test]
    fn classify_refuses_what_came_long_after_the_create() {
        let late = UNTIL + 60_000;
        check(&begun(&[]), vec![seen("7", Some(late), None)], Recovered::NotMade);
        let record = "linode.domain_record";
        let ours = || seen("8", Some(1_001_000), None);
        check_kind(record, &begun(&[]), vec![ours()], made("8"));
        let two = vec![ours(), seen("9", Some(1_001_000), None)];
        check_kind(record, &begun(&[]), two, Recovered::Doubt("it may be any of: 8, 9".into()));
    }

    #[test]
    fn classify_adopts_no_table_outside_the_group_of_a_replica() {
        let outside = || Candidate { foreign: true, ..seen("7", Some(1_001_000), None) };
        check_kind("dynamodb.replica", &begun(&[]), vec![outside()], Recovered::NotMade);
        let own = seen("8", Some(1_001_000), None);
        check_kind("dynamodb.replica", &begun(&[]), vec![outside(), own], made("8"));
    }

    #[test]
    fn classify_never_adopts_what_belongs_to_others() {
        check(&begun(&["7"]), vec![seen("7", Some(1_200_000), None)], Recovered::NotMade);
        check(&begun(&[]), vec![seen("7", Some(1), None)], Recovered::NotMade);
        check(
            &begun(&[]),
            vec![seen("7", Some(1_200_000), Some("lb:other:x"))],
            Recovered::NotMade,
        );
    }

    #[test]
    fn classify_adopts_one_fresh_candidate_and_neither_of_two() {
        check(&begun(&[]), vec![seen("7", Some(1_200_000), None)], made("7"));
        let two = vec![seen("7", Some(1_200_000), None), seen("8", Some(1_200_000), None)];
        check(&begun(&[]), two, Recovered::Doubt("it may be any of: 7, 8".into()));
    }
}

//! Finds out what became of steps that began and of which no end is recorded.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::cloud::provider::Look;
use crate::engine::address::Address;
use crate::engine::fault_domain::Domains;
use crate::engine::observed::Alike;
use crate::engine::plan::change::Loss;
use crate::engine::plan::traffic::cut_off;
use crate::engine::schema::{Catalog, Kind};
use crate::engine::state::journal::{Begun, Entry, Outcome};
use crate::engine::state::record::{Deposed, Record, State};
use crate::ops::session::Session;

/// Clocks of clouds and of this machine may differ by this much.
const SKEW_MILLISECONDS: i64 = 5_000;

/// So long a list may lack what was made: a disk was missing 15 s after it was made, and there after 30 (shared/linode-api.md).
pub const LIST_LAG_MILLISECONDS: i64 = 30_000;

/// A create that is tried again and again leaves at most so long after it began; what was made later is somebody else's.
const CREATE_MILLISECONDS: i64 = 15 * 60_000;

/// One entry for each step that could be settled; what stays in doubt stays begun, as does what is in a lost fault domain.
pub async fn settle(session: &Session, state: &State, lost: &[Loss]) -> Vec<Entry> {
    let mut entries = Vec::new();
    if state.begun.is_empty() {
        return entries;
    }
    let domains = Domains::new(&session.catalog, Some(state));
    for begun in state.begun.values() {
        let domain = domains.of_begun(&session.catalog, state, begun);
        if lost.iter().any(|it| Some(&it.fault_domain) == domain.as_ref()) {
            continue;
        }
        let outcome = if begun.call == "create" {
            created(session, state, begun).await
        } else if begun.call == "delete" {
            deleted(session, state, begun).await
        } else {
            // Changes and deletes are safe to repeat: the plan looks at the object anew.
            Outcome::Failed { why: "interrupted; looked at anew".into() }
        };
        let (address, step, at) = (begun.address.clone(), begun.step, session.clock.now());
        entries.push(Entry::Ended { address, step, outcome, at });
        let is_lost = |it: &Address| {
            let domain = domains.of_record(it);
            lost.iter().any(|lost| Some(lost.fault_domain.as_str()) == domain)
        };
        entries.extend(
            cut_off(&session.catalog, state, begun, is_lost)
                .map(|it| Entry::directed(&begun.address, it.was, it.seconds, it.ttl, at)),
        );
    }
    entries
}

async fn created(session: &Session, state: &State, begun: &Begun) -> Outcome {
    let Some(kind) = session.catalog.get(&begun.kind) else {
        return Outcome::InDoubt { why: format!("this lifeboat does not know `{}`", begun.kind) };
    };
    match looked_for(session, kind, begun, state).await {
        Verdict::Made { id, .. } => {
            let mut record = adopted(begun, id);
            record.attributes.retain(|name, _| kind.join_as() != Some(name));
            // Made beside what it was to replace: that one is still there, and still to be deleted.
            if let Some(old) = state.records.get(&begun.address).filter(|it| it.id != record.id) {
                let (id, attributes) = (old.id.clone(), old.attributes.clone());
                record.deposed = Some(Deposed { id, attributes });
                record.protected = old.protected;
            }
            Outcome::Recorded(Box::new(record))
        }
        Verdict::NotMade => Outcome::Failed { why: "it was not made".into() },
        Verdict::Doubt(why) => Outcome::InDoubt { why },
    }
}

/// What is not there any more was deleted by that call; what is left, or on its way, the plan looks at anew.
async fn deleted(session: &Session, state: &State, begun: &Begun) -> Outcome {
    let again = || Outcome::Failed { why: "interrupted; looked at anew".into() };
    // What was made a moment ago may be in no list yet.
    let is_old = |it: &&Record| session.clock.now() - it.since > 2 * LIST_LAG_MILLISECONDS;
    let record = state.records.get(&begun.address).filter(|it| it.deposed.is_none());
    let record = record.filter(is_old);
    let Some((record, kind)) = record.zip(session.catalog.get(&begun.kind)) else { return again() };
    match session.provider.look(kind, &record.id, &record.attributes).await {
        Ok(Look::Absent) => Outcome::Removed,
        Ok(Look::Exists { attributes, .. }) if kind.is_leaving(&attributes) => {
            Outcome::Recorded(Box::new(Record { leaving: true, ready: false, ..record.clone() }))
        }
        Ok(Look::Exists { .. }) | Err(_) => again(),
    }
}

/// Looks again when lists have had the time that they may lag, where the cloud would make a second one.
async fn looked_for(session: &Session, kind: &Kind, begun: &Begun, state: &State) -> Verdict {
    let pause = begun.at + LIST_LAG_MILLISECONDS - session.clock.now();
    let look = async || match session.provider.alike(kind, &begun.attributes).await {
        Err(why) => Verdict::Doubt(why.to_string()),
        Ok(alike) => judge(kind, begun, state, alike),
    };
    let verdict = look().await;
    if verdict != Verdict::NotMade || kind.identity.unique || pause <= 0 {
        return verdict;
    }
    session.clock.sleep(Duration::from_millis(pause.unsigned_abs())).await;
    look().await
}

/// What became of a create.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    Made {
        id: String,
        why: &'static str,
    },
    /// No list has it; lists may lag.
    NotMade,
    Doubt(String),
}

/// Law 3: look-alikes now, less those seen before, less every id recorded.
///
/// Without an ownership tag it is ours if it alone came while the create was under way, or lies inside an object of ours
/// where the cloud does not tell when it came. What could equally be a stranger's is in doubt.
pub fn judge(kind: &Kind, begun: &Begun, state: &State, alike: Vec<Alike>) -> Verdict {
    let recorded = |id: &str| {
        state
            .records
            .iter()
            .any(|(address, it)| it.kind == begun.kind && it.id == id && *address != begun.address)
    };
    let candidates: Vec<Alike> =
        alike.into_iter().filter(|it| !begun.alike.contains(&it.id) && !recorded(&it.id)).collect();
    let marked = candidates.iter().find(|it| it.mark.is_some() && it.mark == begun.mark);
    if let Some(ours) = marked {
        let why = "it carries the ownership tag of this address";
        return Verdict::Made { id: ours.id.clone(), why };
    }
    let since = begun.at - SKEW_MILLISECONDS;
    let until = begun.at + CREATE_MILLISECONDS + SKEW_MILLISECONDS;
    let fresh: Vec<&Alike> = candidates
        .iter()
        .filter(|it| it.mark.is_none() && it.created.is_none_or(|at| since <= at && at <= until))
        .collect();
    match fresh.as_slice() {
        [] => Verdict::NotMade,
        [one] if one.created.is_some() => {
            let why = "it alone was made while the create of this address was under way";
            Verdict::Made { id: one.id.clone(), why }
        }
        [one] if kind.contains_in.is_some() => {
            let why = "it alone is new inside what this stack has made";
            Verdict::Made { id: one.id.clone(), why }
        }
        several => {
            let ids: Vec<&str> = several.iter().map(|it| it.id.as_str()).collect();
            Verdict::Doubt(format!("it may be any of: {}", ids.join(", ")))
        }
    }
}

/// Which creates were found carried out, with the id and why it is taken for ours: to be shown before anything is applied.
pub fn recovered(state: &State, kinds: &Catalog, settled: &[Entry]) -> BTreeMap<Address, String> {
    let made = settled.iter().filter_map(|it| match it {
        Entry::Ended { address, outcome: Outcome::Recorded(record), .. } => {
            Some((address, &**record))
        }
        _ => None,
    });
    let told = |(address, record): (&Address, &Record)| {
        let begun = state.begun.get(address).filter(|it| it.call == "create")?;
        let kind = kinds.get(&record.kind)?;
        let why = if kind.mark.is_some() {
            "its create began and its reply was lost, and it carries this address's tag or came alone since"
        } else if kind.contains_in.is_some() {
            "its create began and its reply was lost, and it alone came since into what contains it"
        } else {
            "its create began and its reply was lost, and it alone came since"
        };
        (begun.kind == record.kind).then(|| {
            (
                address.clone(),
                format!("adopt (recovered): {} is taken for ours, since {why}", record.id),
            )
        })
    };
    made.filter_map(told).collect()
}

/// The record of an object that was made by a step whose reply was never seen.
pub fn adopted(begun: &Begun, id: String) -> Record {
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
    use super::{Verdict, judge};
    use crate::engine::address::Address;
    use crate::engine::observed::Alike;
    use crate::engine::state::journal::Begun;
    use crate::engine::state::record::State;
    use crate::engine::value::{Attributes, LineageKey};

    fn begun(alike: &[&str]) -> Begun {
        Begun {
            step: 0,
            address: Address::one("web"),
            kind: "linode.instance".into(),
            call: "create".into(),
            attributes: Attributes::new(),
            needs: Vec::new(),
            alike: alike.iter().map(ToString::to_string).collect(),
            mark: Some("lb:shop:abc".into()),
            at: 1_000_000,
        }
    }

    fn seen(id: &str, created: Option<i64>, mark: Option<&str>) -> Alike {
        Alike { id: id.into(), created, mark: mark.map(Into::into) }
    }

    /// Found, whatever shows that it is ours.
    fn made(id: &str) -> Verdict {
        Verdict::Made { id: id.into(), why: "" }
    }

    fn check(begun: &Begun, alike: Vec<Alike>, expected: Verdict) {
        check_kind("linode.instance", begun, alike, expected);
    }

    fn check_kind(kind: &str, begun: &Begun, alike: Vec<Alike>, expected: Verdict) {
        let state = State::new("shop", None, "sandbox", "l", LineageKey(vec![1]));
        let catalog = crate::kinds::builtin();
        let kind = catalog.get(kind).unwrap();
        let found = match judge(kind, begun, &state, alike) {
            Verdict::Made { id, .. } => made(&id),
            other => other,
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn without_a_time_only_what_lies_inside_an_object_of_ours_is_adopted() {
        let one = || vec![seen("7", None, None)];
        check(&begun(&[]), one(), Verdict::Doubt("it may be any of: 7".into()));
        let inside = "linode.nodebalancer_config";
        check_kind(inside, &begun(&[]), one(), made("7"));
        check_kind(inside, &begun(&["7"]), one(), Verdict::NotMade);
    }

    #[test]
    fn the_owner_mark_settles_it() {
        let ours = seen("7", None, Some("lb:shop:abc"));
        let other = seen("8", Some(1_200_000), None);
        check(&begun(&[]), vec![ours, other], made("7"));
    }

    #[test]
    fn what_came_long_after_the_create_is_a_strangers() {
        let late = 1_000_000 + 20 * 60_000;
        check(&begun(&[]), vec![seen("7", Some(late), None)], Verdict::NotMade);
        let record = "linode.domain_record";
        let ours = || seen("8", Some(1_001_000), None);
        check_kind(record, &begun(&[]), vec![ours()], made("8"));
        let two = vec![ours(), seen("9", Some(1_001_000), None)];
        check_kind(record, &begun(&[]), two, Verdict::Doubt("it may be any of: 8, 9".into()));
    }

    #[test]
    fn strangers_are_never_adopted() {
        check(&begun(&["7"]), vec![seen("7", Some(1_200_000), None)], Verdict::NotMade);
        check(&begun(&[]), vec![seen("7", Some(1), None)], Verdict::NotMade);
        check(&begun(&[]), vec![seen("7", Some(1_200_000), Some("lb:other:x"))], Verdict::NotMade);
    }

    #[test]
    fn one_fresh_candidate_is_adopted_and_two_are_in_doubt() {
        check(&begun(&[]), vec![seen("7", Some(1_200_000), None)], made("7"));
        let two = vec![seen("7", Some(1_200_000), None), seen("8", Some(1_200_000), None)];
        check(&begun(&[]), two, Verdict::Doubt("it may be any of: 7, 8".into()));
    }
}

//! Finds out what became of steps that began and of which no end is recorded.

use crate::engine::address::Address;
use crate::engine::fault_domain::Domains;
use crate::engine::observed::Alike;
use crate::engine::plan::change::Loss;
use crate::engine::plan::traffic::cut_off;
use crate::engine::schema::Kind;
use crate::engine::state::journal::{Begun, Entry, Outcome};
use crate::engine::state::record::{Deposed, Record, State};
use crate::ops::session::Session;

/// Clocks of clouds and of this machine may differ by this much.
const SKEW_MILLISECONDS: i64 = 5_000;

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
    match session.provider.alike(kind, &begun.attributes).await {
        Err(why) => Outcome::InDoubt { why: why.to_string() },
        Ok(alike) => match judge(kind, begun, state, alike) {
            Verdict::Made(id) => {
                let mut record = adopted(begun, id);
                record.attributes.retain(|name, _| kind.join_as() != Some(name));
                // Made beside what it was to replace: that one is still there, and still to be deleted.
                if let Some(old) = state.records.get(&begun.address).filter(|it| it.id != record.id)
                {
                    let (id, attributes) = (old.id.clone(), old.attributes.clone());
                    record.deposed = Some(Deposed { id, attributes });
                    record.protected = old.protected;
                }
                Outcome::Recorded(Box::new(record))
            }
            Verdict::NotMade => Outcome::Failed { why: "it was not made".into() },
            Verdict::Doubt(why) => Outcome::InDoubt { why },
        },
    }
}

/// What became of a create.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    Made(String),
    NotMade,
    Doubt(String),
}

/// Law 3: look-alikes now, less those seen before, less every id recorded.
///
/// What lies inside an object of ours, and was not there when the step began, nobody else has made, even where the cloud
/// does not tell when it was.
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
        return Verdict::Made(ours.id.clone());
    }
    let since = begun.at - SKEW_MILLISECONDS;
    let fresh: Vec<&Alike> = candidates
        .iter()
        .filter(|it| it.mark.is_none() && it.created.is_none_or(|created| created >= since))
        .collect();
    match fresh.as_slice() {
        [] => Verdict::NotMade,
        [one] if one.created.is_some() || kind.contains_in.is_some() => {
            Verdict::Made(one.id.clone())
        }
        several => {
            let ids: Vec<&str> = several.iter().map(|it| it.id.as_str()).collect();
            Verdict::Doubt(format!("it may be any of: {}", ids.join(", ")))
        }
    }
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
        since: begun.at,
        deposed: None,
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

    fn check(begun: &Begun, alike: Vec<Alike>, expected: Verdict) {
        check_kind("linode.instance", begun, alike, expected);
    }

    fn check_kind(kind: &str, begun: &Begun, alike: Vec<Alike>, expected: Verdict) {
        let state = State::new("shop", None, "sandbox", "l", LineageKey(vec![1]));
        let catalog = crate::kinds::builtin();
        let kind = catalog.get(kind).unwrap();
        assert_eq!(judge(kind, begun, &state, alike), expected);
    }

    #[test]
    fn without_a_time_only_what_lies_inside_an_object_of_ours_is_adopted() {
        let one = || vec![seen("7", None, None)];
        check(&begun(&[]), one(), Verdict::Doubt("it may be any of: 7".into()));
        let inside = "linode.nodebalancer_config";
        check_kind(inside, &begun(&[]), one(), Verdict::Made("7".into()));
        check_kind(inside, &begun(&["7"]), one(), Verdict::NotMade);
    }

    #[test]
    fn the_owner_mark_settles_it() {
        let ours = seen("7", None, Some("lb:shop:abc"));
        let other = seen("8", Some(2_000_000), None);
        check(&begun(&[]), vec![ours, other], Verdict::Made("7".into()));
    }

    #[test]
    fn strangers_are_never_adopted() {
        check(&begun(&["7"]), vec![seen("7", Some(2_000_000), None)], Verdict::NotMade);
        check(&begun(&[]), vec![seen("7", Some(1), None)], Verdict::NotMade);
        check(&begun(&[]), vec![seen("7", Some(2_000_000), Some("lb:other:x"))], Verdict::NotMade);
    }

    #[test]
    fn one_fresh_candidate_is_adopted_and_two_are_in_doubt() {
        check(&begun(&[]), vec![seen("7", Some(2_000_000), None)], Verdict::Made("7".into()));
        let two = vec![seen("7", Some(2_000_000), None), seen("8", Some(2_000_000), None)];
        check(&begun(&[]), two, Verdict::Doubt("it may be any of: 7, 8".into()));
    }
}

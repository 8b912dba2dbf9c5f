//! The end of a loss: whether a fault domain answers again, and the entry that says so.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tracing::Instrument as _;

use crate::cloud::provider::ReadResult;
use crate::engine::fault_domain::FaultDomains;
use crate::engine::observed::{UnknownReason, Unreadable};
use crate::engine::schema::FaultDomain;
use crate::engine::state::journal::{JournalEntry, fold};
use crate::engine::state::record::State;
use crate::engine::text::diagnostic::nearest;
use crate::ops::error::OpsError;
use crate::ops::load::session::Session;
use crate::store::lease::Lease;

/// How long a fault domain may take to answer one call, on the wall's clock. A guess: longer than a first contact, since the
/// answer decides whether a domain counts as recovered, and short enough that people wait for it.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// What became of the question whether a fault domain is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DomainAnswer {
    Answers,
    /// Nothing that counts came, and why.
    Not(Unreadable),
    /// Nothing recorded can be asked for there by name.
    NotAsked,
}

/// Those of the fault domains that do not answer a call that names one of their objects, and why.
pub async fn silent(
    session: &Session,
    state: &State,
    domains: &[String],
) -> Vec<(String, Unreadable)> {
    let asked = ask(session, state, domains, PATIENCE).await;
    let silent = asked.into_iter().filter_map(|(domain, answer)| match answer {
        DomainAnswer::Not(why) => Some((domain, why)),
        DomainAnswer::Answers | DomainAnswer::NotAsked => None,
    });
    silent.collect()
}

/// Asks each of these fault domains once for one of its objects, all at once; none of it takes longer than `within`, on the wall's
/// clock.
pub async fn ask(
    session: &Session,
    state: &State,
    domains: &[String],
    within: Duration,
) -> Vec<(String, DomainAnswer)> {
    let mut answers: Vec<(String, DomainAnswer)> =
        domains.iter().map(|it| (it.clone(), DomainAnswer::NotAsked)).collect();
    let placed = FaultDomains::new(&session.catalog, Some(state));
    // All at once: each silence takes as long as patience lasts.
    let mut asked = JoinSet::new();
    for (at, domain) in domains.iter().enumerate() {
        // What is in a region by its own attribute is asked for by name, so that lists do not answer for it.
        let own = state.records.iter().find_map(|(address, record)| {
            let kind = session.catalog.get(&record.kind)?;
            let is_own = !matches!(kind.fault_domain, FaultDomain::Of(_));
            (is_own && placed.of_record(address) == Some(domain)).then_some((kind, record))
        });
        let Some((kind, record)) = own else { continue };
        let (provider, kind, record) =
            (Arc::clone(&session.provider), kind.clone(), record.clone());
        let asking = async move {
            let look = provider.look(&kind, &record.id, &record.attributes);
            let answer = match tokio::time::timeout(within, look).await {
                Ok(Ok(ReadResult::Exists { .. } | ReadResult::Absent)) => DomainAnswer::Answers,
                Ok(Err(why)) => DomainAnswer::Not(why.unseen()),
                Err(_) => {
                    let seconds = within.as_secs();
                    let why = format!("reading a {} in it timed out after {seconds} s", kind.kind);
                    DomainAnswer::Not(Unreadable::new(UnknownReason::Unreachable, why))
                }
            };
            (at, answer)
        };
        asked.spawn(asking.in_current_span());
    }
    while let Some(Ok((at, answer))) = asked.join_next().await {
        answers[at].1 = answer;
    }
    answers
}

/// It answered, and not what it should: nobody can say that it is well, nor that it is not.
pub fn no(domain: &str, unseen: &Unreadable, otherwise: &str) -> OpsError {
    OpsError::input(
        format!("the health of {domain} could not be checked: {}", unseen.why),
        format!("it is reachable, so fix that and run the same command again; {otherwise}"),
    )
}

/// Journals that a lost fault domain is found, if it answers.
pub async fn found(
    session: &Session,
    lease: &mut Lease,
    state: &mut State,
    domain: &str,
) -> Result<(), OpsError> {
    let lost: Vec<&str> = state.lost.iter().map(|it| it.fault_domain.as_str()).collect();
    if !lost.contains(&domain) {
        let help = match nearest(domain, lost.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if lost.is_empty() => "no fault domain is lost".to_owned(),
            None => format!("lost fault domains: {}", lost.join(", ")),
        };
        return Err(OpsError::input(format!("the state does not record `{domain}` as lost"), help));
    }
    let asked = [domain.to_owned()];
    if let Some((_, unseen)) = silent(session, state, &asked).await.first() {
        if unseen.reason.is_no() {
            return Err(no(domain, unseen, "it remains marked as lost until then"));
        }
        return Err(OpsError::refused(
            format!("{domain} is still unreachable: {}", unseen.why),
            "it remains marked as lost; retry once it is reachable",
        ));
    }
    let fault_domain = domain.to_owned();
    let found =
        JournalEntry::Recovered { fault_domain, at: session.clock.now(), who: session.who.clone() };
    lease.append(std::slice::from_ref(&found))?;
    fold(state, &found);
    Ok(())
}

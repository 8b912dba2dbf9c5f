//! Which fault domains answer now: what state cannot say.

use crate::engine::fault_domain::FaultDomains;
use crate::engine::observed::{UnknownReason, Unreadable};
use crate::engine::recovery::ways_out::{FirstMove, ways_out};
use crate::ops::error::OpsError;
use crate::ops::load::session::Session;
use crate::ops::load::stack_ref::StackRef;
use crate::ops::outage::{HeardDomains, facts};
use crate::ops::recovered::{DomainAnswer, PATIENCE, ask};
use crate::render::status::{Health, OnlineAnswer};

/// Every fault domain that something recorded is in, with what it answers within the time that a recovery gives it as well: what shares
/// a group with a silent region answers late. What is declared lost is asked as well: it may be back. `None`: nothing was applied yet. Takes no lease and changes nothing.
pub async fn answers(
    session: &Session,
    place: &StackRef,
) -> Result<Option<Vec<(String, OnlineAnswer)>>, OpsError> {
    let Some(state) = session.store(place).load()? else { return Ok(None) };
    let lost: Vec<String> = state.lost.iter().map(|it| it.fault_domain.clone()).collect();
    let known = FaultDomains::new(&session.catalog, Some(&state));
    let (frozen, living): (Vec<String>, Vec<String>) =
        known.names().into_iter().map(str::to_owned).partition(|it| lost.contains(it));
    // What is lost is asked first: afterwards its silence is no longer to hold up who shares a group with it.
    let mut answers = ask(session, &state, &frozen, PATIENCE).await;
    session.provider.lose(&lost);
    answers.extend(ask(session, &state, &living, PATIENCE).await);
    let told = answers.into_iter().map(|(domain, answer)| {
        let (health, why) = match answer {
            DomainAnswer::Answers => (Health::Answers, None),
            DomainAnswer::NotAsked => {
                let why = "nothing recorded there can be asked for by name";
                (Health::NotAsked, Some(why.into()))
            }
            DomainAnswer::Not(it) => {
                let health = if it.reason.is_no() { Health::Denied } else { Health::Silent };
                (health, Some(it.why))
            }
        };
        let is_lost = lost.contains(&domain);
        (domain, OnlineAnswer { health, why, is_lost })
    });
    let mut all: Vec<(String, OnlineAnswer)> = told.collect();
    all.sort_by(|one, other| one.0.cmp(&other.0));
    Ok(Some(all))
}

/// What to type first after these answers, decided as `failover` without a target decides it.
pub fn first_move(
    session: &Session,
    place: &StackRef,
    answers: &[(String, OnlineAnswer)],
) -> Result<FirstMove, OpsError> {
    let Some(state) = session.store(place).load()? else { return Ok(FirstMove::Apply) };
    let mut heard = HeardDomains::default();
    for (domain, it) in answers.iter().filter(|(_, it)| !it.is_lost) {
        let unread =
            |reason| (domain.clone(), Unreadable::new(reason, it.why.clone().unwrap_or_default()));
        match it.health {
            Health::Answers => heard.answers.push(domain.clone()),
            Health::Silent => heard.silent.push(unread(UnknownReason::Unreachable)),
            Health::Denied => heard.unknown.push(unread(UnknownReason::Denied)),
            Health::NotAsked => {}
        }
    }
    Ok(ways_out(&facts(session, place, &state, heard)).first)
}

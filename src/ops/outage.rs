//! Asks what somebody in an outage has to know: what is silent, whether a switch goes on, and which overlays there are.

use std::collections::BTreeSet;

use crate::engine::fault_domain::FaultDomains;
use crate::engine::plan::model::options::RecoveryOverlay;
use crate::engine::recovery::user_routes::{leads_users, moves_users};
use crate::engine::recovery::users_moved::UsersAre;
use crate::engine::recovery::ways_out::{AppliedFacts, OutageFacts};
use crate::engine::state::record::State;
use crate::ops::error::OpsError;
use crate::ops::load::layers::{layers, recovery_overlays};
use crate::ops::load::session::Session;
use crate::ops::load::stack_ref::StackRef;
use crate::ops::recovered::{DomainAnswer, PATIENCE, ask};

/// Reads one resource in each fault domain that is not declared lost; takes no lease and changes nothing.
pub async fn outage(session: &Session, place: &StackRef) -> Result<OutageFacts, OpsError> {
    let mut ways = recovery_overlays(place);
    ways.sort_by_key(|it| it.assumes_lost.is_empty());
    let Some(state) = session.store(place).load()? else {
        return Ok(OutageFacts { ways, ..OutageFacts::default() });
    };
    let lost: Vec<String> = state.lost.iter().map(|it| it.fault_domain.clone()).collect();
    let domains = FaultDomains::new(&session.catalog, Some(&state));
    let names = domains.names();
    let asked = names.into_iter().filter(|it| lost.iter().all(|lost| lost != it));
    let asked: Vec<String> = asked.map(str::to_owned).collect();
    let (mut silent, mut unknown, mut answers) = (Vec::new(), Vec::new(), Vec::new());
    for (domain, answer) in ask(session, &state, &asked, PATIENCE).await {
        match answer {
            DomainAnswer::Answers => answers.push(domain),
            DomainAnswer::Not(why) if why.reason.is_no() => unknown.push((domain, why)),
            DomainAnswer::Not(why) => silent.push((domain, why)),
            DomainAnswer::NotAsked => {}
        }
    }
    let leads = state.records.keys().filter(|it| {
        leads_users(&session.catalog, &state, it).is_some_and(|target| !target.is_empty())
    });
    let names = leads.filter_map(|it| Some((it.clone(), domains.of_record(it)?.to_owned())));
    let names = names.collect();
    let unmoving = unmoving(session, place, &state, &ways);
    let users = UsersAre::of(&state);
    let applied = AppliedFacts { home: state.home, active: state.active, users, lost, names };
    Ok(OutageFacts { ways, unmoving, applied: Some(applied), silent, unknown, answers })
}

/// Overlays that shift no traffic when they are laid over home. One with mistakes is told when it is planned.
fn unmoving(
    session: &Session,
    place: &StackRef,
    state: &State,
    ways: &[RecoveryOverlay],
) -> BTreeSet<String> {
    let stack = |overlays: &[String]| {
        let remembered = state.remembered(overlays);
        layers(place, overlays, &[], remembered, &session.catalog).ok()?.stack
    };
    let Some(home) = stack(&state.home) else { return BTreeSet::new() };
    let stays = |it: &&RecoveryOverlay| {
        let there = stack(&[state.home.clone(), vec![it.overlay.clone()]].concat());
        there.is_some_and(|it| !moves_users(&session.catalog, &home, &it))
    };
    ways.iter().filter(stays).map(|it| it.overlay.clone()).collect()
}

//! Asks what somebody in an outage has to know: what is silent, whether a switch goes on, and which overlays there are.

use std::collections::BTreeSet;

use crate::engine::fault_domain::FaultDomains;
use crate::engine::observed::Unreadable;
use crate::engine::plan::model::options::RecoveryOverlay;
use crate::engine::recovery::user_routes;
use crate::engine::recovery::user_routes::{leads_users, moves_users};
use crate::engine::recovery::users_moved::UsersAre;
use crate::engine::recovery::ways_out::{AppliedFacts, OutageFacts};
use crate::engine::state::record::State;
use crate::ops::error::OpsError;
use crate::ops::load::layers::{layers, recovery_overlays};
use crate::ops::load::session::Session;
use crate::ops::load::stack_ref::StackRef;
use crate::ops::recovered::{DomainAnswer, PATIENCE, ask};

/// What the fault domains answered that are not declared lost.
#[derive(Default)]
pub struct HeardDomains {
    pub silent: Vec<(String, Unreadable)>,
    pub unknown: Vec<(String, Unreadable)>,
    pub answers: Vec<String>,
}

impl HeardDomains {
    fn take(&mut self, domain: String, answer: DomainAnswer) {
        match answer {
            DomainAnswer::Answers => self.answers.push(domain),
            DomainAnswer::Not(why) if why.reason.is_no() => self.unknown.push((domain, why)),
            DomainAnswer::Not(why) => self.silent.push((domain, why)),
            DomainAnswer::NotAsked => {}
        }
    }
}

/// Reads one resource in each fault domain that is not declared lost; takes no lease and changes nothing.
pub async fn outage(session: &Session, place: &StackRef) -> Result<OutageFacts, OpsError> {
    let Some(state) = session.store(place).load()? else {
        return Ok(OutageFacts { ways: ways(place), ..OutageFacts::default() });
    };
    let lost: Vec<&str> = state.lost.iter().map(|it| it.fault_domain.as_str()).collect();
    let domains = FaultDomains::new(&session.catalog, Some(&state));
    let asked = domains.names().into_iter().filter(|it| !lost.contains(it));
    let asked: Vec<String> = asked.map(str::to_owned).collect();
    let mut heard = HeardDomains::default();
    for (domain, answer) in ask(session, &state, &asked, PATIENCE).await {
        heard.take(domain, answer);
    }
    Ok(facts(session, place, &state, heard))
}

/// The overlays, those that assume a loss first.
fn ways(place: &StackRef) -> Vec<RecoveryOverlay> {
    let mut ways = recovery_overlays(place);
    ways.sort_by_key(|it| it.assumes_lost.is_empty());
    ways
}

/// What is known of an applied stack whose fault domains were heard.
pub fn facts(
    session: &Session,
    place: &StackRef,
    state: &State,
    heard: HeardDomains,
) -> OutageFacts {
    let ways = ways(place);
    let domains = FaultDomains::new(&session.catalog, Some(state));
    let leads = state.records.keys().filter(|it| {
        leads_users(&session.catalog, state, it).is_some_and(|target| !target.is_empty())
    });
    let names = leads.filter_map(|it| Some((it.clone(), domains.of_record(it)?.to_owned())));
    let routes = user_routes::ways(&session.catalog, state, None);
    let applied = AppliedFacts {
        home: state.home.clone(),
        active: state.active.clone(),
        users: UsersAre::of(state),
        from: state.unfinished_switch().map(|it| it.from.clone()).unwrap_or_default(),
        users_in: routes.into_iter().filter_map(|it| it.fault_domain).collect(),
        lost: state.lost.iter().map(|it| it.fault_domain.clone()).collect(),
        names: names.collect(),
    };
    let unmoving = unmoving(session, place, state, &ways);
    let HeardDomains { silent, unknown, answers } = heard;
    OutageFacts { ways, unmoving, applied: Some(applied), silent, unknown, answers }
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

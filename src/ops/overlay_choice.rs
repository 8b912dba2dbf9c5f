//! Which overlays could be switched to, and which of them fits what is silent now.

use std::collections::BTreeSet;

use crate::engine::fault_domain::FaultDomains;
use crate::engine::observed::Unreadable;
use crate::engine::plan::model::options::{RecoveryOverlay, fitting};
use crate::engine::recovery::user_routes::moves_users;
use crate::engine::state::record::State;
use crate::ops::error::OpsError;
use crate::ops::load::layers::{layers, recovery_overlays};
use crate::ops::load::session::Session;
use crate::ops::load::stack_ref::StackRef;
use crate::ops::recovered;

/// The overlays of a stack beside what its fault domains say at the moment.
#[derive(Debug, Default)]
pub struct OverlayChoice {
    /// Those that assume a loss first.
    pub ways: Vec<RecoveryOverlay>,
    /// The one of them that is made for exactly what is lost or silent, or the only one that covers it.
    pub fits: Option<String>,
    /// Those of them that move no users: with home itself there is nothing to shift.
    pub unmoving: BTreeSet<String>,
    /// The overlays in force.
    pub active: Vec<String>,
    /// Declared lost already.
    pub lost: Vec<String>,
    /// Fault domains that do not answer, and why.
    pub silent: Vec<(String, Unreadable)>,
    /// Fault domains whose health could not be asked: they answered, and not what they should.
    pub unknown: Vec<(String, Unreadable)>,
    /// Fault domains that answer.
    pub answers: Vec<String>,
}

/// Reads one resource in each fault domain that is not declared lost; takes no lease and changes nothing.
pub async fn choice(session: &Session, place: &StackRef) -> Result<OverlayChoice, OpsError> {
    let mut ways = recovery_overlays(place);
    ways.sort_by_key(|it| it.assumes_lost.is_empty());
    let Some(state) = session.store(place).load()? else {
        return Ok(OverlayChoice { ways, ..OverlayChoice::default() });
    };
    let lost: Vec<String> = state.lost.iter().map(|it| it.fault_domain.clone()).collect();
    let known = FaultDomains::new(&session.catalog, Some(&state));
    let asked: Vec<String> = known
        .names()
        .into_iter()
        .filter(|it| !it.ends_with(":global") && lost.iter().all(|lost| lost != it))
        .map(str::to_owned)
        .collect();
    let unread = recovered::silent(session, &state, &asked).await;
    let answers =
        asked.into_iter().filter(|it| unread.iter().all(|(name, _)| name != it)).collect();
    let (unknown, silent): (Vec<_>, Vec<_>) =
        unread.into_iter().partition(|(_, why)| why.reason.is_no());
    let gone: BTreeSet<&str> =
        lost.iter().chain(silent.iter().map(|(it, _)| it)).map(String::as_str).collect();
    // Where one is already nobody has to go.
    let others = || ways.iter().filter(|it| !state.active.contains(&it.overlay));
    let fits = (!silent.is_empty()).then(|| fitting(others(), &gone)).flatten();
    let fits = fits.map(|it| it.overlay.clone());
    let unmoving = unmoving(session, place, &state, &ways);
    let active = state.active;
    Ok(OverlayChoice { ways, fits, unmoving, active, lost, silent, unknown, answers })
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

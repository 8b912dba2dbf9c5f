//! What is asked of the clouds about a plan that is made: whether they take what it sends, and what would go along uninvited.

use std::collections::BTreeMap;

use crate::engine::address::Address;
use crate::engine::lang::model::Stack;
use crate::engine::observed::Observation;
use crate::engine::plan::checks::collateral::{collections, lists, uninvited};
use crate::engine::plan::checks::grants;
use crate::engine::plan::checks::offers::{refused, sources};
use crate::engine::plan::checks::outdated_state::OutdatedCheck;
use crate::engine::plan::checks::outdated_switch;
use crate::engine::plan::checks::unrecorded::Unknown;
use crate::engine::plan::model::change::{Change, Plan};
use crate::engine::plan::model::options::{Allowances, Intent};
use crate::engine::state::record::State;
use crate::engine::text::diagnostic::{Diagnostic, stops};
use crate::ops::error::OpsError;
use crate::ops::load::session::Session;
use crate::ops::load::stack_ref::StackRef;
use crate::ops::plan::refresh;
use crate::ops::plan::unknown_objects::declared_by;

/// A plan, and what it was made from.
#[derive(Clone, Copy)]
pub struct MadePlan<'a> {
    pub plan: &'a Plan,
    pub stack: &'a Stack,
    pub state: Option<&'a State>,
    pub observed: &'a BTreeMap<Address, Observation>,
}

/// What the clouds do not offer, and what the user of the token may not do, is refused before the first call, with its line;
/// what could not be looked up is told.
pub async fn by_clouds(session: &Session, made: MadePlan<'_>) -> Result<Vec<Diagnostic>, OpsError> {
    let MadePlan { plan, stack, .. } = made;
    let sources = sources(plan, &session.catalog);
    let read = refresh::offers(session, sources).await;
    let mut found = refused(plan, stack, &session.catalog, &read);
    found.extend(by_grants(session, made).await);
    if stops(&found) {
        let sources = stack.sources.clone();
        return Err(OpsError::Mistakes { diagnostics: found, sources });
    }
    Ok(found)
}

async fn by_grants(session: &Session, made: MadePlan<'_>) -> Vec<Diagnostic> {
    let MadePlan { plan, stack, state, .. } = made;
    if !grants::is_asked(plan, &session.catalog) {
        return Vec::new();
    }
    match refresh::restricted(session).await {
        Ok(None) => Vec::new(),
        Ok(Some(user)) => grants::refused(plan, stack, state, &session.catalog, &user),
        Err(why) => vec![grants::unread(&why)],
    }
}

/// What would go along with what goes, and is not of this stack, is named and needs a word.
pub async fn by_company(
    session: &Session,
    made: MadePlan<'_>,
    word: (Intent, &Allowances),
) -> Vec<Diagnostic> {
    let MadePlan { plan, stack, observed, .. } = made;
    let Some(state) = made.state else { return Vec::new() };
    let catalog = &session.catalog;
    let collections = collections(plan, state, catalog);
    let lists = lists(plan, state, catalog);
    let found = refresh::uninvited(session, collections, lists).await;
    uninvited(plan, stack, state, catalog, observed, &found, word)
}

/// A switch that nobody asked for again goes on only while what it had made is there.
pub fn by_what_was_made(place: &StackRef, made: MadePlan<'_>) -> Option<Diagnostic> {
    outdated_switch::outdated(made.plan, made.state?, made.observed, &place.name())
}

/// Tagged objects that the state does not know are named; and what a destroy leaves of them.
pub fn by_tags(
    session: &Session,
    place: &StackRef,
    made: MadePlan<'_>,
    (intent, allowed): (Intent, &Allowances),
    unknown: &[Unknown],
) -> (Option<Diagnostic>, Vec<Change>) {
    let Some(state) = made.state.filter(|_| !unknown.is_empty()) else { return (None, Vec::new()) };
    let is_switch = made.plan.switch.is_some() || state.unfinished_switch().is_some();
    let ways = declared_by(session, place, state);
    let (plan, catalog, name) = (made.plan, &*session.catalog, &place.name());
    let judged = OutdatedCheck { plan, catalog, name, intent, allowed, is_switch, ways: &ways };
    (judged.told(unknown), judged.left(unknown))
}

//! Finds what this state has made and does not know: after its journal was lost, or where an older one was put back.

use std::collections::BTreeMap;

use crate::cloud::provider::ReadResult;
use crate::engine::address::Address;
use crate::engine::lang::model::Stack;
use crate::engine::observed::{Neighbor, Observation};
use crate::engine::ownership_tag::is_of;
use crate::engine::plan::checks::unrecorded::{Adopted, Looked, Unknown, unknown};
use crate::engine::plan::draft::refresh::ReadRequest;
use crate::engine::plan::model::options::RecoveryOverlay;
use crate::engine::state::record::State;
use crate::ops::load::layers;
use crate::ops::load::session::Session;
use crate::ops::load::stack_ref::StackRef;
use crate::ops::plan::refresh::Refreshed;

/// Tagged by this state, not known to it, and there: lists may still show what was deleted a moment ago.
pub async fn find(
    session: &Session,
    place: &StackRef,
    (state, stack): (&State, &Stack),
    beside: &[Neighbor],
) -> Vec<Unknown> {
    let declared = stack.instances.keys();
    let mut found = unknown(state, declared, beside);
    let is_own = |it: &&Neighbor| it.mark.as_ref().is_some_and(|it| is_of(it, &state.stack));
    let tagged = beside.iter().filter(is_own).count();
    if found.len() < tagged {
        // It may be of an address that only another overlay declares.
        let ways = declared_by(session, place, state);
        let all = ways.iter().flat_map(|(_, it)| it).chain(stack.instances.keys());
        found = unknown(state, all, beside);
    }
    let mut there = Vec::new();
    for it in unforgotten(session, place, state, found) {
        let Some(kind) = session.catalog.get(&it.kind) else { continue };
        let look = session.provider.look(kind, &it.id, &it.attributes).await;
        if !matches!(look, Ok(ReadResult::Absent)) {
            there.push(it);
        }
    }
    there
}

/// What no kept snapshot has: the rest was recorded once, and is gone from the state because somebody wanted that. Of a state that
/// was put back, it is gone because of that.
fn unforgotten(
    session: &Session,
    place: &StackRef,
    state: &State,
    found: Vec<Unknown>,
) -> Vec<Unknown> {
    if state.is_restored {
        return found;
    }
    let store = session.store(place);
    let was_recorded = |it: &Unknown| {
        let before = store.forgotten(state, &it.address).ok().flatten();
        before.is_some_and(|before| before.id == it.id)
    };
    found.into_iter().filter(|it| !was_recorded(it)).collect()
}

/// What each overlay of the stack, laid over home, declares; one with mistakes is left out.
pub fn declared_by(
    session: &Session,
    place: &StackRef,
    state: &State,
) -> Vec<(RecoveryOverlay, Vec<Address>)> {
    let laid = |way: RecoveryOverlay| {
        let overlays = [state.home.clone(), vec![way.overlay.clone()]].concat();
        let desired =
            layers::desired(place, &overlays, &[], state.remembered(&overlays), &session.catalog)
                .ok()?;
        Some((way, desired.stack.instances.into_keys().collect()))
    };
    layers::recovery_overlays(place).into_iter().filter_map(laid).collect()
}

/// What is to be made, is there, and is this state's own.
pub async fn adopted(
    session: &Session,
    place: &StackRef,
    (state, stack): (&State, &Stack),
    inquiries: &[ReadRequest<'_>],
    seen: &Refreshed,
    found: &[Unknown],
) -> Vec<Adopted> {
    let mut unknown = found.to_vec();
    let unlisted = unlisted(session, state, inquiries, seen).await;
    unknown.extend(unforgotten(session, place, state, unlisted));
    let is_older = state.is_restored || !unknown.is_empty();
    let looked = Looked {
        catalog: &session.catalog,
        state,
        stack,
        observed: &seen.objects,
        unknown: &unknown,
        is_older,
        now: session.clock.now(),
    };
    looked.adopted(inquiries)
}

/// The same of kinds whose lists tell no tags: each that stands in the place of what would be made is asked for its own.
async fn unlisted(
    session: &Session,
    state: &State,
    inquiries: &[ReadRequest<'_>],
    seen: &Refreshed,
) -> Vec<Unknown> {
    let mut beside = Vec::new();
    for it in inquiries.iter().filter(|it| it.id.is_none()) {
        let is_there = matches!(seen.objects.get(&it.address), Some(Observation::Exists { .. }));
        let kind = session.catalog.get(&it.kind);
        let Some(kind) = kind.filter(|it| is_there && it.mark.is_some() && it.rest.is_none())
        else {
            continue;
        };
        let alike = session.provider.alike(kind, &it.attributes).await.unwrap_or_default();
        beside.extend(alike.into_iter().map(|alike| Neighbor {
            kind: it.kind.clone(),
            id: alike.id,
            attributes: it.attributes.clone().into_owned(),
            mark: alike.mark,
        }));
    }
    unknown(state, inquiries.iter().map(|it| &it.address), &beside)
}

/// Looks at what can be asked for only now, since what it is inside of is known.
pub async fn look_on(session: &Session, inquiries: Vec<ReadRequest<'_>>, seen: &mut Refreshed) {
    let is_new = |it: &ReadRequest<'_>| !seen.objects.contains_key(&it.address);
    let new: Vec<ReadRequest<'_>> = inquiries.into_iter().filter(is_new).collect();
    if new.is_empty() {
        return;
    }
    let more = crate::ops::plan::refresh::observe(session, &new).await;
    let objects: BTreeMap<Address, Observation> = more.objects;
    seen.objects.extend(objects);
    seen.beside.extend(more.beside);
}

//! A stack without state that exists all the same: its ownership tags are visible in the clouds.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::address::Address;
use crate::engine::observed::Observation;
use crate::engine::ownership_tag::is_of;
use crate::engine::plan::draft::refresh::ReadRequest;
use crate::engine::text::advice::AdvisedCommand;
use crate::ops::error::OpsError;
use crate::ops::load::session::Session;
use crate::ops::load::stack_ref::StackRef;

/// How many resources a message names before it only counts the rest: more would not fit on a line.
const NAMED_MAX: usize = 5;

/// Refuses where something that carries this stack's tag stands in the place of what would be made.
pub async fn check(
    session: &Session,
    place: &StackRef,
    inquiries: &[ReadRequest<'_>],
    observed: &BTreeMap<Address, Observation>,
) -> Result<(), OpsError> {
    let exists = |it: &&ReadRequest<'_>| {
        it.id.is_none() && matches!(observed.get(&it.address), Some(Observation::Exists { .. }))
    };
    let found: Vec<&ReadRequest<'_>> = inquiries.iter().filter(exists).collect();
    if found.is_empty() {
        return Ok(());
    }
    let elsewhere = recorded_elsewhere(session, place);
    let mut ours = Vec::new();
    for it in found {
        let Some(kind) = session.catalog.get(&it.kind).filter(|it| it.mark.is_some()) else {
            continue;
        };
        let alike = session.provider.alike(kind, &it.attributes).await.unwrap_or_default();
        let is_ours =
            |mark: &Option<String>| mark.as_ref().is_some_and(|it| is_of(it, &place.stack));
        let tagged = alike.iter().filter(|it| is_ours(&it.mark) && !elsewhere.contains(&it.id));
        ours.extend(tagged.map(|alike| format!("`{}` ({}, {})", it.address, it.kind, alike.id)));
        if ours.len() > NAMED_MAX {
            break;
        }
    }
    if ours.is_empty() {
        return Ok(());
    }
    let more = if ours.len() > NAMED_MAX { ", …" } else { "" };
    ours.truncate(NAMED_MAX);
    let store = session.store(place);
    Err(OpsError::refused(
        format!(
            "this stack exists, but its state is missing: {}{more} carry the ownership tag of {}, but {} contains no state",
            ours.join(", "),
            place.stack,
            store.folder().display()
        ),
        format!(
            "nothing was changed; do not delete or rename these resources. Put the state back, from a backup or from the machine that applied last; if the state is in another store, use the stack file that names it (`state:`); if it is lost, {} records what the clouds show; if they belong to another project that has a stack with this name, rename this stack",
            AdvisedCommand::StateRebuild { stack: &place.name() }
        ),
    ))
}

/// The ids that other instances of the stack have recorded.
pub(super) fn recorded_elsewhere(session: &Session, place: &StackRef) -> BTreeSet<String> {
    let siblings = place.siblings(&session.store(place));
    let states = siblings.iter().filter_map(|it| session.store(it).load().ok()?);
    states.flat_map(|it| it.records.into_values().map(|it| it.id)).collect()
}

//! `state rebuild`: a state that was lost, from what the clouds show.

use crate::cli::args::{LayerArgs, RebuildArgs, StateArgs};
use crate::cli::commands::apply::may;
use crate::cli::context::CommandContext;
use crate::cli::exit::Exit;
use crate::cli::{open, out};
use crate::engine::state::journal::{JournalEntry, replay};
use crate::engine::state::record::State;
use crate::engine::text::advice::AdvisedCommand;
use crate::engine::value::LineageKey;
use crate::ops::error::OpsError;
use crate::ops::load::session::Session;
use crate::ops::load::sides::{PlanRequest, overlays_of};
use crate::ops::load::stack_ref::StackRef;
use crate::ops::plan::rebuild::{Choices, RebuiltState, complete, rebuild};
use crate::render::words::count;
use crate::store::error::StoreError;
use crate::store::restore::Restored;
use crate::store::state_store::StateStore;

pub async fn run(
    context: &CommandContext,
    args: &StateArgs,
    of: &RebuildArgs,
) -> Result<Exit, OpsError> {
    let place = StackRef::find(&args.stack, &context.directory)?;
    let choices = choices(&of.take)?;
    let session = open::session(&place.root, &args.world).await?;
    let store = session.store(&place);
    check_lost(&store, &place)?;
    let (ask, state) = asked(&session, &place, of)?;
    let rebuilt = rebuild(&session, &ask, state, &choices).await?;
    tell(&rebuilt, &place);
    if rebuilt.found.is_empty() {
        return Err(OpsError::input(
            format!(
                "nothing of {} was found in the clouds that is certainly its own",
                place.name()
            ),
            format!(
                "nothing was changed; where nothing exists yet, {} makes it",
                AdvisedCommand::Apply { stack: &place.name() }
            ),
        ));
    }
    if !may("Write this state?", of.yes)? {
        return Ok(Exit::Refused);
    }
    let state = complete(&session, &ask, rebuilt.state).await?;
    let (who, at) = (open::who(), session.clock.now());
    let Restored { state, aside } = store.rebuild(&who, &context.command, at, &state)?;
    for it in aside {
        out::talk(&format!("what was there is kept as {}", it.display()));
    }
    out::talk(&format!(
        "rebuilt the state of {}: serial {}, {}; its history begins anew, and secrets are compared from the next apply on. {} shows what is left to do",
        place.name(),
        state.serial,
        count(state.records.len(), "resource"),
        AdvisedCommand::Plan { stack: &place.name(), overlays: &[], out: None }
    ));
    Ok(Exit::Done)
}

/// What is there is not replaced by what only looks like it.
fn check_lost(store: &StateStore, place: &StackRef) -> Result<(), OpsError> {
    match store.check_lost() {
        Err(StoreError::Occupied { folder, serial, .. }) => Err(OpsError::refused(
            format!("{} contains a state of {}: serial {serial}", folder.display(), place.name()),
            format!(
                "nothing was changed; only a state that is lost is rebuilt. {} shows what is recorded",
                AdvisedCommand::StateList { stack: &place.name() }
            ),
        )),
        checked => Ok(checked?),
    }
}

/// What the layers declare under these overlays, and a state that knows nothing of it.
fn asked(
    session: &Session,
    place: &StackRef,
    of: &RebuildArgs,
) -> Result<(PlanRequest, State), OpsError> {
    let layers = LayerArgs {
        stack: place.name(),
        overlays: of.overlays.clone(),
        variables: Vec::new(),
        variable_files: Vec::new(),
    };
    let home = overlays_of(Some(&of.overlays), None);
    let active: Vec<String> = home.iter().chain(&of.active).cloned().collect();
    let founded = JournalEntry::Founded {
        stack: place.stack.clone(),
        instance: place.instance.clone(),
        target: session.target.word().into(),
        lineage: uuid::Uuid::new_v4().to_string(),
        key: LineageKey(uuid::Uuid::new_v4().as_bytes().to_vec()),
        overlays: home,
    };
    let mut state = replay(None, 1, &founded).expect("it was just founded");
    state.active.clone_from(&active);
    let ask = PlanRequest {
        overlays: Some(active),
        ..PlanRequest::to_apply(place, &open::variables(&layers)?)
    };
    Ok((ask, state))
}

/// `ADDRESS=ID`; an address may hold a `=` in its key, and no ID does.
fn choices(take: &[String]) -> Result<Choices, OpsError> {
    let mut choices = Choices::new();
    for text in take {
        let Some((address, id)) = text.rsplit_once('=').filter(|(_, id)| !id.is_empty()) else {
            return Err(OpsError::usage(
                format!("`--take {text}` is not an address and an ID"),
                "write --take 'ADDRESS=ID'",
            ));
        };
        let address = open::addresses(&[address.to_owned()])?.remove(0);
        choices.insert(address, id.to_owned());
    }
    Ok(choices)
}

fn tell(rebuilt: &RebuiltState, place: &StackRef) {
    for (address, record) in &rebuilt.state.records {
        let why = rebuilt.found.get(address).map(String::as_str).unwrap_or_default();
        let why = why.rsplit_once("because ").map_or(why, |(_, why)| why);
        out::talk(&format!("`{address}` is the {} with the ID {}: {why}", record.kind, record.id));
    }
    if !rebuilt.undecided.is_empty() {
        out::talk(
            "not recorded, since it could not be decided; name one with --take 'ADDRESS=ID':",
        );
        for (address, why) in &rebuilt.undecided {
            out::talk(&format!("  `{address}`: {why}"));
        }
    }
    if !rebuilt.left.is_empty() {
        let named: Vec<String> =
            rebuilt.left.iter().map(|(kind, id)| format!("{kind} {id}")).collect();
        out::talk(&format!(
            "these carry a tag of {}, and are at no address of these layers (another overlay or workspace, or a resource that was removed from them): {}",
            place.stack,
            named.join(", ")
        ));
    }
}

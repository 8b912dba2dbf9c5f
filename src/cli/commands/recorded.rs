//! Which store a command about recorded state means, what is in it, and what time it is there.

use crate::cli::args::{StateArgs, WorldArgs};
use crate::cli::context::CommandContext;
use crate::cli::{open, out};
use crate::engine::state::record::State;
use crate::ops::error::OpsError;
use crate::ops::load::session::open_sandbox;
use crate::ops::load::stack_ref::StackRef;
use crate::ops::load::stores;
use crate::store::state_store::StateStore;

pub fn store(context: &CommandContext, state: &StateArgs) -> Result<StateStore, OpsError> {
    let WorldArgs { sandbox, .. } = state.world;
    let place = StackRef::find(&state.stack, &context.directory)?;
    Ok(StateStore::over(stores::backend(&place, sandbox)).of_stack(&place.stack))
}

pub fn read(store: &StateStore) -> Result<State, OpsError> {
    store.load()?.ok_or_else(|| nothing_there(store))
}

pub fn nothing_there(store: &StateStore) -> OpsError {
    let what = format!("{} contains no state", store.folder().display());
    let help = if out::is_in_sandbox() {
        "the first apply with --sandbox creates it"
    } else {
        "the first apply creates it; the sandbox has its own, which needs --sandbox"
    };
    OpsError::input(what, help)
}

/// On the clock of the world that the state is of, in milliseconds since the Unix epoch.
pub fn now(context: &CommandContext, args: &StateArgs) -> Result<i64, OpsError> {
    use crate::cloud::clock::{Clock as _, WallClock};
    let WorldArgs { sandbox, sandbox_clock, .. } = &args.world;
    if !sandbox {
        return Ok(WallClock.now());
    }
    let place = StackRef::find(&args.stack, &context.directory)?;
    Ok(open_sandbox(&place.root, &open::sandbox_options(sandbox_clock)?)?.now())
}

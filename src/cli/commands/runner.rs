//! What holds on the machine of a pipeline, which may be gone after its job.

use crate::engine::text::advice::AdvisedCommand;
use crate::ops::error::OpsError;
use crate::ops::load::session::Session;
use crate::ops::load::stack_ref::StackRef;
use crate::ops::load::stores::declared_at;

/// What a store looks like that every runner reaches.
pub const EXAMPLE_STORE: &str = "s3://BUCKET/lifeboat?region=REGION";

/// [`state_is_there`] of the plain stack, as the store has it now: what is kept in the folder of a runner is gone with it.
pub fn has_state(session: &Session, place: &StackRef) -> Result<(), OpsError> {
    let plain = StackRef { instance: None, ..place.clone() };
    let found = session.store(&plain).load()?.is_some();
    state_is_there(session, &plain, found)
}

/// A runner without the state of its stack would make everything a second time. A store says itself that it has none; a folder may
/// be that of another machine.
pub fn state_is_there(session: &Session, place: &StackRef, found: bool) -> Result<(), OpsError> {
    let in_ci = std::env::var_os("CI").is_some_and(|it| !it.is_empty());
    let (stores, _) = declared_at(place, session.target.is_sandbox());
    if found || !in_ci || session.is_local || !stores.is_empty() {
        return Ok(());
    }
    let share = AdvisedCommand::StateShare { stack: &place.stack, to: EXAMPLE_STORE };
    Err(OpsError::refused(
        format!(
            "this run is in CI, and {} contains no state of this stack",
            place.shown(&place.state(false))
        ),
        format!(
            "nothing was changed. A folder is gone with its runner: keep the state in a store that every runner reaches; where the state is, or anywhere if nothing was applied yet, type {share}, and commit the stack file. On a single runner of your own, make the state folder available to it"
        ),
    ))
}

//! `state mirror` and `state resolve --keep`: what people say of the two stores of a state.

use crate::cli::args::StateArgs;
use crate::cli::args::state::{KeptStore, MirrorChange};
use crate::cli::commands::apply::may;
use crate::cli::commands::recorded::store;
use crate::cli::context::CommandContext;
use crate::cli::exit::Exit;
use crate::cli::{open, out};
use crate::engine::state::copies::OtherCopy;
use crate::engine::state::stores_record::StoreRole;
use crate::engine::text::advice::AdvisedCommand;
use crate::ops::error::OpsError;
use crate::ops::load::stack_ref::StackRef;
use crate::store::lock_record::wall;
use crate::store::state_store::StateStore;

/// Only a state in two stores has copies.
fn in_two_stores(context: &CommandContext, args: &StateArgs) -> Result<StateStore, OpsError> {
    let store = store(context, args)?;
    if store.backend().has_mirror() {
        return Ok(store);
    }
    // A stack file that nobody can read does not say that there is none.
    store.backend().neighbors()?;
    Err(OpsError::input(
        format!("the state of {} has no mirror store", args.stack),
        "nothing was changed; `state migrate --mirror` gives it one",
    ))
}

/// `state mirror suspend` and `state mirror resume`.
pub fn change(context: &CommandContext, change: &MirrorChange) -> Result<Exit, OpsError> {
    let (MirrorChange::Suspend(args) | MirrorChange::Resume(args)) = change;
    let place = StackRef::find(&args.stack, &context.directory)?;
    if place.instance.is_some() {
        return Err(OpsError::usage(
            format!("`{}` is a workspace, and goes on where its stack does", args.stack),
            format!("name the stack, `{}`: its workspaces follow it", place.stack),
        ));
    }
    let store = in_two_stores(context, args)?;
    let (who, command) = (open::who(), &context.command);
    match change {
        MirrorChange::Suspend(_) => {
            store.suspend_mirror(&who, command, wall())?;
            out::talk(&format!(
                "the mirror store is suspended: the state goes on in the primary store alone, and is lost with it; {} takes that back",
                AdvisedCommand::StateMirrorResume { stack: &args.stack }
            ));
        }
        MirrorChange::Resume(_) => {
            store.resume_mirror(&who, command, wall())?;
            out::talk("the mirror store is up to date, and written to again");
        }
    }
    Ok(Exit::Done)
}

/// `state resolve --keep`: which copy goes on.
pub fn keep(
    context: &CommandContext,
    args: &StateArgs,
    keep: KeptStore,
    yes: bool,
) -> Result<Exit, OpsError> {
    let store = in_two_stores(context, args)?;
    let role = match keep {
        KeptStore::Primary => StoreRole::Primary,
        KeptStore::Mirror => StoreRole::Mirror,
    };
    let question =
        format!("Go on with the copy in {role}, and set aside what only {} has?", role.other());
    if !may(&question, yes)? {
        return Ok(Exit::Refused);
    }
    store.keep_copy(role, &open::who(), &context.command, wall())?;
    let other = role.other();
    let is_seen = store.backend().standing().is_some_and(|it| it.other == OtherCopy::Same);
    let aside = if is_seen {
        format!("what only {other} had is under `discarded/` there")
    } else {
        format!(
            "{other} does not answer: once it does, what only it has is kept under `discarded/` there"
        )
    };
    out::talk(&format!(
        "the state goes on with the copy in {role}; {aside}. Operations that only it had begun are found out by the next plan"
    ));
    Ok(Exit::Done)
}

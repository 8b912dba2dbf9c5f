//! `state rekey`: encrypts the state of a stack with the newest key.

use crate::cli::args::StateArgs;
use crate::cli::context::CommandContext;
use crate::cli::exit::Exit;
use crate::cli::{open, out};
use crate::ops::change_mirror::MigrationOrder;
use crate::ops::error::OpsError;
use crate::ops::load::stack_ref::StackRef;
use crate::ops::rekey::{RekeyedState, rekey};
use crate::render::words::count;
use crate::store::lock_record::wall;

pub fn run(context: &CommandContext, args: &StateArgs) -> Result<Exit, OpsError> {
    if args.world.sandbox {
        return Err(OpsError::usage(
            "the states of the sandbox are not encrypted",
            "leave out --sandbox (and LIFEBOAT_SANDBOX)",
        ));
    }
    let place = StackRef::find(&args.stack, &context.directory)?;
    let (who, command, at) = (&open::who(), &context.command, wall());
    let order = MigrationOrder { who, command, at, abandons_former: false };
    let done = rekey(&place, order)?;
    for RekeyedState { name, objects, changed } in &done.states {
        out::talk(&format!(
            "{name}: {} encrypted with the key {} in {}, {changed} of them anew",
            count(*objects, "object"),
            done.key.id,
            done.key.variable
        ));
    }
    for old in &done.old {
        out::talk(&format!(
            "nothing is encrypted with the key in {old} any more: remove it from `old_key_env` in {}, commit that, and keep the key only for backups and saved plans that were made with it",
            place.shown(&place.file())
        ));
    }
    Ok(Exit::Done)
}

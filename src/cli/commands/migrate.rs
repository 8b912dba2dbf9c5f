//! `state migrate`: moves the state of a stack into another store, and writes that into its stack file.

use std::path::Path;

use crate::cli::args::StateArgs;
use crate::cli::commands::apply::may;
use crate::cli::context::CommandContext;
use crate::cli::exit::Exit;
use crate::cli::{open, out};
use crate::engine::lang::load::STATE;
use crate::engine::lang::yaml::block::with_block;
use crate::engine::text::advice::AdvisedCommand;
use crate::ops::change_mirror::MigrationOrder;
use crate::ops::error::OpsError;
use crate::ops::load::stack_ref::StackRef;
use crate::ops::load::stores::StateSite;
use crate::ops::migrate::{address, block, destination, migrate};
use crate::store::lock_record::wall;

/// The stores that somebody names.
#[derive(Debug, Clone, Copy)]
pub struct NewStores<'a> {
    pub to: &'a str,
    pub mirror: Option<&'a str>,
    pub witness: Option<&'a str>,
}

pub fn run(
    context: &CommandContext,
    args: &StateArgs,
    to: NewStores<'_>,
    yes: bool,
) -> Result<Exit, OpsError> {
    if args.world.sandbox {
        return Err(OpsError::usage(
            "the states of the sandbox lie beside its world and are not moved",
            "leave out --sandbox (and LIFEBOAT_SANDBOX)",
        ));
    }
    let place = StackRef::find(&args.stack, &context.directory)?;
    if place.instance.is_some() {
        return Err(OpsError::usage(
            format!(
                "`{}` is a workspace, and all workspaces of a stack are in one store",
                args.stack
            ),
            format!("move them all: name the stack, `{}`", place.stack),
        ));
    }
    let target = destination(&place, to.to, to.mirror, to.witness)?;
    let file = place.file();
    let shown = place.shown(&file);
    let edited = || -> Result<String, OpsError> {
        let text = std::fs::read_to_string(&file)
            .map_err(|source| OpsError::File { file: file.clone(), source })?;
        with_block(&text, STATE, block(&target).as_deref(), "stack").map_err(|why| {
            let by_hand = block(&target).unwrap_or_else(|| "no `state` at all".into());
            OpsError::input(
                format!("cannot write `{STATE}` into {shown}: {why}"),
                format!("write one key to a line, then run this again; it puts in:\n{by_hand}"),
            )
        })
    };
    // Before anything is moved: what cannot be written by us, somebody has to write.
    edited()?;
    out::talk(&format!("the state of {} moves to {}", place.stack, address(&target)));
    if !may("Move it?", yes)? {
        return Ok(Exit::Refused);
    }
    let order = MigrationOrder { who: &open::who(), command: &context.command, at: wall() };
    let moved = migrate(&place, &target, order, || {
        // Read again: somebody may have edited it meanwhile.
        let text = edited()?;
        replace(&file, &text).map_err(|source| OpsError::File { file: file.clone(), source })
    })?;
    for it in &moved {
        out::talk(&format!("moved the state of {}, serial {}", it.name, it.serial));
    }
    if moved.is_empty() {
        out::talk(&format!("{} has no state yet; its first apply makes it there", place.stack));
    }
    let says = match &target {
        StateSite::Folder(folder) => format!(
            "names no store any more: the state is on this machine alone, in {}, and no other checkout or pipeline has it",
            place.shown(folder)
        ),
        StateSite::Remote(_) => {
            "names the new store; every checkout and every pipeline uses it once it is committed"
                .into()
        }
    };
    out::talk(&format!(
        "{shown} {says}; commit it: `git add {shown}`, then {} shows what is there",
        AdvisedCommand::Status { stack: &place.stack }
    ));
    Ok(Exit::Done)
}

/// Whole or not at all, with the permissions that the file has.
fn replace(file: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write as _;

    let draft = file.with_file_name(format!(".stack.yaml.{}.new", std::process::id()));
    let written = std::fs::File::create(&draft)
        .and_then(|mut it| it.write_all(text.as_bytes()).and_then(|()| it.sync_all()))
        .and_then(|()| std::fs::set_permissions(&draft, std::fs::metadata(file)?.permissions()))
        .and_then(|()| std::fs::rename(&draft, file));
    if written.is_err() {
        std::fs::remove_file(&draft).ok();
    }
    written
}

//! `state migrate`: moves the state of a stack into another store, and writes that into its stack file.

use std::path::Path;

use crate::cli::args::StateArgs;
use crate::cli::args::state::MigrateArgs;
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
use crate::ops::migrate::{block, declared_site, destination, migrate};
use crate::store::lock_record::wall;
use crate::store::remote::location::LocationError;
use crate::store::sealed::declared::StateEncryption;

/// In which form a state goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MigratedForm {
    AsItIs,
    /// With the key in this variable.
    Encrypted(String),
    Plain,
}

impl MigratedForm {
    /// What the flags say.
    pub fn of(encrypt: Option<String>, no_encrypt: bool) -> Self {
        match (encrypt, no_encrypt) {
            (Some(variable), _) => Self::Encrypted(variable),
            (None, true) => Self::Plain,
            (None, false) => Self::AsItIs,
        }
    }
}

/// Where to, as it was typed, in the form that was asked for.
fn wanted(place: &StackRef, wanted: MigrateArgs) -> Result<StateSite, OpsError> {
    let MigrateArgs { to, mirror, witness, encrypt, no_encrypt, .. } = wanted;
    let form = MigratedForm::of(encrypt, no_encrypt);
    let mut target = destination(place, &to, mirror.as_deref(), witness.as_deref())?;
    if let (StateSite::Remote(stores), Some(there)) = (&mut target, declared_site(place)?.stores())
        && form != MigratedForm::AsItIs
        && mirror.is_none()
        && there.primary.identity() == stores.primary.identity()
    {
        // Who changes the form alone keeps the stores.
        stores.mirror.clone_from(&there.mirror);
        stores.witness.clone_from(&there.witness);
    }
    let wrong =
        |why: LocationError| OpsError::usage(format!("`--encrypt`: {}", why.what), why.remedy);
    Ok(match form {
        MigratedForm::Plain => target,
        MigratedForm::AsItIs => target.in_form(declared_site(place)?.encryption().cloned()),
        MigratedForm::Encrypted(variable) => {
            let declared = declared_site(place)?;
            // Old keys that are declared beside it stay.
            let same = declared.encryption().filter(|it| it.key_env == variable).cloned();
            let named = || StateEncryption::with(&variable).map_err(wrong);
            target.in_form(Some(same.map_or_else(named, Ok)?))
        }
    })
}

/// What is lost, and what has to be kept, where the state changes its form.
fn warn_of_form(place: &StackRef, target: &StateSite) -> Result<(), OpsError> {
    let from = declared_site(place)?;
    match target.encryption() {
        Some(it) => {
            out::talk(&format!(
                "it is encrypted with the key in {}: without that key nobody can read it any more, so keep the key where the state is not",
                it.key_env
            ));
            if from.encryption().is_none() {
                out::talk(
                    "what is left in plain text is removed, its history included; backups and old versions in a bucket are not",
                );
            }
        }
        None if from.encryption().is_some() => out::talk(
            "it is in plain text from then on; what is left encrypted is removed, its history included",
        ),
        None => {}
    }
    Ok(())
}

pub fn run(
    context: &CommandContext,
    args: &StateArgs,
    to: MigrateArgs,
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
    let abandons_former = to.abandon;
    let target = wanted(&place, to)?;
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
    out::talk(&format!("the state of {} moves to {}", place.stack, target.described()));
    warn_of_form(&place, &target)?;
    if !may("Move it?", yes)? {
        return Ok(Exit::Refused);
    }
    let (who, command, at) = (&open::who(), &context.command, wall());
    let order = MigrationOrder { who, command, at, abandons_former };
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
    let says = written(&place, &target);
    out::talk(&format!(
        "{shown} {says}; commit it: `git add {shown}`, then {} shows what is there",
        AdvisedCommand::Status { stack: &place.stack }
    ));
    Ok(Exit::Done)
}

/// What the stack file says now, for whoever commits it.
fn written(place: &StackRef, target: &StateSite) -> String {
    match target {
        StateSite::Folder(folder) => format!(
            "names no store any more: the state is on this machine alone, in {}, and no other checkout or pipeline has it",
            place.shown(folder)
        ),
        StateSite::Sealed(inner, it) if matches!(**inner, StateSite::Folder(_)) => format!(
            "says that the state is encrypted with the key in {}; it is on this machine alone",
            it.key_env
        ),
        StateSite::Sealed(_, it) => format!(
            "names the new store; every checkout and every pipeline uses it once it is committed, and needs the key in {}",
            it.key_env
        ),
        StateSite::Remote(_) => {
            "names the new store; every checkout and every pipeline uses it once it is committed"
                .into()
        }
    }
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

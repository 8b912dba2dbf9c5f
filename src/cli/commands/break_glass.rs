//! `failover --from`: a switch from a bundle, where neither the store, nor git, nor a checkout can be reached.
//!
//! The bundle is put down in a folder of its own, with a local lease. No shared lease protects such a switch, which is said, and
//! agreed to by the stack's name. It ends with the command that carries the state back into the store.

use std::path::{Path, PathBuf};

use crate::cli::args::{BundleArgs, LossArgs, TargetArgs};
use crate::cli::commands::apply::confirm;
use crate::cli::commands::switch::{self, SwitchArgs};
use crate::cli::commands::{apply, bundle, where_to};
use crate::cli::context::CommandContext;
use crate::cli::exit::Exit;
use crate::cli::{open, out};
use crate::engine::state::bundle::{BundledPlan, RecoveryBundle, encode_bundle, sha256};
use crate::engine::state::document::encode_document;
use crate::engine::state::record::State;
use crate::engine::text::advice::AdvisedCommand;
use crate::ops::error::OpsError;
use crate::ops::load::sealed_files::{SavedSort, seal_for};
use crate::ops::load::stack_files::put_down;
use crate::ops::load::stack_ref::StackRef;
use crate::ops::load::stores;
use crate::ops::surgery;
use crate::render::words::moment;
use crate::store::lock_record::wall;
use crate::store::private;
use crate::store::state_store::StateStore;

/// What is asked of a switch from a bundle.
#[derive(Debug, Clone, Copy)]
struct BreakGlass<'a> {
    bundle: &'a Path,
    to: Option<&'a str>,
    no_shared_lease: bool,
}

/// A switch: over the store, or from a bundle without it.
pub async fn failover(
    context: &CommandContext,
    target: &TargetArgs,
    (to, without): (Option<&str>, &BundleArgs),
    losing: &LossArgs,
    wanted: &SwitchArgs,
) -> Result<Exit, OpsError> {
    let BundleArgs { from, no_shared_lease } = without;
    match (from, to) {
        (Some(bundle), _) => {
            let asked = BreakGlass { bundle, to, no_shared_lease: *no_shared_lease };
            from_bundle(context, target, asked, losing, wanted).await
        }
        (None, Some(to)) => switch::failover(context, target, to, losing, wanted).await,
        (None, None) => Err(where_to::where_to(context, target, &wanted.world).await?),
    }
}

async fn from_bundle(
    context: &CommandContext,
    target: &TargetArgs,
    asked: BreakGlass<'_>,
    losing: &LossArgs,
    wanted: &SwitchArgs,
) -> Result<Exit, OpsError> {
    if wanted.world.sandbox {
        return Err(OpsError::usage(
            "a bundle is for real clouds, and the sandbox goes with its root",
            "leave out --sandbox (and LIFEBOAT_SANDBOX); to rehearse it, let `sandbox serve` stand for the clouds (LINODE_URL)",
        ));
    }
    let bundle = bundle::read(context, asked.bundle)?;
    check(&bundle, &target.stack)?;
    let state = surgery::document(&asked.bundle.display().to_string(), &bundle.state)?;
    let Some(to) = asked.to else { return Err(ways(asked, &bundle)) };
    if !bundle.plans.contains_key(to) {
        return Err(ways(asked, &bundle));
    }
    check_store(context, &bundle)?;
    let root = context.directory.join(format!("break-glass-{}-{}", bundle.stack, bundle.serial));
    agree(&bundle, asked, &root, wanted.yes)?;
    let place = unpack(&root, &bundle, &state)?;
    let mut inside = context.clone();
    inside.directory.clone_from(&root);
    let target = TargetArgs { stack: bundle.stack.clone(), ..target.clone() };
    // What is told to be typed on the way acts in that folder, and what is told at the end does not.
    let outside = out::act_in(false, Some(root.display().to_string()));
    let went = switch::failover(&inside, &target, to, losing, wanted).await;
    out::act_in(outside.0, outside.1);
    let Some(file) = carry_back(&root, &place, &state)? else { return went };
    out::talk(&format!(
        "no shared lease protected this switch, and the store does not know of it. Until it does, keep others from applying {}: a run that acts on the old state is refused where it would send users back, and may change other things. As soon as the store ({}) answers, run this in an up-to-date checkout: {}",
        bundle.stack,
        bundle.store,
        AdvisedCommand::StatePush {
            stack: &bundle.stack,
            file: &file.display().to_string(),
            forked_at: bundle.serial
        }
    ));
    went
}

/// Refuses a bundle that is not for this stack, or not for this program.
fn check(bundle: &RecoveryBundle, stack: &str) -> Result<(), OpsError> {
    if bundle.stack != stack {
        return Err(OpsError::refused(
            format!("the bundle is of the stack {}, not of {stack}", bundle.stack),
            "no cloud was called; name the stack that it is of, or another bundle",
        ));
    }
    let this = env!("CARGO_PKG_VERSION");
    if bundle.lifeboat != this {
        return Err(OpsError::refused(
            format!("the bundle was made by lifeboat {}, and this is {this}", bundle.lifeboat),
            format!(
                "no cloud was called; use lifeboat {}, whose program has the digest {}",
                bundle.lifeboat, bundle.program
            ),
        ));
    }
    let program = bundle::program();
    if bundle.program != program {
        out::talk(&format!(
            "the bundle was made by another build of lifeboat {this}: {}, and this is {program}",
            bundle.program
        ));
    }
    Ok(())
}

/// Without a target, or with one that is not there.
fn ways(asked: BreakGlass<'_>, bundle: &RecoveryBundle) -> OpsError {
    let what = match asked.to {
        None => "--to is missing; nothing was changed".to_owned(),
        Some(to) => format!("the bundle has no overlay `{to}`; nothing was changed"),
    };
    let from = asked.bundle.display().to_string();
    let line = |(overlay, plan): (&String, &BundledPlan)| {
        let assumes = match plan.assumes_lost.as_slice() {
            [] => "nothing".to_owned(),
            lost => lost.join(", "),
        };
        let way = AdvisedCommand::FailoverFrom { stack: &bundle.stack, from: &from, to: overlay };
        format!("  {overlay} assumes lost: {assumes}: {way}")
    };
    let lines: Vec<String> = bundle.plans.iter().map(line).collect();
    OpsError::usage(what, format!("the overlays of the bundle:\n{}", lines.join("\n")))
}

/// Where there is a checkout whose store can be read, the bundle must not be older than what that knows.
fn check_store(context: &CommandContext, bundle: &RecoveryBundle) -> Result<(), OpsError> {
    let Ok(place) = StackRef::find(&bundle.stack, &context.directory) else { return Ok(()) };
    let store = StateStore::over(stores::backend(&place, false)).of_stack(&place.stack);
    match store.load() {
        Ok(Some(there)) if there.lineage != bundle.lineage => Err(OpsError::refused(
            format!("the store holds another life of {}: lineage {}", place.stack, there.lineage),
            "no cloud was called; use a bundle of the state in the store",
        )),
        Ok(Some(there)) if there.serial > bundle.serial => Err(OpsError::refused(
            format!(
                "the bundle is older than the store: it has serial {}, and {} has serial {}",
                bundle.serial,
                store.folder().display(),
                there.serial
            ),
            format!(
                "no cloud was called; the store can be read, so switch without the bundle: {}",
                AdvisedCommand::FailoverWhere { stack: &place.stack }
            ),
        )),
        Ok(Some(_)) => {
            out::talk(&format!(
                "the store can be read from here; a switch without the bundle has a shared lease: {}",
                AdvisedCommand::FailoverWhere { stack: &place.stack }
            ));
            Ok(())
        }
        Ok(None) => Ok(()),
        Err(why) => {
            out::talk(&format!("the store cannot be read from here: {}", why.cause()));
            Ok(())
        }
    }
}

/// As for what loses data: the stack's name is typed, or `--yes` given together with the flag that says what it is about.
fn agree(
    bundle: &RecoveryBundle,
    asked: BreakGlass<'_>,
    root: &Path,
    yes: bool,
) -> Result<(), OpsError> {
    out::talk(&format!(
        "the bundle has serial {}, as of {}, by {}; what was applied later is not in it. It is put into {}, with a local lease: no shared lease keeps another machine from switching or applying at the same time",
        bundle.serial,
        moment(bundle.made_at),
        bundle.by,
        root.display()
    ));
    if yes && !asked.no_shared_lease {
        return Err(OpsError::refused(
            "--yes alone does not allow a switch that no shared lease protects",
            "add --no-shared-lease, or omit --yes and type the name of the stack; nothing was changed",
        ));
    }
    let name = &bundle.stack;
    apply::require_terminal(apply::Consent { yes, switch: true, data_loss: false }, None)?;
    let question = format!("Type the stack's name, {name}, to switch without a shared lease:");
    if yes || confirm(&question, name) {
        return Ok(());
    }
    Err(OpsError::refused("the prompt was declined", "nothing was changed"))
}

/// Which bundle a folder came from.
const MARK: &str = "bundle.digest";

/// Puts the bundle down, or goes on where it was put down before: then the state there knows more than the bundle.
fn unpack(root: &Path, bundle: &RecoveryBundle, state: &State) -> Result<StackRef, OpsError> {
    let io = |source| OpsError::File { file: root.to_owned(), source };
    let mark = root.join(MARK);
    let digest = sha256(encode_bundle(bundle).as_bytes());
    let is_ours = std::fs::read_to_string(&mark).is_ok_and(|it| it == digest);
    if root.exists() && !is_ours {
        return Err(OpsError::refused(
            format!("{} is there already, and not from this bundle", root.display()),
            "no cloud was called; move it away, or run this in another folder",
        ));
    }
    if !is_ours {
        std::fs::create_dir_all(root).map_err(io)?;
        private::replace(&mark, digest.as_bytes()).map_err(io)?;
    }
    let is_whole = root.join("state").join(&bundle.stack).is_dir();
    if !is_whole {
        put_down(root, &bundle.stack, &bundle.files)?;
    }
    let place = StackRef::find(&bundle.stack, root)?;
    if !is_whole {
        let text = bundle::local_stack(&place)?;
        let file = place.file();
        private::replace(&file, text.as_bytes())
            .map_err(|source| OpsError::File { file, source })?;
    }
    for (overlay, plan) in bundle.plans.iter().filter(|_| !is_whole) {
        let Some(text) = &plan.plan else { continue };
        let file = root.join(format!("plan-{overlay}.json"));
        let bytes = seal_for(&place, false, SavedSort::Plan, text.as_bytes())?;
        private::replace(&file, &bytes).map_err(|source| OpsError::File { file, source })?;
    }
    let store = StateStore::over(stores::backend(&place, false)).of_stack(&place.stack);
    let found = if is_whole { store.load()? } else { None };
    if found.is_none() {
        drop(store.receive(&open::who(), "failover --from", wall(), state)?);
    } else {
        out::talk(&format!("going on in {}, where this bundle was used before", root.display()));
    }
    Ok(place)
}

/// The state as it is now, as a document for the store; `None` if nothing was done.
fn carry_back(root: &Path, place: &StackRef, before: &State) -> Result<Option<PathBuf>, OpsError> {
    let store = StateStore::over(stores::backend(place, false)).of_stack(&place.stack);
    let state = store.load()?.ok_or_else(|| {
        OpsError::input(
            format!("{} contains no state any more", store.folder().display()),
            "put it back, then run the same command again",
        )
    })?;
    if state.touched == before.touched {
        return Ok(None);
    }
    let file = root.join(format!("{}.state.json", place.stack));
    let text = encode_document(&state);
    let bytes = seal_for(place, false, SavedSort::Document, text.as_bytes())?;
    private::replace(&file, &bytes)
        .map_err(|source| OpsError::File { file: file.clone(), source })?;
    Ok(Some(file))
}

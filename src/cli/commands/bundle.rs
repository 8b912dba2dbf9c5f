//! `state export`: all that a switch needs, in one file for the night when nothing else is there.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;

use crate::cli::args::StateArgs;
use crate::cli::commands::recorded::nothing_there;
use crate::cli::context::CommandContext;
use crate::cli::exit::Exit;
use crate::cli::{open, out};
use crate::engine::lang::load::STATE;
use crate::engine::lang::yaml::block::with_block;
use crate::engine::plan::format::codec::encode;
use crate::engine::state::bundle::{
    BundledPlan, RecoveryBundle, decode_bundle, encode_bundle, sha256,
};
use crate::engine::state::document::encode_document;
use crate::engine::state::record::State;
use crate::engine::text::advice::AdvisedCommand;
use crate::ops::error::OpsError;
use crate::ops::load::layers::recovery_overlays;
use crate::ops::load::sealed_files::{SavedSort, open_saved, seal_for};
use crate::ops::load::session::Session;
use crate::ops::load::sides::PlanRequest;
use crate::ops::load::stack_files::collect;
use crate::ops::load::stack_ref::StackRef;
use crate::ops::load::stores::{StateSite, site};
use crate::ops::load::switch_target::Losses;
use crate::ops::migrate::declared_site;
use crate::ops::plan::make::looked;
use crate::render::words::count;
use crate::store::private;

/// A larger file is no bundle of ours: a state of 100,000 resources takes about 100 MiB, and each plan twice that.
const BYTES_MAX: u64 = 4 << 30;

/// Writes the bundle of a stack.
pub async fn export(
    context: &CommandContext,
    args: &StateArgs,
    file: &Path,
) -> Result<Exit, OpsError> {
    if args.world.sandbox {
        return Err(OpsError::usage(
            "a state of the sandbox goes with its world, and with no bundle",
            "leave out --sandbox (and LIFEBOAT_SANDBOX); to rehearse it, let `sandbox serve` stand for the clouds (LINODE_URL)",
        ));
    }
    let place = StackRef::find(&args.stack, &context.directory)?;
    if place.instance.is_some() {
        return Err(OpsError::usage(
            format!("`{}` is a workspace, and nobody fails over in one", args.stack),
            format!("name the stack: `{}`", place.stack),
        ));
    }
    let session = open::session(&place.root, &args.world).await?;
    let store = session.store(&place);
    let state = store.load()?.ok_or_else(|| nothing_there(&store))?;
    let path = context.directory.join(file);
    check_free(file, &path)?;
    let files = collect(&place)?;
    local_stack(&place)?;
    let plans = plans(&session, &place, &state).await;
    let bundle = RecoveryBundle {
        stack: place.stack.clone(),
        made_at: session.clock.now(),
        by: session.who.clone(),
        lifeboat: env!("CARGO_PKG_VERSION").into(),
        program: program(),
        store: declared_site(&place)?.described(),
        serial: state.serial,
        lineage: state.lineage.clone(),
        state: encode_document(&state),
        files,
        plans,
    };
    let bytes = encode_bundle(&bundle).into_bytes();
    let bytes = seal_for(&place, false, SavedSort::Bundle, &bytes)?;
    private::replace(&path, &bytes)
        .map_err(|source| OpsError::File { file: path.clone(), source })?;
    tell(&place, file, &bundle);
    Ok(Exit::Done)
}

fn tell(place: &StackRef, file: &Path, bundle: &RecoveryBundle) {
    let shown = file.display().to_string();
    let is_sealed = matches!(site(place, false), Ok(StateSite::Sealed(..)));
    let form = if is_sealed {
        "encrypted with the key of the state"
    } else {
        "in plain text, and it holds the key of the fingerprints: keep it private"
    };
    out::talk(&format!(
        "saved {} to {shown}: serial {}, {}, {}; without recovery reports; {form}",
        place.stack,
        bundle.serial,
        count(bundle.files.len(), "file"),
        count(bundle.plans.len(), "failover"),
    ));
    for (overlay, it) in &bundle.plans {
        match &it.why {
            None => out::talk(&format!(
                "{overlay}: {}",
                AdvisedCommand::FailoverFrom { stack: &place.stack, from: &shown, to: overlay }
            )),
            Some(why) => out::talk(&format!("{overlay}: no plan of it could be made now: {why}")),
        }
    }
    out::talk(
        "make a new one after each apply: one that is older than the store is refused where the store can be read",
    );
}

/// Nothing is overwritten but an older bundle.
fn check_free(file: &Path, path: &Path) -> Result<(), OpsError> {
    let wrong = |what: &str| {
        OpsError::input(
            format!("{}: {what}", file.display()),
            "name a file that does not exist yet, or an older bundle; nothing was written",
        )
    };
    let Ok(found) = std::fs::symlink_metadata(path) else { return Ok(()) };
    if !found.is_file() {
        return Err(wrong("it is not a regular file"));
    }
    let mut head = [0; 64];
    let length = std::fs::File::open(path).and_then(|mut it| it.read(&mut head));
    let head = String::from_utf8_lossy(&head[..length.unwrap_or(0)]).into_owned();
    let is_bundle = head.starts_with("{\n  \"bundle_version\"")
        || (head.starts_with("lifeboat-sealed ") && head.contains(" bundle of "));
    if is_bundle { Ok(()) } else { Err(wrong("it already exists and is no bundle")) }
}

/// The plan of each overlay that is no workspace, as a switch to it would be planned now.
async fn plans(
    session: &Session,
    place: &StackRef,
    state: &State,
) -> BTreeMap<String, BundledPlan> {
    let mut plans = BTreeMap::new();
    for way in recovery_overlays(place) {
        let overlays = [state.home.clone(), vec![way.overlay.clone()]].concat();
        let losses = if way.assumes_lost.is_empty() { Losses::Planned } else { Losses::Assumed };
        let ask = PlanRequest {
            overlays: Some(overlays),
            only_switch: true,
            losses,
            ..PlanRequest::to_apply(place, &[])
        };
        let made = looked(session, &ask).await;
        let (plan, why) = match made {
            Ok(it) => (Some(encode(&it.plan, &session.envelope())), None),
            Err(why) => (None, Some(why.to_string())),
        };
        plans.insert(way.overlay, BundledPlan { assumes_lost: way.assumes_lost, plan, why });
    }
    plans
}

/// The stack file as it is put down: its state is in the folder beside it, in the same form.
pub fn local_stack(place: &StackRef) -> Result<String, OpsError> {
    let file = place.file();
    let text = std::fs::read_to_string(&file)
        .map_err(|source| OpsError::File { file: file.clone(), source })?;
    let encrypted = match declared_site(place)? {
        StateSite::Sealed(_, it) => Some(format!("state:\n  {}\n", it.written())),
        StateSite::Folder(_) | StateSite::Remote(_) => None,
    };
    with_block(&text, STATE, encrypted.as_deref(), "stack").map_err(|why| {
        OpsError::input(
            format!("`{STATE}` in {} cannot be taken out for a bundle: {why}", place.shown(&file)),
            "write one key to a line; nothing was written",
        )
    })
}

/// The digest of this program, or that it is not known.
pub fn program() -> String {
    let bytes = std::env::current_exe().and_then(std::fs::read);
    bytes.map_or_else(|_| "unknown".into(), |it| sha256(&it))
}

/// Reads a bundle, which may be encrypted.
pub fn read(context: &CommandContext, file: &Path) -> Result<RecoveryBundle, OpsError> {
    let path = context.directory.join(file);
    let mut bytes = Vec::new();
    let read = std::fs::File::open(&path).and_then(|it| it.take(BYTES_MAX).read_to_end(&mut bytes));
    read.map_err(|source| OpsError::File { file: path, source })?;
    let bytes = open_saved(file, &context.directory, SavedSort::Bundle, bytes)?;
    decode_bundle(&bytes).map_err(|why| {
        OpsError::input(
            format!("{} cannot be used: {why}", file.display()),
            "no cloud was called; use a whole bundle of `state export`, and the lifeboat that wrote it",
        )
    })
}

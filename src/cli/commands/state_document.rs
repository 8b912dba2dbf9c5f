//! `state pull` and `state push`: a whole state as a document, out of a store and into one.

use std::path::Path;

use crate::cli::args::StateArgs;
use crate::cli::commands::apply::may;
use crate::cli::commands::recorded::{now, read, store};
use crate::cli::context::CommandContext;
use crate::cli::exit::Exit;
use crate::cli::{open, out};
use crate::engine::state::document::encode_document;
use crate::engine::state::replaced::{ContentDifference, PushTarget, PushVerdict};
use crate::engine::text::advice::AdvisedCommand as Typed;
use crate::ops::error::OpsError;
use crate::ops::load::sealed_files::{SavedSort, open_saved};
use crate::ops::load::session::CloudTarget;
use crate::ops::load::stack_ref::StackRef;
use crate::ops::surgery::{self, PushOutcome};
use crate::render::words::count;
use crate::store::private;
use crate::store::replace::ReplacementOrder;

/// A document that is larger is none of ours: a state of 100,000 resources takes about 100 MiB.
const BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// The whole state, on stdout or in a file for its owner alone.
pub fn pull(
    context: &CommandContext,
    args: &StateArgs,
    file: Option<&Path>,
) -> Result<(), OpsError> {
    let state = read(&store(context, args)?)?;
    let text = encode_document(&state);
    let held = "it holds the key of the fingerprints of secrets: who has it can test guesses of them, so keep it private";
    let told = format!(
        "the state of {}: serial {}, lineage {}, {}",
        state.name(),
        state.serial,
        state.lineage,
        count(state.records.len(), "resource")
    );
    let Some(file) = file else {
        out::data(&text);
        out::talk(&format!("{told}; {held}"));
        return Ok(());
    };
    let path = context.directory.join(file);
    let wrong = |what: String| {
        OpsError::input(
            format!("{}: {what}", file.display()),
            "name a file that does not exist yet; nothing was written",
        )
    };
    // Nothing is overwritten: it may be the only copy of another state.
    if std::fs::symlink_metadata(&path).is_ok() {
        return Err(wrong("it already exists".into()));
    }
    private::replace(&path, text.as_bytes()).map_err(|why| wrong(why.to_string()))?;
    out::talk(&format!(
        "{told}; saved to {}, which only its owner can read; {held}",
        file.display()
    ));
    Ok(())
}

/// Puts a document in place of the state.
pub fn push(
    context: &CommandContext,
    args: &StateArgs,
    (file, forked_at): (&Path, Option<u64>),
    yes: bool,
) -> Result<Exit, OpsError> {
    let store = store(context, args)?;
    let name = StackRef::find(&args.stack, &context.directory)?.name();
    let shown = file.display().to_string();
    let text = text_of(context, file)?;
    let pushed = surgery::document(&shown, &text)?;
    let world = if args.world.sandbox { CloudTarget::Sandbox } else { CloudTarget::Clouds };
    let there = store.load()?;
    let target = PushTarget { name: &name, world: world.word(), there: there.as_ref(), forked_at };
    let verdict = surgery::judge(&store, target, &shown, &pushed)?;
    match (&there, verdict) {
        (_, PushVerdict::Unchanged) => {
            out::talk(&format!("the store has this state already, serial {}", pushed.serial));
            return Ok(Exit::Done);
        }
        (Some(there), verdict) => {
            if verdict == PushVerdict::Forked && Some(there.serial) != forked_at {
                out::talk(&format!(
                    "the store went on as well, to serial {}: what it has recorded since serial {} is given up, and stays in the history",
                    there.serial,
                    forked_at.unwrap_or_default()
                ));
            }
            out::talk(&format!(
                "serial {} takes the place of serial {}",
                pushed.serial, there.serial
            ));
            for it in ContentDifference::between(there, &pushed).sentences() {
                out::talk(&format!("  {it}"));
            }
        }
        (None, _) => out::talk(&format!(
            "the store holds no state of {name}; this one has serial {}, {} recorded",
            pushed.serial,
            count(pushed.records.len(), "resource")
        )),
    }
    if !may("Push it?", yes)? {
        return Ok(Exit::Refused);
    }
    let (who, at) = (open::who(), now(context, args)?);
    let order = ReplacementOrder { who: &who, command: &context.command, at };
    match surgery::push(&store, order, target, (&shown, &pushed))? {
        PushOutcome::Unchanged { serial } => {
            out::talk(&format!("the store has this state already, serial {serial}"));
        }
        PushOutcome::First { serial } => out::talk(&format!("pushed the state, serial {serial}")),
        PushOutcome::Replaced { serial, kept } => out::talk(&format!(
            "pushed the state, serial {serial}; what was there is kept: to undo this: {}",
            Typed::StateRestoreSerial { stack: &args.stack, serial: kept }
        )),
    }
    Ok(Exit::Done)
}

/// A document, opened if it is encrypted.
fn text_of(context: &CommandContext, file: &Path) -> Result<String, OpsError> {
    use std::io::Read as _;

    let path = context.directory.join(file);
    let wrong = |source| OpsError::File { file: path.clone(), source };
    let mut bytes = Vec::new();
    // Of a device or a pipe nobody knows the size before it is read.
    let opened = std::fs::File::open(&path).map_err(wrong)?;
    opened.take(BYTES_MAX + 1).read_to_end(&mut bytes).map_err(wrong)?;
    if bytes.len() as u64 > BYTES_MAX {
        return Err(OpsError::input(
            format!("{} is larger than 1 GiB", path.display()),
            "nothing was changed; use a document as `state pull` writes it",
        ));
    }
    let bytes = open_saved(file, &context.directory, SavedSort::Document, bytes)?;
    String::from_utf8(bytes)
        .map_err(|_| wrong(std::io::Error::new(std::io::ErrorKind::InvalidData, "it is not UTF-8")))
}

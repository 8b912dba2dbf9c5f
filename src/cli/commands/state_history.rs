//! `state log` and `state restore`: what became of a state so far, and how to go back in it.

use crate::cli::args::StateArgs;
use crate::cli::args::stack::Plain;
use crate::cli::commands::apply::may;
use crate::cli::commands::recorded::{nothing_there, now, read, store};
use crate::cli::context::CommandContext;
use crate::cli::exit::Exit;
use crate::cli::{open, out};
use crate::engine::state::codec::CodecError;
use crate::engine::state::record::State;
use crate::engine::state::replaced::ContentDifference;
use crate::engine::text::advice::AdvisedCommand as Typed;
use crate::engine::text::names::OverlayNames;
use crate::ops::error::OpsError;
use crate::ops::load::stack_ref::StackRef;
use crate::ops::surgery;
use crate::render::state_log::{LogView, state_log_json, state_log_text};
use crate::render::words::{count, moment};
use crate::store::error::StoreError;
use crate::store::replace::ReplacementOrder;

/// Who changed the state, the newest run first.
pub fn log(
    context: &CommandContext,
    args: &StateArgs,
    format: Plain,
    number: Option<usize>,
    entries: bool,
) -> Result<(), OpsError> {
    let store = store(context, args)?;
    let place = StackRef::find(&args.stack, &context.directory)?;
    let history = store.run_history(number)?;
    let live = store.lease_status()?.filter(|it| it.is_alive).map(|it| it.epoch);
    let view = LogView { entries, live };
    for it in &history.damaged {
        out::talk(&format!("warning: what follows in {it} is not shown"));
    }
    match format {
        Plain::Json => out::data(&state_log_json(&place.name(), &history.runs, view)),
        Plain::Text if history.runs.is_empty() => return Err(nothing_there(&store)),
        Plain::Text => out::data(&state_log_text(&history.runs, view)),
    }
    Ok(())
}

/// Goes on with the content of an earlier state.
pub fn restore_serial(
    context: &CommandContext,
    args: &StateArgs,
    serial: u64,
    yes: bool,
) -> Result<Exit, OpsError> {
    let store = store(context, args)?;
    let state = read(&store)?;
    let older = surgery::kept_state(&store, &state, serial)?;
    out::talk(&told(serial, &older));
    let difference = ContentDifference::between(&state, &older);
    let sentences = difference.sentences();
    if sentences.is_empty() {
        out::talk("its resources, overlays and losses are those that are recorded now");
    }
    for it in sentences {
        out::talk(&format!("  {it}"));
    }
    if !may("Restore the content of this serial?", yes)? {
        return Ok(Exit::Refused);
    }
    let (who, at) = (open::who(), now(context, args)?);
    let order = ReplacementOrder { who: &who, command: &context.command, at };
    let done = surgery::restore_serial(&store, order, &state, serial)?;
    out::talk(&format!(
        "restored the content of serial {serial} as serial {}; to undo this: {}",
        done.state.serial,
        Typed::StateRestoreSerial { stack: &args.stack, serial: done.kept }
    ));
    if let Some(address) = difference.unrecorded.first() {
        let address = &address.to_string();
        let again = Typed::StateRemember { stack: &args.stack, address };
        out::talk(&format!("to record a single resource again: {again}"));
    }
    out::talk(&format!(
        "check what the clouds have before you apply anything: {}",
        Typed::Plan { stack: &args.stack, overlays: &[], out: None }
    ));
    Ok(Exit::Done)
}

/// `serial 3, 2026-11-24T11:05:09Z, ann@laptop (apply shop): 4 resources recorded, active: base`
fn told(serial: u64, state: &State) -> String {
    let run = state.last_run.as_ref();
    let run = run.map_or_else(String::new, |it| {
        format!(", {}, {} ({})", moment(it.finished.unwrap_or(it.at)), it.who, it.command)
    });
    format!(
        "serial {serial}{run}: {} recorded, active: {}",
        count(state.records.len(), "resource"),
        OverlayNames(&state.active)
    )
}

/// Goes on from the newest state that is whole, where the one that is there cannot be believed.
pub fn restore(context: &CommandContext, args: &StateArgs, yes: bool) -> Result<Exit, OpsError> {
    let store = store(context, args)?;
    let why = match store.load() {
        Ok(state) => {
            let serial = state.ok_or_else(|| nothing_there(&store))?.serial;
            out::talk(&format!(
                "nothing to restore: the state is intact and the newest, serial {serial}"
            ));
            return Ok(Exit::Done);
        }
        Err(why @ (StoreError::Tracked { .. } | StoreError::Io { .. })) => return Err(why.into()),
        Err(newer @ StoreError::Broken { source: CodecError::Newer(_), .. }) => {
            return Err(newer.into());
        }
        Err(why) => why,
    };
    let nothing = || StoreError::NothingWhole { folder: store.folder().to_owned() };
    let found = store.restorable()?.ok_or_else(nothing)?;
    out::talk(&why.to_string());
    let lost = match found.lost {
        0 => String::new(),
        1 => "; 1 later entry is lost".to_owned(),
        lost => format!("; {lost} later entries are lost"),
    };
    out::talk(&format!(
        "newest intact state: serial {}, entry {}, {} recorded, active: {}{lost}",
        found.state.serial,
        found.state.sequence,
        count(found.state.records.len(), "resource"),
        OverlayNames(&found.state.active),
    ));
    if !may("Restore this state?", yes)? {
        return Ok(Exit::Refused);
    }
    let done = store.restore(&open::who(), &context.command, now(context, args)?)?;
    let place = StackRef::find(&args.stack, &context.directory)?;
    let aside: Vec<String> = done.aside.iter().map(|it| place.shown(it)).collect();
    let aside = if aside.is_empty() { "nothing".to_owned() } else { aside.join(", ") };
    out::talk(&format!(
        "restored as serial {}; the old files are kept in {aside}",
        done.state.serial
    ));
    out::talk(&format!(
        "check what is missing before you apply anything: {}",
        Typed::Plan { stack: &args.stack, overlays: &[], out: None }
    ));
    Ok(Exit::Done)
}

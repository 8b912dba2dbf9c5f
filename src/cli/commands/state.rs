//! `state`: looks into what is recorded, and mends it under the lease.

use crate::cli::args::state::ApproveArgs;
use crate::cli::args::{StateArgs, StateCommand};
use crate::cli::commands::apply::may;
use crate::cli::commands::recorded::{nothing_there, now, read, store};
use crate::cli::commands::{
    bundle, copies, migrate, rebuild, rekey, reviewed, state_document, state_history, task,
};
use crate::cli::context::CommandContext;
use crate::cli::exit::Exit;
use crate::cli::{open, out};
use crate::engine::address::Address;
use crate::engine::state::journal::{JournalEntry, StepOutcome, fold};
use crate::engine::state::record::{MutatingCall, Record, State};
use crate::engine::text::advice::AdvisedCommand as Typed;
use crate::engine::text::diagnostic::nearest;
use crate::engine::text::plain::escape_control;
use crate::ops::error::OpsError;
use crate::ops::plan::recover::adopted;

/// The widest column of addresses, in characters; a longer address pushes its own line only. 80 is a common terminal.
const COLUMN_MAX: usize = 80;

pub async fn run(context: &CommandContext, command: StateCommand) -> Result<Exit, OpsError> {
    match command {
        StateCommand::List(state) => {
            list(&read(&store(context, &state)?)?);
        }
        StateCommand::Show { state, address } => show(&read(&store(context, &state)?)?, &address)?,
        StateCommand::Log { state, format, number, entries } => {
            state_history::log(context, &state, format, number, entries)?;
        }
        StateCommand::Mv { state, from, to } => {
            let to: Address = parse(&to)?;
            change(context, &state, &from, |state, from| {
                if state.records.contains_key(&to) {
                    return Err(OpsError::input(
                        format!("`{to}` already has a record"),
                        "choose an address without a record",
                    ));
                }
                Ok((to.clone(), StepOutcome::Moved { from: from.clone() }))
            })?;
        }
        StateCommand::Pull { state, out } => state_document::pull(context, &state, out.as_deref())?,
        StateCommand::Unprotect { state, address } => {
            change(context, &state, &address, |state, it| {
                let mut record = state.records[it].clone();
                record.protected = false;
                Ok((it.clone(), StepOutcome::Recorded(Box::new(record))))
            })?;
        }
        StateCommand::Rm { state, address, yes } => return rm(context, &state, &address, yes),
        StateCommand::Restore { state, address, serial, yes } => {
            return match (serial, address) {
                (Some(serial), _) => state_history::restore_serial(context, &state, serial, yes),
                (None, None) => state_history::restore(context, &state, yes),
                (None, Some(address)) => put_back(context, &state, &address, yes),
            };
        }
        StateCommand::Push { state, file, forked_at, yes } => {
            return state_document::push(context, &state, (&file, forked_at), yes);
        }
        StateCommand::Migrate { state, stores, yes } => {
            return migrate::run(context, &state, stores, yes);
        }
        StateCommand::Mirror { change } => return copies::change(context, &change),
        StateCommand::Export { state, out } => {
            return bundle::export(context, &state, &out).await;
        }
        StateCommand::Rebuild { state, of } => return rebuild::run(context, &state, &of).await,
        StateCommand::Rekey { state } => return rekey::run(context, &state),
        StateCommand::Resolve { state, keep: Some(keep), yes, .. } => {
            return copies::keep(context, &state, keep, yes);
        }
        StateCommand::Resolve { state, address: Some(address), outcome: Some(outcome), .. } => {
            let (store, at) = (store(context, &state)?, now(context, &state)?);
            return task::resolve(context, &state, &store, (&address, outcome, at));
        }
        StateCommand::Resolve { state, address, id, nothing, .. } => {
            let address = address.unwrap_or_default();
            settle(context, &state, &address, id, nothing)?;
        }
    }
    Ok(Exit::Done)
}

/// `approve`: a task that waits may go on, or a stored plan run. What a task is called comes first.
pub fn approve(
    context: &CommandContext,
    args: &StateArgs,
    it: ApproveArgs,
) -> Result<Exit, OpsError> {
    let store = store(context, args)?;
    if it.plan.is_none() && reviewed::is_digest(&it.task) {
        let state = store.load()?;
        if state.is_none_or(|state| !state.tasks.contains_key(&it.task)) {
            return reviewed::approve(&store, &args.stack, &it.task, it.because);
        }
    }
    task::approve(&store, it, now(context, args)?)
}

fn list(state: &State) {
    let lengths = state.records.keys().map(|it| it.to_string().chars().count());
    let width = lengths.max().unwrap_or(0).min(COLUMN_MAX);
    let line = |(address, record): (&Address, &Record)| {
        let (kind, id) = (escape_control(&record.kind), escape_control(&record.id));
        format!("{:width$}  {kind}  {id}", address.to_string())
    };
    out::data(&state.records.iter().map(line).collect::<Vec<_>>().join("\n"));
}

fn show(state: &State, address: &str) -> Result<(), OpsError> {
    let address = find(state, address)?;
    let record = &state.records[&address];
    let shown = serde_json::json!({
        "address": address.to_string(),
        "kind": record.kind,
        "id": record.id,
        "ready": record.ready,
        "prevent_destroy": record.protected,
        "needs": record.needs.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "attributes": record.attributes,
        "outputs": record.outputs,
    });
    out::data(&serde_yaml::to_string(&shown).unwrap_or_else(|_| shown.to_string()));
    Ok(())
}

fn parse(text: &str) -> Result<Address, OpsError> {
    text.parse().map_err(|why: crate::engine::address::NotAnAddress| {
        OpsError::usage(why.to_string(), "quote the address for the shell")
    })
}

fn find(state: &State, text: &str) -> Result<Address, OpsError> {
    let address = parse(text)?;
    if state.records.contains_key(&address) {
        return Ok(address);
    }
    let names: Vec<String> = state.records.keys().map(ToString::to_string).collect();
    let help = nearest(text, names.iter().map(String::as_str)).map_or_else(
        || {
            format!(
                "run {} to list the recorded resources",
                Typed::StateList { stack: &state.name() }
            )
        },
        |it| format!("did you mean `{it}`?"),
    );
    Err(OpsError::input(format!("`{address}` is not recorded"), help))
}

/// What is forgotten stands in the history, from which it is put back.
fn rm(
    context: &CommandContext,
    args: &StateArgs,
    address: &str,
    yes: bool,
) -> Result<Exit, OpsError> {
    let store = store(context, args)?;
    let state = read(&store)?;
    let address = find(&state, address)?;
    let record = &state.records[&address];
    out::talk(&format!(
        "`{address}` is the {} with the ID {}: it keeps running, but lifeboat will no longer track it",
        record.kind, record.id
    ));
    if !may("Remove its record?", yes)? {
        return Ok(Exit::Refused);
    }
    change(context, args, &address.to_string(), |_, it| Ok((it.clone(), StepOutcome::Removed)))?;
    let name = &args.stack;
    let again = Typed::StateRemember { stack: name, address: &address.to_string() };
    out::talk(&format!("to undo this: {again}"));
    Ok(Exit::Done)
}

/// Puts back what was forgotten, as it was recorded last.
fn put_back(
    context: &CommandContext,
    args: &StateArgs,
    address: &str,
    yes: bool,
) -> Result<Exit, OpsError> {
    let store = store(context, args)?;
    let state = read(&store)?;
    let address = parse(address)?;
    if state.records.contains_key(&address) {
        return Err(OpsError::input(
            format!("`{address}` already has a record"),
            "only a removed record can be restored; nothing was changed",
        ));
    }
    let record = store.forgotten(&state, &address)?.ok_or_else(|| {
        OpsError::input(
            format!("no snapshot in the history contains a record of `{address}`"),
            format!(
                "the history keeps the last 50 snapshots, in {}",
                store.folder().join("history").display()
            ),
        )
    })?;
    out::talk(&format!("`{address}` was the {} with the ID {}", record.kind, record.id));
    if !may("Restore its record?", yes)? {
        return Ok(Exit::Refused);
    }
    mend(context, args, |_| Ok((address, StepOutcome::Recorded(Box::new(record)))))?;
    Ok(Exit::Done)
}

type Changed = Result<(Address, StepOutcome), OpsError>;

/// One journalled change of one record, under the lease.
fn change(
    context: &CommandContext,
    args: &StateArgs,
    address: &str,
    decide: impl FnOnce(&State, &Address) -> Changed,
) -> Result<(), OpsError> {
    mend(context, args, |state| {
        let address = find(state, address)?;
        decide(state, &address)
    })
}

fn mend(
    context: &CommandContext,
    args: &StateArgs,
    decide: impl FnOnce(&State) -> Changed,
) -> Result<(), OpsError> {
    let store = store(context, args)?;
    let at = now(context, args)?;
    let (mut lease, state) = store.lease(&open::who(), &context.command, at)?;
    let mut state = state.ok_or_else(|| nothing_there(&store))?;
    let (address, outcome) = decide(&state)?;
    let entry = JournalEntry::Ended { address: address.clone(), step: 0, outcome, at };
    fold(&mut state, &entry);
    // A state that contradicts itself would be refused by every later command.
    if let Some(wrong) = state.integrity().into_iter().next() {
        return Err(OpsError::input(wrong, "nothing was changed"));
    }
    lease.append(&[entry])?;
    state.serial += 1;
    lease.save(&state)?;
    out::talk(&format!("updated `{address}` in the state; the next plan shows the effect"));
    Ok(())
}

fn settle(
    context: &CommandContext,
    args: &StateArgs,
    address: &str,
    id: Option<String>,
    nothing: bool,
) -> Result<(), OpsError> {
    if id.is_none() && !nothing {
        return Err(OpsError::usage(
            "the result of the step is missing",
            "add --id ID if the step created a resource, or --nothing if it did not; for a task, add `done` or `not-done`",
        ));
    }
    mend(context, args, |state| {
        let address = parse(address)?;
        let begun = state.pending.get(&address).ok_or_else(|| {
            OpsError::input(
                format!("`{address}` has no interrupted operation"),
                "only an operation that began and has no recorded end can be resolved",
            )
        })?;
        if id.is_some() && begun.call != MutatingCall::Create {
            return Err(OpsError::input(
                format!(
                    "the interrupted operation on `{address}` is not a create, so --id does not apply"
                ),
                format!(
                    "nothing was changed; the next plan reads the resource again: {}",
                    Typed::StateResolve { stack: &args.stack, address: &address.to_string() }
                ),
            ));
        }
        let outcome = match id {
            Some(id) if begun.call == MutatingCall::Create => {
                StepOutcome::Recorded(Box::new(adopted(begun, id)))
            }
            _ => StepOutcome::failed("resolved by hand: nothing was created"),
        };
        Ok((address, outcome))
    })
}

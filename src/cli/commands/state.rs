//! `state`: looks into what is recorded, and mends it under the lease.

use crate::cli::args::{StateArgs, StateCommand, World};
use crate::cli::commands::Scene;
use crate::cli::exit::Exit;
use crate::cli::{open, out};
use crate::engine::address::Address;
use crate::engine::diagnostic::nearest;
use crate::engine::state::journal::{Entry, Outcome, fold};
use crate::engine::state::record::State;
use crate::ops::error::OpsError;
use crate::ops::place::Place;
use crate::ops::settle::adopted;
use crate::store::file::FileStore;

pub fn run(scene: &Scene, command: StateCommand) -> Result<Exit, OpsError> {
    match command {
        StateCommand::List(state) => {
            let state = read(&store(scene, &state)?)?;
            let width = state.records.keys().map(|it| it.to_string().len()).max().unwrap_or(0);
            let lines: Vec<String> = state
                .records
                .iter()
                .map(|(address, it)| {
                    format!("{:width$}  {}  {}", address.to_string(), it.kind, it.id)
                })
                .collect();
            out::data(&lines.join("\n"));
        }
        StateCommand::Show { state, address } => {
            let state = read(&store(scene, &state)?)?;
            let address = find(&state, &address)?;
            let record = &state.records[&address];
            let shown = serde_json::json!({
                "address": address.to_string(),
                "kind": record.kind,
                "id": record.id,
                "ready": record.ready,
                "protected": record.protected,
                "needs": record.needs.iter().map(ToString::to_string).collect::<Vec<_>>(),
                "attributes": record.attributes,
                "outputs": record.outputs,
            });
            out::data(&serde_yaml::to_string(&shown).unwrap_or_else(|_| shown.to_string()));
        }
        StateCommand::Log(state) => {
            for entry in store(scene, &state)?.journal()? {
                out::data(&entry);
            }
        }
        StateCommand::Mv { state, from, to } => {
            let to: Address = parse(&to)?;
            change(scene, &state, &from, |state, from| {
                if state.records.contains_key(&to) {
                    return Err(OpsError::input(
                        format!("`{to}` is taken"),
                        "choose a free address",
                    ));
                }
                Ok((to.clone(), Outcome::Moved { from: from.clone() }))
            })?;
        }
        StateCommand::Rm { state, address } => {
            change(scene, &state, &address, |_, it| Ok((it.clone(), Outcome::Removed)))?;
        }
        StateCommand::Unprotect { state, address } => {
            change(scene, &state, &address, |state, it| {
                let mut record = state.records[it].clone();
                record.protected = false;
                Ok((it.clone(), Outcome::Recorded(Box::new(record))))
            })?;
        }
        StateCommand::Settle { state, address, id, nothing } => {
            settle(scene, &state, &address, id, nothing)?;
        }
    }
    Ok(Exit::Done)
}

fn store(scene: &Scene, state: &StateArgs) -> Result<FileStore, OpsError> {
    let World { sandbox, .. } = state.world;
    let place = Place::find(&state.stack, &scene.directory)?;
    Ok(FileStore::new(&place.state(sandbox)))
}

fn read(store: &FileStore) -> Result<State, OpsError> {
    store.load()?.ok_or_else(|| nothing_there(store))
}

fn nothing_there(store: &FileStore) -> OpsError {
    let what = format!("there is no state in {}", store.folder().display());
    OpsError::input(what, "it is made by the first apply; with --sandbox, the sandbox's own")
}

fn parse(text: &str) -> Result<Address, OpsError> {
    text.parse().map_err(|why: crate::engine::address::NotAnAddress| {
        OpsError::usage(why.to_string(), "quote it for the shell")
    })
}

fn find(state: &State, text: &str) -> Result<Address, OpsError> {
    let address = parse(text)?;
    if state.records.contains_key(&address) {
        return Ok(address);
    }
    let names: Vec<String> = state.records.keys().map(ToString::to_string).collect();
    let help = nearest(text, names.iter().map(String::as_str)).map_or_else(
        || "`lifeboat state list` shows what is recorded".into(),
        |it| format!("did you mean `{it}`?"),
    );
    Err(OpsError::input(format!("`{address}` is not recorded"), help))
}

type Changed = Result<(Address, Outcome), OpsError>;

/// One journalled change of one record, under the lease.
fn change(
    scene: &Scene,
    args: &StateArgs,
    address: &str,
    decide: impl FnOnce(&State, &Address) -> Changed,
) -> Result<(), OpsError> {
    mend(scene, args, |state| {
        let address = find(state, address)?;
        decide(state, &address)
    })
}

fn mend(
    scene: &Scene,
    args: &StateArgs,
    decide: impl FnOnce(&State) -> Changed,
) -> Result<(), OpsError> {
    use crate::cloud::clock::Clock as _;
    let store = store(scene, args)?;
    let at = crate::cloud::clock::Wall.now();
    let (mut lease, state) = store.lease(&open::who(), &scene.command, at)?;
    let mut state = state.ok_or_else(|| nothing_there(&store))?;
    let (address, outcome) = decide(&state)?;
    let entry = Entry::Ended { address: address.clone(), step: 0, outcome, at };
    fold(&mut state, &entry);
    lease.append(&[entry])?;
    state.serial += 1;
    lease.save(&state)?;
    out::talk(&format!("{address}: done; the next plan tells what follows"));
    Ok(())
}

fn settle(
    scene: &Scene,
    args: &StateArgs,
    address: &str,
    id: Option<String>,
    nothing: bool,
) -> Result<(), OpsError> {
    if id.is_none() && !nothing {
        return Err(OpsError::usage(
            "it is not said what became of the step",
            "add --id ID, or --nothing",
        ));
    }
    mend(scene, args, |state| {
        let address = parse(address)?;
        let begun = state.begun.get(&address).ok_or_else(|| {
            OpsError::input(
                format!("no step of `{address}` is in doubt"),
                "only a step that began and did not end can be settled",
            )
        })?;
        let outcome = match id {
            Some(id) if begun.call == "create" => Outcome::Recorded(Box::new(adopted(begun, id))),
            _ => Outcome::Failed { why: "settled by hand: nothing was made".into() },
        };
        Ok((address, outcome))
    })
}

//! What binds a plan to its world: layers, files, variables, kinds, state and accounts; and what of it no longer holds.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use crate::engine::lang::model::Stack;
use crate::engine::plan::format::codec::inputs_digest;
use crate::engine::plan::model::change::{Bindings, Plan};
use crate::engine::plan::planner::Intent;
use crate::engine::state::record::State;
use crate::kinds;
use crate::ops::load::session::Session;
use crate::ops::load::stack_ref::StackRef;

/// What must still hold when this plan is applied.
pub fn bindings(
    session: &Session,
    intent: Intent,
    stack: &Stack,
    state: Option<&State>,
    accounts: BTreeMap<String, String>,
) -> Bindings {
    let mut files = stack.files.clone();
    for source in &stack.sources.list {
        files.insert(source.name.to_string(), digest(source.text.as_bytes()));
    }
    let mut kinds_text = String::new();
    for (_, kind, _, _) in kinds::FOLDERS {
        kinds_text.push_str(kind);
    }
    let variables = stack.variables.iter().map(|(name, variable)| {
        let value = &variable.value;
        let fingerprint = match (value.has_secret(), state) {
            (true, None) => String::new(),
            (true, Some(state)) => value.sealed(&state.key).json().to_string(),
            (false, _) => digest(value.json().to_string().as_bytes()),
        };
        (name.clone(), fingerprint)
    });
    Bindings {
        version: env!("CARGO_PKG_VERSION").into(),
        kinds: digest(kinds_text.as_bytes()),
        files,
        variables: variables.collect(),
        lineage: state.map(|it| it.lineage.clone()).unwrap_or_default(),
        serial: state.map_or(0, |it| it.serial),
        sequence: state.map_or(0, |it| it.touched),
        active: state.map(|it| it.active.clone()).unwrap_or_default(),
        lost: state
            .map(|it| it.lost.iter().map(|it| it.fault_domain.clone()).collect())
            .unwrap_or_default(),
        target: session.target.word().into(),
        accounts,
        intent,
    }
}

/// What [`inputs_digest`] says of a plan of these layers, without making it.
pub fn inputs_of(session: &Session, place: &StackRef, stack: &Stack) -> String {
    inputs_digest(&Plan {
        stack: stack.name.clone(),
        instance: place.instance.clone(),
        overlays: stack.overlays.clone(),
        // Nothing of a state counts.
        bindings: bindings(session, Intent::Apply, stack, None, BTreeMap::new()),
        ..Plan::default()
    })
}

fn digest(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(&Sha256::digest(bytes))
}

/// In which way a plan's bindings no longer hold; empty when they do.
pub fn broken_bindings(planned: &Bindings, now: &Bindings) -> Vec<String> {
    let mut broken = Vec::new();
    if planned.target != now.target {
        broken.push(format!(
            "it was made for the {}, but this command uses the {}",
            planned.target, now.target
        ));
    }
    if (&planned.version, &planned.kinds) != (&now.version, &now.kinds) {
        broken.push("it was created by a different lifeboat version".into());
    }
    if planned.lineage != now.lineage {
        broken.push(
            "the state has a different lineage: the stack was applied or destroyed meanwhile"
                .into(),
        );
    } else if planned.serial != now.serial {
        broken.push(format!(
            "the state has moved on from serial {} to {}",
            planned.serial, now.serial
        ));
    } else if planned.sequence != now.sequence {
        broken.push(
            "the state has changed since: a run was interrupted, or the state was repaired".into(),
        );
    }
    if planned.active != now.active {
        let named = |it: &[String]| if it.is_empty() { "base".to_owned() } else { it.join(" + ") };
        broken.push(format!(
            "the active overlays are now {}, not {}",
            named(&now.active),
            named(&planned.active)
        ));
    }
    if planned.lost != now.lost {
        let named = |it: &[String]| if it.is_empty() { "nothing".into() } else { it.join(", ") };
        broken.push(format!(
            "the lost fault domains are now {}, not {}",
            named(&now.lost),
            named(&planned.lost)
        ));
    }
    for (file, digest) in &planned.files {
        if now.files.get(file) != Some(digest) {
            broken.push(format!("{file} has changed"));
        }
    }
    for file in now.files.keys().filter(|it| !planned.files.contains_key(*it)) {
        broken.push(format!("{file} is new"));
    }
    for (name, fingerprint) in &planned.variables {
        let same = fingerprint.is_empty() || now.variables.get(name) == Some(fingerprint);
        if !same {
            broken.push(format!("the variable `{name}` has a different value"));
        }
    }
    for (cloud, account) in &planned.accounts {
        if now.accounts.get(cloud) != Some(account) {
            broken.push(format!("it was made for {cloud} account {account}"));
        }
    }
    broken
}

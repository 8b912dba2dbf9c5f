//! Instances: which overlay belongs to which, what the plain stack lends, and whose identities must not be taken.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::engine::address::Address;
use crate::engine::lang::lower::dependencies::uses;
use crate::engine::lang::model::{Output, Stack};
use crate::engine::lang::resolve::resolve_output;
use crate::engine::lang::term::expressions;
use crate::engine::lang::webhook::NoObjects;
use crate::engine::plan::model::planned_change::identity_of;
use crate::engine::schema::Kind;
use crate::engine::text::advice::AdvisedCommand;
use crate::engine::text::codes::DiagnosticCode;
use crate::engine::text::diagnostic::{Diagnostic, Span};
use crate::ops::error::OpsError;
use crate::ops::load::layers::{self, DesiredStack};
use crate::ops::load::session::Session;
use crate::ops::load::stack_ref::StackRef;

/// An overlay of an instance is laid in that instance only.
pub fn belongs(place: &StackRef, stack: &Stack) -> Result<(), OpsError> {
    let Some(instance) = &stack.instance else { return Ok(()) };
    if place.instance.as_ref() == Some(instance) {
        return Ok(());
    }
    let is_own = |it: &&String| {
        layers::instance_of(place, it).is_ok_and(|it| it.instance.as_ref() == Some(instance))
    };
    let overlay = stack.overlays.iter().find(is_own).or(stack.overlays.first());
    let overlay = overlay.map_or("base", String::as_str);
    let (name, plain) = (place.name(), &place.stack);
    let (own, overlays) = (format!("{plain}@{instance}"), stack.overlays.as_slice());
    let (own, drill) = (
        AdvisedCommand::Plan { stack: &own, overlays, out: None },
        AdvisedCommand::Drill { stack: plain, to: overlay, cleanup: false },
    );
    Err(OpsError::refused(
        format!("{overlay} belongs to the workspace `{instance}`, but this is {name}"),
        format!("to use the workspace: {own}; to rehearse it: {drill}"),
    ))
}

/// Puts the borrowed objects into the stack, as the plain stack recorded them.
pub fn lend(
    session: &Session,
    place: &StackRef,
    desired: &mut DesiredStack,
) -> Result<(), OpsError> {
    let stack = &mut desired.stack;
    if stack.borrow.is_empty() {
        return Ok(());
    }
    let plain = StackRef { instance: None, ..place.clone() };
    let recorded = session.store(&plain).load()?.map(|it| it.records).unwrap_or_default();
    let mut mistakes = Vec::new();
    for (name, span) in &stack.borrow {
        for address in stack.instances.keys().filter(|it| it.name == *name) {
            let twin = address.zeroth_alias();
            let record = recorded.get(address).or_else(|| recorded.get(&twin?));
            match record {
                Some(record) => {
                    stack.lent.insert(address.clone(), Arc::new(record.object()));
                }
                None => mistakes.push(
                    Diagnostic::error(
                        DiagnosticCode::NothingToBorrow,
                        "There is nothing to borrow",
                    )
                    .at(*span, format!("{} has not created `{address}`", place.stack))
                    .help(format!(
                        "check the name in `borrow`; a workspace borrows what the plain stack has created. Whether that is still to be created: {}",
                        AdvisedCommand::Plan { stack: &place.stack, overlays: &[], out: None }
                    )),
                ),
            }
        }
    }
    if mistakes.is_empty() {
        return Ok(());
    }
    Err(OpsError::Mistakes { diagnostics: mistakes, sources: stack.sources.clone() })
}

/// Leaves out of a rehearsal what tells of the plain stack instead of it: an output that is written out, reads nothing that the
/// drill makes, and says the same there. Who opens such an address during a drill looks at production.
pub fn own_outputs(
    session: &Session,
    place: &StackRef,
    desired: &mut DesiredStack,
) -> Result<(), OpsError> {
    let stack = &mut desired.stack;
    if stack.rehearses.is_empty() || stack.outputs.is_empty() {
        return Ok(());
    }
    let plain = StackRef { instance: None, ..place.clone() };
    let Some(plain) = session.store(&plain).load()? else { return Ok(()) };
    let is_of_plain = |name: &String, output: &Output| {
        let mut all = Vec::new();
        expressions(&output.term, &mut all);
        let value = resolve_output(stack, &session.catalog, output, &NoObjects);
        uses(stack, None, &all).is_empty() && value.ok().as_ref() == plain.outputs.get(name)
    };
    let outputs = stack.outputs.iter().filter(|(name, it)| is_of_plain(name, it));
    let outputs: Vec<(String, Span)> = outputs.map(|(name, it)| (name.clone(), it.span)).collect();
    for (name, span) in outputs {
        stack.outputs.shift_remove(&name);
        let told =
            format!("output `{name}` is left out: it says the same as that of {}", place.stack);
        let help = "read it from a resource that the drill makes, such as `${shop.name}`, or give it a value in the overlay of the drill";
        let warning = Diagnostic::warning(DiagnosticCode::OutputOfPlain, told).help(help);
        desired.warnings.push(warning.at(span, "it reads nothing that the drill makes"));
    }
    Ok(())
}

/// The identities of what every other instance of the stack has made: whose, and where it is declared.
pub fn others(session: &Session, place: &StackRef) -> Result<BTreeMap<String, String>, OpsError> {
    let mut taken = BTreeMap::new();
    for other in place.siblings(&session.store(place)) {
        let Some(state) = session.store(&other).load()? else { continue };
        let remembered = state.remembered(&state.active);
        let layers = layers::desired(&other, &state.active, &[], remembered, &session.catalog);
        let layers = layers.ok();
        for (address, record) in &state.records {
            let Some(kind) = session.catalog.get(&record.kind) else { continue };
            let Some(identity) = identity_of(kind, &record.attributes) else { continue };
            let at = layers.as_ref().and_then(|it| line(it, kind, address));
            let at = at.map_or_else(String::new, |it| format!(" ({it})"));
            taken.insert(identity, format!("`{address}` of {}{at}", other.name()));
        }
    }
    Ok(taken)
}

/// Where the name of an object is given.
fn line(layers: &DesiredStack, kind: &Kind, address: &Address) -> Option<String> {
    let instance = layers.stack.instances.get(address)?;
    let named = kind.identity.by.iter().rev().find_map(|it| instance.resource.attributes.get(it));
    let span = named.map_or(instance.resource.span, |it| it.key);
    Some(layers.stack.sources.line(span))
}

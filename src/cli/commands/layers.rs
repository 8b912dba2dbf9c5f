//! `validate`, `render`, `graph`: what the layers say, without looking at any cloud.

use crate::cli::args::{LayerArgs, Plain};
use crate::cli::context::CommandContext;
use crate::cli::exit::Exit;
use crate::cli::{open, out, report};
use crate::engine::address::Address;
use crate::engine::lang::lower::task_links::task_order;
use crate::engine::lang::merge::variables::RememberedVariables;
use crate::engine::lang::model::Task;
use crate::engine::lang::origin;
use crate::engine::plan::draft::topology::DesiredTopology;
use crate::engine::plan::guard::allow::out_of_time;
use crate::engine::plan::model::change::{Note, note};
use crate::engine::text::diagnostic::{Diagnostic, Severity, stops};
use crate::kinds;
use crate::ops::error::OpsError;
use crate::ops::load::layers::{self, DesiredStack};
use crate::ops::load::sides::overlays_of;
use crate::ops::load::stack_ref::StackRef;
use crate::render::validation::{Validation, json};
use crate::render::words::count;
use crate::store::lock_record::wall;

/// Loads what was named; without `-o` the base, since these commands know no state.
fn desired(
    context: &CommandContext,
    layers: &LayerArgs,
) -> Result<(StackRef, DesiredStack), OpsError> {
    let place = StackRef::find(&layers.stack, &context.directory)?;
    let overlays = overlays_of(Some(&layers.overlays), None);
    let given = open::variables(layers)?;
    let catalog = kinds::builtin();
    let desired =
        layers::desired(&place, &overlays, &given, RememberedVariables::none(), &catalog)?;
    Ok((place, desired))
}

pub fn validate(
    context: &CommandContext,
    layers: &LayerArgs,
    format: Plain,
) -> Result<Exit, OpsError> {
    let found = desired(context, layers).and_then(in_time);
    if format == Plain::Json {
        out::data(&document(layers, found.as_ref().map(|(_, it)| it)));
        return found.map(|_| Exit::Done);
    }
    let (place, desired) = found?;
    report::all(&desired.warnings, &desired.stack.sources, context.color);
    let instances = count(desired.stack.instances.len(), "resource");
    let overlays = if desired.stack.overlays.is_empty() {
        String::new()
    } else {
        format!(" with {}", desired.stack.overlays.join(" + "))
    };
    out::talk(&format!("{}{overlays} is valid: {instances}", place.stack));
    Ok(Exit::Done)
}

/// What a plan of today would say of the days in the layers.
fn in_time(
    (place, mut desired): (StackRef, DesiredStack),
) -> Result<(StackRef, DesiredStack), OpsError> {
    let allowances = desired.stack.allowances.iter();
    let told: Vec<Diagnostic> = allowances.filter_map(|it| out_of_time(it, wall())).collect();
    if stops(&told) {
        let sources = desired.stack.sources.clone();
        return Err(OpsError::Mistakes { diagnostics: told, sources });
    }
    desired.warnings.extend(told);
    Ok((place, desired))
}

/// The same for programs.
fn document(layers: &LayerArgs, found: Result<&DesiredStack, &OpsError>) -> String {
    let (resources, problems) = match found {
        Ok(it) => {
            let told = it.warnings.iter().map(|one| note(one, |at| it.stack.sources.place(at)));
            (Some(it.stack.instances.len()), told.collect())
        }
        Err(why) => (None, wrong(why)),
    };
    json(&Validation {
        stack: &layers.stack,
        overlays: &overlays_of(Some(&layers.overlays), None),
        resources,
        problems: &problems,
    })
}

/// Mistakes in the layers with their places; what kept them from being read at all as one without.
fn wrong(why: &OpsError) -> Vec<Note> {
    if let OpsError::Mistakes { diagnostics, sources } = why {
        return diagnostics.iter().map(|it| note(it, |at| sources.place(at))).collect();
    }
    let (code, severity, places) = ("input".to_owned(), Severity::Error, Vec::new());
    vec![Note { code, severity, text: why.to_string(), places, help: why.help() }]
}

/// The merged stack; printed even where a layer is wrong, as far as it could be read.
pub fn render(context: &CommandContext, layers: &LayerArgs) -> Result<Exit, OpsError> {
    let place = StackRef::find(&layers.stack, &context.directory)?;
    let overlays = overlays_of(Some(&layers.overlays), None);
    let given = open::variables(layers)?;
    let catalog = kinds::builtin();
    let loaded = layers::layers(&place, &overlays, &given, RememberedVariables::none(), &catalog)?;
    out::data(&origin::render(&loaded, &catalog));
    if stops(&loaded.diagnostics) {
        return Err(OpsError::Mistakes {
            diagnostics: loaded.diagnostics,
            sources: loaded.sources,
        });
    }
    Ok(Exit::Done)
}

pub fn graph(context: &CommandContext, layers: &LayerArgs) -> Result<Exit, OpsError> {
    let (_, desired) = desired(context, layers)?;
    let catalog = kinds::builtin();
    let stack = &desired.stack;
    let mut derived = DesiredTopology::new(&catalog, stack).derived(&catalog);
    derived.extend(task_order(stack));
    let needs = |it: &Task| -> Vec<Address> { it.needs.iter().map(|it| it.0.clone()).collect() };
    let tasks = stack.tasks.values().map(|it| (Address::one(it.name.clone()), needs(it)));
    out::data(&desired.graph.dot(&derived, &tasks.collect::<Vec<_>>()));
    Ok(Exit::Done)
}

//! `validate`, `render`, `graph`: what the layers say, without looking at any cloud.

use std::collections::BTreeMap;

use crate::cli::args::Layers;
use crate::cli::commands::Scene;
use crate::cli::exit::Exit;
use crate::cli::{open, out, report};
use crate::engine::diagnostic::stops;
use crate::engine::plan::closure::Wanted;
use crate::engine::stack::origin;
use crate::kinds;
use crate::ops::error::OpsError;
use crate::ops::load::{self, Desired};
use crate::ops::place::Place;
use crate::ops::sides::overlays_of;
use crate::render::words::count;

/// Loads what was named; without `-o` the base, since these commands know no state.
fn desired(scene: &Scene, layers: &Layers) -> Result<(Place, Desired), OpsError> {
    let place = Place::find(&layers.stack, &scene.directory)?;
    let overlays = overlays_of(Some(&layers.overlays), None);
    let given = open::variables(layers)?;
    let catalog = kinds::builtin();
    let desired = load::desired(&place, &overlays, &given, &BTreeMap::new(), &catalog)?;
    Ok((place, desired))
}

pub fn validate(scene: &Scene, layers: &Layers) -> Result<Exit, OpsError> {
    let (place, desired) = desired(scene, layers)?;
    report::all(&desired.warnings, &desired.stack.sources, scene.color);
    let instances = count(desired.stack.instances.len(), "object");
    let overlays = if desired.stack.overlays.is_empty() {
        String::new()
    } else {
        format!(" with {}", desired.stack.overlays.join(" + "))
    };
    out::talk(&format!("{}{overlays} is valid: {instances}", place.stack));
    Ok(Exit::Done)
}

/// The merged stack; printed even where a layer is wrong, as far as it could be read.
pub fn render(scene: &Scene, layers: &Layers) -> Result<Exit, OpsError> {
    let place = Place::find(&layers.stack, &scene.directory)?;
    let overlays = overlays_of(Some(&layers.overlays), None);
    let given = open::variables(layers)?;
    let catalog = kinds::builtin();
    let loaded = load::layers(&place, &overlays, &given, &BTreeMap::new(), &catalog)?;
    out::data(&origin::render(&loaded, &catalog));
    if stops(&loaded.diagnostics) {
        return Err(OpsError::Mistakes {
            diagnostics: loaded.diagnostics,
            sources: loaded.sources,
        });
    }
    Ok(Exit::Done)
}

pub fn graph(scene: &Scene, layers: &Layers) -> Result<Exit, OpsError> {
    let (_, desired) = desired(scene, layers)?;
    let catalog = kinds::builtin();
    let derived = Wanted::new(&catalog, &desired.stack).derived(&catalog);
    out::data(&desired.graph.dot(&derived));
    Ok(Exit::Done)
}

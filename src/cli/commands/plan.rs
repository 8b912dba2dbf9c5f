//! `plan` and `show`: what would happen, in four dresses.

use std::path::{Path, PathBuf};

use crate::cli::args::{Allow, Format, Layers, Losing, Shape, World};
use crate::cli::commands::{Scene, reports};
use crate::cli::exit::Exit;
use crate::cli::{open, out, report};
use crate::engine::diagnostic::{Diagnostic, Severity};
use crate::engine::plan::change::Plan;
use crate::engine::plan::propose::Intent;
use crate::engine::plan::wire::{Envelope, decode, encode};
use crate::engine::stack::model::Stack;
use crate::ops::error::OpsError;
use crate::ops::place::Place;
use crate::ops::plan::Proposed;

use crate::render::html::html;
use crate::render::markdown::markdown;
use crate::render::outline::Shown;
use crate::render::text::{TextOptions, text};

/// What `plan` is to do with its result.
pub struct Wanted {
    pub out: Option<PathBuf>,
    pub detailed_exitcode: bool,
    pub shape: Shape,
}

pub async fn plan(
    scene: &Scene,
    layers: &Layers,
    world: &World,
    allow: &Allow,
    losing: &Losing,
    wanted: &Wanted,
) -> Result<Exit, OpsError> {
    let mut ask = open::ask(&scene.directory, layers, allow, Intent::Apply)?;
    ask.losses = open::losses(losing);
    ask.include_pending = losing.include_pending;
    let session = open::session(&ask.place.root, world).await?;
    let proposed = crate::ops::plan::plan(&session, &ask).await?;
    warn(&proposed, scene.color);
    let forecast = reports::forecast(&session, &ask.place, &proposed);
    let envelope = Envelope {
        forecast,
        made_at: session.clock.now(),
        by: session.who.clone(),
        lifeboat: env!("CARGO_PKG_VERSION").into(),
    };
    print(&proposed.plan, &envelope, &wanted.shape, scene.color);
    note_drill(&ask.place, &proposed.desired.stack);
    if let Some(file) = &wanted.out {
        save(&scene.directory.join(file), &encode(&proposed.plan, &envelope))?;
        let shown = file.display();
        let use_ = if proposed.plan.refusals().next().is_some() {
            "it is refused, and cannot be applied".to_owned()
        } else {
            format!("`lifeboat apply {shown}` runs exactly this")
        };
        out::talk(&format!("saved to {shown}; {use_}"));
    }
    Ok(exit(&proposed.plan, wanted.detailed_exitcode))
}

/// Refused is 3, unseen 5, changes 2 when asked for.
fn exit(plan: &Plan, detailed: bool) -> Exit {
    if plan.refusals().next().is_some() {
        Exit::Refused
    } else if plan.changes.iter().any(|it| it.unseen.is_some()) {
        Exit::Unseen
    } else if detailed && !plan.is_empty() {
        Exit::Changes
    } else {
        Exit::Done
    }
}

/// Warnings go to stderr with their places; refusals are part of the plan itself.
pub fn warn(proposed: &Proposed, color: bool) {
    let warnings: Vec<Diagnostic> = proposed
        .diagnostics
        .iter()
        .filter(|it| it.severity == Severity::Warning)
        .cloned()
        .collect();
    report::all(&warnings, &proposed.desired.stack.sources, color);
}

/// Who works by hand in the instance of a drill is told how that is cleaned.
pub fn note_drill(place: &Place, stack: &Stack) {
    if let (Some(_), Some(overlay)) = (&place.instance, stack.overlays.first())
        && !stack.rehearses.is_empty()
    {
        out::talk(&format!(
            "{} is the instance of a drill: `lifeboat drill {} --to {overlay} --cleanup` deletes everything of it",
            place.name(),
            place.stack
        ));
    }
}

pub fn show(scene: &Scene, file: &Path, shape: &Shape) -> Result<Exit, OpsError> {
    let (plan, envelope) = read(&scene.directory.join(file))?;
    print(&plan, &envelope, shape, scene.color);
    Ok(Exit::Done)
}

/// Reads a saved plan.
pub fn read(file: &Path) -> Result<(Plan, Envelope), OpsError> {
    let bytes = std::fs::read_to_string(file)
        .map_err(|source| OpsError::File { file: file.to_owned(), source })?;
    decode(&bytes).map_err(|why| {
        let what = format!("{} is not a plan: {why}", file.display());
        OpsError::input(what, "make one with `lifeboat plan STACK --out FILE`")
    })
}

fn print(plan: &Plan, envelope: &Envelope, shape: &Shape, color: bool) {
    let shown = Shown { plan, forecast: envelope.forecast.as_ref() };
    match shape.format {
        Format::Text => {
            let options = TextOptions { color, width: 100, verbose: false };
            out::data(&text(shown, &options));
        }
        Format::Json => out::data(&encode(plan, envelope)),
        Format::Markdown => out::data(&markdown(shown, shape.max_bytes)),
        Format::Html => out::data(&html(shown)),
    }
}

/// A plan file appears whole or not at all.
fn save(file: &Path, text: &str) -> Result<(), OpsError> {
    let wrong = |source| OpsError::File { file: file.to_owned(), source };
    let mut name = file.as_os_str().to_owned();
    name.push(".new");
    let new = PathBuf::from(name);
    std::fs::write(&new, text).map_err(wrong)?;
    std::fs::rename(&new, file).map_err(wrong)
}

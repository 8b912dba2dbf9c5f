//! `failover` without a target: the overlays, what each assumes lost, and which of them fits what is unreachable now.

use crate::cli::args::{TargetArgs, WorldArgs};
use crate::cli::context::CommandContext;
use crate::cli::open;
use crate::engine::observed::Unreadable;
use crate::engine::plan::model::options::RecoveryOverlay;
use crate::engine::text::advice::AdvisedCommand;
use crate::ops::error::OpsError;
use crate::ops::load::stack_ref::StackRef;
use crate::ops::overlay_choice::{OverlayChoice, choice};

/// A usage error that tells the situation and lists them, each with the whole command. Nothing is switched, and nothing is assumed,
/// without a target.
pub async fn where_to(
    context: &CommandContext,
    target: &TargetArgs,
    world: &WorldArgs,
) -> Result<OpsError, OpsError> {
    let place = StackRef::find(&target.stack, &context.directory)?;
    let session = open::session(&place.root, world).await?;
    let choice = choice(&session, &place).await?;
    let name = place.name();
    let what = format!(
        "{}; --to does not say where to fail over to, so nothing was changed",
        situation(&choice, &name)
    );
    Ok(OpsError::usage(what, told(&choice, &name)))
}

/// What is wrong, in half a sentence.
fn situation(choice: &OverlayChoice, name: &str) -> String {
    let names = |all: &[(String, Unreadable)]| {
        all.iter().map(|it| it.0.as_str()).collect::<Vec<_>>().join(", ")
    };
    let (are, lost) = (|number| if number == 1 { "is" } else { "are" }, choice.lost.join(", "));
    let mut told = Vec::new();
    if is_deaf(choice) {
        return "nothing could be reached at all: check this machine's network first".to_owned();
    }
    if !choice.silent.is_empty() {
        told.push(format!("{} {} unreachable", names(&choice.silent), are(choice.silent.len())));
    }
    if !choice.lost.is_empty() {
        told.push(format!("{lost} {} declared lost", are(choice.lost.len())));
    }
    if !choice.unknown.is_empty() {
        told.push(format!("{} could not be checked", names(&choice.unknown)));
    }
    match (told.is_empty(), choice.answers.is_empty()) {
        (true, true) => format!("{name} has not been applied yet, so no fault domain was asked"),
        (true, false) => "every fault domain answers".to_owned(),
        (false, _) => told.join(", "),
    }
}

/// Then the way out is this machine's network, and no switch.
fn is_deaf(choice: &OverlayChoice) -> bool {
    !choice.silent.is_empty() && choice.answers.is_empty() && choice.unknown.is_empty()
}

fn told(choice: &OverlayChoice, name: &str) -> String {
    if choice.ways.is_empty() {
        return format!("{name} has no overlay to switch to: add one in `overlays/`");
    }
    let fits =
        |it: &&RecoveryOverlay| choice.fits.as_ref() == Some(&it.overlay) && !is_deaf(choice);
    let stays = |it: &&RecoveryOverlay| choice.unmoving.contains(&it.overlay);
    let mut lines = Vec::new();
    for way in choice.ways.iter().filter(fits) {
        let made = format!("{} is made for this{}:", way.overlay, also(way, choice));
        lines.extend([made, format!("  {}", command(way, choice, name))]);
    }
    let others = choice.ways.iter().filter(|it| !fits(it) && !stays(it));
    let others: Vec<String> = others.map(|it| other(it, choice, name)).collect();
    if !others.is_empty() {
        let which = if lines.is_empty() { "the overlays" } else { "other overlays" };
        lines.push(format!("{which} that move users:"));
        lines.extend(others);
    }
    let unmoving = choice.ways.iter().filter(stays).map(|it| it.overlay.as_str());
    let unmoving: Vec<&str> = unmoving.collect();
    if !unmoving.is_empty() {
        let which = if unmoving.len() == 1 { "it moves no users" } else { "they move no users" };
        lines.push(format!("left out, because {which}: {}", unmoving.join(", ")));
    }
    lines.extend(health(choice));
    lines.join("\n")
}

/// What each fault domain said.
fn health(choice: &OverlayChoice) -> Vec<String> {
    let because = |(name, why): &(String, Unreadable)| format!("{name}: {}", why.why);
    let told = |what: &str, names: Vec<String>| {
        (!names.is_empty()).then(|| format!("{what}: {}", names.join(", ")))
    };
    let mut lines = Vec::new();
    lines.extend(told("reachable", choice.answers.clone()));
    for (what, all) in [("unreachable", &choice.silent), ("not checked", &choice.unknown)] {
        lines.extend(all.iter().map(|it| format!("{what}: {}", because(it))));
    }
    lines
}

/// Who types this declares them lost.
fn also(way: &RecoveryOverlay, choice: &OverlayChoice) -> String {
    let alive = way.assumes_lost.iter().filter(|it| choice.answers.contains(it));
    match alive.map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => String::new(),
        [one] => format!(", but also declares {one} lost, which answers"),
        more => format!(", but also declares {} lost, which answer", more.join(", ")),
    }
}

/// Nobody is advised to declare lost what answers: while all of it does, the switch is a planned one.
fn command(way: &RecoveryOverlay, choice: &OverlayChoice, name: &str) -> String {
    let assumes_nothing = way.assumes_lost.is_empty();
    let answers = way.assumes_lost.iter().all(|it| choice.answers.contains(it));
    // What is declared lost stays so: no switch is a planned one then.
    let planned = choice.lost.is_empty() && answers;
    let declared = choice.lost.iter().filter(|_| assumes_nothing).map(String::as_str);
    let (to, lost) = (way.overlay.as_str(), declared.collect());
    AdvisedCommand::Failover { stack: name, to, lost, planned }.to_string()
}

fn other(way: &RecoveryOverlay, choice: &OverlayChoice, name: &str) -> String {
    let to = &way.overlay;
    if choice.active.contains(to) {
        return format!("  {to}: it is active");
    }
    let assumes = match way.assumes_lost.as_slice() {
        [] => "nothing".to_owned(),
        all => all.join(", "),
    };
    let command = command(way, choice, name);
    let planned =
        if command.contains(" --planned") { "; planned, since all of that answers" } else { "" };
    format!("  {command}\n    assumes lost: {assumes}{planned}")
}

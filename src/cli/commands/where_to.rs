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

/// A usage error that lists them, each with the whole command. Nothing is switched, and nothing is assumed, without a target.
pub async fn where_to(
    context: &CommandContext,
    target: &TargetArgs,
    world: &WorldArgs,
) -> Result<OpsError, OpsError> {
    let place = StackRef::find(&target.stack, &context.directory)?;
    let session = open::session(&place.root, world).await?;
    let choice = choice(&session, &place).await?;
    Ok(OpsError::usage("--to is missing; nothing was changed", told(&choice, &place.name())))
}

fn told(choice: &OverlayChoice, name: &str) -> String {
    if choice.ways.is_empty() {
        return format!("{name} has no overlay to switch to: add one in `overlays/`");
    }
    let mut lines = health(choice);
    lines.push("the overlays, those for a recovery first:".to_owned());
    let ways = choice.ways.iter().map(|way| format!("  {}", overlay(way, choice, name)));
    lines.into_iter().chain(ways).collect::<Vec<_>>().join("\n")
}

/// What is known of the fault domains.
fn health(choice: &OverlayChoice) -> Vec<String> {
    let because = |(name, why): &(String, Unreadable)| format!("{name} ({})", why.why);
    let told = |what: &str, names: Vec<String>| {
        (!names.is_empty()).then(|| format!("{what}: {}", names.join(", ")))
    };
    let mut lines = Vec::new();
    lines.extend(told("declared lost", choice.lost.clone()));
    lines.extend(told("unreachable now", choice.silent.iter().map(because).collect()));
    lines.extend(told("could not be checked", choice.unknown.iter().map(because).collect()));
    lines.extend(told("reachable", choice.answers.clone()));
    let is_deaf =
        !choice.silent.is_empty() && choice.answers.is_empty() && choice.unknown.is_empty();
    lines.extend(
        is_deaf.then(|| {
            "nothing could be reached at all: check this machine's network first".to_owned()
        }),
    );
    lines
}

fn overlay(way: &RecoveryOverlay, choice: &OverlayChoice, name: &str) -> String {
    let assumes_nothing = way.assumes_lost.is_empty();
    let to = way.overlay.as_str();
    // What is declared lost stays so: no switch is a planned one then.
    let planned = assumes_nothing && choice.lost.is_empty();
    let declared = choice.lost.iter().filter(|_| assumes_nothing).map(String::as_str);
    let switch = AdvisedCommand::Failover { stack: name, to, lost: declared.collect(), planned };
    let assumes = if assumes_nothing { "nothing".to_owned() } else { way.assumes_lost.join(", ") };
    let fits = match choice.fits.as_deref() {
        _ if choice.active.contains(&way.overlay) => "; it is active",
        Some(fits) if fits == to => "; it fits what is unreachable",
        _ => "",
    };
    // Somebody who types this declares them lost.
    let alive: Vec<&str> = way
        .assumes_lost
        .iter()
        .filter(|it| choice.answers.contains(it) && !fits.is_empty())
        .map(String::as_str)
        .collect();
    let alive = match alive.as_slice() {
        [] => String::new(),
        [one] => format!(", but also declares {one} lost, which answers"),
        more => format!(", but also declares {} lost, which answer", more.join(", ")),
    };
    format!("{to} assumes lost: {assumes}{fits}{alive}: {switch}")
}

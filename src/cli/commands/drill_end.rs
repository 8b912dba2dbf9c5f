//! What a drill says at its end: how each of its parts went, what it did not show, and what it left.

use crate::cli::context::CommandContext;
use crate::cli::exit::Exit;
use crate::cli::{ending, out};
use crate::engine::address::Address;
use crate::engine::text::advice::AdvisedCommand;
use crate::ops::drill::cleanup::Cleaned;
use crate::ops::drill::rehearsal::DrillRun;
use crate::ops::drill::spec::DrillSpec;

/// How a drill ended, in words and for the document.
pub fn ended(context: &CommandContext, script: &DrillSpec, it: &DrillRun) -> Exit {
    out::end_bars();
    let mut unshown = Vec::new();
    ending::part("apply", &it.applied);
    if let Some(switched) = &it.switched {
        ending::part("switch", switched);
    }
    unshown.extend(it.refused.iter().map(|why| format!("the switch was not carried out: {why}")));
    for (address, took) in &it.replicated {
        match took {
            Ok(took) => out::talk(&format!(
                "replication: verified at {address} after {:.1} s",
                took.as_secs_f64()
            )),
            Err(why) => unshown.push(format!("replication: {address}: {why}")),
        }
    }
    let named = |addresses: &[Address]| {
        addresses.iter().map(|it| format!("`{it}`")).collect::<Vec<_>>().join(", ")
    };
    for (what, addresses) in [
        ("deleted, but not in the preview", &it.surprises.unforeseen),
        ("in the preview, but not deleted", &it.surprises.undeleted),
    ] {
        if !addresses.is_empty() {
            unshown.push(format!(
                "the cleanup differed from the preview: {what}: {}",
                named(addresses)
            ));
        }
    }
    for it in &unshown {
        out::talk(it);
    }
    context.note(|facts| facts.stopped = facts.stopped.take().or(joined(&unshown)));
    told(script, &it.cleaned);
    it.ending().into()
}

/// What a drill should have shown and did not.
fn joined(unshown: &[String]) -> Option<String> {
    (!unshown.is_empty()).then(|| unshown.join("; "))
}

/// How its cleanup ended.
pub fn told(script: &DrillSpec, cleaned: &Cleaned) -> Exit {
    out::end_bars();
    ending::part("cleanup", &cleaned.report);
    if cleaned.leftovers.is_empty() {
        out::talk("no resources remain");
    }
    for it in &cleaned.leftovers {
        out::talk(&format!("remaining: {it}"));
    }
    let (stack, to) = (&script.ask.place.stack, &script.overlay);
    for task in &cleaned.in_force {
        let again = AdvisedCommand::Drill { stack, to, cleanup: true };
        out::talk(&format!(
            "task `{task}` is still in force: its `undo` failed; run it again: {again}"
        ));
    }
    cleaned.ending().into()
}

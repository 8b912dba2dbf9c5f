//! `drill`: shows what is rehearsed, asks, rehearses it, reports, and leaves nothing behind.

use std::sync::Arc;

use crate::cli::args::{Allow, Losing, Target, World};
use crate::cli::commands::apply::{Consent, agreed, may_go_on, refuse, show};
use crate::cli::commands::plan::warn;
use crate::cli::commands::{Scene, reports};
use crate::cli::exit::Exit;
use crate::cli::{ending, open, out, progress, signals};
use crate::engine::plan::change::Plan;
use crate::engine::plan::propose::Intent;
use crate::engine::stack::model::Stack;
use crate::ops::drill::{Audience, Cleaned, Part, Rehearsal, Script, clean_up, rehearse};
use crate::ops::error::OpsError;
use crate::ops::instance::undeletable;
use crate::ops::job::Progress;
use crate::ops::load;
use crate::ops::plan::plan_on;
use crate::render::words::count;

/// What a drill is asked to do.
pub struct Wanted {
    pub to: String,
    pub losing: Losing,
    pub cleanup: bool,
    pub yes: bool,
}

pub async fn drill(
    scene: &Scene,
    target: &Target,
    world: &World,
    wanted: &Wanted,
) -> Result<Exit, OpsError> {
    let consent = Consent { yes: wanted.yes, switch: true, data_loss: false };
    may_go_on(consent)?;
    let layers = target.under(vec![wanted.to.clone()]);
    let mut ask = open::ask(&scene.directory, &layers, &Allow::default(), Intent::Apply)?;
    let stack = load::instance_of(&ask.place, &wanted.to)?;
    let Some(instance) = stack.instance.clone() else {
        return Err(no_instance(&wanted.to));
    };
    if ask.place.instance.as_ref().is_some_and(|it| *it != instance) {
        return Err(another_instance(&ask.place.name(), &ask.place.stack, &wanted.to, &instance));
    }
    ask.place.instance = Some(instance);
    let session = open::session(&ask.place.root, world).await?;
    let script = Script {
        ask: ask.clone(),
        rehearses: stack.rehearses.iter().map(|(name, _)| name.clone()).collect(),
        losses: open::losses(&wanted.losing),
        command: scene.command.clone(),
    };
    let audience = Screen { scene };
    if wanted.cleanup {
        let cleaned = clean_up(&session, &script, &audience).await?;
        return Ok(told(&cleaned));
    }
    let (lease, state) = open::lease(&session, &ask.place, &scene.command)?;
    if state.as_ref().is_some_and(|it| !it.records.is_empty() || !it.begun.is_empty()) {
        return Err(in_use(&ask.place.name(), &ask.place.stack, &wanted.to));
    }
    let proposed = plan_on(&session, &ask, state).await?;
    warn(&proposed, scene.color);
    show(scene, &proposed.plan);
    refuse(&proposed.plan)?;
    if proposed.plan.changes.iter().any(|it| it.unseen.is_some()) {
        out::talk("a part of the world does not answer, and a drill can wait; nothing was changed");
        return Ok(Exit::Unseen);
    }
    cleanable(&proposed.desired.stack, &session.catalog)?;
    out::talk(&format!(
        "rehearsed on this: {}; then everything of {} is deleted again, data included",
        rehearsed(&stack),
        ask.place.name()
    ));
    if !wanted.yes && !agreed("Rehearse it? Only `yes` is accepted:", "yes") {
        out::talk("nothing changed");
        return Ok(Exit::Refused);
    }
    let signals = signals::listen()?;
    let rehearsed = rehearse(&session, lease, proposed, &script, &audience, &signals.stop);
    let rehearsal = tokio::select! {
        ended = rehearsed => ended?,
        () = signals.second() => {
            out::talk(&format!("stopped in the middle; {}", cleanup_of(&ask.place.stack, &wanted.to)));
            return Ok(signals.number().map_or(Exit::Failed, Exit::Signal));
        }
    };
    let exit = ended(&rehearsal);
    let report = rehearsal.report(&session, &script);
    reports::tell_and_keep(&session, &ask.place, &report);
    // What a drill is for: an objective that is missed fails it.
    let exit = if exit == Exit::Done && !report.passed() { Exit::Failed } else { exit };
    Ok(signals.number().map_or(exit, Exit::Signal))
}

fn rehearsed(stack: &Stack) -> String {
    let names: Vec<&str> = stack.rehearses.iter().map(|(name, _)| name.as_str()).collect();
    if names.is_empty() {
        "making it from nothing".to_owned()
    } else {
        format!("the switch to {}", names.join(" + "))
    }
}

/// A cleanup that a protection would stop is found out before anything is made.
fn cleanable(stack: &Stack, catalog: &crate::engine::schema::Catalog) -> Result<(), OpsError> {
    let kept = undeletable(stack, catalog);
    if kept.is_empty() {
        return Ok(());
    }
    Err(OpsError::refused(
        format!("the cleanup could not delete everything: {}", kept.join(", ")),
        "lift that in the drill's overlay; nothing was changed",
    ))
}

fn no_instance(overlay: &str) -> OpsError {
    OpsError::input(
        format!("overlay `{overlay}` has no `instance`, so a drill of it would be the real thing"),
        "write `instance: drill` into it, and give what it makes names of its own",
    )
}

fn another_instance(name: &str, stack: &str, overlay: &str, own: &str) -> OpsError {
    OpsError::refused(
        format!("a drill of `{overlay}` happens in {stack}@{own}, and this is {name}"),
        format!("`lifeboat drill {stack} --to {overlay}`; nothing was changed"),
    )
}

fn cleanup_of(stack: &str, overlay: &str) -> String {
    format!("`lifeboat drill {stack} --to {overlay} --cleanup` deletes what is left of it")
}

fn in_use(name: &str, stack: &str, overlay: &str) -> OpsError {
    OpsError::refused(
        format!("{name} is in use: another drill is going on, or was not cleaned up"),
        cleanup_of(stack, overlay),
    )
}

struct Screen<'a> {
    scene: &'a Scene,
}

impl Audience for Screen<'_> {
    fn begins(&self, part: Part, plan: &Plan) {
        match part {
            Part::Apply => out::talk("apply: home, as it is before the disaster"),
            Part::Switch => {
                out::talk("switch: what is rehearsed");
                show(self.scene, plan);
            }
            Part::Cleanup => {
                let steps = count(plan.steps.len(), "step");
                out::talk(&format!("cleanup: {steps}"));
            }
        }
    }

    fn listener(&self, plan: &Plan) -> Arc<dyn Fn(Progress) + Send + Sync> {
        progress::listener(plan)
    }
}

fn ended(it: &Rehearsal) -> Exit {
    ending::part("apply", &it.applied);
    if let Some(switched) = &it.switched {
        ending::part("switch", switched);
    }
    if let Some(why) = &it.refused {
        out::talk(&format!("the switch was not made: {why}"));
    }
    for (address, took) in &it.replicated {
        match took {
            Ok(took) => out::talk(&format!(
                "replication: a written item arrived at {address} after {:.1} s",
                took.as_secs_f64()
            )),
            Err(why) => out::talk(&format!("replication: {address}: {why}")),
        }
    }
    match told(&it.cleaned) {
        Exit::Done if it.succeeded() => Exit::Done,
        Exit::Done => Exit::Failed,
        other => other,
    }
}

fn told(cleaned: &Cleaned) -> Exit {
    ending::part("cleanup", &cleaned.report);
    if cleaned.leftovers.is_empty() {
        out::talk("nothing is left behind");
        return Exit::Done;
    }
    for it in &cleaned.leftovers {
        out::talk(&format!("left behind: {it}"));
    }
    Exit::Unseen
}

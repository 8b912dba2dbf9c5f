//! `apply` and `destroy`: shows, asks, carries out, and says what is done and what is not.

use std::path::Path;
use std::sync::Arc;

use crate::cli::args::{Allow, Layers, Losing, World};
use crate::cli::commands::Scene;
use crate::cli::commands::plan::{note_drill, read, warn};
use crate::cli::commands::reports;
use crate::cli::commands::status::pending;
use crate::cli::exit::Exit;
use crate::cli::{ending, open, out, progress, report, signals};
use crate::engine::plan::change::{Note, Plan};
use crate::engine::plan::guard::Allowed;
use crate::engine::plan::propose::{Intent, Keep};
use crate::engine::plan::wire::plan_digest;
use crate::engine::state::record::State;
use crate::ops::apply::is_idle;
use crate::ops::bindings::{bindings, broken_bindings};
use crate::ops::closing::Order;
use crate::ops::course::{Losses, named};
use crate::ops::error::OpsError;
use crate::ops::ledger;
use crate::ops::place::Place;
use crate::ops::plan::{Ask, Proposed, overlays_of, plan_on};
use crate::ops::session::{Session, Target};
use crate::render::outline::Shown;
use crate::render::text::{TextOptions, text};
use crate::store::lease::Lease;

/// Refusals that come from what is there, not from what is asked for.
const WORLD: [&str; 4] = ["exists_already", "split_group", "prevent_destroy", "cloud_protection"];

/// What was agreed to on the command line.
#[derive(Debug, Clone, Copy)]
pub struct Consent {
    pub yes: bool,
    pub switch: bool,
    pub data_loss: bool,
}

pub async fn apply(
    scene: &Scene,
    layers: &Layers,
    world: &World,
    allow: &Allow,
    losing: &Losing,
    consent: Consent,
) -> Result<Exit, OpsError> {
    let file = scene.directory.join(&layers.stack);
    if file.is_file() && !file.ends_with("stack.yaml") {
        return saved(scene, &file, layers, world, consent).await;
    }
    if file.extension().is_some_and(|it| it == "json") {
        let what = format!("there is no plan file {}", file.display());
        return Err(OpsError::input(what, "make one with `lifeboat plan STACK --out FILE`"));
    }
    may_go_on(consent)?;
    let mut ask = open::ask(&scene.directory, layers, allow, Intent::Apply)?;
    ask.losses = open::losses(losing);
    ask.include_pending = losing.include_pending;
    let session = open::session(&ask.place.root, world).await?;
    let (lease, state) = open::lease(&session, &ask.place, &scene.command)?;
    if let (Some(asked), Some(state)) = (&ask.overlays, &state) {
        let asked = overlays_of(Some(asked), None);
        if asked != state.active && !state.records.is_empty() && !consent.switch {
            return Err(unasked_switch(&ask.place, state, &asked));
        }
    }
    state_is_there(&session, &ask, state.is_some())?;
    let proposed = plan_on(&session, &ask, state).await?;
    let question = "Apply these changes? Only `yes` is accepted:";
    settled_with(scene, &session, lease, proposed, &ask, consent, question).await
}

/// Shows a plan, asks, and carries it out.
pub async fn settled_with(
    scene: &Scene,
    session: &Arc<Session>,
    lease: Lease,
    proposed: Proposed,
    ask: &Ask,
    consent: Consent,
    question: &str,
) -> Result<Exit, OpsError> {
    warn(&proposed, scene.color);
    let forecast = reports::forecast(session, &ask.place, &proposed);
    show(scene, Shown { plan: &proposed.plan, forecast: forecast.as_ref() });
    note_drill(&ask.place, &proposed.desired.stack);
    refuse(&proposed.plan)?;
    if is_idle(&proposed) {
        let waits = proposed.plan.waiting().next().is_some();
        out::talk(if waits { "nothing can be done now" } else { "nothing to do" });
        return Ok(unseen_or_done(&proposed.plan));
    }
    if !consent.yes && !agreed(question, "yes") {
        out::talk("nothing changed");
        return Ok(Exit::Refused);
    }
    carry_out(scene, session, lease, proposed, ask).await
}

/// Runs the steps of a saved plan and nothing else.
async fn saved(
    scene: &Scene,
    file: &Path,
    layers: &Layers,
    world: &World,
    consent: Consent,
) -> Result<Exit, OpsError> {
    let (plan, envelope) = read(file)?;
    may_go_on(consent)?;
    let name =
        plan.instance.as_ref().map_or(plan.stack.clone(), |it| format!("{}@{it}", plan.stack));
    let place = Place::find(&name, &scene.directory)?;
    let intent = if plan.bindings.intent == "destroy" { Intent::Destroy } else { Intent::Apply };
    let ask = Ask {
        place,
        overlays: Some(plan.overlays.clone()),
        given: open::variables(layers)?,
        intent,
        allowed: Allowed::default(),
        losses: Losses::Only(plan.lost.iter().map(|it| it.fault_domain.clone()).collect()),
        only_switch: false,
        include_pending: false,
        keep: Keep::Nothing,
    };
    let session = open::session(&ask.place.root, world).await?;
    if plan.bindings.target != session.target.word() {
        let (made_for, this) = (&plan.bindings.target, session.target.word());
        let what = format!("the plan was made for the {made_for}, and this is the {this}");
        return Err(OpsError::refused(what, "check --sandbox; nothing was asked of any cloud"));
    }
    let (lease, state) = open::lease(&session, &ask.place, &scene.command)?;
    let fresh = plan_on(&session, &ask, state.clone()).await?;
    let accounts = fresh.plan.bindings.accounts.clone();
    let now = bindings(&session, ask.intent, &fresh.desired.stack, state.as_ref(), accounts);
    let mut broken = broken_bindings(&plan.bindings, &now);
    // What guards let through was allowed when the plan was made; what the world refuses now is new.
    let of_the_world = |it: &&Note| WORLD.contains(&it.code.as_str()) && !plan.notes.contains(it);
    for note in fresh.plan.refusals().filter(of_the_world) {
        broken.push(note.text.clone());
    }
    if !broken.is_empty() {
        let what = format!("the plan is stale:\n  - {}", broken.join("\n  - "));
        let help = "make a new one with `lifeboat plan … --out FILE`; nothing was changed";
        return Err(OpsError::refused(what, help));
    }
    show(scene, Shown { plan: &plan, forecast: envelope.forecast.as_ref() });
    refuse(&plan)?;
    if !consent.yes && !agreed("Apply this plan? Only `yes` is accepted:", "yes") {
        out::talk("nothing changed");
        return Ok(Exit::Refused);
    }
    let proposed = Proposed { plan, ..fresh };
    carry_out(scene, &session, lease, proposed, &ask).await
}

pub async fn destroy(
    scene: &Scene,
    layers: &Layers,
    world: &World,
    consent: Consent,
) -> Result<Exit, OpsError> {
    may_go_on(consent)?;
    let ask = open::ask(&scene.directory, layers, &Allow::default(), Intent::Destroy)?;
    let session = open::session(&ask.place.root, world).await?;
    let (lease, state) = open::lease(&session, &ask.place, &scene.command)?;
    let proposed = plan_on(&session, &ask, state).await?;
    report::all(&proposed.desired.warnings, &proposed.desired.stack.sources, scene.color);
    show(scene, &proposed.plan);
    refuse(&proposed.plan)?;
    let data: Vec<String> = proposed
        .plan
        .changes
        .iter()
        .filter(|it| it.loses_data)
        .map(|it| format!("  - {} ({})", it.address, it.kind))
        .collect();
    if !data.is_empty() {
        out::talk(&format!("These hold data, which goes with them:\n{}", data.join("\n")));
    }
    if proposed.plan.steps.is_empty() {
        let stays = !ending::staying(&proposed.plan).is_empty();
        out::talk(if stays { "nothing can be destroyed now" } else { "nothing to destroy" });
    } else if !consents(&session, &ask, consent, !data.is_empty())? {
        out::talk("nothing changed");
        return Ok(Exit::Refused);
    }
    carry_out(scene, &session, lease, proposed, &ask).await
}

pub fn show<'a>(scene: &Scene, shown: impl Into<Shown<'a>>) {
    out::data(&text(shown, &TextOptions { color: scene.color, width: 100, verbose: false }));
}

/// On real clouds the stack's name is typed, or `--yes --data-loss` given.
fn consents(session: &Session, ask: &Ask, consent: Consent, data: bool) -> Result<bool, OpsError> {
    if consent.yes && session.target == Target::Clouds && data && !consent.data_loss {
        return Err(OpsError::refused(
            "--yes alone does not destroy data on real clouds",
            "add --data-loss, or leave --yes out and type the stack's name",
        ));
    }
    let name = ask.place.name();
    let question = format!("Type the stack's name, {name}, to destroy it:");
    Ok(consent.yes || agreed(&question, &name))
}

/// A runner without the state of its stack would make everything a second time.
fn state_is_there(session: &Session, ask: &Ask, found: bool) -> Result<(), OpsError> {
    let in_ci = std::env::var_os("CI").is_some_and(|it| !it.is_empty());
    if found || !in_ci || session.is_local {
        return Ok(());
    }
    let folder = ask.place.state(false);
    Err(OpsError::refused(
        format!("this is CI, and there is no state of this stack in {}", folder.display()),
        "bring the state folder to this runner, or make the first apply from where the state is kept",
    ))
}

pub fn may_go_on(consent: Consent) -> Result<(), OpsError> {
    if consent.yes || out::can_ask() {
        return Ok(());
    }
    Err(OpsError::usage("there is no terminal to ask on", "add --yes"))
}

pub fn agreed(question: &str, word: &str) -> bool {
    out::ask(question).as_deref() == Some(word)
}

fn unseen_or_done(plan: &Plan) -> Exit {
    let unseen = plan.changes.iter().any(|it| it.unseen.is_some());
    if unseen || !ending::staying(plan).is_empty() { Exit::Unseen } else { Exit::Done }
}

pub fn refuse(plan: &Plan) -> Result<(), OpsError> {
    if plan.refusals().next().is_none() {
        return Ok(());
    }
    Err(OpsError::refused(
        "a guard stopped this plan; nothing was changed",
        "each refusal above says what would let it through",
    ))
}

fn unasked_switch(place: &Place, state: &State, asked: &[String]) -> OpsError {
    let name = place.name();
    let proper = match asked.strip_prefix(state.home.as_slice()) {
        Some([]) => format!("`lifeboat failback {name}`"),
        Some([overlay]) => format!("`lifeboat failover {name} --to {overlay}`"),
        _ => "a saved plan".to_owned(),
    };
    let words =
        if asked.is_empty() { vec!["base"] } else { asked.iter().map(String::as_str).collect() };
    let flags = format!(" -o {}", words.join(" -o "));
    OpsError::refused(
        format!(
            "the active overlays are {}, and this would switch to {}",
            named(&state.active),
            named(asked)
        ),
        format!("if that is meant: {proper}, or `lifeboat apply {name}{flags} --switch`"),
    )
}

async fn carry_out(
    scene: &Scene,
    session: &Arc<Session>,
    lease: Lease,
    proposed: Proposed,
    ask: &Ask,
) -> Result<Exit, OpsError> {
    let signals = signals::listen()?;
    lease.pulse().when_over(|over| {
        out::talk(&format!("{over}: nothing new is started; calls in flight finish"));
    });
    let order = Order {
        command: scene.command.clone(),
        intent: ask.intent,
        instance: ask.place.instance.clone(),
        plan_digest: plan_digest(&proposed.plan),
    };
    let tell = progress::listener(&proposed.plan);
    let (otherwise, left) =
        (unseen_or_done(&proposed.plan), ending::left(&proposed.plan, &ask.place.name()));
    let recorded = ending::recorded(&proposed.plan);
    let switching = ledger::switching(&proposed);
    let report =
        crate::ops::apply::apply(session, lease, proposed, &order, tell, signals.stop.clone())
            .await?;
    ending::tell(&report, ask.intent, &recorded);
    if let Some(left) = left {
        out::talk(&left);
    }
    if let Some(switching) = &switching {
        reports::conclude(scene, session, &ask.place, switching, &report);
        if report.ends_switch() {
            pending(session, ask);
        } else if report.is_complete() {
            let waiting: Vec<String> =
                report.waiting.iter().map(|(it, why)| format!("{it}: {why}")).collect();
            out::talk(&format!(
                "the switch is not over: {}; `lifeboat apply {}` goes on with it",
                waiting.join("; "),
                ask.place.name()
            ));
        }
    }
    Ok(match signals.number() {
        Some(number) => Exit::Signal(number),
        None if report.lease_over.is_some() => Exit::Held,
        None if !report.is_complete() && ask.intent == Intent::Destroy => Exit::Unseen,
        None if !report.is_complete() => Exit::Failed,
        None => otherwise,
    })
}

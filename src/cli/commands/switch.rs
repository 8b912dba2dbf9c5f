//! `failover`, `failback`, `found`: switches between sites, and the end of a loss.

use crate::cli::args::{Allow, Losing, StateArgs, Target, World};
use crate::cli::commands::Scene;
use crate::cli::commands::apply::{Consent, may_go_on, named, settled_with};
use crate::cli::exit::Exit;
use crate::cli::{open, out};
use crate::engine::plan::propose::{Intent, Keep};
use crate::engine::state::record::State;
use crate::ops::course::Losses;
use crate::ops::error::OpsError;
use crate::ops::place::Place;
use crate::ops::plan::{Ask, plan_on};
use crate::ops::session::Session;
use crate::ops::thaw;
use crate::store::lease::Lease;

/// What every switch is given.
pub struct Wanted {
    pub allow: Allow,
    pub world: World,
    pub yes: bool,
}

/// What is special about the way home.
pub struct Back {
    pub lost: Vec<String>,
    pub keep_standby: bool,
    pub include_pending: bool,
}

pub async fn failover(
    scene: &Scene,
    target: &Target,
    to: &str,
    losing: &Losing,
    wanted: &Wanted,
) -> Result<Exit, OpsError> {
    let consent = Consent { yes: wanted.yes, switch: true, data_loss: false };
    may_go_on(consent)?;
    let (ask, session, lease, state) =
        begin(
            scene,
            target,
            wanted,
            |state| Ok([state.home.clone(), vec![to.to_owned()]].concat()),
        )
        .await?;
    let ask = Ask { losses: open::losses(losing), include_pending: losing.include_pending, ..ask };
    if losing.lost.is_empty() && !losing.planned {
        says_what_is_lost(&ask, &state, to)?;
    }
    let proposed = plan_on(&session, &ask, Some(state)).await?;
    let question = format!("Fail over to {to}? Only `yes` is accepted:");
    settled_with(scene, &session, lease, proposed, &ask, consent, &question).await
}

pub async fn failback(
    scene: &Scene,
    target: &Target,
    back: Back,
    wanted: &Wanted,
) -> Result<Exit, OpsError> {
    let consent = Consent { yes: wanted.yes, switch: true, data_loss: false };
    may_go_on(consent)?;
    let (ask, session, lease, state) =
        begin(scene, target, wanted, |state| Ok(state.home.clone())).await?;
    let thaws: Vec<String> = state
        .lost
        .iter()
        .map(|it| it.fault_domain.clone())
        .filter(|it| !back.lost.contains(it))
        .collect();
    let silent = thaw::silent(&session, &state, &thaws).await;
    if let Some((domain, why)) = silent.first() {
        let flags: Vec<String> = silent.iter().map(|(it, _)| format!("--lost {it}")).collect();
        return Err(OpsError::refused(
            format!("{domain} is still silent: {why}"),
            format!(
                "wait until it answers, or go home without it: `lifeboat failback {} {}`; nothing was changed",
                ask.place.name(),
                flags.join(" ")
            ),
        ));
    }
    let ask = Ask {
        losses: Losses::Only(back.lost),
        include_pending: back.include_pending,
        keep: if back.keep_standby { Keep::All } else { Keep::Data },
        ..ask
    };
    let proposed = plan_on(&session, &ask, Some(state)).await?;
    let question = "Fail back home? Only `yes` is accepted:";
    settled_with(scene, &session, lease, proposed, &ask, consent, question).await
}

type Begun = (Ask, std::sync::Arc<Session>, Lease, State);

/// Takes the lease and the state, which must know what home is.
async fn begin(
    scene: &Scene,
    target: &Target,
    wanted: &Wanted,
    overlays: impl FnOnce(&State) -> Result<Vec<String>, OpsError>,
) -> Result<Begun, OpsError> {
    let layers = target.under(Vec::new());
    let mut ask = open::ask(&scene.directory, &layers, &wanted.allow, Intent::Apply)?;
    let session = open::session(&ask.place.root, &wanted.world).await?;
    let store = session.store(&ask.place);
    // Who has nothing to switch is told before anything is locked.
    store.load()?.filter(|it| !it.records.is_empty()).ok_or_else(|| nothing_yet(&ask.place))?;
    let (lease, state) = open::preempt(&session, &ask.place, &scene.command)?;
    let state = state.ok_or_else(|| nothing_yet(&ask.place))?;
    ask.overlays = Some(overlays(&state)?);
    Ok((ask, session, lease, state))
}

fn nothing_yet(place: &Place) -> OpsError {
    let name = place.name();
    OpsError::input(
        format!("nothing of {name} was applied yet, so there is nothing to switch"),
        format!("apply it first: `lifeboat apply {name}`"),
    )
}

/// An overlay that assumes no loss, and no flag: was the site lost, or is this planned?
fn says_what_is_lost(ask: &Ask, state: &State, to: &str) -> Result<(), OpsError> {
    let goes_on = Some(&state.active) == ask.overlays.as_ref();
    if goes_on || crate::ops::load::assumes_loss(&ask.place, to)? {
        return Ok(());
    }
    let name = ask.place.name();
    let what = format!("overlay `{to}` does not say what is lost");
    if out::can_ask() {
        let question = "Is nothing lost, and both sites alive? Only `yes` is accepted:";
        if out::ask(question).as_deref() == Some("yes") {
            return Ok(());
        }
    }
    Err(OpsError::usage(
        what,
        format!(
            "`lifeboat failover {name} --to {to} --planned` while both sites live, \
             `--lost FAULT_DOMAIN` for each that is gone, or write `assumes_lost` into the overlay"
        ),
    ))
}

/// Ends the loss of one fault domain without a switch.
pub async fn found(scene: &Scene, args: &StateArgs, domain: &str) -> Result<Exit, OpsError> {
    let place = Place::find(&args.stack, &scene.directory)?;
    let session = open::session(&place.root, &args.world).await?;
    let (mut lease, state) = open::lease(&session, &place, &scene.command)?;
    let mut state = state.ok_or_else(|| nothing_yet(&place))?;
    thaw::found(&session, &mut lease, &mut state, domain).await?;
    let left: Vec<&str> = state.lost.iter().map(|it| it.fault_domain.as_str()).collect();
    let left = if left.is_empty() { "nothing".to_owned() } else { left.join(", ") };
    out::talk(&format!(
        "{domain} is found; still lost: {left}; active: {}; `lifeboat plan {}` shows what has to be done",
        named(&state.active),
        place.name()
    ));
    Ok(Exit::Done)
}

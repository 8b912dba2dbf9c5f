//! Plans the failover when the watch begins, so that what would stop it is known before the disaster.

use std::time::Duration;

use crate::engine::plan::planner::Intent;
use crate::engine::text::advice::AdvisedCommand;
use crate::ops::error::OpsError;
use crate::ops::load::layers::assumes_loss;
use crate::ops::load::session::Session;
use crate::ops::load::sides::PlanRequest;
use crate::ops::load::switch_target::Losses;
use crate::ops::plan::make::plan;

/// How long the rehearsal of a watch's failover may take, on the wall's clock. A guess: a plan takes seconds, and a watch that
/// is started again in the middle of a disaster must begin to watch soon.
const LONGEST: Duration = Duration::from_secs(30);

/// The command that shows the plan.
fn shown(ask: &PlanRequest, to: &str) -> String {
    let (name, overlays) = (ask.place.name(), [to.to_owned()]);
    let overlays = ask.overlays.as_deref().unwrap_or(&overlays);
    AdvisedCommand::Plan { stack: &name, overlays, out: None }.to_string()
}

/// Whether `lifeboat failover` would get past its plan. Nothing is written, and no lease is taken.
pub async fn rehearse(session: &Session, ask: &PlanRequest, to: &str) -> Result<(), OpsError> {
    let store = session.store(&ask.place);
    let Some(state) = store.load()?.filter(|it| !it.records.is_empty()) else {
        let name = ask.place.name();
        return Err(OpsError::input(
            format!("{name} has not been applied yet, so it cannot fail over"),
            format!("apply it first: {}", AdvisedCommand::Apply { stack: &name }),
        ));
    };
    let overlays = [state.home, vec![to.to_owned()]].concat();
    if state.active == overlays {
        return Ok(());
    }
    if ask.losses == Losses::Assumed && !assumes_loss(&ask.place, to)? {
        return Err(OpsError::usage(
            format!("overlay `{to}` has no `assumes_lost`, so a failover would have to ask"),
            "add --lost for each fault domain that is lost when the URL is down, or add `assumes_lost` to the overlay",
        ));
    }
    let ask = PlanRequest { overlays: Some(overlays), intent: Intent::Apply, ..ask.clone() };
    let proposed = tokio::time::timeout(LONGEST, plan(session, &ask)).await;
    let proposed = proposed.map_err(|_| {
        let what = format!("its plan takes longer than {} s", LONGEST.as_secs());
        OpsError::input(what, format!("see {}", shown(&ask, to)))
    })??;
    let refusals: Vec<String> =
        proposed.plan.refusals().map(|it| format!("{} [{}]", it.text, it.code)).collect();
    if refusals.is_empty() {
        return Ok(());
    }
    Err(OpsError::refused(
        format!("a failover to {to} would be refused: {}", refusals.join("; ")),
        format!("see {}; nothing was changed", shown(&ask, to)),
    ))
}

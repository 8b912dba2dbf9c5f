//! Overlays that are named to `apply`: where they are not the active ones, another command switches.

use crate::engine::state::record::State;
use crate::engine::text::advice::AdvisedCommand;
use crate::engine::text::names::OverlayNames;
use crate::ops::error::OpsError;
use crate::ops::load::layers::{assumes_loss, overlay_file};
use crate::ops::load::sides::{PlanRequest, overlays_of};
use crate::ops::load::stack_ref::StackRef;

/// Whether the overlays that are named are the active ones: another command switches.
pub fn is_no_switch(ask: &PlanRequest, state: Option<&State>) -> Result<(), OpsError> {
    let (Some(asked), Some(state)) = (&ask.overlays, state) else { return Ok(()) };
    let asked = overlays_of(Some(asked), None);
    // What is not there is no switch that somebody did not mean.
    for name in &asked {
        overlay_file(&ask.place, name)?;
    }
    if asked != state.active && !state.records.is_empty() {
        return Err(unasked_switch(&ask.place, state, &asked));
    }
    Ok(())
}

fn unasked_switch(place: &StackRef, state: &State, asked: &[String]) -> OpsError {
    let name = place.name();
    let proper = match asked.strip_prefix(state.home.as_slice()) {
        Some([]) => AdvisedCommand::Failback { stack: &name, lost: Vec::new() }.to_string(),
        Some([to]) => {
            let failover =
                |planned| AdvisedCommand::Failover { stack: &name, to, lost: Vec::new(), planned };
            // Whoever types a command while both sites are up must not declare one of them lost by it.
            let planned = format!("{}, while both sites are up", failover(true));
            if assumes_loss(place, to).unwrap_or(true) {
                format!("{planned}; {}, if its fault domains are lost", failover(false))
            } else {
                planned
            }
        }
        _ => "a saved plan".to_owned(),
    };
    let switch = AdvisedCommand::ApplySwitch { stack: &name, overlays: asked };
    OpsError::refused(
        format!(
            "{} is active, and this apply would switch to {}; nothing was changed",
            OverlayNames(&state.active),
            OverlayNames(asked)
        ),
        format!("if you want to switch: {proper}; or {switch}"),
    )
}

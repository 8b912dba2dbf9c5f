//! What can be said of a stranger's layers, without secrets, clouds or a state: whether they are valid.

use crate::engine::lang::merge::variables::RememberedVariables;
use crate::kinds;
use crate::ops::error::OpsError;
use crate::ops::load::layers;
use crate::ops::load::sides::{PlanRequest, overlays_of};

/// The layers that were asked for, and then each overlay alone.
pub(super) fn validated(ask: &PlanRequest) -> Result<(), OpsError> {
    let catalog = kinds::builtin();
    let asked = overlays_of(ask.overlays.as_deref(), None);
    let single = layers::overlays(&ask.place).into_iter().map(|it| vec![it]);
    for overlays in [asked].into_iter().chain(single) {
        layers::desired(&ask.place, &overlays, &ask.given, RememberedVariables::none(), &catalog)?;
    }
    Ok(())
}

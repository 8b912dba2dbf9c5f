//! `plan --store`: a plan is kept beside the state for its review.

use std::sync::Arc;

use crate::cli::out;
use crate::engine::plan::format::codec::{PlanEnvelope, encode, plan_digest};
use crate::engine::text::advice::AdvisedCommand;
use crate::ops::error::OpsError;
use crate::ops::load::session::Session;
use crate::ops::load::stack_ref::StackRef;
use crate::ops::plan::bindings::inputs_digest;
use crate::ops::plan::make::Proposed;
use crate::store::lock_record::wall;
use crate::store::state_store::StateStore;
use crate::store::stored_plans::{StoredPlan, StoredPlans};

/// The plans that are kept beside a state.
pub fn plans_of(store: &StateStore) -> StoredPlans {
    StoredPlans::of(Arc::clone(store.backend()))
}

/// Stores a plan for its review, unless a guard refuses it: that can be reviewed, and not applied.
pub fn store(
    session: &Session,
    place: &StackRef,
    proposed: &Proposed,
    envelope: &PlanEnvelope,
) -> Result<(), OpsError> {
    if proposed.plan.refusals().next().is_some() {
        out::talk("not stored: a guard refused it, so it cannot be applied");
        return Ok(());
    }
    let stored = kept(session, place, proposed, envelope);
    plans_of(&session.store(place)).put(&stored)?;
    let apply = AdvisedCommand::ApplyReviewed { stack: &place.name() };
    out::talk(&format!("stored for review as {}; run {apply} once it is reviewed", stored.digest));
    Ok(())
}

/// A plan as it is kept.
pub fn kept(
    session: &Session,
    place: &StackRef,
    proposed: &Proposed,
    envelope: &PlanEnvelope,
) -> StoredPlan {
    let inputs = inputs_digest(session, place, &proposed.desired.stack);
    let digest = plan_digest(&proposed.plan);
    StoredPlan::new(&inputs, &digest, encode(&proposed.plan, envelope), (&session.who, wall()))
}

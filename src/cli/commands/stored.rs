//! `plan --store`: a plan is kept beside the state for its review.

use std::sync::Arc;

use crate::cli::out;
use crate::engine::plan::format::codec::{PlanEnvelope, encode, inputs_digest, plan_digest};
use crate::engine::plan::model::change::Plan;
use crate::engine::text::advice::AdvisedCommand;
use crate::ops::error::OpsError;
use crate::ops::load::session::Session;
use crate::ops::load::stack_ref::StackRef;
use crate::ops::plan::make::Proposed;
use crate::store::lock_record::wall;
use crate::store::state_store::StateStore;
use crate::store::stored_plans::{StoredPlan, StoredPlans};

/// The plans that are kept beside a state.
pub fn plans_of(store: &StateStore) -> StoredPlans {
    StoredPlans::of(Arc::clone(store.backend()))
}

/// Stores a plan for its review, unless a guard refuses it: that can be reviewed, and not applied. Returns the digest of what is stored.
pub fn store(
    session: &Session,
    place: &StackRef,
    proposed: &Proposed,
    envelope: &PlanEnvelope,
) -> Result<Option<String>, OpsError> {
    if proposed.plan.refusals().next().is_some() {
        out::talk("not stored: a guard refused it, so it cannot be applied");
        return Ok(None);
    }
    let stored = kept(&proposed.plan, envelope);
    plans_of(&session.store(place)).put(&stored)?;
    let apply = AdvisedCommand::ApplyReviewed { stack: &place.name() };
    out::talk(&format!("stored for review as {}; run {apply} once it is reviewed", stored.digest));
    Ok(Some(stored.digest))
}

/// A plan as it is kept.
pub fn kept(plan: &Plan, envelope: &PlanEnvelope) -> StoredPlan {
    let (inputs, digest) = (inputs_digest(plan), plan_digest(plan));
    StoredPlan::new(&inputs, &digest, encode(plan, envelope), (&envelope.by, wall()))
}

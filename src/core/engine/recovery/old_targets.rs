//! Where users may still be sent after a traffic shift: by what DNS caches answer, and until when.

use crate::engine::plan::model::change::Plan;
use crate::engine::recovery::user_routes::UserRoute;
use crate::engine::state::record::{Draining, State};

/// What a name led to before, and DNS caches may still answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OldTarget<'a> {
    /// The name, its old targets, and when no cache answers them any more.
    pub route: &'a Draining,
    pub becomes: OldTargetFate,
}

/// What becomes of it until then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OldTargetFate {
    /// Something is to be deleted, and waits for the last of its users.
    Kept,
    /// Nothing is to be deleted: it stands as it did.
    Stands,
    /// It was lost when its users were led away: whoever comes is served nowhere.
    Lost,
}

/// All of them at a time, in milliseconds since the Unix epoch. What a later switch led users back to is no old target any more.
pub fn old_targets<'a>(
    state: &'a State,
    routes: &[UserRoute],
    pending: Option<&Plan>,
    now: i64,
) -> Vec<OldTarget<'a>> {
    let deletes = pending.is_some_and(|it| it.changes.iter().any(|it| it.action.destroys()));
    let drained = if deletes { OldTargetFate::Kept } else { OldTargetFate::Stands };
    let is_old = |it: &&Draining| {
        let route = routes.iter().find(|route| route.address == it.address);
        it.until > now && !route.is_some_and(|to| it.was.iter().all(|was| to.to.contains(was)))
    };
    let of = |becomes| move |route| OldTarget { route, becomes };
    let drained = state.draining.iter().filter(is_old).map(of(drained));
    drained.chain(state.cached.iter().filter(is_old).map(of(OldTargetFate::Lost))).collect()
}

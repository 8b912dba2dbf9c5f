//! Serving sets that a plan makes smaller: users are still served, by fewer.

use std::collections::BTreeSet;

use crate::engine::address::Address;
use crate::engine::plan::model::change::{Action, Danger};
use crate::engine::plan::model::planned_change::{PlannedChange, set_name};
use crate::engine::plan::traffic::serving::{
    ServingView, after, container_of, holders, serving_sets,
};
use crate::engine::schema::Sort;

/// What takes a member out of a set that has fewer afterwards, each with how many are left. `left`: what nobody is directed to
/// any more. Where the container of a set goes, users go elsewhere, and a name that is gone altogether is told as such.
pub fn shrunk(planned: &[PlannedChange<'_>], left: &BTreeSet<Address>) -> Vec<Danger> {
    let is_touched =
        |it: &PlannedChange<'_>| it.record.is_some() && it.change.action != Action::NoOp;
    if !planned.iter().any(is_touched) {
        return Vec::new();
    }
    let (view, holders) = (ServingView::new(planned), holders(planned));
    let is_orphan = |it: &&PlannedChange<'_>| {
        let holder = container_of(it, &holders).and_then(|it| view.get(it));
        holder.is_some_and(|it| it.change.action.destroys())
    };
    let mut told = BTreeSet::new();
    let mut found = Vec::new();
    for (name, members) in &serving_sets(planned) {
        let members = || members.iter().map(|at| &planned[*at]);
        let was = |it: &&PlannedChange<'_>| {
            let recorded = it.record.map(|it| &it.attributes);
            recorded.is_some_and(|of| set_name(it.kind, of) == *name) && view.before(it)
        };
        let stays = |it: &&PlannedChange<'_>| {
            let attributes = after(it);
            attributes.is_some_and(|of| set_name(it.kind, &of) == *name) && view.after(it)
        };
        let (before, now) = (members().filter(was).count(), members().filter(stays).count());
        if now >= before {
            continue;
        }
        let leaving = members().filter(was).filter(|it| !stays(it) && !is_orphan(it));
        let leaving = leaving.filter(|it| !left.contains(&it.change.address));
        for it in leaving {
            let is_told = it.kind.drain.is_some() && it.change.action == Action::Delete;
            let says = match now {
                // A name that is deleted is told as such.
                0 if is_told => continue,
                0 if it.kind.drain.is_some() => "its old name will no longer resolve".to_owned(),
                0 => "nothing will serve its users in its place".to_owned(),
                now => format!("its users will be served by {now} instead of {before}"),
            };
            let address = &view.culprit(it).change.address;
            if told.insert((address, name)) {
                let (address, stays) = (address.clone(), Vec::new());
                found.push(Danger { address, sort: Sort::Traffic, says, stays });
            }
        }
    }
    found
}

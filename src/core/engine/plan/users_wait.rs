//! What users would wait for although something serves already where they are about to be directed.

use std::collections::BTreeSet;

use crate::engine::address::Address;
use crate::engine::lang::model::Stack;
use crate::engine::plan::draft::topology::DesiredTopology;
use crate::engine::plan::model::change::{Action, Change, Plan, Step, StepCall};
use crate::engine::plan::traffic::serving::lets_serve;
use crate::engine::schema::{Catalog, Kind};
use crate::engine::state::record::State;
use crate::engine::text::codes::DiagnosticCode;
use crate::engine::text::diagnostic::Diagnostic;

/// One name whose users wait for more than has to be there.
#[derive(Debug, PartialEq, Eq)]
pub struct UsersWaiting {
    pub name: Address,
    /// What serves where it is about to lead.
    pub serves: Address,
    /// What is made first.
    pub made: Vec<Address>,
}

/// The first name that a plan directs elsewhere only after more was made there, where something serves already.
pub fn waiting(
    catalog: &Catalog,
    stack: &Stack,
    state: &State,
    plan: &Plan,
) -> Option<UsersWaiting> {
    let moves = plan.steps.iter().filter(|it| it.shift.is_some() && it.call.mutates());
    let wanted = DesiredTopology::new(catalog, stack);
    let changed = |address: &Address| plan.changes.iter().find(|it| it.address == *address);
    moves.into_iter().find_map(|step| {
        let instance = stack.instances.get(&step.address)?;
        let kind = catalog.get(&step.kind).filter(|it| it.drain.is_some())?;
        let roots = wanted.targets(kind, instance);
        let serves = wanted
            .contained(&roots)
            .into_iter()
            .find(|it| changed(it).is_some_and(|change| serves_now(catalog, state, change)))?;
        let closure = wanted.closure(&roots);
        let made: Vec<Address> = before(&plan.steps, step)
            .into_iter()
            .map(|it| &plan.steps[it])
            .filter(|it| {
                matches!(it.call, StepCall::Create { .. }) && closure.contains(&it.address)
            })
            .map(|it| it.address.clone())
            .collect();
        let name = step.address.clone();
        (!made.is_empty()).then_some(UsersWaiting { name, serves, made })
    })
}

/// Whether a plan directs users elsewhere at all.
pub fn moves_users(plan: &Plan) -> bool {
    plan.steps.iter().any(|it| it.shift.is_some() && it.call.mutates())
}

/// A member of a serving set that is there, takes users, and is left alone until they come.
fn serves_now(catalog: &Catalog, state: &State, change: &Change) -> bool {
    let is_member = |it: &&Kind| !it.serving_set.is_empty() && it.drain.is_none();
    let Some(kind) = catalog.get(&change.kind).filter(is_member) else { return false };
    let is_seen = change.unknown.is_none() && change.frozen.is_none();
    let record = state.records.get(&change.address);
    is_seen
        && !change.action.destroys()
        && change.action != Action::Create
        && record.is_some_and(|it| lets_serve(kind, &it.attributes))
}

/// All that a step waits for, over others or not.
fn before(steps: &[Step], step: &Step) -> BTreeSet<usize> {
    let mut met = BTreeSet::new();
    let mut todo = step.waits.clone();
    while let Some(at) = todo.pop() {
        if met.insert(at) {
            todo.extend(&steps[at].waits);
        }
    }
    met
}

/// What can be typed so that users do not wait.
pub enum TrafficFirst {
    /// The command that moves users at once, and the one that makes the rest afterwards.
    Typed {
        first: String,
        rest: String,
    },
    /// It is a drill: nobody is moved by it.
    Drill,
    Nothing,
}

/// Says so, with the commands that move users at once and make the rest later, where there are any.
pub fn told(it: &UsersWaiting, sooner: &TrafficFirst) -> Diagnostic {
    let made: Vec<String> = it.made.iter().map(|it| format!("`{it}`")).collect();
    let are = if made.len() == 1 { "is" } else { "are" };
    let text = format!(
        "users of `{}` wait until {} {are} created, although `{}` already exists where they are to go",
        it.name,
        made.join(", "),
        it.serves
    );
    let help = match sooner {
        TrafficFirst::Typed { first, rest } => {
            format!("to move them earlier: `{first}`, and then for the rest: `{rest}`")
        }
        TrafficFirst::Drill => "a drill moves no users; in a failover they would wait just as long".into(),
        TrafficFirst::Nothing => {
            "no command can move them earlier, because no single variable decides how many resources are created".into()
        }
    };
    Diagnostic::warning(DiagnosticCode::UsersWait, text).help(help)
}

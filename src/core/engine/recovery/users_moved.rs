//! Whether users are where a switch wants them, and whether it moved them: from then on it only lacks capacity or repairs.

use std::collections::BTreeSet;

use crate::engine::plan::model::change::{
    Action, Change, DeferReason, Intent, Plan, Step, StepCall,
};
use crate::engine::plan::model::step_phase::{StepPhase, role};
use crate::engine::schema::Catalog;
use crate::engine::state::journal::JournalEntry;
use crate::engine::state::record::{Phase, State};

/// Where the users of a switch are, as far as lifeboat saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UsersAre {
    /// A traffic shift of the switch was observed, and none is left.
    Moved,
    /// They are still to be moved, and no shift of the switch was observed.
    NotMoved,
    /// A shift of the switch was observed, and others are left, or led back since.
    PartlyMoved,
    /// The switch had no traffic to shift: they are sent where they were before it.
    Stayed,
    /// They were not seen where they are wanted, and nothing says that they are elsewhere.
    Unconfirmed,
}

impl UsersAre {
    /// Law 11, *over means seen*: by how far the switch is, and whether a traffic shift of it was observed.
    pub fn by(phase: Phase, has_shifted: bool) -> Self {
        match (phase, has_shifted) {
            (Phase::Switching, false) => Self::NotMoved,
            (Phase::Switching, true) => Self::PartlyMoved,
            (Phase::Degraded | Phase::Settled, true) => Self::Moved,
            (Phase::Degraded | Phase::Settled, false) => Self::Stayed,
        }
    }

    /// The users of the switch that has not ended; `None`: there is none.
    pub fn of(state: &State) -> Option<Self> {
        let switch = state.unfinished_switch()?;
        Some(Self::by(state.phase, switch.has_shifted()))
    }

    pub fn word(self) -> &'static str {
        match self {
            Self::Moved => "moved",
            // Not all of them: for a program that is no other answer.
            Self::NotMoved | Self::PartlyMoved => "not moved",
            Self::Stayed => "stayed",
            Self::Unconfirmed => "unconfirmed",
        }
    }
}

/// What a step is to a switch. A name that is made leads users as well, though nobody remembers anything else of it.
pub fn role_of(catalog: &Catalog, step: &Step, steps: &[Step]) -> StepPhase {
    match role(step, steps) {
        StepPhase::Work if makes_name(catalog, step) => StepPhase::Traffic,
        role => role,
    }
}

fn makes_name(catalog: &Catalog, step: &Step) -> bool {
    let StepCall::Create { attributes, .. } = &step.call else { return false };
    let kind = catalog.get(&step.kind).filter(|it| it.drain.is_some());
    kind.is_some_and(|kind| kind.directs_users(|name| attributes.get(name)))
}

/// Whether the site that users were moved to has all that the switch wants of it: only deletions are left, and nothing failed.
pub fn lacks_nothing(plan: &Plan, state: &State) -> bool {
    let Some(rest) = &plan.rest else { return false };
    let own = plan.changes.iter().filter(|it| rest.changes.contains(&it.address));
    let has_failed = state.unfinished_switch().is_some_and(|it| !it.failures.is_empty());
    !has_failed && !rest.changes.is_empty() && own.into_iter().all(|it| it.action == Action::Delete)
}

/// What is left of a plan before its users are where it wants them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemainingTraffic {
    /// Ids of steps that direct users and have not ended well.
    steps: BTreeSet<usize>,
    /// No step of this plan moves some of the users: what directs them could not be read, or they are led elsewhere by something else.
    is_out_of_reach: bool,
}

impl RemainingTraffic {
    pub fn new(catalog: &Catalog, plan: &Plan) -> Self {
        let directs = |it: &&Step| role_of(catalog, it, &plan.steps) == StepPhase::Traffic;
        let stays = plan.changes.iter().any(|it| stays_away(catalog, it));
        Self {
            steps: plan.steps.iter().filter(directs).map(|it| it.id).collect(),
            // A destroy leads users nowhere.
            is_out_of_reach: plan.bindings.intent == Intent::Destroy
                || stays
                || !plan.strays.is_empty()
                || plan.foreign.iter().any(|it| it.misleads),
        }
    }

    /// A step has ended well.
    pub fn finish(&mut self, step: usize) {
        self.steps.remove(&step);
    }

    /// What a switch that is not over has to have recorded now: that its users have moved, or that they are not where it had
    /// led them; `at`: in milliseconds since the Unix epoch.
    pub fn news(&self, phase: Phase, at: i64) -> Option<JournalEntry> {
        match (phase, self.is_nothing()) {
            (Phase::Switching, true) => Some(JournalEntry::UsersMoved { at }),
            (Phase::Degraded, false) => Some(JournalEntry::UsersAway { at }),
            _ => None,
        }
    }

    /// Nothing: users are where they are wanted.
    pub fn is_nothing(&self) -> bool {
        self.steps.is_empty() && !self.is_out_of_reach
    }
}

/// Whether a name may lead its users elsewhere than wanted after every step: it could not be read, or its change waits for
/// what is lost or was not read. What was pending before the switch, or is kept by it, is not its business.
fn stays_away(catalog: &Catalog, change: &Change) -> bool {
    let Some(kind) = catalog.get(&change.kind).filter(|it| it.drain.is_some()) else {
        return false;
    };
    let waits = change.deferred.as_ref().filter(|it| {
        matches!(it.wait, DeferReason::Lost | DeferReason::Group | DeferReason::Unknown)
    });
    let moves = waits.is_some_and(|it| {
        it.action.destroys() || it.attributes.iter().any(|it| kind.directs(&it.name))
    });
    change.unknown.is_some() || moves
}

#[cfg(test)]
mod tests {
    use super::{RemainingTraffic, UsersAre, role_of};
    use crate::engine::address::Address;
    use crate::engine::observed::{UnknownReason, Unreadable};
    use crate::engine::plan::model::change::{
        Action, AttributeChange, Bindings, Change, DeferReason, Deferred, Intent, Plan, Step,
        StepCall, TrafficShift,
    };
    use crate::engine::plan::model::step_phase::StepPhase;
    use crate::engine::state::journal::JournalEntry;
    use crate::engine::state::record::Phase;
    use crate::engine::value::{Attributes, Value};
    use crate::kinds::builtin;

    fn step(id: usize, kind: &str, call: StepCall, shifts: bool) -> Step {
        let shift = shifts.then(|| TrafficShift { was: Vec::new(), seconds: 0, ttl: 300 });
        let (address, kind) = (Address::one("shop"), kind.to_owned());
        let (waits, quorums) = (Vec::new(), Vec::new());
        Step { id, address, kind, waits, quorums, lane: None, segment: id, weight: 1, shift, call }
    }

    fn update() -> StepCall {
        let (group, changed) = (String::new(), vec!["target".to_owned()]);
        StepCall::Update { group, changed, attributes: Attributes::new(), or_create: false }
    }

    fn create() -> StepCall {
        StepCall::Create { label: None, attributes: Attributes::new() }
    }

    fn change(kind: &str) -> Change {
        Change {
            address: Address::one("shop"),
            kind: kind.into(),
            action: Action::NoOp,
            reason: String::new(),
            place: None,
            id: None,
            moved_from: None,
            unknown: None,
            frozen: None,
            deferred: None,
            loses_data: false,
            attributes: Vec::new(),
        }
    }

    fn deferred(wait: DeferReason, attribute: &str) -> Change {
        let (name, before, after) = (attribute.to_owned(), Value::Null, Value::text("192.0.2.1"));
        let differs = AttributeChange { name, before, after, replaces: None, place: None };
        let (why, attributes) = (String::new(), vec![differs]);
        let deferred = Some(Deferred { action: Action::Update, wait, why, attributes });
        Change { deferred, ..change("linode.domain_record") }
    }

    fn remains(plan: Plan) -> RemainingTraffic {
        RemainingTraffic::new(&builtin(), &plan)
    }

    #[test]
    fn users_are_by_has_them_moved_only_where_a_shift_was_observed() {
        use super::UsersAre::{Moved, NotMoved, PartlyMoved, Stayed};
        let told = |shifted| {
            [Phase::Switching, Phase::Degraded, Phase::Settled].map(|it| UsersAre::by(it, shifted))
        };
        assert_eq!(told(true), [PartlyMoved, Moved, Moved]);
        assert_eq!(told(false), [NotMoved, Stayed, Stayed]);
    }

    #[test]
    fn role_of_takes_a_name_that_is_made_for_traffic_if_it_leads_users() {
        let text = |kind: &str| Value::text(kind);
        let made = |kind: &str, attributes: Attributes| {
            let call = StepCall::Create { label: None, attributes };
            let steps = [step(0, kind, call, false)];
            role_of(&builtin(), &steps[0], &steps)
        };
        let record = |sort| Attributes::from([("type".to_owned(), text(sort))]);
        assert_eq!(made("linode.domain_record", record("A")), StepPhase::Traffic);
        assert_eq!(made("linode.domain_record", record("TXT")), StepPhase::Work);
        assert_eq!(made("linode.instance", Attributes::new()), StepPhase::Work);
    }

    #[test]
    fn is_nothing_once_every_step_that_directs_users_has_ended() {
        let record = "linode.domain_record";
        let steps = vec![
            step(0, "linode.instance", create(), false),
            step(1, record, update(), true),
            step(2, record, create(), false),
            step(3, record, update(), false),
        ];
        let mut remaining = remains(Plan { steps, ..Plan::default() });
        let (moved, away) = (JournalEntry::UsersMoved { at: 7 }, JournalEntry::UsersAway { at: 7 });
        for (ended, is_nothing) in [(0, false), (1, false), (2, true)] {
            remaining.finish(ended);
            assert_eq!(remaining.is_nothing(), is_nothing, "after step {ended}");
            let news = |phase| remaining.news(phase, 7);
            assert_eq!(news(Phase::Switching), is_nothing.then(|| moved.clone()));
            assert_eq!(news(Phase::Degraded), (!is_nothing).then(|| away.clone()));
            assert_eq!(news(Phase::Settled), None);
        }
    }

    #[test]
    fn is_nothing_is_false_where_no_step_can_move_some_users() {
        let unread = Unreadable::new(UnknownReason::Unreachable, "silent".to_owned());
        let unknown = Change { unknown: Some(unread), ..change("linode.domain_record") };
        let elsewhere = Change { kind: "linode.instance".into(), ..unknown.clone() };
        for (change, is_nothing) in [
            (unknown, false),
            (elsewhere, true),
            (deferred(DeferReason::Lost, "target"), false),
            (deferred(DeferReason::Unknown, "target"), false),
            (deferred(DeferReason::Unknown, "ttl_sec"), true),
            (deferred(DeferReason::Pending, "target"), true),
        ] {
            let told = format!("{change:?}");
            let plan = Plan { changes: vec![change], ..Plan::default() };
            assert_eq!(remains(plan).is_nothing(), is_nothing, "{told}");
        }
        let bindings = Bindings { intent: Intent::Destroy, ..Bindings::default() };
        assert!(!remains(Plan { bindings, ..Plan::default() }).is_nothing());
    }
}

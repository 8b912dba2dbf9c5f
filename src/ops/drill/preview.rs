//! Foresight: the switch and the cleanup of a drill, planned before anything is asked or made.

use std::collections::BTreeSet;

use crate::engine::address::Address;
use crate::engine::plan::model::change::Plan;
use crate::engine::plan::planner::PlanInputs;
use crate::engine::plan::simulate::{SimulatedState, deleted, simulate};
use crate::ops::drill::spec::DrillSpec;
use crate::ops::error::OpsError;
use crate::ops::load::session::Session;
use crate::ops::plan::make::{Proposed, plan_on_paper};

/// What a drill will do after home is made, as far as that can be known before.
pub struct DrillPreview {
    /// `None`: the overlay rehearses no switch, or it cannot be known.
    pub switch: Option<Proposed>,
    /// The objects of which it cannot be known how the switch changes them: they read what only making them gives out.
    pub unknown: Vec<Address>,
    pub cleanup: Plan,
    /// Used, and left as they are.
    pub borrowed: Vec<Address>,
}

/// Carries out on paper what was proposed and then the switch, and plans what would delete all of it again.
pub async fn foresight(
    session: &Session,
    script: &DrillSpec,
    proposed: &Proposed,
) -> Result<DrillPreview, OpsError> {
    let mut foreseen = after(session, proposed);
    let (mut switch, mut unknown) = (None, Vec::new());
    if let Some(ask) = script.switch() {
        match plan_on_paper(session, &ask, &foreseen).await? {
            Ok(planned) => {
                foreseen = after(session, &planned);
                switch = Some(planned);
            }
            Err(addresses) => unknown = addresses,
        }
    }
    let borrowed = proposed.desired.stack.lent.keys().cloned().collect();
    let cleanup = plan_on_paper(session, &script.cleanup(), &foreseen).await?;
    // Only what is made or changed can be unknown.
    let mut cleanup = cleanup.map(|it| it.plan).unwrap_or_default();
    // Nobody is to look for what was made up.
    cleanup.outputs.clear();
    let planned = switch.iter_mut().flat_map(|it| &mut it.plan.changes);
    planned.chain(&mut cleanup.changes).for_each(|it| it.id = None);
    Ok(DrillPreview { switch, unknown, cleanup, borrowed })
}

fn after(session: &Session, proposed: &Proposed) -> SimulatedState {
    let order: Vec<Address> = proposed.desired.graph.order().cloned().collect();
    let worlds = PlanInputs {
        catalog: &session.catalog,
        stack: &proposed.desired.stack,
        order: &order,
        state: proposed.state.as_ref(),
        observed: &proposed.observed,
    };
    simulate(&worlds, &proposed.plan, session.clock.now())
}

/// In what a cleanup was another than the foreseen one.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Discrepancies {
    /// Deleted, and nobody had said so.
    pub unforeseen: Vec<Address>,
    /// It was said that they are deleted, and something else became of them.
    pub undeleted: Vec<Address>,
}

impl Discrepancies {
    pub fn is_any(&self) -> bool {
        !self.unforeseen.is_empty() || !self.undeleted.is_empty()
    }
}

impl DrillPreview {
    /// Where not everything was made, not everything can be deleted; where the switch was unknown, nothing can be held
    /// against what it left.
    pub fn surprises(&self, really: &BTreeSet<Address>, all_was_made: bool) -> Discrepancies {
        if !self.unknown.is_empty() {
            return Discrepancies::default();
        }
        let foreseen = deleted(&self.cleanup);
        let undeleted = foreseen.difference(really).filter(|_| all_was_made);
        Discrepancies {
            unforeseen: really.difference(&foreseen).cloned().collect(),
            undeleted: undeleted.cloned().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Discrepancies, DrillPreview};
    use crate::engine::address::Address;
    use crate::engine::plan::model::change::{Plan, Step, StepCall};

    fn foresight(unknown: Vec<Address>) -> DrillPreview {
        let delete = |(id, address): (usize, &str)| Step {
            id,
            address: Address::one(address),
            kind: "some.kind".into(),
            call: StepCall::Delete { deposed: false },
            waits: Vec::new(),
            lane: None,
            segment: id,
            weight: 1,
            shift: None,
            quorums: Vec::new(),
        };
        let steps = ["web", "zone"].into_iter().enumerate().map(delete).collect();
        let cleanup = Plan { steps, ..Plan::default() };
        DrillPreview { switch: None, unknown, cleanup, borrowed: Vec::new() }
    }

    fn addresses(names: &[&str]) -> BTreeSet<Address> {
        names.iter().map(|it| Address::one(*it)).collect()
    }

    #[test]
    fn surprises_are_unplanned_creates_and_missing_deletes() {
        let foresight = foresight(Vec::new());
        assert!(!foresight.surprises(&addresses(&["web", "zone"]), true).is_any());
        assert!(!foresight.surprises(&addresses(&["web"]), false).is_any());
        let other = foresight.surprises(&addresses(&["web", "more"]), true);
        let (unforeseen, undeleted) = (vec![Address::one("more")], vec![Address::one("zone")]);
        assert_eq!(other, Discrepancies { unforeseen, undeleted });
        assert!(foresight.surprises(&addresses(&["more"]), false).is_any());
    }

    #[test]
    fn surprises_ignore_what_an_unknown_switch_made() {
        let foresight = foresight(vec![Address::one("web")]);
        assert!(!foresight.surprises(&addresses(&["more"]), true).is_any());
    }
}

//! What a plan is asked to do, and what its guards may let through.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::address::Address;
use crate::engine::observed::Neighbor;
pub use crate::engine::plan::model::change::Intent;
use crate::engine::plan::model::change::{Bindings, LossDeclaration};
use crate::engine::plan::model::planned_allowance::PlannedAllowance;
pub use crate::engine::state::record::{Allowances, Keep};
use crate::engine::text::diagnostic::Diagnostic;

/// An overlay that could be switched to, and the fault domains that it assumes lost.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecoveryOverlay {
    pub overlay: String,
    pub assumes_lost: Vec<String>,
}

/// The overlay that is made for exactly these lost fault domains; else the only one that is made for them and others.
pub fn fitting<'a>(
    ways: impl Iterator<Item = &'a RecoveryOverlay> + Clone,
    lost: &BTreeSet<&str>,
) -> Option<&'a RecoveryOverlay> {
    let only = |exactly: bool| {
        let mut fitting = ways.clone().filter(|way| {
            let assumed: BTreeSet<&str> = way.assumes_lost.iter().map(String::as_str).collect();
            if exactly { assumed == *lost } else { assumed.is_superset(lost) }
        });
        let first = fitting.next()?;
        fitting.next().is_none().then_some(first)
    };
    only(true).or_else(|| only(false))
}

/// What the `allow:` blocks of the layers let through.
#[derive(Debug, Clone, Default)]
pub struct AllowancesInForce {
    pub allowed: Allowances,
    pub each: Vec<PlannedAllowance>,
    /// Why some are not in force.
    pub told: Vec<Diagnostic>,
}

/// Everything that a plan is asked for besides the layers, the state and what was read.
#[derive(Debug, Clone, Default)]
pub struct PlanOptions {
    pub intent: Intent,
    /// In milliseconds since the Unix epoch; only ages are taken from it.
    pub now: i64,
    pub bindings: Bindings,
    pub allowed: Allowances,
    /// What the layers allow beside that; the planner looks it up.
    pub in_force: AllowancesInForce,
    /// A switch also carries what was pending before it.
    pub include_pending: bool,
    /// `--replace ADDRESS`: made anew, whatever differs.
    pub replace: Vec<Address>,
    /// The fault domains that are treated as lost.
    pub lost: Vec<LossDeclaration>,
    /// Those that state says are lost and this plan takes as found.
    pub recovered: Vec<String>,
    /// Those, and others that the switch which goes on has found before.
    pub recovered_so_far: Vec<String>,
    pub keep: Keep,
    /// Identities that other instances of the stack have, with whose they are and where they are declared.
    pub others: BTreeMap<String, String>,
    /// How commands name the stack, `shop@drill`; empty: by its own names.
    pub name: String,
    /// What lists showed beside what was asked about.
    pub beside: Vec<Neighbor>,
    /// The overlays that could be switched to.
    pub ways: Vec<RecoveryOverlay>,
    /// The overlays that a switch leaves; of one that goes on, those it began from.
    pub from: Option<Vec<String>>,
}

impl PlanOptions {
    /// Whether the plan is one of a switch, begun or resumed: then it carries only what the switch needs.
    pub fn is_switch(&self) -> bool {
        self.from.is_some()
    }
}

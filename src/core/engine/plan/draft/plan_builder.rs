//! A plan in the making: what it is worked out from, and what has been planned so far.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use crate::engine::address::Address;
use crate::engine::fast_map::{FastSet, FoldHash};
use crate::engine::lang::model::{Instance, Stack};
use crate::engine::observed::{Observation, UnknownReason, Unreadable};
use crate::engine::plan::availability::frozen::Frozen;
use crate::engine::plan::availability::replica_group::ReplicaGroups;
use crate::engine::plan::availability::unreachable::UnreachablePlaces;
use crate::engine::plan::diff::attributes::{drift, seal};
use crate::engine::plan::draft::refresh::KnownParts;
use crate::engine::plan::draft::switch_scope::SwitchScope;
use crate::engine::plan::model::change::{Action, Change, Drift};
use crate::engine::plan::model::options::PlanOptions;
use crate::engine::plan::model::planned_change::PlannedChange;
use crate::engine::schema::{Catalog, Kind};
use crate::engine::state::record::{MutatingCall, Record, State};
use crate::engine::text::advice::AdvisedCommand;
use crate::engine::text::diagnostic::{Diagnostic, Span};
use crate::engine::value::{Attributes, LineageKey};

/// Everything a plan is worked out from.
#[derive(Clone, Copy)]
pub struct PlanInputs<'a> {
    pub catalog: &'a Catalog,
    /// For [`crate::engine::plan::model::options::Intent::Destroy`] the stack still gives the guards their `lifecycle`.
    pub stack: &'a Stack,
    /// Topological order of the stack's instances.
    pub order: &'a [Address],
    pub state: Option<&'a State>,
    pub observed: &'a BTreeMap<Address, Observation>,
}

/// An object that is younger than this may be missing from lists. Twice the longest lag that was seen: in the recordings of
/// linodego a disk was missing from its list 15 s after it was made, and present after 30 s.
const YOUNG_MILLISECONDS: i64 = 60_000;

/// Why something is not there for what needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// It is to be made in a fault domain that is lost.
    Lost,
    /// It could not be looked at.
    Unseen,
    /// Nobody knows whether it was made.
    InDoubt,
    /// It is not made by this plan: it needs something else that could not be looked at.
    Held,
}

/// Works out the changes of a plan, one address after another.
pub struct PlanBuilder<'a> {
    pub worlds: PlanInputs<'a>,
    pub options: &'a PlanOptions,
    pub frozen: Frozen<'a>,
    pub silent: UnreachablePlaces,
    /// For a switch: what it leaves out.
    pub carried: Option<&'a SwitchScope>,
    pub known: KnownParts<'a>,
    pub groups: ReplicaGroups,
    pub planned: Vec<PlannedChange<'a>>,
    pub drift: Vec<Drift>,
    pub taken: FastSet<&'a Address>,
    /// Made anew beside an older incarnation, which serves until users have moved.
    pub beside: BTreeSet<Address>,
    /// Recorded and absent: what was inside is gone with it, however young.
    pub gone: BTreeSet<Address>,
    /// What is to be made and is not there, as far as is known: nothing of it is known either.
    pub unavailable: BTreeMap<Address, Missing>,
    pub diagnostics: Vec<Diagnostic>,
}

impl<'a> PlanBuilder<'a> {
    pub fn new(
        worlds: PlanInputs<'a>,
        options: &'a PlanOptions,
        carried: Option<&'a SwitchScope>,
    ) -> Self {
        let frozen = Frozen::new(worlds.catalog, worlds.state, &options.lost);
        let groups = ReplicaGroups::new(worlds.catalog, worlds.state, worlds.observed, &frozen);
        // Most plans have one change for each instance, and most instances a record.
        let count = worlds.order.len();
        Self {
            worlds,
            options,
            frozen,
            silent: UnreachablePlaces::new(worlds.catalog, worlds.state, worlds.observed),
            carried,
            known: KnownParts::with_capacity(count),
            groups,
            planned: Vec::with_capacity(count),
            drift: Vec::new(),
            taken: FastSet::with_capacity_and_hasher(count, FoldHash::default()),
            beside: BTreeSet::new(),
            gone: BTreeSet::new(),
            unavailable: BTreeMap::new(),
            diagnostics: Vec::new(),
        }
    }

    /// Plans keep no secret.
    pub fn sealed(&self, mut attributes: Attributes) -> Attributes {
        for it in attributes.values_mut().filter(|it| it.has_secret()) {
            *it = seal(it, self.key());
        }
        attributes
    }

    /// How commands name the stack.
    pub fn name(&self) -> String {
        if self.options.name.is_empty() {
            return self.worlds.stack.shown_name();
        }
        self.options.name.clone()
    }

    pub fn key(&self) -> Option<&'a LineageKey> {
        self.worlds.state.map(|it| &it.key)
    }

    pub fn place(&self, span: Span) -> String {
        self.worlds.stack.sources.line(span)
    }

    /// What was seen of a record; too young to be missing counts as unseen.
    pub fn seen(&self, address: &Address, record: &Record) -> Option<Cow<'a, Observation>> {
        let seen = self.worlds.observed.get(address)?;
        let is_young = self.options.now - record.since < YOUNG_MILLISECONDS;
        if *seen == Observation::Absent && is_young && !record.leaving {
            let why = "it was created less than a minute ago and the API does not list it yet";
            return Some(Cow::Owned(Observation::Unknown(Unreadable::new(
                UnknownReason::Unclear,
                why,
            ))));
        }
        Some(Cow::Borrowed(seen))
    }

    /// Whether somebody was asked about it and did not answer. What is only too young to be listed, or in doubt, is no sign of
    /// a loss.
    pub fn is_silent(&self, address: &Address) -> bool {
        matches!(self.worlds.observed.get(address), Some(Observation::Unknown(_)))
    }

    /// A create that began, of which nobody knows whether it was carried out.
    pub fn doubt(&self, address: &Address) -> Option<String> {
        let begun =
            self.worlds.state?.pending.get(address).filter(|it| it.call == MutatingCall::Create)?;
        let (name, address) = (self.name(), address.to_string());
        let settle = AdvisedCommand::StateResolve { stack: &name, address: &address };
        Some(format!(
            "the creation of a {} was interrupted and its result is unknown; check whether it exists; if it does not: {settle}; if it does: the same with `--id` and its ID instead of `--nothing`",
            begun.kind
        ))
    }

    /// A change of an instance of which nothing is decided yet.
    pub fn undecided(&self, instance: &Instance, kind: &Kind, record: Option<&Record>) -> Change {
        Change {
            address: instance.address.clone(),
            kind: kind.kind.clone(),
            action: Action::NoOp,
            reason: String::new(),
            place: Some(self.place(instance.resource.span)),
            attributes: Vec::new(),
            loses_data: false,
            unknown: None,
            frozen: None,
            deferred: None,
            id: record.map(|it| it.id.clone()),
            moved_from: None,
        }
    }

    pub fn note_drift(
        &mut self,
        address: &Address,
        kind: &Kind,
        record: &Record,
        seen: &Observation,
    ) {
        let attributes = drift(kind, record, seen);
        let absent = *seen == Observation::Absent;
        if absent || !attributes.is_empty() {
            let address = address.clone();
            self.drift.push(Drift { address, kind: kind.kind.clone(), absent, attributes });
        }
    }
}

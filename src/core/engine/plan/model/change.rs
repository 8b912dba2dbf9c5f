//! What a plan is made of: changes with their reasons, steps with what they wait for, and what it is bound to.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::engine::address::Address;
use crate::engine::lang::model::Variable;
use crate::engine::observed::{UnknownReason, Unreadable};
use crate::engine::plan::model::planned_allowance::PlannedAllowance;
use crate::engine::plan::model::planned_task::PlannedTask;
use crate::engine::plan::model::replacement::Replacement;
use crate::engine::plan::model::shapes::{overlay_change, recorded_loss, unknown};
pub use crate::engine::plan::model::step::{Step, StepCall, StepQuorum, TrafficShift};
use crate::engine::schema::Sort;
use crate::engine::state::record::{Allowances, Phase, RecordedFailure};
use crate::engine::text::diagnostic::{Diagnostic, Severity, Span};
use crate::engine::value::Value;

/// All that would happen, and what it was worked out from. Serialized, it is the part of a plan's JSON that the digest is over.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    pub stack: String,
    #[serde(rename = "workspace", alias = "instance")]
    pub instance: Option<String>,
    /// `Some((from, to))` when the active overlays change.
    #[serde(with = "overlay_change")]
    pub switch: Option<(Vec<String>, Vec<String>)>,
    pub overlays: Vec<String>,
    /// How far the switch is that began before this plan. Since format 2.0.
    #[serde(default, skip_serializing_if = "Phase::is_settled")]
    pub phase: Phase,
    /// Of a switch whose users have moved: which of the changes are its own. Since format 2.0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rest: Option<SwitchRest>,
    /// The fault domains that are treated as lost: recorded ones, and those that this plan would record.
    #[serde(default)]
    pub lost: Vec<LossDeclaration>,
    /// Fault domains that state says are lost, and that this plan takes as recovered.
    #[serde(alias = "thaws", default)]
    pub recovered: Vec<String>,
    pub bindings: Bindings,
    /// What guards let through, by flags or because the switch that goes on was allowed it.
    #[serde(default, skip_serializing_if = "Allowances::is_nothing")]
    pub allowed: Allowances,
    /// What its layers let through, and what of it this plan uses. Since format 2.0.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowances: Vec<PlannedAllowance>,
    /// A switch also carries what was pending before it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub include_pending: bool,
    /// `--replace ADDRESS`: made anew, whatever differs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replace: Vec<Address>,
    /// Variables that somebody gave from outside the layers, now or before; secrets are not among them. Since format 2.0.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub variables: Vec<VariableInForce>,
    /// Warnings and refusals, with places already written out.
    pub notes: Vec<Note>,
    /// Gates that were asked to be skipped, and would be waited for otherwise. Since format 2.0.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skipped_gates: Vec<SkippedGate>,
    /// One for each address, in the order of the graph; no-ops included.
    pub changes: Vec<Change>,
    /// What of the changes must not be overlooked, the worst first. Since format 1.3.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dangers: Vec<Danger>,
    /// What others notice of what is replaced. Since format 2.0.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replacements: Vec<Replacement>,
    pub outputs: Vec<OutputChange>,
    /// Values that come from what cannot be looked at.
    #[serde(default)]
    pub stale: Vec<StaleReport>,
    pub drift: Vec<Drift>,
    /// What is somebody else's, and takes users of ours. Since format 1.4.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub foreign: Vec<Foreign>,
    /// Names of ours that lead users to what is lost, and that nothing of this plan leads elsewhere. Since format 1.5.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub strays: Vec<Stray>,
    /// What a switch does that is no resource.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tasks: Vec<PlannedTask>,
    pub steps: Vec<Step>,
}

/// What is left of a switch after its users have moved; every other change of the plan was pending before it, or came after it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SwitchRest {
    /// The overlays that it left.
    pub from: Vec<String>,
    pub changes: Vec<Address>,
    /// Why steps of it failed, as state keeps it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub failures: BTreeMap<Address, RecordedFailure>,
}

/// A variable with another value than the layers give it, and who gave it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VariableInForce {
    pub name: String,
    pub value: Value,
    /// `--var`, `LIFEBOAT_VAR_size`, `the last apply`, the name of a file.
    pub from: String,
}

impl VariableInForce {
    /// All of them, in the order of their names.
    pub fn all(variables: &BTreeMap<String, Variable>) -> Vec<Self> {
        let given = variables.iter().filter(|(_, it)| it.is_given() && !it.is_secret());
        let in_force = |(name, it): (&String, &Variable)| Self {
            name: name.clone(),
            value: it.value.clone(),
            from: it.from.clone(),
        };
        given.map(in_force).collect()
    }
}

/// A gate that somebody does not wait for, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkippedGate {
    pub address: Address,
    pub because: String,
}

/// What is asked of the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Intent {
    #[default]
    Apply,
    /// An empty stack is desired.
    Destroy,
}

/// What must still hold when the plan is applied.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Bindings {
    /// The lifeboat that made it.
    pub version: String,
    /// Digest of every kind's description.
    pub kinds: String,
    /// `file` → SHA-256 of each layer and of each file that expressions read.
    pub files: BTreeMap<String, String>,
    /// Fingerprint of each variable's value; empty for a secret of a stack that has no state yet.
    pub variables: BTreeMap<String, String>,
    /// Empty before the first apply.
    pub lineage: String,
    pub serial: u64,
    pub sequence: u64,
    pub active: Vec<String>,
    pub lost: Vec<String>,
    /// `clouds` or `sandbox`.
    pub target: String,
    pub accounts: BTreeMap<String, String>,
    pub intent: Intent,
}

/// A fault domain that is treated as lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LossDeclaration {
    pub fault_domain: String,
    /// Since when, and who said so; `None`: this plan assumes it, and applying it records it.
    #[serde(flatten, with = "recorded_loss")]
    pub recorded: Option<(i64, String)>,
}

/// A value that was recorded and cannot be looked at now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StaleReport {
    /// `output home`, `cdn.target`.
    pub what: String,
    /// The frozen object that it comes from.
    pub from: Address,
    pub fault_domain: String,
    /// When that was lost, in milliseconds since the Unix epoch.
    pub since: Option<i64>,
}

/// Why a change has to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeferReason {
    /// Its object, or what it needs, is in a fault domain that is lost.
    Lost,
    /// It was pending before the switch, which carries only itself.
    Pending,
    /// It would reach every member of a group, and one of them is lost.
    Group,
    /// It needs what could not be read, though nobody says that it is lost.
    #[serde(alias = "unseen")]
    Unknown,
    /// It holds data, or was asked to be kept: a failback does not delete it.
    Retained,
}

/// A change that is not made now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Deferred {
    #[serde(flatten)]
    pub action: Action,
    pub wait: DeferReason,
    pub why: String,
    pub attributes: Vec<AttributeChange>,
}

/// To one address.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    pub address: Address,
    pub kind: String,
    #[serde(flatten)]
    pub action: Action,
    /// Why this action, in a sentence.
    pub reason: String,
    /// `file:line` of what asks for it.
    pub place: Option<String>,
    /// The id that it has now.
    pub id: Option<String>,
    pub moved_from: Option<Address>,
    /// Why it could not be read.
    #[serde(flatten, with = "unknown")]
    pub unknown: Option<Unreadable>,
    /// The lost fault domain that it is in: it is not looked at, and nothing is done to it.
    pub frozen: Option<String>,
    /// What would be done as well, and is not done now.
    #[serde(alias = "held")]
    pub deferred: Option<Deferred>,
    /// It holds data that this action would lose.
    pub loses_data: bool,
    pub attributes: Vec<AttributeChange>,
}

/// What is done to one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "kebab-case")]
pub enum Action {
    NoOp,
    /// Nothing but a wait for readiness.
    Await,
    Move,
    Adopt,
    Create,
    Update,
    Replace {
        /// Whether the new one is made before the old one is deleted.
        #[serde(rename = "create_first")]
        create_first: bool,
    },
    Delete,
    /// Gone already: only the record goes.
    Forget,
}

impl Action {
    pub fn word(self) -> &'static str {
        match self {
            Self::NoOp => "no-op",
            Self::Await => "await",
            Self::Move => "move",
            Self::Adopt => "adopt",
            Self::Create => "create",
            Self::Update => "update",
            Self::Replace { .. } => "replace",
            Self::Delete => "delete",
            Self::Forget => "forget",
        }
    }

    /// Whether an object is destroyed on the way.
    pub fn destroys(self) -> bool {
        matches!(self, Self::Replace { .. } | Self::Delete)
    }
}

/// To one attribute of it. In JSON an open value is `{"$open": true}`, a secret `{"$sensitive": "FINGERPRINT"}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AttributeChange {
    pub name: String,
    /// Sealed.
    pub before: Value,
    /// Sealed; [`Value::Open`] when only applying will know.
    pub after: Value,
    /// Why it means replace, if it does.
    pub replaces: Option<String>,
    /// `file:line` where the desired value was given.
    pub place: Option<String>,
}

/// What a change would lose, move, expose or leave unprotected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Danger {
    pub address: Address,
    #[serde(rename = "danger")]
    pub sort: Sort,
    /// `point-in-time recovery is switched off`.
    pub says: String,
    /// Of data: where other copies of it stay. Since format 2.0.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stays: Vec<String>,
}

/// Observed differs from recorded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Drift {
    pub address: Address,
    pub kind: String,
    /// It is gone.
    pub absent: bool,
    pub attributes: Vec<DriftedAttribute>,
}

/// One attribute of what differs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DriftedAttribute {
    pub name: String,
    /// Sealed.
    pub recorded: Value,
    /// Sealed.
    pub observed: Value,
}

/// Somebody else's object that users take for one of ours: they are led by either.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Foreign {
    /// Ours.
    pub address: Address,
    pub kind: String,
    /// Theirs.
    pub id: String,
    /// Where theirs leads.
    pub leads_to: String,
    /// That is elsewhere than where any of ours is to lead.
    pub misleads: bool,
}

/// A name of ours of which every way leads users to what is lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stray {
    pub address: Address,
    /// What it says: an address, or a name.
    pub target: String,
    /// What stands there.
    pub to: Address,
    pub fault_domain: String,
    /// What leads its users to where they are served.
    pub remedy: String,
}

/// An output of the stack, before and after.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OutputChange {
    pub name: String,
    pub before: Value,
    pub after: Value,
}

/// A warning or refusal that belongs to the plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Note {
    pub severity: Severity,
    pub code: String,
    pub text: String,
    pub places: Vec<String>,
    pub help: Option<String>,
}

/// How many changes of each sort.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    pub create: usize,
    pub update: usize,
    pub replace: usize,
    pub delete: usize,
    pub forget: usize,
    #[serde(rename = "move")]
    pub moved: usize,
    #[serde(rename = "await")]
    pub await_: usize,
    #[serde(alias = "unseen")]
    pub unknown: usize,
    #[serde(default)]
    pub frozen: usize,
    #[serde(default, alias = "held")]
    pub deferred: usize,
    #[serde(default, alias = "left_behind")]
    pub orphaned: usize,
    pub unchanged: usize,
    pub outputs: usize,
    pub drift: usize,
}

impl Change {
    /// It was read, and nothing holds it back.
    pub fn is_plain(&self) -> bool {
        self.unknown.is_none() && self.frozen.is_none() && self.deferred.is_none()
    }

    /// A frozen object that the layers no longer want as it is: deleted or replaced after the recovery.
    pub fn is_orphaned(&self) -> bool {
        self.frozen.is_some() && self.deferred.as_ref().is_some_and(|it| it.action.destroys())
    }
}

impl Plan {
    /// The gravest reason why something of it could not be read.
    pub fn unknown(&self) -> Option<UnknownReason> {
        self.changes.iter().filter_map(|it| Some(it.unknown.as_ref()?.reason)).max()
    }

    pub fn summary(&self) -> Summary {
        let mut summary =
            Summary { drift: self.drift.len(), outputs: self.outputs.len(), ..Summary::default() };
        for change in &self.changes {
            summary.unknown += usize::from(change.unknown.is_some());
            summary.frozen += usize::from(change.frozen.is_some());
            if change.is_orphaned() {
                summary.orphaned += 1;
            } else {
                summary.deferred += usize::from(change.deferred.is_some());
            }
            let count = match change.action {
                // What could not be read is not known to be unchanged, and what waits is counted where it waits.
                Action::NoOp
                    if change.unknown.is_some()
                        || change.frozen.is_some()
                        || change.deferred.is_some() =>
                {
                    continue;
                }
                Action::NoOp => &mut summary.unchanged,
                Action::Await => &mut summary.await_,
                Action::Move | Action::Adopt => &mut summary.moved,
                Action::Create => &mut summary.create,
                Action::Update => &mut summary.update,
                Action::Replace { .. } => &mut summary.replace,
                Action::Delete => &mut summary.delete,
                Action::Forget => &mut summary.forget,
            };
            *count += 1;
        }
        summary
    }

    /// Whether applying would do anything, a switch of overlays included, also one that has still to be ended.
    pub fn is_empty(&self) -> bool {
        self.changes_nothing() && self.phase.is_settled()
    }

    /// Whether applying would change neither the clouds nor what is recorded of them.
    pub fn changes_nothing(&self) -> bool {
        self.steps.is_empty()
            && self.outputs.is_empty()
            && self.switch.is_none()
            && self.recovered.is_empty()
            && self.lost.iter().all(|it| it.recorded.is_some())
    }

    /// Changes that wait only because what they need could not be read.
    pub fn waiting(&self) -> impl Iterator<Item = &Change> {
        let waits =
            |it: &&Change| it.deferred.as_ref().is_some_and(|it| it.wait == DeferReason::Unknown);
        self.changes.iter().filter(waits)
    }

    pub fn refusals(&self) -> impl Iterator<Item = &Note> {
        self.notes.iter().filter(|it| it.severity == Severity::Refusal)
    }
}

/// What happened to the spans of a note: places are written out, since a plan outlives its sources.
pub fn note(diagnostic: &Diagnostic, place: impl Fn(Span) -> String) -> Note {
    Note {
        code: diagnostic.code.as_str().into(),
        severity: diagnostic.severity,
        text: diagnostic.summary.clone(),
        places: diagnostic.labels.iter().map(|it| place(it.span)).collect(),
        help: diagnostic.help.clone(),
    }
}

//! What a plan is made of: changes with their reasons, steps with what they wait for, and what it is bound to.

use std::collections::BTreeMap;

use crate::engine::address::Address;
use crate::engine::diagnostic::{Diagnostic, Span};
use crate::engine::value::{Attributes, Value};

/// All that would happen, and what it was worked out from.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    pub stack: String,
    pub instance: Option<String>,
    /// `Some((from, to))` when the active overlays change.
    pub switch: Option<(Vec<String>, Vec<String>)>,
    pub overlays: Vec<String>,
    pub bindings: Bindings,
    /// One for each address, in the order of the graph; no-ops included.
    pub changes: Vec<Change>,
    pub drift: Vec<Drift>,
    pub outputs: Vec<OutputChange>,
    pub steps: Vec<Step>,
    /// Warnings and refusals, with places already written out.
    pub notes: Vec<Note>,
}

/// What must still hold when the plan is applied.
#[derive(Debug, Clone, Default, PartialEq)]
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
    /// `apply` or `destroy`.
    pub intent: String,
}

/// To one address.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    pub address: Address,
    pub kind: String,
    pub action: Action,
    /// Why this action, in a sentence.
    pub reason: String,
    /// `file:line` of what asks for it.
    pub place: Option<String>,
    pub attributes: Vec<AttributeChange>,
    /// It holds data that this action would lose.
    pub loses_data: bool,
    /// Why it could not be looked at.
    pub unseen: Option<String>,
    /// The id that it has now.
    pub id: Option<String>,
    pub moved_from: Option<Address>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    NoOp,
    /// Nothing but a wait for readiness.
    Await,
    Move,
    Adopt,
    Create,
    Update,
    Replace {
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

/// To one attribute of it.
#[derive(Debug, Clone, PartialEq)]
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

/// Observed differs from recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct Drift {
    pub address: Address,
    pub kind: String,
    /// It is gone.
    pub absent: bool,
    /// Name, recorded, observed.
    pub attributes: Vec<(String, Value, Value)>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct OutputChange {
    pub name: String,
    pub before: Value,
    pub after: Value,
}

/// One provider call, or one wait, with the steps it waits for.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    pub id: usize,
    pub address: Address,
    pub kind: String,
    pub call: Call,
    /// Ids of steps that must have ended well.
    pub waits: Vec<usize>,
    /// At most one object of a lane is worked on at a time.
    pub lane: Option<String>,
    /// Steps of one object that belong together within a lane.
    pub segment: usize,
    /// Expected seconds, for the longest path first.
    pub weight: u64,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Call {
    /// Only the record changes its address.
    Move {
        from: Address,
    },
    /// Only the record goes.
    Forget,
    /// What the plan knows of the attributes; open ones are resolved when it starts.
    Create {
        attributes: Attributes,
        label: Option<String>,
    },
    Update {
        group: String,
        changed: Vec<String>,
        attributes: Attributes,
    },
    Delete {
        deposed: bool,
    },
    /// The `create_before_destroy` name gives way to the desired one.
    Rename {
        attribute: String,
    },
    /// The cloud says that it is usable.
    Ready,
    /// The cloud says that it is gone.
    Gone {
        deposed: bool,
    },
    /// The resource's own `ready` condition.
    Gate,
}

impl Call {
    /// Whether a request leaves that changes something.
    pub fn mutates(&self) -> bool {
        matches!(
            self,
            Self::Create { .. } | Self::Update { .. } | Self::Delete { .. } | Self::Rename { .. }
        )
    }

    pub fn word(&self) -> &'static str {
        match self {
            Self::Move { .. } => "move",
            Self::Forget => "forget",
            Self::Create { .. } => "create",
            Self::Update { .. } => "update",
            Self::Delete { .. } => "delete",
            Self::Rename { .. } => "rename",
            Self::Ready => "ready",
            Self::Gone { .. } => "gone",
            Self::Gate => "gate",
        }
    }
}

/// A warning or refusal that belongs to the plan.
#[derive(Debug, Clone, PartialEq)]
pub struct Note {
    pub code: String,
    /// `warning` or `refusal`.
    pub severity: String,
    pub text: String,
    pub places: Vec<String>,
    pub help: Option<String>,
}

/// How many changes of each sort.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    pub create: usize,
    pub update: usize,
    pub replace: usize,
    pub delete: usize,
    pub forget: usize,
    pub moved: usize,
    pub await_: usize,
    pub unseen: usize,
    pub drift: usize,
    pub outputs: usize,
    pub unchanged: usize,
}

impl Plan {
    pub fn summary(&self) -> Summary {
        let mut summary =
            Summary { drift: self.drift.len(), outputs: self.outputs.len(), ..Summary::default() };
        for change in &self.changes {
            summary.unseen += usize::from(change.unseen.is_some());
            let count = match change.action {
                // What could not be looked at is not known to be unchanged.
                Action::NoOp if change.unseen.is_some() => continue,
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

    /// Whether applying would do anything, a switch of overlays included.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.outputs.is_empty() && self.switch.is_none()
    }

    pub fn refusals(&self) -> impl Iterator<Item = &Note> {
        self.notes.iter().filter(|it| it.severity == "refusal")
    }
}

/// What happened to the spans of a note: places are written out, since a plan outlives its sources.
pub fn note(diagnostic: &Diagnostic, place: impl Fn(Span) -> String) -> Note {
    Note {
        code: diagnostic.code.into(),
        severity: match diagnostic.severity {
            crate::engine::diagnostic::Severity::Refusal => "refusal".into(),
            crate::engine::diagnostic::Severity::Error => "error".into(),
            crate::engine::diagnostic::Severity::Warning => "warning".into(),
        },
        text: diagnostic.summary.clone(),
        places: diagnostic.labels.iter().map(|it| place(it.span)).collect(),
        help: diagnostic.help.clone(),
    }
}

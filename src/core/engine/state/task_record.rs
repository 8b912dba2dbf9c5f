//! What state remembers of a task: in which switch it began, how that ended, and whether it was taken back.

use serde::{Deserialize, Serialize};

use crate::engine::address::Address;
use crate::engine::task::{IfLost, OnFailure, Rerun, TaskSpec, TaskWork, WrittenPart};
use crate::engine::value::Value;

/// The last run of a task, and what became of it on the way home.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskRecord {
    pub run: TaskAttempt,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<TaskAttempt>,
    /// What takes it back. `None`: nothing does, or it began before this was recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub takes_back: Option<RecordedUndo>,
}

/// What takes a task back, as it was when the task began: the layers may declare another one by then, or none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecordedUndo {
    /// Sealed.
    pub work: TaskWork<Value>,
    /// Of what is not recorded in clear, what the layers write there; it is resolved anew when it is needed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub written: Vec<WrittenPart>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<Address>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub before: Vec<Address>,
    #[serde(default)]
    pub on_failure: OnFailure,
    /// `file:line` of where it was declared.
    pub place: String,
}

impl RecordedUndo {
    /// Whether all of it is recorded: what it does, or what the layers write there. Before that was recorded as well, an `undo`
    /// with a secret was not.
    pub fn is_whole(&self) -> bool {
        let is_written = |part| self.written.iter().any(|it| it.part == part);
        let mut parts = self.work.action.parts().into_iter().enumerate();
        parts.all(|(part, it)| matches!(it, Value::Text(_)) || is_written(part))
    }

    /// The task of which nothing is left to do but this; `work`: with what was not recorded in clear.
    pub fn spec(&self, work: TaskWork<Value>) -> TaskSpec<Value> {
        TaskSpec {
            work: work.clone(),
            verify: None,
            undo: Some(work),
            rerun: Rerun::Safe,
            on_failure: self.on_failure,
            if_lost: IfLost::Try,
        }
    }
}

/// A task, or its `undo`, that began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskAttempt {
    /// The switch that it began in, as [`crate::engine::state::record::SwitchRecord::identity`] tells it.
    pub switch: i64,
    /// The digest of the plan that it began in: an approval is of a plan.
    pub plan: String,
    /// In milliseconds since the Unix epoch.
    pub began: i64,
    /// What it asks a person, redacted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asks: Option<String>,
    /// `None`: nobody knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<TaskEnd>,
}

/// How a task ended; times in milliseconds since the Unix epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskEnd {
    Done {
        at: i64,
    },
    Failed {
        at: i64,
        why: String,
    },
    /// It may have taken effect.
    Indeterminate {
        at: i64,
        why: String,
    },
    /// For certain it did nothing: as if it had not begun.
    NotDone {
        at: i64,
    },
}

impl TaskAttempt {
    pub fn done_at(&self) -> Option<i64> {
        match self.end {
            Some(TaskEnd::Done { at }) => Some(at),
            _ => None,
        }
    }

    /// The question that nobody has answered.
    pub fn open_question(&self) -> Option<&str> {
        self.asks.as_deref().filter(|_| self.end.is_none())
    }

    /// Why it is not known whether it took effect; `None`: it did.
    pub fn doubt(&self) -> Option<String> {
        match &self.end {
            Some(TaskEnd::Done { .. }) => None,
            Some(TaskEnd::Failed { why, .. }) => Some(format!("it failed: {why}")),
            Some(TaskEnd::Indeterminate { why, .. }) => Some(why.clone()),
            Some(TaskEnd::NotDone { .. }) => Some("it did nothing".into()),
            None => Some("it was interrupted".into()),
        }
    }
}

impl TaskRecord {
    /// What began last.
    pub fn last(&self) -> &TaskAttempt {
        self.undo.as_ref().unwrap_or(&self.run)
    }

    /// Whether it ran, or may have, and was not taken back.
    pub fn is_in_force(&self) -> bool {
        self.undo.as_ref().is_none_or(|it| it.done_at().is_none())
    }
}

//! What state remembers of a task: in which switch it began, how that ended, and whether it was taken back.

use serde::{Deserialize, Serialize};

/// The last run of a task, and what became of it on the way home.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskRecord {
    pub run: TaskAttempt,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<TaskAttempt>,
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
    /// Whether it ran, or may have, and was not taken back.
    pub fn is_in_force(&self) -> bool {
        self.undo.as_ref().is_none_or(|it| it.done_at().is_none())
    }
}

//! A task as a plan shows it: what becomes of it in this switch, and all that it would do.

use serde::{Deserialize, Serialize};

use crate::engine::address::Address;
use crate::engine::state::task_record::RecordedUndo;
use crate::engine::task::{TaskOccasion, TaskSpec, TaskWork, WrittenPart};
use crate::engine::value::Value;

/// One task of a switch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlannedTask {
    pub name: Address,
    pub occasion: TaskOccasion,
    #[serde(flatten)]
    pub fate: TaskFate,
    /// `file:line` of where it is declared.
    pub place: String,
    /// What it comes after: what is declared, and what its own values are read from.
    pub after: Vec<Address>,
    pub before: Vec<Address>,
    /// Sealed.
    pub spec: TaskSpec<Value>,
}

/// What becomes of a task in a switch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fate", rename_all = "snake_case")]
pub enum TaskFate {
    Run,
    /// It began in this switch before, and it is not known that it took effect: `verify` is asked first.
    Resume {
        why: String,
    },
    /// What an earlier switch did is taken back.
    Undo,
    /// This switch has done it already; in milliseconds since the Unix epoch.
    Done {
        at: i64,
    },
    Skip {
        why: String,
    },
    /// What it comes after, or before, could not be read: the run that carries that out runs it.
    Wait {
        why: String,
    },
}

impl TaskFate {
    /// Whether the plan has a step for it.
    pub fn has_step(&self) -> bool {
        matches!(self, Self::Run | Self::Resume { .. } | Self::Undo)
    }
}

impl PlannedTask {
    /// What its step does; `None`: it has none.
    pub fn work(&self) -> Option<&TaskWork<Value>> {
        match self.fate {
            TaskFate::Run | TaskFate::Resume { .. } => Some(&self.spec.work),
            TaskFate::Undo => self.spec.undo.as_ref(),
            TaskFate::Done { .. } | TaskFate::Skip { .. } | TaskFate::Wait { .. } => None,
        }
    }

    /// What is recorded of what takes it back, once it runs; `written`: of each secret in it what the layers write there.
    pub fn recorded_undo(
        &self,
        undo: Option<TaskWork<Value>>,
        written: Vec<WrittenPart>,
    ) -> Option<RecordedUndo> {
        let work = undo.filter(|_| !self.is_undo())?;
        Some(RecordedUndo {
            work,
            written,
            after: self.after.clone(),
            before: self.before.clone(),
            on_failure: self.spec.on_failure,
            place: self.place.clone(),
        })
    }

    pub fn is_undo(&self) -> bool {
        self.fate == TaskFate::Undo
    }

    /// Expected seconds where nothing was measured yet: of a program or a request a tenth of its limit, as with other waits; of
    /// a person all of it, since nobody knows how soon one answers.
    pub fn weight(&self) -> u64 {
        let Some(work) = self.work() else { return 0 };
        match work.action.word() {
            "confirm" => work.within,
            _ => (work.within / 10).max(1),
        }
    }
}

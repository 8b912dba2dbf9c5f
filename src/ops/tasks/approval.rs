//! The word of a person: kept beside the state, read by the run that waits for it, and bound to its switch and plan.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::store::backend::{Backend, PutCondition};
use crate::store::error::StoreError;
use crate::store::key::{APPROVALS, StoreKey};

/// Who said of what that it may go on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    pub task: String,
    #[serde(default)]
    pub undo: bool,
    /// The switch that waits, and the digest of the plan that it carries out.
    pub switch: i64,
    pub plan: String,
    pub who: String,
    #[serde(default)]
    pub because: Option<String>,
    /// In milliseconds since the Unix epoch.
    pub at: i64,
}

impl Approval {
    /// Whether it is of this task in this switch and plan.
    pub fn is_of(&self, task: &str, undo: bool, switch: i64, plan: &str) -> bool {
        self.task == task && self.undo == undo && self.switch == switch && self.plan == plan
    }

    /// `approved by ann@host: "seen on the board"`.
    pub fn sentence(&self) -> String {
        match &self.because {
            Some(why) => format!("approved by {}: {why}", self.who),
            None => format!("approved by {}", self.who),
        }
    }
}

/// Where the approvals of one state are kept.
#[derive(Debug, Clone)]
pub struct Approvals {
    backend: Arc<dyn Backend>,
}

impl Approvals {
    pub fn new(backend: Arc<dyn Backend>) -> Self {
        Self { backend }
    }

    fn key(task: &str) -> StoreKey {
        APPROVALS.key(&format!("{task}.json"))
    }

    /// The last one of a task. What cannot be read is none: it was not written by lifeboat.
    pub fn read(&self, task: &str) -> Result<Option<Approval>, StoreError> {
        let bytes = self.backend.get(&Self::key(task))?;
        Ok(bytes.and_then(|it| serde_json::from_slice(&it).ok()))
    }

    pub fn write(&self, approval: &Approval) -> Result<(), StoreError> {
        self.backend.ensure_prefix(&APPROVALS)?;
        let bytes = serde_json::to_vec(approval).expect("plain data serialises");
        self.backend.put(&Self::key(&approval.task), &bytes, PutCondition::Always).map(|_| ())
    }
}

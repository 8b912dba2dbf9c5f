//! Tasks: what a switch has to do that is no resource, as layers declare it and as plans and state name it.

use serde::{Deserialize, Serialize};

/// What the steps of tasks have where those of resources name their kind.
pub const TASK: &str = "task";

/// On which switches a task runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskOccasion {
    /// A failover under loss.
    Failover,
    /// `failover --planned`: nothing is lost.
    Planned,
    Failback,
    /// The switch that a drill rehearses.
    Drill,
}

impl TaskOccasion {
    pub const ALL: [Self; 4] = [Self::Failover, Self::Planned, Self::Failback, Self::Drill];

    pub fn word(self) -> &'static str {
        match self {
            Self::Failover => "failover",
            Self::Planned => "planned",
            Self::Failback => "failback",
            Self::Drill => "drill",
        }
    }
}

/// Whether a task may run again after it began and nobody knows how it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rerun {
    Safe,
    #[default]
    Never,
}

/// What becomes of what waits for a task that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// It does not run.
    #[default]
    Stop,
    /// It runs all the same, and the run says so.
    Continue,
}

/// Whether a task runs when what it names is in a fault domain that is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IfLost {
    #[default]
    Try,
    Skip,
}

/// What a task does. `T` is a term of the layers, or the value of one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", bound(deserialize = "T: Deserialize<'de>"))]
pub enum TaskAction<T> {
    /// A program with its arguments, without a shell, and the variables of lifeboat's own environment that it gets.
    Exec {
        command: Vec<T>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        env: Vec<String>,
    },
    Http(TaskRequest<T>),
    /// A person says that the switch may go on.
    Confirm {
        text: T,
    },
}

impl<T> TaskAction<T> {
    pub fn word(&self) -> &'static str {
        match self {
            Self::Exec { .. } => "exec",
            Self::Http(_) => "http",
            Self::Confirm { .. } => "confirm",
        }
    }

    /// The same with every part made into something else.
    pub fn map<'a, U>(&'a self, mut part: impl FnMut(&'a T) -> U) -> TaskAction<U> {
        match self {
            Self::Exec { command, env } => {
                TaskAction::Exec { command: command.iter().map(part).collect(), env: env.clone() }
            }
            Self::Http(it) => TaskAction::Http(TaskRequest {
                method: it.method.clone(),
                url: part(&it.url),
                headers: it.headers.iter().map(|(name, it)| (name.clone(), part(it))).collect(),
                body: it.body.as_ref().map(part),
                expect: it.expect.clone(),
            }),
            Self::Confirm { text } => TaskAction::Confirm { text: part(text) },
        }
    }

    /// Every part.
    pub fn parts(&self) -> Vec<&T> {
        match self {
            Self::Exec { command, .. } => command.iter().collect(),
            Self::Http(it) => {
                let headers = it.headers.iter().map(|(_, it)| it);
                std::iter::once(&it.url).chain(headers).chain(&it.body).collect()
            }
            Self::Confirm { text } => vec![text],
        }
    }

    /// The same, to be changed.
    pub fn parts_mut(&mut self) -> Vec<&mut T> {
        match self {
            Self::Exec { command, .. } => command.iter_mut().collect(),
            Self::Http(it) => {
                let headers = it.headers.iter_mut().map(|(_, it)| it);
                std::iter::once(&mut it.url).chain(headers).chain(&mut it.body).collect()
            }
            Self::Confirm { text } => vec![text],
        }
    }
}

/// One HTTP request, and what answers count as done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(bound(deserialize = "T: Deserialize<'de>"))]
pub struct TaskRequest<T> {
    pub method: String,
    pub url: T,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, T)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<T>,
    /// Empty: every 2xx.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expect: Vec<u16>,
}

impl<T> TaskRequest<T> {
    /// Whether an answer with this status counts as done.
    pub fn is_done_by(&self, status: u16) -> bool {
        match self.expect.as_slice() {
            [] => (200..300).contains(&status),
            these => these.contains(&status),
        }
    }
}

/// One thing to do, and how many seconds it may take.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(bound(deserialize = "T: Deserialize<'de>"))]
pub struct TaskWork<T> {
    pub action: TaskAction<T>,
    pub within: u64,
}

impl<T> TaskWork<T> {
    pub fn map<'a, U>(&'a self, part: impl FnMut(&'a T) -> U) -> TaskWork<U> {
        TaskWork { action: self.action.map(part), within: self.within }
    }
}

/// What the layers write where a part of a work is a secret: that may be recorded, and the secret may not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrittenPart {
    /// Which of [`TaskAction::parts`].
    pub part: usize,
    /// With `${…}`, and everything filled in that is no secret.
    pub text: String,
}

/// All that a task does, and how it is done again or not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(bound(deserialize = "T: Deserialize<'de>"))]
pub struct TaskSpec<T> {
    pub work: TaskWork<T>,
    /// Says after a kill whether the task took effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verify: Option<TaskWork<T>>,
    /// Takes it back on the way home.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<TaskWork<T>>,
    pub rerun: Rerun,
    pub on_failure: OnFailure,
    pub if_lost: IfLost,
}

impl<T> TaskSpec<T> {
    pub fn map<'a, U>(&'a self, mut part: impl FnMut(&'a T) -> U) -> TaskSpec<U> {
        TaskSpec {
            work: self.work.map(&mut part),
            verify: self.verify.as_ref().map(|it| it.map(&mut part)),
            undo: self.undo.as_ref().map(|it| it.map(&mut part)),
            rerun: self.rerun,
            on_failure: self.on_failure,
            if_lost: self.if_lost,
        }
    }

    /// Every part of everything that it does.
    pub fn parts(&self) -> Vec<&T> {
        let all = [Some(&self.work), self.verify.as_ref(), self.undo.as_ref()];
        all.into_iter().flatten().flat_map(|it| it.action.parts()).collect()
    }

    /// The same, to be changed.
    pub fn parts_mut(&mut self) -> Vec<&mut T> {
        let all = [Some(&mut self.work), self.verify.as_mut(), self.undo.as_mut()];
        all.into_iter().flatten().flat_map(|it| it.action.parts_mut()).collect()
    }
}

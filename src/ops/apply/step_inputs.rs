//! What one step needs, what it tells while it runs, and the pen that makes its entries durable.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

use crate::engine::address::Address;
use crate::engine::lang::resolve::ResolvedGate;
use crate::engine::plan::model::change::Step;
use crate::engine::recovery::users_moved::UsersAre;
use crate::engine::retry::Pacing;
use crate::engine::schema::Kind;
use crate::engine::state::journal::{JournalEntry, StepOutcome};
use crate::engine::state::record::{Phase, Record};
use crate::engine::value::Attributes;
use crate::ops::apply::call_slots::{CallSlots, NEAR, SlotRank};
use crate::ops::apply::shared_look::SharedLook;
use crate::ops::apply::watched_resources::{ServingBackends, WatchedResource};
use crate::ops::load::session::Session;
use crate::ops::tasks::approval::Approvals;
use crate::store::error::LeaseEnd;
use crate::store::keep_alive::LeaseGuard;

/// Everything one step needs, worked out when it starts.
pub struct StepInputs {
    pub step: Step,
    /// Whose places its call takes; empty: it needs none.
    pub provider: String,
    pub rank: SlotRank,
    pub looked: LookedBehindBegan,
    pub kind: Kind,
    /// Resolved: what the object is to be, secrets in clear.
    pub attributes: Attributes,
    /// The same, sealed: what may be journalled.
    pub sealed: Attributes,
    pub record: Option<Record>,
    pub wait: StepWait,
    pub mark: Option<String>,
    /// A listing under this run's lease has shown that nothing alike is there.
    pub surveyed: bool,
    /// What it is made inside was made a moment ago, and may not be known everywhere yet.
    pub parent_is_new: bool,
    pub needs: Vec<Address>,
    pub protected: bool,
    /// A replace makes it beside what it replaces.
    pub beside: bool,
    /// The step after which the object counts as ready.
    pub is_last: bool,
    /// Deadline of waits, where the stack gives one.
    pub timeout: Option<Duration>,
    /// How long the change that it waits for may take, where that is said.
    pub slow: Option<Duration>,
    /// It directs users: for how many seconds resolvers may still answer what was before.
    pub dns_bound: Option<u64>,
}

/// Whether the lease was looked at since a call was journalled that has not left.
#[derive(Debug, Default)]
pub struct LookedBehindBegan(AtomicBool);

impl LookedBehindBegan {
    pub fn note(&self) {
        self.0.store(true, Relaxed);
    }

    /// Once: a further attempt is a call of its own.
    pub fn take(&self) -> bool {
        self.0.swap(false, Relaxed)
    }
}

/// What a step waits for, beside what its kind says of its own object.
#[derive(Debug)]
pub enum StepWait {
    /// A step that changes something, or a gate of which nothing is declared: it is open.
    Nothing,
    /// The condition that the stack gives: its `ready`, or its `gate`.
    Condition(ResolvedGate),
    /// Each of these has to serve before users are sent to it, so many times in a row; within so many seconds, where the stack
    /// says so.
    Serving { of: Vec<WatchedResource>, within: Option<u64>, times: u32 },
    /// Until caches have expired, in milliseconds since the Unix epoch; `None`: counted from the moment when the wait begins.
    Drain { until: Option<i64> },
    /// An item has to arrive between this member of a group and another one.
    Replication { gate: ResolvedGate, peer: Box<WatchedResource> },
}

/// What a running step tells.
#[derive(Debug, Clone)]
pub enum Progress {
    Started {
        step: usize,
    },
    /// Still at it; why.
    Waiting {
        step: usize,
        why: String,
    },
    /// A gate is open: how many backends serve.
    Serving {
        step: usize,
        backends: ServingBackends,
    },
    /// Somebody is waited for, and has to know at once.
    Asking {
        step: usize,
        what: String,
    },
    Ended {
        step: usize,
        outcome: StepOutcome,
    },
    /// The switch has come so far.
    Phase {
        phase: Phase,
        users: UsersAre,
    },
}

/// Entries that wait to be durable, and who is told when they are: how many looks at the lease had begun by then.
pub type PendingWrite = (Vec<JournalEntry>, oneshot::Sender<Result<u64, String>>);

/// Where entries are made durable before work goes on.
#[derive(Debug, Clone)]
pub struct JournalWriter {
    pub entries: mpsc::UnboundedSender<PendingWrite>,
    /// A write failed: nothing new may start.
    pub broken: Arc<AtomicBool>,
    /// How long a write takes, of late.
    pub latency: WriteLatency,
    pub durable: DurableEntries,
    /// Held while steps are started that are to be journalled with one write.
    pub gathering: Arc<Mutex<()>>,
}

/// How long it takes to make entries durable, of late.
#[derive(Debug, Clone, Default)]
pub struct WriteLatency(Arc<AtomicU64>);

impl WriteLatency {
    /// One more write has taken so long.
    pub fn note(&self, took: Duration) {
        let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let before = self.0.load(Relaxed);
        self.0.store(if before == 0 { took } else { (before * 3 + took) / 4 }, Relaxed);
    }

    pub fn recent(&self) -> Duration {
        Duration::from_micros(self.0.load(Relaxed))
    }
}

/// What is durable of each step that was not taken in yet: a task that ends before it can tell leaves it here.
#[derive(Debug, Clone, Default)]
pub struct DurableEntries(Arc<Mutex<BTreeMap<usize, Vec<JournalEntry>>>>);

impl DurableEntries {
    /// Who makes entries durable says so, before who waits for it hears of it. What one write holds is of one step.
    pub fn note(&self, entries: &[JournalEntry]) {
        let step = entries.iter().find_map(|it| match it {
            JournalEntry::Pending(begun) => Some(begun.step),
            JournalEntry::Waiting { step, .. }
            | JournalEntry::Ended { step, .. }
            | JournalEntry::TaskBegan { step, .. }
            | JournalEntry::TaskEnded { step, .. } => Some(*step),
            _ => None,
        });
        if let Some(step) = step {
            self.all().entry(step).or_default().extend_from_slice(entries);
        }
    }

    /// All of a step, once.
    pub fn take(&self, step: usize) -> Vec<JournalEntry> {
        self.all().remove(&step).unwrap_or_default()
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<usize, Vec<JournalEntry>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl JournalWriter {
    /// Returns when the entries are durable.
    pub async fn write(&self, entries: Vec<JournalEntry>) -> Result<(), String> {
        self.write_before_look(entries).await.map(drop)
    }

    /// The same, with how many looks at the lease had begun when they were: a later one tells whether a call may leave.
    pub async fn write_before_look(&self, entries: Vec<JournalEntry>) -> Result<u64, String> {
        let (done, wait) = oneshot::channel();
        let gone = || "the journal is closed".to_owned();
        self.entries.send((entries, done)).map_err(|_| gone())?;
        let written = wait.await.map_err(|_| gone())?;
        if written.is_err() {
            self.broken.store(true, Relaxed);
        }
        written
    }

    /// What is durable of a step whose task is gone, with what it had handed in last.
    pub async fn of_gone(&self, step: usize) -> Vec<JournalEntry> {
        // Entries are written in their order: whatever stood before these is durable, or never will be.
        self.write(Vec::new()).await.ok();
        self.durable.take(step)
    }
}

/// What became of a step, and the entries that it made durable.
pub struct StepDone {
    pub step: usize,
    pub outcome: StepOutcome,
    pub entries: Vec<JournalEntry>,
    /// When its call was free to leave, or its wait began; `None`: it came to neither, or with its start.
    pub started: Option<i64>,
    /// How long a written item took to arrive at another member of its group.
    pub arrived: Option<Duration>,
    /// The end of what a task printed, redacted.
    pub output: String,
}

impl StepDone {
    pub fn new(step: usize, outcome: StepOutcome, entries: Vec<JournalEntry>) -> Self {
        Self { step, outcome, entries, started: None, arrived: None, output: String::new() }
    }
}

/// When a step started and ended, in milliseconds since the Unix epoch on the clock of the world.
#[derive(Debug, Clone, Copy, Default)]
pub struct Times {
    pub started: Option<i64>,
    pub ended: Option<i64>,
    /// See [`StepDone::arrived`], in milliseconds.
    pub arrived: Option<u64>,
}

/// What the tasks of one run share.
#[derive(Clone)]
pub struct TaskGround {
    /// As commands name it.
    pub stack: String,
    pub folder: PathBuf,
    /// The digest of the plan that the run carries out.
    pub plan: String,
    pub approvals: Approvals,
    /// Why the run is to stop, as soon as it is.
    pub stop: watch::Receiver<Option<String>>,
}

/// What all steps of one run share.
pub struct StepContext {
    pub session: Arc<Session>,
    pub pen: JournalWriter,
    /// Says whether the lease is over.
    pub pulse: Arc<LeaseGuard>,
    /// Says whether a call may still leave.
    pub look: SharedLook,
    /// Where calls wait for their turn.
    pub slots: Arc<CallSlots>,
    pub tell: Arc<dyn Fn(Progress) + Send + Sync>,
    pub pace: Pacing,
    pub ground: TaskGround,
}

impl StepContext {
    /// Whether a mutating call may leave now.
    pub async fn fenced(&self) -> Result<(), LeaseEnd> {
        self.look.fenced().await
    }

    /// Has what is written until this is dropped written at once, where a write takes a while.
    pub fn gather(&self) -> Option<MutexGuard<'_, ()>> {
        let is_far = self.pen.latency.recent() >= NEAR;
        is_far.then(|| self.pen.gathering.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

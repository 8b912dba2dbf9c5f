//! What a test of ops stands on: a folder with one stack, a cloud and a store in memory, and one log of it all.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use crate::cloud::clock::Clock;
use crate::cloud::driver::Driver;
use crate::cloud::http::connection::{Connections, Settings};
use crate::cloud::http::prober::Prober;
use crate::cloud::provider::Provider;
use crate::engine::address::Address;
use crate::engine::ownership_tag::ownership_tag;
use crate::engine::plan::model::change::{Step, StepCall};
use crate::engine::plan::planner::Intent;
use crate::engine::retry::Pacing;
use crate::engine::schema::Kind;
use crate::engine::state::journal::{JournalEntry, PendingOperation, StepOutcome};
use crate::engine::state::record::{Record, State};
use crate::engine::state::task_record::TaskEnd;
use crate::engine::value::{Attributes, LineageKey, Value};
use crate::ops::apply::call_slots::{CallSlots, limits};
use crate::ops::apply::execute_step::execute_step;
use crate::ops::apply::finish::{RunRequest, RunResult};
use crate::ops::apply::run::apply;
use crate::ops::apply::shared_look::{LookCount, SharedLook};
use crate::ops::apply::step_inputs::{
    DurableEntries, JournalWriter, LookedBehindBegan, PendingWrite, Progress, StepContext,
    StepDone, StepInputs, StepWait, TaskGround, WriteLatency,
};
use crate::ops::error::OpsError;
use crate::ops::load::session::{CloudTarget, OpenBackend, Session};
use crate::ops::load::sides::PlanRequest;
use crate::ops::load::stack_ref::StackRef;
use crate::ops::plan::make::{Proposed, plan, plan_on};
use crate::ops::tasks::approval::Approvals;
use crate::ops::tests::memory::{Log, ManualClock, MemoryDriver};
use crate::store::backend::Backend;
use crate::store::folder::machine;
use crate::store::lease::Lease;
use crate::store::lock_record::{LockRecord, wall};
use crate::store::tests::lossy::LossyBackend;

/// A test that takes longer on the wall goes round in a circle.
const LONGEST: Duration = Duration::from_secs(20);

pub(crate) const ZONE: &str = "linode.domain";
pub(crate) const NAME: &str = "linode.domain_record";

/// A zone, a name in it, and a site that the name can lead to instead.
const STACK: &str = "
stack: shop
resources:
  zone: { kind: linode.domain, domain: example.com, soa_email: ops@example.com }
  www: { kind: linode.domain_record, domain: '${zone}', type: A, name: www, target: 192.0.2.1 }
";
const ELSEWHERE: &str = "
overlay: eu
resources:
  www: { target: 192.0.2.2 }
";

/// A store in memory for each state, which is the same for whoever opens it again.
fn in_memory() -> OpenBackend {
    let opened: Mutex<BTreeMap<String, Arc<dyn Backend>>> = Mutex::default();
    Arc::new(move |place: &StackRef, _| {
        let mut opened = opened.lock().unwrap();
        let new = || -> Arc<dyn Backend> { LossyBackend::new(None) };
        Arc::clone(opened.entry(place.name()).or_insert_with(new))
    })
}

/// Ends a test that would never end.
pub(crate) async fn in_time<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(LONGEST, work).await.expect("it goes round in a circle")
}

pub(crate) struct Stage {
    pub clock: Arc<ManualClock>,
    pub cloud: Arc<MemoryDriver>,
    pub log: Log,
    pub session: Arc<Session>,
    pub root: tempfile::TempDir,
}

impl Stage {
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("stacks/shop");
        std::fs::create_dir_all(folder.join("overlays")).unwrap();
        std::fs::write(folder.join("stack.yaml"), STACK).unwrap();
        std::fs::write(folder.join("overlays/eu.yaml"), ELSEWHERE).unwrap();
        let (clock, log) = (ManualClock::new(), Log::default());
        let cloud = MemoryDriver::new(Arc::clone(&clock), log.clone());
        let driver: Arc<dyn Driver> = Arc::<MemoryDriver>::clone(&cloud);
        let time: Arc<dyn Clock> = Arc::<ManualClock>::clone(&clock);
        let provider = Provider::over([driver].into(), false);
        let settings = Settings::from_env(Arc::clone(&time), |_| None);
        let prober = Prober::new(Arc::new(Connections::new(settings)));
        let target = CloudTarget::Clouds;
        let session = Session::over(provider, prober, time, target, "ann@test", None);
        let session = Arc::new(session.with_backends(in_memory()));
        Self { clock, cloud, log, session, root }
    }

    pub(crate) fn kind(&self, name: &str) -> Kind {
        self.session.catalog.get(name).unwrap().clone()
    }

    pub(crate) fn place(&self) -> StackRef {
        StackRef::find("shop", self.root.path()).unwrap()
    }

    pub(crate) fn ask(&self) -> PlanRequest {
        PlanRequest::to_apply(&self.place(), &[])
    }

    /// The same for a switch to the site elsewhere.
    pub(crate) fn ask_elsewhere(&self) -> PlanRequest {
        PlanRequest { overlays: Some(vec!["eu".to_owned()]), ..self.ask() }
    }

    pub(crate) fn lease(&self) -> (Lease, Option<State>) {
        let store = self.session.store(&self.place());
        store.lease("ann@test", "apply shop", self.clock.now()).unwrap()
    }

    /// Somebody else has it now.
    pub(crate) fn lose_lease(&self) {
        take_over(&self.session, &self.place());
    }

    pub(crate) fn state(&self) -> State {
        self.session.store(&self.place()).load().unwrap().unwrap()
    }

    pub(crate) async fn plan(&self) -> Result<Proposed, OpsError> {
        in_time(plan(&self.session, &self.ask())).await
    }

    pub(crate) async fn apply(&self) -> RunResult {
        self.carry_out(&self.ask()).await.unwrap()
    }

    /// Plans under the lease and applies what is planned.
    pub(crate) async fn carry_out(&self, ask: &PlanRequest) -> Result<RunResult, OpsError> {
        let (lease, state) = self.lease();
        let proposed = in_time(plan_on(&self.session, ask, state)).await?;
        self.run(lease, proposed).await
    }

    pub(crate) async fn run(&self, lease: Lease, made: Proposed) -> Result<RunResult, OpsError> {
        let order = Self::order();
        let (_signal, stop) = watch::channel(None);
        in_time(apply(&self.session, lease, made, &order, Arc::new(|_| ()), stop)).await
    }

    pub(crate) fn order() -> RunRequest {
        RunRequest {
            pace: Pacing::default(),
            command: "apply shop".into(),
            intent: Intent::Apply,
            instance: None,
            plan_digest: String::new(),
        }
    }

    /// Carries out one step under a lease of its own; what is journalled stands in the log.
    pub(crate) async fn step(&self, job: StepInputs) -> StepDone {
        let (lease, _) = self.lease();
        self.step_under(&lease, job, usize::MAX).await
    }

    /// The same under this lease; only so many writes to the journal succeed.
    pub(crate) async fn step_under(
        &self,
        lease: &Lease,
        job: StepInputs,
        writes: usize,
    ) -> StepDone {
        let hands = self.hands(lease, writes);
        in_time(execute_step(hands, job)).await
    }

    /// What steps act with; only so many writes to the journal succeed.
    pub(crate) fn hands(&self, lease: &Lease, writes: usize) -> Arc<StepContext> {
        let looks = LookCount::default();
        let pen = journal(self.log.clone(), writes, Arc::clone(&looks));
        let pulse = lease.pulse();
        let (session, pace) = (Arc::clone(&self.session), Pacing::default());
        let log = self.log.clone();
        let tell = Arc::new(move |it: Progress| {
            if let Progress::Waiting { .. } = it {
                log.note("waits");
            }
        });
        let ground = TaskGround {
            stack: "shop".into(),
            folder: self.place().folder(),
            plan: "sha256:1".into(),
            approvals: Approvals::new(Arc::clone(self.session.store(&self.place()).backend())),
            stop: watch::channel(None).1,
        };
        let look = SharedLook::at(Arc::clone(&pulse), looks);
        let slots = Arc::new(CallSlots::new(&limits(&session, pace)));
        Arc::new(StepContext { session, pen, pulse, look, slots, tell, pace, ground })
    }

    /// What a step of the stack's name needs.
    pub(crate) fn name_step(&self, call: StepCall) -> StepInputs {
        self.inputs("www", NAME, name_attributes(), call)
    }

    /// The same of its zone.
    pub(crate) fn zone_step(&self, call: StepCall) -> StepInputs {
        self.inputs("zone", ZONE, zone_attributes(), call)
    }

    pub(crate) fn inputs(
        &self,
        name: &str,
        kind: &str,
        attributes: Attributes,
        call: StepCall,
    ) -> StepInputs {
        let kind = self.kind(kind);
        let address = Address::one(name);
        let step = Step {
            id: 0,
            address: address.clone(),
            kind: kind.kind.clone(),
            call,
            waits: Vec::new(),
            lane: None,
            segment: 0,
            weight: 1,
            shift: None,
            quorums: Vec::new(),
        };
        StepInputs {
            provider: kind.provider.clone(),
            rank: (Reverse(1), 0),
            looked: LookedBehindBegan::default(),
            step,
            mark: kind.mark.is_some().then(|| ownership_tag("shop", "lineage", &address)),
            sealed: attributes.clone(),
            attributes,
            kind,
            record: None,
            wait: StepWait::Nothing,
            surveyed: true,
            parent_is_new: false,
            needs: Vec::new(),
            protected: false,
            beside: false,
            is_last: true,
            slow: None,
            timeout: None,
            dns_bound: None,
        }
    }

    /// A state that knows nothing yet.
    pub(crate) fn empty_state() -> State {
        State::new("shop", None, "clouds", "lineage", LineageKey(vec![7]))
    }

    /// A call that began just now.
    pub(crate) fn begun(&self, job: &StepInputs) -> PendingOperation {
        PendingOperation {
            step: 0,
            address: job.step.address.clone(),
            kind: job.kind.kind.clone(),
            call: job.step.call.mutation().expect("only a request is begun"),
            attributes: job.sealed.clone(),
            needs: Vec::new(),
            alike: Vec::new(),
            mark: job.mark.clone(),
            at: self.clock.now(),
        }
    }

    /// What is recorded of an object that was made long ago.
    pub(crate) fn record(&self, kind: &str, id: &str, attributes: Attributes) -> Record {
        Record {
            kind: kind.into(),
            id: id.into(),
            attributes,
            outputs: Attributes::new(),
            needs: Vec::new(),
            ready: true,
            protected: false,
            retained: false,
            leaving: false,
            since: self.clock.now() - 3_600_000,
            deposed: None,
            tried: Attributes::new(),
        }
    }
}

/// Claims the epoch after the newest one.
pub(crate) fn take_over(session: &Session, place: &StackRef) {
    let claims = session.store(place).claims();
    let epoch = claims.newest().unwrap().unwrap().epoch + 1;
    let claim = LockRecord {
        epoch,
        owner: "bob@elsewhere".into(),
        command: "failover shop".into(),
        machine: machine(),
        is_locked: true,
        is_firm: false,
        aim: None,
        since: wall(),
    };
    claims.take(&claim).unwrap().unwrap();
}

pub(crate) fn create() -> StepCall {
    StepCall::Create { attributes: Attributes::new(), label: None }
}

fn attributes(of: &[(&str, &str)]) -> Attributes {
    of.iter().map(|(name, it)| ((*name).to_owned(), Value::text(*it))).collect()
}

pub(crate) fn zone_attributes() -> Attributes {
    attributes(&[("domain", "example.com"), ("soa_email", "ops@example.com")])
}

pub(crate) fn name_attributes() -> Attributes {
    attributes(&[
        ("domain", "7"),
        ("domain.domain", "example.com"),
        ("type", "A"),
        ("name", "www"),
        ("target", "192.0.2.1"),
    ])
}

/// A journal that makes its entries durable a while after they were handed in, and notes them then.
fn journal(log: Log, writes: usize, looks: LookCount) -> JournalWriter {
    let (entries, mut queue) = mpsc::unbounded_channel::<PendingWrite>();
    let durable = DurableEntries::default();
    let known = durable.clone();
    tokio::spawn(async move {
        let mut left = writes;
        while let Some((entries, done)) = queue.recv().await {
            for _ in 0..4 {
                tokio::task::yield_now().await;
            }
            let answer = match left.checked_sub(1) {
                Some(fewer) => {
                    left = fewer;
                    known.note(&entries);
                    for it in &entries {
                        log.note(line(it));
                    }
                    Ok(looks.load(SeqCst))
                }
                None => Err("the disk is full".to_owned()),
            };
            done.send(answer).ok();
        }
    });
    JournalWriter {
        entries,
        broken: Arc::new(AtomicBool::new(false)),
        latency: WriteLatency::default(),
        durable,
        gathering: Arc::default(),
    }
}

fn line(entry: &JournalEntry) -> String {
    match entry {
        JournalEntry::Pending(it) => format!("began {} {}", it.call.word(), it.address),
        JournalEntry::Ended { address, outcome, .. } => format!("ended {address} {}", end(outcome)),
        JournalEntry::Waiting { address, gate, .. } => format!("waiting {gate} {address}"),
        JournalEntry::TaskBegan { task, undo, .. } => {
            format!("began {}{task}", if *undo { "undo " } else { "" })
        }
        JournalEntry::TaskEnded { task, undo, end, .. } => {
            let end = match end {
                TaskEnd::Done { .. } => "done",
                TaskEnd::Failed { .. } => "failed",
                TaskEnd::Indeterminate { .. } => "indeterminate",
                TaskEnd::NotDone { .. } => "not done",
            };
            format!("{end} {}{task}", if *undo { "undo " } else { "" })
        }
        _ => "another entry".to_owned(),
    }
}

pub(crate) fn end(outcome: &StepOutcome) -> &'static str {
    match outcome {
        StepOutcome::Recorded(_) => "recorded",
        StepOutcome::Removed => "removed",
        StepOutcome::Moved { .. } => "moved",
        StepOutcome::Waited => "waited",
        StepOutcome::Failed(_) => "failed",
        StepOutcome::InDoubt(_) => "in doubt",
        StepOutcome::Withdrawn => "withdrawn",
    }
}

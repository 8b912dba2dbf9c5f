//! Benchmark: what a store costs that takes 30 ms for each request, beside a folder; and whether appending depends on the size of a state.
//!
//! `cargo bench --bench stores` (some minutes: the example is made at real speed). The store is in memory and sleeps before each answer,
//! so that what is measured is the number of requests that wait for each other.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints a table and may stop anywhere"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use lifeboat::engine::plan::guard::rules::Allowances;
use lifeboat::engine::plan::planner::{Intent, Keep};
use lifeboat::engine::retry::Pacing;
use lifeboat::engine::state::journal::JournalEntry;
use lifeboat::engine::state::record::{Record, State};
use lifeboat::engine::value::{Attributes, LineageKey, Value};
use lifeboat::ops::apply::finish::RunRequest;
use lifeboat::ops::apply::run::apply;
use lifeboat::ops::load::session::Session;
use lifeboat::ops::load::sides::PlanRequest;
use lifeboat::ops::load::stack_ref::StackRef;
use lifeboat::ops::load::switch_target::Losses;
use lifeboat::ops::plan::make::plan_on;
use lifeboat::sandbox::SandboxOptions;
use lifeboat::store::backend::{Backend, ObjectVersion, PutCondition, PutOutcome, StoredObject};
use lifeboat::store::error::StoreError;
use lifeboat::store::folder::FolderBackend;
use lifeboat::store::key::{KeyPrefix, StoreKey};
use lifeboat::store::state_store::StateStore;

/// What a request takes.
const DELAY: Duration = Duration::from_millis(30);

/// What is asked for (issue "State that outlives a machine").
const APPEND_MAX: f64 = 1.3;
const EXAMPLE_MAX: f64 = 1.1;
const RECORDS_MAX: f64 = 2.0;

const EXAMPLE: &str = "woocommerce";

fn main() {
    for (name, delayed) in [("folder", false), ("store", true)] {
        let [few, many] = [1_000, 100_000].map(|records| appends(records, delayed));
        row(&format!("append, {name}: 1,000 and 100,000 resources"), few, many, APPEND_MAX);
    }
    // One after the other: the sandbox answers at once, so that both would be short of processors.
    let [folder, store] = [false, true].map(|delayed| best(3, || records(1_000, delayed)));
    row("1,000 records at real speed: folder and store", folder, store, RECORDS_MAX);
    let [folder, store] = at_once(example);
    row("example at real speed: folder and store", folder, store, EXAMPLE_MAX);
}

/// Beside the folder, in the store. Both at once: they wait, and each in a world of its own.
fn at_once(measure: impl Fn(bool) -> f64 + Copy + Send + 'static) -> [f64; 2] {
    let delayed = std::thread::spawn(move || measure(true));
    [measure(false), delayed.join().unwrap()]
}

fn row(what: &str, one: f64, other: f64, most: f64) {
    let ratio = other / one;
    println!("{what}: {one:.4} s and {other:.4} s, {ratio:.3} times (at most {most})");
}

fn best(times: usize, measure: impl Fn() -> f64) -> f64 {
    (0..times).map(|_| measure()).fold(f64::INFINITY, f64::min)
}

/// A store in memory that answers after a while.
#[derive(Debug)]
struct SlowStore {
    delay: Duration,
    objects: Mutex<(u64, BTreeMap<StoreKey, StoredObject>)>,
}

impl SlowStore {
    fn open(delay: Duration) -> Arc<dyn Backend> {
        Arc::new(Self { delay, objects: Mutex::default() })
    }

    fn wait(&self) {
        std::thread::sleep(self.delay);
    }
}

impl Backend for SlowStore {
    fn read(&self, key: &StoreKey) -> Result<Option<StoredObject>, StoreError> {
        self.wait();
        Ok(self.objects.lock().unwrap().1.get(key).cloned())
    }

    fn put(
        &self,
        key: &StoreKey,
        bytes: &[u8],
        condition: PutCondition<'_>,
    ) -> Result<PutOutcome, StoreError> {
        self.wait();
        let (puts, objects) = &mut *self.objects.lock().unwrap();
        let there = objects.get(key);
        let holds = match condition {
            PutCondition::Always => true,
            PutCondition::Absent => there.is_none(),
            PutCondition::Version(wanted) => there.is_some_and(|it| it.version == *wanted),
        };
        if !holds {
            return Ok(PutOutcome::Refused);
        }
        *puts += 1;
        let version = ObjectVersion(puts.to_string());
        objects
            .insert(key.clone(), StoredObject { bytes: bytes.to_vec(), version: version.clone() });
        Ok(PutOutcome::Written(version))
    }

    fn list(&self, prefix: &KeyPrefix) -> Result<Vec<StoreKey>, StoreError> {
        self.wait();
        let objects = self.objects.lock().unwrap();
        Ok(objects.1.keys().filter(|it| it.prefix() == *prefix).cloned().collect())
    }

    fn delete(&self, key: &StoreKey) -> Result<(), StoreError> {
        self.wait();
        self.objects.lock().unwrap().1.remove(key);
        Ok(())
    }

    /// One request for each thousand keys, as S3 takes them.
    fn delete_all(&self, keys: &[StoreKey]) -> Result<(), StoreError> {
        self.wait();
        let mut objects = self.objects.lock().unwrap();
        for key in keys {
            objects.1.remove(key);
        }
        Ok(())
    }

    fn neighbors(&self) -> Result<Vec<String>, StoreError> {
        self.wait();
        let is_there = !self.objects.lock().unwrap().1.is_empty();
        Ok(is_there.then(|| EXAMPLE.into()).into_iter().collect())
    }

    fn root(&self) -> &Path {
        Path::new("memory://states/shop")
    }
}

/// Seconds of one append, the best of many, to a state with so many records.
fn appends(records: u64, delayed: bool) -> f64 {
    let folder = tempfile::tempdir().unwrap();
    let backend: Arc<dyn Backend> = if delayed {
        SlowStore::open(Duration::from_millis(1))
    } else {
        Arc::new(FolderBackend::new(folder.path()))
    };
    let store = StateStore::over(backend);
    let (mut lease, _) = store.lease("bench", "bench", 0).unwrap();
    let mut state = State::new("bench", None, "sandbox", "lineage", LineageKey(vec![7; 16]));
    for at in 0..records {
        let text = |text: String| Value::Text(text);
        let record = Record {
            kind: "linode.domain_record".into(),
            id: at.to_string(),
            attributes: Attributes::from([("name".to_owned(), text(format!("r{at}")))]),
            outputs: Attributes::from([("id".to_owned(), text(at.to_string()))]),
            needs: Vec::new(),
            ready: true,
            protected: false,
            retained: false,
            leaving: false,
            since: 0,
            deposed: None,
            tried: Attributes::new(),
        };
        state.records.insert(format!("r{at}").parse().unwrap(), record);
    }
    let founded = JournalEntry::Founded {
        stack: "bench".into(),
        instance: None,
        target: "sandbox".into(),
        lineage: "lineage".into(),
        key: LineageKey(vec![7; 16]),
        overlays: Vec::new(),
    };
    lease.append(&[founded]).unwrap();
    state.serial += 1;
    lease.save(&state).unwrap();
    let mut least = f64::INFINITY;
    for _ in 0..20 {
        let begun = Instant::now();
        for _ in 0..20 {
            let entry = JournalEntry::Bound { cloud: "linode".into(), account: "x".into() };
            lease.append(&[entry]).unwrap();
        }
        least = least.min(begun.elapsed().as_secs_f64() / 20.0);
    }
    least
}

fn flat(size: usize) -> String {
    format!(
        "stack: bench\nresources:\n  zone: {{ kind: linode.domain, domain: example.com, type: master, soa_email: ops@example.com }}\n  r: {{ kind: linode.domain_record, count: {size}, domain: '${{zone}}', type: A, name: 'r${{each.index}}', target: 192.0.2.1 }}\n"
    )
}

/// Seconds of a create of so many records and their zone at real speed.
fn records(size: usize, delayed: bool) -> f64 {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("stacks/bench");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("stack.yaml"), flat(size)).unwrap();
    create(root.path(), "bench", delayed)
}

/// Seconds of the example's create at real speed.
fn example(delayed: bool) -> f64 {
    let root = tempfile::tempdir().unwrap();
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    copy(&repository.join("stacks").join(EXAMPLE), &root.path().join("stacks").join(EXAMPLE));
    create(root.path(), EXAMPLE, delayed)
}

fn create(root: &Path, stack: &str, delayed: bool) -> f64 {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let options = SandboxOptions { speed: 1.0, ..SandboxOptions::default() };
        let mut session = Session::sandbox(root, options, "bench").await.unwrap();
        if delayed {
            let store = SlowStore::open(DELAY);
            session = session.with_backends(Arc::new(move |_, _| Arc::clone(&store)));
        }
        let session = Arc::new(session);
        let ask = ask(root, stack);
        // From the lease to its end: all of it waits for the store.
        let begun = Instant::now();
        let (lease, state) = session.store(&ask.place).lease("bench", "bench", 0).unwrap();
        let proposed = plan_on(&session, &ask, state).await.unwrap();
        let order = RunRequest {
            command: "bench".into(),
            intent: Intent::Apply,
            instance: None,
            plan_digest: String::new(),
            pace: Pacing::default(),
        };
        let (_stop, stopped) = tokio::sync::watch::channel(None);
        let told = Arc::new(|_| {});
        let report = apply(&session, lease, proposed, &order, told, stopped).await.unwrap();
        assert!(report.is_over(), "{:?}", report.failed.first());
        begun.elapsed().as_secs_f64()
    })
}

fn ask(root: &Path, stack: &str) -> PlanRequest {
    PlanRequest {
        place: StackRef::find(stack, root).unwrap(),
        overlays: None,
        given: Vec::new(),
        intent: Intent::Apply,
        allowed: Allowances::default(),
        losses: Losses::default(),
        only_switch: false,
        replace: Vec::new(),
        include_pending: false,
        keep: Keep::Nothing,
        last_good: None,
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let from: PathBuf = entry.unwrap().path();
        let to = to.join(from.file_name().unwrap());
        if from.is_dir() {
            copy(&from, &to);
        } else {
            std::fs::copy(&from, &to).unwrap();
        }
    }
}

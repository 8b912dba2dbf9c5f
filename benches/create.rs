//! Benchmark: requests and seconds of the example's create at real speed, beside the longest chain of its own waits.
//!
//! `cargo bench --bench create` (some minutes: nothing is sped up). The chain is measured, not guessed: the same create in
//! the same seeded world by a run that looks twenty times a second sees everything as soon as it is there, so its seconds
//! are what the clouds take. What the usual run takes beyond that is overslept; at most 1.05 is asked for.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints a table and may stop anywhere"
)]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lifeboat::engine::plan::guard::rules::Allowances;
use lifeboat::engine::plan::planner::{Intent, Keep};
use lifeboat::engine::retry::Pacing;
use lifeboat::ops::apply::finish::RunRequest;
use lifeboat::ops::apply::run::apply;
use lifeboat::ops::load::session::Session;
use lifeboat::ops::load::sides::PlanRequest;
use lifeboat::ops::load::stack_ref::StackRef;
use lifeboat::ops::load::switch_target::Losses;
use lifeboat::ops::plan::make::plan_on;
use lifeboat::sandbox::{Sandbox, SandboxOptions};

const EXAMPLE: &str = "woocommerce";
/// Looks of a run that oversleeps nothing.
const AT_ONCE: Duration = Duration::from_millis(50);
/// What the usual run may take, beside the chain.
const ALLOWED: f64 = 1.05;

fn main() {
    // Both at once: they wait, and each in a world of its own.
    let usual = std::thread::spawn(|| create(Pacing::default()));
    let chain = create(Pacing { poll: Some(AT_ONCE), ..Pacing::default() });
    let usual = usual.join().unwrap();
    println!("run     seconds  requests  steps");
    println!("usual   {:7.1}  {:8}  {:5}", usual.seconds, usual.requests, usual.steps);
    println!("chain   {:7.1}  {:8}  {:5}", chain.seconds, chain.requests, chain.steps);
    let ratio = usual.seconds / chain.seconds;
    println!("usual / chain: {ratio:.3} (at most {ALLOWED})");
    assert!(ratio <= ALLOWED, "waits are overslept");
}

struct Measured {
    seconds: f64,
    requests: usize,
    steps: usize,
}

fn create(pace: Pacing) -> Measured {
    let root = tempfile::tempdir().unwrap();
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    copy(&repository.join("stacks").join(EXAMPLE), &root.path().join("stacks").join(EXAMPLE));
    let options = SandboxOptions { speed: 1.0, ..SandboxOptions::default() };
    let folder = root.path().join("state/sandbox/world");
    let world = Sandbox::open(Some(&folder), &options).unwrap();
    world.log_requests().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let start = Instant::now();
    let steps = runtime.block_on(async {
        let session = Arc::new(Session::sandbox(root.path(), options, "bench").await.unwrap());
        let ask = PlanRequest {
            place: StackRef::find(EXAMPLE, root.path()).unwrap(),
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
        };
        let (lease, state) = session.store(&ask.place).lease("bench", "bench", 0).unwrap();
        let proposed = plan_on(&session, &ask, state).await.unwrap();
        let order = RunRequest {
            command: "bench".into(),
            intent: Intent::Apply,
            instance: None,
            plan_digest: String::new(),
            pace,
        };
        let (_stop, stopped) = tokio::sync::watch::channel(None);
        let told = Arc::new(|_| {});
        let report = apply(&session, lease, proposed, &order, told, stopped).await.unwrap();
        assert!(report.is_over(), "{:?}", report.failed.first());
        report.done.len()
    });
    let seconds = start.elapsed().as_secs_f64();
    let requests = world.requests().unwrap().received;
    let requests = requests.iter().filter(|it| !it.is_probe()).count();
    Measured { seconds, requests, steps }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let from = entry.unwrap().path();
        let to = to.join(from.file_name().unwrap());
        if from.is_dir() {
            copy(&from, &to);
        } else {
            std::fs::copy(&from, &to).unwrap();
        }
    }
}

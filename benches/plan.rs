//! Benchmarks: from YAML and state bytes to a rendered plan, each case in a process of its own; and on the sandbox.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a benchmark prints a table and may stop anywhere"
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use lifeboat::engine::address::Address;
use lifeboat::engine::graph::Graph;
use lifeboat::engine::lang::load::{FileProblem, Files, Layer, load};
use lifeboat::engine::lang::merge::variables::RememberedVariables;
use lifeboat::engine::lang::model::Stack;
use lifeboat::engine::lang::resolve::resolve;
use lifeboat::engine::observed::Observation;
use lifeboat::engine::plan::draft::refresh::{KnownValues, read_requests};
use lifeboat::engine::plan::model::change::Action;
use lifeboat::engine::plan::planner::{Intent, Keep, PlanInputs, PlanOptions, plan_changes};
use lifeboat::engine::retry::Pacing;
use lifeboat::engine::schema::Catalog;
use lifeboat::engine::state::codec::{decode_state, encode_state};
use lifeboat::engine::state::record::{Record, State};
use lifeboat::engine::value::{Attributes, LineageKey, Value};
use lifeboat::kinds::builtin;
use lifeboat::ops::apply::finish::RunRequest;
use lifeboat::ops::apply::run::apply;
use lifeboat::ops::load::session::Session;
use lifeboat::ops::load::sides::PlanRequest;
use lifeboat::ops::load::stack_ref::StackRef;
use lifeboat::ops::load::switch_target::Losses;
use lifeboat::ops::plan::make::{plan, plan_on};
use lifeboat::render::plan::markdown::markdown;
use lifeboat::render::plan::text::{TextOptions, text};
use lifeboat::sandbox;
use lifeboat::sandbox::faults::state::LostHow;

/// The program's own, so that this measures what it does.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SIZES: [usize; 3] = [1_000, 10_000, 100_000];
const SHAPES: [&str; 2] = ["flat", "chained"];
const RUNS: usize = 3;
/// How many of the objects of a lost site are tables.
const TABLES: usize = 50;
/// Room for deep expressions, as in the program itself.
const STACK_BYTES: usize = 32 * 1024 * 1024;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(at) = arguments.iter().position(|it| it == "--applied") {
        let (shape, size, file) = (&arguments[at + 1], &arguments[at + 2], &arguments[at + 3]);
        std::fs::write(file, applied(&builtin(), shape, size.parse().unwrap())).unwrap();
        return;
    }
    if let Some(at) = arguments.iter().position(|it| it == "--case") {
        let (shape, size, what) = (&arguments[at + 1], &arguments[at + 2], &arguments[at + 3]);
        let (shape, size, what) = (shape.clone(), size.parse().unwrap(), what.clone());
        let case = move || one(&shape, size, &what);
        std::thread::Builder::new().stack_size(STACK_BYTES).spawn(case).unwrap().join().unwrap();
        return;
    }
    println!("| shape | resources | plan | best of {RUNS} | peak memory |\n|---|---|---|---|---|");
    for what in ["no-op", "create"] {
        for shape in SHAPES {
            for size in SIZES {
                row(shape, size, what);
            }
        }
    }
    row("sandbox", 1_000, "apply");
    row("lost", TABLES + 200, "switch");
    row("comment", 10_000, "markdown");
}

/// Runs a case several times, each in a fresh process, so that peaks do not mix.
fn row(shape: &str, size: usize, what: &str) {
    let mut best = f64::MAX;
    let mut peak = 0;
    for _ in 0..RUNS {
        let exe = std::env::current_exe().unwrap();
        let size = size.to_string();
        let output = Command::new(exe).args(["--case", shape, &size, what]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        let (seconds, kilobytes) = text.trim().split_once(' ').unwrap();
        best = best.min(seconds.parse().unwrap());
        peak = peak.max(kilobytes.parse::<u64>().unwrap());
    }
    println!("| {shape} | {size} | {what} | {best:.3} s | {} MB |", peak / 1024);
}

fn one(shape: &str, size: usize, what: &str) {
    let seconds = match what {
        "apply" => creates(size),
        "switch" => lost(size),
        "markdown" => comment(size),
        _ => plans(shape, size, what == "no-op"),
    };
    println!("{seconds} {}", peak_kilobytes());
}

fn peak_kilobytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|it| it.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// `flat`: every record in one zone. `chained`: record i uses i − 1 and i / 2, too.
fn yaml(shape: &str, size: usize) -> String {
    let mut text = String::from(
        "stack: bench\nresources:\n  zone: { kind: linode.domain, domain: example.com, soa_email: a@example.com }\n",
    );
    for at in 0..size {
        let target = match (shape, at) {
            ("chained", 1..) => format!("'${{r{}.name}} ${{r{}.name}}'", at - 1, at / 2),
            _ => format!("text-{at}"),
        };
        writeln!(
            text,
            "  r{at}:\n    kind: linode.domain_record\n    domain: '${{zone}}'\n    type: TXT\n    name: r{at}\n    target: {target}\n    ttl_sec: 300"
        )
        .unwrap();
    }
    text
}

struct NoFiles;

impl Files for NoFiles {
    fn read(&self, _: &str) -> Result<Vec<u8>, FileProblem> {
        Err(FileProblem::Missing)
    }
}

fn stack_of(bytes: &[u8], catalog: &Catalog) -> Stack {
    let layer = Layer { name: String::new(), file: "stack.yaml".into(), bytes: bytes.to_vec() };
    let loaded = load("bench", &[layer], &[], RememberedVariables::none(), &NoFiles, catalog);
    assert!(loaded.diagnostics.is_empty(), "{:?}", loaded.diagnostics.first());
    loaded.stack.unwrap()
}

/// Seconds from the bytes of layers and state to the text of a plan.
fn plans(shape: &str, size: usize, is_applied: bool) -> f64 {
    let catalog = builtin();
    let bytes = yaml(shape, size).into_bytes();
    let state_bytes = if is_applied { applied_elsewhere(shape, size) } else { Vec::new() };
    let observed = if is_applied { observed(&state_bytes) } else { BTreeMap::new() };
    let start = Instant::now();
    let tell = |what: &str| {
        if std::env::var_os("PHASES").is_some() {
            eprintln!("{what} {:.3}", start.elapsed().as_secs_f64());
        }
    };
    let state = is_applied.then(|| decode_state(&state_bytes).unwrap());
    tell("state");
    let stack = stack_of(&bytes, &catalog);
    tell("stack");
    let graph = Graph::new(&stack).unwrap();
    let order: Vec<Address> = graph.order().cloned().collect();
    tell("graph");
    let state = state.as_ref();
    let inquiries = read_requests(&catalog, &stack, &order, state, &[]);
    assert!(!inquiries.is_empty());
    drop(inquiries);
    tell("survey");
    let worlds =
        PlanInputs { catalog: &catalog, stack: &stack, order: &order, state, observed: &observed };
    let plan =
        plan_changes(&worlds, &PlanOptions { now: i64::MAX / 2, ..PlanOptions::default() }).0;
    tell("propose");
    let shown = text(&plan, &TextOptions { color: false, width: 100, verbose: false });
    tell("text");
    let seconds = start.elapsed().as_secs_f64();
    assert_eq!(shown.contains("No changes"), is_applied, "{}", &shown[..shown.len().min(500)]);
    seconds
}

/// How many bytes a comment on GitHub may have.
const COMMENT_BYTES: usize = 65_536;

/// Seconds of the comment on a plan in which each of so many records is changed, one in ten deleted, and one in ten leads users
/// elsewhere.
fn comment(size: usize) -> f64 {
    let catalog = builtin();
    let records = |is_after: bool| {
        let mut text = yaml("flat", 0);
        for at in 0..size {
            let (kind, target) = match at % 10 {
                0 if is_after => continue,
                1 => (
                    "A",
                    format!(
                        "192.0.{}.{}",
                        at / 250 % 250,
                        1 + at % 250 / 2 + usize::from(is_after)
                    ),
                ),
                _ => ("TXT", format!("text-{at}-{is_after}")),
            };
            let zone = "domain: '${zone}'";
            writeln!(text, "  r{at}: {{ kind: linode.domain_record, {zone}, type: {kind}, name: r{at}, target: '{target}' }}").unwrap();
        }
        text
    };
    let state = decode_state(&state_of(&catalog, records(false).as_bytes())).unwrap();
    let observed = observed(&encode_state(&state));
    let stack = stack_of(records(true).as_bytes(), &catalog);
    let order: Vec<Address> = Graph::new(&stack).unwrap().order().cloned().collect();
    let state = Some(&state);
    let worlds =
        PlanInputs { catalog: &catalog, stack: &stack, order: &order, state, observed: &observed };
    let plan =
        plan_changes(&worlds, &PlanOptions { now: i64::MAX / 2, ..PlanOptions::default() }).0;
    assert_eq!(plan.changes.iter().filter(|it| it.action != Action::NoOp).count(), size);
    let start = Instant::now();
    let page = markdown(&plan, Some(COMMENT_BYTES));
    let seconds = start.elapsed().as_secs_f64();
    assert!(page.len() <= COMMENT_BYTES && page.contains("TRAFFIC** ×1000 "), "{page}");
    seconds
}

/// The state of an applied stack, made by another process: what it takes to make it is none of the program's.
fn applied_elsewhere(shape: &str, size: usize) -> Vec<u8> {
    let file = tempfile::NamedTempFile::new().unwrap();
    let made = Command::new(std::env::current_exe().unwrap())
        .args(["--applied", shape, &size.to_string()])
        .arg(file.path())
        .status();
    assert!(made.unwrap().success());
    std::fs::read(file.path()).unwrap()
}

/// What the cloud would tell: everything is as it was recorded.
fn observed(state_bytes: &[u8]) -> BTreeMap<Address, Observation> {
    let exists = |it: Record| Observation::Exists { attributes: it.attributes, ready: true };
    let records = decode_state(state_bytes).unwrap().records.into_iter();
    records.map(|(address, it)| (address, exists(it))).collect()
}

/// The state of the stack as if it had been applied.
fn applied(catalog: &Catalog, shape: &str, size: usize) -> Vec<u8> {
    state_of(catalog, yaml(shape, size).as_bytes())
}

fn state_of(catalog: &Catalog, layer: &[u8]) -> Vec<u8> {
    let stack = stack_of(layer, catalog);
    let graph = Graph::new(&stack).unwrap();
    let mut state = State::new("bench", None, "sandbox", "lineage", LineageKey(vec![7; 16]));
    let mut known = KnownValues::default();
    for (at, address) in graph.order().enumerate() {
        let instance = &stack.instances[address];
        let mut attributes = resolve(&stack, catalog, instance, &known).unwrap().attributes;
        attributes.retain(|_, it| !it.is_null());
        let id = (at + 1).to_string();
        let record = Record {
            kind: instance.resource.kind.clone(),
            id: id.clone(),
            attributes,
            outputs: Attributes::from([("id".to_owned(), Value::Text(id))]),
            needs: instance.needs.iter().map(|(need, _)| need.clone()).collect(),
            ready: true,
            protected: false,
            retained: false,
            leaving: false,
            since: 0,
            deposed: None,
            tried: Attributes::new(),
        };
        known.put(address.clone(), record.object());
        state.records.insert(address.clone(), record);
    }
    encode_state(&state)
}

/// Seconds of an apply that creates this many records, and their zone, on the sandbox.
fn creates(size: usize) -> f64 {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), "stack.yaml", &yaml("flat", size));
    runtime().block_on(async {
        let session = Arc::new(session(root.path()).await);
        let start = Instant::now();
        assert_eq!(run(&session, &ask(root.path(), None)).await, size + 1);
        start.elapsed().as_secs_f64()
    })
}

/// What is left when everything in the primary region hangs: a copy of the first table, and the zone.
fn site(instances: usize) -> String {
    format!(
        "stack: bench\nresources:
  items: {{ kind: dynamodb.table, count: {TABLES}, region: us-east-1, name: 'items-${{each.index}}', attributes: {{ id: S }}, hash_key: id }}
  copy: {{ kind: dynamodb.replica, table: '${{items[0]}}', region: eu-west-1 }}
  web: {{ kind: linode.instance, count: {instances}, region: us-east, type: g6-nanode-1, image: linode/debian12, label: 'web-${{each.index}}', authorized_users: [ops], depends_on: [items] }}
  eu: {{ kind: linode.instance, region: eu-central, type: g6-nanode-1, image: linode/debian12, label: web-eu, authorized_users: [ops] }}
  zone: {{ kind: linode.domain, domain: example.com, soa_email: ops@example.com }}
  shop: {{ kind: linode.domain_record, domain: '${{zone}}', type: A, name: shop, target: '${{web[0].ipv4}}', ttl_sec: 300 }}
"
    )
}

const AWAY: &str = "overlay: away
assumes_lost: [linode:us-east, aws:us-east-1]
resources: { shop: { target: '${eu.ipv4}' } }
";

/// Seconds of a plan, from the folder to its text, that moves users away from a primary region that is lost and hangs.
fn lost(size: usize) -> f64 {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), "stack.yaml", &site(size - TABLES));
    write(root.path(), "overlays/away.yaml", AWAY);
    runtime().block_on(async {
        let first = Arc::new(session(root.path()).await);
        run(&first, &ask(root.path(), None)).await;
        let world = root.path().join("state/sandbox/world");
        let world =
            sandbox::Sandbox::open(Some(&world), &sandbox::SandboxOptions::default()).unwrap();
        for fault_domain in ["linode:us-east", "aws:us-east-1"] {
            world.lose(fault_domain, LostHow::Hang).unwrap();
        }
        let start = Instant::now();
        let session = session(root.path()).await;
        let planned = plan(&session, &ask(root.path(), Some("away"))).await.unwrap();
        let shown = text(&planned.plan, &TextOptions { color: false, width: 100, verbose: false });
        let seconds = start.elapsed().as_secs_f64();
        assert!(shown.contains(&format!("{size} frozen")), "{shown}");
        seconds
    })
}

fn write(root: &Path, file: &str, text: &str) {
    let file = root.join("stacks/bench").join(file);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, text).unwrap();
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap()
}

async fn session(root: &Path) -> Session {
    let options = sandbox::SandboxOptions { speed: 10_000.0, ..sandbox::SandboxOptions::default() };
    Session::sandbox(root, options, "bench").await.unwrap()
}

fn ask(root: &Path, overlay: Option<&str>) -> PlanRequest {
    PlanRequest {
        place: StackRef::find("bench", root).unwrap(),
        overlays: overlay.map(|it| vec![it.to_owned()]),
        given: Vec::new(),
        intent: Intent::Apply,
        allowed: lifeboat::engine::plan::guard::rules::Allowances::default(),
        losses: Losses::default(),
        only_switch: false,
        replace: Vec::new(),
        include_pending: false,
        keep: Keep::Nothing,
        last_good: None,
    }
}

/// Plans and applies; how much was done.
async fn run(session: &Arc<Session>, ask: &PlanRequest) -> usize {
    let (lease, state) = session.store(&ask.place).lease("bench", "bench", 0).unwrap();
    let proposed = plan_on(session, ask, state).await.unwrap();
    let order = RunRequest {
        command: "bench".into(),
        intent: Intent::Apply,
        instance: None,
        plan_digest: String::new(),
        pace: Pacing::default(),
    };
    let (_stop, stopped) = tokio::sync::watch::channel(None);
    let report = apply(session, lease, proposed, &order, Arc::new(|_| {}), stopped).await.unwrap();
    assert!(report.is_over(), "{:?}", report.failed.first());
    report.done.len()
}

//! Benchmark: how long it takes from the start of `lifeboat plan` to its first line, for the example on the sandbox.
//!
//! `cargo bench --bench first_line`. Each run is a process of its own, as a person starts it; `new` has nothing recorded, `applied`
//! reads back all that the example made. At most 150 ms are asked for.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints a table and may stop anywhere"
)]

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const EXAMPLE: &str = "woocommerce";
const RUNS: usize = 21;
const ALLOWED: Duration = Duration::from_millis(150);

fn main() {
    let root = tempfile::tempdir().unwrap();
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    copy(&repository.join("stacks").join(EXAMPLE), &root.path().join("stacks").join(EXAMPLE));
    println!("state    least  median   most  (ms to the first line, {RUNS} runs)");
    let new = measured(root.path());
    told("new", &new);
    let made = command(root.path(), &["apply", EXAMPLE, "--sandbox", "--yes"]).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let applied = measured(root.path());
    told("applied", &applied);
    let slowest = new[RUNS / 2].max(applied[RUNS / 2]);
    assert!(slowest <= ALLOWED, "the median is over {} ms", ALLOWED.as_millis());
}

/// In order.
fn measured(root: &Path) -> Vec<Duration> {
    let mut all: Vec<Duration> = (0..RUNS).map(|_| first_line(root)).collect();
    all.sort_unstable();
    all
}

fn first_line(root: &Path) -> Duration {
    let began = Instant::now();
    let mut plan = command(root, &["plan", EXAMPLE, "--sandbox"]);
    let mut plan = plan.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(plan.stdout.take().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    let took = began.elapsed();
    assert!(first.contains(EXAMPLE), "{first}");
    lines.for_each(drop);
    assert!(plan.wait().unwrap().success());
    took
}

fn command(root: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lifeboat"));
    command
        .args(words)
        .current_dir(root)
        .env_clear()
        .env("HOME", root)
        .env("PATH", "/usr/bin:/bin");
    command
}

fn told(state: &str, all: &[Duration]) {
    let [least, median, most] = [0, RUNS / 2, RUNS - 1].map(|at| all[at].as_secs_f64() * 1_000.0);
    println!("{state:8} {least:5.0}  {median:6.0}  {most:5.0}");
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

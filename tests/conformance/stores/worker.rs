//! Other processes that use a store: this test binary, started again with a job.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use lifeboat::store::backend::{Backend, ObjectVersion, PutCondition, PutOutcome};
use lifeboat::store::folder::FolderBackend;
use lifeboat::store::key::StoreKey;
use lifeboat::store::open::{open, open_declared};
use lifeboat::store::remote::location::{DeclaredStores, StoreLocation};

use crate::process::{ACCESS_KEY, SECRET_KEY, clean};
use crate::stores::rounds::hold;

/// The job of a process, and the store that it is about.
const JOB: &str = "LIFEBOAT_STORE_JOB";
const STORE: &str = "LIFEBOAT_STORE";

/// How many processes put at once, and how often.
const CONTENDERS: usize = 16;
const ROUNDS: usize = 12;

/// How large the large values of [`write`] are: two chunks of a table.
const LARGE: usize = 400 * 1024;

/// Another process with a job.
pub(crate) struct Worker {
    child: Child,
    input: ChildStdin,
    /// What it says of its job, line by line.
    said: Receiver<String>,
}

/// What is heard of a process within a moment.
pub(crate) enum Heard {
    Said(String),
    Nothing,
    Ended,
}

impl Worker {
    pub(crate) fn start(job: &str, store: &str) -> Self {
        Self::start_in(
            job,
            store,
            &[("CARGO_PKG_NAME", ACCESS_KEY), ("CARGO_PKG_REPOSITORY", SECRET_KEY)],
        )
    }

    /// With this environment, and nothing of ours.
    pub(crate) fn start_in(job: &str, store: &str, environment: &[(&str, &str)]) -> Self {
        let own = std::env::current_exe().unwrap();
        let mut command = clean(&own.display().to_string());
        command
            .args(["--exact", "stores::worker::works_where_it_is_told_to", "--nocapture", "-q"])
            .env(JOB, job)
            .env(STORE, store)
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit());
        let mut child = command.spawn().unwrap();
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (tell, said) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if let Some((_, words)) = line.split_once("| ") {
                    tell.send(words.to_owned()).ok();
                }
            }
        });
        Self { child, input, said }
    }

    /// The next line that it says of its job; `None` when it has ended.
    pub(crate) fn hear(&mut self) -> Option<String> {
        self.said.recv().ok()
    }

    pub(crate) fn hear_soon(&mut self) -> Heard {
        match self.said.recv_timeout(Duration::from_millis(5)) {
            Ok(said) => Heard::Said(said),
            Err(RecvTimeoutError::Timeout) => Heard::Nothing,
            Err(RecvTimeoutError::Disconnected) => Heard::Ended,
        }
    }

    fn tell(&mut self, words: &str) {
        writeln!(self.input, "{words}").unwrap();
    }

    /// Everything that it still says.
    pub(crate) fn rest(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.hear()).collect()
    }

    /// `STOP`, `CONT`
    pub(crate) fn signal(&self, name: &str) {
        let process = self.child.id().to_string();
        let sent = std::process::Command::new("kill").args(["-s", name, &process]).status();
        assert!(sent.unwrap().success());
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// What a process of [`Worker::start`] does, and nothing in any other.
#[test]
fn works_where_it_is_told_to() {
    let (Ok(job), Ok(store)) = (std::env::var(JOB), std::env::var(STORE)) else { return };
    let backend = opened(&store);
    match job.as_str() {
        "race" => race(&*backend),
        "hold" => hold(backend),
        "write" => write(&*backend, &mut |step| say(step)),
        "read" => match backend.get(&key("doc")) {
            Ok(found) => say(&format!("{:?}", found.map(|it| String::from_utf8(it).unwrap()))),
            Err(why) => say(&format!("{why}; {}", why.advice())),
        },
        other => panic!("there is no job {other}"),
    }
}

/// A folder, the address of a store, or those of a primary store and its mirror.
pub(crate) fn opened(store: &str) -> Arc<dyn Backend> {
    let (primary, mirror) = store.split_once(' ').map_or((store, None), |(a, b)| (a, Some(b)));
    let Ok(primary) = primary.parse::<StoreLocation>() else {
        return Arc::new(FolderBackend::new(std::path::Path::new(store)));
    };
    let Some(mirror) = mirror else { return open(&primary, "shop") };
    let mirror = Some(mirror.parse().unwrap());
    open_declared(&DeclaredStores { primary, mirror, witness: None }, "shop")
}

/// Whole lines: what the test harness says stands in others.
pub(crate) fn say(words: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "| {words}").unwrap();
    out.flush().unwrap();
}

pub(crate) fn key(text: &str) -> StoreKey {
    StoreKey::parse(text).unwrap()
}

/// Puts what each line that it reads names, at once with all others that read the same line.
fn race(backend: &dyn Backend) {
    say("ready");
    for line in std::io::stdin().lines() {
        let line = line.unwrap();
        let mut words = line.split(' ');
        let (name, version) = (key(words.next().unwrap()), words.next());
        let bytes = format!("{} {name} {version:?}", std::process::id());
        let version = version.map(|it| ObjectVersion(it.to_owned()));
        let condition = version.as_ref().map_or(PutCondition::Absent, PutCondition::Version);
        match backend.put(&name, bytes.as_bytes(), condition) {
            Ok(PutOutcome::Written(_)) => say(&format!("won {bytes}")),
            Ok(PutOutcome::Refused) => say("lost"),
            Err(why) => say(&format!("failed: {why}")),
        }
    }
}

pub(crate) fn contend(location: &StoreLocation) {
    contend_in(&location.to_string());
}

/// Law 4: of many processes that put at once, one is told that it was first, and that one is read.
pub(crate) fn contend_in(store: &str) {
    let backend = opened(store);
    let mut workers: Vec<Worker> = (0..CONTENDERS).map(|_| Worker::start("race", store)).collect();
    for worker in &mut workers {
        assert_eq!(worker.hear().unwrap(), "ready");
    }
    for round in 0..ROUNDS {
        let name = key(&format!("race{round:02}"));
        let won = raced(&mut workers, &name.to_string());
        let found = backend.read(&name).unwrap().unwrap();
        assert_eq!(String::from_utf8(found.bytes).unwrap(), won, "round {round}, absent");
        let won = raced(&mut workers, &format!("{name} {}", found.version.0));
        let found = backend.read(&name).unwrap().unwrap();
        assert_eq!(String::from_utf8(found.bytes).unwrap(), won, "round {round}, under a version");
    }
}

/// What the only winner put.
fn raced(workers: &mut [Worker], line: &str) -> String {
    for worker in &mut *workers {
        worker.tell(line);
    }
    let said: Vec<String> = workers.iter_mut().map(|it| it.hear().unwrap()).collect();
    let won: Vec<&str> = said.iter().filter_map(|it| it.strip_prefix("won ")).collect();
    let lost = said.iter().filter(|it| *it == "lost").count();
    assert_eq!((won.len(), lost), (1, CONTENDERS - 1), "{said:#?}");
    won[0].to_owned()
}

/// The steps of a writer that may be killed at any moment, and begun again: each is said when it is over.
pub(crate) fn write(backend: &dyn Backend, over: &mut dyn FnMut(&str)) {
    let put = |name: &str, bytes: &[u8], condition: PutCondition<'_>| {
        backend.put(&key(name), bytes, condition).unwrap()
    };
    put("doc", b"one", PutCondition::Absent);
    over("doc one");
    let found = backend.read(&key("doc")).unwrap().unwrap();
    if found.bytes == b"one" {
        assert!(put("doc", b"two", PutCondition::Version(&found.version)).is_written());
    }
    over("doc two");
    for at in [b'a', b'b'] {
        put("large", &vec![at; LARGE], PutCondition::Always);
        over(&format!("large {}", char::from(at)));
    }
    for at in 1..=2 {
        put(&format!("entries/{at}"), format!("{at}").as_bytes(), PutCondition::Absent);
        over(&format!("entry {at}"));
    }
    backend.delete_all(&[key("entries/1"), key("large")]).unwrap();
    over("removed");
}

/// What there may be after the steps that are known to be over, and what must be.
pub(crate) fn check_written(backend: &dyn Backend, over: &[String]) {
    let is_over = |step: &str| over.iter().any(|it| it == step);
    let text = |name: &str| {
        let found = backend.get(&key(name)).unwrap();
        found.map(|it| String::from_utf8(it).unwrap())
    };
    let doc = text("doc");
    match doc.as_deref() {
        None => assert!(!is_over("doc one"), "lost: {over:?}"),
        Some("one") => assert!(!is_over("doc two"), "lost: {over:?}"),
        Some(other) => assert_eq!(other, "two"),
    }
    match text("large") {
        None => assert!(!is_over("large a") || is_over("entry 2"), "lost: {over:?}"),
        Some(large) => {
            let first = large.chars().next().unwrap();
            assert!(large.len() == LARGE && large.chars().all(|it| it == first), "torn");
            assert!(first == 'b' || !is_over("large b"), "lost: {over:?}");
            assert!(!is_over("removed"), "it came back: {over:?}");
        }
    }
    for at in 1..=2 {
        match text(&format!("entries/{at}")) {
            None => assert!(
                !is_over(&format!("entry {at}")) || (at == 1 && is_over("entry 2")),
                "lost: {over:?}"
            ),
            Some(found) => assert_eq!(found, at.to_string()),
        }
    }
    let listed = backend.list(&key("entries/1").prefix()).unwrap();
    assert!(listed.len() <= 2, "{listed:?}");
    if is_over("removed") {
        assert_eq!(listed, [key("entries/2")]);
    }
}

//! A home of its own for each test: a temporary folder, the binary under a cleared environment, and the sandbox's world.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fmt;
use std::io::{BufRead as _, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use lifeboat::engine::state::record::State;
use lifeboat::sandbox::faults::spec::FaultSpec;
use lifeboat::sandbox::faults::state::LostHow;
use lifeboat::sandbox::http::SandboxRequest;
use lifeboat::sandbox::requests::log;
use lifeboat::sandbox::requests::received::Received;
use lifeboat::sandbox::world::core::SandboxReply;
use lifeboat::sandbox::{Sandbox, SandboxOptions};
use lifeboat::store::state_store::StateStore;
use serde_json::Value;

use crate::{advised_commands, json_documents};

/// World seconds per second; ten minutes of world patience are some seconds on a busy machine.
pub(crate) const SPEED: f64 = 200.0;

/// Between two looks at something that another process does.
const POLL: Duration = Duration::from_millis(2);

/// How long a test waits for another process before it says that something hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// The folder of Cargo.toml.
pub(crate) fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Where one test lives; it goes with its value.
pub(crate) struct Home {
    folder: tempfile::TempDir,
    pub(crate) world: Sandbox,
    environment: Vec<(String, String)>,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self::with(&SandboxOptions { speed: SPEED, ..SandboxOptions::default() })
    }

    pub(crate) fn with(options: &SandboxOptions) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("stacks")).unwrap();
        let world = folder.path().join("state/sandbox/world");
        let world = Sandbox::open(Some(&world), options).unwrap();
        Self { folder, world, environment: Vec::new() }
    }

    /// A home with one stack in it.
    pub(crate) fn holding(name: &str, stack: impl AsRef<[u8]>) -> Self {
        let home = Self::new();
        home.stack(name, stack);
        home
    }

    /// A home with the example that the project ships.
    pub(crate) fn woocommerce() -> Self {
        let home = Self::new();
        copy(&repository().join("stacks/woocommerce"), &home.path("stacks/woocommerce"));
        home
    }

    /// A home as the binary of a commit left it: `tests/fixtures/COMMIT/MOMENT`.
    pub(crate) fn left_by(commit: &str, moment: &str) -> Self {
        let fixture = repository().join("tests/fixtures").join(commit);
        let folder = tempfile::tempdir().unwrap();
        copy(&fixture.join("stacks"), &folder.path().join("stacks"));
        copy(&fixture.join(moment), &folder.path().join("state/sandbox"));
        let world = folder.path().join("state/sandbox/world");
        let world = Sandbox::open(
            Some(&world),
            &SandboxOptions { speed: SPEED, ..SandboxOptions::default() },
        )
        .unwrap();
        Self { folder, world, environment: Vec::new() }
    }

    /// The same files, state and world elsewhere, without the variables that were set.
    pub(crate) fn copy(&self) -> Self {
        let folder = tempfile::tempdir().unwrap();
        copy(self.folder.path(), folder.path());
        let world = folder.path().join("state/sandbox/world");
        let world = Sandbox::open(Some(&world), &SandboxOptions::default()).unwrap();
        Self { folder, world, environment: Vec::new() }
    }

    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    pub(crate) fn write(&self, below: &str, text: impl AsRef<[u8]>) {
        let file = self.path(below);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    }

    pub(crate) fn stack(&self, name: &str, text: impl AsRef<[u8]>) {
        self.write(&format!("stacks/{name}/stack.yaml"), text);
    }

    pub(crate) fn overlay(&self, stack: &str, name: &str, text: impl AsRef<[u8]>) {
        self.write(&format!("stacks/{stack}/overlays/{name}.yaml"), text);
    }

    /// Sets a variable for every later run.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.environment.push((name.into(), value.into()));
    }

    /// Takes one back.
    pub(crate) fn unset(&mut self, name: &str) {
        self.environment.retain(|(it, _)| it != name);
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lifeboat"));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env_clear()
            .env("HOME", self.folder.path())
            .env("PATH", "/usr/bin:/bin")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs the binary to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        let output = self.command(arguments).output().unwrap();
        self.output(arguments, output)
    }

    /// Runs it against the sandbox.
    pub(crate) fn sandbox(&self, arguments: &[&str]) -> Output {
        self.run(&[arguments, &["--sandbox"]].concat())
    }

    /// Starts it and lets it run.
    pub(crate) fn start(&self, arguments: &[&str]) -> Running<'_> {
        let child = self.command(arguments).spawn().unwrap();
        Running { home: self, said: arguments.join(" "), child, heard: None, shown: None }
    }

    /// Starts it with one more variable, and lets it run.
    pub(crate) fn start_with(&self, variable: (&str, &str), arguments: &[&str]) -> Running<'_> {
        let child = self.command(arguments).env(variable.0, variable.1).spawn().unwrap();
        Running { home: self, said: arguments.join(" "), child, heard: None, shown: None }
    }

    fn output(&self, arguments: &[&str], output: std::process::Output) -> Output {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("it speaks UTF-8");
        let (stdout, stderr) = (text(output.stdout), text(output.stderr));
        let output = Output {
            said: arguments.join(" "),
            code: output.status.code(),
            folder: self.folder.path().display().to_string(),
            stdout,
            stderr,
        };
        assert!(!output.stderr.contains("panicked at"), "{output}");
        advised_commands::check(&output.said, &output.stdout, &output.stderr);
        json_documents::check(&output.said, &output.stdout);
        let words: Vec<&str> = output.said.split(' ').collect();
        if let Some([_, file]) = words.windows(2).find(|it| it[0] == "--events") {
            let text = std::fs::read_to_string(self.path(file)).unwrap_or_default();
            json_documents::check_events(&output.said, &text);
        }
        output
    }

    /// What the sandbox's state of a stack says.
    pub(crate) fn state(&self, stack: &str) -> Option<State> {
        StateStore::new(&self.state_folder(stack)).load().unwrap()
    }

    pub(crate) fn state_folder(&self, stack: &str) -> PathBuf {
        self.path(&format!("state/sandbox/states/{stack}"))
    }

    /// What the world is wrong with: `POST /linode/instances lost_reply nth=2`.
    pub(crate) fn fault(&self, spec: &str) {
        self.world.fault(spec.parse::<FaultSpec>().unwrap()).unwrap();
    }

    /// A call to the Linode API by somebody else; it must go well.
    pub(crate) fn linode(&self, method: &str, path: &str, body: &Value) -> Value {
        let request = SandboxRequest {
            method: method.into(),
            path: format!("/v4{path}"),
            query: Vec::new(),
            headers: vec![
                ("authorization".into(), "Bearer somebody".into()),
                ("content-type".into(), "application/json".into()),
            ],
            body: if body.is_null() { Vec::new() } else { body.to_string().into_bytes() },
        };
        self.answered(&request)
    }

    /// A call to DynamoDB by somebody else; it must go well.
    pub(crate) fn dynamodb(&self, region: &str, operation: &str, body: &Value) -> Value {
        let scope = format!(
            "AWS4-HMAC-SHA256 Credential=AK/20261118/{region}/dynamodb/aws4_request, \
             SignedHeaders=host, Signature=0"
        );
        let request = SandboxRequest {
            method: "POST".into(),
            path: "/".into(),
            query: Vec::new(),
            headers: vec![
                ("content-type".into(), "application/x-amz-json-1.0".into()),
                ("x-amz-target".into(), format!("DynamoDB_20120810.{operation}")),
                ("authorization".into(), scope),
            ],
            body: body.to_string().into_bytes(),
        };
        self.answered(&request)
    }

    fn answered(&self, request: &SandboxRequest) -> Value {
        match self.world.handle(request) {
            SandboxReply::Answer(answer) => {
                let body = String::from_utf8_lossy(&answer.body).into_owned();
                assert_eq!(answer.status, 200, "{} {}: {body}", request.method, request.path);
                serde_json::from_str(&body).unwrap()
            }
            other => panic!("{} {}: {other:?}", request.method, request.path),
        }
    }

    /// Begins a new log of the requests that the world receives, from whatever process.
    pub(crate) fn log_requests(&self) {
        self.world.log_requests().unwrap();
    }

    /// How long that log is, in bytes: cheap enough to be asked all the time.
    pub(crate) fn log_length(&self) -> u64 {
        let log = log::place(&self.path("state/sandbox/world"));
        log.metadata().map_or(0, |it| it.len())
    }

    /// What lifeboat asked of the clouds since then; calls by somebody else are left out.
    pub(crate) fn requests(&self) -> Requests {
        self.logged(|it| !it.is_probe() && !it.client.is_empty())
    }

    /// The addresses that lifeboat looked at since then.
    pub(crate) fn probes(&self) -> Requests {
        self.logged(Received::is_probe)
    }

    fn logged(&self, wanted: impl Fn(&Received) -> bool) -> Requests {
        assert!(self.world.is_logging().unwrap(), "call log_requests() first");
        let log = self.world.requests().unwrap();
        assert!(!log.is_full, "the log of requests is full: what it lacks proves nothing");
        Requests(log.received.into_iter().filter(wanted).collect())
    }

    /// Loses a fault domain, which hangs from now on.
    pub(crate) fn lose(&self, fault_domain: &str) {
        self.world.lose(fault_domain, LostHow::Hang).unwrap();
    }

    /// Destroys everything in a fault domain, or one object of it; in a lost one that shows when it heals.
    pub(crate) fn destroy(&self, fault_domain: &str, object: Option<&str>) {
        self.world.destroy(fault_domain, object).unwrap();
    }

    /// The world in short, for messages.
    pub(crate) fn shown(&self) -> String {
        serde_json::to_string_pretty(&self.world.show().unwrap()).unwrap()
    }

    /// Nothing is in the world and no state was written.
    pub(crate) fn is_untouched(&self) -> bool {
        let states = std::fs::read_dir(self.path("state/sandbox/states"));
        let mut stacks = states.into_iter().flatten().flatten();
        let founded = |name: &str| {
            let folder = self.state_folder(name);
            let written = |file: &str| folder.join(file).metadata().is_ok_and(|it| it.len() > 0);
            written("state.snapshot") || written("journal")
        };
        self.world.is_empty().unwrap()
            && !stacks.any(|it| founded(&it.file_name().to_string_lossy()))
    }
}

/// Some of the requests that the world received, in their order.
#[derive(Debug, Clone)]
pub(crate) struct Requests(pub(crate) Vec<Received>);

impl Requests {
    fn those(&self, wanted: impl Fn(&Received) -> bool) -> Self {
        Self(self.0.iter().filter(|it| wanted(it)).cloned().collect())
    }

    /// Those that named an object of it, or called its endpoint: `linode:us-east`, `aws:us-east-1`.
    pub(crate) fn to_fault_domain(&self, name: &str) -> Self {
        self.those(|it| it.fault_domains.iter().any(|it| it == name))
    }

    /// Those that could change something.
    pub(crate) fn mutating(&self) -> Self {
        self.those(Received::is_mutating)
    }

    /// Those that read `PUT /v4/domains/7/records/9 …` or `UpdateTable eu-west-1 shop …` with this in it.
    pub(crate) fn with(&self, part: &str) -> Self {
        self.those(|it| it.to_string().contains(part))
    }

    /// Nothing was changed there, and at most one thing was read to learn whether it answers, as `failover` does before it declares
    /// a loss; a read that fails is tried again.
    #[track_caller]
    pub(crate) fn one_look(&self) {
        self.mutating().none();
        let whole = self.0.iter().map(ToString::to_string);
        let asked = whole.map(|it| it.split(" [").next().unwrap_or_default().to_owned());
        assert!(asked.collect::<BTreeSet<_>>().len() <= 1, "{self}");
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// There must be none.
    #[track_caller]
    pub(crate) fn none(&self) {
        assert!(self.0.is_empty(), "{self}");
    }
}

impl fmt::Display for Requests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|it| writeln!(f, "{it}"))
    }
}

/// A run that has not ended; it is killed with its value.
pub(crate) struct Running<'a> {
    home: &'a Home,
    said: String,
    child: Child,
    /// What its stderr has said.
    heard: Option<Heard>,
    /// What its stdout has shown.
    shown: Option<Heard>,
}

/// What a stream has said so far, and what it goes on saying.
struct Heard {
    text: String,
    lines: Receiver<String>,
}

impl Heard {
    fn of(stream: impl Read + Send + 'static) -> Self {
        let (tell, lines) = channel();
        let stream = BufReader::new(stream);
        std::thread::spawn(move || {
            stream.lines().map_while(Result::ok).try_for_each(|it| tell.send(it))
        });
        Self { text: String::new(), lines }
    }

    #[track_caller]
    fn until(&mut self, part: &str, said: &str) {
        while !self.text.contains(part) {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => self.text.extend([line.as_str(), "\n"]),
                Err(why) => panic!("{said} never says {part:?} ({why}): {}", self.text),
            }
        }
    }

    /// All that it has said when it is over.
    fn whole(self) -> Vec<u8> {
        let rest = self.lines.iter().map(|it| it + "\n").collect::<String>();
        (self.text + &rest).into_bytes()
    }
}

impl Running<'_> {
    /// Listens to its stderr until it says this.
    #[track_caller]
    pub(crate) fn until_says(&mut self, part: &str) {
        let stderr = &mut self.child.stderr;
        let heard = self.heard.get_or_insert_with(|| Heard::of(stderr.take().unwrap()));
        heard.until(part, &self.said);
    }

    /// Reads its stdout until it shows this; all that it has shown.
    #[track_caller]
    pub(crate) fn until_shows(&mut self, part: &str) -> &str {
        let stdout = &mut self.child.stdout;
        let shown = self.shown.get_or_insert_with(|| Heard::of(stdout.take().unwrap()));
        shown.until(part, &self.said);
        &shown.text
    }

    /// Looks again and again until it is so, or the run is over. True: it was so.
    pub(crate) fn until(&mut self, so: impl Fn() -> bool) -> bool {
        let give_up = Instant::now() + PATIENCE;
        while Instant::now() < give_up {
            if so() {
                return true;
            }
            if self.child.try_wait().unwrap().is_some() {
                return so();
            }
            std::thread::sleep(POLL);
        }
        panic!("{} hangs", self.said);
    }

    /// Ends it without a chance to tidy up.
    pub(crate) fn kill(mut self) {
        // It may have ended by itself a moment ago.
        self.child.kill().ok();
        self.child.wait().unwrap();
    }

    /// Whether it has not ended.
    pub(crate) fn goes_on(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal; `kill` is a builtin of every shell.
    pub(crate) fn signal(&self, name: &str) {
        let command = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("/bin/sh").args(["-c", &command]).status().unwrap().success());
    }

    pub(crate) fn end(self) -> Output {
        let Self { home, said, child, heard, shown } = self;
        let mut output = child.wait_with_output().unwrap();
        if let Some(heard) = heard {
            output.stderr = heard.whole();
        }
        if let Some(shown) = shown {
            output.stdout = shown.whole();
        }
        home.output(&[said.as_str()], output)
    }
}

/// How a run ended and what it said.
#[must_use]
pub(crate) struct Output {
    said: String,
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    folder: String,
}

impl Output {
    /// It must end so.
    #[track_caller]
    pub(crate) fn code(self, expected: i32) -> Self {
        assert_eq!(self.code, Some(expected), "{self}");
        self
    }

    /// stdout must hold all these.
    #[track_caller]
    pub(crate) fn shows(self, parts: &[&str]) -> Self {
        for part in parts {
            assert!(self.stdout.contains(part), "stdout lacks {part:?}\n{self}");
        }
        self
    }

    /// stderr must hold all these.
    #[track_caller]
    pub(crate) fn says(self, parts: &[&str]) -> Self {
        for part in parts {
            assert!(self.stderr.contains(part), "stderr lacks {part:?}\n{self}");
        }
        self
    }

    /// For a last call in a chain: everything about it was as expected.
    pub(crate) fn done(self) {
        drop(self);
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|why| panic!("{why}\n{self}"))
    }

    /// What a snapshot keeps: nothing that differs from run to run.
    pub(crate) fn redacted(&self) -> String {
        let code = self.code.map_or_else(|| "a signal".into(), |it| it.to_string());
        let text = format!(
            "$ lifeboat {}\nexit {code}\n-- stdout --\n{}-- stderr --\n{}[EOF]\n",
            self.said, self.stdout, self.stderr
        );
        redact(&text.replace(&self.folder, "[HOME]"))
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "$ lifeboat {}\nexit {:?}\n-- stdout --\n{}\n-- stderr --\n{}",
            self.said, self.code, self.stdout, self.stderr
        )
    }
}

/// Digests, lineages, ports, processes and times become words.
pub(crate) fn redact(text: &str) -> String {
    let rules = [
        (r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", "[UUID]"),
        (r"sha256:[0-9a-f]{64}", "[DIGEST]"),
        (r"\b[0-9a-f]{64}\b", "[DIGEST]"),
        (r"127\.0\.0\.1:[0-9]+", "127.0.0.1:[PORT]"),
        (r"[\w.-]+@[\w.-]+, process [0-9]+", "[WHO]"),
        (r"\b1[0-9]{12}\b", "[TIME]"),
        (r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z", "[TIME]"),
    ];
    rules.iter().fold(text.to_owned(), |text, (pattern, word)| {
        regex::Regex::new(pattern).unwrap().replace_all(&text, *word).into_owned()
    })
}

pub(crate) fn copy(from: &Path, to: &Path) {
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

/// Every file below a folder with this ending, in order.
pub(crate) fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, ending));
        } else if path.extension() == Some(OsStr::new(ending)) {
            found.push(path);
        }
    }
    found.sort();
    found
}

//! The processes of these tests: lifeboat, Python and the emulators, each ended with its test.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const LIFEBOAT: &str = env!("CARGO_BIN_EXE_lifeboat");

/// How long an emulator may take to answer for the first time.
const START_MAX: Duration = Duration::from_secs(60);

/// The version whose replicas hold data; an older one is taken silently where the pins are left out.
const MINISTACK_VERSION: &str = "1.5.33";

/// A folder for one test.
pub(crate) struct Root(tempfile::TempDir);

impl Root {
    pub(crate) fn new() -> Self {
        let root = Self(tempfile::tempdir().unwrap());
        root.folder("stacks");
        root
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        let folder = self.path().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let file = self.path().join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    }
}

/// A child that ends with its test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// `lifeboat sandbox serve` with a world of its own.
pub(crate) struct Sandbox {
    pub(crate) root: Root,
    pub(crate) address: String,
    _process: Process,
}

impl Sandbox {
    pub(crate) fn start() -> Self {
        let root = Root::new();
        let mut process = Process(
            clean(LIFEBOAT)
                .args(["sandbox", "serve", "--listen", "127.0.0.1:0", "-C"])
                .arg(root.path())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap(),
        );
        let mut first = String::new();
        BufReader::new(process.0.stdout.take().unwrap()).read_line(&mut first).unwrap();
        let address = first.trim().rsplit_once("http://").map(|(_, address)| address.to_owned());
        let address = address.unwrap_or_else(|| panic!("the sandbox said no address: {first:?}"));
        Self { root, address, _process: process }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// A server that other people wrote.
pub(crate) struct Peer {
    url: String,
    process: Process,
}

impl Peer {
    pub(crate) fn ministack(folder: &Path) -> Self {
        let (peer, health) = Self::start("/_ministack/health", |port| {
            let mut command = clean(&tool("ministack"));
            command
                .env("BIND_HOST", "127.0.0.1")
                .env("GATEWAY_PORT", port.to_string())
                .env("SERVICES", "dynamodb,s3")
                .env("S3_DATA_DIR", folder)
                .env("LOG_LEVEL", "WARNING")
                .env("STATE_DIR", folder)
                .env("TMPDIR", folder)
                // Without this it listens on every address of the machine for a service that nobody asked for.
                .env("IOT_MTLS_ENABLED", "0");
            command
        });
        let version = format!("\"version\": \"{MINISTACK_VERSION}\"");
        assert!(health.contains(&version), "not MiniStack {MINISTACK_VERSION}: {health}");
        peer
    }

    pub(crate) fn moto() -> Self {
        let (peer, _) = Self::start("/moto-api/", |port| {
            let mut command = clean(&tool("moto_server"));
            command.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
            command
        });
        peer
    }

    /// S3 on the files of a folder, whose folders are its buckets.
    pub(crate) fn versitygw(folder: &Path) -> Self {
        Self::versitygw_of(folder, ACCESS_KEY)
    }

    /// The same with another user.
    pub(crate) fn versitygw_of(folder: &Path, user: &str) -> Self {
        Self::start(HEALTH, |port| versitygw(folder, port, user)).0
    }

    /// S3 that looks before it writes.
    pub(crate) fn s3s(folder: &Path) -> Self {
        let (peer, _) = Self::start("/", |port| {
            let mut command = clean(&installed("s3s-fs"));
            command
                .args(["--host", "127.0.0.1", "--port", &port.to_string()])
                .args(["--access-key", ACCESS_KEY, "--secret-key", SECRET_KEY])
                .arg(folder);
            command
        });
        peer
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// `127.0.0.1:PORT`
    pub(crate) fn address(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    /// Ends it as a power cut would.
    pub(crate) fn kill(&mut self) {
        self.process.0.kill().unwrap();
        self.process.0.wait().unwrap();
    }

    /// Starts [`Peer::versitygw`] again where it was.
    pub(crate) fn restart_versitygw(&mut self, folder: &Path) {
        let port = self.address().rsplit_once(':').unwrap().1.parse().unwrap();
        self.process = spawned(versitygw(folder, port, ACCESS_KEY));
        await_answer(&mut self.process, port, HEALTH).unwrap();
    }

    /// None of them can choose a port itself, so one that was free a moment ago is taken; once more if it was lost meanwhile.
    fn start(health: &str, command: impl Fn(u16) -> Command) -> (Self, String) {
        for _ in 0..2 {
            let port = free_port();
            let mut process = spawned(command(port));
            if let Some(answer) = await_answer(&mut process, port, health) {
                return (Self { url: format!("http://127.0.0.1:{port}"), process }, answer);
            }
        }
        panic!("the server is unreachable at {health}");
    }
}

/// Where versitygw says that it is there.
const HEALTH: &str = "/health";

/// The credentials of every S3 server here are what cargo says of this package to each of its tests: a variable of the environment
/// cannot be set in a test without taking part in a race.
pub(crate) const ACCESS_KEY: &str = env!("CARGO_PKG_NAME");
pub(crate) const SECRET_KEY: &str = env!("CARGO_PKG_REPOSITORY");

fn versitygw(folder: &Path, port: u16, user: &str) -> Command {
    let mut command = clean(&installed("versitygw"));
    command
        .args(["--access", user, "--secret", SECRET_KEY, "--quiet", "--health", HEALTH])
        .args(["--port", &format!("127.0.0.1:{port}"), "posix"])
        .arg(folder);
    command
}

fn spawned(mut command: Command) -> Process {
    Process(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
}

/// Its first answer; `None` if it ended before that.
fn await_answer(process: &mut Process, port: u16, health: &str) -> Option<String> {
    let begun = Instant::now();
    while begun.elapsed() < START_MAX && process.0.try_wait().unwrap().is_none() {
        if let Some(answer) = get(port, health) {
            return Some(answer);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    None
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The answer to one GET, if it is a good one, or says that somebody has to sign.
fn get(port: u16, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let status = answer.split_once(' ')?.1;
    (status.starts_with("200") || status.starts_with("403")).then_some(answer)
}

/// A program of the environment that `.ci/run` makes.
fn tool(name: &str) -> String {
    let venv = std::env::var("LIFEBOAT_CONFORMANCE_VENV").unwrap_or_default();
    let tool = Path::new(&venv).join("bin").join(name);
    assert!(
        !venv.is_empty() && tool.is_file(),
        "there is no {name} in LIFEBOAT_CONFORMANCE_VENV={venv:?}; `.ci/run` makes that environment and runs these tests"
    );
    tool.display().to_string()
}

/// A program that `.ci/run` installs from its registry.
pub(crate) fn installed(name: &str) -> String {
    let folder = std::env::var("LIFEBOAT_CONFORMANCE_PEERS").unwrap_or_default();
    let program = Path::new(&folder).join("bin").join(name);
    assert!(
        !folder.is_empty() && program.is_file(),
        "there is no {name} in LIFEBOAT_CONFORMANCE_PEERS={folder:?}; `.ci/run` installs it and runs these tests"
    );
    program.display().to_string()
}

/// A command that inherits nothing which could lead it to a real account.
pub(crate) fn clean(program: &str) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("LANG", "C.UTF-8")
        .env("NO_COLOR", "1")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .stdin(Stdio::null());
    command
}

/// Runs one of the scripts beside this file.
pub(crate) fn python(script: &str, words: &[&str]) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance").join(script);
    Ran::of(clean(&tool("python")).arg(file).args(words)).ends_with(0);
}

/// Runs lifeboat on the stacks of `root`, with DynamoDB at `url`.
pub(crate) fn lifeboat(root: &Path, url: &str, words: &[&str]) -> Ran {
    Ran::of(
        clean(LIFEBOAT)
            .args(words)
            .arg("-C")
            .arg(root)
            .env("HOME", root)
            .env("AWS_ENDPOINT_URL_DYNAMODB", url)
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test"),
    )
}

/// Runs lifeboat on the stacks of `root`, with its sandbox and nothing else.
pub(crate) fn lifeboat_at_home(root: &Path, words: &[&str]) -> Ran {
    Ran::of(clean(LIFEBOAT).args(words).arg("-C").arg(root).env("HOME", root))
}

/// A command that has ended.
#[derive(Debug)]
pub(crate) struct Ran {
    command: String,
    code: Option<i32>,
    printed: String,
    said: String,
}

impl Ran {
    pub(crate) fn of(command: &mut Command) -> Self {
        let output = command.output().unwrap();
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        let said = format!("{printed}{}", String::from_utf8_lossy(&output.stderr));
        Self { command: format!("{command:?}"), code: output.status.code(), printed, said }
    }

    /// What went to its standard output alone.
    pub(crate) fn printed(&self) -> &str {
        &self.printed
    }

    #[track_caller]
    pub(crate) fn ends_with(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}\n{}", self.command, self.said);
        self
    }

    #[track_caller]
    pub(crate) fn says(self, words: &str) -> Self {
        assert!(self.said.contains(words), "no {words:?} in:\n{}", self.said);
        self
    }
}

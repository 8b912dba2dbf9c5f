//! Runs the program of a task: directly, in a chosen environment, for so long, and its output bounded.

use std::ffi::OsString;
use std::io::Read;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::engine::text::redact::redactor;
use crate::engine::value::{Secret, Value};
use crate::ops::tasks::kept_output::KeptOutput;
use crate::ops::tasks::program::{ProgramNote, find_program, itself};
use crate::ops::tasks::supervise::{EXIT_NOT_STARTED, NOT_STARTED, SUPERVISE, end_group};

/// What every program gets of lifeboat's own environment.
const USUAL: [&str; 4] = ["PATH", "HOME", "LANG", "TMPDIR"];

/// No exit status: the process between did not end by itself. Its own are 0 to 255, and of a program that a signal ends 128 and more.
const KILLED: i32 = -1;

/// How often it is looked whether a program has ended.
const POLL: Duration = Duration::from_millis(20);

/// How long the process between may take to end a program that was asked to: its grace of 3 s, and some.
const LAST: Duration = Duration::from_secs(4);

/// How long the rest of an output is read after the program has ended. Who left its group may hold the pipe for ever.
const DREGS: Duration = Duration::from_secs(1);

/// A program with all that it needs.
#[derive(Debug, Clone)]
pub struct ProgramCall {
    /// The program and its arguments, secrets in clear.
    pub command: Vec<String>,
    /// Where it runs.
    pub folder: PathBuf,
    /// The names of variables that it gets beside the usual ones.
    pub env: Vec<String>,
    /// Where it is noted that it runs.
    pub note: ProgramNote,
    /// Variables that say what it runs for.
    pub facts: Vec<(&'static str, String)>,
    pub within: Duration,
}

/// How a program, a request or a question ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskResult {
    Done,
    /// It came to an end, and that is not the one that counts as done.
    Failed(String),
    /// It may have taken effect.
    Unknown(String),
    /// For certain it did nothing.
    NotStarted(String),
}

/// The end of a task, and the end of what it printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskAnswer {
    pub result: TaskResult,
    pub output: String,
}

impl From<TaskResult> for TaskAnswer {
    fn from(result: TaskResult) -> Self {
        Self { result, output: String::new() }
    }
}

/// Runs a program to its end, until its time is over, or until `stop` says why it is to stop.
pub async fn exec(call: &ProgramCall, stop: watch::Receiver<Option<String>>) -> TaskAnswer {
    let environment = environment(call);
    let output = Arc::new(Mutex::new(KeptOutput::new(redactor().reach())));
    let started = start(call, environment, &output);
    let mut running = match started {
        Ok(running) => running,
        Err(why) => return TaskResult::NotStarted(why).into(),
    };
    let result = running.wait(call.within, stop).await;
    let output = output.lock().unwrap_or_else(PoisonError::into_inner).text(redactor());
    match (&result, output.strip_prefix(NOT_STARTED)) {
        (TaskResult::Failed(_), Some(why)) if running.code == Some(EXIT_NOT_STARTED.into()) => {
            TaskResult::NotStarted(format!("it cannot be started: {}", why.trim())).into()
        }
        _ => TaskAnswer { result, output },
    }
}

/// A program that runs behind the process between. Dropped, it is asked to end.
struct Running {
    child: Child,
    readers: Vec<std::thread::JoinHandle<()>>,
    note: ProgramNote,
    code: Option<i32>,
}

fn start(
    call: &ProgramCall,
    environment: Vec<(OsString, OsString)>,
    output: &Arc<Mutex<KeptOutput>>,
) -> Result<Running, String> {
    let (name, arguments) = call.command.split_first().ok_or("it names no program")?;
    let path = std::env::var_os("PATH");
    let program =
        find_program(name, &call.folder, path.as_deref()).map_err(|why| why.to_string())?;
    let own = itself().map_err(|why| format!("lifeboat cannot find itself: {why}"))?;
    let mut command = Command::new(own);
    command
        .arg(SUPERVISE)
        .arg(call.note.path())
        .arg("--")
        .arg(program)
        .args(arguments)
        .current_dir(&call.folder);
    command.env_clear().envs(environment);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // The terminal's Ctrl-C is for lifeboat, which ends the program in its own time.
    command.process_group(0);
    let mut child = command.spawn().map_err(|why| format!("it cannot be started: {why}"))?;
    let mut readers = Vec::new();
    readers.extend(child.stdout.take().map(|it| keep(it, output)));
    readers.extend(child.stderr.take().map(|it| keep(it, output)));
    Ok(Running { child, readers, note: call.note.clone(), code: None })
}

fn environment(call: &ProgramCall) -> Vec<(OsString, OsString)> {
    let mut all = Vec::new();
    for name in USUAL {
        all.extend(std::env::var_os(name).map(|it| (name.into(), it)));
    }
    for name in &call.env {
        let Some(value) = std::env::var_os(name) else { continue };
        // Nobody names a variable who does not need it: what the program prints of it may be a secret.
        if let Some(text) =
            value.to_str().filter(|it| !USUAL.contains(&name.as_str()) && !it.is_empty())
        {
            redactor().learn(&Value::Secret(Secret::new(Value::text(text))));
        }
        all.push((name.into(), value));
    }
    all.extend(call.facts.iter().map(|(name, it)| ((*name).into(), it.into())));
    all
}

/// Reads to the end, in a thread of its own: a program that prints without end never waits, and fills no memory.
fn keep(
    mut from: impl Read + Send + 'static,
    output: &Arc<Mutex<KeptOutput>>,
) -> std::thread::JoinHandle<()> {
    let output = Arc::clone(output);
    std::thread::spawn(move || {
        let mut bytes = vec![0_u8; 64 * 1024];
        loop {
            match from.read(&mut bytes) {
                Ok(0) => break,
                Ok(length) => {
                    output.lock().unwrap_or_else(PoisonError::into_inner).push(&bytes[..length]);
                }
                Err(why) if why.kind() == std::io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
    })
}

impl Running {
    async fn wait(
        &mut self,
        within: Duration,
        mut stop: watch::Receiver<Option<String>>,
    ) -> TaskResult {
        let began = tokio::time::Instant::now();
        loop {
            if let Some(code) = self.look() {
                self.rest().await;
                return match code {
                    0 => TaskResult::Done,
                    // Whoever killed the process between says nothing of the program.
                    KILLED => TaskResult::Unknown(self.end_left().await.into()),
                    code => TaskResult::Failed(format!("exit status {code}")),
                };
            }
            let stopped = stop.borrow_and_update().clone();
            if stopped.is_some() || began.elapsed() >= within {
                self.end().await;
                self.rest().await;
                return match (stopped, self.code) {
                    // It came to its end while it was asked to.
                    (_, Some(0)) => TaskResult::Done,
                    (Some(why), _) => TaskResult::Unknown(format!("it was stopped: {why}")),
                    (None, _) => {
                        let seconds = within.as_secs();
                        TaskResult::Unknown(format!(
                            "it did not end within {seconds} s and was stopped"
                        ))
                    }
                };
            }
            tokio::select! {
                () = tokio::time::sleep(POLL) => {}
                Ok(()) = stop.changed() => {}
            }
        }
    }

    fn look(&mut self) -> Option<i32> {
        if self.code.is_none() {
            let status = self.child.try_wait().ok().flatten();
            self.code = status.map(|it| it.code().unwrap_or(KILLED));
        }
        self.code
    }

    /// Ends the program whose watcher was killed, and says so.
    async fn end_left(&self) -> &'static str {
        let note = self.note.clone();
        let ended = tokio::task::spawn_blocking(move || {
            let group = note.running();
            if let Some(group) = group {
                end_group(group, || note.running().is_none());
            }
            group.is_some()
        });
        match ended.await {
            Ok(true) => {
                "the process that watches over it was killed, and the program was ended; how far it came nobody knows"
            }
            _ => {
                "the process that watches over it was killed; how far the program came nobody knows"
            }
        }
    }

    /// Lets the process between end the program; where that does not end either, it is killed.
    async fn end(&mut self) {
        drop(self.child.stdin.take());
        let began = tokio::time::Instant::now();
        while self.look().is_none() {
            if began.elapsed() >= LAST {
                self.child.kill().ok();
                self.child.wait().ok();
                return;
            }
            tokio::time::sleep(POLL).await;
        }
    }

    async fn rest(&self) {
        let began = tokio::time::Instant::now();
        while began.elapsed() < DREGS && self.readers.iter().any(|it| !it.is_finished()) {
            tokio::time::sleep(POLL / 4).await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It reads the end of the pipe, and ends the program by itself.
        drop(self.child.stdin.take());
    }
}

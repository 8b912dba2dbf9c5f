//! The process between lifeboat and the program of a task, which ends that program as soon as lifeboat says so or is gone.
//!
//! Nobody can ask a process that was killed with -9 to clean up. So lifeboat starts itself once more for each program, holds one
//! end of a pipe, and this side reads the other: where it ends, lifeboat wants the program to end, or has ended itself.

use std::ffi::OsString;
use std::io::Read as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use crate::ops::tasks::program::{ProgramNote, hold_folder};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

/// The word by which lifeboat starts itself so; it is no command for people.
pub const SUPERVISE: &str = "__supervise";

/// How a program that could not be started is told from one that ended so.
pub const NOT_STARTED: &str = "lifeboat could not start the program: ";

/// The exit status of a program that could not be started.
pub const EXIT_NOT_STARTED: u8 = 125;

/// How long a program may take to end by itself once it was asked. Less than the 5 s that a run gives calls in flight.
pub const GRACE: Duration = Duration::from_secs(3);

/// Runs a program in a process group of its own until it ends, or until stdin does; `command`: its note, `--`, and the program with
/// its arguments. Its exit status; 128 and the number of a signal that ended it.
pub fn supervise(command: &[OsString]) -> u8 {
    let [note, _, program, arguments @ ..] = command else { return EXIT_NOT_STARTED };
    let not_started = |why: &str| {
        let mut to = std::io::stderr();
        std::io::Write::write_all(&mut to, format!("{NOT_STARTED}{why}\n").as_bytes()).ok();
        EXIT_NOT_STARTED
    };
    let mut note = match ProgramNote::at(Path::new(note)).hold() {
        Ok(note) => note,
        Err(why) => return not_started(&why),
    };
    // Whoever resumes the switch sees by this whether the program may still run.
    let _held = hold_folder(Path::new("."));
    let mut starting = Command::new(program);
    starting.args(arguments).stdin(Stdio::null()).process_group(0);
    let mut child = match starting.spawn() {
        Ok(child) => child,
        Err(why) => return not_started(&why.to_string()),
    };
    let group = group_of(&child);
    if let Some(group) = group {
        note.note(group);
    }
    let (tell, ended) = mpsc::channel::<()>();
    std::thread::spawn(move || {
        let mut nothing = [0_u8; 64];
        while std::io::stdin().read(&mut nothing).is_ok_and(|it| it > 0) {}
        end(group, &ended);
    });
    // The leader is left uncollected until the rest of its group is gone, so that its number is nobody else's meanwhile.
    if let Some(group) = group {
        while waitid(WaitId::Pid(group), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)
            .is_err_and(|it| it == rustix::io::Errno::INTR)
        {}
        kill_process_group(group, Signal::KILL).ok();
    }
    note.clear();
    drop(tell);
    child.wait().map_or(EXIT_NOT_STARTED, code)
}

fn group_of(child: &Child) -> Option<Pid> {
    i32::try_from(child.id()).ok().and_then(Pid::from_raw)
}

/// Ends what is left of a program whose watcher was killed.
pub fn end_group(group: Pid, has_ended: impl Fn() -> bool) {
    kill_process_group(group, Signal::TERM).ok();
    let began = std::time::Instant::now();
    while began.elapsed() < GRACE && !has_ended() {
        std::thread::sleep(POLL);
    }
    kill_process_group(group, Signal::KILL).ok();
}

/// How often it is looked whether it has ended.
const POLL: Duration = Duration::from_millis(20);

/// Asks a group to end, and ends it where it does not.
fn end(group: Option<Pid>, ended: &mpsc::Receiver<()>) {
    let Some(group) = group else { return };
    if ended.try_recv() == Err(mpsc::TryRecvError::Disconnected) {
        return;
    }
    kill_process_group(group, Signal::TERM).ok();
    if ended.recv_timeout(GRACE) == Err(mpsc::RecvTimeoutError::Timeout) {
        kill_process_group(group, Signal::KILL).ok();
    }
}

fn code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|it| 128 + it)).unwrap_or(255);
    u8::try_from(code).unwrap_or(255)
}

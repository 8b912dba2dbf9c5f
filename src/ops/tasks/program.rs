//! The program of a task: where it is, and whether it can be started.

use std::ffi::OsStr;
use std::fs::{File, TryLockError};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process_group};

use crate::store::file_lock::FileLock;
use crate::store::folder::machine;
use crate::store::private::open_or_create;

/// Why a program cannot be started.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProgramTrouble {
    #[error("{0} does not exist")]
    Missing(String),
    #[error("{0} is not on the PATH")]
    NotOnPath(String),
    #[error("{0} is not executable")]
    NotExecutable(String),
    #[error("{file} is run by {interpreter}, which is not there")]
    NoInterpreter { file: String, interpreter: String },
}

/// How much of a script's first line Linux reads, in bytes (`BINPRM_BUF_SIZE`, include/uapi/linux/binfmts.h).
const FIRST_LINE_MAX: usize = 256;

/// The file of a program: with a `/` in its name a path, from the stack's folder where it is a relative one; else the first on
/// the PATH. Of a script the program that runs it is there as well.
pub fn find_program(
    name: &str,
    folder: &Path,
    path: Option<&OsStr>,
) -> Result<PathBuf, ProgramTrouble> {
    let file = find_file(name, folder, path)?;
    let missing = interpreters(&file).into_iter().find(|it| find_file(it, folder, path).is_err());
    match missing {
        Some(interpreter) => {
            Err(ProgramTrouble::NoInterpreter { file: name.to_owned(), interpreter })
        }
        None => Ok(file),
    }
}

/// What runs a script: the program behind its `#!`, and the one that `env` is to find. Nothing of what cannot be read, which may
/// be run all the same.
fn interpreters(file: &Path) -> Vec<String> {
    let mut head = Vec::new();
    let opened = File::open(file);
    let read = opened.and_then(|it| it.take(FIRST_LINE_MAX as u64).read_to_end(&mut head));
    let text = String::from_utf8_lossy(&head);
    let line =
        text.strip_prefix("#!").filter(|_| read.is_ok()).and_then(|it| it.split('\n').next());
    // Blanks part its words, and nothing else: a carriage return is a part of a name.
    let mut words = line.unwrap_or_default().split([' ', '\t']).filter(|it| !it.is_empty());
    let Some(program) = words.next() else { return Vec::new() };
    let mut found = vec![program.to_owned()];
    if program.rsplit('/').next() == Some("env") {
        let is_name = |it: &&str| !it.starts_with('-') && !it.contains('=');
        found.extend(words.find(is_name).map(str::to_owned));
    }
    // Without a `/` it is no program on the PATH but a file of the folder that it is run in.
    found[0] = if program.contains('/') { program.to_owned() } else { format!("./{program}") };
    found
}

fn find_file(name: &str, folder: &Path, path: Option<&OsStr>) -> Result<PathBuf, ProgramTrouble> {
    let shown = || name.to_owned();
    if name.contains('/') {
        let file = folder.join(name);
        return match std::fs::metadata(&file) {
            Err(_) => Err(ProgramTrouble::Missing(shown())),
            Ok(it) if !is_executable(&it) => Err(ProgramTrouble::NotExecutable(shown())),
            Ok(_) => Ok(file),
        };
    }
    let mut is_there = false;
    for place in path.iter().flat_map(std::env::split_paths).filter(|it| it.is_absolute()) {
        let file = place.join(name);
        match std::fs::metadata(&file) {
            Ok(it) if is_executable(&it) => return Ok(file),
            Ok(_) => is_there = true,
            Err(_) => {}
        }
    }
    Err(if is_there {
        ProgramTrouble::NotExecutable(shown())
    } else {
        ProgramTrouble::NotOnPath(shown())
    })
}

fn is_executable(it: &std::fs::Metadata) -> bool {
    it.is_file() && it.permissions().mode() & 0o111 != 0
}

/// Holds a folder for as long as the lock is kept: who runs a program in it does.
pub fn hold_folder(folder: &Path) -> Option<FileLock> {
    FileLock::shared(File::open(folder).ok()?).ok()
}

/// Whether a program of a task may still run in a folder. Where the file system knows no locks it may.
pub fn may_run_in(folder: &Path) -> bool {
    !File::open(folder).is_ok_and(|it| FileLock::exclusive(it).is_ok())
}

/// What is noted of the program of one task while it runs, so that nobody starts a second one beside it: its process group, which
/// outlives the process that watches over it where that is killed. The file is held locked by that process.
#[derive(Debug, Clone)]
pub struct ProgramNote(PathBuf);

/// Held by who watches over the program. Nothing where it cannot be written; without a lock where the file system knows none.
#[derive(Debug, Default)]
pub struct HeldNote {
    file: Option<File>,
    _lock: Option<FileLock>,
}

impl ProgramNote {
    /// Of a task of the stack in this folder, beside the states of its root, which git never gets to see.
    pub fn of(folder: &Path, stack: &str, task: &str) -> Self {
        let root = folder.ancestors().nth(2).unwrap_or(folder);
        Self(root.join("state").join(".tasks").join(format!("{stack}.{task}")))
    }

    pub fn at(path: &Path) -> Self {
        Self(path.to_owned())
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// For a program that is about to start; the error says what still runs of an earlier one. Where nothing can be noted, nothing is.
    pub fn hold(&self) -> Result<HeldNote, String> {
        let folder = self.0.parent().unwrap_or(Path::new("."));
        let made = std::fs::create_dir_all(folder).and_then(|()| open_or_create(&self.0));
        let Ok(file) = made else { return Ok(HeldNote::default()) };
        let lock = match file.try_clone().map_err(TryLockError::Error).and_then(FileLock::exclusive)
        {
            Ok(lock) => Some(lock),
            Err(TryLockError::WouldBlock) => {
                return Err("the program that an earlier run started has not ended".into());
            }
            Err(TryLockError::Error(_)) => None,
        };
        match self.running() {
            Some(group) => Err(format!(
                "the program that an earlier run started still runs, in process group {0}; wait until it has ended, or end it (kill -- -{0}), and run this again",
                group.as_raw_nonzero()
            )),
            None => Ok(HeldNote { file: Some(file), _lock: lock }),
        }
    }

    /// The process group of a program that nobody watches over any more and that has not ended. Another machine's, or one from before
    /// a restart, is none.
    pub fn running(&self) -> Option<Pid> {
        let noted = std::fs::read_to_string(&self.0).ok()?;
        let (place, group) = noted.trim_end().rsplit_once('\n')?;
        let group = Pid::from_raw(group.parse().ok()?)?;
        (place == machine() && is_alive(group)).then_some(group)
    }
}

impl HeldNote {
    pub fn note(&mut self, group: Pid) {
        let Some(file) = &mut self.file else { return };
        let text = format!("{}\n{}\n", machine(), group.as_raw_nonzero());
        // What is not noted is not found: then only the folder that the watcher holds tells of it.
        file.set_len(0).and_then(|()| file.write_all(text.as_bytes())).ok();
    }

    /// All of it has ended.
    pub fn clear(self) {
        if let Some(file) = self.file {
            file.set_len(0).ok();
        }
    }
}

/// Whether somebody of a process group still runs: who has ended and was not collected does not.
fn is_alive(group: Pid) -> bool {
    if test_kill_process_group(group) == Err(Errno::SRCH) {
        return false;
    }
    let Ok(entries) = std::fs::read_dir("/proc") else { return true };
    let mut members = entries.flatten().filter_map(|it| {
        let stat = std::fs::read_to_string(it.path().join("stat")).ok()?;
        // proc_pid_stat(5): behind the name in parentheses the state, the parent, and the process group.
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
        let (state, _, of) = (fields.next()?, fields.next()?, fields.next()?);
        (of.parse() == Ok(group.as_raw_nonzero().get())).then(|| state.to_owned())
    });
    members.any(|it| !matches!(it.as_str(), "Z" | "X"))
}

/// This very program, also where another one was put in its place while it ran.
pub fn itself() -> std::io::Result<PathBuf> {
    let running = PathBuf::from("/proc/self/exe");
    if running.exists() { Ok(running) } else { std::env::current_exe() }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use std::os::unix::process::CommandExt as _;

    use rustix::process::Pid;

    use super::{ProgramNote, ProgramTrouble, find_program, hold_folder, may_run_in};

    /// A program outlives the process that watched over it, if that is killed: then nobody starts a second one.
    #[test]
    fn hold_refuses_a_second_program_beside_one_that_runs() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("stacks/shop");
        let note = ProgramNote::of(&folder, "shop@drill", "stop");
        assert_eq!(note.path(), root.path().join("state/.tasks/shop@drill.stop"));
        let mut held = note.hold().unwrap();
        let why = note.hold().unwrap_err();
        assert!(why.contains("has not ended"), "its watcher runs: {why}");
        let mut running = std::process::Command::new("sleep");
        let mut running = running.arg("600").process_group(0).spawn().unwrap();
        let group = Pid::from_raw(i32::try_from(running.id()).unwrap()).unwrap();
        held.note(group);
        drop(held);
        assert_eq!(note.running(), Some(group));
        let why = note.hold().unwrap_err();
        assert!(why.contains(&format!("still runs, in process group {}", running.id())), "{why}");
        running.kill().unwrap();
        // Ended, though nobody has collected it.
        while note.running().is_some() {}
        let mut held = note.hold().unwrap();
        running.wait().unwrap();
        held.note(group);
        held.clear();
        assert_eq!((note.running(), note.hold().is_ok()), (None, true));
        std::fs::write(note.path(), format!("another machine\n{}\n", std::process::id())).unwrap();
        assert!(note.hold().is_ok(), "of another machine nothing is known here");
    }

    #[test]
    fn may_run_in_tells_a_folder_that_somebody_holds() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!may_run_in(folder.path()));
        let (one, other) = (hold_folder(folder.path()), hold_folder(folder.path()));
        assert!(one.is_some() && other.is_some(), "several programs may run at a time");
        drop(one);
        assert!(may_run_in(folder.path()));
        drop(other);
        assert!(!may_run_in(folder.path()));
        assert!(may_run_in(&folder.path().join("no")), "nobody knows");
    }

    #[test]
    fn find_program_tells_a_missing_file_from_one_that_is_not_executable() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("it.sh");
        std::fs::write(&file, "#!/bin/sh\n").unwrap();
        let find = |name: &str| find_program(name, folder.path(), Some(folder.path().as_os_str()));
        assert_eq!(find("./it.sh"), Err(ProgramTrouble::NotExecutable("./it.sh".into())));
        assert_eq!(find("it.sh"), Err(ProgramTrouble::NotExecutable("it.sh".into())));
        assert_eq!(find("./no.sh"), Err(ProgramTrouble::Missing("./no.sh".into())));
        assert_eq!(find("no.sh"), Err(ProgramTrouble::NotOnPath("no.sh".into())));
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(find("./it.sh").unwrap(), folder.path().join("./it.sh"));
        assert_eq!(find("it.sh"), Ok(file.clone()));
        assert_eq!(find(file.to_str().unwrap()), Ok(file.clone()), "an absolute path is one");
        std::fs::write(&file, "#!/no/such/interpreter -x\n").unwrap();
        let gone = |interpreter: &str| ProgramTrouble::NoInterpreter {
            file: "./it.sh".into(),
            interpreter: interpreter.into(),
        };
        assert_eq!(find("./it.sh"), Err(gone("/no/such/interpreter")));
        std::fs::write(&file, "#! /usr/bin/env -S A=1 no-such-interpreter -x\n").unwrap();
        assert_eq!(find("./it.sh"), Err(gone("no-such-interpreter")));
        std::fs::write(&file, "#!/usr/bin/env it.sh\n").unwrap();
        assert!(find("./it.sh").is_ok(), "a script of the PATH runs it");
        std::fs::create_dir(folder.path().join("bin")).unwrap();
        assert_eq!(find("./bin"), Err(ProgramTrouble::NotExecutable("./bin".into())));
    }
}

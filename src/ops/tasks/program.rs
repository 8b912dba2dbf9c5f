//! The program of a task: where it is, and whether it can be started.

use std::ffi::OsStr;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

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
    let opened = std::fs::File::open(file);
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

/// Holds a folder for as long as the file is open: who runs a program in it does.
pub fn hold_folder(folder: &Path) -> Option<std::fs::File> {
    let held = std::fs::File::open(folder).ok()?;
    flock(&held, FlockOperation::NonBlockingLockShared).ok().map(|()| held)
}

/// Whether a program of a task may still run in a folder. Where the file system knows no locks it may.
pub fn may_run_in(folder: &Path) -> bool {
    let Ok(held) = std::fs::File::open(folder) else { return true };
    flock(&held, FlockOperation::NonBlockingLockExclusive).is_err()
}

/// This very program, also where another one was put in its place while it ran.
pub fn itself() -> std::io::Result<PathBuf> {
    let running = PathBuf::from("/proc/self/exe");
    if running.exists() { Ok(running) } else { std::env::current_exe() }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::{ProgramTrouble, find_program, hold_folder, may_run_in};

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

//! The program of a task: where it is, and whether it can be started.

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// Why a program cannot be started.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProgramTrouble {
    #[error("{0} does not exist")]
    Missing(String),
    #[error("{0} is not on the PATH")]
    NotOnPath(String),
    #[error("{0} is not executable")]
    NotExecutable(String),
}

/// The file of a program: with a `/` in its name one below the stack's folder or an absolute one, else the first on the PATH.
pub fn find_program(
    name: &str,
    folder: &Path,
    path: Option<&OsStr>,
) -> Result<PathBuf, ProgramTrouble> {
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

/// This very program, also where another one was put in its place while it ran.
pub fn itself() -> std::io::Result<PathBuf> {
    let running = PathBuf::from("/proc/self/exe");
    if running.exists() { Ok(running) } else { std::env::current_exe() }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::{ProgramTrouble, find_program};

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
        assert_eq!(find("it.sh"), Ok(file));
        std::fs::create_dir(folder.path().join("bin")).unwrap();
        assert_eq!(find("./bin"), Err(ProgramTrouble::NotExecutable("./bin".into())));
    }
}

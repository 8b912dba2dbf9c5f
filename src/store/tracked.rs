//! Whether git tracks a state: a checkout would then put an old one in its place, and a clone would have its key.
//!
//! The index is read here, for git may not be there: of its entries only the paths. A library for it brings some 36 crates
//! for what is one loop (<https://git-scm.com/docs/index-format>). Where git answers, it has the last word.

use std::path::{Path, PathBuf};

use crate::store::error::StoreError;
use crate::store::git::git;
use crate::store::key::{JOURNAL, KeyPrefix, LEASE, SEALED, SNAPSHOT};

/// A larger index is not parsed here; then git itself is asked. That of the largest public repositories is a quarter of this.
const INDEX_BYTES_MAX: u64 = 512 * 1024 * 1024;

/// The bytes of an entry before its hash: ten 32-bit fields (<https://git-scm.com/docs/index-format>).
const BEFORE_HASH: usize = 40;
/// The bytes of the flags after the hash.
const FLAGS: usize = 2;

/// The flag that says that two more bytes of flags follow.
const EXTENDED: u16 = 0x4000;

/// Refuses the state in this folder if git tracks its snapshot, its journal or its lease.
pub(super) fn check_untracked(state: &Path) -> Result<(), StoreError> {
    match tracked(state) {
        None => Ok(()),
        Some((repository, folder, files)) => Err(StoreError::Tracked { repository, folder, files }),
    }
}

/// The repository, the folder as git names it, and what git tracks of the state in it.
fn tracked(state: &Path) -> Option<(PathBuf, String, Vec<String>)> {
    // What a link leads to is where it is.
    let state = state.canonicalize().ok()?;
    let repository = state.ancestors().find(|it| it.join(".git").exists())?;
    let folder = state.strip_prefix(repository).ok()?.to_str()?;
    let folder = folder.replace(std::path::MAIN_SEPARATOR, "/");
    let is_state = |path: &str| {
        let below = path.strip_prefix(&folder).and_then(|it| it.strip_prefix('/'));
        let is_within = |it: &str, prefix: &KeyPrefix| {
            it.strip_prefix(prefix.as_str()).is_some_and(|it| it.starts_with('/'))
        };
        below.is_some_and(|it| {
            it == SNAPSHOT.as_str()
                || it == JOURNAL.as_str()
                || is_within(it, &LEASE)
                || is_within(it, &SEALED)
        })
    };
    let git = git_folder(&repository.join(".git"))?;
    let index = git.join("index");
    let size = index.metadata().ok()?.len();
    let listed = if size <= INDEX_BYTES_MAX {
        paths(&std::fs::read(&index).ok()?, hash_length(&git))
    } else {
        None
    };
    let mut files: Vec<String> = match listed {
        Some(paths) => paths.into_iter().filter(|it| is_state(it)).collect(),
        None => asked(repository, &folder)?.into_iter().filter(|it| is_state(it)).collect(),
    };
    if files.is_empty() {
        return None;
    }
    if let Some(said) = asked(repository, &folder) {
        files.retain(|it| said.contains(it));
    }
    let (repository, is_any) = (repository.to_owned(), !files.is_empty());
    is_any.then_some((repository, folder, files))
}

/// `.git` is a folder, or a file that names one: in linked worktrees and submodules.
fn git_folder(named: &Path) -> Option<PathBuf> {
    if named.is_dir() {
        return Some(named.to_owned());
    }
    let text = std::fs::read_to_string(named).ok()?;
    let folder = text.strip_prefix("gitdir:")?.trim();
    Some(named.parent()?.join(folder))
}

/// Bytes of an object's name; a linked worktree has its settings in the folder that all of them share.
fn hash_length(git: &Path) -> usize {
    let shared = std::fs::read_to_string(git.join("commondir")).ok();
    let shared = shared.map_or_else(|| git.to_owned(), |it| git.join(it.trim()));
    let settings = std::fs::read_to_string(shared.join("config")).unwrap_or_default();
    let settings = settings.to_lowercase();
    let mut lines = settings.lines().filter(|it| it.trim_start().starts_with("objectformat"));
    if lines.any(|it| it.contains("sha256")) { 32 } else { 20 }
}

/// The path of every entry; `None` if it cannot be read so far.
fn paths(index: &[u8], hash: usize) -> Option<Vec<String>> {
    let word = |at: usize| {
        Some(u32::from_be_bytes(index.get(at..at + 4)?.try_into().expect("these are four bytes")))
    };
    if index.get(..4)? != b"DIRC" {
        return None;
    }
    let (version, count) = (word(4)?, word(8)?);
    if !(2..=4).contains(&version) {
        return None;
    }
    let (mut at, mut path, mut found) = (12, Vec::new(), Vec::new());
    for _ in 0..count {
        let begins = at;
        at += BEFORE_HASH + hash;
        let flags = index.get(at..at + FLAGS)?;
        at += FLAGS;
        if u16::from_be_bytes([flags[0], flags[1]]) & EXTENDED != 0 {
            at += FLAGS;
        }
        if version == 4 {
            let (dropped, read) = varint(index.get(at..)?)?;
            path.truncate(path.len().checked_sub(dropped)?);
            at += read;
        } else {
            path.clear();
        }
        let name = index.get(at..)?;
        let name = name.split(|it| *it == 0).next()?;
        path.extend_from_slice(name);
        at += name.len() + 1;
        if version < 4 {
            // An entry and one to eight zeros fill eights of bytes.
            at = begins + (at - begins).next_multiple_of(8);
        }
        found.push(String::from_utf8_lossy(&path).into_owned());
    }
    Some(found)
}

/// A number as git writes offsets, and how many bytes that takes.
fn varint(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut value = usize::from(bytes.first()? & 127);
    let mut read = 1;
    while bytes[read - 1] & 128 != 0 {
        value = value.checked_add(1)?.checked_mul(128)?;
        value += usize::from(bytes.get(read)? & 127);
        read += 1;
    }
    Some((value, read))
}

/// What git says that it tracks below a folder; `None` where there is no git, or it does not want to say.
fn asked(repository: &Path, folder: &str) -> Option<Vec<String>> {
    let told = git(repository, &["ls-files", "-z", "--", folder]).ok()?;
    let paths = told.split(|it| *it == 0).filter(|it| !it.is_empty());
    Some(paths.map(|it| String::from_utf8_lossy(it).into_owned()).collect())
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::Command;

    use super::{paths, tracked, varint};

    fn git(folder: &Path, words: &[&str]) -> bool {
        let mut git = Command::new("git");
        git.arg("-C").arg(folder).args(words).env("GIT_CONFIG_GLOBAL", "/dev/null");
        git.output().is_ok_and(|it| it.status.success())
    }

    fn state(folder: &Path) -> std::path::PathBuf {
        let state = folder.join("state/shop");
        std::fs::create_dir_all(state.join("lease")).unwrap();
        std::fs::create_dir_all(state.join("history")).unwrap();
        std::fs::create_dir_all(state.join("sealed")).unwrap();
        for file in [
            "state.snapshot",
            "journal",
            "lease/00000001.claim",
            "sealed/head",
            "history/00000001.journal",
        ] {
            std::fs::write(state.join(file), file).unwrap();
        }
        std::fs::write(folder.join("state/.gitkeep"), "").unwrap();
        state
    }

    #[test]
    fn tracked_finds_a_state_in_every_form_of_the_git_index() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let state = state(folder);
        assert_eq!(tracked(&state), None, "no repository");
        if !git(folder, &["init", "-q"]) {
            return;
        }
        assert_eq!(tracked(&state), None, "no index");
        assert!(git(folder, &["add", "state/.gitkeep", "state/shop/history"]));
        assert_eq!(tracked(&state), None, "what is kept beside it is no state");
        let expected = ["journal", "lease/00000001.claim", "sealed/head", "state.snapshot"];
        let expected: Vec<String> = expected.iter().map(|it| format!("state/shop/{it}")).collect();
        assert!(git(folder, &["add", "-A"]));
        for version in ["2", "3", "4"] {
            assert!(git(folder, &["update-index", "--index-version", version]));
            let (_, named, files) = tracked(&state).unwrap();
            assert_eq!((files, named.as_str()), (expected.clone(), "state/shop"));
            // Also where nobody can ask git.
            let index = std::fs::read(folder.join(".git/index")).unwrap();
            let read = paths(&index, 20).unwrap();
            assert!(expected.iter().all(|it| read.contains(it)), "{version}: {read:?}");
        }
        assert!(git(folder, &["rm", "-r", "-q", "--cached", "--", "state/shop"]));
        assert_eq!(tracked(&state), None);
        assert!(state.join("journal").exists());
    }

    #[test]
    fn paths_and_varint_refuse_half_an_index() {
        assert_eq!(paths(b"DIRC", 20), None);
        assert_eq!(paths(b"DIRC\0\0\0\x02\0\0\0\x09", 20), None);
        assert_eq!(paths(b"something else", 20), None);
        assert_eq!(varint(&[0x80]), None);
        assert_eq!(varint(&[0x80, 0x00]), Some((128, 2)));
    }
}

//! Files below a folder, read and made without ever leaving it: each part of a path by itself, links only while they stay inside.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, fstat, openat, readlinkat, statat};
use rustix::io::Errno;

/// How many symbolic links one path may lead through. Linux allows 40 (path_resolution(7)); a stack needs one or two.
const LINKS_MAX: usize = 16;

/// What only its owner reads: plans and states hold what the world looks like, and states the key of the fingerprints.
pub const PRIVATE: u32 = 0o600;

/// Why a file is not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContainedTrouble {
    /// A link, or `..`, leads out of the folder.
    #[error("a symbolic link leads outside the folder, where nothing is read")]
    Outside,
    #[error("the file does not exist")]
    Missing,
    #[error("it is larger than {0} bytes")]
    TooLarge(u64),
    #[error("{0}")]
    Other(String),
}

impl From<Errno> for ContainedTrouble {
    fn from(why: Errno) -> Self {
        match why {
            Errno::NOENT => Self::Missing,
            // What was no link a moment ago.
            Errno::LOOP | Errno::MLINK => Self::Outside,
            other => Self::Other(std::io::Error::from(other).to_string()),
        }
    }
}

/// A file below `root`. The parts of `folder` are themselves no links; what is below it may be linked within it.
pub fn read(
    root: &Path,
    folder: &Path,
    path: &Path,
    most: u64,
) -> Result<Vec<u8>, ContainedTrouble> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut at = rustix::fs::open(root, flags, Mode::empty())?;
    for part in parts(folder)? {
        if is_link(&at, &part)? {
            return Err(ContainedTrouble::Outside);
        }
        at = openat(&at, &part, flags | OFlags::NOFOLLOW, Mode::empty())?;
    }
    let file = open(at, parts(path)?)?;
    if FileType::from_raw_mode(fstat(&file)?.st_mode) != FileType::RegularFile {
        return Err(ContainedTrouble::Other("it is not a regular file".into()));
    }
    let mut bytes = Vec::new();
    let read = File::from(file).take(most + 1).read_to_end(&mut bytes);
    read.map_err(|why| ContainedTrouble::Other(why.to_string()))?;
    if bytes.len() as u64 > most { Err(ContainedTrouble::TooLarge(most)) } else { Ok(bytes) }
}

/// The parts of a relative path; the last one first.
fn parts(path: &Path) -> Result<Vec<OsString>, ContainedTrouble> {
    let mut parts = Vec::new();
    for part in path.components() {
        match part {
            Component::Normal(part) => parts.push(part.to_owned()),
            Component::ParentDir => parts.push("..".into()),
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) => return Err(ContainedTrouble::Outside),
        }
    }
    Ok(parts)
}

fn is_link(at: &OwnedFd, part: &OsStr) -> Result<bool, ContainedTrouble> {
    let found = statat(at, part, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(FileType::from_raw_mode(found.st_mode) == FileType::Symlink)
}

/// Opens part after part. Nothing between two looks can lead outside: every part is opened in the folder that was opened
/// before, and never followed.
fn open(folder: OwnedFd, mut todo: Vec<OsString>) -> Result<OwnedFd, ContainedTrouble> {
    todo.reverse();
    let mut folders = vec![folder];
    let mut links = 0;
    while let Some(part) = todo.pop() {
        if part == ".." {
            folders.pop();
        }
        let Some(at) = folders.last() else { return Err(ContainedTrouble::Outside) };
        if part == ".." {
            continue;
        }
        if is_link(at, &part)? {
            links += 1;
            if links > LINKS_MAX {
                return Err(ContainedTrouble::Other("too many symbolic links".into()));
            }
            let target = readlinkat(at, &part, Vec::new())?;
            let target = PathBuf::from(OsString::from_vec(target.into_bytes()));
            todo.extend(parts(&target)?.into_iter().rev());
            continue;
        }
        // A pipe that nobody writes to must not hold the command.
        let mut flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        if !todo.is_empty() {
            flags |= OFlags::DIRECTORY;
        }
        let opened = openat(at, &part, flags, Mode::empty())?;
        if todo.is_empty() {
            return Ok(opened);
        }
        folders.push(opened);
    }
    Err(ContainedTrouble::Other("it is not a regular file".into()))
}

/// The first link between `root` and a path below it, the path itself included. Others are whoever named them.
pub fn link_on_the_way(root: &Path, path: &Path) -> Option<PathBuf> {
    let below = path.strip_prefix(root).ok()?;
    let mut at = root.to_owned();
    below.components().find_map(|part| {
        at.push(part);
        let found = std::fs::symlink_metadata(&at).ok()?;
        found.is_symlink().then(|| at.clone())
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use super::{ContainedTrouble, link_on_the_way, read};

    #[test]
    fn read_follows_links_inside_only() {
        let root = tempfile::tempdir().unwrap();
        let at = |it: &str| root.path().join(it);
        std::fs::create_dir_all(at("stacks/shop/files/deep")).unwrap();
        std::fs::write(at("outside"), "token").unwrap();
        std::fs::write(at("stacks/shop/files/real"), "fine").unwrap();
        for (link, target) in [
            ("files/near", "real"),
            ("files/deep/up", "../real"),
            ("files/twice", "deep/up"),
            ("files/folder", "deep"),
            ("files/out", "../../../outside"),
            ("files/far", "/proc/self/environ"),
            ("files/deep/over", "../../../../outside"),
            ("files/ring", "ring"),
            ("files/gone", "nothing"),
            ("outer", "../.."),
        ] {
            symlink(target, at("stacks/shop").join(link)).unwrap();
        }
        symlink("shop", at("stacks/linked")).unwrap();
        let folder = |name: &str| Path::new("stacks").join(name);
        let say = |path: &str| read(root.path(), &folder("shop"), Path::new(path), 100);
        for fine in ["files/real", "files/near", "files/deep/up", "files/twice", "files/folder/up"]
        {
            assert_eq!(say(fine).unwrap(), b"fine", "{fine}");
        }
        for out in [
            "files/out",
            "files/far",
            "files/deep/over",
            "outer/outside",
            "../../outside",
            "/outside",
        ] {
            assert_eq!(say(out), Err(ContainedTrouble::Outside), "{out}");
        }
        assert!(matches!(say("files/ring"), Err(ContainedTrouble::Other(_))));
        assert_eq!(say("files/gone"), Err(ContainedTrouble::Missing));
        assert!(matches!(say("files"), Err(ContainedTrouble::Other(_))));
        assert!(matches!(say("files/real/x"), Err(ContainedTrouble::Other(_))));
        let small = read(root.path(), &folder("shop"), Path::new("files/real"), 3);
        assert_eq!(small, Err(ContainedTrouble::TooLarge(3)));
        let linked = read(root.path(), &folder("linked"), Path::new("files/real"), 100);
        assert_eq!(linked, Err(ContainedTrouble::Outside));
        assert_eq!(link_on_the_way(root.path(), &at("stacks/linked/x")), Some(at("stacks/linked")));
        assert_eq!(link_on_the_way(root.path(), &at("stacks/shop/files/real")), None);
    }
}

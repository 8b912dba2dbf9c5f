//! The layers and policies of a stack as another commit of its repository has them.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Component, Path};

use crate::ops::load::stack_ref::StackRef;
use crate::store::git::git;

/// More files than any stack has, and more bytes: whatever has them is not read into a folder of ours.
const FILES_MAX: usize = 5_000;
const BYTES_MAX: u64 = 64 << 20;

/// A folder with them, which goes with its value.
#[derive(Debug)]
pub struct BaseFiles {
    folder: tempfile::TempDir,
    /// As git names it.
    pub commit: String,
}

/// A file in a commit.
struct Blob {
    is_executable: bool,
    object: String,
    bytes: u64,
    path: String,
}

impl BaseFiles {
    /// The files of the commit from which the checked out one branched off, as far as this clone goes back; else of the commit itself.
    /// The error is for whoever can change the checkout.
    pub fn read(place: &StackRef, commit: &str) -> Result<Self, String> {
        let root = &place.root;
        let named = format!("{commit}^{{commit}}");
        // Where there is no repository, or none that git trusts, it says so.
        git(root, &["rev-parse", "--git-dir"])?;
        let commit = git(root, &["rev-parse", "--verify", "--quiet", "--end-of-options", &named])
            .map_err(|_| format!("{commit} is no commit of this clone, which may be a shallow one: fetch it as well (`fetch-depth: 0`)"))?;
        let commit = line(&commit);
        let commit = match git(root, &["merge-base", &commit, "HEAD"]) {
            Ok(found) => line(&found),
            Err(_) => commit,
        };
        let folder = tempfile::tempdir().map_err(|why| format!("no temporary folder: {why}"))?;
        let read = Self { folder, commit };
        let mut left = BYTES_MAX;
        for it in read.blobs(place)? {
            left = left.checked_sub(it.bytes).ok_or_else(|| {
                format!(
                    "the layers of the commit {} have over {} MiB",
                    read.commit,
                    BYTES_MAX >> 20
                )
            })?;
            read.write(root, &it)?;
        }
        // A stack that is new has no folder there, and a root is known by this one.
        let stacks = read.folder.path().join("stacks");
        std::fs::create_dir_all(stacks).map_err(|why| format!("no temporary folder: {why}"))?;
        Ok(read)
    }

    /// The stack there.
    pub fn place(&self, of: &StackRef) -> StackRef {
        StackRef { root: self.folder.path().to_owned(), ..of.clone() }
    }

    /// Whether the commit has the stack at all.
    pub fn has(&self, of: &StackRef) -> bool {
        self.place(of).folder().join("stack.yaml").is_file()
    }

    /// The files, and no links: what these lead to is in no commit.
    fn blobs(&self, place: &StackRef) -> Result<Vec<Blob>, String> {
        let stack = format!("stacks/{}", place.stack);
        let words = ["ls-tree", "-r", "-l", "-z", &self.commit, "--", &stack, "policies"];
        let listed = git(&place.root, &words)?;
        let lines = listed.split(|it| *it == 0).filter(|it| !it.is_empty());
        let blobs: Vec<Blob> = lines.filter_map(|it| blob(std::str::from_utf8(it).ok()?)).collect();
        if blobs.len() > FILES_MAX {
            return Err(format!("the commit {} has over {FILES_MAX} layers", self.commit));
        }
        Ok(blobs)
    }

    fn write(&self, root: &Path, it: &Blob) -> Result<(), String> {
        let below = Path::new(&it.path);
        if !below.components().all(|it| matches!(it, Component::Normal(_))) {
            return Err(format!("the commit {} has a file `{}`", self.commit, it.path));
        }
        let bytes = git(root, &["cat-file", "blob", &it.object])?;
        let file = self.folder.path().join(below);
        let folder = file.parent().unwrap_or(self.folder.path());
        let mode = if it.is_executable { 0o700 } else { 0o600 };
        let written = std::fs::create_dir_all(folder).and_then(|()| {
            let mut made = std::fs::OpenOptions::new();
            made.write(true).create_new(true).mode(mode).open(&file)?.write_all(&bytes)
        });
        written.map_err(|why| format!("{}: {why}", file.display()))
    }
}

/// `100644 blob 0123…  42<tab>stacks/shop/stack.yaml`
fn blob(listed: &str) -> Option<Blob> {
    let (head, path) = listed.split_once('\t')?;
    let words: Vec<&str> = head.split_whitespace().collect();
    let [mode @ ("100644" | "100755"), "blob", object, bytes] = words[..] else { return None };
    Some(Blob {
        is_executable: mode == "100755",
        object: object.to_owned(),
        bytes: bytes.parse().ok()?,
        path: path.to_owned(),
    })
}

fn line(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use std::path::Path;
    use std::process::Command;

    use super::{BaseFiles, blob};
    use crate::ops::load::stack_ref::StackRef;

    fn git(folder: &Path, words: &[&str]) {
        let who = [
            "-c",
            "user.name=a",
            "-c",
            "user.email=a@example.com",
            "-c",
            "init.defaultBranch=main",
        ];
        let mut git = Command::new("git");
        git.arg("-C").arg(folder).args(who).args(words).env("GIT_CONFIG_GLOBAL", "/dev/null");
        let told = git.output().unwrap();
        assert!(told.status.success(), "{words:?}: {}", String::from_utf8_lossy(&told.stderr));
    }

    #[test]
    fn read_gives_the_layers_of_where_a_branch_began() {
        let folder = tempfile::tempdir().unwrap();
        // The root may be a folder of the repository.
        let root = folder.path().join("infra");
        let write = |name: &str, text: &str| {
            let file = root.join(name);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        };
        write("stacks/shop/stack.yaml", "stack: shop");
        write("stacks/shop/run.sh", "#!/bin/sh");
        let run = root.join("stacks/shop/run.sh");
        std::fs::set_permissions(&run, std::fs::Permissions::from_mode(0o755)).unwrap();
        symlink("/etc/passwd", root.join("stacks/shop/link")).unwrap();
        write("stacks/other/stack.yaml", "stack: other");
        git(folder.path(), &["init", "--quiet"]);
        git(folder.path(), &["add", "."]);
        git(folder.path(), &["commit", "--quiet", "-m", "one"]);
        git(folder.path(), &["checkout", "--quiet", "-b", "change"]);
        write("stacks/shop/stack.yaml", "stack: shop # changed");
        git(folder.path(), &["commit", "--quiet", "-am", "two"]);
        git(folder.path(), &["checkout", "--quiet", "main"]);
        write("stacks/shop/stack.yaml", "stack: shop # later");
        git(folder.path(), &["commit", "--quiet", "-am", "three"]);
        git(folder.path(), &["checkout", "--quiet", "change"]);
        let place = StackRef { root, stack: "shop".into(), instance: None };
        let base = BaseFiles::read(&place, "main").unwrap();
        let there = base.place(&place);
        let text = std::fs::read_to_string(there.folder().join("stack.yaml")).unwrap();
        assert_eq!((text.as_str(), base.has(&place)), ("stack: shop", true));
        let mode = std::fs::metadata(there.folder().join("run.sh")).unwrap().permissions().mode();
        assert_eq!(mode & 0o111, 0o100, "a program stays one");
        assert!(!there.folder().join("link").exists());
        assert!(!there.root.join("stacks/other").exists());
        let new = StackRef { stack: "new".into(), ..place.clone() };
        assert!(!BaseFiles::read(&new, "main").unwrap().has(&new));
        let why = BaseFiles::read(&place, &"0".repeat(40)).unwrap_err();
        assert!(why.contains("no commit of this clone") && why.contains("fetch-depth: 0"), "{why}");
        assert!(BaseFiles::read(&place, "--help").is_err(), "no option of git");
        let nowhere = tempfile::tempdir().unwrap();
        let elsewhere = StackRef { root: nowhere.path().to_owned(), ..place };
        assert!(BaseFiles::read(&elsewhere, "main").is_err());
    }

    #[test]
    fn blob_takes_files_and_no_links_or_submodules() {
        let path = |it: &str| blob(it).map(|it| it.path);
        assert_eq!(path("100644 blob 01 42\ta b"), Some("a b".into()));
        assert_eq!(path("120000 blob 01 42\ta"), None);
        assert_eq!(path("160000 commit 01 -\ta"), None);
        assert_eq!(path("100644 blob 01"), None);
    }
}

//! A repository with its code host, its clouds, and the store of its state: what all runners have in common.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use crate::ci_server::{Host, Kind};
use crate::process::{Peer, Ran, Root, SECRET_KEY, Sandbox, clean};

const LIFEBOAT: &str = env!("CARGO_BIN_EXE_lifeboat");

/// The user of the store. Its name is a secret where lifeboat is told it, so it must be no word of what it says.
pub(crate) const STORE_USER: &str = "runner-of-tests";

/// What everything belongs to.
pub(crate) struct Site {
    pub(crate) root: Root,
    pub(crate) sandbox: Sandbox,
    pub(crate) host: Host,
    /// Where runners reach Linode; a test may put something in between.
    pub(crate) linode: Mutex<String>,
    runs: AtomicU64,
    _store: Peer,
}

/// One pull request.
pub(crate) struct Proposal {
    pub(crate) number: u64,
    pub(crate) head: String,
}

impl Site {
    /// Made by `init`, with its state in the store, and nothing applied yet.
    pub(crate) fn new(kind: Kind) -> Self {
        let (root, sandbox) = (Root::new(), Sandbox::start());
        root.folder("buckets/shop-state");
        let store = Peer::versitygw_of(&root.folder("buckets"), STORE_USER);
        let linode = Mutex::new(sandbox.address.clone());
        let at = format!(
            "s3://shop-state/lifeboat?endpoint=http://{}&fault_domain=local",
            store.address()
        );
        let host = Host::new(kind);
        let site = Self { root, sandbox, host, linode, runs: AtomicU64::new(100), _store: store };
        git(
            site.root.path(),
            &["init", "--quiet", "--bare", "--initial-branch=main", "origin.git"],
        );
        git(site.root.path(), &["clone", "--quiet", "origin.git", "desk"]);
        git(&site.desk(), &["switch", "--quiet", "--create", "main"]);
        let ci = if kind == Kind::GitLab { "gitlab" } else { "github" };
        site.lifeboat(&["init", "--ci", ci]).ends_with(0);
        // What waits for DNS caches waits as long as for real ones.
        let stack = site.desk().join("stacks/first/stack.yaml");
        let text = std::fs::read_to_string(&stack).unwrap();
        assert_eq!(text.matches("ttl_sec: 300").count(), 1);
        std::fs::write(stack, text.replace("ttl_sec: 300", "ttl_sec: 30")).unwrap();
        site.lifeboat(&["state", "migrate", "first", "--to", &at, "--yes"]).ends_with(0);
        site.commit("a first stack");
        site.releases(&program());
        site
    }

    /// The same, applied by hand.
    pub(crate) fn applied(kind: Kind) -> Self {
        let site = Self::new(kind);
        site.lifeboat(&["apply", "first", "--yes"]).ends_with(0);
        site
    }

    /// The clone in which people work.
    pub(crate) fn desk(&self) -> PathBuf {
        self.root.path().join("desk")
    }

    pub(crate) fn origin(&self) -> PathBuf {
        self.root.path().join("origin.git")
    }

    /// What a release is downloaded from.
    pub(crate) fn source(&self) -> String {
        format!("file://{}", self.root.path().join("release").display())
    }

    /// What a person types at the desk.
    pub(crate) fn lifeboat(&self, words: &[&str]) -> Ran {
        let linode = format!("{}/v4", self.sandbox.url());
        let mut command = clean(LIFEBOAT);
        command.args(words).current_dir(self.desk()).env("HOME", self.root.folder("home"));
        command.env("LINODE_URL", linode).env("LINODE_TOKEN", "of-a-person");
        Ran::of(command.envs(self.credentials()))
    }

    /// What the store and the AWS of the sandbox let in.
    pub(crate) fn credentials(&self) -> BTreeMap<String, String> {
        let of = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        [
            of("AWS_ENDPOINT_URL_DYNAMODB", &self.sandbox.url()),
            of("AWS_ACCESS_KEY_ID", STORE_USER),
            of("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
        ]
        .into()
    }

    pub(crate) fn next_run(&self) -> u64 {
        self.runs.fetch_add(1, SeqCst)
    }

    /// Everything that there is in the clouds.
    pub(crate) fn world(&self) -> String {
        let shown = self.sandbox_says(&["show"]);
        // The clock goes on.
        shown.lines().filter(|it| !it.contains("clock shows")).collect::<Vec<_>>().join("\n")
    }

    pub(crate) fn sandbox_says(&self, words: &[&str]) -> String {
        let mut command = clean(LIFEBOAT);
        command.arg("sandbox").args(words).arg("-C").arg(self.sandbox.root.path());
        Ran::of(&mut command).ends_with(0).printed().to_owned()
    }

    /// How many balancers there are of this address.
    pub(crate) fn balancers(&self, address: &str) -> usize {
        let line = format!("label: first-{address}");
        self.world().lines().filter(|it| it.trim() == line).count()
    }

    fn commit(&self, what: &str) -> String {
        git(&self.desk(), &["add", "--all"]);
        git(&self.desk(), &["commit", "--quiet", "--message", what]);
        git(&self.desk(), &["push", "--quiet", "origin", "HEAD"]);
        git(&self.desk(), &["rev-parse", "HEAD"])
    }

    /// A pull request that changes the stack so.
    pub(crate) fn proposes(&self, number: u64, from: &str, to: &str) -> Proposal {
        let branch = format!("change-{number}");
        git(&self.desk(), &["switch", "--quiet", "--create", &branch, "main"]);
        let stack = self.desk().join("stacks/first/stack.yaml");
        let text = std::fs::read_to_string(&stack).unwrap();
        assert!(text.contains(from), "{from:?} is not in the stack");
        std::fs::write(stack, text.replacen(from, to, 1)).unwrap();
        let head = self.commit(&format!("change {number}"));
        git(&self.desk(), &["switch", "--quiet", "main"]);
        self.host.opens(number, &head);
        Proposal { number, head }
    }

    /// What would be merged, as the code host offers it to a pipeline.
    pub(crate) fn trial(&self, proposal: &Proposal) -> String {
        git(&self.desk(), &["switch", "--quiet", "--detach", "main"]);
        git(&self.desk(), &["merge", "--quiet", "--no-ff", "--no-edit", &proposal.head]);
        let name = format!("refs/pull/{}/merge", proposal.number);
        git(&self.desk(), &["push", "--quiet", "--force", "origin", &format!("HEAD:{name}")]);
        let commit = git(&self.desk(), &["rev-parse", "HEAD"]);
        git(&self.desk(), &["switch", "--quiet", "main"]);
        commit
    }

    /// Somebody read it, and merges it; the commit that comes of it.
    pub(crate) fn merges(&self, proposal: &Proposal) -> String {
        git(&self.desk(), &["merge", "--quiet", "--no-ff", "--no-edit", &proposal.head]);
        git(&self.desk(), &["push", "--quiet", "origin", "main"]);
        let commit = git(&self.desk(), &["rev-parse", "HEAD"]);
        self.host.merges(proposal.number, &commit);
        commit
    }

    pub(crate) fn main(&self) -> String {
        git(&self.desk(), &["rev-parse", "main"])
    }

    /// An archive as release.yml packs it, with this program in it; its checksum, as somebody writes it down who looks at a release.
    pub(crate) fn releases(&self, program: &str) -> String {
        let folder = self.root.folder(&format!("release/releases/download/v{VERSION}"));
        released(&folder, &self.root.folder("pack"), program)
    }

    pub(crate) fn checksum(&self) -> String {
        published(&self.root.folder(&format!("release/releases/download/v{VERSION}")))
    }
}

pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A program that is the one that these tests are about, which is too large to be packed for each of them.
fn program() -> String {
    format!("#!/bin/sh\nexec '{LIFEBOAT}' \"$@\"\n")
}

/// How release.yml names the archive for this machine, without its ending.
pub(crate) fn archive() -> String {
    format!("lifeboat-{VERSION}-{}", target())
}

/// Packs a program into the folder of a release, with its checksum beside it.
pub(crate) fn released(folder: &Path, pack: &Path, program: &str) -> String {
    let name = archive();
    std::fs::create_dir_all(pack.join(&name)).unwrap();
    std::fs::write(pack.join(&name).join("lifeboat"), program).unwrap();
    let script = r#"chmod +x "$1/$2/lifeboat" && tar -C "$1" -czf "$3/$2.tar.gz" "$2" && cd "$3" && sha256sum "$2.tar.gz" >"$2.tar.gz.sha256""#;
    let mut command = clean("bash");
    command.args(["-ec", script, "pack"]).arg(pack).arg(&name).arg(folder);
    Ran::of(&mut command).ends_with(0);
    published(folder)
}

/// The checksum that a release has beside its archive.
pub(crate) fn published(folder: &Path) -> String {
    let text =
        std::fs::read_to_string(folder.join(format!("{}.tar.gz.sha256", archive()))).unwrap();
    text.split(' ').next().unwrap().to_owned()
}

/// As release.yml names this kind of machine.
fn target() -> &'static str {
    match (std::env::consts::OS, std::env::consts::ARCH) {
        ("linux", "x86_64") => "x86_64-unknown-linux-musl",
        ("linux", "aarch64") => "aarch64-unknown-linux-musl",
        ("macos", "aarch64") => "aarch64-apple-darwin",
        ("macos", "x86_64") => "x86_64-apple-darwin",
        other => panic!("no lifeboat is released for {other:?}"),
    }
}

/// What git prints.
pub(crate) fn git(folder: &Path, words: &[&str]) -> String {
    let mut command: Command = clean("git");
    command
        .args(words)
        .current_dir(folder)
        .env("HOME", folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1");
    for who in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{who}_NAME"), "A person");
        command.env(format!("GIT_{who}_EMAIL"), "person@example.com");
    }
    Ran::of(&mut command).ends_with(0).printed().trim().to_owned()
}

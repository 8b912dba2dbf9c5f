//! The script of `action.yml`, which GitLab's pipeline has as well: what it installs, and what it refuses before anything of it runs.

use std::path::Path;
use std::process::Command;

use crate::pipelines::site::{VERSION, archive, released};
use crate::process::{Ran, Root, clean};

const SCRIPT: &str = include_str!("../../../src/cli/commands/init/install.sh");

/// A release, and a machine that installs it.
struct Installation {
    root: Root,
    checksum: String,
}

impl Installation {
    fn new() -> Self {
        let root = Root::new();
        let ran = root.path().join("ran");
        let program =
            format!("#!/bin/sh\necho ran >>'{}'\necho 'lifeboat {VERSION}'\n", ran.display());
        let folder = root.folder(&format!("release/releases/download/v{VERSION}"));
        let checksum = released(&folder, &root.folder("pack"), &program);
        Self { root, checksum }
    }

    fn folder(&self) -> std::path::PathBuf {
        self.root.folder(&format!("release/releases/download/v{VERSION}"))
    }

    fn source(&self) -> String {
        format!("file://{}", self.root.path().join("release").display())
    }

    /// As GitHub runs it, and as the smallest shell would.
    fn shells(&self) -> Vec<Command> {
        let script = self.root.path().join("install.sh");
        std::fs::write(&script, SCRIPT).unwrap();
        let words: [&[&str]; 2] =
            [&["bash", "--noprofile", "--norc", "-e", "-o", "pipefail"], &["sh"]];
        let shell = |words: &&[&str]| {
            let mut command = clean(words[0]);
            command.args(&words[1..]).arg(&script).env("TMPDIR", self.root.folder("tmp"));
            command
        };
        words.iter().map(shell).collect()
    }

    fn installs(&self, variables: &[(&str, &str)]) -> Vec<Ran> {
        let path = self.root.path().join("path");
        let source = self.source();
        let mut shells = self.shells();
        let ran = shells.iter_mut().map(|it| {
            it.env("LIFEBOAT_VERSION", VERSION).env("LIFEBOAT_SOURCE", &source);
            it.env("LIFEBOAT_SHA256", &self.checksum).env("GITHUB_PATH", &path);
            Ran::of(it.envs(variables.iter().copied()))
        });
        ran.collect()
    }

    fn refuses(&self, variables: &[(&str, &str)], why: &str) {
        let shells = self.installs(variables);
        assert_eq!(shells.len(), 2);
        for ran in shells {
            ran.ends_with(1).says("error: ").says(why);
        }
        assert!(!self.has_run() && !self.root.path().join("path").exists(), "{why}");
    }

    fn has_run(&self) -> bool {
        self.root.path().join("ran").exists()
    }
}

#[test]
fn install_puts_a_release_of_this_checksum_on_the_path() {
    let it = Installation::new();
    let other = "0".repeat(64);
    let several = format!("{other} {}\n", it.checksum);
    let tagged = format!("v{VERSION}");
    for (name, value) in [
        ("LIFEBOAT_SHA256", it.checksum.as_str()),
        ("LIFEBOAT_SHA256", &several),
        ("LIFEBOAT_VERSION", &tagged),
    ] {
        for ran in it.installs(&[(name, value)]) {
            ran.ends_with(0).says(&format!("lifeboat {VERSION}"));
        }
    }
    let path = std::fs::read_to_string(it.root.path().join("path")).unwrap();
    let folder = path.lines().next().unwrap();
    Ran::of(clean("lifeboat").env("PATH", format!("{folder}:/usr/bin:/bin"))).ends_with(0);
    // Without one it says what it compares with.
    for ran in it.installs(&[("LIFEBOAT_SHA256", "")]) {
        ran.ends_with(0).says("no checksum was given: the one that the release publishes");
    }
}

#[test]
fn install_runs_nothing_whose_checksum_is_another() {
    let it = Installation::new();
    let other = "0".repeat(64);
    let told = format!("has the SHA-256 {}, which is not the one expected: {other}", it.checksum);
    it.refuses(&[("LIFEBOAT_SHA256", &other)], &told);
    it.refuses(&[("LIFEBOAT_SHA256", &it.checksum[1..])], "it has 63 digits, not 64");
    it.refuses(&[("LIFEBOAT_SHA256", &it.checksum.to_uppercase())], "lower-case hexadecimal");
    let also_wrong = format!("{} no-digest", it.checksum);
    it.refuses(&[("LIFEBOAT_SHA256", &also_wrong)], "'no-digest' is no SHA-256");
    // The archive was replaced, and its checksum was not.
    let archive = it.folder().join(format!("{}.tar.gz", archive()));
    let mut bytes = std::fs::read(&archive).unwrap();
    bytes.push(b'x');
    std::fs::write(&archive, bytes).unwrap();
    it.refuses(&[], "which is not the one expected");
    it.refuses(&[("LIFEBOAT_SHA256", "")], "which is not the one expected");
    std::fs::write(it.folder().join(format!("{}.tar.gz.sha256", self::archive())), "").unwrap();
    it.refuses(&[("LIFEBOAT_SHA256", "")], "which is not the one expected");
}

#[test]
fn install_says_what_cannot_be_had() {
    let it = Installation::new();
    it.refuses(&[("LIFEBOAT_VERSION", "9.9.9")], "lifeboat-9.9.9-");
    for version in ["", "../1", "1 2", "$(touch ran)"] {
        it.refuses(&[("LIFEBOAT_VERSION", version)], "is no version");
    }
    // In plain text anybody on the way could answer.
    it.refuses(&[("LIFEBOAT_SOURCE", "http://127.0.0.1:1")], "cannot be downloaded");
    let uname = it.root.folder("other").join("uname");
    it.root.write("other/uname", "#!/bin/sh\n[ \"$1\" = -s ] && echo Plan9 || echo mips\n");
    Ran::of(clean("chmod").arg("+x").arg(&uname)).ends_with(0);
    let path = format!("{}:{}", uname.parent().unwrap().display(), std::env::var("PATH").unwrap());
    it.refuses(&[("PATH", &path)], "there is no released lifeboat for Plan9 on mips");
    // The right checksum of what is no release.
    let empty = it.root.folder("empty");
    std::fs::create_dir_all(empty.join(archive())).unwrap();
    let checksum = packed(&it.folder(), &empty);
    it.refuses(&[("LIFEBOAT_SHA256", &checksum)], "/lifeboat");
}

/// Replaces the archive by one without a program.
fn packed(folder: &Path, pack: &Path) -> String {
    let archive = folder.join(format!("{}.tar.gz", archive()));
    let script = "tar -C \"$1\" -czf \"$2\" . && sha256sum \"$2\"";
    let mut command = clean("bash");
    command.args(["-ec", script, "pack"]).arg(pack).arg(&archive);
    let ran = Ran::of(&mut command).ends_with(0);
    ran.printed().split(' ').next().unwrap().to_owned()
}

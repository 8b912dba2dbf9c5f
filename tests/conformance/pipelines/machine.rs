//! A runner: a clone of its own, a home that is new for each job, and scripts that run until somebody pulls the plug.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

use crate::pipelines::site::{Site, git};
use crate::process::clean;

/// How long something of a job is waited for.
const PATIENCE: Duration = Duration::from_secs(120);

/// One runner.
pub(crate) struct Machine<'a> {
    pub(crate) site: &'a Site,
    pub(crate) clone: PathBuf,
    /// What the job has printed so far.
    pub(crate) log: PathBuf,
    temporary: PathBuf,
    group: Mutex<Option<u32>>,
    is_dead: AtomicBool,
}

/// The environment of a script.
pub(crate) type Environment = BTreeMap<String, String>;

impl<'a> Machine<'a> {
    pub(crate) fn new(site: &'a Site, name: &str) -> Self {
        let folder = site.root.folder(&format!("machines/{name}"));
        let clone = folder.join("clone");
        let origin = site.origin().display().to_string();
        git(&folder, &["clone", "--quiet", &origin, "clone"]);
        Self {
            site,
            clone,
            log: folder.join("log"),
            temporary: folder.join("temporary"),
            group: Mutex::new(None),
            is_dead: AtomicBool::new(false),
        }
    }

    /// What every job finds: nothing of the job before.
    pub(crate) fn cleared(&self) -> Environment {
        if self.temporary.exists() {
            std::fs::remove_dir_all(&self.temporary).unwrap();
        }
        for name in ["home", "tmp"] {
            std::fs::create_dir_all(self.temporary.join(name)).unwrap();
        }
        std::fs::write(&self.log, "").unwrap();
        let of = |name: &str, value: String| (name.to_owned(), value);
        let linode = self.site.linode.lock().unwrap().clone();
        [
            of("CI", "true".into()),
            of("HOME", self.file("home")),
            of("TMPDIR", self.file("tmp")),
            of("PATH", std::env::var("PATH").unwrap()),
            of("LANG", "C.UTF-8".into()),
            // Where the clouds are for these tests; workflows know only the real ones.
            of("LINODE_URL", format!("http://{linode}/v4")),
            of("AWS_ENDPOINT_URL_DYNAMODB", self.site.sandbox.url()),
        ]
        .into()
    }

    /// A file of this job.
    pub(crate) fn file(&self, name: &str) -> String {
        self.temporary.join(name).display().to_string()
    }

    /// What a checkout does: this commit, and nothing of what was there.
    pub(crate) fn checks_out(&self, commit: &str) {
        git(&self.clone, &["fetch", "--quiet", "origin", commit]);
        git(&self.clone, &["checkout", "--quiet", "--force", "--detach", commit]);
        git(&self.clone, &["clean", "-ffdxq"]);
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.is_dead.load(SeqCst)
    }

    /// Runs a script with these words of bash; its exit code, and none of a machine that died.
    pub(crate) fn bash(
        &self,
        options: &[&str],
        script: &str,
        environment: &Environment,
    ) -> Option<i32> {
        let file = self.file("script.sh");
        std::fs::write(&file, script).unwrap();
        let log = || Stdio::from(OpenOptions::new().append(true).open(&self.log).unwrap());
        let mut command = clean("bash");
        command
            .env_clear()
            .args(options)
            .arg(&file)
            .current_dir(&self.clone)
            .envs(environment)
            .stdout(log())
            .stderr(log())
            .process_group(0);
        let mut child = command.spawn().unwrap();
        *self.group.lock().unwrap() = Some(child.id());
        let ended = child.wait().unwrap();
        *self.group.lock().unwrap() = None;
        ended.code()
    }

    /// Pulls the plug: everything of the job is gone at once.
    pub(crate) fn dies(&self) {
        self.is_dead.store(true, SeqCst);
        let group = self.group.lock().unwrap().expect("a script is running");
        let killed = Command::new("kill").args(["-s", "KILL", "--", &format!("-{group}")]).status();
        assert!(killed.unwrap().success());
    }

    pub(crate) fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until the job says this.
    pub(crate) fn until_says(&self, words: &str) {
        let begun = Instant::now();
        while !self.said().contains(words) {
            assert!(begun.elapsed() < PATIENCE, "it never says {words:?}:\n{}", self.said());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// The lines of a file of settings, such as the one that `GITHUB_PATH` names.
pub(crate) fn lines(file: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.lines().map(Into::into).collect()
}

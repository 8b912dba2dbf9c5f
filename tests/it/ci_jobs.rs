//! The environment of the jobs that a code host runs.

use serde_json::json;

use crate::ci_server::{HEAD, Host, Kind, MERGED, PULL, TOKEN};
use crate::harness::Home;

impl Host {
    /// The environment of a job of the pull request, of this run.
    pub(crate) fn pull_job(&self, home: &mut Home, run: u64) {
        self.job(home, run);
        match self.kind() {
            Kind::GitLab => {
                home.set("CI_MERGE_REQUEST_IID", "5");
                home.set("CI_MERGE_REQUEST_PROJECT_ID", "7");
                home.set("CI_MERGE_REQUEST_SOURCE_PROJECT_ID", "7");
            }
            Kind::GitHub | Kind::Gitea => {
                home.set("GITHUB_EVENT_NAME", "pull_request");
                event(home, Some("shop/infra"));
            }
        }
    }

    /// The same for the fork of a stranger.
    pub(crate) fn fork_job(&self, home: &mut Home, run: u64) {
        self.pull_job(home, run);
        match self.kind() {
            Kind::GitLab => home.set("CI_MERGE_REQUEST_SOURCE_PROJECT_ID", "8"),
            Kind::GitHub | Kind::Gitea => event(home, Some("stranger/infra")),
        }
    }

    /// The environment of a job of the main branch, after the merge.
    pub(crate) fn push_job(&self, home: &mut Home, run: u64) {
        self.job(home, run);
        for name in ["GITHUB_SHA", "CI_COMMIT_SHA"] {
            home.set(name, MERGED);
        }
        home.set("GITHUB_EVENT_NAME", "push");
        home.unset("CI_MERGE_REQUEST_IID");
        self.closes_pull();
    }

    fn job(&self, home: &mut Home, run: u64) {
        let (api, kind) = (self.api(), self.kind());
        let (summary, run) = (home.path("summary.md"), run.to_string());
        let variables: &[(&str, &str)] = match kind {
            Kind::GitLab => &[
                ("GITLAB_CI", "true"),
                ("CI_API_V4_URL", &api),
                ("CI_PROJECT_ID", "7"),
                ("CI_COMMIT_SHA", HEAD),
                ("CI_PIPELINE_ID", &run),
                ("CI_JOB_ID", &run),
                ("GITLAB_TOKEN", TOKEN),
            ],
            Kind::GitHub | Kind::Gitea => &[
                ("GITHUB_ACTIONS", "true"),
                ("GITHUB_API_URL", &api),
                ("GITHUB_SERVER_URL", "https://git.example.com"),
                ("GITHUB_REPOSITORY", "shop/infra"),
                ("GITHUB_SHA", HEAD),
                ("GITHUB_RUN_ID", &run),
                ("GITHUB_STEP_SUMMARY", summary.to_str().unwrap()),
                ("GITHUB_TOKEN", TOKEN),
            ],
        };
        for (name, value) in variables {
            home.set(name, value);
        }
        if kind == Kind::Gitea {
            home.set("GITEA_ACTIONS", "true");
        }
    }
}

/// The file about a pull request that comes from this repository.
fn event(home: &mut Home, from: Option<&str>) {
    let head = json!({ "sha": HEAD, "repo": from.map(|it| json!({ "full_name": it })) });
    // The branch that it would be merged into, where the home is a clone.
    let base = std::fs::read_to_string(home.path(".git/refs/heads/main")).ok();
    let base = base.map(|it| json!({ "sha": it.trim() }));
    let event = json!({
        "pull_request": { "number": PULL, "head": head, "merged": false, "base": base },
    });
    home.write("event.json", event.to_string());
    let path = home.path("event.json");
    home.set("GITHUB_EVENT_PATH", path.to_str().unwrap());
}

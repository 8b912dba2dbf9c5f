//! What the environment says of a job: on which code host it runs, for which commit and pull request, and with which token.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde_json::Value as Json;

use crate::cloud::settings::Token;
use crate::engine::text::redact::redactor;

/// The largest file about an event that is read. GitHub caps what it sends to webhooks at 25 MB
/// (<https://docs.github.com/en/webhooks/webhook-events-and-payloads>).
const EVENT_BYTES_MAX: u64 = 32 << 20;

/// How many characters of a commit git shows at least.
const COMMIT_MIN: usize = 7;

/// A code host, by the API that it speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostKind {
    GitHub,
    GitLab,
    /// And Forgejo.
    Gitea,
}

impl HostKind {
    /// How many bytes a comment or the text of an issue has at most: 65,536 characters on GitHub, 1,000,000 on GitLab
    /// (<https://docs.gitlab.com/administration/instance_limits/>); a text column of Gitea in MySQL takes 65,535 bytes.
    pub fn bytes_max(self) -> usize {
        match self {
            Self::GitHub => 65_536,
            Self::GitLab => 1_000_000,
            Self::Gitea => 65_535,
        }
    }

    /// The variables that may hold the token, the first one before the others.
    pub fn token_names(self) -> &'static [&'static str] {
        match self {
            Self::GitHub => &["GITHUB_TOKEN"],
            Self::GitLab => &["GITLAB_TOKEN"],
            Self::Gitea => &["GITEA_TOKEN", "FORGEJO_TOKEN", "GITHUB_TOKEN"],
        }
    }

    /// What to do where there is no token.
    pub fn how_to_token(self) -> &'static str {
        match self {
            Self::GitHub => {
                "hand the token of the job over: `env: { GITHUB_TOKEN: ${{ github.token }} }`"
            }
            Self::GitLab => {
                "set GITLAB_TOKEN to a project access token with the scope `api` (CI_JOB_TOKEN may not comment)"
            }
            Self::Gitea => {
                "set GITEA_TOKEN, or hand the token of the job over: `env: { GITHUB_TOKEN: ${{ github.token }} }`"
            }
        }
    }

    /// What a token needs to write comments and issues.
    pub fn permission(self) -> &'static str {
        match self {
            Self::GitHub => {
                "the job needs `permissions: { pull-requests: write }`, and `issues: write` for the issue of drift"
            }
            Self::GitLab => {
                "the token needs the scope `api` and the role Reporter or higher; CI_JOB_TOKEN may not comment"
            }
            Self::Gitea => {
                "the token needs `write:issue` and `read:repository`, and its user has to see the repository"
            }
        }
    }
}

/// Which run of a job this is; a later one has a larger number, and so has a later attempt at the same one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct JobRun {
    pub number: u64,
    pub attempt: u64,
    /// Where people read its log.
    pub url: Option<String>,
}

/// For which pull request a job runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobPull {
    /// `None`: the event does not tell.
    pub number: Option<u64>,
    /// Why nothing of it may reach the store; `None`: it comes from the repository itself.
    pub stranger: Option<String>,
    /// The event is that it was merged.
    pub is_merged: bool,
    /// The commit that it would be merged into.
    pub base: Option<String>,
}

/// A job, as its environment tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CiJob {
    pub host: HostKind,
    /// Where the API is, without a slash at its end.
    pub api: String,
    /// `owner/name`; of GitLab the id of the project.
    pub project: String,
    pub token: Option<Token>,
    /// Of a pull request its last one; else what was pushed.
    pub commit: String,
    pub pull: Option<JobPull>,
    pub run: JobRun,
}

/// What a job may have beside a code host.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct JobSurroundings {
    /// Where the summary of the job is gathered.
    pub summary: Option<PathBuf>,
    /// Whether `::error …` on stdout becomes an annotation.
    pub annotates: bool,
}

/// Reads a variable; one that is empty is not set.
type Read<'a> = &'a dyn Fn(&str) -> Option<String>;

impl JobSurroundings {
    pub fn of(read: Read<'_>) -> Self {
        Self {
            summary: read("GITHUB_STEP_SUMMARY").map(PathBuf::from),
            annotates: is_set(read, &["GITHUB_ACTIONS", "GITEA_ACTIONS", "FORGEJO_ACTIONS"]),
        }
    }
}

fn is_set(read: Read<'_>, names: &[&str]) -> bool {
    names.iter().any(|it| read(it).is_some_and(|it| it != "false"))
}

/// The code host that runs this job. Gitea and Forgejo say that they are GitHub as well, so that its actions run there.
pub fn detect(read: Read<'_>) -> Option<HostKind> {
    let hosts: [(&[&str], HostKind); 3] = [
        (&["GITEA_ACTIONS", "FORGEJO_ACTIONS"], HostKind::Gitea),
        (&["GITLAB_CI"], HostKind::GitLab),
        (&["GITHUB_ACTIONS"], HostKind::GitHub),
    ];
    hosts.into_iter().find(|(names, _)| is_set(read, names)).map(|(_, host)| host)
}

impl CiJob {
    /// The job of this host. `Err`: which variable is missing, or what is wrong with it.
    pub fn of(
        host: HostKind,
        read: Read<'_>,
        event: &dyn Fn(&Path) -> Result<Json, String>,
    ) -> Result<Self, String> {
        let job = match host {
            HostKind::GitLab => gitlab(read)?,
            HostKind::GitHub | HostKind::Gitea => actions(host, read, event)?,
        };
        if let Some(token) = &job.token {
            redactor().learn_text(token.expose());
        }
        // It is in every address that is asked.
        let is_plain = |it: char| it.is_ascii_alphanumeric() || "._-/".contains(it);
        if !job.project.chars().all(is_plain) || job.project.split('/').any(|it| it.contains(".."))
        {
            return Err(format!("`{}` is not the name of a repository", job.project));
        }
        if !job.commit.chars().all(|it| it.is_ascii_hexdigit()) || job.commit.len() < COMMIT_MIN {
            return Err(format!("`{}` is not a commit", job.commit));
        }
        Ok(job)
    }
}

fn needed(read: Read<'_>, name: &str) -> Result<String, String> {
    read(name).ok_or_else(|| format!("{name} is not set"))
}

fn token(host: HostKind, read: Read<'_>) -> Option<Token> {
    host.token_names().iter().find_map(|it| read(it)).map(Token::new)
}

fn number(text: Option<String>) -> u64 {
    text.and_then(|it| it.parse().ok()).unwrap_or_default()
}

/// GitHub's variables, which Gitea and Forgejo set as well.
fn actions(
    host: HostKind,
    read: Read<'_>,
    event: &dyn Fn(&Path) -> Result<Json, String>,
) -> Result<CiJob, String> {
    let project = needed(read, "GITHUB_REPOSITORY")?;
    let api = match (read("GITHUB_API_URL"), host) {
        (Some(url), _) => url,
        (None, HostKind::Gitea) => format!("{}/api/v1", needed(read, "GITHUB_SERVER_URL")?),
        (None, _) => "https://api.github.com".to_owned(),
    };
    let is_pull = read("GITHUB_EVENT_NAME").is_some_and(|it| it.starts_with("pull_request"));
    let told = match (is_pull, read("GITHUB_EVENT_PATH")) {
        (true, Some(file)) => event(Path::new(&file)),
        (true, None) => Err("GITHUB_EVENT_PATH is not set".to_owned()),
        (false, _) => Ok(Json::Null),
    };
    let (pull, head) = match told {
        _ if !is_pull => (None, None),
        Err(why) => {
            let named = read("GITHUB_REF").unwrap_or_default();
            let number = named.strip_prefix("refs/pull/").and_then(|it| it.split('/').next());
            let stranger = format!("whether it comes from a fork cannot be told: {why}");
            let number = number.and_then(|it| it.parse().ok());
            (Some(JobPull { number, stranger: Some(stranger), is_merged: false, base: None }), None)
        }
        Ok(event) => pull_of(&event["pull_request"], &project),
    };
    let run_url = || Some((read("GITHUB_SERVER_URL")?, read("GITHUB_RUN_ID")?));
    Ok(CiJob {
        host,
        api: api.trim_end_matches('/').to_owned(),
        token: token(host, read),
        commit: head.map_or_else(|| needed(read, "GITHUB_SHA"), Ok)?,
        pull,
        run: JobRun {
            number: number(read("GITHUB_RUN_ID")),
            attempt: number(read("GITHUB_RUN_ATTEMPT")).max(1),
            url: run_url().map(|(server, run)| format!("{server}/{project}/actions/runs/{run}")),
        },
        project,
    })
}

/// The pull request of an event, and its last commit.
fn pull_of(pull: &Json, project: &str) -> (Option<JobPull>, Option<String>) {
    let head = &pull["head"];
    // A fork that was deleted has no name any more.
    let stranger = match head["repo"]["full_name"].as_str() {
        Some(from) if from.eq_ignore_ascii_case(project) => None,
        Some(from) => Some(format!("it comes from the fork {from}")),
        None => Some("it comes from a fork that is gone, or the event does not name it".to_owned()),
    };
    let is_merged = pull["merged"] == true;
    let base = pull["base"]["sha"].as_str().map(str::to_owned);
    let found = JobPull { number: pull["number"].as_u64(), stranger, is_merged, base };
    // What was merged is at the commit by which it came.
    let commit = if is_merged { &pull["merge_commit_sha"] } else { &head["sha"] };
    (Some(found), commit.as_str().map(str::to_owned))
}

fn gitlab(read: Read<'_>) -> Result<CiJob, String> {
    let host = HostKind::GitLab;
    let here = needed(read, "CI_PROJECT_ID")?;
    // A pipeline of a fork runs there, and its merge request is elsewhere.
    let home = read("CI_MERGE_REQUEST_PROJECT_ID").unwrap_or_else(|| here.clone());
    let pull = read("CI_MERGE_REQUEST_IID").map(|iid| {
        let stranger = match read("CI_MERGE_REQUEST_SOURCE_PROJECT_ID") {
            Some(from) if from == home && from == here => None,
            Some(from) => Some(format!("it comes from the fork with the project id {from}")),
            None => Some(
                "whether it comes from a fork cannot be told: CI_MERGE_REQUEST_SOURCE_PROJECT_ID is not set"
                    .to_owned(),
            ),
        };
        JobPull { number: iid.parse().ok(), stranger, is_merged: false, base: read("CI_MERGE_REQUEST_DIFF_BASE_SHA") }
    });
    // What is merged for trial has a commit of its own, which is in no branch.
    let head = read("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA").filter(|_| pull.is_some());
    Ok(CiJob {
        host,
        api: needed(read, "CI_API_V4_URL")?.trim_end_matches('/').to_owned(),
        project: home,
        token: token(host, read),
        commit: head.map_or_else(|| needed(read, "CI_COMMIT_SHA"), Ok)?,
        pull,
        run: JobRun {
            number: number(read("CI_PIPELINE_ID")),
            attempt: number(read("CI_JOB_ID")),
            url: read("CI_JOB_URL"),
        },
    })
}

/// Reads the file about the event that started a job.
pub fn read_event(file: &Path) -> Result<Json, String> {
    let mut bytes = Vec::new();
    let read = std::fs::File::open(file)
        .and_then(|it| it.take(EVENT_BYTES_MAX + 1).read_to_end(&mut bytes));
    read.map_err(|why| format!("the file about the event cannot be read: {why}"))?;
    if bytes.len() as u64 > EVENT_BYTES_MAX {
        return Err(format!(
            "the file about the event has more than {} MiB",
            EVENT_BYTES_MAX >> 20
        ));
    }
    serde_json::from_slice(&bytes).map_err(|why| format!("the file about the event: {why}"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{CiJob, HostKind, JobPull, detect};

    const SHA: &str = "0123456789abcdef0123456789abcdef01234567";

    fn github(more: &[(&'static str, &'static str)]) -> Vec<(&'static str, &'static str)> {
        let usual = [
            ("GITHUB_ACTIONS", "true"),
            ("GITHUB_REPOSITORY", "shop/infra"),
            ("GITHUB_SERVER_URL", "https://github.com"),
            ("GITHUB_SHA", SHA),
            ("GITHUB_RUN_ID", "77"),
            ("GITHUB_EVENT_PATH", "event.json"),
        ];
        usual.into_iter().chain(more.iter().copied()).collect()
    }

    fn job(
        host: HostKind,
        variables: &[(&str, &str)],
        event: &Result<Value, String>,
    ) -> Result<CiJob, String> {
        let read = |name: &str| {
            let found = variables.iter().rev().find(|it| it.0 == name);
            found.map(|it| it.1.to_owned()).filter(|it| !it.is_empty())
        };
        CiJob::of(host, &read, &|_| event.clone())
    }

    fn pull(from: Option<&str>) -> Value {
        let repo = from.map_or(Value::Null, |it| json!({ "full_name": it }));
        let head = json!({ "sha": "f".repeat(40), "repo": repo });
        json!({ "pull_request": { "number": 5, "head": head } })
    }

    #[test]
    fn detect_tells_those_that_imitate_github_from_it() {
        let of = |names: &[&str]| detect(&|it| names.contains(&it).then(|| "true".to_owned()));
        assert_eq!(of(&["GITHUB_ACTIONS"]), Some(HostKind::GitHub));
        assert_eq!(of(&["GITHUB_ACTIONS", "GITEA_ACTIONS"]), Some(HostKind::Gitea));
        assert_eq!(of(&["GITHUB_ACTIONS", "FORGEJO_ACTIONS"]), Some(HostKind::Gitea));
        assert_eq!(of(&["GITLAB_CI", "CI"]), Some(HostKind::GitLab));
        assert_eq!(of(&["CI"]), None);
    }

    #[test]
    fn of_github_takes_the_last_commit_of_the_pull_request() {
        let variables = github(&[("GITHUB_EVENT_NAME", "pull_request"), ("GITHUB_TOKEN", "hush")]);
        let it = job(HostKind::GitHub, &variables, &Ok(pull(Some("Shop/Infra")))).unwrap();
        assert_eq!(it.commit, "f".repeat(40));
        assert_eq!(
            it.pull,
            Some(JobPull { number: Some(5), stranger: None, is_merged: false, base: None })
        );
        assert_eq!(
            (it.api.as_str(), it.run.number, it.run.attempt),
            ("https://api.github.com", 77, 1)
        );
        assert_eq!(it.run.url.as_deref(), Some("https://github.com/shop/infra/actions/runs/77"));
        assert!(it.token.is_some() && !format!("{it:?}").contains("hush"));
    }

    #[test]
    fn of_github_knows_a_fork_also_where_it_is_gone_or_the_event_is() {
        for event in ["pull_request", "pull_request_target"] {
            let variables =
                github(&[("GITHUB_EVENT_NAME", event), ("GITHUB_REF", "refs/pull/5/merge")]);
            for told in
                [Ok(pull(Some("stranger/infra"))), Ok(pull(None)), Err("it is gone".to_owned())]
            {
                let it = job(HostKind::GitHub, &variables, &told).unwrap();
                let pull = it.pull.unwrap();
                assert!(pull.stranger.is_some(), "{told:?}");
                assert_eq!(pull.number, Some(5), "{told:?}");
            }
        }
        let push =
            job(HostKind::GitHub, &github(&[("GITHUB_EVENT_NAME", "push")]), &Ok(pull(None)));
        let push = push.unwrap();
        assert_eq!((push.pull, push.commit.as_str()), (None, SHA));
    }

    #[test]
    fn of_gitea_asks_its_own_api() {
        let own = [("GITHUB_SERVER_URL", "https://git.example.com"), ("GITHUB_TOKEN", "theirs")];
        let it = job(HostKind::Gitea, &github(&own), &Ok(Value::Null)).unwrap();
        assert_eq!(it.api, "https://git.example.com/api/v1");
        assert!(it.token.is_some());
    }

    #[test]
    fn of_gitlab_knows_where_a_merge_request_comes_from() {
        let with = |more: &[(&'static str, &'static str)]| {
            let usual = [
                ("CI_API_V4_URL", "https://gitlab.com/api/v4/"),
                ("CI_PROJECT_ID", "7"),
                ("CI_COMMIT_SHA", SHA),
                ("CI_PIPELINE_ID", "900"),
                ("CI_JOB_ID", "4000"),
            ];
            let all: Vec<_> = usual.into_iter().chain(more.iter().copied()).collect();
            job(HostKind::GitLab, &all, &Err(String::new()))
        };
        let request = ("CI_MERGE_REQUEST_IID", "12");
        let from = |it| ("CI_MERGE_REQUEST_SOURCE_PROJECT_ID", it);
        let own = with(&[request, from("7"), ("CI_MERGE_REQUEST_PROJECT_ID", "7")]).unwrap();
        assert_eq!(
            own.pull,
            Some(JobPull { number: Some(12), stranger: None, is_merged: false, base: None })
        );
        assert_eq!((own.api.as_str(), own.project.as_str()), ("https://gitlab.com/api/v4", "7"));
        let of_fork = with(&[request, from("8"), ("CI_MERGE_REQUEST_PROJECT_ID", "7")]).unwrap();
        assert!(of_fork.pull.unwrap().stranger.unwrap().contains('8'));
        // Its pipeline runs in the fork itself.
        let in_fork = with(&[request, from("7"), ("CI_MERGE_REQUEST_PROJECT_ID", "3")]).unwrap();
        assert_eq!(in_fork.project, "3");
        assert!(in_fork.pull.unwrap().stranger.is_some());
        assert!(with(&[request]).unwrap().pull.unwrap().stranger.is_some());
        assert_eq!(with(&[]).unwrap().pull, None);
    }

    #[test]
    fn of_refuses_what_would_lead_elsewhere() {
        let wrong = |name, value| {
            job(HostKind::GitHub, &github(&[(name, value)]), &Ok(Value::Null)).unwrap_err()
        };
        assert_eq!(wrong("GITHUB_REPOSITORY", ""), "GITHUB_REPOSITORY is not set");
        for name in ["shop/../../user", "shop/infra?x=1", "shop/in fra"] {
            assert!(wrong("GITHUB_REPOSITORY", name).contains("not the name of a repository"));
        }
        assert!(wrong("GITHUB_SHA", "main").contains("not a commit"));
    }
}

//! A runner of GitLab: which jobs a pipeline has, their variables in the order of precedence, and their scripts.

use serde_json::Value;

use crate::ci_server::TOKEN;
use crate::pipelines::github::JobEnd;
use crate::pipelines::machine::{Environment, Machine};

/// What starts a pipeline.
pub(crate) struct Started<'a> {
    /// `CI_PIPELINE_SOURCE`.
    pub(crate) source: &'static str,
    pub(crate) commit: &'a str,
    /// The number of the merge request, and its last commit.
    pub(crate) request: Option<(u64, &'a str)>,
    /// What was typed where the pipeline was started.
    pub(crate) typed: &'a [(&'static str, &'static str)],
    /// CI/CD variables of the project, beside those that all pipelines here have.
    pub(crate) settings: &'a [(&'static str, &'static str)],
}

/// All jobs of a pipeline, in the order of the file.
pub(crate) fn run(machine: &Machine<'_>, started: &Started<'_>) -> Vec<JobEnd> {
    machine.checks_out(started.commit);
    let text = std::fs::read_to_string(machine.clone.join(".gitlab-ci.yml")).unwrap();
    let file: Value = serde_yaml::from_str(&text).unwrap();
    let predefined = predefined(machine, started);
    if !follows(&file["workflow"]["rules"], &predefined) {
        return Vec::new();
    }
    let jobs = file.as_object().unwrap().iter();
    let jobs = jobs.filter(|(name, it)| it.get("script").is_some() && !name.starts_with('.'));
    let mut ends = Vec::new();
    for (name, own) in jobs {
        assert_eq!(own["extends"], ".lifeboat");
        let job = Job { machine, file: &file, own };
        let variables = job.variables(&predefined, started);
        if follows(&own["rules"], &variables) {
            ends.push(job.run(name, &variables));
        }
    }
    ends
}

#[track_caller]
pub(crate) fn run_one(machine: &Machine<'_>, started: &Started<'_>) -> JobEnd {
    let mut ends = run(machine, started);
    assert_eq!(ends.len(), 1, "{ends:#?}");
    ends.remove(0)
}

fn predefined(machine: &Machine<'_>, started: &Started<'_>) -> Environment {
    let site = machine.site;
    let run = site.next_run().to_string();
    let mut all: Vec<(&str, String)> = vec![
        ("GITLAB_CI", "true".into()),
        ("CI_API_V4_URL", site.host.api()),
        ("CI_PROJECT_ID", "7".into()),
        ("CI_COMMIT_SHA", started.commit.into()),
        ("CI_DEFAULT_BRANCH", "main".into()),
        ("CI_PIPELINE_SOURCE", started.source.into()),
        ("CI_PIPELINE_ID", run.clone()),
        ("CI_JOB_ID", run),
    ];
    match started.request {
        Some((number, head)) => all.extend([
            ("CI_MERGE_REQUEST_IID", number.to_string()),
            ("CI_MERGE_REQUEST_PROJECT_ID", "7".into()),
            ("CI_MERGE_REQUEST_SOURCE_PROJECT_ID", "7".into()),
            ("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA", head.into()),
        ]),
        None => all.push(("CI_COMMIT_BRANCH", "main".into())),
    }
    all.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Whether one of the rules holds.
fn follows(rules: &Value, variables: &Environment) -> bool {
    let rules = rules.as_array().expect("every job has rules");
    rules.iter().any(|it| holds(it["if"].as_str().unwrap(), variables))
}

/// `$A == "text"`, `$A == $B`, and several of them with `&&`.
fn holds(condition: &str, variables: &Environment) -> bool {
    let value = |it: &str| match it.strip_prefix('$') {
        Some(name) => variables.get(name).cloned(),
        None => Some(it.trim_matches('"').to_owned()),
    };
    condition.split(" && ").all(|it| {
        let (a, b) = it.split_once(" == ").unwrap_or_else(|| panic!("not understood: {it}"));
        value(a) == value(b)
    })
}

struct Job<'a> {
    machine: &'a Machine<'a>,
    file: &'a Value,
    own: &'a Value,
}

impl Job<'_> {
    /// What is typed stands above the settings of the project, these above the job, and that above the file.
    fn variables(&self, predefined: &Environment, started: &Started<'_>) -> Environment {
        let text = |it: &Value| {
            let value = it.get("value").unwrap_or(it);
            value.as_str().unwrap_or_else(|| panic!("a text is expected: {value}")).to_owned()
        };
        let of = |map: &Value| -> Environment {
            let map = map.as_object().into_iter().flatten();
            map.map(|(name, it)| (name.clone(), text(it))).collect()
        };
        let mut all = self.machine.cleared();
        all.extend(of(&self.file["variables"]));
        all.extend(of(&self.own["variables"]));
        if let Some(matrix) = self.own["parallel"]["matrix"].as_array() {
            assert_eq!(matrix.len(), 1);
            for (name, values) in matrix[0].as_object().unwrap() {
                assert_eq!(values.as_array().unwrap().len(), 1);
                all.insert(name.clone(), text(&values[0]));
            }
        }
        all.extend(predefined.clone());
        let site = self.machine.site;
        let set = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        all.extend([
            set("GITLAB_TOKEN", TOKEN),
            set("LIFEBOAT_SOURCE", &site.source()),
            set("LIFEBOAT_SHA256", &site.checksum()),
            set("LINODE_PLAN_TOKEN", "may-only-read"),
        ]);
        // No AWS is here that would take GitLab's token: then keys are what is left.
        all.extend(site.credentials());
        if started.request.is_none() {
            all.extend([set("LINODE_TOKEN", "may-change")]);
        }
        all.extend(started.settings.iter().map(|(name, value)| set(name, value)));
        // The form of a pipeline that is run by hand hands over all that it shows, changed or not.
        if started.source == "web" {
            let form = self.file["variables"].as_object().unwrap().iter();
            let form = form.filter(|(_, it)| it.get("description").is_some());
            all.extend(form.map(|(name, it)| (name.clone(), text(it))));
        }
        all.extend(started.typed.iter().map(|(name, value)| set(name, value)));
        if self.file[".lifeboat"]["id_tokens"].get("AWS_ID_TOKEN").is_some() {
            all.extend([set("AWS_ID_TOKEN", "identity-of-the-job")]);
        }
        all
    }

    fn run(&self, name: &str, variables: &Environment) -> JobEnd {
        let before = self.file[".lifeboat"]["before_script"].as_array().unwrap();
        let own = self.own["script"].as_array().unwrap();
        let blocks: Vec<&str> = before.iter().chain(own).map(|it| it.as_str().unwrap()).collect();
        // One shell for all of them, as the runner does it.
        let script = format!("set -eo pipefail\nset +o noclobber\n{}\n", blocks.join("\n"));
        let code = self.machine.bash(&["--noprofile", "--norc"], &script, variables);
        let log = self.machine.said();
        for secret in [TOKEN, "may-only-read", "may-change", "identity-of-the-job"] {
            assert!(!log.contains(secret), "{secret} in {log}");
        }
        let code = if self.machine.is_dead() { None } else { Some(code.unwrap_or(137)) };
        JobEnd { job: name.into(), code, log, summary: String::new(), role: None }
    }
}

/// What a job leaves for GitLab's widget.
pub(crate) fn report(machine: &Machine<'_>) -> String {
    let text = std::fs::read_to_string(machine.clone.join(".gitlab-ci.yml")).unwrap();
    let file: Value = serde_yaml::from_str(&text).unwrap();
    let name = file["plan"]["artifacts"]["reports"]["terraform"].as_str().unwrap();
    std::fs::read_to_string(machine.clone.join(name)).unwrap_or_default()
}

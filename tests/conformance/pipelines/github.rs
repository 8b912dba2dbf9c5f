//! A hosted runner of GitHub: which jobs an event starts, and their steps, as the workflow files say.

use std::path::Path;

use serde_json::{Value, json};

use crate::ci_server::TOKEN;
use crate::pipelines::expressions::Contexts;
use crate::pipelines::machine::{Environment, Machine, lines};
use crate::pipelines::site::Proposal;

/// What starts workflows.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    /// A pull request, with the commit that would come of its merge; from this repository or from another one.
    Pull {
        number: u64,
        head: String,
        trial: String,
        from: &'static str,
    },
    Push {
        commit: String,
    },
    Schedule {
        commit: String,
    },
    /// By hand, of a workflow, with what was typed.
    Dispatch {
        workflow: &'static str,
        commit: String,
        branch: &'static str,
        inputs: Value,
    },
}

impl Event {
    pub(crate) fn pull(proposal: &Proposal, trial: String) -> Self {
        let Proposal { number, head, .. } = proposal;
        Self::Pull { number: *number, head: head.clone(), trial, from: "shop/infra" }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Pull { .. } => "pull_request",
            Self::Push { .. } => "push",
            Self::Schedule { .. } => "schedule",
            Self::Dispatch { .. } => "workflow_dispatch",
        }
    }

    /// The commit that is checked out, and its branch.
    fn place(&self) -> (&str, String) {
        match self {
            Self::Pull { number, trial, .. } => (trial, format!("refs/pull/{number}/merge")),
            Self::Push { commit } | Self::Schedule { commit } => (commit, "refs/heads/main".into()),
            Self::Dispatch { commit, branch, .. } => (commit, format!("refs/heads/{branch}")),
        }
    }

    fn payload(&self) -> Value {
        match self {
            Self::Pull { number, head, from, .. } => json!({ "pull_request": {
                "number": number, "merged": false, "head": { "sha": head, "repo": { "full_name": from } } } }),
            Self::Dispatch { inputs, .. } => json!({ "inputs": inputs }),
            Self::Push { .. } | Self::Schedule { .. } => json!({}),
        }
    }

    /// Code of strangers gets no secrets, no identity, and a token that may only read.
    fn is_strange(&self) -> bool {
        matches!(self, Self::Pull { from, .. } if *from != "shop/infra")
    }
}

/// How a job ended.
#[derive(Debug, Clone)]
pub(crate) struct JobEnd {
    pub(crate) job: String,
    /// The exit code of the step that failed; 0: none did; `None`: the runner died.
    pub(crate) code: Option<i32>,
    pub(crate) log: String,
    pub(crate) summary: String,
    /// Whom AWS takes it for.
    pub(crate) role: Option<String>,
}

impl JobEnd {
    #[track_caller]
    pub(crate) fn ends_with(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}:\n{}", self.job, self.log);
        self
    }

    #[track_caller]
    pub(crate) fn says(self, words: &str) -> Self {
        assert!(self.log.contains(words), "no {words:?} in {}:\n{}", self.job, self.log);
        self
    }
}

/// A job in the middle of its steps.
struct Job<'a> {
    machine: &'a Machine<'a>,
    event: &'a Event,
    yaml: &'a Value,
    environment: Environment,
    contexts: Contexts,
    code: i32,
    role: Option<String>,
}

/// The jobs of an event, in the order of their files.
pub(crate) fn run(machine: &Machine<'_>, event: &Event, attempt: u64) -> Vec<JobEnd> {
    let (commit, _) = event.place();
    // Which workflows there are the commit says.
    machine.checks_out(commit);
    let mut files: Vec<_> = std::fs::read_dir(machine.clone.join(".github/workflows"))
        .unwrap()
        .map(|it| it.unwrap().path())
        .collect();
    files.sort();
    let mut ends = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let workflow: Value = serde_yaml::from_str(&text).unwrap();
        if !starts(&workflow, &file, event) {
            continue;
        }
        for (name, yaml) in workflow["jobs"].as_object().unwrap() {
            let job = Job::new(machine, event, &workflow, yaml, attempt);
            let condition = yaml["if"].as_str().unwrap_or("true");
            if job.contexts.holds(condition) {
                ends.push(job.run(name));
            }
        }
    }
    ends
}

/// The only job of an event.
#[track_caller]
pub(crate) fn run_one(machine: &Machine<'_>, event: &Event) -> JobEnd {
    run_again(machine, event, 1)
}

/// The same once more.
#[track_caller]
pub(crate) fn run_again(machine: &Machine<'_>, event: &Event, attempt: u64) -> JobEnd {
    let mut ends = run(machine, event, attempt);
    assert_eq!(ends.len(), 1, "{event:?}: {ends:#?}");
    ends.remove(0)
}

fn starts(workflow: &Value, file: &Path, event: &Event) -> bool {
    let Some(trigger) = workflow["on"].get(event.name()) else { return false };
    match event {
        Event::Push { .. } => {
            let branches = trigger["branches"].as_array().unwrap();
            branches.iter().any(|it| it == "main")
        }
        Event::Dispatch { workflow, .. } => file.file_name().unwrap() == *workflow,
        Event::Pull { .. } | Event::Schedule { .. } => true,
    }
}

impl<'a> Job<'a> {
    fn new(
        machine: &'a Machine<'a>,
        event: &'a Event,
        workflow: &Value,
        yaml: &'a Value,
        attempt: u64,
    ) -> Self {
        let site = machine.site;
        let (commit, reference) = event.place();
        let payload = event.payload();
        let mut secrets = json!({ "LINODE_PLAN_TOKEN": "may-only-read" });
        // Those of the environment, which only main may use.
        if yaml["environment"] == "lifeboat" && reference == "refs/heads/main" {
            secrets["LINODE_TOKEN"] = "may-change".into();
        }
        let mut vars = json!({
            "AWS_PLAN_ROLE": "arn:plan", "AWS_APPLY_ROLE": "arn:apply", "AWS_REGION": "eu-central-1",
            "LIFEBOAT_SHA256": site.checksum(),
        });
        if event.is_strange() {
            (secrets, vars) = (json!({}), json!({}));
        }
        let github = json!({
            "event_name": event.name(), "event": payload, "repository": "shop/infra",
            "sha": commit, "ref": reference, "token": TOKEN,
        });
        let values = json!({
            "github": github, "vars": vars, "secrets": secrets, "steps": {}, "env": {},
            "inputs": payload["inputs"], "matrix": matrix(yaml),
        });
        let mut job = Self {
            machine,
            event,
            yaml,
            environment: machine.cleared(),
            contexts: Contexts { values, has_failed: false },
            code: 0,
            role: None,
        };
        job.sets_out(attempt);
        for given in [&workflow["env"], &yaml["env"]] {
            let given = job.filled(given);
            job.environment.extend(given);
        }
        job
    }

    /// What GitHub sets.
    fn sets_out(&mut self, attempt: u64) {
        let (commit, reference) = self.event.place();
        let event = self.machine.file("event.json");
        std::fs::write(&event, self.event.payload().to_string()).unwrap();
        let site = self.machine.site;
        // A job that is run again has the number of its run.
        let run = if attempt == 1 { site.next_run() } else { site.next_run() - 1 };
        let variables = [
            ("GITHUB_ACTIONS", "true".to_owned()),
            ("GITHUB_API_URL", site.host.api()),
            ("GITHUB_SERVER_URL", "https://git.example.com".to_owned()),
            ("GITHUB_REPOSITORY", "shop/infra".to_owned()),
            ("GITHUB_EVENT_NAME", self.event.name().to_owned()),
            ("GITHUB_EVENT_PATH", event),
            ("GITHUB_SHA", commit.to_owned()),
            ("GITHUB_REF", reference),
            ("GITHUB_RUN_ID", run.to_string()),
            ("GITHUB_RUN_ATTEMPT", attempt.to_string()),
            ("GITHUB_STEP_SUMMARY", self.machine.file("summary.md")),
            ("GITHUB_PATH", self.machine.file("path")),
        ];
        self.environment.extend(variables.map(|(name, value)| (name.to_owned(), value)));
    }

    fn filled(&self, map: &Value) -> Environment {
        let Some(map) = map.as_object() else { return Environment::new() };
        let text = |it: &Value| it.as_str().map_or_else(|| it.to_string(), Into::into);
        map.iter().map(|(name, it)| (name.clone(), self.contexts.filled(&text(it)))).collect()
    }

    fn run(mut self, name: &str) -> JobEnd {
        for step in self.yaml["steps"].as_array().unwrap() {
            let condition = step["if"].as_str().unwrap_or("success()");
            let code = self.contexts.holds(condition).then(|| self.step(step));
            if self.machine.is_dead() {
                break;
            }
            let outcome = match code {
                None => "skipped",
                Some(0) => "success",
                Some(_) => "failure",
            };
            if let Some(id) = step["id"].as_str() {
                self.contexts.values["steps"][id] = json!({ "outcome": outcome });
            }
            if let Some(code) = code.filter(|it| *it != 0) {
                self.contexts.has_failed = true;
                self.code = if self.code == 0 { code } else { self.code };
            }
        }
        let code = (!self.machine.is_dead()).then_some(self.code);
        let summary = lines(Path::new(&self.machine.file("summary.md"))).join("\n");
        let log = self.machine.said();
        for secret in [TOKEN, "may-only-read", "may-change"] {
            assert!(!log.contains(secret) && !summary.contains(secret), "{secret} in {log}");
        }
        JobEnd { job: name.into(), code, log, summary, role: self.role }
    }

    fn step(&mut self, step: &Value) -> i32 {
        let Some(uses) = step["uses"].as_str() else { return self.script(step) };
        let given = self.filled(&step["with"]);
        let (action, version) = uses.split_once('@').unwrap();
        match action {
            "actions/checkout" => {
                assert_eq!(given["persist-credentials"], "false");
                self.machine.checks_out(self.event.place().0);
                0
            }
            "aws-actions/configure-aws-credentials" => {
                assert!(!self.event.is_strange(), "strangers have no identity");
                assert_eq!(self.yaml["permissions"]["id-token"], "write");
                assert_eq!(given["aws-region"], "eu-central-1");
                self.role = Some(given["role-to-assume"].clone());
                self.environment.extend(self.machine.site.credentials());
                0
            }
            "OWNER/lifeboat" => {
                assert_eq!(version, concat!("v", env!("CARGO_PKG_VERSION")));
                self.own_action(&given)
            }
            other => panic!("these tests know no action {other}"),
        }
    }

    /// The action of this repository, with the releases of these tests in place of its source.
    fn own_action(&mut self, given: &Environment) -> i32 {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("action.yml");
        let action: Value = serde_yaml::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
        let mut inputs = serde_json::Map::new();
        for (name, input) in action["inputs"].as_object().unwrap() {
            let value = given.get(name).map(String::as_str).or(input["default"].as_str());
            inputs.insert(name.clone(), json!(value.unwrap()));
        }
        assert!(given.keys().all(|it| inputs.contains_key(it)), "{given:?}");
        inputs["source"] = json!(self.machine.site.source());
        let outer = std::mem::replace(&mut self.contexts.values["inputs"], json!(inputs));
        let steps = action["runs"]["steps"].as_array().unwrap();
        let code = steps.iter().map(|it| self.script(it)).find(|it| *it != 0).unwrap_or(0);
        self.contexts.values["inputs"] = outer;
        code
    }

    /// As GitHub calls `shell: bash`.
    fn script(&mut self, step: &Value) -> i32 {
        let mut environment = self.environment.clone();
        environment.extend(self.filled(&step["env"]));
        let added = lines(Path::new(&self.machine.file("path")));
        let path = added.into_iter().rev().chain([environment["PATH"].clone()]);
        environment.insert("PATH".into(), path.collect::<Vec<_>>().join(":"));
        let script = self.contexts.filled(step["run"].as_str().unwrap());
        let options = ["--noprofile", "--norc", "-e", "-o", "pipefail"];
        self.machine.bash(&options, &script, &environment).unwrap_or(137)
    }
}

/// The values of the only line of a matrix.
fn matrix(job: &Value) -> Value {
    let matrix = &job["strategy"]["matrix"];
    if let Some(included) = matrix["include"].as_array() {
        assert_eq!(included.len(), 1);
        return included[0].clone();
    }
    let Some(axes) = matrix.as_object() else { return json!({}) };
    let only = |all: &Value| {
        assert_eq!(all.as_array().unwrap().len(), 1);
        all[0].clone()
    };
    Value::Object(axes.iter().map(|(name, all)| (name.clone(), only(all))).collect())
}

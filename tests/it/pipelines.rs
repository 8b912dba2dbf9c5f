//! What `init` writes for hosted runners, the action that installs a release, and the workflows of this repository: rules that no run shows.

use std::path::Path;

use serde_yaml::Value;

use crate::harness::{Home, repository};

/// A file, and what is in it.
struct Pipeline {
    name: String,
    text: String,
    yaml: Value,
}

impl Pipeline {
    fn read(file: &Path) -> Self {
        let text = std::fs::read_to_string(file).unwrap();
        let yaml =
            serde_yaml::from_str(&text).unwrap_or_else(|why| panic!("{}: {why}", file.display()));
        Self { name: file.file_name().unwrap().to_str().unwrap().to_owned(), text, yaml }
    }

    fn jobs(&self) -> Vec<(String, &Value)> {
        let jobs = self.yaml["jobs"].as_mapping().unwrap();
        jobs.iter().map(|(name, job)| (name.as_str().unwrap().to_owned(), job)).collect()
    }
}

fn of_folder(folder: &Path) -> Vec<Pipeline> {
    let mut files: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|it| it.unwrap().path()).collect();
    files.sort();
    files.iter().map(|it| Pipeline::read(it)).collect()
}

fn github() -> Vec<Pipeline> {
    let home = Home::new();
    home.run(&["init", "new"]).code(0).done();
    let all = of_folder(&home.path("new/.github/workflows"));
    assert_eq!(all.len(), 3);
    all
}

fn gitlab() -> Pipeline {
    let home = Home::new();
    home.run(&["init", "new", "--ci", "gitlab"]).code(0).says(&["state migrate first --to"]).done();
    assert!(!home.path("new/.github").exists());
    Pipeline::read(&home.path("new/.gitlab-ci.yml"))
}

fn own() -> Vec<Pipeline> {
    of_folder(&repository().join(".github/workflows"))
}

fn action() -> Pipeline {
    Pipeline::read(&repository().join("action.yml"))
}

/// Every value below this key, however deep.
fn below<'a>(yaml: &'a Value, key: &str, found: &mut Vec<&'a Value>) {
    match yaml {
        Value::Mapping(map) => {
            for (name, value) in map {
                if name.as_str() == Some(key) {
                    found.push(value);
                }
                below(value, key, found);
            }
        }
        Value::Sequence(all) => all.iter().for_each(|it| below(it, key, found)),
        _ => {}
    }
}

fn scripts(it: &Pipeline) -> Vec<String> {
    let mut found = Vec::new();
    below(&it.yaml, "run", &mut found);
    found.iter().filter_map(|it| it.as_str()).map(Into::into).collect()
}

/// What somebody types, or names a branch, is a value of the shell and no part of its script.
#[test]
fn no_script_is_put_together_from_expressions() {
    for it in github().iter().chain([&action()]) {
        let all = scripts(it);
        assert!(!all.is_empty(), "{}", it.name);
        assert!(all.iter().all(|it| !it.contains("${{")), "{}: {all:#?}", it.name);
    }
    // Here the matrix alone, whose values stand in the same file.
    let own = own();
    for script in own.iter().flat_map(scripts) {
        let mut expressions = script.split("${{").skip(1);
        assert!(expressions.all(|it| it.trim().starts_with("matrix.")), "{script}");
    }
}

#[test]
fn every_job_has_the_least_permissions_and_an_end() {
    let yaml = |text: &str| serde_yaml::from_str::<Value>(text).unwrap();
    let (comments, issues) = ("pull-requests: write", "issues: write");
    let expected = [
        ("lifeboat-drill.yml", "drill", "{ contents: read, id-token: write }".to_owned()),
        ("lifeboat-failover.yml", "switch", "{ contents: read, id-token: write }".to_owned()),
        ("lifeboat.yml", "plan", format!("{{ contents: read, id-token: write, {comments} }}")),
        ("lifeboat.yml", "apply", format!("{{ contents: read, id-token: write, {comments} }}")),
        ("lifeboat.yml", "drift", format!("{{ contents: read, id-token: write, {issues} }}")),
    ];
    let all = github();
    let mut seen = Vec::new();
    for it in &all {
        assert_eq!(it.yaml["permissions"], yaml("{}"), "{}", it.name);
        for (name, job) in it.jobs() {
            let permissions = job["permissions"].clone();
            let wanted = expected.iter().find(|(file, job, _)| *file == it.name && *job == name);
            let (file, job_name, wanted) = wanted.unwrap_or_else(|| panic!("{}: {name}", it.name));
            assert_eq!(permissions, yaml(wanted), "{file}: {job_name}");
            assert_eq!(job["runs-on"], "ubuntu-24.04");
            seen.push(name);
        }
    }
    assert_eq!(seen.len(), expected.len(), "{seen:?}");
    for it in all.iter().chain(&own()) {
        for (name, job) in it.jobs() {
            assert!(job["timeout-minutes"].as_u64().is_some(), "{}: {name}", it.name);
        }
    }
    for (name, job) in gitlab().yaml.as_mapping().unwrap() {
        if job.get("script").is_some() {
            assert!(job["timeout"].as_str().is_some(), "{name:?}");
        }
    }
}

/// Nothing that changes clouds is cut off by what comes after it, and a failover waits for nobody.
#[test]
fn only_a_plan_is_canceled_by_a_newer_one() {
    for it in &github() {
        for (name, job) in it.jobs() {
            let cancels = job["concurrency"].get("cancel-in-progress").and_then(Value::as_bool);
            let expected = match name.as_str() {
                "plan" => Some(true),
                "apply" | "drill" => Some(false),
                // What only reads needs no order, and a switch preempts.
                _ => None,
            };
            assert_eq!(cancels, expected, "{}: {name}", it.name);
            let is_strong = ["apply", "drill", "switch"].contains(&name.as_str());
            let environment = job.get("environment").and_then(Value::as_str);
            assert_eq!(environment, is_strong.then_some("lifeboat"), "{}: {name}", it.name);
        }
    }
    let gitlab = gitlab().yaml;
    for (job, interruptible, group) in [
        ("plan", true, false),
        ("apply", false, true),
        ("drill", false, true),
        ("switch", false, false),
    ] {
        assert_eq!(gitlab[job]["interruptible"], interruptible, "{job}");
        assert_eq!(gitlab[job].get("resource_group").is_some(), group, "{job}");
    }
}

/// A tag can be moved to other code.
#[test]
fn every_action_is_pinned_by_a_digest_that_names_its_version() {
    let pinned = regex::Regex::new(r"^[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$").unwrap();
    let released = format!("@v{} # by tag: ", env!("CARGO_PKG_VERSION"));
    let mut met = 0;
    for it in github().iter().chain(&own()) {
        for line in it.text.lines() {
            let Some(used) = line.trim().trim_start_matches("- ").strip_prefix("uses: ") else {
                continue;
            };
            met += 1;
            let is_own = used.starts_with("OWNER/lifeboat@") && used.contains(&released);
            assert!(pinned.is_match(used) || is_own, "{}: {used}", it.name);
        }
    }
    assert!(met > 15, "{met}");
}

/// The same script in the action and in the pipeline of GitLab, and names that a release has.
#[test]
fn action_installs_what_the_release_workflow_publishes() {
    let root = repository();
    let read = |file: &str| std::fs::read_to_string(root.join(file)).unwrap();
    let script = read("src/cli/commands/init/install.sh");
    let action = action();
    assert_eq!(scripts(&action), std::slice::from_ref(&script));
    let before = &gitlab().yaml[".lifeboat"]["before_script"][0];
    assert_eq!(before.as_str().unwrap(), script);
    let inputs = &action.yaml["inputs"];
    assert_eq!(inputs["version"]["default"], env!("CARGO_PKG_VERSION"));
    assert_eq!(inputs["source"]["default"], env!("CARGO_PKG_REPOSITORY"));

    let own = own();
    let release = own.iter().find(|it| it.name == "release.yml").unwrap();
    let targets = release.yaml["jobs"]["binaries"]["strategy"]["matrix"]["include"].as_sequence();
    let mut released: Vec<&str> =
        targets.unwrap().iter().map(|it| it["target"].as_str().unwrap()).collect();
    let mut installed: Vec<&str> = script
        .lines()
        .filter_map(|it| it.split_once(") target="))
        .map(|(_, target)| target.trim_end_matches(" ;;"))
        .collect();
    released.sort_unstable();
    installed.sort_unstable();
    assert_eq!(installed, released);
    // `name` and its two files are put together in the same way.
    let packs = scripts(release).into_iter().find(|it| it.contains("packaging/pack ")).unwrap();
    assert!(packs.contains(r#"packaging/pack "$TARGET" "target/$TARGET/dist/lifeboat" packed"#));
    let packs = std::fs::read_to_string(repository().join("packaging/pack")).unwrap();
    for line in [
        r#"name="lifeboat-$version-$target""#,
        r#"tar -C "$stage""#,
        r#">"$out/$name.tar.gz""#,
        r#">"$file.sha256""#,
        r#"cp "$binary" "$STAGE/lifeboat""#,
    ] {
        assert!(packs.contains(line), "{line} in {packs}");
    }
    for line in [
        r#"name="lifeboat-$version-$target""#,
        r#"address="$LIFEBOAT_SOURCE/releases/download/v$version/$name.tar.gz""#,
        r#""$lifeboat/lifeboat" --version"#,
    ] {
        assert!(script.contains(line), "{line} in {script}");
    }
}

#[test]
fn init_writes_the_pipelines_that_are_asked_for_and_keeps_what_is_there() {
    let home = Home::new();
    home.run(&["init", "bare", "--ci", "none"]).code(0).done();
    assert!(!home.path("bare/.github").exists() && !home.path("bare/.gitlab-ci.yml").exists());
    home.run(&["init", "x", "--ci", "jenkins"]).code(64).done();
    assert!(!home.path("x").exists());
    home.write("mine/.gitlab-ci.yml", "build: { script: [make] }\n");
    home.run(&["init", "mine", "--ci", "gitlab"]).code(0).says(&["kept    .gitlab-ci.yml"]).done();
    let kept = std::fs::read_to_string(home.path("mine/.gitlab-ci.yml")).unwrap();
    assert_eq!(kept, "build: { script: [make] }\n");
}

/// What a pipeline starts from is worth nothing if its first issue is about itself.
#[test]
fn init_makes_a_stack_that_passes_its_own_audit() {
    let home = Home::new();
    home.run(&["init", "."]).code(0).done();
    home.sandbox(&["apply", "first", "--yes"]).code(0).done();
    home.sandbox(&["drill", "first", "--to", "drill", "--yes"]).code(0).done();
    home.sandbox(&["ci", "drift", "first", "--drill-max-age", "30d", "--host", "none"])
        .code(0)
        .says(&["0 audit errors, 0 audit warnings"])
        .done();
    home.sandbox(&["failover", "first", "--to", "eu", "--yes"]).code(0).done();
    home.sandbox(&["failback", "first", "--yes"]).code(0).done();
    home.sandbox(&["plan", "first", "--detailed-exitcode"]).code(0).done();
}

/// A folder is gone with its runner: each command of the pipelines says so, and says what to do.
#[test]
fn every_job_of_a_stack_without_a_store_says_how_to_move_its_state() {
    let mut home = Home::new();
    home.run(&["init", "."]).code(0).done();
    home.set("CI", "true");
    home.set("LINODE_TOKEN", "token");
    home.set("LINODE_URL", "https://192.0.2.1/v4");
    for command in [
        &["ci", "plan", "--host", "none", "--", "first"][..],
        &["ci", "apply", "--host", "none", "--", "first"],
        &["ci", "drift", "--host", "none", "--", "first"],
        &["drill", "--to=drill", "--yes", "--", "first"],
        &["drill", "--to=drill", "--cleanup", "--yes", "--", "first"],
    ] {
        let output = home.run(command).code(3);
        let said = format!("{}{}", output.stdout, output.stderr);
        for part in [
            "state/first contains no state of this stack",
            "state migrate first --to 's3://BUCKET/lifeboat?region=REGION'",
        ] {
            assert!(said.contains(part), "{part} in {output}");
        }
    }
    // A store says itself that it has none; this one is silent.
    let stack = std::fs::read_to_string(home.path("stacks/first/stack.yaml")).unwrap();
    let store = "state: { s3: { bucket: shop-state, endpoint: 'http://127.0.0.1:1', fault_domain: local } }";
    home.stack("first", format!("{stack}{store}\n"));
    home.set("AWS_ACCESS_KEY_ID", "key");
    home.set("AWS_SECRET_ACCESS_KEY", "key");
    let output = home.run(&["ci", "apply", "--host", "none", "--", "first"]).code(5);
    assert!(!output.to_string().contains("contains no state"), "{output}");
}

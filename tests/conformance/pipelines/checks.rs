//! actionlint and shellcheck over everything that runs in a pipeline: what `init` writes, the action, and what this repository has itself.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::process::{Ran, Root, clean, installed};

const LIFEBOAT: &str = env!("CARGO_BIN_EXE_lifeboat");

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A folder that `init` has written into.
fn written(ci: &str) -> Root {
    let root = Root::new();
    let mut init = clean(LIFEBOAT);
    init.args(["init", "new", "--ci", ci]).current_dir(root.path()).env("HOME", root.path());
    Ran::of(&mut init).ends_with(0);
    root
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut all: Vec<_> = std::fs::read_dir(folder).unwrap().map(|it| it.unwrap().path()).collect();
    all.sort();
    all
}

/// With shellcheck on each `run:`.
fn actionlint(files: &[PathBuf]) -> Command {
    let mut command = clean(&installed("actionlint"));
    command.args(["-no-color", "-pyflakes=", "-shellcheck", &installed("shellcheck")]).args(files);
    command
}

fn shellcheck(shell: &str, file: &Path) -> Command {
    let mut command = clean(&installed("shellcheck"));
    command.args(["--norc", "--severity=style", "--shell", shell]).arg(file);
    command
}

#[test]
fn actionlint_finds_nothing_in_workflows() {
    let root = written("github");
    let own = files(&repository().join(".github/workflows"));
    let generated = files(&root.path().join("new/.github/workflows"));
    assert!(own.len() >= 3 && generated.len() == 3);
    Ran::of(&mut actionlint(&[own, generated].concat())).ends_with(0);
}

#[test]
fn shellcheck_finds_nothing_in_scripts() {
    let root = written("gitlab");
    let init = repository().join("src/cli/commands/init");
    for script in ["install.sh", "switch.sh"] {
        Ran::of(&mut shellcheck("sh", &init.join(script))).ends_with(0);
    }
    let read = |file: PathBuf| -> Value {
        serde_yaml::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
    };
    // Each job of GitLab is one script.
    let pipeline = read(root.path().join("new/.gitlab-ci.yml"));
    let before = &pipeline[".lifeboat"]["before_script"];
    let mut jobs = 0;
    for (name, job) in pipeline.as_object().unwrap() {
        let Some(own) = job["script"].as_array() else { continue };
        let blocks = before.as_array().unwrap().iter().chain(own);
        let script: Vec<&str> = blocks.map(|it| it.as_str().unwrap()).collect();
        root.write(&format!("{name}.sh"), &format!("#!/bin/sh\n{}\n", script.join("\n")));
        Ran::of(&mut shellcheck("sh", &root.path().join(format!("{name}.sh")))).ends_with(0);
        jobs += 1;
    }
    assert_eq!(jobs, 5);
    let action = read(repository().join("action.yml"));
    let steps = action["runs"]["steps"].as_array().unwrap();
    for step in steps {
        assert_eq!(step["shell"], "bash");
        root.write("step.sh", step["run"].as_str().unwrap());
        Ran::of(&mut shellcheck("bash", &root.path().join("step.sh"))).ends_with(0);
    }
    for script in
        [".ci/run", "fuzz/run", "tests/conformance/machine.sh", "packaging/pack", "packaging/check"]
    {
        Ran::of(&mut shellcheck("bash", &repository().join(script))).ends_with(0);
    }
}

/// Checkers that pass everything check nothing.
#[test]
fn checkers_find_what_is_wrong() {
    let root = Root::new();
    let workflow = |step: &str| {
        let text = format!(
            "on: push\njobs:\n  a:\n    runs-on: ubuntu-24.04\n    steps:\n      - {step}\n"
        );
        root.write("a.yml", &text);
        Ran::of(&mut actionlint(&[root.path().join("a.yml")]))
    };
    workflow("run: echo \"$HOME\"").ends_with(0);
    workflow("run: rm -r $HOME/$1").ends_with(1).says("SC2086");
    workflow("run: echo \"${{ github.event.pull_request.title }}\"").ends_with(1).says("untrusted");
    workflow("run: echo \"${{ vras.x }}\"").ends_with(1).says("undefined variable");
    root.write("a.sh", "rm -r $1\n");
    Ran::of(&mut shellcheck("sh", &root.path().join("a.sh"))).ends_with(1).says("SC2086");
}

//! The JSON that commands print, against the schemas in `docs/schemas`: every document of every test, read by a validator that knows nothing of lifeboat.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use jsonschema::Validator;
use lifeboat::engine::plan::model::step_phase::StepPhase;
use serde_json::{Value, json};

use crate::harness::{Home, files, repository};

static SCHEMAS: LazyLock<BTreeMap<String, Validator>> = LazyLock::new(|| {
    let all = files(&repository().join("docs/schemas"), "json").into_iter().map(|file| {
        let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(&file).unwrap();
        let schema = strict(serde_json::from_str(&text).unwrap());
        (name, jsonschema::validator_for(&schema).expect("it is a schema"))
    });
    all.collect()
});

/// Readers are to ignore what a later version adds; a test is not: what is not described would stay so.
fn strict(schema: Value) -> Value {
    match schema {
        Value::Object(map) => {
            let is_closed =
                map.contains_key("properties") && !map.contains_key("additionalProperties");
            let mut map: serde_json::Map<_, _> =
                map.into_iter().map(|(name, it)| (name, strict(it))).collect();
            // A property may have the name of a keyword.
            if is_closed && map["properties"].is_object() && map.contains_key("type") {
                map.insert("additionalProperties".into(), json!(false));
            }
            Value::Object(map)
        }
        Value::Array(all) => all.into_iter().map(strict).collect(),
        other => other,
    }
}

/// What is wrong with a document.
fn mistakes(schema: &str, document: &Value) -> Vec<String> {
    let found = SCHEMAS[schema].iter_errors(document);
    found.map(|it| format!("{schema}{}: {it}", it.instance_path())).collect()
}

/// Checks all JSON that a command has printed.
#[track_caller]
pub(crate) fn check(said: &str, stdout: &str) {
    let words: Vec<&str> = said.split(' ').collect();
    let is_json = words.windows(2).any(|it| it == ["--format", "json"]);
    if words.first() == Some(&"watch") {
        return stdout
            .lines()
            .filter(|it| it.starts_with('{'))
            .for_each(|it| valid("watch", it, said));
    }
    if words.starts_with(&["state", "pull"]) && stdout.starts_with('{') {
        return valid("state", stdout, said);
    }
    if !is_json || stdout.trim().is_empty() {
        return;
    }
    let is_whole = serde_json::from_str::<Value>(stdout).is_ok();
    let documents: Vec<&str> = if is_whole { vec![stdout] } else { stdout.lines().collect() };
    for it in documents {
        let document: Value =
            serde_json::from_str(it).unwrap_or_else(|why| panic!("{said}: {why}: {it}"));
        valid(named(&words, &document), it, said);
    }
}

/// Checks the file of `--events`, as far as it is written.
#[track_caller]
pub(crate) fn check_events(said: &str, text: &str) {
    let lines = text.split_inclusive('\n').filter(|it| it.starts_with('{') && it.ends_with('\n'));
    lines.for_each(|it| valid("event", it, said));
}

/// Which schema describes a document.
#[track_caller]
fn named(words: &[&str], document: &Value) -> &'static str {
    match (document["format"].as_str(), words) {
        (Some("lifeboat run"), _) => "run",
        (Some("lifeboat validate"), _) => "validate",
        (Some("lifeboat audit"), _) => "audit",
        (Some("lifeboat policy test"), _) => "policy-test",
        (None, ["plan" | "show", ..]) => "plan",
        (None, ["status", ..]) => "status",
        (None, ["reports", ..]) if document["reports"].is_array() => "reports",
        (None, ["reports", ..]) => "report",
        (None, ["state", "log", ..]) => "state-log",
        other => panic!("no schema describes {other:?}"),
    }
}

#[track_caller]
fn valid(schema: &str, text: &str, said: &str) {
    let document: Value =
        serde_json::from_str(text).unwrap_or_else(|why| panic!("{said}: {why}: {text}"));
    let wrong = mistakes(schema, &document);
    assert!(wrong.is_empty(), "{said}:\n{}\n{text}", wrong.join("\n"));
}

#[test]
fn schemas_of_reports_in_lists_and_runs_are_those_of_reports() {
    let read = |name: &str| -> Value {
        let file = repository().join(format!("docs/schemas/{name}.json"));
        serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
    };
    let report = read("report")["properties"].clone();
    assert!(report["steps"].is_object());
    assert_eq!(read("run")["$defs"]["report"]["properties"], report);
    let mut listed = read("reports")["properties"]["reports"]["items"]["properties"].clone();
    assert!(listed.as_object_mut().unwrap().shift_remove("name").is_some());
    assert_eq!(listed, report);
}

#[test]
fn schemas_of_reports_know_every_role_of_a_step() {
    let file = repository().join("docs/schemas/report.json");
    let report: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let known = &report["properties"]["steps"]["items"]["properties"]["role"]["enum"];
    let all = [
        StepPhase::Work,
        StepPhase::Replication,
        StepPhase::Gate,
        StepPhase::Traffic,
        StepPhase::Drain,
        StepPhase::Cleanup,
    ];
    assert_eq!(*known, json!(all.map(StepPhase::word)));
}

#[test]
fn schemas_refuse_what_no_command_prints() {
    let home = Home::holding("safe", "stack: safe\nresources: {}\n");
    let plan = home.sandbox(&["plan", "safe", "--format", "json"]).code(0).json();
    assert_eq!(mistakes("plan", &plan), Vec::<String>::new());
    let with = |pointer: &str, value: Value| {
        let mut changed = plan.clone();
        *changed.pointer_mut(pointer).unwrap() = value;
        mistakes("plan", &changed).len()
    };
    assert_eq!(with("/format_version", json!("3.0")), 1);
    assert_eq!(with("/summary/create", json!("none")), 1);
    assert_eq!(with("/plan/bindings/intent", json!("guess")), 1);
    assert_eq!(mistakes("plan", &json!({})).len(), 5);
    // What nobody has described is noticed here, and ignored by everybody else.
    let mut more = plan.clone();
    more["plan"]["more"] = json!(1);
    assert_eq!(mistakes("plan", &more).len(), 1);
    let file = repository().join("docs/schemas/plan.json");
    let kept = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    assert!(jsonschema::validator_for(&kept).unwrap().is_valid(&more));
}

#[test]
fn schemas_are_named_where_the_formats_are_listed() {
    let page = std::fs::read_to_string(repository().join("docs/ci.md")).unwrap();
    for name in SCHEMAS.keys() {
        assert!(page.contains(&format!("schemas/{name}.json")), "docs/ci.md names no {name}.json");
    }
    assert_eq!(SCHEMAS.len(), 12);
}

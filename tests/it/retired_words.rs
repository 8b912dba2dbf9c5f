//! Retired words: what the project called by a word of its own and calls by the field's now is not said any more.

use std::collections::BTreeSet;

use regex::Regex;
use serde_json::Value as Json;

use crate::harness::{Home, files, repository};

/// A pattern of the old word in its old sense, and the word of today (`docs/glossary.md`).
const RETIRED: &[(&str, &str)] = &[
    (r"\bfound again\b", "recovered"),
    (r"lifeboat found\b", "lifeboat recovered"),
    (r"\b(taken|takes?) for lost\b", "declared lost"),
    (r"\bstate settle\b", "state resolve"),
    (r"\bsettled by hand\b", "resolved by hand"),
    (r"\bin doubt\b", "indeterminate"),
    (r"\bthaw(s|ed|ing)?\b", "recovered"),
    (r"\bleft ?overs?\b", "orphaned, or remaining"),
    (r"\bleft behind\b", "orphaned, or remaining"),
    (r"\bheld back\b", "deferred"),
    (r"\bHeld\b", "Deferred"),
    (r"\bsurveys?\b", "refresh"),
    (r"\b(could not be|was not|were not) looked at\b", "could not be read"),
    (r"\b[Nn]ot seen\b", "unknown"),
    (r"\bstill silent\b", "still unreachable"),
    (r"\bcanary\b", "replication probe"),
    (r"\bpulse\b", "heartbeat"),
    (r"\bowner marks?\b", "ownership tag"),
    (r"\bfore(see|sees|seen|told)\b", "simulated, or the preview"),
    (r"\baftermath\b", "an earlier drill that crashed"),
    (r"\bledger\b", "recovery report"),
    (r"\bdirects? users\b|\bdirected anew\b", "sends users, traffic shift"),
    (r"\bnobody (remembers|comes the old way)\b", "DNS caches have expired"),
    (r"\blost sight of\b", "no longer tracked"),
    (r"\bneeds a word\b", "requires confirmation"),
    (r"\blets? it through\b", "allows it"),
    (r"\banother lifeboat\b", "a different lifeboat version"),
    (r"\bthe world is as\b", "your infrastructure matches the configuration"),
    (r"\boutside lifeboat\b", "outside of lifeboat"),
    (r"\blongest chain\b", "critical path"),
    (r"`instance: ", "workspace:"),
    (r"@INSTANCE\b", "@WORKSPACE"),
    (r"\bcolour", "color"),
    (r"\bcatalogue\b", "catalog"),
];

/// Where an old word stands for another thing than the one that was renamed, with the reason.
const ALLOWED: &[(&str, &str)] = &[
    // Reports and plans that earlier versions saved are still read, by the words of then.
    ("src/core/engine/recovery/report/codec.rs", "in doubt"),
    ("src/core/engine/plan/model/change.rs", "thaws"),
    ("src/core/engine/plan/format/codec.rs", "thaws"),
    ("docs/ci.md", "`thaws` for `recovered`"),
    ("docs/ci.md", "`in doubt`"),
    ("docs/state.md", "`thawed` (recovered fault domains)"),
    // Fields of state keep the names under which files have them (docs/state.md).
    ("src/core/engine/state/record.rs", "thawed"),
    // The key of the items that earlier versions wrote as well, so that they are still recognized.
    ("src/cloud/dynamodb/replication_probe.rs", "lifeboat-canary-"),
    // A made-up secret of a test, which must not get out: the other sense of the word.
    ("src/cloud/http/credentials.rs", "canary"),
    ("src/core/engine/text/redact.rs", "canary"),
    // Marks the made-up ids of a simulation; nothing prints it.
    ("src/core/engine/plan/simulate.rs", "foreseen"),
    // The codes of diagnostics are stable names that pipelines match.
    ("src/core/engine/plan/checks/offers.rs", "catalogue_unread"),
    ("src/sandbox/linode/data/catalog.rs", "catalogue"),
    // A word of the overlays of before is told its name of today.
    ("src/core/engine/lang/lower/resources.rs", "instance"),
];

/// Keys of JSON in their old sense, and the key of today.
const RETIRED_KEYS: &[(&str, &str)] = &[
    ("held", "deferred"),
    ("left_behind", "orphaned"),
    ("objects", "resources"),
    ("unseen", "unknown"),
    ("unseen_reason", "unknown_reason"),
    ("thaws", "recovered"),
    ("thawed", "recovered"),
    ("found", "recovered"),
    ("begun", "pending"),
    ("directs", "shift"),
    ("directed", "shifted"),
    ("directed_at", "shifted_at"),
    ("instance", "workspace"),
    ("mark", "ownership_tag"),
];

/// Words that stand as values in JSON where a set of them is closed.
const RETIRED_VALUES: &[&str] = &["unseen", "in doubt", "held", "left_behind"];

/// Maps whose keys are the stack's own: names of attributes, outputs, files and the like.
const FREE_MAPS: &[&str] = &["attributes", "outputs", "files", "variables", "accounts"];

/// Every key of a JSON document, and every retired word that is a value of it.
fn keys(json: &Json, found: &mut BTreeSet<String>) {
    match json {
        Json::Object(map) => {
            for (name, value) in map {
                found.insert(name.clone());
                let is_free = FREE_MAPS.contains(&name.as_str()) && value.is_object();
                if !is_free {
                    keys(value, found);
                }
            }
        }
        Json::Array(items) => items.iter().for_each(|it| keys(it, found)),
        Json::String(text) if RETIRED_VALUES.contains(&text.as_str()) => {
            found.insert(format!("the value {text}"));
        }
        _ => {}
    }
}

/// The texts of a source: what stands between quotes, comments left out.
fn texts(code: &str) -> String {
    let comments = Regex::new(r"(?m)^\s*//.*$").unwrap();
    let text = Regex::new(r#""(?:[^"\\]|\\.)*""#).unwrap();
    let code = comments.replace_all(code, "");
    text.find_iter(&code).map(|it| it.as_str()).collect::<Vec<_>>().join("\n")
}

#[test]
fn retired_words_are_in_no_message_help_or_document() {
    let root = repository();
    let mut said: Vec<(String, String)> = Vec::new();
    let mut add = |path: &std::path::Path, text: String| {
        said.push((path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned(), text));
    };
    // What a test says nobody else reads.
    let sources = files(&root.join("src"), "rs");
    for path in sources.into_iter().filter(|it| !it.to_string_lossy().contains("/tests")) {
        let code = std::fs::read_to_string(&path).unwrap();
        // What clap prints as help is a comment of the arguments.
        let is_help = path.starts_with(root.join("src/cli/args"));
        add(&path, if is_help { code } else { texts(&code) });
    }
    for path in files(&root.join("docs"), "md").into_iter().chain([root.join("README.md")]) {
        add(&path, std::fs::read_to_string(&path).unwrap());
    }
    for path in files(&root.join("src/core/kinds"), "yaml")
        .into_iter()
        .chain(files(&root.join("stacks"), "yaml"))
    {
        add(&path, std::fs::read_to_string(&path).unwrap());
    }
    let mut found = Vec::new();
    for (pattern, today) in RETIRED {
        let pattern = Regex::new(pattern).unwrap();
        for (path, text) in &said {
            let lines = text.lines().filter(|line| pattern.is_match(line));
            let is_allowed = |line: &&str| {
                ALLOWED.iter().any(|(file, part)| path == file && line.contains(part))
            };
            found.extend(lines.filter(|it| !is_allowed(it)).map(|line| {
                format!("{path}: {:?} is {today:?} now: {}", pattern.as_str(), line.trim())
            }));
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
    assert!(said.len() > 300, "{} files were read", said.len());
}

/// All JSON that is written for programs, in the middle of a loss: with what is frozen, deferred, orphaned and unknown.
#[test]
fn retired_words_are_no_keys_of_json() {
    const SHOP: &str = "woocommerce";
    let home = Home::woocommerce();
    home.sandbox(&["apply", SHOP, "--yes"]).code(0).done();
    home.run(&["sandbox", "lose", "linode:us-east", "aws:us-east-1"]).code(0).done();
    let json = |command: &[&str], code: i32| {
        home.sandbox(&[command, &["--format", "json"]].concat()).code(code).json()
    };
    let mut all = vec![json(&["plan", SHOP], 5)];
    home.sandbox(&["failover", SHOP, "--to", "failover_eu", "--yes"]).code(0).done();
    all.extend([
        json(&["plan", SHOP], 0),
        json(&["plan", SHOP, "-o", "failover_eu", "-o", "scale_up"], 0),
        json(&["status", SHOP], 0),
        json(&["reports", SHOP], 0),
        json(&["audit", SHOP], 0),
    ]);
    // A plan of a switch as it is saved.
    let saved = repository().join("src/core/engine/plan/format/golden/failover.json");
    all.push(serde_json::from_str(&std::fs::read_to_string(saved).unwrap()).unwrap());
    let mut said = BTreeSet::new();
    for it in &all {
        keys(it, &mut said);
    }
    for today in ["deferred", "orphaned", "resources", "unknown", "recovered", "shift", "shifted"] {
        assert!(said.contains(today), "{today} is a key of {said:?}");
    }
    let retired = RETIRED_KEYS.iter().filter(|(old, _)| said.contains(*old));
    let retired: Vec<_> = retired.collect();
    assert!(retired.is_empty(), "{retired:?}");
    assert!(!said.iter().any(|it| it.starts_with("the value ")), "{said:?}");
}

//! Retired words: what the project called by a word of its own and calls by the field's now is not said any more.

use regex::Regex;

use crate::harness::{files, repository};

/// A pattern of the old word in its old sense, and the word of today (`docs/glossary.md`).
const RETIRED: &[(&str, &str)] = &[
    (r"\bfound again\b", "recovered"),
    (r"lifeboat found\b", "lifeboat recovered"),
    (r"\b(taken|takes?) for lost\b", "assumed lost"),
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
    // A stored report says it so: a field's value that programs match. The screens say "indeterminate".
    ("src/core/engine/recovery/report/step_timing.rs", "in doubt"),
    ("src/core/engine/recovery/report/journaled.rs", "in doubt"),
    // Fields of saved plans and of state keep the names under which files have them.
    ("src/core/engine/plan/model/change.rs", "thaws"),
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

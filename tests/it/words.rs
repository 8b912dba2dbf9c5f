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
    (r"\bis in doubt\b", "indeterminate"),
    (r"`instance: ", "workspace:"),
    (r"@INSTANCE\b", "@WORKSPACE"),
    (r"\bcolour", "color"),
    (r"\bcatalogue\b", "catalog"),
];

/// Where an old word stands for another thing than the one that was renamed, with the reason.
const ALLOWED: &[(&str, &str)] = &[
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
    for path in files(&root.join("src"), "rs") {
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

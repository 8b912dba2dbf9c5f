//! Runs the README and the pages of docs: their stack files are written, their `lifeboat` lines are run in order, and what these print must be what they say.

use std::fmt::Write as _;
use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering::Relaxed;

use lifeboat::engine::text::explanations::DOCUMENT;

use crate::converge::in_parallel;
use crate::harness::{Home, copy, files, repository};

/// A line that stands for any number of lines, also none.
const LINES: &str = "…";
/// A part that stands for any text of its line.
const TEXT: &str = "[..]";

/// One fenced block: its language and its lines.
struct Block {
    /// Of the line with the fence, from 1.
    line: usize,
    language: String,
    lines: Vec<String>,
}

/// A line behind a prompt and what must follow.
struct Call {
    line: usize,
    words: Vec<String>,
    code: i32,
    expected: Vec<String>,
}

/// One page and the folder in which its lines are run.
struct Page {
    name: String,
    root: tempfile::TempDir,
}

/// The README and each page of docs, by their paths in the repository.
fn pages() -> Vec<String> {
    let repository = repository();
    let docs = files(&repository.join("docs"), "md").into_iter();
    let docs = docs.map(|it| it.strip_prefix(&repository).unwrap().to_str().unwrap().to_owned());
    std::iter::once("README.md".to_owned()).chain(docs).collect()
}

/// Every page begins with an empty world of its own, and is run from its first block to its last.
#[test]
fn readme_and_docs_say_what_happens() {
    let run = std::sync::atomic::AtomicUsize::new(0);
    in_parallel(&pages(), |name| {
        let text = std::fs::read_to_string(repository().join(name)).unwrap();
        let page = Page { name: name.clone(), root: tempfile::tempdir().unwrap() };
        copy(&repository().join("stacks"), &page.root.path().join("stacks"));
        let mut wrong = String::new();
        for block in page.blocks(&text) {
            match block.language.as_str() {
                "yaml" => write(page.root.path(), &block),
                "console" => {
                    for call in page.calls(&block) {
                        run.fetch_add(1, Relaxed);
                        wrong.push_str(&page.check(&call).err().unwrap_or_default());
                    }
                }
                _ => {}
            }
        }
        assert!(wrong.is_empty(), "{wrong}");
    });
    let run = run.into_inner();
    assert!(run > 30, "only {run} lines of README and docs are run");
}

/// The page of kinds is what `lifeboat kinds` prints; `UPDATE_DOCS=1` writes it anew.
#[test]
fn docs_kinds_is_what_kinds_prints() {
    let home = Home::new();
    let list = home.run(&["kinds"]).code(0).stdout;
    let mut page = "# Kinds\n\nWhat `lifeboat kinds KIND` prints of each kind. Regenerate with `UPDATE_DOCS=1 cargo test --test it readme::`.\n".to_owned();
    let names =
        list.lines().filter_map(|it| it.split_whitespace().next()).filter(|it| it.contains('.'));
    for name in names {
        let told = home.run(&["kinds", name]).code(0).stdout;
        write!(page, "\n## {name}\n\n```text\n{}\n```\n", told.trim_end()).unwrap();
    }
    let file = repository().join("docs/kinds.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&file, &page).unwrap();
    }
    let kept = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(page.matches("\n## ").count() > 8, "{page}");
    assert!(kept == page, "docs/kinds.md is outdated: UPDATE_DOCS=1 cargo test --test it readme::");
}

#[test]
fn docs_codes_is_what_explain_prints() {
    let file = repository().join("docs/codes.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&file, DOCUMENT).unwrap();
    }
    let kept = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        kept == DOCUMENT,
        "docs/codes.md is outdated: UPDATE_DOCS=1 cargo test --test it readme::"
    );
    let home = Home::new();
    let told = home.run(&["explain", "data_loss"]).code(0);
    let section = kept.split("\n## data_loss\n").nth(1).unwrap().split("\n## ").next().unwrap();
    assert_eq!(told.stdout.trim_end(), format!("data_loss\n\n{}", section.trim()));
    home.run(&["explain", "target-lost"])
        .code(0)
        .shows(&["target-lost (error of the audit)"])
        .done();
    home.run(&["explain", "data_los"]).code(64).says(&["did you mean `data_loss`?"]).done();
}

/// A link of README or docs leads to a file, and the contents name every page.
#[test]
fn links_of_readme_and_docs_lead_somewhere() {
    let link = regex::Regex::new(r"\]\(([^)#]+)(?:#[^)]*)?\)").unwrap();
    let contents = std::fs::read_to_string(repository().join("docs/SUMMARY.md")).unwrap();
    for name in pages() {
        let text = std::fs::read_to_string(repository().join(&name)).unwrap();
        let folder = repository().join(&name).parent().unwrap().to_owned();
        for found in link.captures_iter(&text).filter(|it| !it[1].contains("://")) {
            assert!(folder.join(&found[1]).exists(), "{name} links to {}", &found[1]);
        }
        if let Some(page) = name.strip_prefix("docs/").filter(|it| *it != "SUMMARY.md") {
            assert!(contents.contains(&format!("({page})")), "docs/SUMMARY.md lacks {page}");
        }
    }
}

/// A block that begins with `# stacks/…` is that file.
fn write(root: &Path, block: &Block) {
    let Some(name) = block.lines.first().and_then(|it| it.strip_prefix("# ")) else { return };
    if !name.starts_with("stacks/") && !name.starts_with("policies/") {
        return;
    }
    let file = root.join(name);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, block.lines.join("\n") + "\n").unwrap();
}

impl Page {
    /// Runs a line as a terminal would show it: stdout and stderr in one.
    fn check(&self, call: &Call) -> Result<(), String> {
        let root = self.root.path();
        let shown = root.join("shown");
        let file = File::create(&shown).unwrap();
        let status = Command::new(env!("CARGO_BIN_EXE_lifeboat"))
            .args(&call.words)
            .current_dir(root)
            .env_clear()
            .env("HOME", root)
            .env("PATH", "/usr/bin:/bin")
            .env("NO_COLOR", "1")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .status()
            .unwrap();
        let text = std::fs::read_to_string(&shown).unwrap();
        let found: Vec<&str> = text.lines().map(str::trim_end).collect();
        let expected: Vec<&str> = call.expected.iter().map(String::as_str).collect();
        if status.code() == Some(call.code) && alike(&expected, &found) {
            return Ok(());
        }
        let mut wrong =
            format!("\n{}:{}: lifeboat {}\n", self.name, call.line, call.words.join(" "));
        writeln!(wrong, "exit {:?}, expected {}", status.code(), call.code).unwrap();
        writeln!(wrong, "-- expected --\n{}\n-- found --\n{text}", expected.join("\n")).unwrap();
        Err(wrong)
    }

    fn blocks(&self, text: &str) -> Vec<Block> {
        let mut blocks: Vec<Block> = Vec::new();
        let mut is_open = false;
        for (at, line) in text.lines().enumerate() {
            match line.strip_prefix("```") {
                Some(_) if is_open => is_open = false,
                Some(language) => {
                    is_open = true;
                    blocks.push(Block {
                        line: at + 1,
                        language: language.into(),
                        lines: Vec::new(),
                    });
                }
                None if is_open => blocks.last_mut().unwrap().lines.push(line.trim_end().into()),
                None => {}
            }
        }
        assert!(!is_open, "the last fence of {} does not end", self.name);
        blocks
    }

    fn calls(&self, block: &Block) -> Vec<Call> {
        let mut calls: Vec<Call> = Vec::new();
        for (at, text) in block.lines.iter().enumerate() {
            let line = block.line + at + 1;
            if let Some(typed) = text.strip_prefix("$ ") {
                let (typed, code) = match typed.rsplit_once("# exit ") {
                    Some((typed, code)) => (typed.trim_end(), code.parse().unwrap()),
                    None => (typed, 0),
                };
                let words = typed.strip_prefix("lifeboat ").unwrap_or_else(|| {
                panic!("{}:{line}: only lines of lifeboat are run; give the block another language", self.name)
            });
                calls.push(Call { line, words: split(words), code, expected: Vec::new() });
            } else {
                let call =
                    calls.last_mut().unwrap_or_else(|| panic!("{}:{line}: no prompt", self.name));
                call.expected.push(text.clone());
            }
        }
        calls
    }
}

/// Whether the lines match, where `…` matches any lines.
fn alike(expected: &[&str], found: &[&str]) -> bool {
    match expected.split_first() {
        None => found.is_empty(),
        Some((&LINES, rest)) => (0..=found.len()).any(|at| alike(rest, &found[at..])),
        Some((line, rest)) => found
            .split_first()
            .is_some_and(|(first, others)| line_alike(line, first) && alike(rest, others)),
    }
}

/// Whether a line matches, where `[..]` matches any text.
fn line_alike(expected: &str, found: &str) -> bool {
    match expected.split_once(TEXT) {
        None => expected == found,
        Some((before, after)) => found.strip_prefix(before).is_some_and(|rest| {
            (0..=rest.len())
                .filter(|at| rest.is_char_boundary(*at))
                .any(|at| line_alike(after, &rest[at..]))
        }),
    }
}

/// Words as a shell takes them; of its quotes only the single ones are used in the README.
fn split(typed: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (at, part) in typed.split('\'').enumerate() {
        if at % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}

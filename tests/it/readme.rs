//! Runs the README: its stack files are written, its `lifeboat` lines are run in order, and what it prints must be what they say.

use std::fmt::Write as _;
use std::fs::File;
use std::path::Path;

use crate::harness::copy;
use std::process::{Command, Stdio};

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

#[test]
fn the_readme_says_what_happens() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(repository.join("README.md")).unwrap();
    let root = tempfile::tempdir().unwrap();
    copy(&repository.join("stacks"), &root.path().join("stacks"));
    let mut run = 0;
    let mut wrong = String::new();
    for block in blocks(&text) {
        match block.language.as_str() {
            "yaml" => write(root.path(), &block),
            "console" => {
                for call in calls(&block) {
                    run += 1;
                    wrong.push_str(&check(root.path(), &call).err().unwrap_or_default());
                }
            }
            _ => {}
        }
    }
    assert!(run > 10, "only {run} lines of the README are run");
    assert!(wrong.is_empty(), "{wrong}");
}

/// A block that begins with `# stacks/…` is that file.
fn write(root: &Path, block: &Block) {
    let Some(name) = block.lines.first().and_then(|it| it.strip_prefix("# stacks/")) else {
        return;
    };
    let file = root.join("stacks").join(name);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, block.lines.join("\n") + "\n").unwrap();
}

/// Runs a line as a terminal would show it: stdout and stderr in one.
fn check(root: &Path, call: &Call) -> Result<(), String> {
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
    let mut wrong = format!("\nREADME.md:{}: lifeboat {}\n", call.line, call.words.join(" "));
    writeln!(wrong, "exit {:?}, expected {}", status.code(), call.code).unwrap();
    writeln!(wrong, "-- expected --\n{}\n-- found --\n{text}", expected.join("\n")).unwrap();
    Err(wrong)
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

fn blocks(text: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut is_open = false;
    for (at, line) in text.lines().enumerate() {
        match line.strip_prefix("```") {
            Some(_) if is_open => is_open = false,
            Some(language) => {
                is_open = true;
                blocks.push(Block { line: at + 1, language: language.into(), lines: Vec::new() });
            }
            None if is_open => blocks.last_mut().unwrap().lines.push(line.trim_end().into()),
            None => {}
        }
    }
    assert!(!is_open, "the last fence of the README does not end");
    blocks
}

fn calls(block: &Block) -> Vec<Call> {
    let mut calls: Vec<Call> = Vec::new();
    for (at, text) in block.lines.iter().enumerate() {
        let line = block.line + at + 1;
        if let Some(typed) = text.strip_prefix("$ ") {
            let (typed, code) = match typed.rsplit_once("# exit ") {
                Some((typed, code)) => (typed.trim_end(), code.parse().unwrap()),
                None => (typed, 0),
            };
            let words = typed.strip_prefix("lifeboat ").unwrap_or_else(|| {
                panic!("README.md:{line}: only lines of lifeboat are run; give the block another language")
            });
            calls.push(Call { line, words: split(words), code, expected: Vec::new() });
        } else {
            let call = calls.last_mut().unwrap_or_else(|| panic!("README.md:{line}: no prompt"));
            call.expected.push(text.clone());
        }
    }
    calls
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

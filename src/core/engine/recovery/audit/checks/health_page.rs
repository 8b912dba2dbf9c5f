//! Whether the page that health checks ask for can say no: what its name and, where the layers write it, its text tell.

use std::collections::BTreeSet;

use crate::engine::recovery::audit::case::AuditCase;
use crate::engine::recovery::audit::finding::{AuditRule, AuditSection, Finding, Level};
use crate::engine::recovery::audit::reads::texts;
use crate::engine::recovery::audit::side::{Side, SideItem};

pub static CHECK_STATIC: AuditRule = AuditRule {
    id: "check-static",
    level: Level::Warning,
    title: "The page of the health check always succeeds",
    remedy: "let it test the database and everything else that users need, and answer 503 when one of them fails",
};

/// Files that a web server hands out whether or not an application runs.
const STATIC: [&str; 13] = [
    ".html",
    ".htm",
    ".txt",
    ".css",
    ".js",
    ".json",
    ".xml",
    ".ico",
    ".png",
    ".jpg",
    ".gif",
    ".svg",
    ".webmanifest",
];
/// Words with which a page or program can fail, in the languages that such pages are written in.
const FAILS: [&str; 10] =
    ["exit", "die(", "throw", "raise", "abort", "error", "fail", "assert", "panic", "unavailable"];

pub fn check(case: &AuditCase<'_>, out: &mut AuditSection) {
    for is_home in [true, false] {
        let side = if is_home { case.home } else { case.recovery };
        let mut told = BTreeSet::new();
        for item in case.behind(is_home).filter(|it| it.kind.health_check.is_some()) {
            if told.insert(item.address.clone()) {
                page(side, item, out);
            }
        }
    }
}

fn page(side: &Side<'_>, item: SideItem<'_>, out: &mut AuditSection) {
    let Some(check) = &item.kind.health_check else { return };
    let method = item.text(&check.method).unwrap_or_default();
    let path = item.text(&check.path).unwrap_or_default();
    let path = path.split(['?', '#']).next().unwrap_or_default();
    if !check.deep.iter().any(|it| it == method) || path.trim_matches('/').is_empty() {
        // Shallow, and told as such.
        return;
    }
    let lower = path.to_ascii_lowercase();
    let why = if STATIC.iter().any(|it| lower.ends_with(it)) {
        format!(
            "`{path}` looks like a static file, which exists whether or not the application works"
        )
    } else {
        match written(side, path) {
            Some((of, text)) if !can_fail(&text) => {
                format!("`{path}`, as written by `{of}`, cannot report a failure")
            }
            Some(_) => return,
            None => {
                let text = format!(
                    "what `{path}` of `{}` checks is not in the configuration",
                    item.address
                );
                return out.fact("check", text);
            }
        }
    };
    let place = side.place_of(item, &check.path);
    out.findings.push(Finding::new(&CHECK_STATIC, Some(place), why).about(item.address));
}

/// A file of the path's name that some object writes at its first boot: who writes it, and its text.
fn written(side: &Side<'_>, path: &str) -> Option<(String, String)> {
    side.items().find_map(|item| {
        let names = item.kind.settable().filter(|(_, it)| it.alike).map(|(name, _)| name);
        // A secret in it does not hide what the page does, and nothing of the text is shown.
        let mut texts = names.flat_map(|name| texts(side, item, name));
        let text = texts.find_map(|it| file_in(&it, path))?;
        Some((item.address.to_string(), text))
    })
}

/// The lines of a list's entry (`write_files` of cloud-init) whose `path:` ends with this path.
fn file_in(text: &str, path: &str) -> Option<String> {
    let lines: Vec<&str> = text.lines().collect();
    let is_entry = |line: &str| line.trim_start().starts_with("- ");
    let indent = |line: &str| line.len() - line.trim_start().len();
    let at = lines.iter().position(|line| {
        let value = line.trim_start().trim_start_matches("- ").strip_prefix("path:");
        value.is_some_and(|it| it.trim().trim_matches(['"', '\'']).ends_with(path))
    })?;
    let start = (0..=at).rev().find(|it| is_entry(lines[*it]))?;
    let own = indent(lines[start]);
    let rest = lines[start + 1..].iter();
    let body = rest.take_while(|it| it.trim().is_empty() || indent(it) > own);
    Some(body.filter(|it| !is_comment(it)).copied().collect::<Vec<_>>().join("\n"))
}

fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with("//") || line.trim_start().starts_with('#')
}

/// Whether a status of failure, or a word with which programs fail, is anywhere in it.
fn can_fail(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let is_status = |word: &str| {
        word.len() == 3
            && word.starts_with(['4', '5'])
            && word.chars().all(|it| it.is_ascii_digit())
    };
    let has_status = lower.split(|it: char| !it.is_ascii_alphanumeric()).any(is_status);
    has_status || FAILS.iter().any(|it| lower.contains(it))
}

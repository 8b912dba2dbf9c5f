//! Diagnostics: what is wrong, where, and what to do; and the sources they point into.

use crate::engine::text::codes::DiagnosticCode;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A place in one of the [`Sources`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span {
    /// Index into [`Sources`].
    pub source: u32,
    /// Byte offsets into the source's text.
    pub start: u32,
    pub end: u32,
    /// From 1.
    pub line: u32,
    /// In characters, from 1.
    pub column: u32,
}

/// One file that was read.
#[derive(Debug, Clone)]
pub struct Source {
    /// As shown to people: relative to the root.
    pub name: Arc<str>,
    pub text: Arc<str>,
}

/// Every file that diagnostics and plan lines may point into.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    pub list: Vec<Source>,
}

impl Sources {
    pub fn add(&mut self, name: &str, text: &str) -> u32 {
        self.list.push(Source { name: name.into(), text: text.into() });
        u32::try_from(self.list.len() - 1).expect("fewer than 2^32 files are read")
    }

    pub fn get(&self, span: Span) -> Option<&Source> {
        self.list.get(span.source as usize)
    }

    /// `file:line:column`.
    pub fn place(&self, span: Span) -> String {
        let name = self.get(span).map_or("?", |it| &it.name);
        format!("{name}:{}:{}", span.line, span.column)
    }

    /// `file:line`, as plan lines show it.
    pub fn line(&self, span: Span) -> String {
        let name = self.get(span).map_or("?", |it| &it.name);
        format!("{name}:{}", span.line)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    Warning,
    Error,
    /// A guard said no: exit 3 instead of 1.
    Refusal,
}

impl Severity {
    pub fn word(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Refusal => "refusal",
        }
    }
}

/// What to read beside a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    pub span: Span,
    pub text: String,
}

/// One mistake, warning or refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Stable and documented, `unknown_attribute`.
    pub code: DiagnosticCode,
    pub severity: Severity,
    pub summary: String,
    /// The first label is the subject.
    pub labels: Vec<Label>,
    /// What to do.
    pub help: Option<String>,
}

impl Diagnostic {
    pub fn error(code: DiagnosticCode, summary: impl Into<String>) -> Self {
        Self {
            code,
            severity: Severity::Error,
            summary: summary.into(),
            labels: Vec::new(),
            help: None,
        }
    }

    pub fn warning(code: DiagnosticCode, summary: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, summary) }
    }

    pub fn refusal(code: DiagnosticCode, summary: impl Into<String>) -> Self {
        Self { severity: Severity::Refusal, ..Self::error(code, summary) }
    }

    #[must_use]
    pub fn at(mut self, span: Span, text: impl Into<String>) -> Self {
        self.labels.push(Label { span, text: text.into() });
        self
    }

    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds "did you mean" when a candidate is near.
    #[must_use]
    pub fn nearest<'a>(self, word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Self {
        match nearest(word, candidates) {
            Some(near) => self.help(format!("did you mean `{near}`?")),
            None => self,
        }
    }
}

/// The first mistake on one line: what, the value, where, and what to do.
pub fn on_one_line(mistakes: &[Diagnostic], sources: &Sources) -> String {
    let Some(first) = mistakes.iter().find(|it| it.severity > Severity::Warning) else {
        return String::new();
    };
    let mut text = first.summary.clone();
    if let Some(label) = first.labels.first() {
        text.push_str(&format!(": {} ({})", label.text, sources.place(label.span)));
    }
    if let Some(help) = &first.help {
        text.push_str(&format!("; {help}"));
    }
    text
}

/// The candidate that a mistyped word most likely meant.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    /// How many names are compared, letter by letter. A guess: a stack with more of them is generated, and few of its names
    /// are typed by hand.
    const CANDIDATES_MAX: usize = 500;
    /// The longest name that is compared, in bytes: nobody types a longer one by hand, and comparing takes quadratic time.
    const WORD_MAX: usize = 100;
    if word.len() > WORD_MAX {
        return None;
    }
    let limit = (word.chars().count() / 3).max(1);
    let is_near = |it: &&str| {
        it.len() <= WORD_MAX
            && (it.len().abs_diff(word.len()) <= limit * 4
                || it.starts_with(word)
                || it.ends_with(word))
    };
    candidates
        .into_iter()
        .filter(is_near)
        .take(CANDIDATES_MAX)
        .map(|it| (strsim::damerau_levenshtein(word, it), it))
        .filter(|(distance, it)| {
            *distance <= limit || (word.len() >= 3 && (it.starts_with(word) || it.ends_with(word)))
        })
        .min()
        .map(|(_, it)| it)
}

/// Whether any of them stops the work.
pub fn stops(diagnostics: &[Diagnostic]) -> bool {
    diagnostics.iter().any(|it| it.severity > Severity::Warning)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn nearest_finds_near_misses_only() {
        let names = ["region", "label", "protocol", "linode.instance"];
        assert_eq!(nearest("regoin", names), Some("region"));
        assert_eq!(nearest("lable", names), Some("label"));
        assert_eq!(nearest("instance", names), Some("linode.instance"));
        assert_eq!(nearest("completely", names), None);
    }
}
